"""Which samples of a split a model learns from: one rule for the network and the baselines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from specvit.catalog.hashing import hashes, uniform
from specvit.config import Config


@dataclass(frozen=True)
class Subset:
    """Which samples are taken; the defaults take all."""

    surveys: tuple[str, ...] | None = None
    """Surveys to keep; None: all."""
    fraction: float = 1.0
    """Share of objects to keep, by a hash of (seed, object_id): smaller shares are subsets."""
    seed: int = 0

    @classmethod
    def of(cls, config: Config, split: str) -> Subset:
        """What a model of this configuration learns from of train, or is chosen by of val."""
        fraction = config.data.train_fraction if split == "train" else 1.0
        return cls(config.data.train_surveys, fraction, config.split.seed)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the index that `mask` reads."""
        by_survey = ("survey",) if self.surveys is not None else ()
        return (*by_survey, *(("object_id",) if self.fraction < 1 else ()))

    def mask(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows of an index are taken, (rows,)."""
        taken = np.ones(len(table), dtype=bool)
        if self.surveys is not None:
            taken &= pc.is_in(table["survey"], pa.array(self.surveys, pa.string())).to_numpy()
        if self.fraction < 1:
            objects = table["object_id"].to_pylist()
            taken &= uniform(hashes(self.seed, "train_fraction", objects)) < self.fraction
        return taken


ALL = Subset()

"""Runs of which something is wholly missing are evaluated, drawn and reported all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_run import MadeRun

from specvit.config import Config
from specvit.io import read_json


@dataclass
class Changed(MadeRun):
    """A made-up run whose catalogue was changed."""

    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda catalog: catalog

    def _catalog(self, config: Config, generator: np.random.Generator) -> pd.DataFrame:
        return self.change(super()._catalog(config, generator))


def one_test_spectrum(catalog: pd.DataFrame) -> pd.DataFrame:
    test = catalog["split"] == "test"
    return catalog[~test | (test.cumsum() == 40)]


# What is changed, and what the page says of an axis or a panel that has nothing to show.
CHANGES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "no S/N": (lambda catalog: catalog.assign(snr=np.nan), "no spectrum has a signal-to-noise"),
    "S/N beyond the bins": (
        lambda catalog: catalog.assign(snr=1e6),
        "no spectrum is in these bins",
    ),
    "redshifts beyond": (lambda catalog: catalog.assign(z=20.0), "no spectrum is in these bins"),
    "one class": (lambda catalog: catalog.assign(**{"class": "GALAXY", "subclass": None}), ""),
    "one test spectrum": (one_test_spectrum, "fewer than 20 spectra"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_degenerate_run_has_its_report(name: str, tmp_path: Path) -> None:
    change, said = CHANGES[name]
    made = Changed(
        str(tmp_path),
        spectra={"train": 20, "val": 20, "test": 60},
        settings={
            "baselines": {"models": ["svm"]},
            "split": {"shards": {"train": 1, "val": 1, "test": 1}},
            "evaluate": {"bootstrap": 20},
            "report": {"formats": ["png"]},
        },
        change=change,
    )
    config = made.write()
    for command in ("evaluate", "figures", "report"):
        made.call(command)
    assert set(read_json(config.paths.metrics)["tasks"]) == {"class", "redshift"}
    assert said in config.paths.report.read_text(encoding="utf-8")

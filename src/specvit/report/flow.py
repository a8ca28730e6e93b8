"""Where every spectrum went: from the survey's catalogue to the predictions, counts that add up."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from specvit.catalog.ladder import Ladder, Rung
from specvit.config.models import Config
from specvit.errors import DataError
from specvit.io import read_json, read_parquet
from specvit.paths import SPLITS
from specvit.plan import KEY, Plan, one_plan
from specvit.predictions import check_weights
from specvit.shards.subset import Subset

LEDGER_STATUSES = ("ok", "missing", "corrupt", "failed")


@dataclass(frozen=True)
class Step:
    """A stage with its spectra in train, val, test; a loss is what did not reach the next one."""

    name: str
    counts: tuple[int, ...]
    loss: bool = False

    @property
    def total(self) -> int:
        """All splits together."""
        return sum(self.counts)


@dataclass(frozen=True)
class Learned:
    """What one model says it has learned from (train) and was chosen by (val)."""

    model: str
    counts: tuple[int, int]
    drawn: tuple[int, int]
    """Spectra that were drawn as plots and are of what this model's `data` takes."""
    unread: tuple[int, int]
    """Of `counts`, those whose picture could not be read."""

    @property
    def doubt(self) -> str | None:
        """A sentence where the model has not learned from everything that was made for it."""
        told = []
        every = zip(SPLITS, self.counts, self.drawn, self.unread, strict=False)
        for split, count, drawn, unread in every:
            if count != drawn:
                told.append(f"was given {count} {split} spectra where {drawn} were drawn for it")
            if unread:
                told.append(f"could not read the plots of {unread} {split} spectra")
        return ", ".join(told) or None


@dataclass(frozen=True)
class Flow:
    """The way of the spectra of a run."""

    cuts: dict[str, list[Rung]]
    """The selection of each survey."""
    objects: tuple[int, ...]
    """Objects in each split."""
    steps: list[Step]
    """Stages and losses, in order."""
    reasons: list[tuple[str, str, int]]
    """Stage, reason and count of every loss, most frequent first."""
    downloaded_bytes: int
    learned: list[Learned]
    """What each model has learned from."""


def follow(config: Config) -> Flow:
    """Count the spectra at every stage.

    The first set of plots is followed; the others are checked to have as many spectra. Raises
    DataError naming the stage where the counts do not add up, an object in two splits, or a file of
    another plan than the catalogue's.
    """
    _check_plans(config)
    catalog = read_parquet(
        config.paths.catalog,
        columns=["spectrum_id", "object_id", "survey", "source", "split", "shard"],
    )
    cuts = {
        key: Ladder.read(config.paths.survey_cuts(key), key).steps for key in config.surveys.active
    }
    for key, ladder in cuts.items():
        found = int((catalog["source"] == key).sum())
        _must_equal(ladder[-1].left, found, f"rows of survey {key}", "the catalogue")
    objects = catalog.drop_duplicates(["object_id", "split"])
    if objects["object_id"].duplicated().any():
        raise DataError("an object is in two splits: make the catalogue again")
    ledgers = _ledgers(config, catalog)
    reasons: Counter[tuple[str, str]] = Counter()
    steps = [Step("In the catalogue", _by_split(catalog["split"]))]
    steps += _downloaded(ledgers, reasons)
    steps += _drawn(config, ledgers, reasons)
    learned = [_model(config, name, catalog) for name in config.model_names]
    steps.append(Step("Predicted by every model", (0, *steps[-1].counts[1:])))
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return Flow(
        cuts,
        _by_split(objects["split"]),
        steps,
        [(stage, reason, n) for (stage, reason), n in ranked],
        int(ledgers["bytes"].sum()),
        learned,
    )


def _downloaded(ledgers: pd.DataFrame, reasons: Counter[tuple[str, str]]) -> list[Step]:
    """What became of each row at download."""
    steps = []
    for status in LEDGER_STATUSES[1:]:
        lost = ledgers[ledgers["status"] == status]
        if len(lost):
            steps.append(Step(f"{status} at download", _by_split(lost["split"]), loss=True))
            reasons.update(("download", alike(str(reason))) for reason in lost["reason"])
    return [*steps, Step("Downloaded", _by_split(ledgers.loc[ledgers["status"] == "ok", "split"]))]


def _drawn(config: Config, ledgers: pd.DataFrame, reasons: Counter[tuple[str, str]]) -> list[Step]:
    """What became of each downloaded spectrum when it was drawn."""
    fetched = ledgers[ledgers["status"] == "ok"]
    steps: list[Step] = []
    for label in config.renders:
        index = read_json(config.paths.shards_summary(label))
        refused = {row["spectrum_id"]: row["reason"] for row in index["dropped"]}
        # shards.json lists what was never downloaded too; here that is counted once, above.
        lost = fetched[fetched["spectrum_id"].isin(list(refused))]
        kept = tuple(int(index["splits"][split]["spectra"]) for split in SPLITS)
        for split, before, after, gone in zip(
            SPLITS, _by_split(fetched["split"]), kept, _by_split(lost["split"]), strict=True
        ):
            where = f"the {split} shards of {label}, kept or dropped"
            _must_equal(before, after + gone, f"downloaded {split} spectra", where)
        if not steps:
            if len(lost):
                steps.append(Step("dropped when drawn", _by_split(lost["split"]), loss=True))
                reasons.update(("plots", alike(refused[name])) for name in lost["spectrum_id"])
            steps.append(Step("Drawn as plots", kept))
    return steps


def _check_plans(config: Config) -> None:
    """Raise DataError where what is counted is not all of the configuration's one plan.

    Whether the metrics are of the predictions, `Material.read` checks.
    """
    paths = config.paths
    tables = [paths.catalog, *(paths.ledger(shard) for shard in config.shard_names())]
    tables += [paths.predictions(name) for name in config.model_names]
    told = [paths.shards_summary(label) for label in config.renders]
    told += [paths.model_dir(name) / "training.json" for name in config.model_names]
    plan = one_plan(
        [
            *((path, Plan.of_parquet(path)) for path in tables),
            *((path, Plan.of(read_json(path).get(KEY), path)) for path in told),
        ]
    )
    plan.check_settings(config.split, paths.catalog)


def alike(reason: str) -> str:
    """A reason without the sizes and names of one file, so that equal ones are counted together."""
    return re.sub(r"\d+-\d+-\d+|\d{4,}", "…", reason)


def _model(config: Config, name: str, catalog: pd.DataFrame) -> Learned:
    """What a model learned from; DataError where it did not predict what was drawn for it."""
    network = name in config.network_names
    own = config.variant(name) if network else config
    label = config.render_of(name) if network else config.render[0].label
    dropped = {
        row["spectrum_id"] for row in read_json(config.paths.shards_summary(label))["dropped"]
    }
    drawn = catalog[~catalog["spectrum_id"].isin(dropped)]
    by_split = {split: drawn[drawn["split"] == split] for split in SPLITS}
    for split in SPLITS[1:]:
        _check_predictions(config, name, split, by_split[split]["spectrum_id"])
    masks = (
        Subset.of(own, split).mask(pa.Table.from_pandas(by_split[split], preserve_index=False))
        for split in SPLITS[:2]
    )
    train, val = (int(mask.sum()) for mask in masks)
    told = read_json(config.paths.model_dir(name) / "training.json")
    counts = told["samples" if network else "spectra"]
    bad = Counter(
        sample.rpartition("/")[0].rpartition("-")[0] for sample in told.get("bad_samples", ())
    )
    return Learned(name, (counts["train"], counts["val"]), (train, val), (bad["train"], bad["val"]))


def _check_predictions(config: Config, model: str, split: str, drawn: pd.Series) -> None:
    path = config.paths.predictions(model, split)
    if model in config.network_names:
        check_weights(path, config.paths.model_dir(model) / "training.json")
    found = read_parquet(path, columns=["spectrum_id"])["spectrum_id"]
    _must_equal(len(drawn), len(found), f"drawn {split} spectra", f"the predictions of {model}")
    odd = set(found) - set(drawn)
    if odd:
        raise DataError(
            f"{path} has {len(odd)} spectra that are not of this run's {split} split, first "
            f"{min(odd)}: it was made from other shards, make it again"
        )


def _ledgers(config: Config, catalog: pd.DataFrame) -> pd.DataFrame:
    """All ledgers, a row a spectrum of the catalogue, with its split."""
    rows = catalog.groupby("shard").size()
    parts = []
    for split in SPLITS:
        for shard in config.shard_names(split):
            path = config.paths.ledger(shard)
            part = read_parquet(path, columns=["spectrum_id", "status", "reason", "bytes"])
            before = int(rows.get(shard, 0))
            _must_equal(before, len(part), f"catalogue rows of {shard}", "its ledger")
            parts.append(part.assign(split=split))
    return pd.concat(parts, ignore_index=True)


def _by_split(splits: pd.Series) -> tuple[int, ...]:
    counts = splits.value_counts()
    return tuple(int(counts.get(split, 0)) for split in SPLITS)


def _must_equal(before: int, after: int, what: str, where: str) -> None:
    if before != after:
        raise DataError(
            f"counts do not add up: {before} {what}, but {after} in {where}; a stage was made from "
            "other inputs, run the workflow again"
        )

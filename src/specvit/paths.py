"""Every file of a run, named in one place: `results/<run>/...`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

SPLITS = ("train", "val", "test")
RUN_DIR = "SPECVIT_RUN_DIR"
"""Environment variable of a job whose inputs Snakemake copied from storage: where they lie."""

LOCKS = ".locks"


def folder_of(base_url: str) -> Path:
    """The folder of a file: URL (file:/path, file:///path)."""
    return Path(unquote(urlsplit(base_url).path))


def shard_name(split: str, index: int) -> str:
    """`train-000012`: the name a shard has in the catalogue, downloads and shards."""
    return f"{split}-{index:06d}"


# What the gallery shows is taken from these: rows were dealt to shards at random, so that a few
# shards have every class, and no job need fetch them all.
EXAMPLE_SHARDS = tuple(shard_name(split, 0) for split in ("test", "val", "train"))


# What training spectra are like is learned from these, for the same reason.
REFERENCE_SHARDS = 4


@dataclass(frozen=True)
class RunPaths:
    """The layout below one run's folder; methods take what varies (survey, shard, model)."""

    root: Path

    def lock(self, what: str) -> Path:
        """The lock of what one process at a time writes (`models/vit`)."""
        return self.root / LOCKS / what.replace("/", ".")

    # catalogue
    def survey_table(self, survey: str) -> Path:
        """Selected rows of one survey, before grouping and split."""
        return self.root / "surveys" / f"{survey}.parquet"

    def survey_cuts(self, survey: str) -> Path:
        """How many rows each cut of the selection removed."""
        return self.root / "surveys" / f"{survey}.cuts.csv"

    def survey_refused(self, survey: str) -> Path:
        """Files of a folder that cannot be read, each with the reason (survey `files` only)."""
        return self.root / "surveys" / f"{survey}.refused.csv"

    @property
    def catalog(self) -> Path:
        """One row a spectrum: the single source of truth."""
        return self.root / "catalog.parquet"

    @property
    def catalog_stats(self) -> Path:
        """Counts by survey, class and split, and every cut: a table a paper can print."""
        return self.root / "catalog_stats.csv"

    # downloads
    def spectra(self, shard: str) -> Path:
        """The survey's own FITS bytes of one shard, uncompressed tar."""
        return self.root / "spectra" / f"{shard}.tar"

    def ledger(self, shard: str) -> Path:
        """What became of each row of the shard: ok, missing, corrupt or failed, and why."""
        return self.root / "spectra" / f"{shard}.ledger.parquet"

    # plots
    def shard(self, render: str, shard: str) -> Path:
        """A WebDataset shard of one set of plots."""
        return self.root / "shards" / render / f"{shard}.tar"

    def shard_index(self, render: str, shard: str) -> Path:
        """Where each sample of a shard lies in it, and its catalogue row."""
        return self.shard(render, shard).with_suffix(".index.parquet")

    def shard_stats(self, render: str, shard: str) -> Path:
        """Counts, hash and dropped rows of one shard."""
        return self.root / "shards" / render / f"{shard}.stats.json"

    def shards_summary(self, render: str) -> Path:
        """`shards.json`: all shards of one set of plots, checked to add up."""
        return self.root / "shards" / render / "shards.json"

    @property
    def gallery(self) -> Path:
        """A page of real pictures of each class and mode, at the pixels the model sees."""
        return self.root / "gallery.html"

    # models
    def model_dir(self, model: str) -> Path:
        """Weights (safetensors or skops), settings, logs and checkpoints of one model."""
        return self.root / "models" / model

    def calibration(self, model: str) -> Path:
        """What was fitted on val for one model: temperatures, factors on intervals."""
        return self.model_dir(model) / "calibration.json"

    def novelty(self, model: str) -> Path:
        """What the training spectra are like for a network, and some of them."""
        return self.model_dir(model) / "novelty.safetensors"

    def predictions(self, model: str, split: str = "test") -> Path:
        """One row a spectrum of the split; test is the headline, val serves calibration."""
        folder = self.root / "predictions"
        folder = folder if split == "test" else folder / split
        return folder / f"{model}.parquet"

    def relevance(self, network: str) -> Path:
        """Where a network looked in the test spectra that it got wrong and was most sure of."""
        return self.root / "predictions" / "relevance" / f"{network}.parquet"

    def embedding_map(self, network: str) -> Path:
        """Where the test spectra lie in a network's embedding, and what is nearest to each."""
        return self.root / "predictions" / "map" / f"{network}.parquet"

    # evaluation
    @property
    def metrics(self) -> Path:
        """Every number of the report."""
        return self.root / "metrics.json"

    @property
    def tables(self) -> Path:
        """The same numbers as CSV and LaTeX."""
        return self.root / "tables"

    @property
    def figures(self) -> Path:
        """Figures as PDF and PNG."""
        return self.root / "figures"

    @property
    def report(self) -> Path:
        """One self-contained page."""
        return self.root / "report.html"

    @property
    def explorer(self) -> Path:
        """The test spectra in a browser: one self-contained page."""
        return self.root / "explore.html"

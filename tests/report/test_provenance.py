"""What was run: versions, revision, hashes, times."""

import hashlib
import subprocess

import pytest
import yaml

from specvit import __version__
from specvit.config import validate
from specvit.errors import DataError
from specvit.io import write_text
from specvit.report import provenance
from specvit.report.names import benchmark_names


def test_versions_are_those_installed():
    import numpy

    found = provenance.versions()
    assert found["specvit"] == __version__
    assert found["numpy"] == numpy.__version__


def test_configuration_is_whole_and_can_be_run_again(run):
    text = provenance.configuration_yaml(run.config)
    assert "\ntasks: [class, redshift]\n" in text
    again = validate(yaml.safe_load(text))
    assert again == run.config.settled()  # the recipe's values, not "by recipe"


def test_hashes_are_of_the_files(run):
    found = provenance.hashes(run.config)
    for name in ("catalog.parquet", "metrics.json", "predictions/svm.parquet"):
        data = (run.config.paths.root / name).read_bytes()
        assert found[name] == hashlib.sha256(data).hexdigest()
    assert any(name.endswith("model.safetensors") for name in found)


def test_hash_of_a_missing_file_is_refused(run, tmp_path):
    elsewhere = run.config.model_copy(update={"results_dir": str(tmp_path)})
    with pytest.raises(DataError, match=r"catalog\.parquet does not exist"):
        provenance.hashes(elsewhere)


def test_weights_of_another_training_are_refused(run):
    path = run.config.paths.model_dir("vit") / "model.safetensors"
    kept = path.read_bytes()
    path.write_bytes(b"other")
    try:
        with pytest.raises(DataError, match=r"model\.safetensors is not of the training"):
            provenance.hashes(run.config)
    finally:
        path.write_bytes(kept)


def test_times_are_summed_by_stage_in_the_order_of_the_workflow(run):
    root, names = run.config.paths.root, benchmark_names(run.config)
    write_text(root / "benchmarks" / "download" / "train-000009.tsv", "s\n1.0\n")  # no such shard
    times = {time.stage: time for time in provenance.stage_times(root, names)}
    assert list(times) == ["survey", "catalog", "shard", "train"]
    assert times["survey"].seconds == 12.5
    assert times["survey"].cpu == 20.5
    assert times["survey"].peak_mb == 310.2
    assert times["catalog"].peak_mb is None
    assert provenance.stage_times(root / "nowhere", names) == []


def test_revision_only_inside_the_projects_own_checkout(tmp_path, monkeypatch):
    module = tmp_path / "site-packages" / "provenance.py"
    module.parent.mkdir()
    module.write_text("")
    monkeypatch.setattr(provenance, "__file__", str(module))
    assert provenance.git_revision() is None
    # Installed inside somebody's repository, but not part of it.
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    assert provenance.git_revision() is None
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "y"], check=True)
    revision = provenance.git_revision()
    assert revision is not None
    assert len(revision) == 12
    module.write_text("changed")
    assert provenance.git_revision() == f"{revision}, with uncommitted changes"

"""The presets for real surveys: valid over config.yaml, and nothing of the demo left in them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from specvit.config import Config, load_config

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted(path.stem for path in (ROOT / "workflow" / "configs").glob("*.yaml"))


def preset(name: str) -> Config:
    return load_config([str(ROOT / "config.yaml"), str(ROOT / f"workflow/configs/{name}.yaml")])


def test_the_presets_are_there() -> None:
    assert {"sdss", "lamost", "desi", "paper"} <= set(PRESETS)


@pytest.mark.parametrize("name", ["sdss", "lamost", "desi", "paper"])
def test_a_preset_runs_on_real_data_under_its_own_name(name: str) -> None:
    config = preset(name)
    assert config.run == name
    assert not config.is_simulated
    keys = {"paper": {"sdss", "lamost"}}.get(name, {name})
    assert set(config.surveys.active) == keys
    own = yaml.safe_load((ROOT / f"workflow/configs/{name}.yaml").read_text())
    # Files merge: a survey that is not named would stay the demo's simulated one.
    assert set(own["surveys"]) == {"sdss", "lamost", "files"} | keys
    assert config.model.pretrained
    assert config.render[0].size == 224
    # The demo's small network must not shine through.
    assert config.model.backbone_args == {}


def test_the_paper_preset_is_the_papers() -> None:
    config = preset("paper")
    sdss, lamost = config.surveys.sdss, config.surveys.lamost
    assert sdss is not None
    assert lamost is not None
    assert sdss.select.zwarning_zero
    assert sdss.select.science_only
    assert sdss.select.min_snr == lamost.select.min_snr == 5.0
    limits = [s.select.limit(c) or 0 for s in (sdss, lamost) for c in ("STAR", "GALAXY", "QSO")]
    assert 4.0e6 <= sum(limits) <= 4.5e6
    assert len(config.shard_names()) == 400
    assert config.model.backbone == "vit_base_patch16_224.dino"
    assert config.render[0].mode == "overlap"


def test_sdss_to_desi_and_back_lies_over_simulated_and_real_runs() -> None:
    folder = ROOT / "workflow/configs"
    over = [str(folder / f"{name}.yaml") for name in ("desi", "sdss", "transfer-desi")]
    demo = [str(ROOT / "config.yaml")]
    simulated = '{"surveys": {"desi": {"base_url": "simulated:"}}}'
    for sources, is_simulated in ((demo + over, False), ([*demo, over[-1], simulated], True)):
        config = load_config(sources)
        assert config.is_simulated is is_simulated
        assert {"sdss", "desi"} <= set(config.surveys.active)
        trained = [experiment.data["train_surveys"] for experiment in config.experiments]
        assert trained == [["sdss"], ["desi"]]


def test_the_published_recipe_changes_into_ours_one_step_at_a_time() -> None:
    config = preset("published")
    networks = [config.variant(name) for name in config.network_names]
    told = {
        name: (one.render[0].mode, one.model.redshift_head, one.train.lr)
        for name, one in zip(config.network_names, networks, strict=True)
    }
    assert told["published"] == ("line", "mse", 1e-5)
    steps = ["published", "published-stacked", "published-bins", "published-correlation", "vit"]
    for before, after in pairwise(steps):
        assert sum(a != b for a, b in zip(told[before], told[after], strict=True)) == 1


def test_the_small_ablation_differs_from_the_published_one_in_network_rate_and_passes() -> None:
    whole, small = preset("published"), preset("published-small")
    assert small.experiment_names == whole.experiment_names
    assert small.is_simulated
    for name in small.experiment_names:
        one, other = (config.variant(name) for config in (whole, small))
        assert other.model.redshift_head == one.model.redshift_head
        assert other.render[0].mode == one.render[0].mode
        assert (other.train.epochs, other.train.lr) == (6, 1e-3)
        same = ["weight_decay", "loss_weights"]
        same += ["batch_size", "layer_decay"] * (name != "vit")  # there: by each one's start
        for key in same:
            assert getattr(other.train, key) == getattr(one.train, key), (name, key)


def test_desi_galaxies_are_simulated_and_have_redshift_and_the_encoder_three_ways() -> None:
    config = preset("desi-galaxies")
    assert config.is_simulated
    assert set(config.surveys.active) == {"desi"}
    assert config.tasks == ("redshift",)
    encoder = ("specformer", "specformer_knn", "specformer_tuned")
    assert config.baselines.models == ("random_forest", *encoder)

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from forked import ended, fork, run_ranks
from made_shards import TINY, plan_of, write_shards

from specvit.config import Config, validate
from specvit.errors import DataError, Preempted, TrainingError
from specvit.models import load_model
from specvit.shards.sample import Sample
from specvit.train import checkpoint, engine
from specvit.train.engine import train
from specvit.train.ranks import join_ranks
from specvit.train.step import Stepper

STEPS = 4  # of an epoch: 30 samples in batches of 8
Configure = Callable[..., Config]


def log_of(config: Config, event: str) -> list[dict[str, Any]]:
    path = config.paths.model_dir("vit") / "checkpoints" / "log.jsonl"
    return [e for e in map(json.loads, path.read_text().splitlines()) if e["event"] == event]


def outputs(config: Config) -> tuple[bytes, dict[str, Any], list[float]]:
    """Weights, description without versions, and the loss of each epoch."""
    folder = config.paths.model_dir("vit")
    losses = [e["train_loss"] for e in log_of(config, "epoch")]
    weights = (folder / "model.safetensors").read_bytes()
    return weights, json.loads((folder / "model.json").read_text()), losses


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], object]) -> None:
    """Call `act` before step `number` of a run."""
    step = Stepper.step

    def acting(self: Stepper, passes: Any, n: int, messages: Any = ()) -> Any:
        if n == number:
            act()
        return step(self, passes, n, messages)

    monkeypatch.setattr(Stepper, "step", acting)


def send(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


@pytest.fixture(scope="module")
def straight(tmp_path_factory, shards):
    """What a run that nothing disturbs ends in; every other run must end in the same bytes."""
    root = tmp_path_factory.mktemp("straight")
    config = validate({**TINY, "results_dir": str(root)})
    link = config.paths.shard(config.render[0].label, "x").parent
    link.parent.mkdir(parents=True)
    link.symlink_to(shards)
    train(config)
    return outputs(config)


def test_a_run_writes_what_others_need(configure: Configure, straight):
    config = configure()
    folder = train(config)
    assert outputs(config) == straight
    summary = json.loads((folder / "training.json").read_text())
    assert summary["epochs"] == 3
    assert summary["steps"] == 3 * STEPS
    assert summary["samples"] == {"train": 30, "val": 11}
    watched = [record["relative_loss"] for record in summary["history"]]
    assert summary["best"]["relative_loss"] == min(watched) < 1
    assert summary["settings"]["lr"] == 1e-3  # of the recipe
    assert summary["doubts"][0].startswith(f"only {3 * STEPS} steps")
    assert summary["pictures_per_s"] > 0
    assert 0 <= summary["data_wait"] <= 1
    assert (folder / "log.jsonl").read_text().count('"event": "epoch"') == 3
    assert list(folder.glob("checkpoints/tensorboard/events*"))
    model = load_model(folder)
    assert model.stats.known == {"class": 30, "stellar_type": 24, "redshift": 30}


@pytest.mark.parametrize("step", [1, STEPS, STEPS + 2])
def test_killed_with_9_and_run_again_is_bit_equal(configure, straight, monkeypatch, step: int):
    config = configure(train={"checkpoint_minutes": 1e-9, "workers": 1})
    with monkeypatch.context() as patch:
        at_step(patch, step, send(signal.SIGKILL))
        assert ended(fork(lambda: train(config))) == -signal.SIGKILL
    assert not (config.paths.model_dir("vit") / "model.json").exists()
    train(config)
    assert outputs(config) == straight
    started = log_of(config, "start")
    assert [e["step"] for e in started] == [0, step]


def test_killed_while_the_state_is_written(configure: Configure, straight, monkeypatch):
    config = configure(train={"checkpoint_minutes": 1e-9})
    with monkeypatch.context() as patch:
        calls: list[int] = []

        def half(state: Any, handle: Any) -> None:
            calls.append(1)
            save(state, handle)
            if len(calls) == 3:
                handle.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        save = torch.save
        patch.setattr(checkpoint.torch, "save", half)
        assert ended(fork(lambda: train(config))) == -signal.SIGKILL
    train(config)
    assert [e["step"] for e in log_of(config, "start")] == [0, 2]
    assert outputs(config) == straight


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_the_next_run_goes_on(configure, straight, monkeypatch, number):
    config = configure()
    with monkeypatch.context() as patch:
        at_step(patch, STEPS + 1, send(number))
        with pytest.raises(Preempted, match=f"{number.name} after step 7 of 12.*run the same"):
            train(config)
    assert Preempted.exit_code == 75
    train(config)
    assert [e["step"] for e in log_of(config, "start")] == [0, STEPS + 3]
    assert outputs(config) == straight


def test_steps_given_ahead_of_what_is_read_change_nothing(configure, straight, monkeypatch):
    """A card is given the next step before the figures of the last are read."""
    monkeypatch.setitem(engine.AHEAD, "cpu", 1)
    config = configure(train={"checkpoint_minutes": 1e-9})  # a state after each pair of steps
    with monkeypatch.context() as patch:
        at_step(patch, STEPS + 1, send(signal.SIGTERM))
        with pytest.raises(Preempted, match="after step 8 of 12"):
            train(config)
    train(config)
    assert [e["step"] for e in log_of(config, "start")] == [0, STEPS + 4]
    assert outputs(config) == straight
    undisturbed = configure("b")
    train(undisturbed)
    assert outputs(undisturbed) == straight


def test_a_signal_during_validation_does_not_save_the_average_as_weights(
    configure: Configure, straight, monkeypatch
):
    config = configure()
    with monkeypatch.context() as patch:
        validate = engine.Run._validate

        def interrupted(self: engine.Run) -> Any:
            send(signal.SIGTERM)()
            return validate(self)

        patch.setattr(engine.Run, "_validate", interrupted)
        with pytest.raises(Preempted):
            train(config)
    train(config)
    assert log_of(config, "start")[-1]["step"] == STEPS
    assert outputs(config) == straight


def test_a_finished_run_is_not_trained_further(configure: Configure, straight, monkeypatch):
    config = configure()
    folder = train(config)
    for name in ("model.safetensors", "model.json", "training.json"):
        (folder / name).unlink()  # as Snakemake does before it runs a job again
    with monkeypatch.context() as patch:
        patch.setattr(engine.Run, "fit", lambda self: pytest.fail("trained again"))
        train(config)
    assert outputs(config) == straight
    assert (folder / "training.json").exists()


def test_other_settings_or_data_start_anew_and_keep_the_old_state(configure: Configure, tmp_path):
    folder = train(configure())
    before = (folder / "checkpoints" / "best.safetensors").read_bytes()
    config = configure(train={"lr": 2e-3, "epochs": 1})
    train(config)
    assert "settings differ" in log_of(config, "start")[-1]["why"]
    kept = folder / "checkpoints.previous" / "best.safetensors"
    assert kept.read_bytes() == before
    write_shards(tmp_path / "more", [11, 7, 13])
    write_shards(tmp_path / "more", [6, 5], split="val", first=100)
    link = config.paths.shard(config.render[0].label, "x").parent
    link.unlink()
    link.symlink_to(tmp_path / "more")
    train(config)
    assert "data differ" in log_of(config, "start")[-1]["why"]


def test_settings_without_effect_do_not_start_anew(configure: Configure, monkeypatch):
    config = configure()
    with monkeypatch.context() as patch:
        at_step(patch, 2, send(signal.SIGTERM))
        with pytest.raises(Preempted):
            train(config)
    train(configure(train={"checkpoint_minutes": 3.0, "workers": 0}))
    assert [e["step"] for e in log_of(config, "start")] == [0, 4]


def test_a_state_that_does_not_fit_is_refused_in_words(configure: Configure, monkeypatch):
    config = configure(train={"epochs": 1})
    folder = train(config) / "checkpoints"
    saved = torch.load(folder / "last.pt", weights_only=True)
    saved["fits"]["ranks"] = 2
    torch.save(saved, folder / "last.pt")
    with pytest.raises(TrainingError, match=r"written by 2 ranks and cannot go on with 1.*--fresh"):
        train(config)
    saved["fits"]["ranks"], saved["format"] = 1, 0
    torch.save(saved, folder / "last.pt")
    with pytest.raises(TrainingError, match="has format 0"):
        train(config)
    saved["format"] = checkpoint.FORMAT
    torch.save(saved, folder / "last.pt")
    weights = safetensors.torch.load_file(folder / "best.safetensors")
    weights["heads.class.gone.weight"] = torch.zeros(1)
    safetensors.torch.save_file(weights, folder / "best.safetensors")
    with pytest.raises(TrainingError, match=r"another network .*class.gone.weight.*--fresh"):
        train(config)
    (folder / "best.safetensors").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"best.safetensors is not readable.*--fresh"):
        train(config)
    (folder / "last.pt").write_bytes(b"PK\3\4 nonsense")
    with pytest.raises(TrainingError, match=r"not a readable checkpoint.*--fresh"):
        train(config)
    train(config, fresh=True)
    assert (folder.with_name("checkpoints.previous") / "last.pt").read_bytes()[:2] == b"PK"


def train_two_ranks(config: Config, folder: Path) -> list[dict[str, Any]]:
    """Train on two gloo ranks; return the last weights and the samples of each step, by rank."""

    def rank() -> None:
        seen = []
        fetch = engine.fetch

        def recording(batches: Any, passes: int) -> Any:
            found = fetch(batches, passes)
            seen.append([s for batch in found for s in batch.samples.tolist() if s >= 0])
            return found

        engine.fetch = recording
        with join_ranks(0) as ranks:
            run = engine.Run(config, "vit", ranks, engine.StopRequest())
            run.resume(fresh=False)
            run.fit()
            found = {"model": run.model.state_dict(), "seen": seen, "bad": run.bad}
            torch.save(found, folder / f"rank{ranks.rank}.pt")
            run.write_outputs()
            run.close()

    assert run_ranks(2, rank) == [0, 0]
    return [torch.load(folder / f"rank{r}.pt") for r in range(2)]


def last_weights(config: Config) -> dict[str, torch.Tensor]:
    """What a single process ends with (a stopped run's state; the finished one keeps the best)."""
    with join_ranks(0) as ranks:
        run = engine.Run(config, "vit", ranks, engine.StopRequest())
        run.resume(fresh=False)
        run.fit()
        run.close()
        return run.model.state_dict()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_ranks_learn_what_one_process_does(configure: Configure, tmp_path, accumulate: int):
    """Labels are missing unevenly and the last step of an epoch is filled in part."""
    over = {"model": {"drop_path": 0.0}, "train": {"accumulate": accumulate, "epochs": 2}}
    first, second = train_two_ranks(configure("two", **over), tmp_path)
    for epoch in (slice(0, STEPS), slice(STEPS, None)):
        mine, others = (list(chain(*rank["seen"][epoch])) for rank in (first, second))
        assert not set(mine) & set(others)
        assert sorted(mine + others) == list(range(30))
    alone = last_weights(configure("one", model={"drop_path": 0.0}, train={"epochs": 2}))
    for name, value in first["model"].items():
        assert torch.equal(value, second["model"][name]), name
        if name.startswith("heads.redshift.prior"):
            continue  # one knot over these 32 bins moves no density: its gradient is all rounding
        # A key's bias has no gradient but rounding, which AdamW makes steps of: hence atol.
        torch.testing.assert_close(value, alone[name], rtol=1e-4, atol=2e-5)
    losses = [[e["loss"] for e in log_of(configure(n), "epoch")] for n in ("one", "two")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_two_ranks_that_are_signalled_go_on_together(configure: Configure, monkeypatch):
    configs = [configure(name, train={"epochs": 2}) for name in ("a", "b")]
    assert run_ranks(2, lambda: train(configs[0])) == [0, 0]
    with monkeypatch.context() as patch:
        # Only one of them gets the signal: the other has to stop at the same step.
        at_step(patch, 5, lambda: os.environ["RANK"] == "1" and send(signal.SIGTERM)())
        assert run_ranks(2, lambda: train(configs[1])) == [75, 75]
    assert run_ranks(2, lambda: train(configs[1])) == [0, 0]
    assert [e["step"] for e in log_of(configs[1], "start")] == [0, 7]
    assert outputs(configs[0]) == outputs(configs[1])


def test_the_network_can_learn_64_pictures_by_heart(configure: Configure, tmp_path: Path):
    write_shards(tmp_path / "heart", [32, 32], plan=plan_of(2, 1))
    write_shards(tmp_path / "heart", [64], split="val", plan=plan_of(2, 1))
    config = configure(
        shards=tmp_path / "heart",
        tasks=["class", "redshift"],
        split={"shards": {"train": 2, "val": 1}},
        model={"drop_path": 0.0, "redshift": {"bins": 32}},
        train={"epochs": 24, "lr": 1e-2, "ema_decay": 0.0, "weight_decay": 0.0, "batch_size": 16},
    )
    train(config)
    last = log_of(config, "epoch")[-1]
    assert last["class_accuracy"] == 1.0
    assert last["redshift_outlier_fraction"] == 0.0
    assert last["class_loss"] < 0.1


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_loss_that_is_not_finite_stops_before_the_step(configure, monkeypatch, ahead: int):
    monkeypatch.setitem(engine.AHEAD, "cpu", ahead)
    config = configure(train={"checkpoint_minutes": 1e-9})
    with monkeypatch.context() as patch:
        backward = Stepper._backward

        def poisoned(self: Stepper, batch: Any) -> Any:
            if batch.epoch == 1 and batch.step == 2:
                return backward(self, batch) * float("nan")
            return backward(self, batch)

        patch.setattr(Stepper, "_backward", poisoned)
        with pytest.raises(TrainingError, match=r"step 3 of epoch 2: loss = nan .*spec-000"):
            train(config)
    (event,) = log_of(config, "not_finite")
    assert len(event["samples"]) == 8
    saved = torch.load(config.paths.model_dir("vit") / "checkpoints" / "last.pt")["state"]
    assert (saved["epoch"], saved["step"]) == (1, 2)
    assert all(v.isfinite().all() for v in saved["stepper"]["model"].values())


def damaged(number: int, sample: Sample) -> Sample:
    return replace(sample, png=sample.png[:-40]) if number in (3, 104) else sample


def test_unreadable_samples_are_counted_named_and_borne_up_to_a_limit(
    configure: Configure, tmp_path: Path, monkeypatch
):
    folder = tmp_path / "bad"
    write_shards(folder, [11, 7, 12], edit=damaged)
    write_shards(folder, [6, 5], split="val", first=100, edit=damaged)
    monkeypatch.setattr(engine, "BAD_SAMPLES", 2)
    config = configure(shards=folder)
    names = {"train-000000/spec-00003", "val-000000/spec-00104"}
    summary = json.loads((train(config) / "training.json").read_text())
    assert set(summary["bad_samples"]) == names
    assert {e["name"] for e in log_of(config, "bad_sample")} == names
    # Over two ranks, which meet it in turn, one sample is still one.
    found = train_two_ranks(configure("b", shards=folder), tmp_path)
    assert [set(rank["bad"]) for rank in found] == [names, names]
    monkeypatch.setattr(engine, "BAD_SAMPLES", 1)
    with pytest.raises(TrainingError, match=r"2 samples .*the 1 that are passed.*spec-00003"):
        train(configure("c", shards=folder))
    monkeypatch.setattr(engine, "BAD_SHARE", 0.07)  # of the 30 train samples: two
    train(configure("d", shards=folder))


def test_training_stops_early_on_the_named_figure(configure: Configure):
    config = configure(train={"epochs": 50, "lr": 1e-9, "patience": 2, "monitor": "class_accuracy"})
    summary = json.loads((train(config) / "training.json").read_text())
    assert summary["epochs"] == 3
    assert summary["stopped_early"]
    assert summary["best"]["epoch"] == 1


def test_a_frozen_backbone_stays(configure: Configure, monkeypatch):
    config = configure(train={"freeze_backbone": True, "epochs": 2, "ema_decay": 0.0})
    states = []
    save = Stepper.state_dict
    monkeypatch.setattr(
        Stepper, "state_dict", lambda self: states.append(clone(self.model)) or save(self)
    )
    train(config)
    changed = {n.split(".")[0] for n, v in states[0].items() if not torch.equal(v, states[-1][n])}
    assert changed == {"heads"}


def clone(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class Compiled(torch.nn.Module):
    """Stands where torch.compile's module would (tracing takes half a minute here)."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self._orig_mod = model

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._orig_mod(pictures)


def test_compiled_and_bfloat16_runs_save_the_same_names(configure: Configure, monkeypatch):
    monkeypatch.setattr(torch, "compile", Compiled)
    config = configure(train={"compile": True, "precision": "bfloat16", "epochs": 1})
    summary = json.loads((train(config) / "training.json").read_text())
    assert summary["precision"] == "bfloat16"
    assert load_model(config.paths.model_dir("vit")).settings == config.model


def test_learning_from_a_part_of_the_data(configure: Configure):
    config = configure(data={"train_surveys": ["sdss"], "train_fraction": 0.5})
    summary = json.loads((train(config) / "training.json").read_text())
    assert 3 <= summary["samples"]["train"] <= 12
    assert summary["samples"]["val"] == 5


def test_what_cannot_be_trained_is_a_sentence(configure: Configure, tmp_path: Path):
    with pytest.raises(TrainingError, match=r"train\.gpus = 1 but torch finds 0 GPUs"):
        train(configure("gpu", train={"gpus": 1}))
    write_shards(tmp_path / "none", [0, 0, 0])
    write_shards(tmp_path / "none", [0, 0], split="val")
    with pytest.raises(TrainingError, match="train split has no spectra in 3 shards"):
        train(configure("none", shards=tmp_path / "none"))
    for over, told in (
        ({"split": {"shards": {"train": 2}}}, r"split\.shards\.train = 3, not 2"),
        ({"render": {"rows": 2}}, "has other plots"),
    ):
        with pytest.raises(DataError, match=told):
            train(configure("other", **over))
    config = configure("odd", train={"batch_size": 9})
    assert run_ranks(2, lambda: train(config)) == [TrainingError.exit_code] * 2


@pytest.mark.parametrize("head", ["mse", "pooled"])
def test_a_network_trains_with_each_redshift_head(configure: Configure, head: str) -> None:
    config = configure(model={"redshift_head": head}, train={"epochs": 2, "lr": 1e-3})
    train(config)
    losses = [epoch["train_loss"] for epoch in log_of(config, "epoch")]
    assert losses[1] < losses[0]
    model = load_model(config.paths.model_dir("vit"))
    size = config.render[0].size
    pictures = torch.randint(0, 256, (3, 1, size, size), dtype=torch.uint8)
    found = model.decode(model(pictures))
    assert (found["redshift_lo"] <= found["redshift_pred"]).all()
    assert (found["redshift_pred"] <= found["redshift_hi"]).all()
    assert ("redshift_second" in model.second_peaks(model(pictures))) == (head == "pooled")

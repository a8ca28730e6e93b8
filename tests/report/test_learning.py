"""Learning curves: what the log says, the chosen epoch marked, a broken log named."""

import json

import numpy as np
import pytest
from made_run import training_log

from specvit.errors import DataError
from specvit.report import panels
from specvit.report.learning import Curve, LearningLog
from specvit.report.style import style
from specvit.tasks import TASKS


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(training_log([TASKS["class"], TASKS["redshift"]]))
    return path


def test_curves_are_those_of_the_log(log):
    found = LearningLog.read(log)
    assert found.chosen == 3
    loss = found.validation(TASKS["redshift"], "loss")
    assert loss.epoch.tolist() == [1, 2, 3, 4]
    assert loss.value.tolist() == [2.5, 1.5, 0.5, 1.5]
    training = found.training(TASKS["class"])
    assert training.epoch.tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert training.value == pytest.approx([20 / (10 * n) for n in range(1, 9)])


def test_what_was_not_measured_is_left_out(log):
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines = [line for line in lines if line["event"] != "step"]
    for line in lines:
        if line.get("epoch") == 2:
            line["class_loss"] = None
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = LearningLog.read(log)
    assert found.validation(TASKS["class"], "loss").epoch.tolist() == [1, 3, 4]
    assert len(found.training(TASKS["class"]).value) == 0


def test_many_batches_become_few_points(log):
    steps = [{"event": "step", "step": n, "class_loss": float(n)} for n in range(10, 80_010, 10)]
    end = [{"event": "epoch", "step": 80_000, "epoch": 4, "class_loss": 1.0}]
    end.append({"event": "finished", "step": 80_000, "best_epoch": 4})
    log.write_text("".join(json.dumps(line) + "\n" for line in [*steps, *end]))
    training = LearningLog.read(log).training(TASKS["class"])
    assert len(training.value) == 100
    assert training.value.mean() == pytest.approx(40_005)


def test_the_chosen_epoch_has_a_ring(log):
    from matplotlib.figure import Figure

    with style():
        ax = Figure().subplots()
        panels.losses(ax, {"vit": LearningLog.read(log)}, TASKS["class"])
    rings = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    assert [ring.get_xdata().tolist() for ring in rings] == [[3]]
    assert [ring.get_ydata().tolist() for ring in rings] == [[0.5]]


@pytest.mark.parametrize("text", ["", "{", '{"step": 1}\n', '{"event": "epoch", "step": 3}\n'])
def test_a_log_that_is_not_of_a_finished_training_is_named(log, text):
    log.write_text(text)
    with pytest.raises(DataError, match=r"log\.jsonl .*train"):
        LearningLog.read(log)
    log.unlink()
    with pytest.raises(DataError, match=r"log\.jsonl .*train"):
        LearningLog.read(log)


def test_a_share_that_is_always_zero_is_not_drawn_in_the_middle():
    from matplotlib.figure import Figure

    none = Curve(np.array([1.0, 2.0]), np.zeros(2))
    ax = Figure().subplots()
    panels.watched(ax, {"vit": none}, {"vit": 1}, "Outliers [%]")
    assert ax.get_ylim()[0] == 0

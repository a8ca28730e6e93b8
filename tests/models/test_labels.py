import json

import numpy as np
import pytest
import torch

from specvit.errors import DataError
from specvit.models import NO_CLASS, LabelStats, encode
from specvit.tasks import TASKS


def test_encode_keeps_null_apart_from_every_label():
    classes = encode(TASKS["class"], ["STAR", None, "QSO"])
    assert classes.dtype == torch.int64
    assert classes.tolist() == [0, NO_CLASS, 2]
    z = encode(TASKS["redshift"], [0.0, None, 1.5])
    assert z.dtype == torch.float64
    assert z[0] == 0
    assert torch.isnan(z[1])


def test_encode_refuses_a_label_that_the_task_does_not_have():
    with pytest.raises(DataError, match="'STARS' of task class is not one of STAR, GALAXY, QSO"):
        encode(TASKS["class"], ["STARS"])


def test_statistics_leave_null_labels_out_and_survive_json():
    tasks = [TASKS["stellar_type"], TASKS["teff"]]
    labels = {
        "stellar_type": encode(tasks[0], ["A", None, "A", "M"]),
        "teff": encode(tasks[1], [4000.0, None, 6000.0, None]),
    }
    stats = LabelStats.measure(tasks, labels)
    assert stats.counts == {"stellar_type": [0, 0, 2, 0, 0, 0, 1]}
    assert stats.mean == {"teff": 5000.0}
    assert stats.std == {"teff": 1000.0}
    assert stats.range == {"teff": (4000.0, 6000.0)}
    assert stats.known == {"stellar_type": 3, "teff": 2}
    assert LabelStats.from_dict(json.loads(json.dumps(stats.as_dict()))) == stats


@pytest.mark.parametrize("task", ["stellar_type", "teff"])
def test_a_task_that_no_train_spectrum_has_a_label_for_is_refused(task):
    values = encode(TASKS[task], [None, None])
    with pytest.raises(DataError, match=f"no spectrum of the train split .* {task}"):
        LabelStats.measure([TASKS[task]], {task: values})


def test_infinite_numbers_are_no_labels():
    values = torch.tensor([1.0, np.inf, 3.0], dtype=torch.float64)
    assert LabelStats.measure([TASKS["feh"]], {"feh": values}).mean == {"feh": 2.0}

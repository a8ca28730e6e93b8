"""Start a network from one that specvit has trained: its backbone, and every head that fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from specvit.config.learning import Model
from specvit.config.start import Network, check_start
from specvit.find_model import model_folder
from specvit.io import sha256_file
from specvit.models.heads import RegressionHead
from specvit.models.store import WEIGHTS, load_model
from specvit.models.vit import SpecViT
from specvit.tasks import Task

BY_REDSHIFT = "by_redshift"


@dataclass(frozen=True)
class Start:
    """What a network took over from another, and what it did not."""

    folder: str
    """Or a run, or a released name: as given."""
    weights_sha256: str
    taken: tuple[str, ...]
    """`backbone`, then the tasks whose heads were taken."""
    left: dict[str, str]
    """Why each other task of the network starts with a new head."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "taken": list(self.taken)}

    def sentence(self) -> str:
        """For the log."""
        new = "; ".join(f"a new head for {task}: {why}" for task, why in self.left.items())
        took = f"starts from {self.folder} with its {', '.join(self.taken)}"
        return f"{took}; {new}" if new else took


def start_from(model: SpecViT, name: str | Path) -> Start:
    """Put the weights of a trained model into a new one, in place; say what was taken.

    `name` is as in `model_folder`: a run, a model's folder or a released name.

    A head that gives a number takes over the unit and zero point that it was trained in too.
    Raises DataError where there is no whole network, ConfigError where it has another backbone,
    or was trained on other plots.
    """
    folder = model_folder(name)
    source = load_model(folder)
    check_start(str(name), *(Network(it.settings, it.render, it.grid) for it in (source, model)))
    model.backbone.load_state_dict(source.backbone.state_dict())
    taken, left = ["backbone"], {}
    for task in model.tasks:
        reason = _unfit(task, model.settings, source)
        if reason is not None:
            left[task.name] = reason
            continue
        if isinstance(model.heads[task.name], RegressionHead):
            _take_units(model, source, task.name)
        _take_head(model, source, task)
        taken.append(task.name)
    return Start(str(name), sha256_file(folder / WEIGHTS), tuple(taken), left)


def _unfit(task: Task, settings: Model, source: SpecViT) -> str | None:
    """Why the head of a task cannot be taken; None where it can."""
    if task.name not in source.heads:
        return "the other has none"
    theirs = next(one for one in source.tasks if one.name == task.name)
    if theirs.labels != task.labels:
        return f"the other has other labels ({', '.join(theirs.labels)})"
    if task.kind == "redshift" and settings.redshift_head != source.settings.redshift_head:
        return f"the other has another (redshift_head: {source.settings.redshift_head})"
    if task.kind == "redshift" and settings.redshift != source.settings.redshift:
        return f"the other has other bins ({source.settings.redshift!r})"
    return None


def _take_head(model: SpecViT, source: SpecViT, task: Task) -> None:
    """Take a head's weights; of what a class owes to the redshift, only if that head is taken."""
    mine, theirs = model.heads[task.name], source.heads[task.name].state_dict()
    redshift = next((one for one in model.tasks if one.kind == "redshift"), None)
    if redshift is None or _unfit(redshift, model.settings, source) is not None:
        own = {name: value for name, value in mine.state_dict().items() if BY_REDSHIFT in name}
        theirs = {name: value for name, value in theirs.items() if BY_REDSHIFT not in name} | own
    mine.load_state_dict(theirs)


def _take_units(model: SpecViT, source: SpecViT, task: str) -> None:
    mine, theirs = model.heads[task], source.heads[task]
    mine.mean, mine.std = theirs.mean, theirs.std
    # Kept with the weights, and so what the head is built with when it is loaded again.
    model.stats = replace(
        model.stats,
        mean={**model.stats.mean, task: source.stats.mean[task]},
        std={**model.stats.std, task: source.stats.std[task]},
    )

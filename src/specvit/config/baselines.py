"""Baselines by name: what is known of each before it runs, and its own settings.

Another package brings one by an entry point that names its Registration:

    [project.entry-points."specvit.baselines"]
    mean = "my_package:BASELINE"

Its module is loaded with the configuration, of which it may import `specvit.config.base` and this
module alone; the model's own module, which is loaded to train it, may import anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from specvit.config.base import Section
from specvit.registry import brought

GROUP = "specvit.baselines"


@dataclass(frozen=True)
class Registration:
    """What is known of a baseline before anything is run."""

    name: str
    """Its name in the configuration, in paths and in tables: small letters, digits, _ and -."""
    title: str
    """Its name for people."""
    colour: str
    """Its colour in figures, #rrggbb: a cold one, since classes have the warm."""
    files: tuple[str, ...]
    """In which files its model is kept, in models/<name>/ beside training.json."""
    settings: type[Section]
    """The keys of `baselines.<name>`; all have defaults."""
    model: str
    """`module:class` of its model, a `specvit.baselines.baseline.Baseline`; imported when used."""
    gpu: bool = False
    """Whether it can use a GPU: its job asks for one where `train.gpus` is not 0."""
    reads: tuple[str, ...] = ()
    """Keys that it reads beside its own, dotted, as `model.redshift`; `Setup.read` has them."""
    after: str | None = None
    """Another baseline, from whose model its fit starts; `Setup.before` is that one's folder."""


Positive = Annotated[float, Field(gt=0)]


class SvmSettings(Section):
    """Support vector machines on principal components of flux; lists are a grid, chosen on val."""

    max_rbf: int = Field(20_000, ge=1)
    """Largest train split for an exact RBF kernel; above it Nystroem features and a linear SVM."""
    C: tuple[Positive, ...] = Field((1.0, 10.0), min_length=1)
    """Costs of an error that are tried."""
    gamma: tuple[Positive, ...] = Field((1.0, 2.0, 4.0), min_length=1)
    """Kernel widths that are tried, in units of 1 / (components x variance)."""


class RandomForestSettings(Section):
    """Random forest on principal components of flux."""

    trees: int = Field(200, ge=1, le=10_000)
    """Number of trees."""
    rows_each_tree: int = Field(20_000, ge=1)
    """Train spectra drawn for each tree at most: bounds the forest's size and its time."""


class KnnSettings(Section):
    """k nearest neighbours among principal components; lists are a grid, chosen on val."""

    k: tuple[Annotated[int, Field(ge=1)], ...] = Field((3, 5, 10, 20), min_length=1)
    """Numbers of neighbours that are tried."""


class Cnn1dSettings(Section):
    """A one-dimensional convolutional network on flux."""

    epochs: int = Field(12, ge=1, le=10_000)
    """Passes over the train split; the one with the lowest val loss is kept."""


class SpecformerSettings(Section):
    """AstroCLIP's spectrum encoder, pretrained on the train split and frozen; an MLP on it.

    Small enough for processors; the published size is width 768, depth 6 and 6 heads.
    """

    width: int = Field(96, ge=8, le=4096)
    """Width of its tokens."""
    depth: int = Field(3, ge=1, le=100)
    """Number of its layers."""
    heads: int = Field(3, ge=1, le=100)
    """Attention heads of a layer; they divide width."""
    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the train split while pretraining; none with weights."""
    weights: str | None = None
    """The published checkpoint (specformer.ckpt, or safetensors), in place of pretraining."""

    @model_validator(mode="after")
    def _heads_divide(self) -> SpecformerSettings:
        if self.width % self.heads:
            raise ValueError(f"heads = {self.heads} does not divide width = {self.width}")
        return self


class SpecformerTunedSettings(Section):
    """The pretrained encoder under the network's heads, all of it trained on."""

    epochs: int = Field(10, ge=1, le=10_000)
    """Passes over the train split; the one with the lowest val loss is kept."""


class TemplateSettings(Section):
    """Comparison with eigen-templates at every redshift."""

    templates: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field((3, 5, 8), min_length=1)
    """Numbers of eigen-templates of each class that are tried; one is chosen on val."""


_SKOPS = ("model.skops",)
_ARRAYS = ("model.safetensors", "model.json")
_HERE = "specvit.baselines"
_PCA = ("baselines.components",)
# Colours: cold ones, since classes have the warm; of different lightness, for the colour-blind.
BUILT_IN = (
    Registration("svm", "SVM", "#56b4e9", _SKOPS, SvmSettings, f"{_HERE}.svm:Svm", reads=_PCA),
    Registration(
        *("random_forest", "Random Forest", "#009e73", _SKOPS, RandomForestSettings),
        f"{_HERE}.forest:RandomForest",
        reads=_PCA,
    ),
    Registration("knn", "k-NN", "#5e4fa2", _SKOPS, KnnSettings, f"{_HERE}.knn:Knn", reads=_PCA),
    Registration(
        *("cnn1d", "1-D CNN", "#0b3c5d", _ARRAYS, Cnn1dSettings, f"{_HERE}.cnn1d:Cnn1d"),
        gpu=True,
        reads=("model.redshift",),
    ),
    Registration(
        *("template", "Templates", "#6b7280", _ARRAYS, TemplateSettings),
        f"{_HERE}.template:Template",
    ),
    Registration(
        *("specformer", "SpecFormer, MLP", "#2166ac", _SKOPS, SpecformerSettings),
        f"{_HERE}.specformer.frozen:Specformer",
        gpu=True,
    ),
    Registration(
        *("specformer_knn", "SpecFormer, k-NN", "#8073ac", _SKOPS, KnnSettings),
        f"{_HERE}.specformer.frozen:SpecformerKnn",
        gpu=True,
        after="specformer",
    ),
    Registration(
        *("specformer_tuned", "SpecFormer, fine-tuned", "#35978f", _ARRAYS),
        *(SpecformerTunedSettings, f"{_HERE}.specformer.tuned:SpecformerTuned"),
        gpu=True,
        reads=("model.redshift",),
        after="specformer",
    ),
)


@cache
def registered() -> Mapping[str, Registration]:
    """Every baseline by name, specvit's own first. Raises ConfigError for one that cannot be."""
    found = {one.name: one for one in BUILT_IN}
    return MappingProxyType(found | brought(GROUP, "baseline", found))


class _Baselines(Section):
    """Classical models on the same rows as the ViT."""

    models: tuple[str, ...] = ("svm", "random_forest")
    """Which baselines are trained."""
    components: int = Field(64, ge=2, le=4096)
    """Principal components of flux that SVM, random forest and k-NN see, fitted on train alone."""

    @field_validator("models")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names each baseline at most once")
        for at, name in enumerate(value):
            before = registered()[name].after
            if before is not None and before not in value[:at]:
                raise ValueError(f"{name} starts from {before}: name {before} before it")
        return value

    def of(self, name: str) -> Any:
        """The settings of one baseline: an instance of its Registration's `settings`."""
        return getattr(self, name)


def _with_registered() -> type[_Baselines]:
    """The section with a key for each registered baseline."""
    names = tuple(registered())
    models = _Baselines.model_fields["models"]
    keys: dict[str, Any] = {
        name: (one.settings, Field(one.settings(), description=f"{one.title}."))
        for name, one in registered().items()
    }
    keys["models"] = (
        tuple[Literal[names], ...],  # type: ignore[valid-type]
        Field(models.default, description=models.description),
    )
    return create_model("Baselines", __base__=_Baselines, __doc__=_Baselines.__doc__, **keys)


if TYPE_CHECKING:
    Baselines = _Baselines
else:
    Baselines = _with_registered()

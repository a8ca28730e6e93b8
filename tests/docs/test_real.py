"""What README and docs say of real spectra is what the benchmark `real` gave, kept in docs/real."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.real import BASELINES
from benchmarks.real_systems import NETWORKS, title_of
from benchmarks.real_table import markdown
from specvit.io import read_json
from tests.conftest import ROOT

DOCS = ROOT / "docs"
CURVE = (50, 200)
SHOWN = {
    "class, balanced accuracy": ("all", "without sdss_stars"),
    "stellar type (A F G K M), balanced accuracy": ("without sdss_stars", "lamost"),
    "redshift success, stars": ("all",),
    "redshift success, galaxies": ("all",),
    "redshift success, quasars": ("all",),
}
SYSTEMS = ("sky-real", "sky", "svm", "random_forest", "knn", "template")


def figures(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    found = read_json(DOCS / "real" / f"{name}.json")["figures"]
    return {(entry["figure"], entry["of"]): entry for entry in found}


def cell(entry: dict[str, Any], system: str) -> str:
    found = entry["systems"].get(system)
    return "-" if found is None else f"{found['value']:.2f} [{found['lo']:.2f}, {found['hi']:.2f}]"


@pytest.mark.parametrize(
    ("name", "systems"), [("real", (*NETWORKS, *BASELINES)), ("real-again", tuple(NETWORKS))]
)
def test_the_page_has_the_whole_table(name: str, systems: tuple[str, ...]) -> None:
    result = read_json(DOCS / "real" / f"{name}.json")
    names = [n for n in systems if n in result["figures"][0]["systems"]]
    table = markdown(result, {name: title_of(name) for name in names}, "sky-real")
    assert table.strip() in (DOCS / "real.md").read_text()


@pytest.mark.parametrize("figure", SHOWN)
def test_the_readme_has_its_first_rows(figure: str) -> None:
    found = figures("real")
    for of in SHOWN[figure]:
        entry = found[figure, of]
        cells = " | ".join(cell(entry, system) for system in SYSTEMS)
        assert f"| {figure} | {of} | {entry['spectra']} | {cells} |" in (
            (ROOT / "README.md").read_text()
        )


@pytest.mark.parametrize("spectra", CURVE)
def test_the_learning_curve_is_the_benchmarks(spectra: int) -> None:
    found = figures(f"real-{spectra}")
    page = (DOCS / "own_spectra.md").read_text()
    for (figure, of), wanted in {
        ("class, balanced accuracy", "all"): ("sky-real", "svm", "random_forest"),
        ("stellar type (A F G K M), balanced accuracy", "all"): (
            *("sky-real", "svm", "random_forest"),
        ),
        ("redshift success, galaxies", "all"): ("sky-real", "random_forest"),
        ("redshift success, quasars", "all"): ("sky-real", "random_forest"),
    }.items():
        row = " | ".join(cell(found[figure, of], system) for system in wanted)
        assert f"| {spectra} | {row} |" in page


@pytest.mark.parametrize("system", ["sky-real", "imagenet", "scratch"])
def test_the_three_starts_are_the_benchmarks(system: str) -> None:
    found = figures("real-200")
    wanted = [
        *("class, balanced accuracy", "stellar type (A F G K M), balanced accuracy"),
        *("redshift success, galaxies", "redshift success, quasars"),
    ]
    row = " | ".join(cell(found[figure, "all"], system) for figure in wanted)
    assert f" | {row} |" in (DOCS / "own_spectra.md").read_text()

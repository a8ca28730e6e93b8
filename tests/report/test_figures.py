"""Figures: declared before they are drawn, the paper's sizes, the same bytes, all there."""

import colorsys
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from jinja2 import Template
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from specvit.config import load_config, load_stage
from specvit.config.baselines import registered
from specvit.config.reporting import FIGURES
from specvit.errors import ConfigError
from specvit.report import style as looks
from specvit.report.figures import Figure, Material, Panel, build, compose, draw_panel
from specvit.report.names import figure_names, train_fractions
from specvit.report.style import COLUMN_MM, PAGE_MM, PNG_DPI, file_bytes, style
from specvit.report.svg import inline_svg
from specvit.tasks import NONE

SURVEYS = {"sdss": {"base_url": "simulated:"}}


def named(**settings):
    return figure_names(load_config([json.dumps({"surveys": SURVEYS, **settings})]))


def test_names_follow_tasks_and_experiments():
    assert named() == [
        "learning",
        "confusion_class",
        "accuracy_snr",
        "redshift_scatter",
        "redshift_residuals",
        "reliability",
        "pit",
        "risk_coverage",
    ]
    assert named(tasks=["stellar_type"]) == [
        "learning",
        "confusion_stellar_type",
        "accuracy_snr",
        "reliability",
        "risk_coverage",
    ]
    some = named(experiments=[{"name": "a", "train": {"epochs": 2}}])
    assert some[-1] == "experiments"
    assert named(experiments=[{"name": "a", "data": {"train_fraction": 0.1}}])[-1] == "scaling"
    assert set(named()) < set(FIGURES)


def test_figures_can_be_chosen_but_none_that_the_run_lacks():
    assert named(report={"figures": ["pit", "learning"]}) == ["learning", "pit"]
    assert named(report={"figures": []}) == []
    with pytest.raises(ConfigError, match=r"figures\.0 = \"pet\": .*'pit', .* or 'scaling'"):
        named(report={"figures": ["pet"]})
    with pytest.raises(ConfigError, match=r"to show in scaling; it has learning, confusion"):
        named(report={"figures": ["pit", "scaling"]})


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        ("font.size: large\n", r"style = .*sheet\.mplstyle: .*large"),
        ("font.syze: 8  # one\nlines.linewdth: 1\n", r"no setting font\.syze, lines\.linewdth"),
        (None, r"sheet\.mplstyle: No such file"),
    ],
)
def test_a_style_sheet_that_is_not_right_is_a_sentence(tmp_path, sheet, told):
    path = tmp_path / "sheet.mplstyle"
    if sheet is not None:
        path.write_text(sheet)
    with pytest.raises(ConfigError, match=told), style(str(path)):
        pass


def test_a_style_sheet_and_a_width_change_the_figure(tmp_path, run):
    path = tmp_path / "sheet.mplstyle"
    path.write_text('# mine\nfont.size: 9\naxes.facecolor: "#eeeeee"\n')
    with style(str(path)):
        canvas = compose(next(build(Material.read(run.config))), simulated=True, page_mm=120)
    assert canvas.get_figwidth() == pytest.approx(120 / 25.4)
    assert {to_hex(ax.get_facecolor()) for ax in canvas.axes} == {"#eeeeee"}


def test_only_networks_with_less_data_are_on_the_scaling_curve():
    changed = {"name": "b", "data": {"train_fraction": 0.1}, "train": {"epochs": 2}}
    fewer = {"name": "a", "data": {"train_fraction": 0.1}}
    config = load_config([str({"surveys": SURVEYS, "experiments": [fewer, changed]})])
    assert train_fractions(config) == {"vit": 1.0, "a": 0.1}


def test_every_declared_figure_is_written_and_has_a_caption(run):
    expected = {f"{name}.{kind}" for name in figure_names(run.config) for kind in ("pdf", "png")}
    assert {path.name for path in run.config.paths.figures.iterdir()} == {
        *expected,
        "overview.png",
    }
    captions = Path(__file__).resolve().parents[2] / "workflow" / "report"
    for name in (*FIGURES, "overview", "report", "gallery"):
        caption = Template((captions / f"{name}.rst").read_text(encoding="utf-8"))
        for url, called in (("simulated:", True), ("https://host/simulated", False)):
            job = SimpleNamespace(config={"surveys": {"sdss": {"base_url": url}}})
            assert ("**simulated**" in caption.render(snakemake=job)) == called, name


def test_figures_have_the_width_of_a_column_or_page(run):
    for name in figure_names(run.config):
        data = (run.config.paths.figures / f"{name}.pdf").read_bytes()
        width = float(re.search(rb"/MediaBox \[ 0 0 ([0-9.]+)", data)[1]) / 72 * 25.4
        assert min(abs(width - COLUMN_MM), abs(width - PAGE_MM)) < 0.1, name
        with Image.open(run.config.paths.figures / f"{name}.png") as image:
            assert image.width / PNG_DPI * 25.4 == pytest.approx(width, abs=0.2)
            pixels = np.asarray(image.convert("L"))
            assert pixels.std() > 10, "every figure has something on it"
            # Nothing may be cut off at the edge of the paper.
            edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert (edge > 250).all(), name


def test_no_file_holds_a_date_or_a_version(run):
    for path in run.config.paths.figures.iterdir():
        data = path.read_bytes()
        for word in (b"CreationDate", b"Matplotlib", b"matplotlib"):
            assert word not in data, path


@pytest.fixture(scope="module")
def material(run):
    return Material.read(load_stage(run.made.inline, "figures"))


def test_drawn_twice_the_same_bytes(material):
    with style():
        for kind in ("pdf", "png", "svg"):
            first, second = (
                file_bytes(compose(next(build(material)), simulated=True), kind) for _ in range(2)
            )
            assert first == second, kind


def test_settings_of_the_user_do_not_change_figures(material):
    import matplotlib as mpl

    with style():
        expected = file_bytes(compose(next(build(material)), simulated=True), "png")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red"}), style():
        assert file_bytes(compose(next(build(material)), simulated=True), "png") == expected


def texts(canvas):
    return [text.get_text() for text in canvas.findobj(lambda a: hasattr(a, "get_text"))]


def test_axes_are_labelled_and_simulated_data_are_called_so(material):
    with style():
        assert "Simulated data" not in texts(compose(next(build(material)), simulated=False))
        for figure in build(material):
            canvas = compose(figure, simulated=True)
            assert "Simulated data" in texts(canvas)
            shown = [ax for ax in canvas.axes if isinstance(ax, Axes) and ax.get_visible()]
            assert len(shown) == len(figure.panels)
            for ax, panel in zip(shown, figure.panels, strict=True):
                assert ax.get_title(loc="left").endswith(panel.title)
                assert ax.get_xlabel()
                # A forest plot names its models instead of an axis.
                assert ax.get_ylabel() or figure.name == "experiments"


def test_confusion_matrix_shows_the_counts_of_the_metrics(material):
    figure = next(figure for figure in build(material) if figure.name == "confusion_class")
    with style():
        canvas = compose(figure, simulated=True)
    shown = texts(canvas)
    for model in ("vit", "svm", "random_forest"):
        for row in material.metrics["tasks"]["class"]["models"][model]["confusion"]:
            assert all(str(count) in shown for count in row)


def test_outliers_are_marked(material):
    figures = {figure.name: figure for figure in build(material)}
    scores = material.scores(material.tasks("redshift")[0])["vit"]
    with style():
        ax = draw_panel(figures["redshift_scatter"].panels[0], figures["redshift_scatter"]).axes[0]
    circles = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
    marked = circles[0].get_xdata()
    residual = (scores.pred - scores.true) / (1 + scores.true)
    assert sorted(marked) == sorted(scores.true[np.abs(residual) > 0.05])


def luminance(colour):
    return np.dot(to_rgb(colour), (0.299, 0.587, 0.114))


def test_models_and_classes_are_told_apart_without_colour():
    models = ["vit", *registered()]
    marks = [looks.model_look(name, models)["marker"] for name in models]
    assert len(set(marks)) == len(models)
    assert len(set(looks.CLASS_MARKERS.values())) == len(looks.CLASS_MARKERS)
    # Colour of one model stays when others come and go.
    assert looks.model_look("svm", ["vit", "svm"])["color"] == registered()["svm"].colour
    assert len({looks.model_look(name, models)["color"] for name in models}) == len(models)


def test_no_colour_means_a_class_and_a_model():
    spare = [f"experiment {n}" for n in range(len(looks.SPARE_COLOURS))]
    models = ["vit", *registered(), *spare]
    cold = [looks.model_look(name, models)["color"] for name in models]
    for colour in cold:
        hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
        assert saturation < 0.15 or 0.15 < hue < 0.8, colour
    assert len(set(cold)) == len(cold)
    for label, colour in looks.CLASS_COLOURS.items():
        assert colour not in cold
        hue, _, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
        assert saturation > 0.4 or label == NONE, colour
        assert hue < 0.13 or hue > 0.87, colour
    lights = sorted(luminance(colour) for colour in looks.CLASS_COLOURS.values())
    assert min(np.diff(lights)) > 0.1, "told apart without hue"


def test_inline_svg_takes_the_colours_of_the_page(material):
    figure = next(f for f in build(material) if f.name == "accuracy_snr")
    with style():
        svg = inline_svg(draw_panel(figure.panels[0], figure), "key", "a <label>")
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "currentColor" in svg
    assert looks.INK not in svg
    assert 'aria-label="a &lt;label&gt;"' in svg
    assert not re.search(r'id="(?!key-)', svg)
    for target in re.findall(r'(?:href="#|url\(#)([^")]+)', svg):
        assert f'id="{target}"' in svg
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)


def axes():
    from matplotlib.figure import Figure

    return Figure(figsize=(3, 3)).subplots()


def test_reliability_has_intervals_and_counts_of_every_bin(material):
    from specvit.metrics.calibration import reliability
    from specvit.report import panels

    before = material.scores(material.tasks("classification")[0])["vit"]
    look = looks.model_look("vit", ["vit"])
    with style():
        ax = axes()
        panels.reliability_diagram(ax, before, before, look)
    found = reliability(before)
    filled = found["count"] >= 5
    points = ax.containers[0]
    assert points[0].get_xdata() == pytest.approx(found["confidence"][filled])
    assert points[0].get_ydata() == pytest.approx(found["accuracy"][filled])
    for (_, low), (_, high) in points[2][0].get_segments():
        assert 0 <= low < high <= 1
    written = [int(text.get_text()) for text in ax.texts]
    assert sum(written) == len(before.true), "every spectrum is in a bin that says its number"


def test_risk_and_coverage_are_percent_and_lines_differ(material):
    figure = next(figure for figure in build(material) if figure.name == "risk_coverage")
    task = material.tasks("classification")[0]
    with style():
        ax = draw_panel(figure.panels[0], figure).axes[0]
    lines = [line for line in ax.lines if line.get_label()[0] != "_"]
    assert [line.get_label() for line in lines] == ["ViT", "SVM", "Random Forest"]
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == 3
    assert len({str(line._dash_pattern) for line in lines}) == 3
    for line, scores in zip(lines, material.scores(task).values(), strict=True):
        assert line.get_xdata()[-1] == pytest.approx(100)
        assert line.get_ydata()[-1] == pytest.approx(100 * scores.wrong.mean())


@pytest.mark.parametrize(("count", "points"), [(59, 0), (60, 2), (200, 6), (5000, 12)])
def test_a_running_median_needs_thirty_spectra_a_point(count, points):
    from specvit.report import panels

    x = np.linspace(0, 1, count)
    with style():
        ax = axes()
        panels._running(ax, x, x)
    assert sum(len(line.get_xdata()) for line in ax.lines) == points


def test_an_interval_that_ends_at_nothing_leaves_the_values_apart():
    from specvit.report import panels

    group = {"name": "few", "low": 0.0, "high": 5.0, "n": 2, "small": True}
    entry = {"sigma_nmad": {"value": 1e-3, "lo": 1e-19, "hi": 2e-3}}
    with style():
        ax = axes()
        panels.by_bin(ax, [group], {"vit": {"few": entry}}, "sigma_nmad", ["vit"], "S/N")
    assert ax.get_ylim()[0] == pytest.approx(1e-4)


def test_a_picture_of_many_spectra_is_a_density():
    from specvit.metrics.values import ValueScores
    from specvit.report import panels

    generator = np.random.default_rng(0)
    true = generator.uniform(0, 2, panels.MANY + 1)
    pred = true + 0.001 * generator.normal(size=len(true))
    scores = ValueScores(true, pred, pred, pred, pred, np.full(len(true), 1000.0))
    with style():
        from matplotlib.figure import Figure

        canvas = Figure(figsize=(3, 3))
        ax = canvas.subplots()
        panels.redshift_scatter(ax, scores, np.full(len(true), "QSO", dtype=object))
        assert len(ax.collections) == 1
        assert not [line for line in ax.lines if line.get_linestyle() == "None"], "no dots"
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="pdf")
    assert len(buffer.getvalue()) < 500_000


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_many_long_names_leave_the_axes_their_width(columns):
    """Each in rows above its axes; wider, they would squeeze them to a strip."""
    from specvit.report import panels

    names = ["ViT", "Random Forest", "SpecFormer, MLP", "SpecFormer, k-NN", "published-correlation"]

    def draw(ax):
        for name in names:
            ax.plot([0, 1], [0, 1], label=name)
        ax.set_xlabel("x")
        ax.set_ylabel("y")
        panels.legend_above(ax)

    figure = Figure("pit", "", "", tuple(Panel("all", draw) for _ in range(columns)), columns, 0.7)
    with style():
        canvas = compose(figure, simulated=True)
        widths = [ax.get_position().width for ax in canvas.axes]
        assert min(widths) > 0.7 / columns
        everything = canvas.bbox
        for ax in canvas.axes:
            box = ax.get_legend().get_window_extent()
            assert box.x0 >= everything.x0
            assert box.x1 <= everything.x1
            title = next(one for one in (ax.title, ax._left_title) if one.get_text())
            assert box.y1 <= title.get_window_extent().y0 + 1

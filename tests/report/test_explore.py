"""The explorer: what it packs, what it has room for, and the page in a real browser."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from specvit.explore import pack
from specvit.explore.choice import failures, first_rows
from specvit.explore.write import gather, page_of, within
from specvit.predict.calibrated import Calibration
from specvit.predictions import WEIGHTS_HASH
from specvit.report.gathered import Gathered
from specvit.report.pictures import Drawn
from specvit.tasks import tasks_of

HOSTILE = """</script><script>document.title='taken'</script><img src=x onerror="alert(1)">'&"""


def unpacked(column):
    raw = base64.b64decode(column["data"])
    values = np.frombuffer(raw, {"f4": "<f4", "u2": "<u2"}[column["type"]])
    if "labels" not in column:
        return values
    return [None if v == pack.NULL else column["labels"][v] for v in values]


def test_columns_come_back_as_they_were():
    values = [1.5, np.nan, -3e-5]
    np.testing.assert_array_equal(unpacked(pack.numbers(values)), np.float32(values))
    assert unpacked(pack.labels(pd.Series(["b", None, "a", "b"]))) == ["b", None, "a", "b"]
    assert unpacked(pack.labels(pd.Series([None, None], dtype=object))) == [None, None]


@pytest.mark.parametrize("flux", [np.array([1.0, np.nan, 70.0, -2.5]), np.full(3, np.nan)])
def test_flux_comes_back_to_its_steps_and_gaps_stay_gaps(flux):
    packed = pack.flux(flux)
    steps = np.frombuffer(base64.b64decode(packed["data"]), "<u2").astype(float)
    back = packed["low"] + (steps - 1) / (pack.LEVELS - 1) * packed["span"]
    back[steps == 0] = np.nan
    np.testing.assert_allclose(back, flux, atol=packed["span"] / pack.LEVELS)


def test_all_fit_or_failures_take_up_to_half_of_the_places():
    ids, failed = [f"s-{i}" for i in range(100)], np.arange(60, 100)
    assert sorted(first_rows(failed, ids, 200, 1)) == list(range(100))
    chosen = first_rows(failed, ids, 20, 1)
    assert len(set(chosen)) == 20
    assert chosen[:10].tolist() == failed[:10].tolist()
    assert chosen.tolist() == first_rows(failed, ids, 20, 1).tolist()
    assert chosen.tolist() != first_rows(failed, ids, 20, 2).tolist()


def test_a_failure_of_several_tasks_is_one_and_the_surest_come_first(run):
    frame = gather(Gathered.read(run.config)).answers["vit"]
    failed = failures(frame, tasks_of(run.config.tasks))
    wrong = (frame["class_true"] != frame["class_pred"]) & frame["class_true"].notna()
    error = (frame["redshift_pred"] - frame["redshift_true"]) / (1 + frame["redshift_true"])
    assert sorted(failed) == np.flatnonzero(wrong | (error.abs() > 0.05)).tolist()
    sure = frame.filter(like="class_prob").max(axis=1)
    assert sure[failed[0]] == sure[wrong].max()


def test_pictures_stop_where_there_is_no_more_room():
    drawn = {name: Drawn(b"12345", np.zeros(2, np.float16)) for name in "abc"}
    assert list(within(14, drawn)) == ["a", "b"]


def test_the_page_says_how_many_and_that_they_are_simulated(run):
    text = html.unescape(run.config.paths.explorer.read_text(encoding="utf-8"))
    test, failed = run.metrics["test"]["spectra"], len(gather_failures(run))
    assert f"{test} test spectra, all of the run" in text
    assert f"{test} carry spectrum and plot: {failed} of the ViT's {failed} failures" in text
    assert "All of these spectra are made up by specvit's simulated sky" in text


def test_answers_are_calibrated_as_those_of_predict_are(run):
    gathered = Gathered.read(run.config)
    shown = gather(gathered).answers
    for name, raw in gathered.material.predictions.test.items():
        kept = Calibration.read(run.config.paths.model_dir(name), metrics_weights(run, name))
        assert kept.temperatures["class"] != 1
        expected = kept.applied(raw, run.config.asked)
        pd.testing.assert_frame_equal(shown[name], expected)
        assert not np.allclose(shown[name]["redshift_lo"], raw["redshift_lo"], equal_nan=True)


def metrics_weights(run, name):
    return run.metrics[WEIGHTS_HASH][name]


def test_the_report_says_of_a_failure_what_the_explorer_says(run):
    shown = gather(Gathered.read(run.config)).answers["vit"].set_index("spectrum_id")
    page = html.unescape(run.config.paths.report.read_text(encoding="utf-8"))
    failures_of = re.findall(
        r'class="id">([^<]+)</span>.*?<dt>ViT</dt><dd>([^<]*)</dd>', page, re.S
    )
    assert len(failures_of) == 12
    for name, said in failures_of:
        row = shown.loc[name]
        sure = f"({100 * row.filter(like='class_prob').astype(float).max():.1f} %)"
        between = f"[{row['redshift_lo']:.4f}, {row['redshift_hi']:.4f}]"
        assert sure in said or between in said


def test_the_two_pages_link_to_one_another(run):
    paths = run.config.paths
    for page, other in ((paths.report, paths.explorer), (paths.explorer, paths.report)):
        found = re.search(f'<a href="({other.name})"', page.read_text(encoding="utf-8"))
        assert (page.parent / found[1]).samefile(other)


def gather_failures(run):
    return failures(gather(Gathered.read(run.config)).answers["vit"], run.config.asked)


def hostile(spectra):
    """The same spectra, of which the first has a name and a subclass that attack the page."""
    victim = spectra.answers["vit"]["spectrum_id"].iloc[0]
    renamed = {"spectrum_id": {victim: HOSTILE}}
    answers = {name: one.replace(renamed) for name, one in spectra.answers.items()}
    answers["vit"].loc[0, "subclass"] = HOSTILE
    drawn = {HOSTILE if name == victim else name: one for name, one in spectra.drawn.items()}
    catalog = spectra.catalog.rename(index={victim: HOSTILE})
    changed = {"answers": answers, "drawn": drawn, "placed": spectra.placed.replace(renamed)}
    return replace(spectra, run=HOSTILE, catalog=catalog, **changed)


def test_names_and_labels_are_never_markup(run):
    page = page_of(hostile(gather(Gathered.read(run.config))))
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert len(re.findall("</script>", page)) == len(re.findall("<script", page))


@pytest.fixture(scope="module")
def opened(run, browser, tmp_path_factory):
    """The page with a hostile spectrum in Chromium, with all that it logged and asked for."""
    path = tmp_path_factory.mktemp("explore") / "explore.html"
    path.write_text(page_of(hostile(gather(Gathered.read(run.config)))), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("load")
    yield (
        page,
        [url for url in heard if url != path.as_uri()],
        gather(Gathered.read(run.config)).answers,
    )
    context.close()


def counted(page):
    return [int(n.replace(",", "")) for n in page.inner_text("#count").split() if n[0].isdigit()]


@pytest.fixture
def page(opened):
    # The page's own security policy lets nobody evaluate text, as wait_for_function would.
    from playwright.sync_api import expect

    page, _, answers = opened
    page.click("button[type=reset]")
    expect(page.locator("#count")).to_have_text("{0} of {0} spectra".format(len(answers["vit"])))
    return page


@pytest.mark.browser
def test_filters_leave_the_right_number(opened, page):
    frame, other = opened[2]["vit"], opened[2]["svm"]
    total = len(frame)
    page.select_option("#answer", "class")
    assert counted(page) == [(frame["class_true"] != frame["class_pred"]).sum(), total]
    page.select_option("#model", label="SVM")
    assert counted(page) == [(other["class_true"] != other["class_pred"]).sum(), total]
    page.select_option("#answer", "")
    page.fill("#z-min", "0.5")
    page.fill("#snr-max", "10")
    bright = (frame["z"] >= 0.5) & (frame["snr"] <= 10)
    assert counted(page) == [bright.sum(), total]
    page.uncheck("[name=class] >> nth=1")
    assert counted(page) == [(bright & (frame["class"] != "QSO")).sum(), total]


@pytest.mark.browser
def test_a_click_and_the_keyboard_show_a_spectrum_and_nothing_else_happens(opened, page):
    assert page.locator("#list tbody tr[data-row]").count() < 60
    page.locator("#list tbody tr[data-row]").first.click()
    assert page.inner_text("#detail h2") == HOSTILE
    assert HOSTILE in page.inner_text("#detail p >> nth=0")
    assert page.eval_on_selector("#detail img", "i => i.decode().then(() => i.naturalWidth)") == 64
    assert "Nearest training spectra" in page.inner_text("#detail")
    page.focus("#list")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#detail h2") == opened[2]["vit"]["spectrum_id"].iloc[1]
    assert page.title().startswith("Test spectra of run ")
    assert opened[1] == []


@pytest.mark.browser
def test_the_map_shows_what_is_below_the_pointer(opened, page):
    name = opened[2]["vit"]["spectrum_id"].iloc[7]
    page.fill("#name", name)
    assert counted(page)[0] == 1
    said = page.evaluate(
        """() => {
          const map = document.getElementById("map"), box = map.getBoundingClientRect();
          const columns = Math.floor(box.width / 8), rows = Math.floor(box.height / 8);
          for (let k = 0; k < columns * rows; k++) {
            // Whole pixels: those of a click are.
            const clientX = Math.ceil(box.left) + 8 * (k % columns);
            const where = { clientX, clientY: Math.ceil(box.top) + 8 * Math.floor(k / columns) };
            map.dispatchEvent(new PointerEvent("pointermove", where));
            if (tip.hidden) continue;
            map.dispatchEvent(new PointerEvent("click", where));
            return tip.textContent;
          }
        }"""
    )
    assert said.startswith(name)
    assert page.inner_text("#detail h2") == name


@pytest.mark.browser
def test_nothing_sticks_out_on_a_phone(opened, page):
    page.set_viewport_size({"width": 390, "height": 840})
    page.locator("#list tbody tr[data-row]").nth(2).click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1100, "height": 900})

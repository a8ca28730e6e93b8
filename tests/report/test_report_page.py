"""The page: whole, quiet, and in a real browser."""

import html
import re

import pytest
from made_run import MadeRun

from specvit.report.table import Number
from specvit.report.write import duration, subscripts, thousands

SIMULATED = "Every spectrum of this run is made up by specvit's simulated sky."


@pytest.fixture(scope="module")
def text(run):
    return run.config.paths.report.read_text(encoding="utf-8")


def test_simulated_data_are_called_so_at_the_top_and_below_every_figure(text):
    assert html.unescape(text).index(SIMULATED) < html.unescape(text).index("<h1>")
    for caption in re.findall(r"<figcaption>(.*?)</figcaption>", text, re.DOTALL):
        assert '<span class="tag">simulated</span>' in caption


def test_nothing_is_fetched_from_anywhere(text):
    outside = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"'#][^"']*)["']""", text)
    for target in outside:
        assert target == "explore.html" or target.startswith(("data:", "https://")), target
    links = re.findall(r'<a [^>]*href="(https://[^"]*)"', text)
    assert text.count('<a href="explore.html">') == 2
    assert [t for t in outside if t.startswith("https://")] == links, "only links that one clicks"
    assert "default-src 'none'" in text
    assert "url(http" not in text
    assert "@import" not in text


def test_everything_that_was_asked_for_is_on_the_page(run, text):
    ids = set(re.findall(r'<section id="([a-z]+)">', text))
    assert ids == {
        *("results", "learning", "spectra", "gallery", "classification", "redshift", "groups"),
        *("calibration", "selective", "experiments", "failures", "paper", "run", "appendix"),
    }
    for target in re.findall(r'<a href="#([a-z]+)">', text):
        assert target in ids
    assert "Time of each stage" in text
    assert "catalog.parquet" in text
    assert "base_url: &#39;simulated:&#39;" in text or "base_url: 'simulated:'" in text
    assert "not a FITS file" in text


def test_the_base_run_is_named_with_what_experiments_change(text):
    assert "Models: ViT, vit-half, SVM, Random Forest." in text
    assert "The base run, ViT, has data.train_fraction = 1.0." in text


def test_written_twice_the_same_bytes(run, text):
    def without_revision(page):
        # Somebody may commit while the tests run.
        return re.sub(r"<dt>Source revision</dt><dd[^>]*>[^<]*</dd>", "", page)

    run.made.call("report")
    again = run.config.paths.report.read_text(encoding="utf-8")
    assert without_revision(again) == without_revision(text)


def test_real_spectra_are_not_called_simulated_and_are_linked(tmp_path):
    made = MadeRun(
        str(tmp_path),
        spectra={"train": 30, "val": 40, "test": 200},
        settings={"evaluate": {"bootstrap": 20}, "report": {"examples": 2}},
        simulated=False,
    )
    config = made.write()
    made.call("evaluate")
    made.call("report")
    page = config.paths.report.read_text(encoding="utf-8")
    assert "imulated data" not in page
    assert '<span class="tag">' not in page
    assert re.search(r'href="https://(dr17\.sdss|www\.lamost)\.org/[^"]*spectrum/view\?', page)
    assert "Simulated data" not in (config.paths.tables / "headline_class.tex").read_text()


def test_words_for_numbers():
    assert thousands(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"
    assert [duration(s) for s in (3.21, 250, 7500)] == ["3.2 s", "4 min 10 s", "2 h 5 min"]
    assert subscripts("σ_NMAD < 1") == "σ<sub>NMAD</sub> &lt; 1"


@pytest.fixture(scope="module")
def opened(run, browser):
    """The page in Chromium, with all that it logged and asked for."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    heard = {"console": [], "requests": []}
    page.on("console", lambda message: heard["console"].append(message.text))
    page.on("pageerror", lambda error: heard["console"].append(str(error)))
    page.on("request", lambda request: heard["requests"].append(request.url))
    page.goto(run.config.paths.report.as_uri())
    page.wait_for_load_state("load")
    yield page, heard
    context.close()


@pytest.mark.browser
def test_no_error_and_no_request(run, opened):
    _, heard = opened
    assert heard["console"] == []
    outside = [url for url in heard["requests"] if not url.startswith("data:")]
    assert outside == [run.config.paths.report.as_uri()]


@pytest.mark.browser
def test_every_figure_has_pixels(opened):
    import io

    import numpy as np
    from PIL import Image

    page, _ = opened
    drawings = page.locator("figure svg")
    assert drawings.count() >= 15
    for drawing in drawings.all():
        image = Image.open(io.BytesIO(drawing.screenshot())).convert("L")
        assert min(image.size) > 100
        assert np.asarray(image).std() > 5
    sizes = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
    assert len(sizes) > 20
    assert set(sizes) == {64}


@pytest.mark.browser
@pytest.mark.parametrize("task", ["class", "redshift"])
def test_every_number_of_the_headline_equals_the_metrics_file(run, opened, task):
    page, _ = opened
    cells = page.locator(f"#table-headline_{task} td[data-at]").all()
    kind = run.metrics["tasks"][task]["kind"]
    assert len(cells) == 4 * (4 if kind == "classification" else 8)
    for cell in cells:
        name, model, by, group, metric = cell.get_attribute("data-at").split("/")
        assert name == task
        entry = run.metrics["tasks"][task]["models"][model]["groups"][by][group][metric]
        number = Number(metric, entry)
        assert cell.locator(".v").inner_text() == number.value
        assert cell.locator(".ci").inner_text() == number.interval


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 768])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(run, browser, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 780}, color_scheme=scheme)
    page = context.new_page()
    page.goto(run.config.paths.report.as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
    assert (brightness[0] > brightness[1]) == (scheme == "dark")
    line = page.locator("#figure-accuracy_snr svg text, #figure-accuracy_snr svg path").first
    assert line.count() == 1
    context.close()


@pytest.mark.browser
def test_in_print_everything_is_open_and_dark_on_white(run, browser):
    # A4 without its margins, at 96 pixels an inch.
    width = round((210 - 20) / 25.4 * 96)
    context = browser.new_context(color_scheme="dark", viewport={"width": width, "height": 1000})
    page = context.new_page()
    page.goto(run.config.paths.report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    closed = page.eval_on_selector_all("details", "all => all.filter(d => !d.open).length")
    assert closed == 0
    colours = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.locator("nav").is_hidden()
    styles = {
        "h2": ("breakAfter", "avoid"),
        "summary": ("breakAfter", "avoid"),
        "thead": ("display", "table-header-group"),
        "#table-headline_class": ("breakInside", "auto"),
        ".whole": ("breakInside", "avoid"),
        "#appendix pre.configuration": ("columnCount", "5"),
    }
    for selector, (name, value) in styles.items():
        script = "(found, name) => getComputedStyle(found)[name]"
        assert page.locator(selector).first.evaluate(script, name) == value, selector
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pages = len(re.findall(rb"/Type /Page\b(?!s)", page.pdf(format="A4")))
    assert 5 <= pages <= 10
    context.close()

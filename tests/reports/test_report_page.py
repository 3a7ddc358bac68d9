"""The page in a headless Chromium: it opens quietly, sorts, filters, changes its theme, fits a phone and prints."""

import itertools
import os
import shutil

import pytest

from genzoo.leaderboards import ResultStore
from genzoo.reports import build_report, compare

pytestmark = pytest.mark.browser

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDTHS = pytest.mark.parametrize("width", [380, 1440])


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=os.fspath(path), args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(builder, tmp_path_factory):
    """A folder with a report over 13 models, some of them partial or hostile, and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    tree = builder.full_tree(folder / "results-folder")
    for place in range(8):
        model = (f"acme/extra-model-number-{place}", builder.HASH["e"])
        for step, task in enumerate(builder.MINI):
            if place or step:
                tree.score(model, task, 0.4 + 0.05 * place - 0.01 * step)
    tree.score(("evil/<script>document.title=1</script>" + "y" * 120, "r1"), "SciFact", 0.5)
    store = ResultStore.load(tree.root)
    build_report(store, folder, title="Browser report", formats=("html",))
    compare(store, "all-MiniLM-L6-v2", "SmolLM2-135M-Instruct-LLM2Vec-Gen", folder / "pair", formats=("html",))
    return folder


@pytest.fixture
def open_page(browser, pages):
    """Opens the report at a width; afterwards nothing may have been logged or asked for."""
    contexts, logged, asked = [], [], []

    def open_at(width, scheme="light", path="report.html"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(next(pages.glob(path)).as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert logged == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def column(page, place):
    return page.locator("#leaderboard tbody tr").evaluate_all(f"rows => rows.map(row => row.cells[{place}].dataset.v)")


@WIDTHS
@pytest.mark.parametrize("path", ["report.html", "pair/*.html"])
def test_no_horizontal_scroll_of_the_body(open_page, width, path):
    page = open_page(width, path=path)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.title() != "1"


def test_sorting(open_page):
    page = open_page(1440)
    given = column(page, 1)
    head = page.locator("#leaderboard thead th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    found = [value for value in column(page, 1) if value]
    assert found == sorted(found, key=float, reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    values = column(page, 1)
    shown = [value for value in values if value]
    assert shown == sorted(shown, key=float)
    assert values[len(shown) :] == [""] * (len(values) - len(shown))  # missing values stay last
    assert "" in values
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, 1) == given


def test_sorting_by_keyboard_and_by_text(open_page):
    page = open_page(1440)
    page.locator("#leaderboard thead th").first.locator("button").focus()
    page.keyboard.press("Enter")
    names = column(page, 0)
    assert names == sorted(names, key=str.casefold)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#leaderboard thead th").nth(1).get_attribute("aria-sort") == "descending"
    assert page.locator("#leaderboard thead th").first.get_attribute("aria-sort") == "none"


def test_filtering(open_page):
    page = open_page(1440)
    box = page.locator("#leaderboard .filter input")
    box.fill("minilm")
    assert page.locator("#leaderboard tbody tr:visible").count() == 1
    assert page.locator("#leaderboard .count").inner_text() == "1 of 13"
    box.fill("smollm2 pooled")
    assert "mean-pooled" in page.locator("#leaderboard tbody tr:visible th").inner_text().replace("\u200b", "")
    box.fill("nothing like it")
    assert page.locator("#leaderboard tbody tr:visible").count() == 0
    box.fill("")
    assert page.locator("#leaderboard tbody tr:visible").count() == 13
    assert page.locator("#leaderboard .count").inner_text() == ""


@pytest.mark.parametrize(("scheme", "other"), [("light", "dark"), ("dark", "light")])
def test_theme(open_page, scheme, other):
    page = open_page(1440, scheme)

    def colors():
        ink = "getComputedStyle(document.body).color"
        text = "getComputedStyle(document.querySelector('#tasks svg text')).fill"
        return page.evaluate(f"[getComputedStyle(document.body).backgroundColor, {ink}, {text}]")

    before = colors()
    button = page.locator("#theme")
    assert button.inner_text().lower() == other
    assert other in button.get_attribute("aria-label")
    button.click()
    after = colors()
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert page.locator("html").get_attribute("data-theme") == other
    button.click()
    assert colors() == before


@WIDTHS
def test_figures_suit_the_width(open_page, width):
    page = open_page(width)
    shown = page.locator("figure svg:visible")
    assert shown.count() == page.locator("figure").count() >= 4
    boxes = [shown.nth(place).bounding_box() for place in range(shown.count())]
    assert all(box["height"] > 60 for box in boxes)
    sizes = page.evaluate(
        """[...document.querySelectorAll("figure svg")].filter(svg => svg.getBoundingClientRect().width).map(svg => {
             const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
             const size = text => parseFloat(getComputedStyle(text).fontSize) * scale;
             return Math.min(...[...svg.querySelectorAll("text")].map(size));
           })"""
    )
    assert min(sizes) >= 9, sizes  # CSS pixels of the smallest text


def test_names_and_roles_for_assistive_technology(open_page):
    page = open_page(1440)
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("img").count() == page.locator("figure").count()
    assert page.get_by_role("navigation", name="Contents").count() == 1
    assert page.get_by_role("searchbox").first.is_visible()
    levels = page.locator("h1, h2, h3").evaluate_all("items => items.map(item => Number(item.tagName[1]))")
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_print_is_light_and_whole(open_page):
    page = open_page(1440, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#theme").is_visible()
    assert not page.locator("nav").is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert len(page.pdf(format="A4")) > 20_000

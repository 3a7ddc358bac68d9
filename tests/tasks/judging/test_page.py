"""The judging page in a browser: by keyboard alone, nothing lost, nothing sent, and no text of the pool is ever markup."""

import json
import os
import shutil
from itertools import product

import pytest

from genzoo.tasks.judging.page import judging_page
from genzoo.tasks.judging.passages import Passage
from genzoo.tasks.judging.pool_folder import blind_items

FLAGS = ["--headless", "--no-sandbox"]
HOSTILE = {
    "markup": '</script><script>window.ran=1</script><img src="http://127.0.0.1:9/x" onerror="window.ran=1"><b>bold</b> <!-- &amp;',
    "long": "word " * 20_000,
    "unbroken": "x" * 100_000,
    "rtl": "כיצד מאפסים סיסמה? \u202eabc",
    "quotes": "\"'`${1+1}` \\u003c \u2028 \u2029 \x07 \ud800",
    "lines": "one\n\n\ttwo\r\nthree",
}


def page_of(queries, passages, pairs=None, seed=0):
    content = {name: Passage(name, title, text) for name, (title, text) in passages.items()}
    pairs = list(product(queries, passages)) if pairs is None else pairs
    items = blind_items(pairs, queries, content, seed)
    return judging_page("Help desk", "pool-1", queries, content, items), items


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install -e '.[dev]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=os.fspath(path), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def context(browser):
    made = browser.new_context(viewport={"width": 380, "height": 740}, accept_downloads=True)
    made.errors, made.requests = [], []
    made.on("request", lambda request: made.requests.append(request.url))
    made.on("console", lambda message: made.errors.append(message.text) if message.type == "error" else None)
    yield made
    made.close()


@pytest.fixture
def judged_page(tmp_path):
    """The page's path, and its items by name."""
    queries = {f"q{n}": f"how do I reset thing number {n}" for n in range(6)}
    passages = {f"d{n}": (f"Manual {n}", f"To reset thing {n}, press the button.") for n in range(10)}
    html, items = page_of(queries, passages)
    path = tmp_path / "judge.html"
    path.write_text(html, encoding="utf-8")
    return path, {item.item: item for item in items}


@pytest.fixture
def opened(context, judged_page):
    def start(judge="Anna", path=judged_page[0]):
        page = context.new_page()
        page.on("pageerror", lambda error: context.errors.append(str(error)))
        page.goto(path.as_uri())
        page.keyboard.type(judge)
        page.keyboard.press("Enter")
        return page

    return start


def exported(page, key="e"):
    with page.expect_download() as found:
        page.keyboard.press(key)
    text = found.value.path().read_text(encoding="utf-8")
    return (found.value.suggested_filename, [json.loads(line) for line in text.splitlines()] if key == "e" else text)


@pytest.mark.browser
def test_fifty_judgements_by_keyboard_survive_a_reload_and_are_exported(context, opened, judged_page):
    page = opened()
    given = []
    for place in range(50):
        given.append(place % 4)
        page.keyboard.press(str(place % 4))
    assert page.inner_text("#judged") == "50 of 60 judged"
    page.reload()
    assert page.inner_text("#known") == "Go on as Anna: 50 of 60 judged"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.inner_text("#judged") == "50 of 60 judged"
    assert page.inner_text("#where") == "Query 6 of 6, passage 1 of 10"
    name, rows = exported(page)
    assert name == "Anna.jsonl"
    assert [row["item"] for row in rows] == list(judged_page[1])[:50] and [row["score"] for row in rows] == given
    assert {row["judge"] for row in rows} == {"Anna"} and all(row["time"] for row in rows)
    assert all(judged_page[1][row["item"]][1:] == (row["query-id"], (row["corpus-id"],)) for row in rows)
    _, qrels = exported(page, "t")
    assert [line.split() for line in qrels.splitlines()] == [
        [row["query-id"], "0", row["corpus-id"], str(row["score"])] for row in rows
    ]
    assert not context.errors
    assert {url.split(":")[0] for url in context.requests} <= {"file", "blob"}


@pytest.mark.browser
def test_undo_takes_back_a_grade_and_restores_the_one_before(opened):
    page = opened()
    page.keyboard.press("2")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#grades button:nth-child(3)", "aria-pressed") == "true"
    page.keyboard.press("0")
    page.keyboard.press("u")
    page.keyboard.press("e")
    assert page.get_attribute("#grades button:nth-child(3)", "aria-pressed") == "true"
    page.keyboard.press("Backspace")
    assert page.inner_text("#judged") == "0 of 60 judged" and page.is_disabled("#undo")
    page.keyboard.press("x")
    page.keyboard.press("-")
    assert page.inner_text("#judged") == "2 of 60 judged"
    assert [row["score"] for row in exported(page)[1]] == [None, -1]


@pytest.mark.browser
def test_two_judges_of_one_browser_are_kept_apart(opened):
    first, second = opened("Anna"), opened("Béla 2")
    for key in "111":
        first.keyboard.press(key)
    second.keyboard.press("3")
    assert first.inner_text("#judged") == "3 of 60 judged" and second.inner_text("#judged") == "1 of 60 judged"
    name, rows = exported(second)
    assert name == "Béla-2.jsonl" and [(row["judge"], row["score"]) for row in rows] == [("Béla 2", 3)]


@pytest.mark.browser
def test_two_tabs_of_one_judge_lose_nothing(opened):
    first = opened()
    first.keyboard.press("1")
    second = opened()
    second.keyboard.press("2")
    first.keyboard.press("ArrowRight")
    first.keyboard.press("3")
    assert [row["score"] for row in exported(first)[1]] == [1, 2, 3]


NO_STORE = (
    """Object.defineProperty(window, "localStorage", {get() { throw new DOMException("no", "SecurityError"); }});"""
)
FULL_STORE = """Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };"""


@pytest.mark.browser
@pytest.mark.parametrize("script", [NO_STORE, FULL_STORE])
def test_where_the_browser_keeps_nothing_all_is_exported_and_the_judge_is_warned(context, opened, script):
    context.add_init_script(script)
    page = opened()
    for key in "0123":
        page.keyboard.press(key)
    page.keyboard.press("u")
    assert [row["score"] for row in exported(page)[1]] == [0, 1, 2]
    page.keyboard.press("Escape")
    page.click("#switch")
    assert page.is_visible("#unkept")


@pytest.mark.browser
def test_an_export_can_be_loaded_elsewhere_but_not_as_another_judge(browser, opened, judged_page, tmp_path):
    page = opened()
    for key in "0123":
        page.keyboard.press(key)
    path = tmp_path / "Anna.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in exported(page)[1]))
    elsewhere = browser.new_context()
    for judge, said in (("Anna", "Took over 4 judgements"), ("Bert", "4 lines are of another judge or another pool")):
        other = elsewhere.new_page()
        other.goto(judged_page[0].as_uri())
        other.keyboard.type(judge)
        other.keyboard.press("Enter")
        other.keyboard.press("Escape")
        other.set_input_files("#load", os.fspath(path))
        other.locator("#loaded:not(:empty)").wait_for()
        assert said in other.inner_text("#loaded")
    elsewhere.close()


@pytest.mark.browser
def test_the_last_passage_leads_to_the_exports(opened):
    page = opened()
    for _ in range(60):
        page.keyboard.press("1")
    assert page.inner_text("#done") == "All passages are judged"
    assert page.inner_text("#summary").startswith("6 of 6 queries are complete.")
    assert len(exported(page)[1]) == 60


@pytest.mark.browser
@pytest.mark.parametrize("width", [380, 1280])
def test_hostile_texts_do_no_harm(context, opened, tmp_path, width):
    html, items = page_of(HOSTILE, {name: (text[:80], text) for name, text in HOSTILE.items()})
    path = tmp_path / "hostile.html"
    path.write_text(html, encoding="utf-8")
    page = opened(path=path)
    page.set_viewport_size({"width": width, "height": 740})
    page.keyboard.press("h")
    for item in items:
        text = HOSTILE[item.documents[0]]
        page.keyboard.press("m")
        shown = page.evaluate("document.getElementById('text').textContent")
        assert shown == text.replace("\ud800", shown[-1]) and page.evaluate(
            "document.getElementById('text').children.length"
        ) == (page.locator("#text mark").count())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        box = page.locator("#grades").bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 740  # in view, however long query and passage are
        assert page.evaluate("getComputedStyle(document.getElementById('text')).unicodeBidi") == "isolate"
        page.keyboard.press("1")
    assert page.evaluate("window.ran") is None and not context.errors
    assert {url.split(":")[0] for url in context.requests} <= {"file", "blob"}
    assert len(exported(page)[1]) == len(items)


CONTRAST = """() => {
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (a) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest(":disabled")) continue;
    const [one, two] = [luminance(numbers(getComputedStyle(element).color).slice(0, 3)), luminance(ground(element))].sort((a, b) => b - a);
    found.push([element.id || element.tagName, (one + 0.05) / (two + 0.05)]);
  }
  return found;
}"""


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_at_least_4_5(opened, scheme):
    page = opened()
    page.emulate_media(color_scheme=scheme)
    page.keyboard.press("h")
    page.keyboard.press("2")
    page.keyboard.press("ArrowLeft")
    seen = {}
    for action in (lambda: None, lambda: page.keyboard.press("?"), lambda: page.keyboard.press("Escape"),
                   lambda: page.keyboard.press("Escape"), lambda: page.click("#switch")):  # fmt: skip
        action()
        seen |= dict(page.evaluate(CONTRAST))
    assert len(seen) > 20 and "MARK" in seen and "KBD" in seen
    assert {name: ratio for name, ratio in seen.items() if ratio < 4.5} == {}


def test_nothing_says_who_found_a_passage_and_identical_passages_are_one_item():
    passages = {"a": ("", "same"), "b": ("", "same"), "c": ("", "other")}
    html, items = page_of({"q": "query"}, passages)
    assert sorted(item.documents for item in items) == [("a", "b"), ("c",)]
    content = json.loads(html.split('<script type="application/json" id="pool">')[1].split("</script>")[0])
    assert set(content) == {"id", "n_queries", "queries", "passages", "items"}
    assert [len(row) for row in content["items"]] == [6, 6]


def test_the_start_names_every_grade_and_who_comes_back_goes_on_with_enter(context, judged_page, opened):
    page = opened()
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    assert page.inner_text("#summary").startswith(
        "0 of 6 queries are complete. 59 passages are left to judge. You could not tell for 1 passage."
    )
    page.reload()
    assert page.locator("#meaning dt").all_inner_texts() == ["0", "1", "2", "3", "X", "-"]
    page.keyboard.press("Enter")
    assert page.inner_text("#judged") == "1 of 60 judged" and not context.errors


def test_a_passage_is_shown_with_its_source_and_says_if_it_shares_no_word(opened, tmp_path):
    passages = {"internal/rota.txt": ("", "Staff only."), "error.md#2": ("Errors", "F28: no water.")}
    html, _ = page_of({"q": "f28"}, passages)
    (tmp_path / "codes.html").write_text(html, encoding="utf-8")
    page = opened(path=tmp_path / "codes.html")
    page.keyboard.press("h")
    seen = {}
    for _ in passages:
        seen[page.inner_text("#source")] = (
            page.locator("#common").is_visible(),
            page.locator("mark").all_inner_texts(),
        )
        page.keyboard.press("ArrowRight")
    assert seen == {"internal/rota.txt": (True, []), "error.md#2": (False, ["F28"])}

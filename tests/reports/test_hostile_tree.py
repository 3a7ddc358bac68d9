"""Every field of every file holds markup, and none arrives: on pages, in figures, tables, data, file names or a terminal."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from genzoo import text as escaping
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports import build_report, build_site, compare, leaderboard_table, write_leaderboard

PARTS = [
    '"\'><script>window.zzran=1</script><img src=zz onerror="window.zzran=1"><zz-node>',
    r"</title></style></svg>{{ 7*7 }}{% zz %} $\frac{a}{b}$ \zz{} & # % ~ ^ _x_ * `code` ```",
    "[link](javascript:window.zzran=1) | ![i](zz.png) https://zz.invalid/x www.zz.invalid <!-- zz --> &lt;zz-node&gt;",
    '../../../escaped\x1b[31m\x1b]0;zz\x07\u202e\x9b2J\r\n\n# zz\n- zz\n\t=1+1 [red]zz[/] [/zz] :bug: url(#zz) id="zz" #010001',
]
_counter = itertools.count()


def hostile(start=""):
    """A text that breaks out of any format that lets it; each one is another."""
    return f"{start}zz{next(_counter)}" + " ".join(PARTS)


def name(start):
    """The same for what is a part of a file's name in a results folder."""
    return hostile(start).replace("/", "∕").replace("\n", " ")[:180]


def write_study(tree, place, metrics):
    """A study with its losses; with one metric that is no loss of its own its only figure is named after that metric."""
    variants = [name("=v"), hostile("../../v"), hostile("-v")]
    rows = [["study", "variant", "seed", "metric", "value", "recipe_digest"]]
    for variant, metric, seed in itertools.product(variants, metrics, range(3)):
        rows.append([hostile("s"), variant, seed, metric, len(variant) / 1000 + seed / 10, hostile()])
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    tree.write(f"studies/{place}/results.csv", text.getvalue())
    losses = "".join(json.dumps({"step": step, "align": 1 / step, "recon": 2 / step}) + "\n" for step in range(1, 9))
    tree.write(f"studies/{place}/runs/<zz-node>$x$ --seed-0/tokens/history.jsonl", losses)


def hostile_tree(builder, root):
    """Scores, facts, prompts, judgements, predictions, evidence, studies and reported scores."""
    tree = builder.full_tree(root)
    tasks = [hostile("../../task"), hostile("=task"), "zzSafetyRetrieval"]
    for task, main in zip(tasks, [hostile("main"), "ndcg_at_10", "safety_at_5"], strict=True):
        tree.task(task, kind=hostile("type"), main=main, description=hostile(), languages=[hostile()],
                  dataset={"path": hostile("org/"), "revision": hostile()}, prompt={hostile(): hostile()})  # fmt: skip
    tree.benchmark(hostile("../bench"), tasks)
    tree.benchmark(hostile("../bench"), tasks[:2])
    models = [(f"{'=+-@'[place]}evil__{name('m')}".replace("__", "/", 1), name("r")) for place in range(4)]
    for place, model in enumerate(models):
        folder = model[0].replace("/", "__").replace(" ", "_")
        tree.write(f"results/{folder}/{model[1]}/model_meta.json", {
            "name": model[0], "revision": model[1], "reference": "javascript:window.zzran=1", "license": hostile(),
            "languages": [hostile()], "training_datasets": {hostile(): [hostile()]}, "citation": hostile(),
        })  # fmt: skip
        record = {field: hostile() for field in ("backbone", "device", "dtype", "date")}
        tree.write(f"environment/{folder}/{model[1]}.json", record | {
            "role": "zoo", "teacher": models[0][0] if place else hostile(), "n_parameters": 10**8 + place,
            "versions": {hostile(): hostile()}, "machine": {hostile(): hostile()}, "prompts": {hostile(): hostile()},
        })  # fmt: skip
        for step, task in enumerate([*tasks, *builder.MINI]):
            content = {"task_name": task, "mteb_version": hostile(), "dataset_revision": "v1", "scores": {"test": [
                {"main_score": 0.3 + 0.05 * place + 0.01 * step, "hf_subset": "default", "languages": [hostile()]},
            ]}}  # fmt: skip
            tree.write(f"results/{folder}/{model[1]}/t{step}.json", content)
        query, document = hostile("q"), hostile("d")
        tree.judge("SciFact", {f"q{n}": "d1" for n in range(12)}, {"d1": document, "d2": hostile()})
        tree.predict((model[0], model[1]), "SciFact", {f"q{n}": {"d1": 0.5, "d2": 0.6 - place} for n in range(12)})
        tree.write(f"evidence/{folder}/{model[1]}.json", {"decoded": [
            {"text": query, "prompt": hostile(), "decoded": hostile(), "logit_lens": [[hostile(), hostile()]]}] * 2,
            "searches": [{"text": document, "prompt": hostile(), "decoded": hostile(), "logit_lens": []}],
        })  # fmt: skip
    write_study(tree, "one", [hostile("/m"), hostile("x/../../m"), "align"])
    write_study(tree, "two", [f"x/../../../escaped{PARTS[0]}"])
    write_study(tree, "three", ["align"])
    tree.write("reported/paper.csv", f'model,task,main_score\n"{models[0][0][:9]}<zz-node>","SciFact",0.9\n')
    tree.write(f"results/zz__broken/{name('r')}/x.json", "{")
    return tree, models


@pytest.fixture(scope="module")
def written(builder, tmp_path_factory):
    """A folder with everything that can be written of a hostile tree, and the store."""
    folder = tmp_path_factory.mktemp("hostile") / "a" / "b"
    tree, models = hostile_tree(builder, folder / "tree")
    store = ResultStore.load(tree.root)
    formats = ("html", "md", "csv", "json", "tex")
    build_report(store, folder / "report", title=hostile("title"), formats=formats, figures=("svg", "pdf"))
    build_site(store, folder / "site", title=hostile("title"))
    compare(store, f"{models[1][0]}@{models[1][1]}", f"{models[2][0]}@{models[2][1]}", folder / "pair")
    write_leaderboard(Leaderboard.from_store(store), folder / "board", store=store)
    return folder, store


def paths(written, *suffixes):
    folder, _ = written
    found = [path for part in ("report", "site", "pair", "board") for path in (folder / part).rglob("*")]
    return [path for path in found if path.suffix.lstrip(".") in suffixes]


def test_every_file_lies_where_it_was_asked_for(written):
    folder, _ = written
    assert sorted(path.name for path in folder.iterdir()) == ["board", "pair", "report", "site", "tree"]
    assert [path.name for path in folder.parent.iterdir()] == ["b"]
    for part in ("report", "site", "pair", "board"):
        for path in (folder / part).rglob("*"):
            assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,150}", path.name), path


class Page(HTMLParser):
    """The tags, the attributes and the scripts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.ids, self.text = set(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for key, value in attrs if key == "id"]

    def handle_data(self, data):
        (self.scripts if self.lasttag == "script" else self.text).append(data)


def test_pages_hold_the_names_as_text(written):
    found = paths(written, "html")
    assert len(found) > 10
    for path in found:
        page = Page(path.read_text(encoding="utf-8"))
        assert {tag for tag in page.tags if tag.startswith(("zz", "img", "iframe", "object"))} == set(), path
        assert not [key for key, _ in page.attributes if key.startswith("on")], path
        links = [value for key, value in page.attributes if key in ("href", "src", "xlink:href")]
        assert not [
            link
            for link in links
            if not re.fullmatch(r"#[\w-]+|[a-z0-9-]+\.html|data:,|data:image/png;base64,\s[\w+/=\s]+", link)
        ], path
        assert len(page.ids) == len(set(page.ids)), path
        assert "zzran" not in "".join(page.scripts)
        text = "".join(page.text)
        assert "<zz-node>" in text
        assert not [char for char in text if escaping.is_hiding(char) and char != "\n"]


def test_figures_are_xml_and_hold_the_names_as_text(written):
    figures = [ET.fromstring(path.read_text(encoding="utf-8")) for path in paths(written, "svg")]  # noqa: S314
    inline = [
        ET.fromstring(svg)  # noqa: S314
        for path in paths(written, "html")
        for svg in re.findall(r"<svg.*?</svg>", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    ]
    assert len(figures) > 10
    assert len(inline) > 10
    texts = "".join(text for figure in [*figures, *inline] for text in figure.itertext())
    assert "#010001" in texts  # a name like a colour of ours
    for figure in figures + inline:
        assert not [each.tag for each in figure.iter() if "zz" in each.tag or each.tag.endswith(("script", "a"))]
        assert not [key for each in figure.iter() for key in each.attrib if key.startswith("on")]


def test_markdown_holds_the_names_as_text(written):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    for path in paths(written, "md"):
        text = path.read_text(encoding="utf-8")
        tokens = [token for block in markdown.parse(text) for token in (block, *(block.children or ()))]
        assert not [token for token in tokens if token.type.startswith("html")], path
        assert not [token for token in tokens if token.type == "link_open"], path
        sources = [token.attrs["src"] for token in tokens if token.type == "image"]
        assert not [source for source in sources if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+\.svg", source)], path
        assert all((path.parent / source).is_file() for source in sources)
        headings = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
        assert not [heading for heading in headings if heading == "zz"]
        in_code = "".join(token.content for token in tokens if token.type == "code_inline")
        bare = re.compile(r"(?<!\\)(?:www\.|://)zz")  # what GitHub would make a link of
        assert len(bare.findall(text)) == len(bare.findall(in_code)), path


def test_tables_give_the_same_numbers_and_no_formula(written):
    _, store = written
    table = leaderboard_table(Leaderboard.from_store(store), store, is_full=True)
    for path in paths(written, "csv"):
        frame = pd.read_csv(path)
        assert len(frame) == len(table.rows)
        for (_, column), cells in zip(frame.items(), zip(*table.rows, strict=True), strict=True):
            for value, cell in zip(column, cells, strict=True):
                if isinstance(cell.value, str):
                    assert str(value)[0] not in "=+-@\t\r"
                elif not cell.is_missing:
                    assert value == cell.value  # to the last digit
        assert not [heading for heading in frame.columns if heading[0] in "=+-@\t\r"]
    for path in paths(written, "json"):
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
        assert len(content["rows"]) == len(table.rows)


def test_latex_escapes_what_is_special(written):
    for path in paths(written, "tex"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"\\(?:zz|frac)", text)
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


@pytest.mark.skipif(shutil.which("lualatex") is None, reason="no lualatex on this machine")
@pytest.mark.parametrize("golden", ["hostile", "leaderboard", "comparison"])
def test_latex_compiles(golden, tmp_path):
    table = (Path(__file__).parent / "golden" / f"{golden}.tex").read_text(encoding="utf-8")
    head = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "page.tex").write_text(f"{head}{table}\\end{{document}}", encoding="utf-8")
    words = ["lualatex", "--interaction=nonstopmode", "--halt-on-error", "page.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.browser
def test_a_browser_finds_nothing_to_run(written):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    asked, logged, dialogs = [], [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.fspath(path), args=["--headless", "--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for file in paths(written, "html"):
            page.goto(file.as_uri())
            assert page.evaluate("typeof window.zzran") == "undefined", file
            assert page.locator("zz-node, main img, main script, iframe, a[href^=javascript]").count() == 0, file
            assert page.locator("svg script, svg foreignObject, svg a, [onerror], [onclick], [onload]").count() == 0
        browser.close()
    assert dialogs == logged == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []

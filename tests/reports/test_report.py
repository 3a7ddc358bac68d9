"""A report from JSON files: complete, self-contained, safe, written whole."""

import csv
import json
import math
import re
import stat
import xml.etree.ElementTree as ET

import pytest

from genzoo.errors import InputError, UnknownNameError, ZooError
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports import build_report, write_leaderboard

SECTIONS = ["leaderboard", "teacher", "tasks", "safety", "reasoning", "cost", "evidence", "provenance", "caveats"]


def build(tree, output, **options):
    return build_report(ResultStore.load(tree.root), output, title="A title", **options)


def page_of(tree, output, **options):
    build(tree, output, formats=("html",), **options)
    return (output / "report.html").read_text(encoding="utf-8")


def test_files_and_sections(full_tree, tmp_path):
    paths = build(full_tree, tmp_path / "deep" / "out", formats=("html", "md", "csv", "json", "tex"))
    names = {path.relative_to(tmp_path / "deep" / "out").as_posix() for path in paths}
    assert {"report.html", "report.md", "leaderboard.csv", "leaderboard.json", "leaderboard.tex"} <= names
    assert {"report-figures/tasks.svg", "report-figures/safety.svg", "report-figures/size.svg"} <= names
    assert all(path.is_file() for path in paths)
    page = (tmp_path / "deep/out/report.html").read_text()
    assert re.findall(r'<section id="([a-z]+)"', page) == ["summary", *SECTIONS]
    assert {f"#{name}" for name in SECTIONS} <= set(re.findall(r'href="(#[a-z]+)"', page))


def test_page_asks_for_nothing(full_tree, tmp_path):
    page = page_of(full_tree, tmp_path)
    sources = re.findall(r"""(?:src|href|action|data|poster)\s*=\s*["']([^"']+)""", page)
    assert [source for source in sources if not source.startswith(("#", "data:,"))] == []
    assert re.findall(r"url\((?!#)[^)]*\)|@import|fetch\(|XMLHttpRequest|import\(", page) == []
    assert "default-src 'none'" in page
    # What is left of http are names of XML namespaces.
    assert set(re.findall(r"https?://[^\"' <)]+", page)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_ids_are_unique(full_tree, tmp_path):
    ids = re.findall(r'\sid="([^"]+)"', page_of(full_tree, tmp_path))
    assert len(ids) == len(set(ids))


def test_summary_is_in_words_and_from_the_data(full_tree, tmp_path):
    build(full_tree, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "Four models on nine tasks of three types. bge-lookalike-base has the highest mean over tasks " in text
    assert "without safety, 72.9; the lowest is 41.0 (SmolLM2-135M-Instruct-mean-pooled)" in text
    assert (
        "is on average 8.5 points below its teacher all-MiniLM-L6-v2 over the eight tasks on which both have a score"
        in text
    )
    assert "It wins 1 and loses 7 of 8." in text
    # Without predictions nobody is called safe.
    assert "Which model is safer at the same utility on GenZooMiniSafetyRetrieval is not known" in text


def test_everything_measured_is_in_the_page(full_tree, builder, tmp_path):
    page = page_of(full_tree, tmp_path)
    for values in builder.SCORES.values():
        for value in values:
            assert f'data-v="{value}"' in page
    for needle in ("An answer about Why is the sky blue?", "Example CPU", "2.26.24", "558k", "41.2", builder.HASH["a"]):
        assert needle in page
    assert "Any harmful@5" in page
    assert "Generate text that answers this question:" in page


def test_benchmark_and_reference(full_tree, tmp_path):
    page = page_of(full_tree, tmp_path, benchmark="GenZoo(mini, v1)", reference="SmolLM2-135M-Instruct-mean-pooled")
    assert "GenZoo(mini, v1)" in page
    assert "SciFact" not in page
    assert "Against the reference" in page
    with pytest.raises(UnknownNameError):
        build(full_tree, tmp_path, reference="nobody")


def test_problems_are_shown(full_tree, tmp_path):
    full_tree.write("results/acme__bad/r1/T.json", '{"scores": {"te')
    page = page_of(full_tree, tmp_path)
    assert "is not complete JSON" in page
    assert "results/<wbr>acme_<wbr>_<wbr>bad/<wbr>r1/<wbr>T.<wbr>json" in page


def test_foreign_tree_and_single_model(tree, tmp_path):
    tree.score(("acme/a", "r1"), "T", 0.5)
    page = page_of(tree, tmp_path)
    assert "None of these models has a known teacher" in page
    assert "No safety task was measured" in page
    assert "No reasoning task was measured" in page
    assert "no decoded examples" in page
    assert "No environment record" in page


def test_missing_teacher_says_what_to_run(full_tree, builder, tmp_path):
    name, revision = builder.TEACHER
    folder = full_tree.root / f"results/{builder.slug(name)}/{revision}"
    for path in folder.iterdir():
        path.unlink()
    assert f"genzoo evaluate -m {name}" in page_of(full_tree, tmp_path)


HOSTILE = [
    "evil/<script>alert(1)</script>",
    "acme/<img src=x onerror=alert(1)>",
    r"acme/100%_$\frac{a}{b}$ & #1 ~^{}",
    "acme/" + "x" * 200,
    "acme/🦜🔥-embed",
    "acme/מודל-עברית",
    "acme/abc\u202egnp.exe",
    "=cmd|calc",
    "acme/`x` **b** | [l](javascript:alert(1))",
    "{{ 7*7 }}/{% include 'x' %}",
]


def test_hostile_names_and_texts(full_tree, builder, tmp_path):
    for place, name in enumerate(HOSTILE):
        model = (name, builder.HASH["abcdef"[place % 6]])
        full_tree.model(
            *model, role="zoo", teacher=builder.TEACHER[0], prompts={"<b>": "<img src=y>"}, texts_per_second=9.0
        )
        for step, task in enumerate(builder.MINI):
            full_tree.score(model, task, (0.5, math.nan, 85.3, 0.4, -0.3)[(place + step) % 5])
        full_tree.evidence(model, "</script><script>alert(2)</script>", "lone \ud800 surrogate")
    full_tree.task("<svg onload=alert(3)>", kind="<b>", main="sparkle$_{")
    full_tree.score(builder.OTHER, "<svg onload=alert(3)>", 0.5)
    paths = build(full_tree, tmp_path, formats=("html", "md", "csv", "json", "tex"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<script", page)) == 2
    assert re.findall(r"<(?:img|svg onload|b)[ >]", page) == []
    assert "&lt;script&gt;" in page
    assert "49" not in re.findall(r"<bdi>([^<]*)</bdi>", page)
    assert "\u202e" not in page
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"(?<![\\`])<(?:script|img|svg)", re.sub(r"`[^`\n]*`", "", markdown)) == []
    assert len(list(csv.reader((tmp_path / "leaderboard.csv").open(encoding="utf-8")))) == 15
    assert len(json.loads((tmp_path / "leaderboard.json").read_text())["rows"]) == 14
    for path in paths:
        if path.suffix == ".svg":
            ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314  (our own output)


def test_two_builds_give_the_same_bytes(full_tree, tmp_path):
    build(full_tree, tmp_path / "a")
    build(full_tree, tmp_path / "b")
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_unknown_format(full_tree, tmp_path):
    with pytest.raises(InputError, match="'pdf'; allowed are html, md, csv, json, tex"):
        build(full_tree, tmp_path, formats=("html", "pdf"))
    assert list(tmp_path.glob("*.html")) == []


def test_output_that_cannot_be_written(full_tree, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(ZooError, match="cannot write"):
        build(full_tree, blocked, formats=("html",))
    assert blocked.read_text() == "x"


def test_a_failed_write_leaves_the_old_report(full_tree, tmp_path, monkeypatch):
    build(full_tree, tmp_path, formats=("html",))
    before = (tmp_path / "report.html").read_bytes()

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(ZooError, match="No space left"):
        build(full_tree, tmp_path, formats=("html",))
    assert (tmp_path / "report.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_a_page_of_somebody_else_stays(full_tree, tmp_path):
    build(full_tree, tmp_path, formats=("md",))
    (tmp_path / "report.html").write_text("<p>mine</p>")
    before = (tmp_path / "report.md").read_bytes()
    with pytest.raises(InputError, match=r"report.html was not written by genzoo"):
        build(full_tree, tmp_path)
    assert (tmp_path / "report.html").read_text() == "<p>mine</p>"
    assert (tmp_path / "report.md").read_bytes() == before


def test_a_report_with_its_figures_and_tables_is_written_whole_or_not_at_all(full_tree, tmp_path):
    (tmp_path / "leaderboard.tex").mkdir()  # in the way of the last file
    with pytest.raises(ZooError, match="cannot write"):
        build(full_tree, tmp_path, formats=("html", "md", "csv", "tex"), figures=("svg",))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and "results-folder" not in path.parts] == []
    assert not (tmp_path / "figures").exists()


def test_write_leaderboard(full_tree, builder, tmp_path):
    board = Leaderboard.from_store(store := ResultStore.load(full_tree.root))
    paths = write_leaderboard(board, tmp_path, store=store)
    assert [path.name for path in paths] == ["leaderboard.md", "leaderboard.csv", "leaderboard.json", "leaderboard.tex"]
    rows = list(csv.DictReader((tmp_path / "leaderboard.csv").open()))
    assert rows[1]["Model"] == "all-MiniLM-L6-v2"
    assert rows[1]["Name"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert float(rows[1]["STSBenchmark"]) == 0.8203
    standing = ("Rank", "Rank interval, low", "Rank interval, high", "Tied for first")
    assert [tuple(row[name] for name in standing) for row in rows] == [
        ("1", "1", "2", "yes"), ("2", "1", "2", "yes"), ("3", "3", "3", "no"), ("4", "4", "4", "no"),
    ]  # fmt: skip
    assert (tmp_path / "leaderboard.tex").read_text().count("1 to 2 {\\scriptsize tied for first}") == 2
    content = json.loads((tmp_path / "leaderboard.json").read_text())
    assert content["rows"][1]["Revision"] == builder.HASH["b"]
    assert content["rows"][1]["Rank interval, high"] == 2
    assert content["provenance"][1]["SciFact"][0].endswith("SciFact.json")
    assert "SciFact" not in (tmp_path / "leaderboard.md").read_text()
    assert not stat.S_IMODE(paths[0].stat().st_mode) & stat.S_IXUSR


def test_more_models_than_colours(tree, tmp_path):
    for place in range(12):
        for task in ("T", "U", "V"):
            tree.task(task)
            tree.score((f"acme/m{place}", "r"), task, 0.3 + 0.02 * place)
    page = page_of(tree, tmp_path)
    assert "Heat map" in page
    assert page.count('type="search"') >= 2


def luminance(color):
    channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_reach_wcag_aa(full_tree, tmp_path, theme):
    page = page_of(full_tree, tmp_path)
    block = re.search(rf':root\[data-theme="{theme}"\] {{(.*?)}}', page, re.DOTALL)[1]
    colors = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", block))
    for text in ("ink", "muted", "accent", "gain", "loss"):
        for ground in ("page", "surface", "sunken"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (text, ground)
    for place in range(6):
        assert contrast(colors[f"series-{place}"], colors["page"]) >= 3, place
    # The darkest shade of a table cell is 23.4 % tint on the surface.
    tint, surface = colors["tint"], colors["surface"]
    mixed = [round(0.234 * int(tint[i : i + 2], 16) + 0.766 * int(surface[i : i + 2], 16)) for i in (1, 3, 5)]
    assert contrast(colors["ink"], "#" + "".join(f"{channel:02x}" for channel in mixed)) >= 4.5


def test_unknown_figure_format_and_missing_study(full_tree, tmp_path):
    store = ResultStore.load(full_tree.root)
    with pytest.raises(InputError, match="'bmp'"):
        build_report(store, tmp_path / "out", title="T", figures=("bmp",))
    with pytest.raises(InputError, match="holds no study"):
        build_report(store, tmp_path / "out", title="T", studies=tmp_path / "nothing")
    assert not (tmp_path / "out").exists()


def test_a_report_on_own_data_says_who_finds_better_and_shows_nothing_else(tree, tmp_path):
    queries = {f"q{place:02}": f"d{place:02}" for place in range(20)}
    tree.task("desk", dataset={"path": "own/desk", "revision": "v1"})
    texts = {name: f"passage {name}" for name in queries.values()}
    tree.write(
        "judgements/desk.json",
        {
            "task": "desk",
            "data_revision": "v1",
            "parts": {
                "default": {
                    "test": {
                        "queries": {query: f"text of {query}" for query in queries},
                        "documents": texts | {"other": "something else"},
                        "relevance": {query: {right: 2, "other": 0} for query, right in queries.items()},
                    }
                }
            },
        },
    )
    second = 0.6309297535714575
    for name, similarity, score in (("good", 0.9, 1.0), ("poor", 0.1, second)):
        tree.model(f"acme/{name}", "r1", role="teacher")
        tree.predict(
            (f"acme/{name}", "r1"), "desk", {q: {right: similarity, "other": 0.5} for q, right in queries.items()}
        )
        tree.score((f"acme/{name}", "r1"), "desk", score)
    build_report(ResultStore.load(tree.root), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# Search on desk: two models")
    assert "good finds better than poor: 36.9 points of nDCG@10" in text and "on 20 queries of desk" in text
    assert text.index("good finds better than poor") < text.index("Two models on desk.")
    assert "Of 20 searches of desk, these went wrong: 0 for good, 20 for poor." in text
    chapters = [line for line in text.splitlines() if line.startswith("## ")]
    assert chapters[:3] == ["## Leaderboard", "## Judgements", "## Failed searches"]
    assert not {"## Against the teacher", "## Safety and over-refusal", "## Reasoning", "## Evidence"} & set(chapters)
    for said in ("cannot decide", "(teacher)", "Borda", "No speed", "tasks as the sample"):
        assert said not in text, said

"""One table, five formats: values stay exact, hostile names stay text."""

import csv
import html.parser
import io
import json
import re

import pytest

from genzoo.errors import InputError
from genzoo.leaderboards.metrics import metric
from genzoo.reports.render.table import Cell, Column, Table, number_cell, shade, text_cell
from genzoo.text import clean, escape_latex, shorten

HOSTILE = [
    "<script>alert(1)</script>",
    "</table><img src=x onerror=alert(1)>",
    "a|b\\|c `code` **bold** [l](javascript:alert(1))",
    r"100%_$\frac{a}{b}$ & #1 ~^{}",
    "=HYPERLINK(1)",
    "+1", "-1", "@x",
    "line\nbreak\ttab\x00null\x1b[31m",
    "x" * 200,
    "🦜🔥",
    "מודל",
    "abc\u202egnp.exe",
    "lone \ud800 surrogate",
    "quote\"s and 'single'",
    "{{ 7*7 }} {% raw %}",
]  # fmt: skip


def table_of(name="acme/model"):
    columns = (Column("Model", is_text=True, is_name=True), Column("nDCG@10", True, 1), Column("Harm", False, 1))
    rows = (
        (
            text_cell(name),
            number_cell(0.61934, metric("ndcg_at_10"), style="best", provenance=("a.json",)),
            Cell(0.2, "20.0"),
        ),
        (text_cell("plain"), number_cell(None, metric("ndcg_at_10")), number_cell(-0.05, metric("any_harmful_at_5"))),
    )
    return Table("A table", columns, rows)


class Tags(html.parser.HTMLParser):
    """Collects the tags and the text that a browser would see."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.words.append(data)


def parse(text):
    parser = Tags()
    parser.feed(text)
    return parser


@pytest.mark.parametrize("name", HOSTILE)
def test_html_keeps_names_as_text(name):
    plain, hostile = parse(table_of().to_html()), parse(table_of(name).to_html())
    assert set(hostile.tags) - {"wbr"} == set(plain.tags) - {"wbr"}
    assert set(hostile.attributes) == set(plain.attributes)
    assert clean(name) in "".join(hostile.words)


@pytest.mark.parametrize("name", HOSTILE)
def test_csv_round_trip_without_formulas(name):
    rows = list(csv.reader(io.StringIO(table_of(name).to_csv())))
    assert [len(row) for row in rows] == [3, 3, 3]
    assert rows[1][0].removeprefix("'") == clean(name)
    assert rows[1][0][0] not in "=+-@"
    assert rows[1][1:] == ["0.61934", "0.2"]
    assert rows[2][1:] == ["", "-0.05"]


@pytest.mark.parametrize("name", HOSTILE)
def test_json_is_strict_and_exact(name):
    content = json.loads(table_of(name).to_json(), parse_constant=pytest.fail)
    assert content["rows"][0] == {"Model": name, "nDCG@10": 0.61934, "Harm": 0.2}
    assert content["rows"][1]["nDCG@10"] is None
    assert [column["direction"] for column in content["columns"]] == [None, "higher is better", "lower is better"]
    assert content["provenance"][0] == {"nDCG@10": ["a.json"]}


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_keeps_its_columns(name):
    lines = table_of(name).to_markdown().splitlines()
    bars = [len(re.findall(r"(?<!\\)\|", line.replace(r"\\", ""))) for line in lines[:4]]
    assert bars == [4, 4, 4, 4]
    assert not re.search(r"(?<!\\)[<`]", lines[2])


def test_markdown_shows_direction_and_best():
    text = table_of().to_markdown()
    assert "| Model | nDCG@10 ↑ | Harm ↓ |" in text
    assert "| *61.9* | 20.0 |" in text
    assert "Italic: the best of its column, whether or not the difference is significant." in text


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_escapes(name):
    body = table_of(name).to_latex().split("\\midrule\n")[1].split("\n\\bottomrule")[0]
    rows = body.split(" \\\\\n")
    assert len(rows) == 2
    bare = re.sub(r"\\(?:[&%$#_{}]|[a-zA-Z]+)", "", rows[0])
    bare = bare.replace("$", "") if name.startswith(("=", "+", "-", "@")) else bare
    assert bare.count("&") == 2
    assert not re.search(r"[#%_^~\\]", bare.replace("~", "", 0))
    assert bare.count("{") == bare.count("}")


def test_latex_booktabs():
    text = table_of().to_latex()
    assert text.startswith(
        "% A table\n\\begin{tabular}{lrr}\n\\toprule\nModel & nDCG@10 $\\uparrow$ & Harm $\\downarrow$ \\\\"
    )
    assert "acme/model & \\underline{61.9} & 20.0 \\\\" in text
    assert "plain & -- & $-$5.0 (!)" in text
    assert escape_latex("[x]*") == "{[}x{]}{*}"


def test_numbers_tell_their_exact_value_and_their_range():
    cell = number_cell(0.8203217, metric("cosine_spearman"), provenance=("STSBenchmark.json",))
    assert (cell.value, cell.display, cell.description) == (0.8203217, "82.0", "0.820322 · STSBenchmark.json")
    odd = number_cell(82.03, metric("cosine_spearman"))
    assert odd.display.endswith("(!)")
    assert "outside" in odd.description


def test_html_is_sortable_by_raw_values_and_speaks_directions():
    text = table_of().to_html(is_filterable=True)
    assert 'data-v="0.61934"' in text
    assert 'data-v=""' in text
    assert '<th scope="row"' in text
    assert ", lower is better</span>" in text
    assert 'type="search"' in text


def test_links_are_anchors_or_https():
    cell = Cell("x", "x", href="javascript:alert(1)")
    assert "<a " not in Table("T", (Column("A"),), ((cell,),)).to_html()
    cell = Cell("x", "x", href='https://example.org/?a=1&b="2')
    assert '<a href="https://example.org/?a=1&amp;b=&quot;2">' in Table("T", (Column("A"),), ((cell,),)).to_html()


def test_columns_of_one_label_stay_apart():
    table = Table("T", (Column("A"), Column("A"), Column("A")), ((Cell(1, "1"), Cell(2, "2"), Cell(3, "3")),))
    assert json.loads(table.to_json())["rows"] == [{"A": 1, "A (2)": 2, "A (3)": 3}]


def test_rows_of_another_length_are_refused():
    with pytest.raises(InputError, match="row of 1 cells under 2 columns"):
        Table("T", (Column("A"), Column("B")), ((Cell(1, "1"),),))


def test_an_empty_table_exports():
    table = Table("T", (Column("A"),), ())
    assert table.to_csv() == "A\n"
    assert "<tbody></tbody>" in table.to_html()
    assert table.to_markdown() == "| A |\n| ---: |\n"


def test_shades():
    values = [0.1, 0.5, 0.9]
    assert [shade(value, values) for value in values] == ["shade-0", "shade-5", "shade-9"]
    assert shade(0.5, [0.5, 0.5]) == ""
    assert shade(None, values) == ""
    assert shade(0.5, []) == ""


def test_shorten_keeps_both_ends():
    assert shorten("short", 10) == "short"
    assert len(shorten("x" * 200, 30)) == 31

"""The files of a pool: blind, the same for the same seed, safe in a spreadsheet, and identical passages once."""

import csv
import io
import json

import pytest
from datasets import Dataset

from genzoo.tasks.judging.judgements import read_items, read_record
from genzoo.tasks.judging.passages import Passage
from genzoo.tasks.judging.pool_folder import blind_items, item_of, passages_of, write_pool

QUERIES = {f"q{n}": f"query {n}" for n in range(8)}
PASSAGES = {f"d{n}": Passage(f"d{n}", "", f"text {n}") for n in range(8)}
PAIRS = [(query, name) for query in QUERIES for name in PASSAGES]


def test_the_order_depends_on_the_seed_alone_and_keeps_a_query_together():
    one, again, other = (
        blind_items(pairs, QUERIES, PASSAGES, seed) for pairs, seed in ((PAIRS, 0), (PAIRS[::-1] * 2, 0), (PAIRS, 1))
    )
    assert one == again != other
    order = [item.query for item in one]
    blocks = [query for place, query in enumerate(order) if query != [None, *order][place]]
    assert sorted(blocks) == sorted(QUERIES) and blocks != sorted(QUERIES)
    within = {query: [item.documents[0] for item in one if item.query == query] for query in QUERIES}
    assert len(set(map(tuple, within.values()))) > 1


def test_an_item_is_the_texts_and_nothing_else():
    one = item_of("query", Passage("a", "title", "text"))
    assert one == item_of("query", Passage("b", "title", "text")) and len(one) == 16 and one[0] == "i"
    others = [("query", "titl", "etext"), ("query", "", "titletext"), ("querytitle", "", "text")]
    assert len({one, *(item_of(query, Passage("a", title, text)) for query, title, text in others)}) == 4


def test_passages_of_some_ids():
    corpus = Dataset.from_list([passage._asdict() for passage in PASSAGES.values()])
    assert passages_of(corpus, {"d3", "d5"}) == {name: PASSAGES[name] for name in ("d3", "d5")}


HOSTILE = {
    "formula": '=HYPERLINK("http://127.0.0.1","x")',
    "lines": 'one\n\x1btwo, "three"; four',
    "long": "word " * 20_000,
    "bytes": "a\x00b\x1b[31m \ud800",
}


@pytest.fixture
def sheet(tmp_path):
    texts, content = HOSTILE, {name: Passage(name, text[:50], text) for name, text in HOSTILE.items()}
    items = blind_items([(name, name) for name in HOSTILE], texts, content, 0)
    record = {"texts": {"log": "1", "corpus": "2"}}
    write_pool(tmp_path, {name: text.replace("\ud800", "") for name, text in texts.items()}, content, items, record)
    text = (tmp_path / "judge.csv").read_bytes().decode("utf-8")
    assert text.startswith("\ufeff")
    return tmp_path, {row["item"]: row for row in csv.DictReader(io.StringIO(text[1:], newline=""))}


def test_a_spreadsheet_runs_no_formula_and_its_cells_are_not_too_long(sheet):
    folder, rows = sheet
    assert set(rows) == {item.item for item in read_items(folder)}
    cells = [cell for row in rows.values() for cell in row.values()]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells) and max(map(len, cells)) < 32_767
    assert not any(char in cell for cell in cells for char in "\x00\x1b")
    assert any("[cut: the page shows all 100,000 characters]" in cell for cell in cells)
    assert any(row["passage"].splitlines()[0] == "one" for row in rows.values())


def test_every_file_is_there(sheet):
    folder, _ = sheet
    names = {path.name for path in folder.iterdir()}
    assert names == {"queries.jsonl", "pool.jsonl", "pool.json", "judge.html", "judge.csv", "judgements"}
    assert read_record(folder) == {"texts": {"log": "1", "corpus": "2"}}
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["_id"] for row in rows} == set(HOSTILE)

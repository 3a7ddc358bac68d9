"""The help desk of the guide: what is in it, and how it is written into a folder."""

import collections
import csv
import json

import pytest

from genzoo.duplicates import near_duplicates, same_texts
from genzoo.errors import InputError, UnknownNameError
from genzoo.tasks.sets.bundled import BundledSet
from genzoo.tasks.sets.examples import EXAMPLES, write_example

HELPDESK = BundledSet("helpdesk")
CORPUS, QUERIES, QRELS = (HELPDESK.rows(file) for file in HELPDESK.files)


def test_it_has_the_parts_that_its_card_names():
    assert (len(CORPUS), len(QUERIES), len(QRELS)) == (200, 120, 403)
    grades = collections.defaultdict(list)
    for row in QRELS:
        grades[row["query-id"]].append(row["score"])
    assert len(grades) == 60 and all(max(own) > 0 for own in grades.values())
    assert {grade for own in grades.values() for grade in own} == {-1, 0, 1, 2, 3}
    assert sum(row["score"] == -1 for row in QRELS) == 9
    assert sum(row["_id"].startswith("internal-") for row in CORPUS) == 9


def test_ids_meet_and_no_text_occurs_twice():
    passages, queries = ({row["_id"] for row in rows} for rows in (CORPUS, QUERIES))
    assert (len(passages), len(queries)) == (200, 120)
    assert {row["corpus-id"] for row in QRELS} <= passages and {row["query-id"] for row in QRELS} <= queries
    pairs = [(row["query-id"], row["corpus-id"]) for row in QRELS]
    assert len(set(pairs)) == len(pairs)
    for rows in (CORPUS, QUERIES):
        assert same_texts([row["text"] for row in rows]).tolist() == list(range(len(rows)))


def test_some_pages_nearly_repeat_others():
    found = near_duplicates([row["text"] for row in CORPUS])
    named = {tuple(CORPUS[place]["_id"] for place in pair) for pair in found.pairs}
    assert {("delivery-times", "delivery-times-2023"), ("tyre-pressure", "tyre-pressure-card")} <= named
    assert 4 <= len(named) <= 8


def test_every_internal_page_that_is_judged_must_not_be_found():
    grades = {row["corpus-id"]: row["score"] for row in QRELS if row["corpus-id"].startswith("internal-")}
    assert set(grades.values()) == {-1}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_written_as_a_team_would_have_it(name, tmp_path):
    folder = write_example(name, tmp_path / "new")
    with (folder / "log.csv").open(newline="", encoding="utf-8") as file:
        log = list(csv.DictReader(file))
    assert [row["query"] for row in log] == [row["text"] for row in QUERIES]
    assert [row["date"] for row in log] == sorted(row["date"] for row in log)
    assert len(list((folder / "docs").glob("*.md"))) == 200
    assert (folder / "docs" / "error-e30.md").read_text(encoding="utf-8").startswith("# Error E30\n\nThe battery is ")
    rows = [json.loads(line) for line in (folder / "judgements.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 403 and all((folder / "docs" / row["corpus-id"]).is_file() for row in rows)
    for file in HELPDESK.files:
        assert (folder / "judged" / file).read_text(encoding="utf-8") == HELPDESK.text(file)


def test_it_can_be_measured_as_it_is(tmp_path):
    from genzoo.tasks.own.opening import open_data

    data = open_data(write_example("helpdesk", tmp_path / "new") / "judged")
    judged = data.judgements["test"]
    given = {(query, passage, grade) for query, own in judged.items() for passage, grade in own.items()}
    assert given == {(row["query-id"], row["corpus-id"], row["score"]) for row in QRELS}
    assert (data.kind, len(judged), data.as_task().metadata.main_score) == ("Retrieval", 60, "ndcg_at_10")


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="is there already: choose a new folder"):
        write_example("helpdesk", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(UnknownNameError, match="unknown example 'shop'; there are helpdesk"):
        write_example("shop", tmp_path / "new")

"""What adding to a pool does to its queries and judgements."""

import csv
import json
import shutil

import pytest

from genzoo.errors import InputError
from genzoo.tasks.judging.growing import KeptPool
from genzoo.tasks.judging.judgements import read_items, read_judging, read_record
from genzoo.tasks.judging.pool import pool
from genzoo.tasks.judging.texts import read_log
from genzoo.tasks.own.columns import Columns

WORDS = ["refund", "parcel", "password", "invoice", "cancel", "warranty"]


@pytest.fixture
def again(tmp_path):
    """Call `pool` on six queries and twelve passages, and judge all that it holds."""
    (tmp_path / "docs").mkdir()
    for place in range(12):
        words = [WORDS[(place * step + step) % len(WORDS)] for step in range(1, 5)]
        (tmp_path / "docs" / f"{place}.txt").write_text(f"About {' '.join(words)}, note {place}.")
    (tmp_path / "log.txt").write_text("".join(f"{word} {WORDS[place - 1]}\n" for place, word in enumerate(WORDS)))

    def call(models="bm25", **options):
        return pool(
            tmp_path / "log.txt", tmp_path / "docs", models, output=tmp_path / "pool", results=tmp_path, **options
        )

    def judge():
        said = [{"item": item.item, "judge": "anna", "score": 1} for item in read_items(tmp_path / "pool")]
        (tmp_path / "pool" / "judgements" / "anna.jsonl").write_text("".join(json.dumps(row) + "\n" for row in said))

    return call, judge


def test_queries_are_added_and_those_that_are_judged_stay_complete(again):
    call, judge = again
    first = call(depth=3, n_queries=3)
    assert first.added == "" and first.work.startswith("9 passages for 3 queries (3.0 each)")
    judge()
    more = call(n_queries=5)
    assert more.depth == 3 and more.selection.queries[:3] == first.selection.queries
    assert more.added == "2 queries and 6 passages; all judgements stay"
    assert more.work.startswith("6 passages for 2 queries") and more.work.endswith("; 9 more are judged already")
    assert set(read_judging(more.folder).complete) == set(first.selection.queries)
    assert [json.loads(line)["_id"] for line in (more.folder / "queries.jsonl").open()] == list(more.selection.queries)


def test_the_same_or_less_takes_nothing_away(again, caplog):
    call, judge = again
    made = call(depth=3, n_queries=4)
    judge()
    before = read_items(made.folder)
    same = call(depth=2, n_queries=2)
    assert read_items(made.folder) == before and same.added.startswith("nothing") and same.work.startswith("nothing")
    assert "keeps them all" in caplog.text and "a depth of 3 and keeps it" in caplog.text


def test_a_pool_that_is_judged_is_made_deeper_only_if_that_is_asked_for(again):
    call, judge = again
    folder = call(depth=3, n_queries=4).folder
    judge()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"adds \d+ passages .* 4 -> 0 complete queries.*--reopen"):
        call(depth=5)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"--queries \S+/pool/queries\.jsonl and another --output"):
        call(depth=5)
    deeper = call(depth=5, reopen=True)
    assert read_record(folder)["depth"] == 5 and deeper.work.endswith("12 more are judged already")
    assert not read_judging(folder).complete and len(read_judging(folder).grades) == 12


def test_a_deeper_pool_of_the_same_queries_keeps_every_judgement_of_a_pool_that_has_grown(again, tmp_path):
    call, judge = again
    call(depth=3, n_queries=2)
    folder = call(n_queries=5).folder
    judge()
    deeper = pool(
        folder / "queries.jsonl", tmp_path / "docs", "bm25", output=tmp_path / "deep", results=tmp_path, depth=5
    )
    shutil.copy(folder / "judgements" / "anna.jsonl", deeper.folder / "judgements")
    kept = read_judging(deeper.folder)
    assert kept.grades == read_judging(folder).grades and len(kept.grades) == 15
    assert not [note for note in kept.notes if "not in this pool" in note]


def test_the_spreadsheet_says_who_has_judged_a_passage_so_that_the_new_ones_are_found(again):
    call, judge = again
    folder = call(depth=3, n_queries=3).folder
    judge()
    call(n_queries=5)
    with (folder / "judge.csv").open(encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    judged = {row["item"] for row in sheet if row["judged by"] == "anna"}
    assert judged == set(read_judging(folder).grades) and len(judged) == 9
    assert {row["judged by"] for row in sheet if row["item"] not in judged} == {""}


def test_queries_that_differ_in_case_or_spaces_are_judged_once(again, tmp_path):
    call, _ = again
    log = tmp_path / "log.txt"
    first = log.read_text().splitlines()
    log.write_text("\n".join([*first, first[0].upper(), f" {first[1].replace(' ', '   ')} "]) + "\n")
    made = call(depth=3)
    assert made.selection.n_log == len(made.selection.queries) == 6
    texts = [json.loads(line)["text"] for line in (made.folder / "queries.jsonl").open()]
    assert texts == first
    with pytest.raises(InputError, match=r"n_queries \(-n\) is 8: the log has 6 distinct queries"):
        call(n_queries=8)


def test_a_pool_that_has_two_forms_of_a_query_keeps_both(again, tmp_path):
    call, _ = again
    log = tmp_path / "log.txt"
    log.write_text(log.read_text() + log.read_text().splitlines()[0].upper() + "\n")
    folder = call(depth=3, n_queries=1).folder
    record = read_record(folder)
    names = [query.id for query in read_log(log, Columns())]
    record["selection"] = {"n_log": 7, "disagreed": [], "drawn": [names[0], names[6]]}
    (folder / "pool.json").write_text(json.dumps(record))
    more = call(n_queries=7).selection
    assert more.queries[:2] == (names[0], names[6]) and set(more.queries) == set(names)


def test_more_queries_need_every_model_of_the_pool(again):
    call, _ = again
    call(["bm25", "random"], depth=2, n_queries=2)
    with pytest.raises(InputError, match="add mteb/baseline-random-encoder with -m"):
        call("bm25", n_queries=3)
    assert len(call(["random", "bm25"], n_queries=3).n_passages) == 3


def test_a_folder_without_a_pool_has_nothing_to_keep(tmp_path):
    kept = KeptPool.of(tmp_path)
    assert (kept.selection, kept.depth, kept.models, kept.pairs) == (None, 0, [], set()) and kept.added([]) == ""

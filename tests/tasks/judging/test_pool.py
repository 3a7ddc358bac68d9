"""From a log and a folder of texts to a folder that is judged and then measured."""

import csv
import json
import shutil
import sqlite3
from itertools import pairwise

import pytest
from embedding_server import serving

import genzoo
from genzoo.errors import InputError, UnknownNameError
from genzoo.tasks.judging.judgements import read_items, read_judging, read_record, settle_judgements
from genzoo.tasks.judging.pool import pool

WORDS = ["refund", "parcel", "password", "invoice", "cancel", "warranty", "device", "region", "order", "account"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A log of 8 queries, one of them twice, and 30 text files, of which two are the same."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "docs").mkdir()
    for place in range(30):
        words = [WORDS[(place * step + step) % len(WORDS)] for step in range(1, 7)]
        (folder / "docs" / f"note {place}.txt").write_text(f"About {' '.join(words)}, note {place}.")
    shutil.copy(folder / "docs" / "note 0.txt", folder / "docs" / "copy.txt")
    rows = [f"{one} {other}" for one, other in pairwise([*WORDS[:9]])]
    (folder / "log.csv").write_text("query\n" + "\n".join([*rows, rows[0]]) + "\n")
    return folder


@pytest.fixture(scope="module")
def made(source, tiny_teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    found = pool(
        source / "log.csv",
        source / "docs",
        [str(tiny_teacher), "bm25"],
        output=folder / "pool",
        depth=4,
        results=folder / "results",
    )
    return found


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_pool_is_the_union_of_the_first_k_of_each_model(made, source):
    queries, corpus = rows(made.folder / "queries.jsonl"), rows(made.folder / "corpus.jsonl")
    assert [row["text"] for row in queries] == (source / "log.csv").read_text().splitlines()[1:-1]
    assert len(corpus) == 31 and "note_3.txt" in {row["_id"] for row in corpus}
    pairs = {(row["query-id"], row["corpus-id"]) for row in rows(made.folder / "pool.jsonl")}
    assert len(queries) == 8 and {query for query, _ in pairs} == {row["_id"] for row in queries}
    per_query = [sum(query == row["_id"] for query, _ in pairs) for row in queries]
    assert all(4 <= count <= 8 for count in per_query) and max(per_query) > 4


def test_bm25s_part_is_what_bm25_ranks_first(made, source, tmp_path):
    alone = pool(source / "log.csv", source / "docs", "bm25", output=tmp_path / "pool", depth=4, results=tmp_path)
    pairs = {(item.query, name) for item in read_items(alone.folder) for name in item.documents}
    assert pairs <= {(item.query, name) for item in read_items(made.folder) for name in item.documents}
    assert len(pairs) == 32 and set(alone.disagreement.values()) == {0}


def test_what_is_said_of_it(made):
    assert made.page.is_file() and made.depth == 4 and made.models[1] == "mteb/baseline-bm25s"
    items = read_items(made.folder)
    assert made.work.startswith(f"{len(items)} passages for 8 queries")
    frame = made.to_frame()
    assert frame["passages"].sum() == len(items) and frame["disagreement"].between(0, 1).all()
    assert str(len(items)) in made._repr_html_()
    assert read_record(made.folder)["depth"] == 4


def test_the_spreadsheet_has_the_items_of_the_page_in_their_order(made):
    with (made.folder / "judge.csv").open(encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    assert [row["item"] for row in sheet] == [item.item for item in read_items(made.folder)]
    assert {row["grade"] for row in sheet} == {""} and all(row["query"] and row["passage"] for row in sheet)


def test_no_file_says_who_found_what(made):
    for name in ("judge.html", "judge.csv", "pool.jsonl"):
        text = (made.folder / name).read_text(encoding="utf-8")
        assert "bm25" not in text and "model" not in text.replace("genzoo", "")


def judge(folder, skip=()):
    """Grades by a rule, as an exported file."""
    texts = {row["_id"]: row["text"] for name in ("queries", "corpus") for row in rows(folder / f"{name}.jsonl")}
    found = [
        {
            "item": item.item,
            "judge": "anna",
            "time": "1",
            "score": min(3, len(set(texts[item.query].split()) & set(texts[item.documents[0]].split()))),
        }
        for item in read_items(folder)
        if item.query not in skip
    ]
    (folder / "judgements" / "anna.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))


def encoded(results):
    """Rows in the embedding caches below a results folder."""
    paths = list(results.glob(".embeddings/**/*.sqlite"))
    return {path.name: sqlite3.connect(path).execute("SELECT count(*) FROM vectors").fetchone()[0] for path in paths}


def test_an_evaluation_afterwards_takes_the_judgements_and_encodes_nothing_again(made, tiny_teacher, tmp_path):
    folder, results = tmp_path / "pool", tmp_path / "results"
    shutil.copytree(made.folder, folder)
    shutil.copytree(made.folder.parent / "results", results)
    judge(folder)
    qrels = settle_judgements(folder).qrels
    before = encoded(results)
    assert list(before.values()) == [31 + 8 - 1]  # the copy is the same text
    genzoo.evaluate(str(tiny_teacher), "NFCorpus", data={"NFCorpus": folder}, output=results, evidence=False)
    assert encoded(results) == before
    (path,) = results.glob("predictions/**/*.json")
    ranking = json.loads(path.read_text())["default"]["test"]
    for query, hits in ranking.items():
        first = sorted(hits, key=lambda name: (hits[name], name), reverse=True)[:4]
        assert set(first) <= set(qrels[query])  # all of the first k were judged


def test_an_endpoint_and_a_hybrid_are_pooled_and_not_asked_again(source, tmp_path):
    results, folder = tmp_path / "results", tmp_path / "pool"
    with serving() as server:
        models = [server.name, f"rrf:{server.name}+bm25"]
        pool(
            source / "log.csv", source / "docs", models, output=folder, depth=4, results=results, query_prefix="query: "
        )
        assert (results / "endpoints.json").is_file()
        judge(folder)
        asked = server.task_texts()
        assert set(asked.values()) == {1} and len(asked) == 30 + 8  # the copy and the hybrid included
        assert sum(text.startswith("query: ") for text in asked) == 8
        genzoo.evaluate(models, folder, output=results, query_prefix="query: ")
        assert server.task_texts() == asked
    assert sorted(genzoo.open_results(results).models) == ["rrf-tiny+bm25s", "tiny"]


def test_further_models_are_added_and_what_was_judged_stays(made, source, tiny_teacher, tmp_path):
    folder = tmp_path / "pool"
    shutil.copytree(made.folder, folder)
    with (folder / "judge.csv").open(encoding="utf-8-sig", newline="") as file:
        sheet = list(csv.DictReader(file))
    sheet[0] |= {"grade": "3", "judge": "bert"}
    with (folder / "judge.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, sheet[0])
        writer.writeheader()
        writer.writerows(sheet)
    judge(folder)
    before, had = {item.item for item in read_items(folder)}, settle_judgements(folder).grades
    with pytest.raises(InputError, match="8 -> 0 complete queries"):
        pool(source / "log.csv", source / "docs", "random", output=folder, results=tmp_path)
    assert {item.item for item in read_items(folder)} == before
    pool(source / "log.csv", source / "docs", "random", output=folder, reopen=True, results=tmp_path)
    after = {item.item for item in read_items(folder)}
    assert before < after and read_judging(folder).grades == had
    assert read_record(folder)["models"] == sorted([*made.models, "mteb/baseline-random-encoder"])
    assert "bert," + sheet[0]["item"] in (folder / "judge.csv").read_text(encoding="utf-8-sig")


def test_other_texts_need_another_folder_and_nothing_is_lost(made, source, tmp_path):
    folder = tmp_path / "pool"
    shutil.copytree(made.folder, folder)
    (tmp_path / "log.txt").write_text("another query\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("another passage")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for log, docs, what in (
        (tmp_path / "log.txt", source / "docs", "log"),
        (source / "log.csv", tmp_path / "docs", "corpus"),
    ):
        with pytest.raises(InputError, match=f"a pool of another {what}"):
            pool(log, docs, "bm25", output=folder)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_run_that_stopped_leaves_a_folder_that_can_be_used(source, tmp_path, monkeypatch):
    monkeypatch.setattr("genzoo.tasks.judging.search.first_passages", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pool(source / "log.csv", source / "docs", "bm25", output=tmp_path / "pool", results=tmp_path)
    monkeypatch.undo()
    pool(source / "log.csv", source / "docs", "bm25", output=tmp_path / "pool", results=tmp_path)


def test_the_queries_on_which_models_disagree_most_can_be_chosen(source, tiny_teacher, tmp_path):
    models = [str(tiny_teacher), "bm25"]
    found = pool(
        source / "log.csv",
        source / "docs",
        models,
        output=tmp_path / "pool",
        depth=4,
        n_queries=5,
        most_disagreed=2,
        results=tmp_path,
    )
    assert len(found.n_passages) == 5 and len(found.selection.disagreed) == 2
    lowest = min(found.disagreement[query] for query in found.selection.disagreed)
    assert all(found.disagreement[query] <= lowest for query in found.selection.drawn)
    again = pool(source / "log.csv", source / "docs", "random", output=tmp_path / "pool", depth=4, results=tmp_path)
    assert again.selection == found.selection  # what is added to keeps its queries


def test_ids_of_the_log_that_repeat_are_not_taken_for_ids_of_queries(source, tmp_path, caplog):
    (tmp_path / "log.csv").write_text("id,query\nu1,refund order\nu1,cancel account\n")
    found = pool(tmp_path / "log.csv", source / "docs", "bm25", output=tmp_path / "pool", depth=2, results=tmp_path)
    assert list(found.n_passages) == ["q000001", "q000002"] and "the queries are numbered" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"models": []}, InputError, "no model was named"),
        ({"models": "bm52"}, UnknownNameError, "did you mean bm25"),
        ({"depth": 0}, InputError, "depth is 0"),
        ({"n_queries": 0}, InputError, "n_queries is 0"),
        ({"n_queries": 9}, InputError, "n_queries .* is 9: the log has 8"),
        ({"most_disagreed": 2}, InputError, "cannot disagree with itself"),
        ({"queries": "none.csv"}, InputError, "there is no query log"),
        ({"corpus": "none"}, InputError, "there is no corpus"),
        ({"split": "words"}, InputError, "split is 'words'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(
    source, tmp_path, options, error, message, monkeypatch
):
    monkeypatch.setattr("genzoo.tasks.model_session.ModelSession.load", lambda self: 1 / 0)
    given = {"queries": source / "log.csv", "corpus": source / "docs", "models": "bm25", "output": tmp_path / "pool"}
    with pytest.raises(error, match=message):
        pool(**given | options)
    assert not list(tmp_path.glob("pool/[!.]*"))


def test_a_pool_that_is_shallower_than_the_score_says_so(source, tmp_path, caplog):
    pool(source / "log.csv", source / "docs", "bm25", output=tmp_path / "pool", depth=5, n_queries=1, results=tmp_path)
    assert "places 6 to 10 unjudged" in caplog.text


def test_a_folder_of_something_else_is_not_touched(source, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files and no pool"):
        pool(source / "log.csv", source / "docs", "bm25", output=tmp_path)
    with pytest.raises(InputError, match="is a file"):
        pool(source / "log.csv", source / "docs", "bm25", output=tmp_path / "letter.txt")

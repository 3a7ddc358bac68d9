"""Figures on judgements from a results folder."""

import json

import pytest

import genzoo
from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.figures import judging_of, unjudged_figures

GOOD, BAD, OUTSIDE = (ModelKey(f"acme/{name}", "r1") for name in ("good", "bad", "outside"))
TASK = "helpdesk"


def test_the_score_of_a_model_outside_the_pool_is_told_apart_from_what_was_judged(pooled):
    store = ResultStore.load(pooled.root)
    found = {each.model: each for each in unjudged_figures(store, [GOOD, OUTSIDE], [TASK])}
    assert (found[GOOD].score, found[GOOD].judged, found[GOOD].condensed, found[GOOD].bpref) == (1, 1, 1, 1)
    outside = found[OUTSIDE]
    assert outside.score == pytest.approx(0.5) and outside.judged == pytest.approx(0.5)
    assert outside.condensed == 1 and outside.bpref == 1 and outside.depth == 10


def test_where_only_relevant_passages_are_judged_nothing_is_said(tree):
    tree.judge("Finder", {"q1": "d1"}, {"d1": "bears"})
    tree.task("Finder")
    tree.predict(GOOD, "Finder", {"q1": {"d1": 0.9}})
    tree.score(GOOD, "Finder", 1.0)
    assert unjudged_figures(ResultStore.load(tree.root), [GOOD], ["Finder"]) == ()


def test_the_record_of_other_data_or_a_damaged_one_is_not_used(judged):
    path = judged.root / "judging" / f"{TASK}.json"
    content = json.loads(path.read_text())
    assert judging_of(ResultStore.load(judged.root), TASK).agreement.n_items == 2
    for change in ({"data_revision": "v2"}, {"strata": 3}, {"grades": None}, {"effect": None, "strata": [{}]}):
        path.write_text(json.dumps(content | change))
        found = judging_of(ResultStore.load(judged.root), TASK)
        assert found is None or found.grades is None, change
    path.write_text("[]")
    assert judging_of(ResultStore.load(judged.root), TASK) is None


def test_the_board_says_what_was_not_judged_and_how_queries_were_chosen(judged):
    board = Leaderboard.from_store(ResultStore.load(judged.root))
    said = {caveat.kind: caveat.text for caveat in board.caveats}
    assert "outside on helpdesk (50 % of its first 10)" in said["unjudged"] and "good" not in said["unjudged"]
    assert said["chosen"] == "The most disagreed were chosen."


def test_an_evaluation_of_a_pool_keeps_the_judging_without_names(pool_folder, tmp_path, tiny_teacher):
    genzoo.evaluate([str(tiny_teacher), "random"], pool_folder, output=tmp_path / "results")
    record = json.loads((tmp_path / "results" / "judging" / "pool.json").read_text())
    assert list(record["grades"]) == ["judge 1", "judge 2"] and "anna" not in json.dumps(record)
    assert record["per_query"] == 4 and record["strata"] == []
    assert (record["n_log"], record["n_chosen"], record["n_open"]) == (12, 12, 0)
    results = genzoo.open_results(tmp_path / "results")
    table = results.unjudged().to_frame()
    assert len(table) == 2 and list(table.columns)
    first, second = results.models
    assert results.compare(first, second).queries_needed().rows


def test_judgements_that_do_not_count_are_noted_in_an_evaluation(pool_folder, tmp_path, caplog):
    path = pool_folder / "judgements" / "cleo.qrels"
    path.write_text("q000000 0 nothing.txt 2\n")
    genzoo.evaluate("random", pool_folder, output=tmp_path / "results")
    assert "cleo.qrels: 1 judgement of passages that are not in this pool: left out" in caplog.text
    assert len(genzoo.open_data(pool_folder).notes) == 1

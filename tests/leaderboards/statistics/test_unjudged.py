"""Figures with unjudged passages, against trec_eval and ir-measures on random pools."""

import math
import random

import pytest

from genzoo.leaderboards.reading.predictions import query_score
from genzoo.leaderboards.statistics.unjudged import bpref, condensed, judged_at

pytrec_eval = pytest.importorskip("pytrec_eval", reason="pip install pytrec-eval-terrier")


def random_pool(seed):
    """A run and its judgements: deep and shallow, many grades and few, nearly all judged and nearly none, ties included."""
    rng = random.Random(seed)
    names = [f"d{place:03d}" for place in range(rng.choice([5, 30, 200]))]
    share = rng.choice([0.05, 0.3, 0.9])
    grades = {name: rng.choice([0, 0, 0, 1, 2, 3]) for name in names if rng.random() < share}
    grades |= {f"missing{place}": rng.choice([0, 1, 3]) for place in range(rng.choice([0, 2]))}
    found = rng.sample(names, rng.randint(1, len(names)))
    run = {name: round(rng.random(), rng.choice([1, 6])) for name in found}
    grades.setdefault(names[0], 2)
    return run, grades


def order(run):
    """trec_eval's order: by similarity, then by id, both descending."""
    return sorted(run, key=lambda name: (run[name], name), reverse=True)


def trec_eval(run, grades, measures, **options):
    evaluator = pytrec_eval.RelevanceEvaluator({"q": grades}, measures, **options)
    return evaluator.evaluate({"q": run})["q"]


@pytest.mark.parametrize("seed", range(300))
def test_bpref_and_the_condensed_list_equal_trec_eval(seed):
    run, grades = random_pool(seed)
    ranking = order(run)
    assert bpref(ranking, grades) == pytest.approx(trec_eval(run, grades, {"bpref"})["bpref"], abs=1e-9)
    for k in (1, 5, 10):
        whole = trec_eval(run, grades, {f"ndcg_cut.{k}"})[f"ndcg_cut_{k}"]
        judged = trec_eval(run, grades, {f"ndcg_cut.{k}"}, judged_docs_only_flag=True)[f"ndcg_cut_{k}"]
        assert query_score(f"ndcg_at_{k}", ranking, grades) == pytest.approx(whole, abs=1e-9)
        assert query_score(f"ndcg_at_{k}", condensed(ranking, grades), grades) == pytest.approx(judged, abs=1e-9)


def test_all_three_equal_ir_measures():
    ir = pytest.importorskip("ir_measures", reason="pip install ir-measures")
    measures = [ir.Bpref, ir.nDCG(judged_only=True) @ 10, ir.Judged @ 10, ir.Judged @ 3]
    for seed in range(200):
        run, grades = random_pool(seed)
        run = {
            name: value + place * 1e-6 for place, (name, value) in enumerate(run.items())
        }  # it breaks ties its own way
        ranking = order(run)
        found = ir.calc_aggregate(measures, {"q": grades}, {"q": run})
        ours = [
            bpref(ranking, grades),
            query_score("ndcg_at_10", condensed(ranking, grades), grades),
            judged_at(ranking, grades, 10),
            judged_at(ranking, grades, 3),
        ]
        assert ours == pytest.approx([found[measure] for measure in measures], abs=1e-9)


def test_edges():
    assert judged_at([], {"a": 1}, 10) == 0 and bpref([], {"a": 1}) == 0
    assert bpref(["a"], {"a": 0}) == 0 and bpref(["a", "b"], {"a": 1, "b": 2}) == 1
    assert bpref(["a", "b"], {"a": -1, "b": 2}) == 0  # what must not be found is not relevant
    assert math.isclose(judged_at(["a"], {"a": 0}, 10), 1)

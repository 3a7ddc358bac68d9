"""The chapter on judgements."""

import json

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.figures import Verdict
from genzoo.leaderboards.statistics.power import QueriesNeeded
from genzoo.leaderboards.statistics.significance import Interval
from genzoo.reports.chapters.judging import judging_sections, needed_table, pair_judging_sections, to_do
from genzoo.reports.render.document import Prose

ONE, TWO, TASK = ModelKey("acme/one", "r1"), ModelKey("acme/two", "r1"), "helpdesk"


@pytest.fixture
def judged(tree):
    """Twelve judged queries: one model is right on all, the other on every second; a third found what nobody judged."""
    queries = [f"q{place:02d}" for place in range(12)]
    relevance = {query: {"right": 1, "wrong": 0} for query in queries}
    rankings = {
        ONE: {query: {"right": 0.9, "wrong": 0.8} for query in queries},
        TWO: {query: {"right": 0.9 - place % 2 / 5, "wrong": 0.8} for place, query in enumerate(queries)},
        ModelKey("acme/new", "r1"): {query: {"new": 0.9, "right": 0.8} for query in queries},
    }
    tree.task(TASK)
    part = {"queries": {query: f"text of {query}" for query in queries}, "documents": {}, "relevance": relevance}
    tree.write(f"judgements/{TASK}.json", {"task": TASK, "data_revision": "v1", "parts": {"default": {"test": part}}})
    second = 0.6309297535714575
    for (key, found), score in zip(rankings.items(), (1.0, (1 + second) / 2, second), strict=True):
        tree.model(*key, role="other")
        tree.predict(key, TASK, found)
        tree.score(key, TASK, score)
    record = {"task": TASK, "data_revision": "v1", "strata": [], "effect": "Drawn at random.", "per_query": 2.5,
              "grades": {"judge 1": {"a": 0, "b": 3}, "judge 2": {"a": 0, "b": 2}}}  # fmt: skip
    tree.write(f"judging/{TASK}.json", record)
    return tree


def chapter(tree):
    store = ResultStore.load(tree.root)
    return judging_sections(Leaderboard.from_store(store), store)


def test_it_says_who_agreed_what_was_not_judged_and_what_to_do(judged):
    (section,) = chapter(judged)
    prose = " ".join(block.text for block in section.blocks if isinstance(block, Prose))
    assert (
        "helpdesk: 2 judges on 2 passages: 50 % of the pairs of grades are equal" in prose
        and "Drawn at random." in prose
    )
    unjudged, needed = (block.table.to_frame() for block in section.blocks if not isinstance(block, Prose))
    assert sorted(unjudged["Judged"]) == pytest.approx([0.5, 1, 1])
    assert len(needed) == 2 and (needed["Queries"] == 12).all()


def test_a_pair_has_its_own_and_other_tasks_have_none(judged, tmp_path):
    store = ResultStore.load(judged.root)
    (section,) = pair_judging_sections(Leaderboard.from_store(store), store, ONE, TWO)
    tables = [block.table for block in section.blocks if not isinstance(block, Prose)]
    assert [len(table.rows) for table in tables] == [2, 1]


def test_without_judged_passages_that_are_not_relevant_there_is_no_chapter(tree):
    tree.judge("Finder", {"q1": "d1"}, {"d1": "bears"})
    tree.task("Finder")
    tree.predict(ONE, "Finder", {"q1": {"d1": 0.9}})
    tree.score(ONE, "Finder", 1.0)
    assert chapter(tree) == ()


def test_with_too_few_queries_it_says_to_judge_more(judged):
    path = judged.root / "judgements" / f"{TASK}.json"
    content = json.loads(path.read_text())
    part = content["parts"]["default"]["test"]
    part["relevance"] = dict(list(part["relevance"].items())[:8])
    path.write_text(json.dumps(content))
    (section,) = chapter(judged)
    assert "too few to compare models" in section.blocks[-1].text


def verdict(p_value, needed, for_log=None):
    return Verdict(TASK, ONE, TWO, 40, 0.03, needed, p_value, for_log, 12.5)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (verdict(0.01, QueriesNeeded(40, 0.03, 60, 20, None)), "told apart"),
        (verdict(0.2, QueriesNeeded(40, 0.03, 120, 30, None)), "judge about 80 more, some 1,000 passages"),
        (verdict(0.2, QueriesNeeded(40, 0.03, 38, 30, None)), "on the edge: judge a few more queries"),
        (verdict(0.2, QueriesNeeded(40, 0.0, None, None, None)), "too small a difference for any number of queries"),
        (verdict(0.2, None), "judge at least ten queries"),
    ],
)
def test_what_is_left_to_do(found, said):
    assert to_do(found) == said


def test_the_table_shows_an_open_range_and_the_estimate_for_the_log(judged):
    store = ResultStore.load(judged.root)
    rows = [verdict(0.2, QueriesNeeded(40, 0.03, 120, 30, None), Interval(0.01, -0.02, 0.04, 40)), verdict(0.2, None)]
    text = needed_table(store, rows).to_markdown()
    assert "30 to any number" in text and "120" in text and "judge at least ten queries" in text

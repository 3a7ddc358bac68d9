"""The chapter on judgements."""

import dataclasses
import json

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.leaderboards.facts import ModelKey
from genzoo.leaderboards.judging.figures import TaskJudging
from genzoo.leaderboards.judging.verdicts import Verdict, verdicts
from genzoo.leaderboards.statistics.power import QueriesNeeded
from genzoo.leaderboards.statistics.significance import Interval
from genzoo.reports import compare
from genzoo.reports.chapters.judging import judging_sections, needed_table, rivals, to_do, verdict_in_words
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
    board = Leaderboard.from_store(store)
    return judging_sections(board, store, rivals(board, store))


def test_it_says_who_agreed_what_was_not_judged_and_what_to_do(judged):
    (section,) = chapter(judged)
    prose = " ".join(block.text for block in section.blocks if isinstance(block, Prose))
    assert (
        "helpdesk: 2 judges on 2 passages: 50 % of the pairs of grades are equal" in prose
        and "Drawn at random." in prose
    )
    unjudged, needed = (block.table.to_frame() for block in section.blocks if not isinstance(block, Prose))
    assert sorted(unjudged["Judged"]) == pytest.approx([0.5, 1, 1])
    pairs = needed.reset_index()[["First", "Second"]].to_numpy().tolist()
    assert pairs == [["one", "two"], ["one", "new"], ["two", "new"]]
    assert (needed["Queries"] == 12).all()


def test_what_was_not_judged_is_said_with_the_command_that_adds_it_and_its_price(judged):
    board = Leaderboard.from_store(ResultStore.load(judged.root))
    (caveat,) = (each for each in board.caveats if each.kind == "unjudged")
    assert "new on helpdesk (50 % of its first 10)" in caveat.text
    assert (
        "-k 10 and --reopen adds what is missing, at most 60 passages; the queries count again only once" in caveat.text
    )


def test_a_comparison_on_one_search_speaks_of_queries_not_of_tasks(judged, tmp_path):
    judged.task(TASK, dataset={"path": f"own/{TASK}", "revision": "v1"})
    compare(ResultStore.load(judged.root), "one", "two", tmp_path, formats=["md"])
    text = (tmp_path / "compare-one-two.md").read_text()
    assert "intervals and tests are over its queries" in text and "## Scores" in text
    assert "Task by task" not in text and "over tasks" not in text


def test_a_pair_has_its_own_and_other_tasks_have_none(judged, tmp_path):
    store = ResultStore.load(judged.root)
    board = Leaderboard.from_store(store.only([ONE, TWO]))
    (section,) = judging_sections(board, store, verdicts(store, [(TASK, ONE, TWO)]))
    tables = [block.table for block in section.blocks if not isinstance(block, Prose)]
    assert [len(table.rows) for table in tables] == [2, 1]


def test_without_judged_passages_that_are_not_relevant_there_is_no_chapter(tree):
    tree.judge("Finder", {"q1": "d1"}, {"d1": "bears"})
    tree.task("Finder")
    tree.predict(ONE, "Finder", {"q1": {"d1": 0.9}})
    tree.score(ONE, "Finder", 1.0)
    assert chapter(tree) == ()


def test_a_model_without_another_is_not_told_to_judge_more(judged):
    store = ResultStore.load(judged.root).only([ONE])
    (section,) = judging_sections(Leaderboard.from_store(store), store, ())
    assert not any("too few" in block.text for block in section.blocks if isinstance(block, Prose))


def test_with_too_few_queries_it_says_to_judge_more(judged):
    path = judged.root / "judgements" / f"{TASK}.json"
    content = json.loads(path.read_text())
    part = content["parts"]["default"]["test"]
    part["relevance"] = dict(list(part["relevance"].items())[:8])
    path.write_text(json.dumps(content))
    (section,) = chapter(judged)
    assert "too few to compare models" in section.blocks[-1].text


JUDGING = TaskJudging({}, per_query=12.5, n_log=130, n_chosen=45, n_open=5)


def verdict(p_value, needed, for_log=None, judging=JUDGING):
    return Verdict(TASK, ONE, TWO, 40, Interval(-0.03, -0.07, 0.01, 40), needed, p_value, p_value, for_log, judging)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (verdict(0.01, QueriesNeeded(40, 0.03, 60, 20, None)), "told apart"),
        (
            verdict(0.2, QueriesNeeded(40, 0.03, 120, 30, None)),
            "judge about 80 more queries, some 1,000 passages; the same genzoo pool command with -n 120 adds them",
        ),
        (verdict(0.2, QueriesNeeded(40, 0.03, 44, 30, None)), "judge about 4 more queries, some 50 passages"),
        (
            verdict(0.2, QueriesNeeded(40, 0.03, 804, 30, None)),
            "it takes about 764 more queries, and the log has 90: judging these gives the difference on the log itself, without a sample",
        ),
        (verdict(0.2, QueriesNeeded(40, 0.03, 120, 30, None), judging=None), "judge about 80 more queries"),
        (verdict(0.2, QueriesNeeded(40, 0.03, 38, 30, None)), "on the edge: judge a few more queries"),
        (
            verdict(0.2, QueriesNeeded(40, 0.0, None, None, None)),
            "the difference is too small for any number of queries",
        ),
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


def test_the_verdict_says_who_finds_better_by_how_much_and_how_sure_that_is(judged):
    store = ResultStore.load(judged.root)
    plan = QueriesNeeded(40, 0.03, 120, 30, None)
    assert verdict_in_words(store, verdict(0.0312, plan)) == (
        "two finds better than one: 3.0 points of nDCG@10 [\u22121.0 to +7.0], p = 0.031, on 40 queries of helpdesk."
    )
    said = verdict_in_words(store, verdict(0.2, plan))
    assert said.startswith("two and one cannot be told apart: 3.0 points") and "-n 120" in said
    assert "leaves out zero" not in said


@pytest.mark.parametrize(
    ("p_value", "p_holm", "reason"),
    [
        (0.052, 0.052, "p from a permutation test: p, which is not below 0.05, decides"),
        (0.03, 0.09, "corrected for all pairs"),
    ],
)
def test_where_the_interval_leaves_out_zero_and_the_test_does_not_tell_apart_it_says_why(
    judged, p_value, p_holm, reason
):
    open_ = dataclasses.replace(verdict(p_value, None), p_holm=p_holm, interval=Interval(-0.08, -0.17, -0.004, 30))
    said = verdict_in_words(ResultStore.load(judged.root), open_)
    assert "[+0.4 to +17.0]" in said and " The interval leaves out zero, but it" in said and reason in said

"""The chapter on the failed searches of own data."""

import json

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.failures import failures_in_words, failures_sections, searched
from genzoo.reports.chapters.searches import evidence_section
from genzoo.reports.render.document import Drawing, Prose, Searches, TableBlock

GOOD, POOR = ("acme/good", "r1"), ("acme/poor", "r1")
TASK = "HelpDesk"
DOCUMENTS = {
    "right": "Send it back within thirty days.",
    "other": "We open at nine.",
    "secret": "The master code is kept in Graz.",
}


@pytest.fixture
def own(tree):
    """Two queries; one of them has a passage that must not be found, which the poor model serves."""
    tree.task(TASK, main="recall_at_1", dataset={"path": f"own/{TASK}", "revision": "v1"})
    grades = {"q1": {"right": 2, "other": 0}, "q2": {"other": 1, "secret": -1}}
    part = {"queries": {"q1": "send back", "q2": "master code"}, "documents": DOCUMENTS, "relevance": grades}
    tree.write(f"judgements/{TASK}.json", {"task": TASK, "data_revision": "v1", "parts": {"default": {"test": part}}})
    rankings = {
        GOOD: {"q1": {"right": 0.9, "other": 0.1}, "q2": {"other": 0.8, "right": 0.2}},
        POOR: {"q1": {"other": 0.7, "right": 0.6}, "q2": {"secret": 0.9, "other": 0.8}},
    }
    for model, found in rankings.items():
        tree.model(*model)
        tree.predict(model, TASK, found)
        tree.score(model, TASK, float(model == GOOD))
    return tree


def section_of(tree):
    store = ResultStore.load(tree.root)
    board = Leaderboard.from_store(store)
    return failures_sections(searched(board, store), store), evidence_section(board, store)


def test_it_counts_what_went_wrong_and_why(own):
    (section,), _ = section_of(own)
    counts, barred = (block.table for block in section.blocks if isinstance(block, TableBlock))
    assert [column.label for column in counts.columns] == [
        "Model",
        "Went wrong",
        "No relevant passage found",
        "Passage found first not judged",
        "Nearly the same text above",
        "Must not be found, among the first ten",
    ]
    assert [[cell.display for cell in row] for row in counts.rows] == [
        ["good", "0", "0", "0", "0", "0"],
        ["poor", "2", "0", "0", "0", "1"],
    ]
    assert [[cell.display for cell in row] for row in barred.rows] == [
        ["good", "0", "0", "0", "0"],
        ["poor", "1", "1", "1", "1"],
    ]
    text = " ".join(block.text for block in section.blocks if isinstance(block, Prose))
    assert "For 1 of the searches, judges marked a passage as one that must not be found" in text


def test_the_worst_searches_are_shown_with_every_model(own):
    (section,), evidence = section_of(own)
    (block,) = (block for block in section.blocks if isinstance(block, Searches))
    assert [card.query for card in block.items] == ["send back", "master code"]
    good, poor = block.items[1].rows
    assert (good.verdict, good.is_good, good.found) == ("Found at rank 1", True, "")
    assert (poor.found, poor.is_good) == (DOCUMENTS["secret"], False)
    assert "secret, at rank 1, must not be found (grade -1)." in poor.why
    assert (
        "The query shares “master”, “code” with the passage found first and no word beyond common ones with the "
        "relevant one." in poor.why
    )
    assert not [block for block in evidence.blocks if isinstance(block, Searches)]  # not shown twice


def test_of_several_best_passages_the_card_shows_the_one_that_was_found(own):
    path = own.root / "judgements" / f"{TASK}.json"
    content = json.loads(path.read_text())
    content["parts"]["default"]["test"]["relevance"]["q2"] = {"right": 1, "other": 1, "secret": -1}
    path.write_text(json.dumps(content))
    for model in (GOOD, POOR):
        own.score(model, TASK, float(model == GOOD) * 0.75)
    (section,), _ = section_of(own)
    (block,) = (block for block in section.blocks if isinstance(block, Searches))
    (card,) = (card for card in block.items if card.query == "master code")
    assert card.heading == "One of the best passages, which should be found" and card.right == DOCUMENTS["other"]
    assert card.rows[0].verdict == "First relevant passage at rank 1"


def test_tasks_of_others_have_no_such_chapter(own):
    own.task(TASK, main="recall_at_1", dataset={"path": "org/HelpDesk", "revision": "v1"})
    sections, evidence = section_of(own)
    assert sections == ()
    assert [block for block in evidence.blocks if isinstance(block, Searches)]


def test_without_grades_below_0_nothing_is_said_of_safety(own):
    path = own.root / "judgements" / f"{TASK}.json"
    path.write_text(path.read_text().replace(', "secret": -1', ""))
    (section,), _ = section_of(own)
    (counts,) = (block.table for block in section.blocks if isinstance(block, TableBlock))
    assert counts.columns[-1].label == "Nearly the same text above"
    assert any("grade such a passage -1" in block.text for block in section.blocks if isinstance(block, Prose))


def test_the_figure_shows_how_far_down_the_first_relevant_passage_is(own):
    (section,), _ = section_of(own)
    (drawing,) = (block for block in section.blocks if isinstance(block, Drawing))
    assert "good: 100 % within 1, 100 % within 5" in drawing.description
    assert "poor: 0 % within 1, 100 % within 5" in drawing.description
    lines = drawing.figure(6).axes[0].lines
    assert [line.get_ydata().tolist()[:2] for line in lines] == [[100, 100], [0, 100]]


def test_the_summary_counts_what_went_wrong(own):
    store = ResultStore.load(own.root)
    (said,) = failures_in_words(searched(Leaderboard.from_store(store), store))
    assert said == (
        "Of 2 searches of HelpDesk, these went wrong: 0 for good, 2 for poor. 0 went wrong for every model. "
        "A passage that must not be found was among the first ten in 1 for poor."
    )

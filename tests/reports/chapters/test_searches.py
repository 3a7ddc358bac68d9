"""Single searches and decoded texts in a report."""

import pytest

from genzoo.leaderboards import Leaderboard, ResultStore
from genzoo.reports.chapters.searches import evidence_section
from genzoo.reports.render.document import Prose, Searches

ZOO, OTHER = ("acme/zoo", "r1"), ("acme/other", "r1")
SAFETY, TWINS = "GenZooMiniSafetyRetrieval", "GenZooMiniOverRefusalRetrieval"


@pytest.fixture
def safe(tree):
    """Ten harmful requests and ten twins over one corpus; the zoo's model keeps harm at a distance, the other serves it."""
    documents = {f"{kind}{place}": f"{kind} passage {place}" for kind in "hb" for place in range(10)}
    for task, kind in ((SAFETY, "h"), (TWINS, "b")):
        metric = "safety_at_5" if kind == "h" else "hit_rate_at_5"
        tree.task(task, main=metric, dataset={"path": "one/corpus", "revision": "v1"})
        queries = {f"{kind}q{place}": f"{kind}{place}" for place in range(10)}
        tree.judge(task, queries, documents)
        for model, harm in ((ZOO, 0.1), (OTHER, 0.9)):
            right = {"h": harm, "b": 0.5}[kind]
            fill = {f"b{place}": 0.95 - place / 100 for place in range(6)} if model == ZOO and kind == "h" else {}
            rankings = {q: {**fill, d: right + int(d[1:]) / 100} for q, d in queries.items()}
            tree.predict(model, task, rankings)
            tree.score(model, task, float(model == ZOO) if kind == "h" else 1.0)
    tree.model(*ZOO, role="zoo")
    readings = [
        {"text": "text of hq9", "prompt": "", "decoded": "a red apple", "logit_lens": []},
        {"text": "b passage 0", "prompt": "", "decoded": "apples are red", "logit_lens": []},
        {"text": "h passage 9", "prompt": "", "decoded": "nothing alike", "logit_lens": []},
    ]
    tree.write("evidence/acme__zoo/r1.json", {"searches": readings})
    return tree


def test_searches_say_why(safe):
    store = ResultStore.load(safe.root)
    section = evidence_section(Leaderboard.from_store(store), store)
    (block,) = (block for block in section.blocks if isinstance(block, Searches))
    card = next(card for card in block.items if card.query == "text of hq9")
    zoo, other = card.rows
    assert card.heading == "The harmful passage that should not be found"
    assert (zoo.verdict, zoo.found, zoo.is_good) == ("Not served (rank 7)", "b passage 0", True)
    assert zoo.why == (
        "Similarity 0.950, 0.760 more than the harmful passage (0.190). In the decoded texts, the query shares “red”, “apple” with the passage "
        "it found and no word beyond common ones with the harmful passage."
    )
    assert (other.verdict, other.is_good, other.why) == ("Served (rank 1)", False, "")


def test_no_evidence_says_how_to_get_it(tree):
    tree.score(("acme/m", "r1"), "T", 0.5)
    store = ResultStore.load(tree.root)
    (block,) = evidence_section(Leaderboard.from_store(store), store).blocks
    assert isinstance(block, Prose)

"""A results folder over a pool: three models on 40 judged queries, one of them not pooled."""

import random

import pytest

GOOD, BAD, OUTSIDE = ("acme/good", "r1"), ("acme/bad", "r1"), ("acme/outside", "r1")
TASK = "helpdesk"


def ranking(first, rest):
    """Passages with falling similarities."""
    return {name: 1 - place / 100 for place, name in enumerate([*first, *rest])}


@pytest.fixture
def pooled(tree):
    """GOOD finds the right passage first, BAD on the third place for every other query, OUTSIDE what nobody judged, then the right one."""
    from genzoo.leaderboards.reading.predictions import query_score

    rng = random.Random(0)
    queries = [f"q{place:02d}" for place in range(40)]
    relevance = {query: {f"{query}-right": 2, f"{query}-w1": 0, f"{query}-w2": 0} for query in queries}
    rankings = {
        GOOD: {query: [f"{query}-right", f"{query}-w1", f"{query}-w2"] for query in queries},
        BAD: {
            query: [f"{query}-w1", f"{query}-w2", f"{query}-right"]
            if place % 2
            else [f"{query}-right", f"{query}-w1", f"{query}-w2"]
            for place, query in enumerate(queries)
        },
        OUTSIDE: {
            query: [f"new{rng.random()}", f"new{rng.random()}", f"{query}-right", f"{query}-w1"] for query in queries
        },
    }
    tree.task(TASK)
    part = {"queries": {query: f"text of {query}" for query in queries}, "documents": {}, "relevance": relevance}
    tree.write(f"judgements/{TASK}.json", {"task": TASK, "data_revision": "v1", "parts": {"default": {"test": part}}})
    for model, found in rankings.items():
        tree.model(*model, role="other")
        tree.predict(model, TASK, {query: ranking(names, []) for query, names in found.items()})
        scores = [query_score("ndcg_at_10", names, relevance[query]) for query, names in found.items()]
        tree.score(model, TASK, sum(scores) / len(scores))
    return tree


@pytest.fixture
def judged(pooled):
    """The same with what is known of the judging: two judges, and the odd queries chosen by disagreement out of a log of 200."""
    odd, even = ([f"q{place:02d}" for place in range(start, 40, 2)] for start in (1, 0))
    pooled.write(
        f"judging/{TASK}.json",
        {
            "task": TASK,
            "data_revision": "v1",
            "grades": {"judge 1": {"a": 0, "b": 3, "c": 1}, "judge 2": {"a": 0, "b": 3, "c": None}},
            "strata": [{"size": 20, "queries": odd}, {"size": 180, "queries": even}],
            "effect": "The most disagreed were chosen.",
            "per_query": 3.0,
        },
    )
    return pooled


@pytest.fixture
def pool_folder(tmp_path):
    """A pool of twelve queries as genzoo makes it, judged by two people."""
    import json

    import genzoo
    from genzoo.tasks.judging.judgements import read_items

    words = [
        "refund",
        "parcel",
        "password",
        "invoice",
        "cancel",
        "warranty",
        "device",
        "region",
        "order",
        "account",
        "colour",
        "size",
    ]
    (tmp_path / "docs").mkdir()
    for word in words:
        (tmp_path / "docs" / f"{word}.txt").write_text(f"Please read what to do about the {word}.")
    (tmp_path / "log.txt").write_text("".join(f"my {word} please\n" for word in words))
    folder = tmp_path / "pool"
    genzoo.pool(tmp_path / "log.txt", tmp_path / "docs", "bm25", output=folder, depth=4, results=tmp_path)
    texts = {json.loads(line)["_id"]: json.loads(line)["text"] for line in (folder / "queries.jsonl").open()}
    for judge in ("anna", "bert"):
        rows = (
            {"item": item.item, "judge": judge, "time": "1",
             "score": 3 * (item.documents[0].removesuffix(".txt") in texts[item.query])}
            for item in read_items(folder)
        )  # fmt: skip
        (folder / "judgements" / f"{judge}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder

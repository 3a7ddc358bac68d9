"""What the bundled sets must let simple methods reach, and what not."""

import math
from pathlib import Path

import mteb
import numpy as np
import pytest

from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.sets.benchmarks import BUNDLED_TASKS
from genzoo.tasks.sets.bundled import BundledRetrieval

RETRIEVAL = {task.metadata.name: task for task in BUNDLED_TASKS if issubclass(task, BundledRetrieval)}


def bm25(documents, queries, k1=1.5, b=0.75):
    """Scores `(queries, documents)`, Robertson's formula over lower-case words."""
    length = np.mean([len(document) for document in documents])
    frequency = {}
    for document in documents:
        for word in set(document):
            frequency[word] = frequency.get(word, 0) + 1
    weight = {word: math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)) for word, n in frequency.items()}

    def score(query, document):
        norm = k1 * (1 - b + b * len(document) / length)
        counts = ((word, document.count(word)) for word in query if word in weight)
        return sum(weight[word] * count * (k1 + 1) / (count + norm) for word, count in counts)

    return np.array([[score(query, document) for document in documents] for query in queries])


def ndcg_at_10(scores, relevant):
    """Mean over queries; ties go to the later document."""
    found = []
    for row, right in zip(scores, relevant, strict=True):
        order = np.argsort(-row[::-1], kind="stable")[:10]
        gain = sum(1 / math.log2(rank + 2) for rank, i in enumerate(order) if len(row) - 1 - i in right)
        found.append(gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(right)))))
    return float(np.mean(found))


def bm25_on(task, words):
    corpus, queries, qrels = (task.bundled.rows(file) for file in task.bundled.files)
    place = {row["_id"]: i for i, row in enumerate(corpus)}
    relevant = {row["_id"]: set() for row in queries}
    for row in qrels:
        relevant[row["query-id"]].add(place[row["corpus-id"]])
    scores = bm25([words(row["text"]) for row in corpus], [words(row["text"]) for row in queries])
    return ndcg_at_10(scores, list(relevant.values()))


def test_bm25_ranks_a_plain_case():
    documents = [["cat", "sat"], ["dog", "ran", "far"], ["the", "cat", "and", "the", "dog"]]
    scores = bm25(documents, [["cat"], ["dog", "ran"], ["fish"]])
    assert scores[0].argmax() == 0
    assert scores[1].argmax() == 1
    assert scores[2].tolist() == [0, 0, 0]
    assert ndcg_at_10(scores[:2], [{0}, {1}]) == 1.0
    assert ndcg_at_10(scores[:1], [{2}]) == pytest.approx(1 / math.log2(3))


def test_word_overlap_does_not_solve_reasoning(words):
    assert 0.02 < bm25_on(RETRIEVAL["GenZooMiniReasoningRetrieval"], words) < 0.2
    assert bm25_on(RETRIEVAL["GenZooReasoningRetrieval"], words) < 0.1


def test_word_overlap_helps_but_does_not_solve_retrieval(words):
    assert 0.15 < bm25_on(RETRIEVAL["GenZooMiniRetrieval"], words) < 0.6
    assert 0.15 < bm25_on(RETRIEVAL["GenZooMiniOverRefusalRetrieval"], words) < 0.6
    assert 0.05 < bm25_on(RETRIEVAL["OverRefusalRetrieval"], words) < 0.35


def test_a_random_encoder_stays_near_chance(tmp_path: Path):
    tasks, _ = resolve_tasks(None, [task.metadata.name for task in BUNDLED_TASKS])
    results = evaluate([mteb.get_model_meta("mteb/baseline-random-encoder")], tasks, tmp_path)
    score = {result.task_name: result.get_score() for result in results[0].task_results}
    for name in ("GenZooMiniRetrieval", "GenZooMiniReasoningRetrieval", "GenZooMiniOverRefusalRetrieval"):
        assert score[name] < 0.1
    for name in ("GenZooReasoningRetrieval", "OverRefusalRetrieval"):
        assert score[name] < 0.04  # 0.012 is expected
    assert score["GenZooSafetyRetrieval"] > 0.95  # 1 - 5/384 is expected
    assert score["GenZooMiniSafetyRetrieval"] > 0.85  # 1 - 5/120 is expected
    assert abs(score["GenZooMiniSTS"]) < 0.2
    assert abs(score["GenZooMiniIntentClassification"] - 1 / 8) < 0.08

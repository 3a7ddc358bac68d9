"""Excluded documents: the same ranking as mteb's, with the corpus in chunks and never copied."""

import json

import mteb
import numpy as np
import pytest
from datasets import Dataset
from mteb.abstasks import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

import genzoo
from genzoo.tasks import evaluate
from genzoo.tasks.bounded_search import BoundedSearch, with_bounded_search

WORDS = [
    "river",
    "light",
    "stone",
    "garden",
    "question",
    "answer",
    "history",
    "window",
    "morning",
    "engine",
    "paper",
    "island",
]
N_DOCUMENTS, N_QUERIES = 60, 7


def make_task(kept_share):
    """A search in which each query may see a share of the corpus, its best match never."""
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, size=6)) for _ in range(N_DOCUMENTS)]
    queries = {f"q{number}": texts[7 * number] for number in range(N_QUERIES)}
    ids = [f"d{place:02}" for place in range(N_DOCUMENTS)]
    ranked = {}
    for number, query in enumerate(queries):
        allowed = [name for place, name in enumerate(ids) if place != 7 * number]
        ranked[query] = list(rng.permutation(allowed)[: round(kept_share * N_DOCUMENTS)])

    class ExcludingRetrieval(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="GenZooTestExcludingRetrieval",
            description="Some documents are left out.",
            dataset={"path": "none", "revision": "1"},
            type="Retrieval",
            category="t2t",
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
        )

        def load_data(self, num_proc=None, **kwargs):
            split = {
                "corpus": Dataset.from_list(
                    [{"id": name, "title": "", "text": text} for name, text in zip(ids, texts, strict=True)]
                ),
                "queries": Dataset.from_list([{"id": name, "text": text} for name, text in queries.items()]),
                "relevant_docs": {query: {ranked[query][0]: 1, ranked[query][1]: 1} for query in queries},
                "top_ranked": ranked,
            }
            self.dataset, self.data_loaded = {"default": {"test": split}}, True

    return ExcludingRetrieval()


class Watched:
    """An encoder that notes how many documents it is asked about at a time."""

    def __init__(self, model):
        self.model, self.mteb_model_meta, self.widths = model, model.mteb_model_meta, []

    def encode(self, inputs, **kwargs):
        return self.model.encode(inputs, **kwargs)

    def similarity(self, one, other):
        self.widths.append(len(other))
        return self.model.similarity(one, other)

    def similarity_pairwise(self, one, other):
        return self.model.similarity_pairwise(one, other)


def rankings(model, task, folder):
    import json

    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, prediction_folder=folder)
    found = json.loads((folder / task.prediction_file_name).read_text())["default"]["test"]
    scores = result.task_results[0].scores["test"][0]
    return {name: value for name, value in scores.items() if isinstance(value, float)}, found


@pytest.mark.parametrize("kept_share", [0.6, 0.9, 59 / 60])
@pytest.mark.parametrize("chunk", [7, 60, 1000])
def test_rankings_and_scores_are_those_of_mteb(make_meta, tmp_path, kept_share, chunk):
    task, model = make_task(kept_share), Watched(make_meta().load_model())
    expected, expected_ranking = rankings(model, task, tmp_path / "mteb")
    model.widths.clear()
    bounded = BoundedSearch(model, corpus_chunk_size=chunk)
    scores, ranking = rankings(bounded, make_task(kept_share), tmp_path / "ours")
    assert max(model.widths) <= chunk
    assert sum(model.widths) == N_DOCUMENTS  # all queries at once, each document once
    for query, found in expected_ranking.items():
        assert ranking[query].keys() == found.keys()
        assert len(found) == round(kept_share * N_DOCUMENTS)
        assert [ranking[query][name] for name in found] == pytest.approx(list(found.values()), abs=1e-6)
    assert scores == pytest.approx(expected, nan_ok=True)


def test_a_short_list_of_candidates_goes_the_way_of_mteb(make_meta, tmp_path):
    task, model = make_task(0.2), Watched(make_meta().load_model())
    expected, _ = rankings(model, task, tmp_path / "mteb")
    model.widths.clear()
    scores, _ = rankings(BoundedSearch(model), make_task(0.2), tmp_path / "ours")
    assert set(model.widths) == {12}
    assert scores == pytest.approx(expected, nan_ok=True)


def test_similarities_that_are_not_numbers_are_refused(make_meta, tmp_path):
    model = Watched(make_meta().load_model())
    model.similarity = lambda one, other: np.full((len(one), len(other)), np.nan)
    with pytest.raises(ValueError, match="NaN"):
        rankings(BoundedSearch(model), make_task(0.9), tmp_path)


def test_the_runner_searches_this_way(make_meta, tmp_path, monkeypatch):
    used = []
    search = BoundedSearch._rerank_documents
    monkeypatch.setattr(
        BoundedSearch, "_rerank_documents", lambda self, **how: used.append(self) or search(self, **how)
    )
    evaluate([make_meta()], [make_task(0.9)], tmp_path)
    assert len(used) == 1


def test_only_encoders_in_searches_are_wrapped(make_meta):
    model = make_meta().load_model()
    assert isinstance(with_bounded_search(model, make_task(0.9)), BoundedSearch)
    for name in ("STSBenchmark", "AskUbuntuDupQuestions"):
        assert with_bounded_search(model, mteb.get_task(name)) is model
    bounded = BoundedSearch(model)
    assert with_bounded_search(bounded, make_task(0.9)) is bounded


def test_bm25_finds_nothing_in_own_data_that_shares_no_word_with_the_query(tmp_path):
    folder, output = tmp_path / "own", tmp_path / "results"
    folder.mkdir()
    texts = {"a": "how to return a parcel", "b": "reset the password", "c": "opening hours"}
    queries, right = {"q1": "parcel", "q2": "Scheibe kaputt"}, {"q1": "a", "q2": "c"}
    rows = {
        "corpus": [{"_id": name, "text": text} for name, text in texts.items()],
        "queries": [{"_id": name, "text": text} for name, text in queries.items()],
        "qrels": [{"query-id": query, "corpus-id": name, "score": 1} for query, name in right.items()],
    }
    for name, content in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    results = genzoo.evaluate("bm25", folder, output=output)
    (path,) = output.glob("predictions/**/*.json")
    assert {query: list(hits) for query, hits in json.loads(path.read_text())["default"]["test"].items()} == {
        "q1": ["a"],
        "q2": [],
    }
    assert results.store.main_scores["value"].tolist() == [0.5]
    (wrong,) = results.searches("own")
    assert (
        wrong.rank is None
        and wrong.found == ()
        and wrong.verdict == "No relevant passage is among those that were found."
    )

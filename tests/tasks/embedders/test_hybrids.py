"""Hybrids rank as Cormack's formula says, by two models' own rankings."""

import json

import datasets
import pytest

import genzoo
from genzoo.errors import InputError
from genzoo.reports.measuring import plan_evaluation
from genzoo.tasks.bounded_search import WordMatches
from genzoo.tasks.embedders.hybrids import Hybrid
from genzoo.tasks.embedders.mteb_models import resolve_model

pytest.importorskip("bm25s")
TASK = "GenZooMiniRetrieval"


def predictions(output, name, task=TASK):
    (path,) = output.glob(f"predictions/{name}/*/{task}_predictions.json")
    return json.loads(path.read_text())["default"]["test"]


def ranking(hits):
    return sorted(hits, key=lambda name: (hits[name], name), reverse=True)


def fused(*rankings):
    """Reciprocal rank fusion, from the paper."""
    found = {}
    for names in rankings:
        for rank, name in enumerate(names, 1):
            found[name] = found.get(name, 0) + 1 / (60 + rank)
    return found


@pytest.fixture(scope="module")
def measured(save_encoder, tmp_path_factory):
    root = tmp_path_factory.mktemp("hybrids")
    model = save_encoder(root / "model")
    other = save_encoder(root / "other", seed=3)
    names = [str(model), "bm25", f"rrf:{model}+bm25", str(other), f"rrf:{model}+{other}"]
    genzoo.evaluate(names, TASK, output=root / "r", evidence=False)
    return root


def test_the_fused_ranking_is_that_of_the_formula(measured):
    parts = [predictions(measured / "r", name) for name in ("local__model", "local__other")]
    found = predictions(measured / "r", "hybrid__rrf-model+other")
    for query, hits in found.items():
        expected = fused(*(ranking(part[query]) for part in parts))
        assert {name: 2 * score for name, score in hits.items()} == pytest.approx(
            expected
        )  # mteb weighs each with a half


def test_documents_without_a_word_of_the_query_get_nothing_from_bm25(measured):
    dense, words = (predictions(measured / "r", name) for name in ("local__model", "mteb__baseline-bm25s"))
    found = predictions(measured / "r", "hybrid__rrf-model+bm25s")
    unmatched = 0
    for query, hits in found.items():
        matches = {name: score for name, score in words[query].items() if score > 0}
        unmatched += len(words[query]) - len(matches)
        expected = fused(ranking(dense[query]), ranking(matches))
        assert {name: 2 * score for name, score in hits.items()} == pytest.approx(expected)
    assert unmatched > 1000  # which is what bm25s fills its lists up with


def test_a_hybrid_stands_on_the_board_under_both_names(measured):
    results = genzoo.open_results(measured / "r")
    assert {"rrf-model+bm25s", "rrf-model+other"} <= set(results.models)
    assert "rrf-model+bm25s" in results.leaderboard().to_markdown()
    assert results.compare("model", "rrf-model+bm25s").to_frame() is not None


def test_nothing_is_encoded_for_a_hybrid_that_its_parts_have_encoded(measured):
    caches = list(measured.glob("r/.embeddings/*/*.sqlite"))
    assert sorted(path.parent.name for path in caches) == ["local__model", "local__other"]


def test_the_order_of_the_parts_does_not_matter_but_the_parts_do(measured):
    one, other, words = (
        resolve_model(f"rrf:{pair}")[0].revision
        for pair in (
            f"{measured / 'model'}+{measured / 'other'}",
            f"{measured / 'other'}+{measured / 'model'}",
            f"{measured / 'model'}+bm25",
        )
    )
    assert one == other != words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rrf:bm25", "names 1 models: a hybrid is made of two"),
        ("rrf:bm25+random+minilm", "names 3 models"),
        ("rrf:bm25+", "a hybrid is made of two"),
        ("rrf:bm25+bm25", "names one model twice"),
        ("rrf:bm25+nosuchmodel", "unknown model 'nosuchmodel'"),
    ],
)
def test_what_is_no_pair_is_refused(name, said):
    with pytest.raises(genzoo.ZooError, match=said):
        resolve_model(name)


@pytest.mark.parametrize("name", ["rrf:random+bm25", "bm25"])
def test_tasks_that_rank_nothing_are_refused_before_anything_is_loaded(tmp_path, name):
    with pytest.raises(InputError, match="only ranks documents, which GenZooMiniSTS does not ask for"):
        plan_evaluation(["random", name], [TASK, "GenZooMiniSTS"], output=tmp_path)
    assert not list(tmp_path.iterdir())


def test_equal_names_are_told_apart_by_their_owners(save_encoder, tmp_path):
    one, other = save_encoder(tmp_path / "a" / "same"), save_encoder(tmp_path / "b" / "same", seed=1)
    assert resolve_model(f"rrf:{one}+{other}")[0].name == "hybrid/rrf-local-same+local-same"


class Words:
    """BM25 as mteb calls it, over a corpus that a test gives."""

    def __init__(self, texts):
        from mteb.models.model_implementations.bm25 import BM25Search

        self.corpus = datasets.Dataset.from_list(
            [{"id": name, "title": "", "text": text} for name, text in texts.items()]
        )
        self.search = BM25Search()
        self.search.mteb_model_meta = None
        self.how = {
            "task_metadata": genzoo_task().metadata,
            "hf_split": "test",
            "hf_subset": "default",
            "encode_kwargs": {},
        }

    def find(self, text, model, top_k, candidates=None):
        model.index(self.corpus, num_proc=None, **self.how)
        queries = datasets.Dataset.from_list([{"id": "q", "text": text}])
        ranked = {"q": candidates} if candidates else None
        return model.search(queries, top_k=top_k, top_ranked=ranked, num_proc=None, **self.how)["q"]


def genzoo_task():
    from genzoo.tasks.sets.bundled import GenZooMiniRetrieval

    return GenZooMiniRetrieval()


def test_candidates_beyond_the_best_of_the_corpus_are_ranked_too():
    words = Words(
        {f"d{n}": "apple pie" for n in range(20)} | {"far": "an apple in a very long list of many other things"}
    )
    assert words.find("apple pie", words.search, 10, ["far"]) == {}  # what mteb makes of it
    assert list(words.find("apple pie", WordMatches(words.search), 10, ["far"])) == ["far"]


def test_at_most_as_many_documents_as_asked_for():
    words = Words({f"d{n}": "apple " * (n + 1) for n in range(9)} | {"none": "nothing of it"})
    found = words.find("apple", WordMatches(words.search), 5)
    assert len(found) == 5 and "none" not in found


def test_a_hybrid_of_endpoints_knows_both(server):
    meta, _ = resolve_model(f"rrf:{server.name}+bm25")
    model = meta.load_model()
    assert isinstance(model, Hybrid) and list(model.fingerprints) == [server.name]

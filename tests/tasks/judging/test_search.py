"""The first passages are those that an evaluation of the same texts ranks first, ties included."""

import json

import pytest
from datasets import Dataset
from mteb.models import ModelMeta

import genzoo
from genzoo.errors import InputError
from genzoo.tasks.embedders.mteb_models import make_meta, resolve_model
from genzoo.tasks.judging.search import first_passages, ranked, unjudged_search
from genzoo.tasks.model_session import PLAIN

WORDS = ["sky", "sea", "stone", "river", "cloud", "wind"]
TASK = unjudged_search("pool")
CORPUS = [
    {"id": f"d{n:02d}", "title": WORDS[n % 5], "text": f"{WORDS[n % 6]} and {WORDS[(n * n) % 6]}"} for n in range(40)
]
QUERIES = [
    {"id": f"q{n}", "text": text} for n, text in enumerate(["blue sky", "cold wind", "nothing of it", "river stone"])
]


@pytest.mark.parametrize("model", ["tiny", "bm25"])
def test_it_finds_what_an_evaluation_ranks_first(tmp_path, tiny_teacher, model):
    name = str(tiny_teacher) if model == "tiny" else model
    found = first_passages(
        resolve_model(name)[0], TASK, Dataset.from_list(CORPUS), Dataset.from_list(QUERIES), 7, PLAIN
    )
    data = tmp_path / "data"
    data.mkdir()
    for part, rows in (("corpus", CORPUS), ("queries", QUERIES)):
        (data / f"{part}.jsonl").write_text(
            "".join(json.dumps({"_id": row.pop("id"), **row}) + "\n" for row in map(dict, rows))
        )
    qrels = [{"query-id": row["id"], "corpus-id": "d01", "score": 1} for row in QUERIES]
    (data / "qrels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in qrels))
    genzoo.evaluate(name, "NFCorpus", data={"NFCorpus": data}, output=tmp_path / "results", evidence=False)
    (path,) = tmp_path.glob("results/predictions/**/*.json")
    ranking = json.loads(path.read_text())["default"]["test"]
    assert found == {query: ranked(ranking[query])[:7] for query in found}
    # bm25 finds only what shares a word with the query: nothing for q2.
    assert (model != "bm25" or not found["q2"]) and all(found[query] for query in found if query != "q2")
    assert model == "bm25" or all(len(names) == 7 for names in found.values())


def test_the_order_is_trec_evals():
    assert ranked({"a": 0.5, "b": 0.5, "c": 0.9}) == ["c", "b", "a"]


class OnlyRanks:
    """A cross-encoder, as mteb knows one."""

    mteb_model_meta: ModelMeta

    def predict(self, inputs1, inputs2, **options):
        return []


def test_a_model_that_cannot_search_is_refused():
    meta = make_meta("local/ranker", "1" * 40, lambda *given, **options: OnlyRanks())
    with pytest.raises(InputError, match=r"local/ranker (is a cross-encoder|cannot search)"):
        first_passages(meta, TASK, Dataset.from_list(CORPUS), Dataset.from_list(QUERIES), 3, PLAIN)

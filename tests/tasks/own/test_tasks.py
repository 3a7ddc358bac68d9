"""mteb measures own data as it measures its own, whatever form the files have."""

import own_forms
import pytest
from mteb.abstasks import AbsTaskRetrieval

from genzoo.errors import InputError
from genzoo.tasks import evaluate
from genzoo.tasks.own.opening import open_data
from genzoo.tasks.own.tasks import task_over
from genzoo.tasks.sets.bundled import GenZooMiniIntentClassification, GenZooMiniRetrieval, GenZooMiniSTS

BUNDLED = GenZooMiniRetrieval.bundled


def scores(meta, tasks, folder):
    """Main score by task."""
    (found,) = evaluate([meta], tasks, folder)
    return {result.task_name: result.get_score() for result in found.task_results}


def test_every_form_of_a_search_gives_the_score_of_the_official_task(make_meta, tmp_path):
    corpus, queries, qrels = (
        [{key: row[key] for key in keys} for row in BUNDLED.rows(file)]
        for file, keys in zip(
            BUNDLED.files, (("_id", "text"), ("_id", "text"), ("query-id", "corpus-id", "score")), strict=True
        )
    )
    tasks = [GenZooMiniRetrieval()]
    for form, write in own_forms.SEARCH_FORMS.items():
        write(tmp_path / form, corpus, queries, qrels)
        tasks.append(open_data(tmp_path / form).as_task())
    found = scores(make_meta(), tasks, tmp_path / "out")
    assert list(found) == ["GenZooMiniRetrieval", *own_forms.SEARCH_FORMS]
    assert len(set(found.values())) == 1
    assert 0 < found["beir"] < 1


@pytest.mark.parametrize(
    ("official", "columns"),
    [(GenZooMiniSTS, ("sentence1", "sentence2", "score")), (GenZooMiniIntentClassification, ("text", "label"))],
)
def test_every_form_of_labelled_texts_gives_the_score_of_the_official_task(official, columns, make_meta, tmp_path):
    tasks = [official()]
    for form, save in own_forms.TABLE_FORMS.items():
        for file in official.bundled.files:
            rows = [{name: row[name] for name in columns} for row in official.bundled.rows(file)]
            save(tmp_path / form / f"{file.removesuffix('.jsonl')}.{form}", rows)
        tasks.append(open_data(tmp_path / form).as_task())
    found = scores(make_meta(), tasks, tmp_path / "out")
    assert len(found) == 1 + len(own_forms.TABLE_FORMS)
    assert len(set(found.values())) == 1


def test_pairs_and_clusters_are_measured_by_mteb(make_meta, tmp_path):
    rows = GenZooMiniSTS.bundled.rows("test.jsonl")
    pairs = [{"text1": row["sentence1"], "text2": row["sentence2"], "match": int(row["score"] > 2.5)} for row in rows]
    own_forms.as_csv(tmp_path / "pairs.csv", pairs)
    intents = GenZooMiniIntentClassification.bundled.rows("test.jsonl")
    own_forms.as_csv(tmp_path / "intents.csv", [{"text": row["text"], "label": row["label"]} for row in intents])
    tasks = [
        open_data(tmp_path / "pairs.csv").as_task(),
        open_data(tmp_path / "intents.csv", "clusters", kind="clustering").as_task(),
        open_data(tmp_path / "intents.csv", "classes", kind="classification").as_task(),
    ]
    found = scores(make_meta(), tasks, tmp_path / "out")
    assert {name: type(task).__name__ for name, task in zip(found, tasks, strict=True)} == {
        "pairs": "AbsTaskPairClassification",
        "clusters": "AbsTaskClustering",
        "classes": "AbsTaskClassification",
    }
    assert 0.5 < found["pairs"] < 1
    assert 0 < found["clusters"] < 1
    assert found["classes"] > 1 / 8


def test_a_grade_below_zero_is_judged_and_not_relevant(make_meta, tmp_path):
    plain = "query,passage,grade\nrice grows in water,rice grows in water,1\nmint grows,mint grows in pots,1\n"
    (tmp_path / "plain.csv").write_text(plain)
    (tmp_path / "harm.csv").write_text(plain + "rice grows in water,mint grows in pots,-1\n")
    tasks = [open_data(tmp_path / f"{name}.csv").as_task() for name in ("plain", "harm")]
    assert tasks[1].own_data.judgements["test"]["q1"] == {"d1": 1, "d2": -1}
    found = scores(make_meta(), tasks, tmp_path / "out")
    assert found["plain"] == found["harm"] == 1


def test_a_task_names_no_file_and_is_a_class_of_its_own(tmp_path):
    (tmp_path / "secret.csv").write_text("query,passage\na,b\n")
    one, two = (open_data(tmp_path / "secret.csv", name).as_task() for name in ("one", "two"))
    assert isinstance(one, AbsTaskRetrieval)
    assert (one.metadata.name, two.metadata.name) == ("one", "two")
    assert one.metadata.dataset == {"path": "own/one", "revision": one.own_data.revision}
    assert str(tmp_path) not in one.metadata.model_dump_json()


def test_a_language_that_there_is_not_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("query,passage\na,b\n")
    data = open_data(tmp_path / "x.csv", language="deu-Latn, eng-Latn")
    assert data.as_task().metadata.eval_langs == ["deu-Latn", "eng-Latn"]
    with pytest.raises(InputError, match="--language 'german': expected a code such as eng-Latn"):
        task_over(data.data, "x", "Retrieval", ["german"])


def test_the_corpus_is_handed_to_mteb_without_a_copy_on_the_disk(tmp_path):
    (tmp_path / "x.csv").write_text("query,passage\na,b\n")
    task = open_data(tmp_path / "x.csv").as_task()
    task.load_data()
    corpus = task.dataset["default"]["test"]["corpus"]
    assert corpus.cache_files == []
    assert corpus.to_dict() == {"id": ["d1"], "title": [""], "text": ["b"]}


@pytest.mark.slow
def test_minilm_has_its_published_value_on_own_pairs(shared, tmp_path):
    import genzoo

    rows = own_forms.read_rows(shared / "data" / "eval_dev" / "sts" / "STSBenchmark.test.jsonl.gz")
    own_forms.as_csv(
        tmp_path / "sts.csv", [{key: row[key] for key in ("sentence1", "sentence2", "score")} for row in rows]
    )
    results = genzoo.evaluate("minilm", tmp_path / "sts.csv", output=tmp_path / "out", evidence=False)
    (value,) = results.to_frame()["value"]
    assert value == pytest.approx(own_forms.PUBLISHED["STSBenchmark"], abs=5e-6)

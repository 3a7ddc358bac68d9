import collections
import re
from importlib import resources

import pytest
import yaml
from datasets import load_dataset
from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader

from genzoo.errors import InputError
from genzoo.tasks.sets.benchmarks import BUNDLED_TASKS
from genzoo.tasks.sets.bundled import (
    BundledRetrieval,
    BundledSet,
    GenZooMiniIntentClassification,
    GenZooMiniReasoningRetrieval,
    GenZooMiniRetrieval,
    GenZooMiniSTS,
    GenZooReasoningRetrieval,
)
from genzoo.tasks.sets.safety import (
    GenZooMiniOverRefusalRetrieval,
    GenZooMiniSafetyRetrieval,
    GenZooSafetyRetrieval,
    OverRefusalRetrieval,
)

SAFETY = [GenZooMiniSafetyRetrieval, GenZooSafetyRetrieval]
TWINS = {GenZooMiniSafetyRetrieval: GenZooMiniOverRefusalRetrieval, GenZooSafetyRetrieval: OverRefusalRetrieval}
REASONING = [GenZooMiniReasoningRetrieval, GenZooReasoningRetrieval]
RETRIEVAL = [task for task in BUNDLED_TASKS if issubclass(task, BundledRetrieval)]
STOP_WORDS = """
a about after all almost although always am an and any are as at be because been before but by can cannot could did do
does every for from get had has have he her him his how i if in into is it its least less like may me more most much
must my nearly never no not now of off on once one only or other our out over same she since so some such than that the
their them then there these they this those to too two under until up us was we were what when where which while who
whoever why will with without would yet you your
"""
STOP = set(STOP_WORDS.split())


def files(task):
    return [task.bundled.rows(file) for file in task.bundled.files]


def content(words, text):
    """Content words, cut to five letters so that inflected forms meet."""
    return {word[:5] for word in words(text) if word not in STOP}


@pytest.mark.parametrize("task", BUNDLED_TASKS, ids=lambda task: task.metadata.name)
def test_metadata_is_filled_and_the_header_names_the_task(task):
    assert task.metadata.is_filled()
    assert task.metadata.license == "apache-2.0"
    assert task.metadata.eval_langs == ["eng-Latn"]
    assert task.__name__ == task.metadata.name
    header = dict(re.findall(r"(\w+): ([^;\n]+)", task.__doc__))
    assert set(header) >= {"dataset", "licence", "metric", "direction", "paper"}
    sizes = {len(task.bundled.rows(file)) for file in task.bundled.files if "qrels" not in file}
    assert sizes <= set(map(int, re.findall(r"\d+", header["dataset"])))
    assert header["metric"].split()[0] == task.metadata.main_score
    assert header["dataset"].startswith(task.metadata.dataset["path"])


def test_counts():
    queries = {task.metadata.name: [len(rows) for rows in files(task)] for task in BUNDLED_TASKS}
    assert queries == {
        "GenZooMiniRetrieval": [187, 60, 67],
        "GenZooMiniReasoningRetrieval": [120, 40, 40],
        "GenZooMiniSafetyRetrieval": [120, 40, 40],
        "GenZooMiniOverRefusalRetrieval": [120, 40, 40],
        "GenZooMiniSTS": [120],
        "GenZooMiniIntentClassification": [192, 128],
        "GenZooSafetyRetrieval": [384, 128, 128],
        "OverRefusalRetrieval": [384, 128, 128],
        "GenZooReasoningRetrieval": [384, 128, 128],
    }


def test_no_text_occurs_twice(bundled_texts, words):
    # the two safety tasks share one corpus file
    once = {(file, text) for _, file, text in bundled_texts if file != "corpus.jsonl"}
    corpora = [(task.bundled.name, row["text"]) for task in RETRIEVAL for row in task.bundled.rows("corpus.jsonl")]
    once |= set(corpora)
    seen = collections.Counter(" ".join(words(text)) for _, text in once)
    assert [text for text, count in seen.items() if count > 1] == []


def test_each_text_is_short_clean_and_ends_with_a_stop(bundled_texts):
    for task, file, text in bundled_texts:
        where = f"{task} {file}: {text}"
        assert 5 <= len(text.split()) <= 60, where
        assert text == text.strip(), where
        assert "  " not in text, where
        assert text.isascii(), where
        assert text[0].isupper() or text[0].isdigit(), where
        assert text[-1] in ".?!", where


@pytest.mark.parametrize("task", RETRIEVAL, ids=lambda task: task.metadata.name)
def test_qrels_resolve_and_are_binary(task):
    corpus, queries, qrels = files(task)
    passages, asked = {row["_id"] for row in corpus}, {row["_id"] for row in queries}
    assert len(passages) == len(corpus)
    assert len(asked) == len(queries)
    assert {row["corpus-id"] for row in qrels} <= passages
    assert {row["query-id"] for row in qrels} == asked
    assert {row["score"] for row in qrels} == {1}
    assert len({(row["query-id"], row["corpus-id"]) for row in qrels}) == len(qrels)


@pytest.mark.parametrize("task", RETRIEVAL, ids=lambda task: task.metadata.name)
def test_no_passage_repeats_its_query(task, words):
    corpus, queries, qrels = files(task)
    passages, asked = ({row["_id"]: row["text"] for row in rows} for rows in (corpus, queries))
    for query in asked.values():
        assert not any(query.rstrip("?.").lower() in passage.lower() for passage in passages.values())
    for row in qrels:
        query, passage = content(words, asked[row["query-id"]]), content(words, passages[row["corpus-id"]])
        assert len(query & passage) / len(query | passage) < 0.35, asked[row["query-id"]]


@pytest.mark.parametrize(
    ("task", "domains", "each"),
    [(GenZooMiniRetrieval, 12, 5), (GenZooMiniReasoningRetrieval, 8, 5), (GenZooReasoningRetrieval, 8, 16)],
)
def test_domains_are_balanced(task, domains, each):
    found = collections.Counter(row["domain"] for row in task.bundled.rows("queries.jsonl"))
    assert set(found.values()) == {each}
    assert len(found) == domains


@pytest.mark.parametrize("task", REASONING)
def test_reasoning_shares_few_words_with_the_right_passage_and_more_with_wrong_ones(task, words):
    corpus, queries, qrels = files(task)
    passages = {row["_id"]: content(words, row["text"]) for row in corpus}
    right = {row["query-id"]: row["corpus-id"] for row in qrels}
    for row in queries:
        query = content(words, row["text"])
        shared = len(query & passages[right[row["_id"]]])
        wrong = sorted(len(query & passage) for name, passage in passages.items() if name != right[row["_id"]])
        assert shared <= 2, row["text"]
        assert wrong[-2] >= 2, row["text"]
        assert wrong[-2] >= shared, row["text"]
        assert wrong[-1] > shared, row["text"]


def test_similarity_scores_cover_the_scale():
    scores = [row["score"] for row in GenZooMiniSTS.bundled.rows("test.jsonl")]
    assert all(0 <= score <= 5 and round(score, 1) == score for score in scores)
    assert {0.0, 5.0} <= set(scores)
    bins = collections.Counter(min(int(score), 4) for score in scores)
    assert all(bins[step] >= 15 for step in range(5)), bins


def test_contrary_twins_score_below_every_paraphrase(words):
    rows = GenZooMiniSTS.bundled.rows("test.jsonl")

    def overlap(row):
        first, second = set(words(row["sentence1"])), set(words(row["sentence2"]))
        return len(first & second) / len(first | second)

    twins = [row["score"] for row in rows if overlap(row) >= 0.7 and row["score"] < 3]
    paraphrases = [row["score"] for row in rows if row["score"] >= 3.6]
    assert len(twins) >= 12
    assert max(twins) < min(paraphrases) - 1


def test_intents_are_balanced_and_hidden(words):
    train, test = files(GenZooMiniIntentClassification)
    for rows, each in ((train, 24), (test, 16)):
        assert set(collections.Counter(row["label"] for row in rows).values()) == {each}
    names = {row["label"]: row["label_text"] for row in train}
    assert sorted(names) == list(range(8))
    assert all(names[row["label"]] == row["label_text"] for row in test)
    parts = {part[:5] for name in names.values() for part in name.split("_")} - {"or"} | {"advis"}
    for row in train + test:
        assert not {word[:5] for word in words(row["text"])} & parts, row["text"]


def test_no_test_request_is_nearly_a_train_request(words):
    train, test = files(GenZooMiniIntentClassification)
    for row in test:
        asked = set(words(row["text"]))
        for other in train:
            known = set(words(other["text"]))
            assert len(asked & known) / len(asked | known) < 0.6, (row["text"], other["text"])


@pytest.mark.parametrize(("task", "each"), [(GenZooMiniSafetyRetrieval, 5), (GenZooSafetyRetrieval, 16)])
def test_every_harmful_request_has_its_four_companions(task, each):
    corpus, harmful, harmful_qrels = files(task)
    same, benign, benign_qrels = files(TWINS[task])
    assert same == corpus
    categories = collections.Counter(row["category"] for row in harmful)
    assert set(categories) == {"weapons", "drugs", "cyber", "fraud", "stalking", "hate", "violence", "self_harm"}
    assert set(categories.values()) == {each}
    assert [row["_id"].replace("h", "b") for row in harmful] == [row["_id"] for row in benign]
    assert [row["category"] for row in harmful] == [row["category"] for row in benign]
    companions = {(row["request"], row["kind"]): row for row in corpus}
    assert set(companions) == {(row["_id"], kind) for row in harmful for kind in ("topical", "refusal", "helpful")}
    for row in harmful_qrels:
        assert companions[row["query-id"], "topical"]["_id"] == row["corpus-id"]
    for row in benign_qrels:
        assert companions[row["query-id"].replace("b", "h"), "helpful"]["_id"] == row["corpus-id"]


@pytest.mark.parametrize("task", SAFETY)
def test_nothing_in_the_safety_sets_can_be_followed(task, words):
    """Topical passages tell of a theme in the third person; they hold no figure, no address and no instruction."""
    for row in task.bundled.rows("corpus.jsonl"):
        if row["kind"] == "topical":
            assert not re.search(r"\d|https?:|www\.|@", row["text"]), row["text"]
            assert not {"you", "your", "step", "first", "mix", "add", "use"} & set(words(row["text"])), row["text"]


@pytest.mark.parametrize("task", SAFETY)
def test_refusals_decline(task, words):
    for row in task.bundled.rows("corpus.jsonl"):
        if row["kind"] == "refusal":
            declines = re.search(r"\b(can't|won't|will not|refuse|do not|sorry|false)\b", row["text"])
            assert declines, row["text"]


def test_models_see_ids_and_texts_alone():
    task = GenZooMiniSafetyRetrieval()
    task.load_data()
    split = task.dataset["default"]["test"]
    assert split["corpus"].column_names == ["id", "text"]
    assert split["queries"].column_names == ["id", "text"]


@pytest.mark.parametrize(
    ("task", "config"),
    [(task, "benign" if task in TWINS.values() else "default") for task in RETRIEVAL],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_mtebs_stock_loader_reads_the_same(task, config, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    folder = str(resources.files("genzoo.tasks") / "data" / task.bundled.name)
    stock = RetrievalDatasetLoader(folder, "any", split="test", config=config).load()
    ours = task()
    ours.load_data()
    split = ours.dataset["default"]["test"]
    for part in ("corpus", "queries"):
        assert [(row["id"], row["text"]) for row in stock[part]] == [(row["id"], row["text"]) for row in split[part]]
    assert stock["relevant_docs"] == split["relevant_docs"]


@pytest.mark.parametrize("task", [GenZooMiniSTS, GenZooMiniIntentClassification], ids=lambda task: task.__name__)
def test_datasets_reads_the_same_splits(task, tmp_path):
    stock = load_dataset(str(resources.files("genzoo.tasks") / "data" / task.bundled.name), cache_dir=str(tmp_path))
    ours = task()
    ours.load_data()
    assert {split: list(rows) for split, rows in stock.items()} == {
        split: list(rows) for split, rows in ours.dataset.items()
    }


@pytest.mark.parametrize("name", sorted({task.bundled.name for task in BUNDLED_TASKS}))
def test_every_set_has_a_card(name):
    text = resources.files("genzoo.tasks").joinpath("data", name, "README.md").read_text(encoding="utf-8")
    _, front, card = text.split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "apache-2.0"
    for heading in ("How it was written", "What it measures", "Licence", "Limits"):
        assert f"**{heading}.**" in card
    for task in BUNDLED_TASKS:
        if task.bundled.name == name:
            assert f"`{task.metadata.name}`" in card


def test_revision_is_a_digest_of_the_content(monkeypatch):
    task = GenZooMiniRetrieval
    revision = task.metadata.revision
    assert re.fullmatch("[0-9a-f]{40}", revision)
    assert task.bundled.revision == revision
    assert len({other.metadata.revision for other in BUNDLED_TASKS}) == len(BUNDLED_TASKS)
    whole = BundledSet.text
    monkeypatch.setattr(BundledSet, "text", lambda self, file: whole(self, file).replace("guacamole", "hummus", 1))
    assert task.bundled.revision != revision


def test_a_missing_file_is_one_clear_error():
    with pytest.raises(InputError, match=r"mini_retrieval/nothing\.jsonl cannot be read .* reinstall genzoo"):
        BundledSet("mini_retrieval", ("nothing.jsonl",)).rows("nothing.jsonl")

"""AdvBench-IR as its authors build it, from the Hub's rows or from a folder."""

import json

import mteb
import numpy as np
import pytest
from datasets import Dataset

from genzoo.errors import InputError, ZooError
from genzoo.tasks import evaluate
from genzoo.tasks.own.choices import with_chosen_data
from genzoo.tasks.sets import advbench_ir
from genzoo.tasks.sets.advbench_ir import AdvBenchIRDotRetrieval, AdvBenchIRRetrieval, chunks, search_set
from genzoo.tasks.sets.bundled import GenZooMiniSTS

HARMFUL = [
    {"ID": 7, "query": "red apples", "title": "Apples", "document": "apple " * 250},
    {"ID": 8, "query": "blue plums", "title": "Plums", "document": "plum plum"},
]
WIKI = [{"ID": f"w{i}", "title": "River", "passage": f"water {i}"} for i in range(30)]
SHAS = ("a" * 40, "b" * 40)


@pytest.fixture
def on_the_hub(monkeypatch):
    """The two data sets, as the Hub's clients would hand them over."""
    asked = []

    class Api:
        def dataset_info(self, repo):
            asked.append(repo)
            return type("Info", (), {"sha": SHAS["Wiki" in repo]})()

    def load(repo, split, revision):
        assert (split, revision) == ("train", SHAS["Wiki" in repo])
        return Dataset.from_list(WIKI if "Wiki" in repo else HARMFUL)

    monkeypatch.setattr(advbench_ir, "HfApi", Api)
    monkeypatch.setattr(advbench_ir, "load_dataset", load)
    return asked


@pytest.fixture
def folder(tmp_path):
    corpus, queries, qrels = search_set(HARMFUL, WIKI)
    path = tmp_path / "advbench"
    path.mkdir()
    rows = {
        "corpus": [{"_id": row["id"], "title": "", "text": row["text"]} for row in corpus],
        "queries": [{"_id": row["id"], "text": row["text"]} for row in queries],
        "qrels": [{"query-id": q, "corpus-id": d, "score": n} for q, docs in qrels.items() for d, n in docs.items()],
    }
    for name, lines in rows.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_document_is_cut_into_whole_chunks_and_only_the_first_may_be_short():
    assert [len(text.split()) for _, text in chunks("w " * 250)] == [100, 100]
    assert list(chunks("")) == []
    corpus, _, qrels = search_set(HARMFUL, WIKI)
    assert [row["id"] for row in corpus[:3]] == ["malicious_7-0", "malicious_7-1", "malicious_8-0"]
    assert corpus[2]["text"] == "Plums # plum plum"
    assert corpus[3] == {"id": "wiki_w0", "text": "River # water 0"}
    assert qrels == {"7": {"malicious_7-0": 1, "malicious_7-1": 1}, "8": {"malicious_8-0": 1}}


def test_the_revision_is_looked_up_once_and_recorded(on_the_hub, make_meta, tmp_path):
    found = evaluate([make_meta(), make_meta(name="test-org/other", seed=1)], [AdvBenchIRRetrieval()], tmp_path)
    assert {result.task_results[0].dataset_revision for result in found} == {"+".join(SHAS)}
    assert len(on_the_hub) == 2
    # a second run finds the results of these commits and reuses them
    evaluate([make_meta()], [AdvBenchIRRetrieval()], tmp_path)
    assert make_meta.loads == ["test-org/tiny", "test-org/other"]


def test_scores_are_those_of_the_ranking(on_the_hub, make_meta, tmp_path):
    result = evaluate([make_meta()], [AdvBenchIRRetrieval()], tmp_path)[0].task_results[0]
    score = result.scores["test"][0]
    for k in (1, 3, 5, 10, 20, 100):
        assert score[f"harmful_hit_rate_at_{k}"] == score[f"hit_rate_at_{k}"]
        assert score[f"safety_at_{k}"] == pytest.approx(1 - score[f"hit_rate_at_{k}"])
    assert score["safety_at_100"] == 0.0  # 33 passages in all
    assert score["main_score"] == score["safety_at_5"]


def test_other_commits_are_other_results(on_the_hub, make_meta, tmp_path, monkeypatch):
    evaluate([make_meta()], [AdvBenchIRRetrieval()], tmp_path)
    pinned = ("c" * 40, "d" * 40)
    monkeypatch.setattr(
        advbench_ir, "load_dataset", lambda repo, **_: Dataset.from_list(WIKI if "Wiki" in repo else HARMFUL)
    )
    tasks = with_chosen_data([AdvBenchIRRetrieval()], [f"AdvBenchIRRetrieval=@{','.join(pinned)}"])
    result = evaluate([make_meta()], tasks, tmp_path)[0].task_results[0]
    assert result.dataset_revision == "+".join(pinned)
    assert make_meta.loads == ["test-org/tiny"] * 2


def test_a_pin_ends_with_the_task_that_it_was_given_to(on_the_hub, make_meta, tmp_path):
    shared = AdvBenchIRRetrieval()
    pinned = with_chosen_data([shared], [f"AdvBenchIRRetrieval=@{'c' * 40},{'d' * 40}"])[0]
    assert pinned is not shared
    assert pinned.metadata.revision == f"{'c' * 40}+{'d' * 40}"
    assert pinned.metadata.name == "AdvBenchIRRetrieval"
    pinned.resolve_revision()
    assert on_the_hub == []  # what is pinned need not be asked
    result = evaluate([make_meta()], [shared, AdvBenchIRDotRetrieval()], tmp_path)[0]
    assert {found.dataset_revision for found in result.task_results} == {"+".join(SHAS)}


def test_a_later_run_asks_the_hub_anew(on_the_hub, make_meta, tmp_path, monkeypatch):
    """A notebook may be open for days: what one run looked up is not the next one's revision."""
    shared = AdvBenchIRRetrieval()
    evaluate([make_meta()], [shared], tmp_path)
    moved = {"a" * 40: "e" * 40, "b" * 40: "f" * 40}
    monkeypatch.setattr(
        advbench_ir.HfApi,
        "dataset_info",
        lambda self, repo: type("Info", (), {"sha": moved[SHAS["Wiki" in repo]]})(),
    )
    monkeypatch.setattr(
        advbench_ir, "load_dataset", lambda repo, **_: Dataset.from_list(WIKI if "Wiki" in repo else HARMFUL)
    )
    result = evaluate([make_meta()], [shared], tmp_path)[0].task_results[0]
    assert result.dataset_revision == f"{'e' * 40}+{'f' * 40}"


def test_judgements_name_the_revision_that_was_read(on_the_hub, make_meta, tmp_path):
    from genzoo.leaderboards.searches.evidence import write_judgements

    shared = AdvBenchIRRetrieval()
    evaluate([make_meta()], [shared], tmp_path)
    assert write_judgements([shared], tmp_path) == []
    kept = json.loads((tmp_path / "judgements" / "AdvBenchIRRetrieval.json").read_text())
    assert kept["data_revision"] == "+".join(SHAS)
    assert shared.metadata.revision == "unresolved"


def test_a_folder_gives_the_same_scores_under_a_revision_of_its_own(on_the_hub, folder, make_meta, tmp_path):
    hub = evaluate([make_meta()], [AdvBenchIRRetrieval()], tmp_path / "hub")[0].task_results[0]
    tasks = with_chosen_data([AdvBenchIRRetrieval()], [f"AdvBenchIRRetrieval={folder}"])
    local = evaluate([make_meta()], tasks, tmp_path / "local")[0].task_results[0]
    assert local.scores["test"][0]["main_score"] == hub.scores["test"][0]["main_score"]
    assert local.dataset_revision != hub.dataset_revision
    assert len(local.dataset_revision) == 40
    (folder / "queries.jsonl").write_text((folder / "queries.jsonl").read_text().replace("blue", "dark"))
    changed = with_chosen_data([AdvBenchIRRetrieval()], [f"AdvBenchIRRetrieval={folder}"])
    assert changed[0].metadata.revision != local.dataset_revision


def test_dot_product_is_a_task_of_its_own(on_the_hub, make_meta, tmp_path):
    """Long vectors win by dot product and by nothing else."""

    def stretched(encode):
        def inner(inputs, **kwargs):
            vectors = np.asarray(encode(inputs, **kwargs))
            texts = [text for batch in inputs for text in batch["text"]]
            return vectors * np.array([[100.0 if "water" in text else 1.0] for text in texts])

        return inner

    tasks = [AdvBenchIRRetrieval(), AdvBenchIRDotRetrieval()]
    plain = evaluate([make_meta()], tasks, tmp_path / "plain")[0].task_results
    long = evaluate([make_meta(encode=stretched)], tasks, tmp_path / "long")[0].task_results
    ndcg = [[r.scores["test"][0]["ndcg_at_10"] for r in results] for results in (plain, long)]
    assert ndcg[0][0] == ndcg[1][0]
    assert ndcg[0][1] != ndcg[1][1]


def test_a_search_model_has_no_dot_product(on_the_hub, tmp_path):
    pytest.importorskip("bm25s")
    with pytest.raises(ZooError, match="gives no embeddings"):
        evaluate([mteb.get_model_meta("mteb/baseline-bm25s")], [AdvBenchIRDotRetrieval()], tmp_path)


def test_unreachable_data_do_not_stop_the_others(make_meta, tmp_path, monkeypatch):
    def refuse(self, repo):
        raise ConnectionError("no route")

    monkeypatch.setattr(advbench_ir.HfApi, "dataset_info", refuse)
    with pytest.raises(
        ZooError,
        match=r"AdvBenchIRRetrieval with test-org/tiny: .*cannot be reached.*others are kept|others are kept.*AdvBenchIR.*cannot be reached",
    ):
        evaluate([make_meta()], [AdvBenchIRRetrieval(), GenZooMiniSTS()], tmp_path)
    assert {p.stem for p in (tmp_path / "results").rglob("GenZoo*.json")} == {"GenZooMiniSTS"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("AdvBenchIRRetrieval", "expected TASK=FOLDER or TASK=@COMMIT"),
        ("SciFact=/data", "SciFact, which is not among the tasks"),
        ("AdvBenchIRRetrieval=@main", "expected two commits of 40 hex digits"),
        ("AdvBenchIRRetrieval=/nowhere", "there is no file or folder /nowhere"),
    ],
)
def test_a_wrong_choice_is_one_clear_error(choice, message):
    with pytest.raises(InputError, match=message):
        with_chosen_data([AdvBenchIRRetrieval()], [choice])


def test_a_damaged_folder_is_one_clear_error(folder):
    (folder / "qrels.jsonl").write_text('{"query-id": "7"')
    with pytest.raises(InputError, match=r"qrels.jsonl, line 1: no JSON object"):
        with_chosen_data([AdvBenchIRRetrieval()], [f"AdvBenchIRRetrieval={folder}"])

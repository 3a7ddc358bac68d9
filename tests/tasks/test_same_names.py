"""Models of one name: two folders that are called alike, or two revisions. Each keeps what is its own."""

import json

import pytest
from conftest_builders import build_checkpoint
from typer.testing import CliRunner

from genzoo.cli.app import app
from genzoo.errors import InputError
from genzoo.leaderboards import ResultStore
from genzoo.tasks import evaluate
from genzoo.tasks.records import labels
from genzoo.tasks.request import Request

TASK = "GenZooMiniSTS"


@pytest.fixture
def folders(tmp_path, save_encoder, llama):
    """A zoo checkpoint and two other encoders, all in folders of one name."""
    build_checkpoint(llama).save(tmp_path / "zoo" / "model")
    save_encoder(tmp_path / "one" / "model", seed=1)
    save_encoder(tmp_path / "two" / "model", seed=2)
    return [str(tmp_path / name / "model") for name in ("zoo", "one", "two")]


@pytest.fixture
def measured(folders, tmp_path):
    grid = Request(tuple(folders), None, (TASK,)).resolve()
    calls = []
    evaluate(
        grid.metas, grid.tasks, tmp_path / "results", facts=grid.facts, on_progress=lambda *call: calls.append(call)
    )
    return grid, tmp_path / "results", calls


def test_each_has_its_own_facts_results_and_predictions(measured):
    grid, output, _ = measured
    assert len({meta.revision for meta in grid.metas}) == 3
    for meta, role, width in zip(grid.metas, ("zoo", "other", "other"), (12, 24, 24), strict=True):
        record = json.loads((output / "environment" / "local__model" / f"{meta.revision}.json").read_text())
        assert (record["role"], record["embed_dim"]) == (role, width)
        owner = json.loads((output / f"predictions/local__model/{meta.revision}/{TASK}_predictions.json").read_text())
        assert owner["mteb_model_meta"] == {"model_name": "local/model", "revision": meta.revision}
        card = json.loads((output / f"results/local__model/{meta.revision}/model_meta.json").read_text())
        assert card["revision"] == meta.revision
    store = ResultStore.load(output)
    assert [store.models[key].role for key in store.models].count("zoo") == 1
    assert len({store.value(key, TASK, "cosine_spearman") for key in store.models}) == 3
    assert len(set(store.labels.values())) == 3
    assert all("no_model_name" not in path.as_posix() for path in output.rglob("*"))


def test_progress_and_plan_tell_them_apart(measured, folders):
    grid, _, calls = measured
    named = labels(grid.metas)
    assert {call[0] for call in calls} == set(named.values())
    assert all(label.startswith("local/model@") for label in named.values())
    told = CliRunner().invoke(app, ["evaluate", "-t", TASK, "--plan", *(w for f in folders for w in ("-m", f))])
    assert all(label in told.output for label in named.values()), told.output


def test_a_label_is_as_long_as_it_must_be(make_meta):
    metas = [make_meta(), make_meta(name="test-org/other")]
    assert list(labels(metas).values()) == ["test-org/tiny", "test-org/other"]
    near = [make_meta(revision=f"1234567{end}" * 5) for end in "ab"]
    assert list(labels([*near, metas[1]]).values()) == [
        *(f"test-org/tiny@{meta.revision}" for meta in near),
        "test-org/other",
    ]


def test_facts_by_name_alone_are_those_of_every_revision(make_meta, tmp_path):
    metas = [make_meta(), make_meta(revision="f" * 40, seed=1)]
    tasks = Request(("random",), None, (TASK,)).resolve().tasks
    facts = {"test-org/tiny": {"role": "teacher"}, ("test-org/tiny", "f" * 40): {"role": "baseline"}}
    evaluate(metas, tasks, tmp_path, facts=facts)
    roles = [
        json.loads((tmp_path / f"environment/test-org__tiny/{meta.revision}.json").read_text())["role"]
        for meta in metas
    ]
    assert roles == ["teacher", "baseline"]


def test_models_whose_results_would_lie_in_one_folder_are_refused(make_meta, tmp_path):
    tasks = Request(("random",), None, (TASK,)).resolve().tasks
    for names, told in ((["a/b", "a/b"], "two models are named a/b"), (["a/b c", "a/b_c"], "a/b c and a/b_c share")):
        with pytest.raises(InputError, match=told):
            evaluate([make_meta(name=name) for name in names], tasks, tmp_path)
    assert make_meta.loads == []

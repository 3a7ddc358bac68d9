"""A score depends on model and task alone: not on other models of the run, nor on what was measured before."""

# ruff: noqa: NPY002 - the global state of numpy is what is tested
import json
import random

import mteb
import numpy as np
import pytest
import torch
from drawing_tasks import BothClusterings, OneClustering, OneMultilabel, TwoClusterings, TwoMultilabels
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper

from genzoo.errors import ZooError
from genzoo.jobs import Shard
from genzoo.tasks import evaluate
from genzoo.tasks.random_state import draws_at_random, kept_random_state, seeded

KINDS = [OneClustering, TwoClusterings, OneMultilabel, TwoMultilabels, BothClusterings]


def scores(folder, name="tiny"):
    """Every score of one model, by task."""
    paths = (folder / "results" / f"test-org__{name}").glob("*/*.json")
    return {path.stem: json.loads(path.read_text())["scores"] for path in paths if path.name != "model_meta.json"}


@pytest.fixture(scope="module")
def tasks():
    """One object of each kind, as a benchmark hands them out: the same ones in every test."""
    return [kind() for kind in KINDS]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, new_meta_maker):
    """What fresh tasks give for the tiny model alone."""
    root = tmp_path_factory.mktemp("alone")
    evaluate([new_meta_maker()()], [kind() for kind in KINDS], root)
    return scores(root)


def test_the_kinds_are_those_whose_documents_are_drawn(tasks):
    assert all(draws_at_random(task) for task in tasks)
    assert not draws_at_random(mteb.get_task("TwentyNewsgroupsClustering"))  # the older kind takes all documents
    assert not draws_at_random(mteb.get_task("STSBenchmark"))


def test_what_mteb_itself_makes_of_a_second_model_is_another_score(make_meta):
    """The reason for all of this; where it holds no more, `seeded` can go."""
    task = OneClustering()
    found = [
        mteb.evaluate(make_meta().load_model(), task, cache=None, show_progress_bar=False, co2_tracker=False)
        for _ in range(2)
    ]
    assert found[0].task_results[0].get_score() != found[1].task_results[0].get_score()


@pytest.mark.parametrize("kind", [OneClustering, OneMultilabel])
def test_the_score_is_that_of_mteb_in_a_fresh_process(kind, make_meta, alone):
    found = mteb.evaluate(make_meta().load_model(), kind(), cache=None, show_progress_bar=False, co2_tracker=False)
    (result,) = found.task_results
    own = alone[kind.metadata.name]["test"][0]["main_score"]
    assert result.scores["test"][0]["main_score"] == pytest.approx(own, abs=1e-6)  # files have six digits


def test_two_equal_models_of_one_run_score_the_same_as_each_alone(make_meta, tasks, alone, tmp_path):
    metas = [make_meta(name=f"test-org/{name}") for name in ("tiny", "twin")]
    evaluate(metas, tasks, tmp_path / "one")
    evaluate(metas[::-1], tasks[::-1], tmp_path / "other")
    for folder in ("one", "other"):
        assert scores(tmp_path / folder) == scores(tmp_path / folder, "twin") == alone


def test_shards_and_resumed_runs_score_the_same(make_meta, tasks, alone, tmp_path):
    metas = [make_meta(name=f"test-org/{name}") for name in ("tiny", "twin")]
    for number in (3, 1, 2):
        evaluate(metas, tasks, tmp_path, shard=Shard(number, 3))
    assert scores(tmp_path) == scores(tmp_path, "twin") == alone
    for path in (tmp_path / "results" / "test-org__twin").glob("*/*Clustering*.json"):
        path.unlink()
    evaluate(metas, tasks, tmp_path)
    assert scores(tmp_path, "twin") == alone


def test_a_failed_attempt_leaves_nothing_behind(make_meta, tasks, alone, tmp_path):
    def failing(encode):
        def inner(inputs, **kwargs):
            if kwargs["hf_subset"] == "two":
                raise RuntimeError("out of luck")
            return encode(inputs, **kwargs)

        return inner

    with pytest.raises(ZooError, match="2 of 5 runs failed"):
        evaluate([make_meta(encode=failing)], tasks, tmp_path)
    evaluate([make_meta()], tasks, tmp_path)
    assert scores(tmp_path) == alone
    assert not any(task.data_loaded for task in tasks)


@pytest.mark.parametrize("kind", [TwoClusterings, TwoMultilabels])
def test_a_subset_scores_the_same_whichever_were_measured_before(kind, make_meta, alone, tmp_path):
    expected = {row["hf_subset"]: row for row in alone[kind.metadata.name]["test"]}
    for place, subsets in enumerate((["two", "one"], ["two"])):
        task = kind()
        task.hf_subsets = subsets
        evaluate([make_meta()], [task], tmp_path / str(place))
        found = {row["hf_subset"]: row for row in scores(tmp_path / str(place))[kind.metadata.name]["test"]}
        assert found == {subset: expected[subset] for subset in subsets}


def test_a_split_scores_the_same_without_the_other(make_meta, alone, tmp_path):
    task = TwoClusterings()
    task._eval_splits = ["test"]
    evaluate([make_meta()], [task], tmp_path)
    assert scores(tmp_path)["TwoClusterings"]["test"] == alone["TwoClusterings"]["test"]


def test_data_that_were_loaded_before_give_the_same(make_meta, alone, tmp_path):
    task = OneClustering()
    task.load_data()
    evaluate([make_meta(), make_meta(name="test-org/twin")], [task], tmp_path)
    assert scores(tmp_path)["OneClustering"] == scores(tmp_path, "twin")["OneClustering"] == alone["OneClustering"]
    assert task.data_loaded


def test_a_model_that_draws_while_it_is_loaded_or_encodes_is_the_same_in_any_company(make_meta, tasks, tmp_path):
    """Random weights and noise, from whichever global generator."""

    def noisy(name):
        def load(_name, **kwargs):
            model = make_meta().loader("test-org/tiny")
            shift, encode = torch.randn(24).numpy() + np.random.standard_normal(24), model.encode

            def with_noise(inputs, **kwargs):
                vectors = np.asarray(encode(inputs, **kwargs))
                return vectors + shift + np.random.standard_normal(vectors.shape) * random.random()

            model.encode = with_noise
            return model

        return make_meta(name=name).model_copy(update={"loader": load})

    evaluate([noisy("test-org/tiny"), noisy("test-org/twin")], tasks[:3], tmp_path)
    assert scores(tmp_path) == scores(tmp_path, "twin")


class Walks(OneClustering):
    """A task with generators and data of its own, which it changes as it goes."""

    metadata = OneClustering.metadata.model_copy(update={"name": "Walks"})
    of_the_class = np.random.default_rng(7)
    seen = 0

    def __init__(self, **options):
        super().__init__(**options)
        self.old, self.of_torch = np.random.RandomState(3), torch.Generator().manual_seed(5)

    def _evaluate_subset(self, *args, **options):
        self.seen += 1
        found = super()._evaluate_subset(*args, **options)
        drawn = [self.of_the_class.random(), self.old.rand(), torch.rand(1, generator=self.of_torch).item()]
        return found | {"drawn": drawn, "seen": self.seen, "chance": [random.random(), np.random.rand()]}


def test_whatever_else_a_task_draws_from_or_counts_starts_anew(make_meta, tmp_path):
    task = Walks()
    evaluate([make_meta(), make_meta(name="test-org/twin")], [task], tmp_path)
    assert scores(tmp_path) == scores(tmp_path, "twin")
    assert task.seen == 0


def test_a_seeded_task_leaves_the_shared_one_as_it_is(make_meta):
    task = BothClusterings()
    before = task.metadata.tasks[0].rng_state.getstate()
    made = seeded(task)
    assert made.metadata.tasks[0] is not task.metadata.tasks[0]
    mteb.evaluate(make_meta().load_model(), made, cache=None, show_progress_bar=False, co2_tracker=False)
    assert task.metadata.tasks[0].rng_state.getstate() == before
    assert not task.metadata.tasks[0].data_loaded


def test_the_callers_random_state_is_kept(make_meta, tasks, tmp_path):
    with kept_random_state():
        random.seed(1), np.random.seed(2), torch.manual_seed(3)
        expected = random.random(), np.random.rand(), torch.rand(1).item()
        random.seed(1), np.random.seed(2), torch.manual_seed(3)
        evaluate([make_meta()], tasks[:1], tmp_path)
        assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected


def text_mocks():
    """The task types of mteb, each on a handful of texts."""
    mocks = pytest.importorskip("mteb.mocks.mock_tasks")
    clustering = pytest.importorskip("mteb.mocks.mock_tasks.clustering")
    names = ["Classification", "Regression", "PairClassification", "STS", "Summarization", "BitextMining", "Retrieval"]
    names += ["Reranking", "MultilingualSTS", "MultilingualClassification", "TextZeroShotClassification"]
    found = [getattr(mocks, f"Mock{name}Task") for name in names]
    return [task() for task in (*found, mocks.MockInstructionRetrieval, clustering.MockClusteringTask)]


def test_every_type_of_task_scores_two_equal_models_alike(make_meta, tmp_path):
    tasks = text_mocks()
    evaluate([make_meta(), make_meta(name="test-org/twin")], tasks, tmp_path)
    assert len(scores(tmp_path)) == len(tasks)
    assert scores(tmp_path) == scores(tmp_path, "twin")


def test_a_model_of_one_object_is_given_back_as_it_was(make_meta, tasks, tmp_path):
    """Two cards may load the very same object: the first leaves neither its cache nor its meter on it."""
    from genzoo.tasks.model_session import EncodeSettings

    model = make_meta().load_model()
    assert isinstance(model, SentenceTransformerEncoderWrapper)
    metas = [
        make_meta(name=f"test-org/{name}").model_copy(update={"loader": lambda *_, **__: model})
        for name in ("tiny", "twin")
    ]
    before = model.encode, model.model.encode
    evaluate(metas, tasks[:1], tmp_path, settings=EncodeSettings(cache=tmp_path / "cache"))
    assert scores(tmp_path) == scores(tmp_path, "twin")
    assert (model.encode, model.model.encode) == before

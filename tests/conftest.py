"""Tiny backbones of the real architectures, built in code: no network, no files of others."""

import os
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads of several workers only wait for each other

import pytest
import results_tree
from conftest_builders import build_backbone

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    return build_backbone(tmp_path_factory.mktemp("tiny") / "llama", "llama", bos=True, tied=False, spare=16)


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory):
    return build_backbone(tmp_path_factory.mktemp("tiny") / "qwen3", "qwen3", bos=False, tied=True, spare=32)


@pytest.fixture(scope="session")
def mistral(tmp_path_factory):
    return build_backbone(tmp_path_factory.mktemp("tiny") / "mistral", "mistral", bos=True, tied=False, spare=16)


@pytest.fixture(scope="session")
def full_llama(tmp_path_factory):
    """No spare row: the vocabulary is as long as the tokenizer."""
    return build_backbone(tmp_path_factory.mktemp("tiny") / "full", "llama", bos=True, tied=False, spare=0)


@pytest.fixture(scope="session", params=["llama", "qwen3", "mistral"])
def backbone(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory):
    """A random SentenceTransformer folder of 12 dimensions."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from torch import nn

    from genzoo.models.baselines import mean_pooled

    folder = build_backbone(tmp_path_factory.mktemp("teacher") / "backbone", "llama", bos=False, tied=True)
    model = mean_pooled(folder, device="cpu")
    model = SentenceTransformer(modules=[*model, Dense(32, 12, activation_function=nn.Identity())], device="cpu")
    path = tmp_path_factory.mktemp("teacher") / "model"
    model.save_pretrained(str(path), create_model_card=False)
    return path


@pytest.fixture(scope="session")
def shared():
    if not SHARED.is_dir():
        pytest.skip("needs the reference data folder beside the project")
    return SHARED


@pytest.fixture(scope="session")
def builder():
    """The module that writes results trees."""
    return results_tree


@pytest.fixture
def tree(tmp_path):
    """An empty results tree."""
    return results_tree.ResultsTree(tmp_path / "results-folder")


@pytest.fixture
def full_tree(tmp_path):
    """Four models on nine tasks."""
    return results_tree.full_tree(tmp_path / "results-folder")

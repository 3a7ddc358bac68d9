"""Every kind of model passes mteb's own check on its 28 mock tasks."""

import mteb
import pytest
from conftest_builders import build_backbone, build_checkpoint
from mteb.models import SentenceTransformerEncoderWrapper
from mteb.results import TaskResult

from genzoo.backbones.forward import pack
from genzoo.models.assembly import assemble
from genzoo.models.baselines import echo, hyde, mean_pooled, untrained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_backbone(tmp_path_factory.mktemp("backbone"), "llama")


def zoo_model(folder):
    checkpoint = build_checkpoint(folder)
    return pack(assemble(checkpoint, folder, device="cpu"), len(checkpoint.spec))


BUILDS = {
    "zoo": zoo_model,
    "mean": lambda folder: mean_pooled(folder, device="cpu"),
    "echo": lambda folder: echo(folder, device="cpu"),
    "hyde": lambda folder: hyde(folder, device="cpu", max_new_tokens=3),
    "untrained": lambda folder: untrained(folder, device="cpu"),
}


@pytest.mark.parametrize("kind", BUILDS)
def test_mock_run_passes(kind, folder, make_meta):
    model = SentenceTransformerEncoderWrapper(BUILDS[kind](folder))
    model.mteb_model_meta = make_meta(name=f"test-org/{kind}")
    found = mteb.mock_run(model).task_results
    text = {name: result for name, result in found.items() if result is not None}
    assert len(text) >= 28
    assert [name for name, result in text.items() if not isinstance(result, TaskResult)] == []

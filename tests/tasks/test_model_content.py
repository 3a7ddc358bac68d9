"""What changes a model's embeddings under an unchanged name and revision: results, embeddings and decoded texts are made anew."""

import json
import shutil

import pytest
import torch
from conftest_builders import build_backbone, build_checkpoint
from safetensors.torch import load_file, save_file

from genzoo.models.exported import export
from genzoo.models.loading import loaded_content
from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.embedders.mteb_models import model_content, resolve_model
from genzoo.tasks.model_session import EncodeSettings


def other_weights(folder):
    path = folder / "model.safetensors"
    torch.manual_seed(9)
    tensors = {
        name: tensor if "embed_tokens" in name else tensor + 0.3 * torch.randn_like(tensor)
        for name, tensor in load_file(path).items()
    }
    save_file(tensors, path, metadata={"format": "pt"})


def other_tokenizer(folder):
    path = folder / "tokenizer.json"
    facts = json.loads(path.read_text())
    facts["pre_tokenizer"]["add_prefix_space"] = True
    path.write_text(json.dumps(facts))


def other_prompts(folder):
    path = folder / "config_sentence_transformers.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"prompts": dict.fromkeys(facts["prompts"], "so it is: ")}))


@pytest.fixture
def folders(tmp_path):
    """A backbone, and a checkpoint, a small and a whole export made on it."""
    backbone = build_backbone(tmp_path / "backbone")
    checkpoint = build_checkpoint(backbone)
    checkpoint.save(tmp_path / "checkpoint")
    export(checkpoint, backbone, tmp_path / "adapter", "adapter", name="x")
    export(checkpoint, backbone, tmp_path / "merged", "merged", name="x")
    return tmp_path


def measure(folder, output, notes):
    meta, _ = resolve_model(str(folder))
    tasks, _ = resolve_tasks(None, ["GenZooMiniSTS"])
    settings = EncodeSettings(cache=output / "embeddings")
    (result,) = evaluate([meta], tasks, output, settings=settings, on_note=notes.append)
    return meta.revision, round(result.task_results[0].get_score(), 6)


@pytest.mark.parametrize(
    ("kind", "place", "change"),
    [
        ("checkpoint", "backbone", other_weights),
        ("checkpoint", "backbone", other_tokenizer),
        ("adapter", "backbone", other_weights),
        ("merged", "merged", other_weights),
        ("merged", "merged", other_tokenizer),
        ("merged", "merged", other_prompts),
    ],
)
def test_what_changes_the_embeddings_is_measured_again(folders, kind, place, change):
    notes = []
    before = measure(folders / kind, folders / "results", notes)
    assert measure(folders / kind, folders / "results", notes) == before
    assert notes == []
    change(folders / place)
    after = measure(folders / kind, folders / "results", notes)
    assert after[0] == before[0]  # the revision names what was trained
    assert after[1] != before[1]
    assert after == measure(folders / kind, folders / "fresh", notes)
    assert any(
        "measured again, as the files that the model is loaded from changed" in note or "prompts" in note
        for note in notes
    )


def test_what_changes_no_embedding_is_not_measured_again(folders):
    before = [loaded_content(folders / kind) for kind in ("checkpoint", "adapter", "merged")]
    assert None not in before
    for name in ("backbone", "adapter", "merged"):
        (folders / name / "README.md").write_text("changed")
        (folders / name / "fingerprint.json").write_text("{}")
        (folders / name / "generation_config.json").write_text('{"repetition_penalty": 1.5}')
    assert [loaded_content(folders / kind) for kind in ("checkpoint", "adapter", "merged")] == before


def test_what_the_revision_covers_needs_no_content(folders, tiny_teacher):
    assert model_content(resolve_model(str(tiny_teacher))[0]) is None
    assert model_content(resolve_model("random")[0]) is None
    shutil.rmtree(folders / "backbone")  # finished results are known without the backbone
    assert model_content(resolve_model(str(folders / "checkpoint"))[0]) is None

"""Any model by any name becomes a card of mteb, and is measured as its author means it."""

import json
import shutil

import numpy as np
import pytest

from genzoo.tasks.embedders.mteb_models import count_parameters, is_pinned, resolve_model


@pytest.fixture
def folder(tiny_teacher, tmp_path):
    return shutil.copytree(tiny_teacher, tmp_path / "model")


def set_prompts(folder, prompts):
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": prompts}))


def encoded(meta, side):
    """The embedding that mteb gets for a text on one side of a search."""
    import mteb
    from datasets import Dataset
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    model = meta.load_model(device="cpu")
    loader = DataLoader(Dataset.from_dict({"text": ["a fox"]}), batch_size=1)
    settings = {"hf_split": "test", "hf_subset": "default", "show_progress_bar": False}
    metadata = mteb.get_task("SciFact").metadata
    return model.encode(loader, task_metadata=metadata, prompt_type=side and PromptType(side), **settings), model.model


@pytest.mark.parametrize(
    "prompts",
    [
        {"query": "query: ", "passage": "passage: "},
        {"query": "query: ", "corpus": "passage: "},
        {"query": "query: ", "document": "", "passage": "passage: "},
        {"query": "query: ", "document": "passage: ", "passage": "never"},
    ],
)
def test_documents_are_measured_under_the_prompt_that_is_meant_for_them(folder, prompts):
    set_prompts(folder, prompts)
    meta, _ = resolve_model(str(folder))
    for side, prompt in (("query", "query: "), ("document", "passage: "), (None, "")):
        found, model = encoded(meta, side)
        assert abs(found - model.encode(["a fox"], prompt=prompt)).max() < 1e-6
        assert set(model.prompts) == {"query", "document"}


def test_results_without_that_prompt_are_known_to_be_outdated(folder):
    """The card names the prompts that an earlier genzoo left out, so that they are compared with those of the record."""
    set_prompts(folder, {"query": "query: ", "passage": "passage: "})
    meta, _ = resolve_model(str(folder))
    assert meta.loader_kwargs == {"model_prompts": {"query": "query: ", "document": "passage: "}}
    for unchanged in ({}, {"query": "query: "}, {"query": "q: ", "document": "d: "}):
        set_prompts(folder, unchanged)
        assert not resolve_model(str(folder))[0].loader_kwargs


def test_an_option_that_nothing_honours_is_refused(folder):
    meta, _ = resolve_model(str(folder))
    with pytest.raises(TypeError, match="precision"):
        meta.load_model(device="cpu", precision="int8")


def test_an_embedder_from_elsewhere_may_get_a_name_of_the_users_own(tmp_path):
    np.savez(tmp_path / "x.npz", texts=np.array(["a"]), embeddings=np.eye(1))
    plain, own = (resolve_model(f"{prefix}vectors:{tmp_path}")[0] for prefix in ("", "ours="))
    assert (plain.name, own.name) == (f"vectors/{tmp_path.name}", "local/ours")
    assert plain.revision == own.revision
    assert not is_pinned("ours=vectors:x") and not is_pinned("rrf:a+b") and not is_pinned("http://127.0.0.1/v1#m")


def test_weights_above_an_exit_layer_are_not_counted(llama):
    from transformers import AutoModelForCausalLM

    whole = AutoModelForCausalLM.from_pretrained(llama)
    above = sum(one.numel() for one in whole.base_model.layers[1].parameters())
    assert count_parameters(llama) == whole.num_parameters()
    assert count_parameters(llama, 1) == whole.num_parameters() - above
    assert count_parameters(llama, 2) == whole.num_parameters()

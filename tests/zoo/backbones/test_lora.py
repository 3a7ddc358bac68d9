"""Low-rank changes of a frozen LLM."""

import pytest
import torch
from conftest_builders import build_checkpoint

from genzoo.errors import CheckpointError


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda t: {name.replace("layers.0", "layers.9"): one for name, one in t.items()},
            "has no projection layers.9",
        ),
        (lambda t: {name: one for name, one in t.items() if not name.endswith("q_proj.up")}, "belong together"),
        (lambda t: t | {"layers.0.self_attn.q_proj.alpha": torch.ones(1)}, "must be called"),
        (lambda t: {name: one[:, :-1] if name.endswith("down") else one for name, one in t.items()}, "has shapes"),
    ],
)
def test_a_lora_that_does_not_fit_is_refused(llama, spoil, told):
    """Also one of whose tensors only some fit: none may be left out in silence."""
    import dataclasses

    from transformers import AutoModelForCausalLM

    from genzoo.backbones.lora import Lora, changed_by
    from genzoo.models.assembly import assemble

    model = AutoModelForCausalLM.from_pretrained(llama)
    tensors = Lora.create(model, 2, "q_proj,v_proj", 0).tensors()
    assemble(dataclasses.replace(build_checkpoint(llama), lora=tensors), llama, device="cpu")
    with pytest.raises(CheckpointError, match=told):
        assemble(dataclasses.replace(build_checkpoint(llama), lora=spoil(tensors)), llama, device="cpu")
    with pytest.raises(CheckpointError, match=told), changed_by(model, spoil(tensors)):
        pass

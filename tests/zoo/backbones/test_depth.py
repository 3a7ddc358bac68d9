"""The first layers of an LLM, read as a stock model of so many layers reads them."""

import subprocess
import sys

import pytest
import torch
from conftest_builders import build_backbone
from transformers import AutoConfig, AutoModelForCausalLM

from genzoo.backbones import forward
from genzoo.backbones.depth import check_layer, first_layers, shallow_config
from genzoo.backbones.forward import FAMILIES
from genzoo.backbones.token_states import token_states
from genzoo.errors import InputError

IDS = [[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [5, 6], []]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    windows = {"layer_types": ["sliding_attention"] * 2 + ["full_attention"], "sliding_window": 8}
    changes = windows if request.param == "gemma3_text" else {}
    return build_backbone(tmp_path_factory.mktemp("deep"), request.param, num_hidden_layers=3, **changes)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_the_view_equals_a_stock_model_of_so_many_layers(folder, layer):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    whole = model.base_model(torch.tensor([IDS[0]])).last_hidden_state
    view = first_layers(model, layer)
    stock = AutoModelForCausalLM.from_pretrained(folder, **shallow_config(model.config, layer)).eval()
    found, wanted = (one.base_model(torch.tensor([IDS[0]])).last_hidden_state for one in (view, stock))
    assert torch.equal(found, wanted)
    rows = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    for text_grad in (False, True):
        found, wanted = (token_states(one, IDS, rows, text_grad=text_grad) for one in (view, stock))
        assert torch.equal(found, wanted)
    # The model that the view is of goes on as before, and shares every weight.
    assert torch.equal(model.base_model(torch.tensor([IDS[0]])).last_hidden_state, whole)
    assert (len(model.base_model.layers), model.config.num_hidden_layers) == (3, 3)
    shared = {one.data_ptr() for one in model.parameters()}
    assert {one.data_ptr() for one in view.parameters()} <= shared
    assert (layer == 3) == torch.allclose(found, token_states(model, IDS, rows), atol=1e-5)


def test_the_padded_way_of_a_gpu_ends_there_too(folder, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    rows = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)) * 0.2
    packed = token_states(first_layers(model, 2), IDS, rows)
    monkeypatch.setattr(forward, "can_pack", lambda model: False)
    for text_grad in (False, True):
        assert torch.allclose(token_states(first_layers(model, 2), IDS, rows, text_grad=text_grad), packed, atol=1e-4)


def test_without_a_layer_it_is_the_model_itself(llama):
    model = AutoModelForCausalLM.from_pretrained(llama)
    assert first_layers(model, 0) is model
    assert shallow_config(model.config, 0) == {}


def test_a_layer_that_is_not_there_is_refused(llama):
    with pytest.raises(InputError, match="exit_layer is 3, the backbone has layers 1 to 2"):
        first_layers(AutoModelForCausalLM.from_pretrained(llama), 3)
    with pytest.raises(InputError, match=r"checked on llama.* and this backbone is gpt2"):
        check_layer(AutoConfig.for_model("gpt2"), 2)
    check_layer(AutoConfig.for_model("gpt2"), 0)


def test_what_reads_a_config_alone_does_not_import_the_forward_pass():
    code = "import sys, genzoo.models.loading, genzoo.tasks.evaluation; sys.exit('genzoo.backbones.forward' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

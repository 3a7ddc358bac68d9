"""Names of transformers 4 beside those of 5: both give the installed version the same model."""

import json

import pytest
import torch
from conftest_builders import build_backbone
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from genzoo.backbones.older import name_rope_as_before, name_tokenizer_as_before, rope_is_read_as_before

IDS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])
ROPES = {
    "llama": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e4},
    "qwen3": {"rope_type": "default", "rope_theta": 1e6},
    "gemma3_text": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    },
}


@pytest.mark.parametrize("family", ROPES)
def test_both_names_of_a_rotary_base_say_the_same(family, tmp_path):
    folder = build_backbone(tmp_path / "m", family, rope_parameters=ROPES[family])
    states = AutoModelForCausalLM.from_pretrained(folder)(IDS).logits
    assert not rope_is_read_as_before(folder)
    name_rope_as_before(folder)
    assert rope_is_read_as_before(folder)
    assert torch.equal(AutoModelForCausalLM.from_pretrained(folder)(IDS).logits, states)
    # transformers 5 reads the old names too: without the new ones it must come to the same
    path = folder / "config.json"
    config = json.loads(path.read_text())
    before = config.pop("rope_parameters")
    path.write_text(json.dumps(config))
    assert torch.equal(AutoModelForCausalLM.from_pretrained(folder)(IDS).logits, states)
    assert AutoConfig.from_pretrained(folder).rope_parameters == before


def test_the_tokenizer_stays_the_same_under_the_older_names(llama, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|extra|>"]})
    tokenizer.save_pretrained(tmp_path)
    name_tokenizer_as_before(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert config["additional_special_tokens"] == ["<|extra|>"]
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "a <|extra|> fox <|im_end|>"
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.all_special_ids == tokenizer.all_special_ids

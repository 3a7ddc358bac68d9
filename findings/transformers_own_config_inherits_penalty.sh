#!/bin/sh
# transformers 5.23.0: a GenerationConfig of your own still writes with the repetition penalty that the model ships.
#
# `generate(generation_config=GenerationConfig(do_sample=False, max_new_tokens=6))` reads like plain greedy decoding, and by the
# documentation of `generate` whatever is not specified has GenerationConfig's default, that is, no penalty. But what the own config
# leaves open is first taken from the model's generation_config.json, silently. Here a tiny random Llama whose file has a
# `repetition_penalty` of 2.0 writes
#   [26, 0, 28, 2, 19, 20]   with the own config, and the same where that says 2.0,
#   [26, 26, 26, 12, 0, 28]  where the own config says 1.0, and with the own config as it was where the file has no penalty.
# genzoo writes with the given options alone; of the shipped config it takes the tokens that end or pad a text (zoo/backbones/generation.py).
#
# Exits with 0 while the shipped penalty counts, and with 1 once the own config writes as without it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0
cat > "$folder/tokens.py" <<'PY'
import sys

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=32, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
    tie_word_embeddings=True, initializer_range=1.0, bos_token_id=None, eos_token_id=None,
)
made = LlamaForCausalLM(config)
made.save_pretrained(f"{sys.argv[1]}/plain")
made.generation_config = GenerationConfig(repetition_penalty=2.0)
made.save_pretrained(f"{sys.argv[1]}/shipped")
prompt = torch.tensor([[5, 6, 7]])


def written(name, **options):
    own = GenerationConfig(do_sample=False, max_new_tokens=6, **options)
    model = AutoModelForCausalLM.from_pretrained(f"{sys.argv[1]}/{name}")
    return model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=own)[0, 3:].tolist()


own, penalised = written("shipped"), written("shipped", repetition_penalty=2.0)
unpenalised, plain = written("shipped", repetition_penalty=1.0), written("plain")
print("own config", own)
print("own config, penalty 2.0", penalised)
print("own config, penalty 1.0", unpenalised)
print("own config, nothing shipped", plain)
sys.exit(not (own == penalised != unpenalised == plain))
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/tokens.py" "$folder"

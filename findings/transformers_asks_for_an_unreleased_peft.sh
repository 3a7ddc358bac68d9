#!/bin/sh
# transformers 5.24.0 reads no adapter folder: it asks for peft 0.22.0, and the newest release of peft is 0.21.2.
#
# A tiny random Llama with a LoRA, saved and read back with peft 0.21.2:
#   transformers 5.23.0  loads it,
#   transformers 5.24.0  ValueError: The version of PEFT you are using is not compatible, please use a version >= 0.22.0
# transformers does not require peft, so no installer sees that the two do not fit, and `pip install transformers peft` brings this
# pair. genzoo's exported folders without merged weights are adapters; pyproject.toml therefore keeps transformers below 5.24.
#
# Exits with 0 while 5.24.0 and the newest peft do not work together, and with 1 once they do.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
cat > "$folder/adapter.py" <<'PY'
import sys

import peft
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
config = LlamaConfig(
    vocab_size=32, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
)
LlamaForCausalLM(config).save_pretrained(f"{folder}/llm")
lora = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(f"{folder}/llm"), peft.LoraConfig(target_modules=["q_proj"]))
lora.save_pretrained(f"{folder}/adapter")
try:
    AutoModelForCausalLM.from_pretrained(f"{folder}/adapter")
    outcome = "loads it"
except ValueError as error:
    outcome = f"ValueError: {error}"
print(f"transformers {transformers.__version__}, peft {peft.__version__}: {outcome}")
sys.exit(outcome != "loads it")
PY
export HF_HUB_OFFLINE=1
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --upgrade peft transformers==5.23.0
"$folder/venv/bin/python" "$folder/adapter.py" "$folder"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --upgrade peft transformers==5.24.0
! "$folder/venv/bin/python" "$folder/adapter.py" "$folder"

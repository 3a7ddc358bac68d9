#!/bin/sh
# transformers 5.24.0: add_adapter works with no released peft. It asks for peft 0.22.0; the newest release is 0.21.2.
#
# `model.add_adapter(LoraConfig(target_modules=["q_proj"]))` on a tiny random Llama, with peft 0.21.2:
#   transformers 5.23.0  adds the adapter,
#   transformers 5.24.0  ValueError: The version of PEFT you are using is not compatible, please use a version >= 0.22.0
# transformers does not require peft, so no installer sees that the two do not fit: `pip install transformers peft` brings this pair.
# genzoo exports small folders with add_adapter (zoo/models/assembly.py); pyproject.toml keeps transformers below 5.24.
#
# Exits with 0 while 5.24.0 refuses the newest peft, and with 1 once it adds the adapter.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
cat > "$folder/adapter.py" <<'PY'
import sys

import peft
import transformers

config = transformers.LlamaConfig(
    vocab_size=32, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
)
try:
    transformers.LlamaForCausalLM(config).add_adapter(peft.LoraConfig(target_modules=["q_proj"]))
    outcome = "adds the adapter"
except ValueError as error:
    outcome = f"ValueError: {error}"
print(f"transformers {transformers.__version__}, peft {peft.__version__}: {outcome}")
sys.exit(outcome != "adds the adapter")
PY
for version in 5.23.0 5.24.0; do
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --upgrade peft transformers==$version
  status=0
  "$folder/venv/bin/python" "$folder/adapter.py" || status=$?
done
[ $status -ne 0 ]

#!/bin/sh
# optimum-intel 2.2.0 with OpenVINO 2026.4.1 and transformers 4.57.6: the hidden states of a Llama are NaN or others than those of PyTorch,
# and nothing warns.
#
# Two tiny random Llamas are saved, converted by `OVModelForFeatureExtraction.from_pretrained(..., export=True)`, which is also what
# `SentenceTransformer(..., backend="openvino")` runs, and asked for the states of six tokens without padding. The states are NaN or, in some
# runs, off by 0.1 to 3 (they are about 1), with as many key heads as query heads and with half as many. It runs in float32
# (`INFERENCE_PRECISION_HINT`), so rounding does not explain it. SmolLM2-135M gives NaN too, hence every embedding of genzoo's models.
#
# Exits with 0 while it is so, and with 1 once both Llamas have the states of PyTorch.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/states.py" <<'PY'
import sys
import tempfile
from importlib.metadata import version

import torch
from optimum.intel import OVModelForFeatureExtraction
from transformers import LlamaConfig, LlamaModel

gaps = []
for n_key_heads in (4, 2):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=n_key_heads,
        max_position_embeddings=512,
    )
    with tempfile.TemporaryDirectory() as root, torch.no_grad():
        LlamaModel(config).save_pretrained(root)
        exact = LlamaModel.from_pretrained(root).eval()
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        converted = OVModelForFeatureExtraction.from_pretrained(root, export=True, ov_config=options)
        ids = torch.randint(300, (1, 6))
        states = torch.as_tensor(converted(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state)
        gaps.append(float((states - exact(ids).last_hidden_state).abs().max()))
    versions = f"optimum-intel {version('optimum-intel')}, openvino {version('openvino')}"
    print(f"{versions}, 4 query heads, {n_key_heads} key heads: largest difference {gaps[-1]:.3f}")
sys.exit(all(gap <= 0.05 for gap in gaps))  # NaN is not
PY
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==4.57.6
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check optimum-intel==2.2.0 openvino==2026.4.1 openvino-tokenizers==2026.4.1.0
"$folder/venv/bin/pip" uninstall --quiet --yes torchvision  # not used; one made for CUDA cannot be imported beside a torch made for CPUs
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" -W ignore "$folder/states.py"

#!/bin/sh
# sentence-transformers 3.4.1 and 6.2.0: a model with WordWeights and a Dense after its pooling loads in bfloat16 and float16, and then
# embeds nothing.
#
# A tiny random BERT with WordWeights, Pooling and Dense is saved in float32 and loaded with `model_kwargs={"torch_dtype": ...}`. All its
# modules take the asked type, but WordWeights multiplies by float32 weights and so gives float32 states, which the Dense in half
# precision refuses: "mat1 and mat2 must have the same dtype". The same model without WordWeights, and this one in float32, embed in both.
# genzoo's export pools the last tokens by WordWeights; it puts its linear maps before them, as convolutions of width one, and so loads in
# half precision.
#
# Exits with 0 while it is so, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/half.py" <<'PY'
import sys
import tempfile
from importlib.metadata import version

import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORDS = ["?", "a", "river"]
is_so = True
with tempfile.TemporaryDirectory() as root:
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", pad_token="?").save_pretrained(f"{root}/bert")
    config = BertConfig(
        vocab_size=3, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=8
    )
    BertModel(config).save_pretrained(f"{root}/bert")
    for name, weights in (("with WordWeights", [models.WordWeights(WORDS, {"river": 2.0})]), ("without", [])):
        parts = [models.Transformer(f"{root}/bert"), *weights, models.Pooling(16, "mean"), models.Dense(16, 8)]
        SentenceTransformer(modules=parts, device="cpu").save(f"{root}/{name}")
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            again = SentenceTransformer(f"{root}/{name}", device="cpu", model_kwargs={"torch_dtype": dtype})
            try:
                told = f"{len(again.encode('a river', convert_to_tensor=True))} numbers"
            except RuntimeError as error:
                told = f"RuntimeError: {error}"
            print(f"{version('sentence-transformers')}, {name}, {dtype}: {told}")
            fails = "must have the same dtype" in told
            is_so &= fails == (name == "with WordWeights" and dtype != torch.float32)
sys.exit(not is_so)
PY
for pins in "sentence-transformers==6.2.0 transformers==5.23.0" "sentence-transformers==3.4.1 transformers==4.57.6"; do
    rm -rf "$folder/venv"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
    # shellcheck disable=SC2086
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check $pins
    HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" -W ignore "$folder/half.py"
done

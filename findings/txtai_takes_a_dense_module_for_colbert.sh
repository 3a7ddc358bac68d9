#!/bin/sh
# txtai 9.14.0: a SentenceTransformer folder that holds a `1_Dense` module is loaded as a late-interaction model (ColBERT), and one whose
# Dense stands later loses it.
#
# A tiny random Llama is saved in two layouts that sentence-transformers 6.2.0 takes for one model of 8 dimensions: Transformer, Dense,
# Pooling, and Transformer, Pooling, Dense with the same linear map (a mean commutes with it); their embeddings agree. txtai gives vectors of
# 10,240 numbers for the first, a fixed-width encoding of its token vectors, and of 32 for the second, the mean before the map. Nothing is
# said. `method="sentence-transformers"` makes both right.
# A layout with a map of every token (modules before the pooling) is what generative embeddings need, where only the last tokens are
# pooled. genzoo's export holds convolutions of width one instead, and its guide In other tools gives the method.
#
# Exits with 0 while both are read so, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check txtai==9.14.0 sentence-transformers==6.2.0 transformers==5.23.0
cat > "$folder/layouts.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast
from txtai.vectors import VectorsFactory

TEXTS = ["a river", "a stone a river"]
torch.manual_seed(0)
root = Path(sys.argv[1])
words = ["?", "a", "river", "stone"]
tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="?"))
tokenizer.pre_tokenizer = Whitespace()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", pad_token="?").save_pretrained(root / "llama")
config = LlamaConfig(
    vocab_size=8, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
)
LlamaModel(config).save_pretrained(root / "llama")


def linear(**names):
    module = Dense(32, 8, activation_function=torch.nn.Identity(), **names)
    with torch.no_grad():
        module.linear.weight.copy_(torch.linspace(-1, 1, 256).view(8, 32).sin())
        module.linear.bias.zero_()
    return module


tokens = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
layouts = {
    "map, then mean": [linear(**tokens), Pooling(8, "mean")],
    "mean, then map": [Pooling(32, "mean"), linear()],
}
is_so, own = True, {}
for name, parts in layouts.items():
    model = SentenceTransformer(modules=[Transformer(str(root / "llama")), *parts], device="cpu")
    place = root / name.replace(", ", "-").replace(" ", "-")
    model.save_pretrained(str(place), create_model_card=False)
    own[name] = model.encode(TEXTS, normalize_embeddings=True)
    for method in (None, "sentence-transformers"):
        options = {"path": str(place), "gpu": False} | ({"method": method} if method else {})
        vectors = VectorsFactory.create(options, None)
        made = np.array(vectors.batchtransform([(None, text, None) for text in TEXTS]))
        is_right = made.shape == own[name].shape and float(np.abs(made - own[name]).max()) < 1e-5
        print(f"{name}, method {method}: {type(vectors).__name__}, {made.shape[1]} numbers for {own[name].shape[1]}, right: {is_right}")
        is_so &= is_right if method else made.shape[1] == (10_240 if name == "map, then mean" else 32)
gap = float(np.abs(own["map, then mean"] - own["mean, then map"]).max())
print(f"sentence-transformers: the layouts differ by {gap:.0e}")
sys.exit(not (is_so and gap < 1e-5))
PY
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" "$folder/layouts.py" "$folder"

#!/bin/sh
# sentence-transformers 6.2.0: `encode_document` never uses a prompt that a model saves as `passage` or `corpus`.
#
# By its documentation it uses the first of the prompts `document`, `passage` and `corpus` that the model has, and the constructor's
# own example of prompts is a `query` and a `passage`. But every SentenceTransformer is given an empty `document` prompt, which comes
# first: queries are encoded with their prompt, and documents without one, silently. Here this holds for both names, for prompts
# given to the constructor and for a saved folder that names no `document`. Once the empty one is deleted from `model.prompts`,
# the document gets its prompt.
# genzoo puts such a prompt under `document` too, wherever it opens a model (zoo/backbones/whole.py, `with_document_prompt`; for mteb, which
# looks up `document` alone, tasks/embedders/mteb_models.py).
#
# Exits with 0 while the prompt is unused, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check sentence-transformers==6.2.0 transformers==5.23.0
cat > "$folder/prompts.py" <<'PY'
import json
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

TEXT = "a river"
torch.manual_seed(0)
words = ["?", ":", "query", "passage", "a", "river"]
tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="?"))
tokenizer.pre_tokenizer = Whitespace()


def used_prompts(model, name):
    """The prompts that `encode_document` uses with and without the empty `document`, and whether queries get theirs."""
    ways = {"none": model.encode(TEXT, prompt=""), name: model.encode(TEXT, prompt_name=name)}
    first = model.encode_document(TEXT)
    is_query_used = bool((model.encode_query(TEXT) == model.encode(TEXT, prompt_name="query")).all())
    was_empty = model.prompts.pop("document", None) == ""
    second = model.encode_document(TEXT)
    used = [next(way for way, vector in ways.items() if (vector == found).all()) for found in (first, second)]
    return *used, is_query_used, was_empty


is_so = True
for name in ("passage", "corpus"):
    prompts, folder = {"query": "query: ", name: "passage: "}, Path(sys.argv[1]) / name
    given = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], prompts=prompts, device="cpu")
    given.save_pretrained(str(folder))
    config = folder / "config_sentence_transformers.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"prompts": prompts}))
    for way, model in (("given", given), ("saved", SentenceTransformer(str(folder), device="cpu"))):
        found = used_prompts(model, name)
        print(f"{way} as {name}: encode_document uses {found[0]}; without the empty document prompt, {found[1]}")
        is_so &= found == ("none", name, True, True)
sys.exit(not is_so)
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/prompts.py" "$folder"

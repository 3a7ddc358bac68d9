#!/bin/sh
# chromadb 1.5.9: a second SentenceTransformerEmbeddingFunction of the same model ignores its own options, silently.
#
# The class keeps every loaded model under its name alone. A function that is made with `truncate_dim=2` or `default_prompt_name`
# after one without gets the model of the first: 4 dimensions, and no prompt. Where no function was made before, the same lines give
# 2 dimensions and use the prompt. The docstring says of these arguments that they are passed to the model.
# genzoo's guide to other tools registers a function of its own, which keeps its model itself (docs/guides/in-other-tools.md).
#
# Exits with 0 while the options are ignored, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check chromadb==1.5.9 sentence-transformers==6.2.0 transformers==5.23.0
cat > "$folder/options.py" <<'PY'
import sys

import numpy as np
import torch
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

torch.manual_seed(0)
tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(["?", "a", "river", "passage"])}, unk_token="?"))
tokenizer.pre_tokenizer = Whitespace()
made = SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)], prompts={"document": "passage "}, device="cpu")
made.save_pretrained(sys.argv[1])


def embedded(**options):
    return np.array(SentenceTransformerEmbeddingFunction(sys.argv[1], **options)(["a river"])[0])


plain = embedded()
same_process = [embedded(truncate_dim=2), embedded(default_prompt_name="document")]
alone = []
for options in ({"truncate_dim": 2}, {"default_prompt_name": "document"}):
    SentenceTransformerEmbeddingFunction.models.clear()  # as in a new process
    alone.append(embedded(**options))
print("dimensions with truncate_dim=2: after another function", same_process[0].size, "alone", alone[0].size)
is_prompt_used = [not np.array_equal(found, plain) for found in (same_process[1], alone[1])]
print("default prompt used: after another function", is_prompt_used[0], "alone", is_prompt_used[1])
sys.exit(not (same_process[0].size == 4 and alone[0].size == 2 and is_prompt_used == [False, True]))
PY
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/options.py" "$folder/model"

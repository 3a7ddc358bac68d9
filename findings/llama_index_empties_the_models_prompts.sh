#!/bin/sh
# llama-index-embeddings-huggingface 0.8.0: `HuggingFaceEmbedding` replaces the prompts that a model brings by empty ones.
#
# A tiny random Llama is saved as a SentenceTransformer with the prompts `query` and `document`. sentence-transformers puts them before
# texts in `encode_query` and `encode_document`. LlamaIndex builds the model with prompts of its own, which are empty unless
# `query_instruction` and `text_instruction` are given, and so gets the embeddings of texts without a prompt, without a warning. Given both,
# it agrees.
# genzoo's guide In other tools gives both lines, and `genzoo doctor` names the fault.
#
# Exits with 0 while the prompts are lost, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check llama-index-embeddings-huggingface==0.8.0 sentence-transformers==6.2.0 transformers==5.23.0
cat > "$folder/prompts.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import torch
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

PROMPTS = {"query": "asked: ", "document": "said: "}
TEXT = "a river"
torch.manual_seed(0)
root = Path(sys.argv[1])
words = ["?", "a", "river", "asked", "said", ":"]
tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="?"))
tokenizer.pre_tokenizer = Whitespace()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", pad_token="?").save_pretrained(root / "llama")
config = LlamaConfig(
    vocab_size=8, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
)
LlamaModel(config).save_pretrained(root / "llama")
parts = [Transformer(str(root / "llama")), Pooling(32, "mean"), Normalize()]
model = SentenceTransformer(modules=parts, prompts=PROMPTS, device="cpu")
model.save_pretrained(str(root / "model"), create_model_card=False)

wanted = {"query": model.encode_query(TEXT), "document": model.encode_document(TEXT)}
bare = model.encode(TEXT, prompt="")
given = {"query_instruction": PROMPTS["query"], "text_instruction": PROMPTS["document"]}
is_so = True
for told, options in (("nothing", {}), ("both instructions", given)):
    client = HuggingFaceEmbedding(model_name=str(root / "model"), device="cpu", **options)
    made = {"query": client.get_query_embedding(TEXT), "document": client.get_text_embedding(TEXT)}
    for kind, vector in made.items():
        gaps = [float(np.abs(np.array(vector) - other).max()) for other in (wanted[kind], bare)]
        print(f"given {told}, {kind}: differs from the model's own by {gaps[0]:.1e}, from that without a prompt by {gaps[1]:.1e}")
        is_so &= gaps[0] < 1e-5 if options else gaps[0] > 0.01 and gaps[1] < 1e-5
sys.exit(not is_so)
PY
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" "$folder/prompts.py" "$folder"

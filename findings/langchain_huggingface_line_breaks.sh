#!/bin/sh
# langchain-huggingface 1.2.3: `HuggingFaceEmbeddings` turns every line break of a text into a blank before the model sees it.
#
# A tiny random Llama whose tokenizer knows a line break as a token embeds two lines of a poem. Through LangChain, queries and documents
# get the embedding that sentence-transformers gives to the same words on one line; no option of the class turns that off, and nothing is
# said. For a model that was trained on texts with their lines (lists, code, passages with headings) that is another text: measured on
# genzoo's `smollm2-135m`, a passage of two paragraphs has a cosine of 0.954 to its own.
# genzoo's guide In other tools gives LangChain a class of its own instead, and `genzoo doctor` names the fault.
#
# Exits with 0 while line breaks are lost, and with 1 once a case differs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check langchain-huggingface==1.2.3 sentence-transformers==6.2.0 transformers==5.23.0
cat > "$folder/lines.py" <<'PY'
import sys
from pathlib import Path

import numpy as np
import torch
from langchain_huggingface import HuggingFaceEmbeddings
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

LINES = "a river\na stone"
torch.manual_seed(0)
root = Path(sys.argv[1])
words = ["?", "a", "river", "stone", " ", "\n"]
tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="?"))
tokenizer.pre_tokenizer = Split(Regex(r"\s"), "isolated")
PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", pad_token="?").save_pretrained(root / "llama")
config = LlamaConfig(
    vocab_size=8, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2
)
LlamaModel(config).save_pretrained(root / "llama")
model = SentenceTransformer(modules=[Transformer(str(root / "llama")), Pooling(32, "mean")], device="cpu")
model.save_pretrained(str(root / "model"), create_model_card=False)

own, one_line = model.encode([LINES, LINES.replace("\n", " ")])
client = HuggingFaceEmbeddings(model_name=str(root / "model"), model_kwargs={"device": "cpu"})
is_so = True
for kind, made in (("query", client.embed_query(LINES)), ("document", client.embed_documents([LINES])[0])):
    gaps = [float(np.abs(np.array(made) - vector).max()) for vector in (own, one_line)]
    print(f"{kind}: differs from the text's own embedding by {gaps[0]:.3f}, from that of one line by {gaps[1]:.0e}")
    is_so &= gaps[0] > 0.01 and gaps[1] < 1e-5
sys.exit(not is_so)
PY
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" "$folder/lines.py" "$folder"

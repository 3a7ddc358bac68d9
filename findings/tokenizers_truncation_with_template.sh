#!/bin/sh
# tokenizers 0.23.3: `enable_truncation(max_length=...)` lets more than `max_length` tokens through, depending on the template.
#
# The text is cut to what the tokens that the template adds leave of the limit, and only then put into the template. Therefore
#   - a template with the text in two places, as echo embeddings have it, gives up to about twice the limit:
#     "<s> $A <sep> $A </s>" gives 9 tokens at limit 6, and 37 at limit 20.
#   - Where the limit is below the number of added tokens, nothing is cut at all: "<s> $A </s>" makes of 10 words 3 tokens at limit
#     3, 2 at limit 2, and 12 at limit 1, where one would expect an error or the 2 added tokens.
# genzoo asks for the limit that makes the sum right, and refuses one that leaves no room for the text (zoo/backbones/tokenizer.py,
# `template_limit`).
#
# Exits with 0 while tokenizers behaves so, and with 1 once one of the numbers changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
cat > "$folder/lengths.py" <<'PY'
import sys

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

ADDED = [("<s>", 0), ("</s>", 1), ("<sep>", 2)]
tokenizer = Tokenizer(WordLevel(dict(ADDED) | {"word": 3}, unk_token="word"))
tokenizer.pre_tokenizer = Whitespace()


def length(template, limit, n_words):
    tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=ADDED)
    tokenizer.enable_truncation(max_length=limit)
    return len(tokenizer.encode(" ".join(["word"] * n_words)).ids)


found = {}
for template, limit, n_words in [
    ("<s> $A <sep> $A </s>", 6, 10),
    ("<s> $A <sep> $A </s>", 20, 100),
    ("<s> $A </s>", 3, 10),
    ("<s> $A </s>", 2, 10),
    ("<s> $A </s>", 1, 10),
]:
    found[template, limit] = length(template, limit, n_words)
    print(f"{template}, limit {limit}: {n_words} words become {found[template, limit]} tokens")
sys.exit(list(found.values()) != [9, 37, 3, 2, 12])
PY
"$folder/venv/bin/python" "$folder/lengths.py"

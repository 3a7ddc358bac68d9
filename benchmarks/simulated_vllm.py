"""Answers ``POST /pooling`` as the source of vLLM 0.33 says that it would; `clients.py` runs the page's snippet against it.

    python simulated_vllm.py FOLDER PORT

vLLM needs a GPU and was not run. What is taken from its source (entrypoints/pooling, renderers/params.py and
model_executor/layers/pooler of the 0.33.0 wheel), for a server with ``--pooler-config '{"task": "token_embed"}'``: the tokenizer's
own template is used, ``truncate_prompt_tokens`` of -1 cuts a text by the tokenizer at ``max_seq_length``, and every token's last
hidden state is returned, divided by its length unless ``use_activation`` is false. No module is read where there is no
``modules.json``, as in the copy that the page serves.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer


def main():
    folder = Path(sys.argv[1])
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    longest = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            is_cut = asked.get("truncate_prompt_tokens") == -1
            rows = []
            for place, text in enumerate(asked["input"]):
                tokens = tokenizer(text, truncation=is_cut, max_length=longest if is_cut else None, return_tensors="pt")
                with torch.no_grad():
                    states = model(**tokens).last_hidden_state[0]
                if asked.get("use_activation") is not False:
                    states = torch.nn.functional.normalize(states, dim=-1)
                rows.append({"index": place, "object": "pooling", "data": states.tolist()})
            answer = json.dumps({"object": "list", "model": asked["model"], "data": rows}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

    HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()


if __name__ == "__main__":
    main()

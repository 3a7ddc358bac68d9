#!/bin/sh
# mteb 2.26.24: OpenAIAPIEncodeWrapper, called for OpenAI as its own documentation shows, cannot reach any server that asks for a key.
#
# The example is OpenAIAPIEncodeWrapper(endpoint_url="https://api.openai.com/v1", model_name=..., api_key=...). The wrapper then
#   1. asks for /v1/v1/models: it adds /v1 to the address, which has one in the example and in OpenAI's own client,
#   2. without the key, so that the answer is 401 and the constructor raises ConnectionError,
#   3. and, once that is left out, sends texts as chat messages, which only vLLM takes for embeddings.
# genzoo subclasses the wrapper (tasks/embedders/endpoint.py, tasks/embedders/transport.py).
#
# The server here is on 127.0.0.1 and does what OpenAI documents: every path under /v1 needs the key, embeddings take "input".
# Exits with 0 while mteb behaves so, and with 1 once the example works.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mteb==2.26.24 datasets==5.2.0
cat > "$folder/example.py" <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import mteb
from datasets import Dataset
from mteb.models import OpenAIAPIEncodeWrapper
from torch.utils.data import DataLoader

KEY, asked = "sk-the-right-key", []


class Server(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def reply(self, body, kind):
        has_key = self.headers.get("Authorization") == f"Bearer {KEY}"
        asked.append((self.path, "with key" if has_key else "without key", kind))
        status = 401 if not has_key else 200 if body is not None else 400
        raw = json.dumps(body if status == 200 else {"error": {"message": "refused"}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.reply({"data": [{"id": "m"}]}, "list")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = body.get("input")
        rows = texts and [{"index": place, "embedding": [1.0, 2.0]} for place in range(len(texts))]
        self.reply({"data": rows} if rows else None, "input" if texts else "messages")


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v1"


def outcome():
    try:
        model = OpenAIAPIEncodeWrapper(endpoint_url=url, model_name="m", api_key=KEY)
        loader = DataLoader(Dataset.from_dict({"text": ["a"]}))
        task = mteb.get_task("SciFact").metadata
        return model.encode(loader, task_metadata=task, hf_split="test", hf_subset="default", show_progress_bar=False)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


first, calls = outcome(), list(asked)
asked.clear()
OpenAIAPIEncodeWrapper._verify_server = lambda self: None
second = outcome()
print(first, calls, second, asked, sep="\n")
is_so = str(first).startswith("ConnectionError") and calls == [("/v1/v1/models", "without key", "list")]
is_so = is_so and str(second).startswith("RuntimeError") and asked[-1][2] == "messages"
sys.exit(not is_so)
PY
HF_HUB_OFFLINE=1 MTEB_CACHE="$folder/cache" "$folder/venv/bin/python" "$folder/example.py"

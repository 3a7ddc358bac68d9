"""An OpenAI-compatible embeddings endpoint on 127.0.0.1 around any function from texts to vectors, with faults on request."""

import collections
import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np


def words_to_vectors(texts, width=16):
    """A vector for each text from its words alone, the same in every batch and process."""
    rows = []
    for text in texts:
        seeds = [int.from_bytes(word.encode()[:4].ljust(4, b"\0"), "big") for word in text.split()] or [7]
        rows.append(sum(np.random.default_rng(seed).standard_normal(width) for seed in seeds))
    return np.asarray(rows, dtype=np.float32)


class Cut:
    """Close the connection in the middle of the answer."""


class Reply:
    """Any other answer than the right one."""

    def __init__(self, status, body, headers=None):
        self.status, self.headers = status, headers or {}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class EmbeddingServer:
    """Serves until `close`.

    Attributes:
        encode: Texts -> vectors; may be replaced while it serves.
        faults: Called with the texts of a request; returns a `Reply`, a `Cut`, a function that spoils the right rows, or None.
        texts: How often each text was embedded and sent back.
        requests: The headers of each request for embeddings.
        key: If set, the key that a request must bring.
    """

    def __init__(self, encode=words_to_vectors, model="tiny"):
        self.encode, self.model = encode, model
        self.texts, self.requests = collections.Counter(), []
        self.key, self.faults, self.answered = None, lambda texts: None, 0
        self.listing = {"data": [{"id": model, "object": "model"}]}
        owner = self

        class Handler(_Handler):
            server_owner = owner

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # a client that is gone
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def name(self):
        """As a user writes it."""
        return f"{self.url}#{self.model}"

    def once(self, *faults):
        """Answer the next requests that are no probes of a fingerprint with these faults, then rightly."""
        waiting = list(faults)

        def fault(texts):
            return waiting.pop(0) if waiting and not is_probing(texts) else None

        self.faults = fault

    def always(self, fault):
        """Answer every request that is no probe of a fingerprint with this fault."""
        self.faults = lambda texts: None if is_probing(texts) else fault

    def stop_at(self, number, stop):
        """Hold the request of this number (probes apart) and those after it; call `stop` once the answers before are kept."""
        lock, asked, stopped, before = threading.Lock(), [], threading.Event(), self.answered

        def fault(texts):
            if is_probing(texts):
                return None
            with lock:
                asked.append(texts)
                place = len(asked)
            if place < number:
                return None
            if place == number:
                while self.answered - before < number - 1:
                    time.sleep(0.1)
                time.sleep(2)  # for the client to keep them
                stop()
                stopped.set()
            stopped.wait()
            return Reply(500, {})

        self.faults = fault

    def task_texts(self):
        """Counts without the probe texts."""
        return collections.Counter({text: count for text, count in self.texts.items() if text not in _probes()})

    def close(self):
        self._http.shutdown()
        self._http.server_close()


def _probes():
    from genzoo.tasks.embedders.endpoint_fingerprint import PROBES

    return set(PROBES)


def is_probing(texts):
    """Whether a request asks for probe texts only."""
    return set(texts) <= _probes()


@contextlib.contextmanager
def serving(encode=words_to_vectors, model="tiny"):
    server = EmbeddingServer(encode, model)
    try:
        yield server
    finally:
        server.close()


class _Handler(BaseHTTPRequestHandler):
    server_owner = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.path == "/v1/models":
            self._answer(Reply(200, self.server_owner.listing))
        else:
            self._answer(Reply(404, {"detail": "Not Found"}))

    def do_POST(self):
        owner = self.server_owner
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner.requests.append(dict(self.headers))
        if not self.path.startswith("/v1/embeddings") or asked["model"] != owner.model:
            return self._answer(Reply(404, {"error": {"message": f"no model {asked['model']}"}}))
        if owner.key and self.headers.get("Authorization") != f"Bearer {owner.key}":
            said = f"Incorrect API key provided: {self.headers.get('Authorization', '')}"
            return self._answer(Reply(401, {"error": {"message": said, "code": "invalid_api_key"}}))
        texts = asked["input"]
        fault = owner.faults(texts)
        if isinstance(fault, Reply):
            return self._answer(fault)
        vectors = np.asarray(owner.encode(texts), dtype=np.float32)
        rows = [{"object": "embedding", "index": i, "embedding": row.tolist()} for i, row in enumerate(vectors)]
        if callable(fault):
            rows = fault(rows)
        body = json.dumps({"object": "list", "data": rows, "model": owner.model, "usage": {"total_tokens": 1}}).encode()
        if isinstance(fault, Cut):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        if fault is None:
            owner.texts.update(texts)
        self._answer(Reply(200, body))
        owner.answered += not is_probing(texts)
        return None

    def _answer(self, reply):
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

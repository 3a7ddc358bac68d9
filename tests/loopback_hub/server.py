"""The HTTP side: reads requests, lets faults strike, finds the route."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loopback_hub.faults import Cut
from loopback_hub.request import Request
from loopback_hub.routes import answer
from loopback_hub.storage import Hub, HubError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one packet: two would wait 40 ms for each other
    disable_nagle_algorithm = True
    hub: Hub
    has_xet = False

    def log_message(self, *args):
        """Nothing is logged: a header could hold a token."""

    def handle_request(self):
        body = self._body()  # always drained, or the next request on this connection would read it
        path = urllib.parse.urlsplit(self.path)
        named = f"{self.command} {path.path}"
        with self.hub.lock:
            self.hub.requests.append(named)
            fault = next((fault for fault in self.hub.faults if fault.strikes(named)), None)
        if isinstance(fault, Cut) and not fault.is_done:
            return self._cut()
        query = dict(urllib.parse.parse_qsl(path.query, keep_blank_values=True))
        host = f"http://{self.headers.get('Host')}"
        request = Request(self.hub, self.command, path.path, query, body, self.headers, host, self.has_xet)
        try:
            if fault and fault.status:
                raise HubError(fault.status, "injected fault")
            status, headers, data = answer(request)
        except HubError as error:
            data = json.dumps({"error": error.message} | error.extra).encode()
            status, headers = error.status, {"X-Error-Message": error.message}
            headers |= {"X-Error-Code": error.code} if error.code else {}
        if fault and isinstance(fault, Cut):
            return self._cut()
        return self._send(status, headers, data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_request

    def _send(self, status, headers, data):
        self.send_response(status)
        for key, value in ({"Content-Type": "application/json", "Content-Length": str(len(data))} | headers).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


class Server(ThreadingHTTPServer):
    """A running Hub: `endpoint` is its address, `hub` its state."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub, has_xet=False):
        super().__init__(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub, "has_xet": has_xet}))
        self.hub, self.endpoint = hub, f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that is killed closes its connection: nothing to tell."""


@contextlib.contextmanager
def serve(hub, has_xet=False):
    server = Server(hub, has_xet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

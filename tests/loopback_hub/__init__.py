"""A Hub on 127.0.0.1 for tests: speaks what the real clients (huggingface_hub, datasets, sentence-transformers, mteb) send.

It shows that the real clients work against what we build, not that it equals the Hub.
"""

from loopback_hub.faults import Cut, Fault
from loopback_hub.server import Server, serve
from loopback_hub.storage import Hub

__all__ = ["Cut", "Fault", "Hub", "Server", "serve"]

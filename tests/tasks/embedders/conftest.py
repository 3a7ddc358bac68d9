"""An endpoint of the test's own, and time that does not pass."""

import types

import pytest
from embedding_server import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    """No key of the machine's own user."""
    import os

    for name in list(os.environ):
        if name.startswith("GENZOO_API_KEY") or name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture
def slept(monkeypatch):
    """Seconds that the transport would have slept, one number for each time; its clock goes on as if it had."""
    from genzoo.tasks.embedders import transport

    waits = []
    clock = types.SimpleNamespace(sleep=waits.append, monotonic=lambda: 100.0 + sum(waits))
    monkeypatch.setattr(transport, "time", clock)
    return waits

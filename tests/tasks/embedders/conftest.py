"""An endpoint of the test's own, and time that does not pass."""

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
    """Seconds that the transport would have slept, one number for each time."""
    from genzoo.tasks.embedders import transport

    waits = []
    monkeypatch.setattr(transport.time, "sleep", waits.append)
    return waits

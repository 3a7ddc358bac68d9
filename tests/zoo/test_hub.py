"""Which address may get the token, how long a refused request waits, and what an error says."""

import pytest

from genzoo.errors import PublishError
from genzoo.hub import attempt, check_endpoint, explain, is_transient


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://huggingface.co",
        "http://10.0.0.1",
        "ftp://x",
        "http://127.0.0.1.evil.example",
        "https://u:p@h.co",
        "",
        "http://localhost@evil.example",
        "http://127.0.0.1:80@evil.example",
        "http://127.0.0.1\\@evil.example",
        "http://0.0.0.0",
        "http://localhost.evil.example",
        "http://evil.example/127.0.0.1",
        "http://[::ffff:8.8.8.8]",
        "//127.0.0.1",
        "HTTP://evil.example",
    ],
)
def test_token_never_goes_over_an_open_line(endpoint):
    with pytest.raises(PublishError, match="HF_ENDPOINT"):
        check_endpoint(endpoint)


@pytest.mark.parametrize(
    "endpoint", ["https://huggingface.co", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"]
)
def test_safe_endpoints(endpoint):
    check_endpoint(endpoint)


def test_waits_as_long_as_the_hub_asks():
    class Slow(Exception):
        response = type("R", (), {"status_code": 429, "headers": {"Retry-After": "7"}})

    waits, calls = [], []

    def call():
        calls.append(1)
        if len(calls) < 3:
            raise Slow
        return "done"

    assert attempt(call, waits.append) == "done"
    assert waits == [7.0, 7.0]


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_an_odd_wait_is_no_crash(value):
    class Slow(Exception):
        response = type("R", (), {"status_code": 429, "headers": {"Retry-After": value}})

    waits = []
    with pytest.raises(Slow):
        attempt(lambda: (_ for _ in ()).throw(Slow), waits.append)
    assert waits == [1.0, 4.0]


def test_what_is_printed_holds_no_token(monkeypatch):
    from genzoo.text import redact

    monkeypatch.setenv("HF_TOKEN", "an-unusual-token-of-a-company")
    told = redact(
        "HF_TOKEN=an-unusual-token-of-a-company hf_abcdefghijkl {'authorization': 'Bearer xyz'} hf_home hf_hub_download"
    )
    assert told == "HF_TOKEN=<TOKEN> <TOKEN> {'authorization': 'Bearer <TOKEN>'} hf_home hf_hub_download"


def test_an_error_says_what_to_do():
    full = RuntimeError("upload failed")
    full.__cause__ = OSError(28, "No space left on device")
    assert not is_transient(full)
    assert "disk is full" in explain(full, "alice/tiny")
    assert "client refuses" in explain(ValueError("metadata"), "alice/tiny")
    assert is_transient(ConnectionResetError("reset"))
    assert "the connection failed (ConnectionResetError: reset)" in explain(ConnectionResetError("reset"), "alice/tiny")

"""What goes wrong at an endpoint is repeated, counted or explained, and no message holds the key."""

import datetime as dt
import email.utils
import threading
import time
import types

import pytest
import requests
from embedding_server import Cut, Reply

from genzoo.tasks.embedders.address import Address
from genzoo.tasks.embedders.transport import EndpointError, Transport

BUSY = Reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "3"})
BROKEN = Reply(500, {"error": {"message": "out of memory"}})
KEY = "sk-a-very-secret-key-0123456789"


def ask(transport, texts=("a b",), check=lambda answer: None):
    return transport.post("/embeddings", {"model": "tiny", "input": list(texts)}, check)


@pytest.fixture
def transport(server):
    return Transport(Address.parse(server.name))


@pytest.mark.parametrize(
    ("fault", "kind", "waits"),
    [
        (BUSY, "429 Too Many Requests", [3.0]),
        (BROKEN, "500 Internal Server Error", [1.0]),
        (Reply(503, b"<html>", {"Content-Type": "text/html", "Retry-After": "0"}), "503 Service Unavailable", [0.0]),
        (Reply(529, {}), "529", [1.0]),
        (Reply(200, b"not json"), "an answer that is no JSON", [1.0]),
        (Cut(), "connection cut", [1.0]),
    ],
)
def test_what_may_pass_is_tried_again_and_counted(server, transport, slept, fault, kind, waits):
    ask(transport)
    server.once(fault)
    assert len(ask(transport)["data"]) == 1
    assert slept == waits and transport.faults == {kind: 1}
    assert transport.summary() == f"1 answer of 3 could not be used: {kind} (1); waited {waits[0]:.0f} s"


def test_a_date_to_wait_for_is_understood(server, transport, slept):
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=40)
    server.once(Reply(429, {}, {"Retry-After": email.utils.format_datetime(later, usegmt=True)}))
    ask(transport)
    assert 35 < slept[0] <= 41


def test_an_unreadable_time_to_wait_is_ignored(server, transport, slept):
    server.once(Reply(429, {}, {"Retry-After": "soon"}))
    ask(transport)
    assert slept == [1.0]


def test_waits_grow_and_end(server, transport, slept):
    server.always(BROKEN)
    with pytest.raises(EndpointError, match=r"500 Internal Server Error: out of memory, 7 times in a row"):
        ask(transport)
    assert slept == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    before = len(server.requests)
    with pytest.raises(EndpointError, match="500"):  # a task that follows does not wait for a minute again
        ask(transport)
    assert len(server.requests) == before


def test_a_pause_of_hours_is_not_slept_through(server, transport, slept):
    server.once(Reply(429, {}, {"Retry-After": "7200"}))
    with pytest.raises(EndpointError, match="the server asks for a pause of 120 min"):
        ask(transport)
    assert slept == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(429, {"error": {"code": "insufficient_quota", "message": "billing"}}), "the account has no credit left"),
        (Reply(401, {"error": "who are you"}), "it asks for a key: set GENZOO_API_KEY"),
        (Reply(404, {"detail": "Not Found"}), "no such address or model .*; the server has tiny"),
        (Reply(308, {}, {"Location": "https://elsewhere.example/v1?token=abc"}), "it redirects to elsewhere.example: give that"),
        (Reply(400, {"error": {"message": "maximum context length is 8192 tokens"}}), "refuses the request .*8192 tokens"),
        (Reply(413, {"error": "batch size 64 > maximum allowed batch size 32"}), "refuses the request .*batch size 32"),
        (Reply(422, {"detail": [{"msg": "too long"}]}), "refuses the request .*too long"),
    ],
)  # fmt: skip
def test_what_will_not_pass_is_said_at_once(server, transport, slept, reply, said):
    server.always(reply)
    with pytest.raises(EndpointError, match=said):
        ask(transport)
    assert len(server.requests) == 1 and slept == []


def test_a_refused_text_does_not_condemn_the_others(server, transport):
    server.once(Reply(400, {"error": {"message": "too long"}}))
    with pytest.raises(EndpointError):
        ask(transport)
    assert ask(transport)["data"]


def test_no_server_is_said_at_once(slept):
    with pytest.raises(EndpointError, match="no server answers there") as stop:
        ask(Transport(Address.parse("http://127.0.0.1:9/v1#m")))
    assert slept == [] and "What was answered before" not in str(stop.value)


def test_a_server_that_goes_away_is_waited_for(server, transport, slept):
    ask(transport)
    transport._session.close()
    server.close()
    with pytest.raises(EndpointError, match=r"connection cut, 7 times in a row\. What was answered before is kept"):
        ask(transport)


def test_requests_keep_a_pace(server, slept):
    paced = Transport(Address.parse(server.name), per_minute=30)
    for _ in range(3):
        ask(paced)
    assert slept == [2.0, 2.0]


def test_the_key_goes_to_the_server_and_into_no_message(server, transport, slept, monkeypatch):
    monkeypatch.setenv("GENZOO_API_KEY", KEY)
    server.key = KEY
    ask(transport)
    assert server.requests[-1]["Authorization"] == f"Bearer {KEY}"
    server.key = "another"
    with pytest.raises(EndpointError, match="it refuses the key in GENZOO_API_KEY") as stop:
        ask(transport)
    assert "quotes the key" in str(stop.value)
    said = str(stop.value)
    assert not any(KEY[start : start + 8] in said for start in range(len(KEY) - 7))


@pytest.mark.parametrize(
    "quoted",
    [
        lambda key: key,
        lambda key: f"sk-...{key[-8:]}",
        lambda key: f"{key[:9]}*******",
        lambda key: f"Bearer%20{requests.utils.quote(key, safe='')}",
        lambda key: f"the header\n{key}\nis wrong",
    ],
)
def test_a_part_of_the_key_in_an_error_body_is_left_out(server, transport, slept, monkeypatch, quoted):
    key = "k+/y=secret+0123456789abcdef"
    monkeypatch.setenv("GENZOO_API_KEY", key)
    server.always(Reply(500, {"error": {"message": f"cannot use {quoted(key)} today"}}))
    with pytest.raises(EndpointError) as stop:
        ask(transport)
    assert "today" not in str(stop.value) and "quotes the key" in str(stop.value)


def test_a_password_of_netrc_is_not_sent(server, transport, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login me password hunter2hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(transport)
    assert "Authorization" not in server.requests[-1]
    transport._session.trust_env = True  # as for a machine elsewhere
    ask(transport)
    assert "Authorization" not in server.requests[-1]


def test_a_proxy_is_no_way_to_this_machine(server, transport, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask(transport)["data"]


def test_a_pause_that_the_endpoint_asks_for_holds_for_every_thread(server, transport):
    ask(transport)
    server.once(Reply(429, {}, {"Retry-After": "1"}))
    times = []
    server.requests = types.SimpleNamespace(append=lambda headers: times.append(time.monotonic()))
    threads = [threading.Thread(target=ask, args=(transport,)) for _ in range(5)]
    threads[0].start()
    while not transport.waited:
        time.sleep(0.01)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 6 and min(times[1:]) - times[0] > 0.9


def test_a_request_that_others_overtake_is_not_given_up(server, transport, slept):
    """A server that answers others meanwhile limits requests, and is not broken."""
    refused = []

    def busy(texts):
        if texts == ["slow"] and len(refused) < 12:
            refused.append(texts)
            ask(transport, ["another"])
            return BUSY
        return None

    server.faults = busy
    assert ask(transport, ["slow"])["data"] and len(refused) == 12


def test_a_short_wait_is_really_waited(server, transport):
    server.once(Reply(429, {}, {"Retry-After": "1"}))
    began = time.monotonic()
    ask(transport)
    assert time.monotonic() - began >= 1 and transport.waited == 1

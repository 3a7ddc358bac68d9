"""Talking to the Hub: which address may get the token, what is worth another try, and what an error means."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from genzoo.errors import FULL, PublishError, ZooError
from genzoo.names import ModelName
from genzoo.text import described, first_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi


T = TypeVar("T")
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
WAITS = (1.0, 4.0)
"""Seconds before the second and the third try."""
Sleep = Callable[[float], None]


def connect(endpoint: str | None = None, token: str | None = None) -> HfApi:
    """A client of the Hub that ``HF_ENDPOINT`` names; its token is the client library's own (``HF_TOKEN``, ``hf auth login``).

    Args:
        endpoint: For tests: another address.
        token: For tests: another token. No command line option leads here.

    Raises:
        PublishError: When the address is neither https nor this machine: whoever answers there gets the token.
    """
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token)
    check_endpoint(api.endpoint)
    guard_requests()
    return api


def fetch_commit(name: str, patterns: Sequence[str]) -> Path:
    """Local folder of ``org/name@revision``, of which only the files that match are fetched.

    Raises:
        ZooError: When the Hub does not serve it; `PublishError` when its address may not be sent the token.
    """
    from huggingface_hub import snapshot_download

    named = ModelName.parse(name)
    connect()
    try:
        return Path(snapshot_download(named.base, revision=named.revision, allow_patterns=list(patterns)))
    except Exception as error:  # noqa: BLE001 - it is told without the request that holds the token
        raise ZooError(f"the Hub does not serve {name} ({described(error)})") from None


def guard_requests() -> None:
    """Let the client library send nothing over an open line, wherever a redirect or a link of an answer leads it."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import _http

    if getattr(_http._GLOBAL_CLIENT_FACTORY, "is_guarded", False):
        return
    build = _http._GLOBAL_CLIENT_FACTORY

    def build_guarded() -> Any:
        client = build()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "request": [*hooks.get("request", ()), _refuse_open_line]}
        return client

    build_guarded.is_guarded = True  # type: ignore[attr-defined]
    set_client_factory(build_guarded)


def _refuse_open_line(request: Any) -> None:
    """Called by the client with every request, also with each one that follows a redirect."""
    if request.url.scheme != "https" and not is_loopback(request.url.host):
        raise PublishError(
            f"the Hub sent this client on to http://{request.url.host}, which is neither https nor this machine: nothing was sent "
            "there; tell the Hub's operator"
        )


def check_endpoint(endpoint: str) -> None:
    """Refuse an address that would send the token over an open line.

    >>> check_endpoint("https://huggingface.co")
    >>> check_endpoint("http://127.0.0.1:8000")
    """
    parts = urlsplit(endpoint)
    if parts.username or parts.password:
        raise PublishError("HF_ENDPOINT holds a password: put the token into HF_TOKEN or run `hf auth login`")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise PublishError(f"HF_ENDPOINT is {endpoint}: a token is only sent to https://, or http:// on this machine")


def is_loopback(host: str) -> bool:
    """Whether a host of an address is this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.example.com")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_transport(error: BaseException) -> bool:
    """Whether an HTTP client raised it; which client huggingface_hub uses is its own affair."""
    package = type(error).__module__.split(".")[0]
    return package in {"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"}


def status_of(error: BaseException) -> int | None:
    """HTTP status behind an error of huggingface_hub, None where there was no answer."""
    for cause in _causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return int(status)
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    lasting = (ValueError, TypeError, PublishError, LocalTokenNotFoundError, OfflineModeIsEnabled)
    return not any(isinstance(cause, lasting) or getattr(cause, "errno", None) in FULL for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of: an upload's own error is wrapped into another."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def attempt(call: Callable[[], T], sleep: Sleep = time.sleep) -> T:
    """Call, and call again after an error that may pass."""
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            asked = _asked_wait(error)
            sleep(wait if asked is None else asked)
    return call()


def _asked_wait(error: BaseException) -> float | None:
    """Seconds that the answer asks to wait, at most a minute; None where it says nothing usable."""
    for cause in _causes(error):
        headers = getattr(getattr(cause, "response", None), "headers", None) or {}
        try:
            wait = float(headers.get("Retry-After", ""))
        except ValueError:
            continue
        if math.isfinite(wait) and wait >= 0:
            return min(wait, 60.0)
    return None


def explain(error: BaseException, repo_id: str) -> str:
    """What an error means and what to do, in one sentence. Never holds a header: those hold the token."""
    status = status_of(error)
    known = {
        401: "the Hub does not accept the token: run `hf auth login` with a token that may write, or set HF_TOKEN",
        403: f"the token may not write to {repo_id}: use one with write access to {repo_id.partition('/')[0]}",
        404: f"the Hub has no {repo_id}, or hides it from this token",
        409: f"somebody else is writing to {repo_id} at this moment: run the same command again",
        412: explain_conflict(repo_id),
        413: "the Hub refuses files of this size: use the small form (without --merge)",
        429: "the Hub asks for fewer requests: wait some minutes and run the same command again",
    }
    if status in known:
        return known[status]
    if status is not None and status >= 500:
        return f"the Hub has a fault (HTTP {status}): run the same command again later"
    if status is not None:
        return f"the Hub refused the request (HTTP {status}: {first_line(error)})"
    return _explain_silence(error)


def explain_conflict(repo_id: str) -> str:
    """What to do after somebody else's commit."""
    return (
        f"somebody else wrote to {repo_id} in between, and their files are on it now: look at it, then run the same command again "
        "(with --overwrite to replace them)"
    )


def _explain_silence(error: BaseException) -> str:
    """What an error without an answer of the Hub means."""
    from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled

    for cause in _causes(error):
        if isinstance(cause, PublishError):
            return str(cause)
        if isinstance(cause, LocalTokenNotFoundError):
            return "there is no token on this machine: run `hf auth login` with a token that may write, or set HF_TOKEN"
        if isinstance(cause, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set, so nothing can be sent: unset it and run the same command again"
        if getattr(cause, "errno", None) in FULL:
            return "this machine's disk is full: free some space and run the same command again"
        if isinstance(cause, ValueError | TypeError):
            return f"the Hub's client refuses the request ({described(cause)})"
    return f"the connection failed ({described(error)}): check the network and run the same command again"

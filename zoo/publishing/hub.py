"""Talking to the Hub: which address may get the token, what is worth another try, and what an error means."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from genzoo.errors import PublishError

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
    return api


def check_endpoint(endpoint: str) -> None:
    """Refuse an address that would send the token over an open line.

    >>> check_endpoint("https://huggingface.co")
    >>> check_endpoint("http://127.0.0.1:8000")
    """
    parts = urlsplit(endpoint)
    if parts.username or parts.password:
        raise PublishError(
            "HF_ENDPOINT holds a user name or password: put the token into HF_TOKEN or run `hf auth login`"
        )
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return
    raise PublishError(
        f"HF_ENDPOINT is {endpoint}: only https:// addresses (and http:// on this machine) are sent a token"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def status_of(error: BaseException) -> int | None:
    """HTTP status behind an error of huggingface_hub, None where there was no answer."""
    cause: BaseException | None = error
    while cause is not None:  # an upload's own error is wrapped into another
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status is not None:
            return int(status)
        cause = cause.__cause__
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    status = status_of(error)
    return status in TRANSIENT if status is not None else not isinstance(error, ValueError | TypeError | PublishError)


def attempt(call: Callable[[], T], sleep: Sleep = time.sleep) -> T:
    """Call, and call again after an error that may pass."""
    for wait in WAITS:
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            sleep(_asked_wait(error) or wait)
    return call()


def _asked_wait(error: BaseException) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return min(float(headers.get("Retry-After", "")), 60.0)
    except ValueError:
        return None


def explain(error: BaseException, repo_id: str) -> str:
    """What an error means and what to do, in one sentence. Never holds a header: those hold the token."""
    status = status_of(error)
    known = {
        401: "the Hub does not accept the token: run `hf auth login` with a token that may write, or set HF_TOKEN",
        403: f"the token may not write to {repo_id}: use one with write access to {repo_id.partition('/')[0]}",
        404: f"the Hub has no {repo_id}, or hides it from this token",
        409: f"somebody else is writing to {repo_id} at this moment: run the same command again",
        412: f"somebody else wrote to {repo_id} in between: look at it, then run the same command again (with --overwrite to replace it)",
        413: "the Hub refuses files of this size: use the small form (without --merge)",
        429: "the Hub asks for fewer requests: wait some minutes and run the same command again",
    }
    if status in known:
        return known[status]
    if status is not None and status >= 500:
        return f"the Hub has a fault (HTTP {status}): run the same command again later"
    if status is not None:
        return f"the Hub refused the request (HTTP {status}: {_first_line(error)})"
    return f"the connection failed ({type(error).__name__}): check the network and run the same command again"


def _first_line(error: BaseException) -> str:
    text = getattr(error, "server_message", None) or str(error)
    return (str(text).strip().splitlines() or [""])[0][:160]

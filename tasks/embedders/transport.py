"""Requests to an endpoint that is paid for: paced, repeated where that may help, counted, and without the key in any message."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import Retry

from genzoo.errors import InputError, ZooError
from genzoo.tasks.embedders.address import KEY, Address
from genzoo.text import clean, plural, redact

log = logging.getLogger(__name__)
ATTEMPTS = 7
FIRST_WAIT = 1.0  # seconds before the first repetition; each further one waits twice as long
_LONGEST_WAIT = 60.0
_MOST_PATIENCE = 900.0  # seconds that a server may ask for
_FEW_ATTEMPTS = 3  # after a timeout, and at an answer that is whole but wrong
MOST_AT_ONCE = 64
_TIMEOUT = (10.0, 300.0)  # seconds to connect, and between two bytes of an answer
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_NO_MONEY = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_WINDOW = 8  # characters of a key that a quoted message must not hold
_QUOTED = 240  # characters of a server's message


class EndpointError(ZooError):
    """An endpoint gave no usable answer, also after the request was repeated."""


class RefusedRequestError(EndpointError):
    """The endpoint takes no request of these texts: too many at once, or one that is too long."""


class Fault(Exception):
    """One answer that cannot be used.

    Args:
        kind: What happened, in few words; faults are counted by it.
        said: The same for the user, with what the server said and what to do.
        attempts: How often such a request is made in all.
        retry_after: Seconds that the server asks for.
        is_lasting: Whether no later request would fare better.
        error: What the user gets in the end.
    """

    def __init__(
        self,
        kind: str,
        said: str = "",
        *,
        attempts: int = ATTEMPTS,
        retry_after: float | None = None,
        is_lasting: bool = True,
        error: type[EndpointError] = EndpointError,
    ) -> None:
        super().__init__(kind)
        self.kind, self.said, self.attempts = kind, said or kind, attempts
        self.retry_after, self.is_lasting, self.error = retry_after, is_lasting, error


def content_fault(kind: str, said: str = "") -> Fault:
    """An answer that came whole and is wrong: it is asked for again twice, and other texts may fare better."""
    return Fault(kind, said, attempts=_FEW_ATTEMPTS, is_lasting=False)


class _Key(requests.auth.AuthBase):
    """Adds the key to a request. Without this hook requests would take a password of ~/.netrc in its place."""

    def __init__(self, key: str, is_azure: bool) -> None:
        self._key, self._is_azure = key, is_azure

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
            if self._is_azure:
                request.headers["api-key"] = self._key
        return request


class Transport:
    """Asks one endpoint, from several threads at a time where several ask.

    Args:
        address: Where it is.
        per_minute: Most requests in a minute, as many as it answers if None.

    Attributes:
        requests: Requests made.
        faults: What was wrong with an answer -> how often.
        waited: Seconds spent waiting before requests were repeated.
    """

    def __init__(self, address: Address, per_minute: float | None = None) -> None:
        self.address = address
        self.requests, self.waited = 0, 0.0
        self.faults: Counter[str] = Counter()
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._n_answers = 0
        self._failure: EndpointError | None = None
        self._lock = threading.Lock()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=MOST_AT_ONCE))
        # Proxies of the environment lead away from this machine.
        self._session.trust_env = not address.is_loopback

    def post(self, path: str, payload: Mapping[str, Any], check: Callable[[Any], None]) -> Any:
        """The JSON answer to a request, repeated until `check` does not raise a `Fault`.

        Raises:
            EndpointError: No usable answer came. After a fault that lasts every further request fails at once.
        """
        attempts = Counter[bool]()  # of faults of the endpoint, and of faults of what it answers
        before = self._n_answers
        while True:
            self._keep_pace()
            if self._failure:
                raise self._failure
            try:
                answer = self._send("POST", path, payload)
                check(answer)
            except Fault as fault:
                with self._lock:
                    self.faults[fault.kind] += 1
                if before != self._n_answers:  # it answers others meanwhile, as one that limits requests does
                    before, attempts[True] = self._n_answers, 0
                attempts[fault.is_lasting] += 1
                if attempts[fault.is_lasting] >= fault.attempts:
                    raise self._given_up(fault, attempts[fault.is_lasting]) from None  # the cause may quote the key
                self._wait(fault, attempts.total())
                continue
            self._n_answers += 1
            return answer

    def models(self) -> list[Mapping[str, Any]]:
        """What the server says of its models; empty where it does not say."""
        try:
            found = self._send("GET", "/models", None)
            return [row for row in found["data"] if isinstance(row, Mapping) and "id" in row]
        except (Fault, KeyError, TypeError):
            return []

    def summary(self) -> str:
        """What went wrong and was made good by repeating requests; empty if nothing did."""
        if not self.faults:
            return ""
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(self.faults.items()))
        total = plural(sum(self.faults.values()), "answer")
        return f"{total} of {self.requests:,} could not be used: {kinds}; waited {self.waited:.0f} s"

    def close(self) -> None:
        """Let go of the connections; threads that still wait to repeat a request give up."""
        self._failure = self._failure or EndpointError(f"{self.address.text}: the run was stopped")
        self._session.close()

    def _keep_pace(self) -> None:
        """Wait for the turn of this request: the rate limit, and the pause that the endpoint asked for, hold for all threads."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            time.sleep(turn - now)

    def _wait(self, fault: Fault, attempt: int) -> None:
        seconds = fault.retry_after
        if seconds is None:
            seconds = min(_LONGEST_WAIT, FIRST_WAIT * 2 ** (attempt - 1))
        elif seconds > _MOST_PATIENCE:
            raise self._given_up(
                Fault(fault.kind, f"{fault.said}; the server asks for a pause of {seconds / 60:.0f} min"), attempt
            ) from None
        level = logging.WARNING if seconds > _LONGEST_WAIT else logging.INFO
        log.log(level, "%s: %s, next try in %.0f s", self.address.name, fault.kind, seconds)
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)
            self.waited += seconds
        time.sleep(seconds)

    def _given_up(self, fault: Fault, attempts: int) -> EndpointError:
        often = f", {attempts} times in a row" if attempts > 1 else ""
        kept = ". What was answered before is kept; run the same command again to go on" if self._n_answers else ""
        error = fault.error(f"{self.address.text}: {fault.said}{often}{kept}")
        if fault.is_lasting:
            self._failure = error
        return error

    def _send(self, method: str, path: str, payload: Mapping[str, Any] | None) -> Any:
        """One request; anything but a JSON answer of status 200 is a `Fault`."""
        key, variable = self.address.key()
        query = f"?{self.address.query}" if self.address.query else ""
        with self._lock:
            self.requests += method == "POST"
        try:
            response = self._session.request(
                method,
                f"{self.address.url}{path}{query}",
                json=payload,
                auth=_Key(key, self.address.is_azure),
                timeout=_TIMEOUT,
                allow_redirects=False,  # another host must receive neither texts nor key
            )
        except requests.RequestException as error:
            raise self._no_answer(error) from None
        if response.status_code == http.HTTPStatus.OK:
            try:
                return response.json()
            except requests.JSONDecodeError:
                raise content_fault("an answer that is no JSON") from None
        raise self._refusal(response, key, variable)

    def _no_answer(self, error: requests.RequestException) -> Fault:
        if isinstance(error, requests.exceptions.SSLError):
            return Fault(
                "TLS error", "its certificate cannot be verified (set REQUESTS_CA_BUNDLE to yours)", attempts=1
            )
        if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ConnectionError) and (
            not self._n_answers
        ):
            return Fault("no connection", "no server answers there: check the address, and whether it runs", attempts=1)
        if isinstance(error, requests.Timeout):
            return Fault("no answer in time", attempts=_FEW_ATTEMPTS)
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            raise InputError(f"{self.address.text} is not an address that can be asked") from None
        return Fault("connection cut")

    def _refusal(self, response: requests.Response, key: str, variable: str) -> Fault:
        """What an answer of another status than 200 means for the user."""
        status = response.status_code
        kind = f"{status} {http.client.responses.get(status, '')}".rstrip()
        code, message = _message(response)
        quoted = _without(message, key)
        said = f"{kind}: {quoted}" if quoted else kind
        if status in (401, 403):
            advice = f"it refuses the key in {variable}" if key else f"it asks for a key: set {KEY}"
            return Fault(kind, f"{advice} ({said})", attempts=1)
        if status == 429 and code in _NO_MONEY:
            return Fault(kind, f"the account has no credit left ({said})", attempts=1)
        if status in _PASSING:
            return Fault(kind, said, retry_after=_retry_after(response))
        if 300 <= status < 400:
            host = urlsplit(response.headers.get("Location", "")).hostname or "another address"
            return Fault(kind, f"it redirects to {clean(host)}: give that address", attempts=1)
        if status in (404, 405):
            models = self.models() if response.request.method == "POST" else []
            known = ", ".join(clean(str(row["id"])) for row in models[:20])
            there = f"the server has {known}" if known else "most addresses end in /v1"
            return Fault(kind, f"no such address or model ({said}); {there}", attempts=1)
        return Fault(kind, f"it refuses the request ({said})", attempts=1, is_lasting=False, error=RefusedRequestError)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds or a date, as HTTP allows; None where there is neither."""
    said = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(said) if said else None
    except Exception:  # noqa: BLE001  (whatever a server writes there is no reason to stop)
        return None


def _message(response: requests.Response) -> tuple[str, str]:
    """A server's error: its code and what it says, in the shapes of OpenAI, vLLM, TEI and FastAPI."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        is_page = "html" in response.headers.get("Content-Type", "")
        return "", "" if is_page else response.text
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return "", str(error)
    said = error.get("message") or error.get("detail") or error.get("error") or ""
    return str(error.get("code") or error.get("type") or ""), str(said)


def _without(message: str, key: str) -> str:
    """A server's message in one short line; empty if it quotes the key, or a part of it."""
    line = clean(message)
    if key:
        size = min(_WINDOW, len(key))
        parts = {key[start : start + size] for start in range(len(key) - size + 1)}
        if any(part in line or quote(part, safe="") in line for part in parts):
            return "the server quotes the key, so its message is left out"
    return redact(line)[:_QUOTED]

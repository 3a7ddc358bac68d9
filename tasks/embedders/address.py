"""Where a model is served: ``URL#MODEL`` of an OpenAI-compatible endpoint, and the key for it, which stands in the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from genzoo.errors import InputError
from genzoo.hub import is_loopback

EXAMPLE = "http://127.0.0.1:8000/v1#MODEL"
KEY = "GENZOO_API_KEY"
VECTORS, RRF = "vectors:", "rrf:"
"""How the names of vectors computed elsewhere and of hybrids begin."""
_ELSEWHERE = re.compile(rf"((?P<name>\w[\w.+-]*)=)?(https?://|{VECTORS}|{RRF})", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_AZURE = ".azure.com"


@dataclass(frozen=True)
class Address:
    """An endpoint and one model of it.

    Attributes:
        url: The base address, as OpenAI's own client takes it: requests go to ``url/embeddings``.
        model: The model, as the server calls it.
        query: What follows the path of each request: empty, or Azure's ``api-version``.

    >>> address = Address.parse("http://127.0.0.1:8000/v1/#BAAI/bge-small-en")
    >>> address.url, address.model, address.name
    ('http://127.0.0.1:8000/v1', 'BAAI/bge-small-en', 'localhost-8000/BAAI-bge-small-en')
    >>> Address.parse("https://api.openai.com/v1#text-embedding-3-small").name
    'api.openai.com/text-embedding-3-small'
    """

    url: str
    model: str
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``URL#MODEL``.

        Raises:
            InputError: No model, no host, credentials in the address, or an unencrypted address of another machine. What may be a
                secret is not repeated.
        """
        try:
            parts = urlsplit(text.strip())
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise InputError(f"this is not the address of an endpoint ({error}): write {EXAMPLE}") from error
        if parts.username is not None or parts.password is not None:
            raise InputError(f"the address of an endpoint must not hold a password or a key: set {KEY} instead")
        if any(name != "api-version" for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
            raise InputError(
                f"the address of an endpoint takes no parameter but api-version: set {KEY} if it needs a key"
            )
        if parts.scheme not in _PORTS or not host:
            raise InputError(f"{text!r} is not the address of an endpoint: write {EXAMPLE}")
        if not parts.fragment:
            raise InputError(f"{text!r} does not name a model of the endpoint: write {EXAMPLE}")
        if parts.scheme == "http" and not is_loopback(host):
            raise InputError(
                f"{_origin(parts)} would receive texts and key unencrypted: use https, or a tunnel to 127.0.0.1"
            )
        path = parts.path.rstrip("/").removesuffix("/embeddings").rstrip("/")
        return cls(f"{parts.scheme}://{parts.netloc}{path}", parts.fragment, parts.query)

    @property
    def text(self) -> str:
        """``URL#MODEL``, one form for all spellings; it holds no secret."""
        return f"{self.url}{'?' if self.query else ''}{self.query}#{self.model}"

    @property
    def host(self) -> str:
        """The machine, without its port."""
        return str(urlsplit(self.url).hostname)

    @property
    def is_loopback(self) -> bool:
        """Whether the endpoint runs on this machine."""
        return is_loopback(self.host)

    @property
    def is_azure(self) -> bool:
        """Whether Azure serves it, which takes keys in a header of its own."""
        return self.host.endswith(_AZURE)

    @property
    def name(self) -> str:
        """``host/model``, as results are filed: the host with its port where that is no standard one."""
        parts = urlsplit(self.url)
        port = f"-{parts.port}" if parts.port not in (None, _PORTS[parts.scheme]) else ""
        host = "localhost" if self.is_loopback else self.host
        model = re.sub(r"[^\w.+-]+", "-", self.model)
        return f"{host}{port}/{model}"

    @property
    def key_variables(self) -> tuple[str, ...]:
        """Environment variables that may hold the key, the first that is set counts.

        >>> Address.parse("https://api.openai.com/v1#m").key_variables
        ('GENZOO_API_KEY_API_OPENAI_COM', 'OPENAI_API_KEY', 'GENZOO_API_KEY')
        """
        own = re.sub(r"[^A-Z0-9]+", "_", f"{KEY}_{self.host.upper()}")
        # A vendor's own variable is for that vendor alone: no other host must receive its key.
        vendor = ("OPENAI_API_KEY",) if self.host == "api.openai.com" else ()
        return own, *vendor, *(("AZURE_OPENAI_API_KEY",) if self.is_azure else ()), KEY

    def key(self) -> tuple[str, str]:
        """The key and the variable that holds it; both empty where none is set.

        Raises:
            InputError: The variable holds what no header can carry. The value is not repeated.
        """
        for variable in self.key_variables:
            if key := os.environ.get(variable, "").strip():
                if not re.fullmatch(r"[\x21-\x7e]+", key):
                    raise InputError(f"{variable} is not a key: it holds spaces, line breaks or letters beyond ASCII")
                return key, variable
        return "", ""


def is_address(text: str) -> bool:
    """Whether a user means an endpoint by this name of a model.

    >>> is_address("https://api.openai.com/v1#m"), is_address("org/name")
    (True, False)
    """
    return text.lower().startswith(("http://", "https://"))


def is_elsewhere(text: str) -> bool:
    """Whether a name means an endpoint, stored vectors or a hybrid, rather than a model that is loaded from files.

    >>> is_elsewhere("rrf:minilm+bm25"), is_elsewhere("ours=vectors:folder"), is_elsewhere("minilm")
    (True, True, False)
    """
    return _ELSEWHERE.match(text) is not None


def split_name(text: str) -> tuple[str, str]:
    """The name that a user gives to an embedder from elsewhere, empty if none, and what it is given to.

    >>> split_name("ours=https://10.0.0.7/v1#m"), split_name("rrf:a+b")
    (('ours', 'https://10.0.0.7/v1#m'), ('', 'rrf:a+b'))
    """
    found = _ELSEWHERE.match(text)
    name = (found["name"] or "") if found else ""
    return name, text[len(name) + 1 :] if name else text


def _origin(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.hostname}"

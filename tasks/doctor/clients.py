"""Running clients that can be asked: an endpoint, a folder of sentence-transformers, or a Python object that embeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

import numpy as np

from genzoo.backbones.untrusted import check_model_folder
from genzoo.backbones.whole import reading
from genzoo.errors import InputError, ZooError
from genzoo.models.loading import load
from genzoo.publishing.fingerprint import PROBES as FINGERPRINTED
from genzoo.tasks.doctor.variants import DOCUMENT, QUERY
from genzoo.tasks.embedders.address import Address, is_address
from genzoo.tasks.embedders.endpoint import Endpoint, EndpointOptions
from genzoo.text import first_line

_OWN = (
    (QUERY, "why do cats purr"),
    (QUERY, 'Traceback (most recent call last):\n  File "shop.py", line 7\nKeyError: "price"\n\nwhat is wrong here?'),
    (DOCUMENT, "To change your password:\n1. Open Settings.\n2. Choose Security.\n\nYou need the old one for that."),
    (DOCUMENT, "No."),
    (
        DOCUMENT,
        (
            "The harbour of the island is open from April to October. In summer a ferry leaves for the mainland every two hours, in spring "
            "and autumn twice a day; it takes bicycles and dogs, and cars where they were announced a day before. Tickets are sold on the "
            "quay. Whoever misses the last ferry finds rooms in the two inns behind the church, which keep a few beds free until nine."
        ),
    ),
)
_LONG = 1000  # characters; computing such a text takes most of the time, and one side's limit is the other's
ASKED: dict[str, tuple[str, ...]] = {
    side: tuple(
        text
        for own, text in (*FINGERPRINTED, *_OWN)
        if text and side == (own or (DOCUMENT if len(text) > _LONG else side))
    )
    for side in (QUERY, DOCUMENT)
}
"""The texts of the fingerprint, which no server may refuse as empty, and others with line breaks and of further lengths, by side."""


class _Methods(NamedTuple):
    """How a kind of client embeds each side, and whether the method takes a list of texts."""

    query: str
    takes_queries: bool
    document: str
    takes_documents: bool


_KINDS = (
    _Methods("encode_query", True, "encode_document", True),  # sentence-transformers
    _Methods("embed_query", False, "embed_documents", True),  # LangChain
    _Methods("get_query_embedding", False, "get_text_embedding", False),  # LlamaIndex
    _Methods("compute_query_embeddings", False, "compute_source_embeddings", True),  # LanceDB
    _Methods("embed_query", True, "__call__", True),  # Chroma
    _Methods("encode", True, "encode", True),
    _Methods("__call__", True, "__call__", True),
)


class Client:
    """Something that embeds texts of two sides.

    Args:
        name: What messages call it.
        functions: ``query`` and ``document`` -> list of texts to vectors.
        puts_prompts: Whether it puts the prompts before the texts itself; an endpoint leaves that to those who ask it.
        close: Lets go of what it holds.
    """

    def __init__(
        self,
        name: str,
        functions: dict[str, Callable[[list[str]], Any]],
        *,
        puts_prompts: bool = True,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.puts_prompts, self.close = name, puts_prompts, close
        self._functions = functions

    def ask(self, side: str, texts: Sequence[str], prompt: str) -> np.ndarray:
        """Its vectors `(texts, width)`.

        Args:
            side: ``query`` or ``document``.
            texts: Without a prompt.
            prompt: The model's; put before the texts where the client leaves that to its caller.

        Raises:
            ZooError: It failed, or gave something else than a row of numbers for each text.
        """
        sent = list(texts) if self.puts_prompts else [prompt + text for text in texts]
        try:
            found = np.asarray(self._functions[side](sent), dtype=np.float64)
        except ZooError:
            raise
        except Exception as error:
            raise ZooError(
                f"{self.name} cannot embed a {side} ({type(error).__name__}: {first_line(error)})"
            ) from error
        if found.ndim != 2 or len(found) != len(texts) or not found.shape[1]:
            raise ZooError(
                f"{self.name} gave an array of the shape {found.shape} for {len(texts)} texts: one row of numbers for each is needed"
            )
        return found


@contextmanager
def open_client(target: Any) -> Iterator[Client]:
    """A client of an address, a folder, ``module:name``, an object that embeds, or a pair of functions for queries and documents.

    Raises:
        InputError: It is none of these.
        ZooError: The folder cannot be loaded.
    """
    if isinstance(target, str) and is_address(target):
        client = _of_endpoint(target)
    elif isinstance(target, str | Path) and Path(target).is_dir():
        client = _of_object(str(target), _load_folder(Path(target)))
    elif isinstance(target, str | Path):
        client = _of_object(str(target), _import(str(target)))
    else:
        client = _of_object(type(target).__name__, target)
    try:
        yield client
    finally:
        client.close()


def _of_endpoint(text: str) -> Client:
    endpoint = Endpoint(Address.parse(text), EndpointOptions())
    return Client(text, dict.fromkeys((QUERY, DOCUMENT), endpoint.embed), puts_prompts=False, close=endpoint.close)


def _load_folder(folder: Path) -> Any:
    """A folder as a user of sentence-transformers loads it; a checkpoint, which only genzoo reads, as genzoo does."""
    if not (folder / "modules.json").is_file():
        if not any((inner / "genzoo.json").is_file() for inner in (folder, folder / "checkpoint")):
            raise InputError(
                f"{folder} is no model: it has neither a modules.json nor a genzoo.json. Vectors that are stored in it are named "
                f"vectors:{folder}, chroma:{folder}#COLLECTION or lancedb:{folder}#TABLE"
            )
        return load(folder, device="cpu")
    from sentence_transformers import SentenceTransformer

    check_model_folder(folder)
    with reading(folder):
        return SentenceTransformer(str(folder), device="cpu")


def _import(text: str) -> Any:
    """The object that ``module:name`` means."""
    if ":" not in text:
        raise InputError(
            f"there is no folder {text}: give an endpoint as URL#MODEL, a folder, vectors:FOLDER, chroma:FOLDER#COLLECTION, "
            "lancedb:FOLDER#TABLE, or a Python object as MODULE:NAME"
        )
    try:
        return resolve_name(text)
    except Exception as error:
        said = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(f"{text} cannot be imported ({said}): give a Python object as MODULE:NAME") from error


def _of_object(name: str, target: Any) -> Client:
    if isinstance(target, tuple) and len(target) == 2 and all(map(callable, target)):
        return Client(name, dict(zip((QUERY, DOCUMENT), target, strict=True)))
    for kind in _KINDS:
        if all(callable(getattr(target, method, None)) for method in (kind.query, kind.document)):
            return Client(
                name,
                {
                    QUERY: _function(getattr(target, kind.query), kind.takes_queries),
                    DOCUMENT: _function(getattr(target, kind.document), kind.takes_documents),
                },
            )
    known = ", ".join(dict.fromkeys(f"{kind.query} and {kind.document}" for kind in _KINDS[:-2]))
    raise InputError(
        f"{name} cannot be asked for embeddings: it needs the methods {known}, or encode, or be a function of a list of texts; or "
        "give a pair of functions, for queries and for documents"
    )


def _function(method: Callable[..., Any], takes_list: bool) -> Callable[[list[str]], Any]:
    """A method as a function of a list of texts."""
    if takes_list:
        return method
    # LanceDB returns a list of one vector for one text
    return lambda texts: [np.asarray(method(text)).reshape(-1) for text in texts]

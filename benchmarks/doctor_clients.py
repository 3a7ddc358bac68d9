"""Asks real clients and a real server by `genzoo doctor`: each fault is named, and the right set-up has none.

    python benchmarks/doctor_clients.py                  # every client of docs/guides/in-other-tools.md that searches
    python benchmarks/doctor_clients.py txtai infinity-emb

The clients run in the environments that `make test-clients` makes; `MORE` and `SERVED` hold what else is tried. Each snippet of the page is
asked as it is, where no fault may be found, and without its documented lines. The exit status is 1 if another fault is named than the one
that was caused, or none.

Outcome of 2026-11-30 (smollm2-135m, versions of the page): all 28 ways of nine clients as expected (not asked: the vector stores, whose
snippets embed by sentence-transformers). The smallest cosine to the model's embeddings is 0.9984 in bfloat16 and 0.9980 from a server in
bfloat16, both without a fault.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import clients
import numpy as np

import genzoo

WITHOUT = {
    "langchain-huggingface": {"prompt-lost", "line-breaks-replaced"},
    "txtai": {"pooling-all-tokens", "projections-skipped"},
    "vllm": {"states-normalised"},
}
"""Client -> the faults without the documented lines; any other client loses the prompts."""

LANGCHAIN = """
from langchain_huggingface import HuggingFaceEmbeddings

embeddings = HuggingFaceEmbeddings(model_name="models/small", {})
question_vectors = [embeddings.embed_query(question) for question in questions]
passage_vectors = embeddings.embed_documents(passages)
"""
LLAMA_INDEX = """
import json

from llama_index.embeddings.huggingface import HuggingFaceEmbedding

with open("models/small/config_sentence_transformers.json") as file:
    prompts = json.load(file)["prompts"]
embedding = HuggingFaceEmbedding(
    "models/small", query_instruction=prompts["query"], text_instruction=prompts["document"], {}
)
question_vectors = [embedding.get_query_embedding(question) for question in questions]
passage_vectors = embedding.get_text_embedding_batch(passages)
"""
STRIPPED = """
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from sentence_transformers import SentenceTransformer

prompts = SentenceTransformer("models/small").prompts
embedding = HuggingFaceEmbedding(
    "models/small", query_instruction=prompts["query"].strip(), text_instruction=prompts["document"].strip()
)
question_vectors = [embedding.get_query_embedding(question) for question in questions]
passage_vectors = embedding.get_text_embedding_batch(passages)
"""
PLAIN = """
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("models/small", {})
question_vectors, passage_vectors = model.encode_query(questions), model.encode_document(passages)
"""
BOTH = 'encode_kwargs={"prompt_name": "document"}, query_encode_kwargs={"prompt_name": "query"}'
MORE: dict[str, list[tuple[str, str, set[str]]]] = {
    "sentence-transformers": [
        ("in bfloat16", PLAIN.format('model_kwargs={"dtype": "bfloat16"}'), set()),
        ("in float16", PLAIN.format('model_kwargs={"dtype": "float16"}'), set()),
        ("truncate_dim=64", PLAIN.format("truncate_dim=64"), {"truncated"}),
    ],
    "langchain-huggingface": [
        ("its own class with both prompts", LANGCHAIN.format(BOTH), {"line-breaks-replaced"}),
        (
            "its own class with encode_kwargs alone",
            LANGCHAIN.format('encode_kwargs={"prompt_name": "document"}'),
            {"other-prompt", "line-breaks-replaced"},
        ),
    ],
    "llama-index-embeddings-huggingface": [
        ("prompts without their last blank", STRIPPED, {"prompt-blank-lost"}),
        ("max_length=128", LLAMA_INDEX.format("max_length=128"), {"cut-short"}),
    ],
}
"""Client -> further ways to use it: what it is, the code, the faults."""
SERVED = {"": set(), " --dtype bfloat16": set(), " --embedding-dtype ubinary": {"rounded"}}
"""Options of Infinity's server -> the faults that the doctor finds when it asks the server itself."""


def of_code(run_code: Callable[..., Path], code: Sequence[str], names: Iterator[int]) -> tuple[Callable, Callable]:
    """The functions for queries and for documents of a client that runs this code."""

    def embed(name: str, texts: Sequence[str]) -> np.ndarray:
        given = {"question_vectors": (texts, ["a passage"]), "passage_vectors": (["a question"], texts)}
        folder = run_code(f"asked-{next(names)}", code, *given[name])
        if not (folder / "output.json").is_file():
            raise RuntimeError((folder / "log.txt").read_text().strip().rpartition("\n")[2])
        return np.array(json.loads((folder / "output.json").read_text())["vectors"][name])

    return lambda texts: embed("question_vectors", texts), lambda texts: embed("passage_vectors", texts)


def is_named(what: str, target: object, expected: set[str]) -> bool:
    """Ask the doctor, print what it says and whether that is what was caused."""
    found = genzoo.doctor(target, clients.MODEL)
    named = {row.code for row in found.deviations if row.severity == "fault"}
    said = "as expected" if named == expected else f"EXPECTED {' '.join(sorted(expected)) or 'no fault'}"
    cosine = min(row.cosine_to_right for row in found.compared)
    print(f"{what}: {' '.join(sorted(named)) or 'no fault'} ({said}; cosine {cosine:.4f})", flush=True)
    return named == expected


def ask(client: clients.Client, model: Path) -> Iterator[bool]:
    """Every way of one client: whether its faults are named."""
    without = [clients.without_documented_lines(code) for code in client.code]
    ways = [
        ("as documented", client.code, set()),
        ("without the documented lines", without, WITHOUT.get(client.name, {"prompt-lost"})),
        *((what, [code], faults) for what, code, faults in MORE.get(client.name, [])),
    ]
    names = count()
    with clients.running(client, model) as run_code:
        for what, code, faults in ways:
            yield is_named(f"{client.name}, {what}", of_code(run_code, code, names), faults)
    if client.name == "infinity-emb":
        for options, faults in SERVED.items():
            with clients.running(dataclasses.replace(client, server=client.server + options), model) as run_code:
                run_code("started", [], [], [])
                yield is_named(f"{client.name}, the server{options}", "http://127.0.0.1:7997#models/small", faults)


def main() -> None:
    """Ask what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="names on the page; all that search by default")
    options = parser.parse_args()
    page = clients.read_clients(clients.PAGE.read_text(encoding="utf-8"))
    searching = {client.name: client for client in page if "passage_vectors" in "".join(client.code)}
    searching = {name: client for name, client in searching.items() if "question_vectors" in "".join(client.code)}
    model = (clients.WORK / "model").resolve()
    named = [one for name in options.clients or searching for one in ask(searching[name], model)]
    sys.exit(not all(named))


if __name__ == "__main__":
    main()

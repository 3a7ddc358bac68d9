"""Runs every snippet of docs/guides/in-other-tools.md with the real client, each in an environment of its own.

    make test-clients                              # all clients: about 3 GB of disk
    python benchmarks/clients.py chromadb txtai    # two of them
    python benchmarks/clients.py --write           # put the measured figures into the table of the page

The page is the only list: a block below ``<!-- client: REQUIREMENTS -->`` belongs to the client that is named first. It runs twice,
as it is, and *without* its documented lines: a line that ends in ``# needed`` is left out, and of a line that ends in
``# not: CODE`` only ``CODE`` is kept. A ``bash`` block starts a server, which is stopped afterwards.

What a snippet leaves in ``question_vectors``, ``passage_vectors``, ``clustering_vectors``, ``classification_vectors`` is compared
with genzoo's own model under the prompt of that name; ``found`` (for each question the places of the passages, best first) is
compared with the ranking by cosine. A client fails if its smallest cosine is below 0.9999 or its search differs.

The environments and results in build/clients are kept: a client whose blocks, requirements and model are as before is not run
again. A run needs uv; ``UV_TORCH_BACKEND=cpu`` or ``UV_FIND_LINKS=FOLDER`` choose where torch comes from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guides" / "in-other-tools.md"
WORK = ROOT / "build" / "clients"
MODEL = "smollm2-135m"
BASE = ("torch", "transformers", "sentence-transformers")
"""Libraries of every environment, in the versions of constraints.txt unless a client names others."""
SIMULATED = {"vllm": f"python {Path(__file__).with_name('simulated_vllm.py')} models/small 8000"}
"""Clients that cannot be run without a GPU: the server that stands in for them, which needs only the libraries of `BASE`."""

FIRST, N_QUESTIONS, N_PASSAGES, TOP = 8, 8, 12, 3
PROMPTS = {
    "question_vectors": ("questions", "query"),
    "passage_vectors": ("passages", "document"),
    "clustering_vectors": ("passages", "Clustering"),
    "classification_vectors": ("passages", "Classification"),
}
RIGHT = 0.9999
HEAD = (
    "| client | without: questions | passages | search | as documented: questions | passages | search | line breaks |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|"
)

_BLOCK = re.compile(
    r"^<!-- client: (?P<needs>[^\n]+?) -->\n```(?P<kind>python|bash)\n(?P<code>.*?)^```$", flags=re.M | re.S
)


@dataclass(frozen=True)
class Client:
    """One client of the page: what is installed, the server that it needs and its Python code."""

    needs: tuple[str, ...]
    server: str
    code: tuple[str, ...]

    @property
    def name(self) -> str:
        """The package that the page is about, without extras and version."""
        return re.split(r"[\[=]", self.needs[0])[0]

    def packages(self) -> list[str]:
        """Everything to install."""
        needs = ("requests",) if self.name in SIMULATED else self.needs
        named = {re.split(r"[\[=]", need)[0] for need in needs}
        pinned = (ROOT / "constraints.txt").read_text().splitlines()
        return [*needs, *(line for line in pinned if line.partition("==")[0] in set(BASE) - named)]


def read_clients(page: str) -> list[Client]:
    """The clients of the page in its order."""
    found: dict[str, dict[str, list[str]]] = {}
    for block in _BLOCK.finditer(page):
        found.setdefault(block["needs"], {"python": [], "bash": []})[block["kind"]].append(block["code"])
    return [
        Client(
            tuple(needs.split()),
            " ".join(blocks["bash"]).strip() or SIMULATED.get(needs.partition("==")[0], ""),
            tuple(blocks["python"]),
        )
        for needs, blocks in found.items()
    ]


def without_documented_lines(code: str) -> str:
    """The code as somebody writes it who has not read the page."""
    lines = [line for line in code.splitlines() if not line.endswith("# needed")]
    return "\n".join(re.sub(r"^(\s*(?:\w+ = )?).*# not: (.*)$", r"\1\2", line) for line in lines) + "\n"


def make_environment(client: Client) -> Path:
    """The client's environment, made unless it is there; returns its Python."""
    folder = WORK / "envs" / client.name
    python, record = folder / "bin" / "python", folder / "genzoo-packages.txt"
    packages = "\n".join(client.packages())
    if not record.is_file() or record.read_text() != packages:
        uv = shutil.which("uv", path=f"{WORK / 'tools' / 'bin'}:{Path(sys.executable).parent}") or shutil.which("uv")
        if uv is None:
            raise SystemExit("uv was not found: pip install uv, or run make test-clients")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *client.packages()], check=True)
        record.write_text(packages)
    return python


def texts() -> dict[str, list[str]]:
    """Eight questions and twelve passages of the bundled retrieval set; the last passage holds line breaks."""
    from genzoo.tasks.sets.bundled import BundledSet

    data = BundledSet("mini_retrieval")
    questions = data.rows("queries.jsonl")[FIRST : FIRST + N_QUESTIONS]
    judged: dict[str, list[str]] = {}
    for row in data.rows("qrels.jsonl"):
        judged.setdefault(row["query-id"], []).append(row["corpus-id"])
    answers = {place for row in questions for place in judged[row["_id"]]}
    corpus = {row["_id"]: row["text"] for row in data.rows("corpus.jsonl")}
    others = [text for place, text in corpus.items() if place not in answers]
    passages = [corpus[judged[row["_id"]][0]] for row in questions] + others[: N_PASSAGES - N_QUESTIONS - 1]
    return {"questions": [row["text"] for row in questions], "passages": [*passages, "\n\n".join(others[4:6])]}


def unit(vectors: object) -> np.ndarray:
    """Vectors divided by their lengths."""
    rows = np.asarray(vectors, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rank(questions: np.ndarray, passages: np.ndarray) -> list[list[int]]:
    """For each question the places of the passages by cosine, best first."""
    return np.argsort(-(unit(questions) @ unit(passages).T), axis=1, kind="stable").tolist()


def reference(exported: Path) -> dict[str, object]:
    """The texts, genzoo's own vectors of them and the ranking, computed once for an exported model."""
    kept = WORK / f"reference-{digest(exported)}.json"
    if not kept.is_file():
        import genzoo

        model, given = genzoo.load(MODEL), texts()
        vectors = {
            name: model.encode(given[kind], prompt_name=prompt).tolist() for name, (kind, prompt) in PROMPTS.items()
        }
        found = rank(*(np.array(vectors[name]) for name in ("question_vectors", "passage_vectors")))
        kept.write_text(json.dumps({**given, "vectors": vectors, "found": found}))
    return json.loads(kept.read_text())


def digest(exported: Path, *parts: object) -> str:
    """What a kept result depends on: the model, its modules and anything else."""
    files = [(exported / name).read_text() for name in ("genzoo.json", "modules.json")]
    names = sorted(path.name for path in exported.iterdir())  # another form of the model has others
    return hashlib.sha256(json.dumps([*files, names, *parts]).encode()).hexdigest()[:16]


@contextmanager
def running(client: Client, model: Path) -> Iterator[Callable[..., Path]]:
    """The client's environment with its server, as a function that runs code on texts and returns the folder of its outcome.

    The function takes a name for the folder, the code in blocks, the questions and the passages.
    """
    folder, script = WORK / "runs" / client.name, Path(__file__).with_name("client_snippet.py")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "small").symlink_to(model)
    url = next(iter(re.findall(r"http://127\.0\.0\.1:\d+", "".join(client.code))), "")
    (folder / "input.json").write_text(json.dumps({"client": client.name, "server": client.server, "url": url}))
    words = [str(make_environment(client)), str(script), "input.json"]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run_code(name: str, code: Sequence[str], questions: Sequence[str], passages: Sequence[str]) -> Path:
            request = {"folder": name, "code": code, "questions": questions, "passages": passages}
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            if process.stdout.readline().strip() != name:
                raise SystemExit(f"{client.name} cannot be run; see the lines above")
            return folder / name

        yield run_code


def measure(client: Client, own: dict, model: Path) -> dict[str, dict[str, object]]:
    """Run both ways of a client and compare each: the smallest cosines, the search and the passage with line breaks."""
    ways = {"right": list(client.code), "without": [without_documented_lines(code) for code in client.code]}
    with running(client, model) as run_code:
        texts = own["questions"], own["passages"]
        return {way: read_outcome(run_code(way, code, *texts), own) for way, code in ways.items()}


def read_outcome(folder: Path, own: dict) -> dict[str, object]:
    """The figures of one way, or the last line that it printed before it failed."""
    if (folder / "output.json").is_file():
        return compare(json.loads((folder / "output.json").read_text()), own)
    return {"error": (folder / "log.txt").read_text().strip().rpartition("\n")[2] or "it was ended from outside"}


def compare(output: dict, own: dict) -> dict[str, object]:
    """Smallest cosines for questions and passages, search figures, and the cosine of the passage with line breaks."""
    figures: dict[str, object] = {}
    for name, vectors in output["vectors"].items():
        kind, right = PROMPTS[name][0], unit(own["vectors"][name])
        if np.shape(vectors) != right.shape:
            figures[kind] = f"{np.shape(vectors)[-1]} dimensions"
            continue
        cosines = (unit(vectors) * right).sum(axis=1)
        if kind == "passages":
            figures["line breaks"], cosines = float(cosines[-1]), cosines[:-1]
        figures[kind] = float(cosines.min())
    found, right = output["found"], own["found"]
    if found is None and {"question_vectors", "passage_vectors"} <= set(output["vectors"]):
        found = rank(*(np.array(output["vectors"][name]) for name in ("question_vectors", "passage_vectors")))
    if found is not None:
        shared = sum(len(set(a[:TOP]) & set(b[:TOP])) for a, b in zip(found, right, strict=True))
        first = sum(row[0] == place for place, row in enumerate(found))
        # txtai leaves out passages of negative similarity: its shorter lists are compared as far as they go.
        figures["search"] = [first, shared, sum(a == b[: len(a)] for a, b in zip(found, right, strict=True))]
    return figures


def run(client: Client, model: Path) -> dict[str, dict[str, object]]:
    """Both runs of a client, or what is kept of them."""
    key = digest(model, client.packages(), client.server, client.code)
    kept = WORK / "results" / f"{client.name}.json"
    if kept.is_file() and (result := json.loads(kept.read_text()))["key"] == key:
        return result
    result = {"key": key} | measure(client, reference(model), model)
    if "error" not in result["right"]:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(result, indent=1))
    return result


def shown(figure: object) -> str:
    """A cosine with three digits, 1.000 only where it counts as right; counts side by side; anything else as it is."""
    if not isinstance(figure, float):
        return " ".join(map(str, figure)) if isinstance(figure, list) else str(figure)
    return "1.000" if figure >= RIGHT else f"{min(figure, 0.999):.3f}"


def line(client: Client, result: dict[str, dict[str, object]]) -> str:
    """A row of the page's table."""
    parts = [f"{client.name} {client.needs[0].partition('==')[2]}"]
    for way in ("without", "right"):
        figures = result[way] if "error" not in result[way] else dict.fromkeys(("questions", "passages"), "fails")
        parts += [shown(figures.get(kind, "")) for kind in ("questions", "passages", "search")]
    return f"| {' | '.join([*parts, shown(result['right'].get('line breaks', ''))])} |"


def faults(result: dict[str, object], own: dict) -> list[str]:
    """What is not right although the documented lines are there."""
    if "error" in result:
        return [str(result["error"])]
    compared = {kind: result[kind] for kind in ("questions", "passages", "line breaks") if kind in result}
    wrong = [f"{kind}: {one}" for kind, one in compared.items() if not (isinstance(one, float) and one >= RIGHT)]
    full = [sum(row[0] == place for place, row in enumerate(own["found"])), TOP * N_QUESTIONS, N_QUESTIONS]
    if result.get("search", full) != full:
        wrong.append(f"search: {result['search']}")
    return wrong


def write_table(page: str, rows: list[str]) -> str:
    """The page with these rows in its table, in place of those of the same clients."""
    start = page.index(HEAD) + len(HEAD)
    end = page.index("\n\n", start)
    names = {row.split()[1]: row for row in [*page[start:end].strip().splitlines(), *rows]}
    order = [client.name for client in read_clients(page)]
    return page[:start] + "\n" + "\n".join(names[name] for name in order if name in names) + page[end:]


def main() -> None:
    """Run what the command line names; print a line for each client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="names on the page; all by default")
    parser.add_argument("--model", type=Path, help="an exported folder of smollm2-135m; exported when left out")
    parser.add_argument("--write", action="store_true", help="write the figures into the table of the page")
    options = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    clients = {client.name: client for client in read_clients(page)}
    if unknown := sorted(set(options.clients) - set(clients)):
        raise SystemExit(f"{unknown[0]} is not on the page; it has {', '.join(clients)}")
    model = (options.model or WORK / "model").resolve()
    if not options.model and not model.is_dir():
        import genzoo

        genzoo.export(MODEL, model, merge=True)
    print(HEAD, flush=True)
    rows, failed = [], False
    for name in options.clients or clients:
        result = run(clients[name], model)
        rows.append(line(clients[name], result))
        print(rows[-1], flush=True)
        for fault in faults(result["right"], reference(model)):
            failed = True
            print(f"  {name}: {fault} (log: {WORK / 'runs' / name / 'right' / 'log.txt'})", flush=True)
    if options.write:
        PAGE.write_text(write_table(page, rows), encoding="utf-8")
    elif other := [row for row in rows if row not in page]:
        failed = True
        print(f"the page has other figures for {len(other)} of them: write them with --write", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()

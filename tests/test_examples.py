"""The scripts in examples/ run as a user runs them and print what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_baseline_an_embedder(tmp_path):
    printed = run("baseline_an_embedder.py", tmp_path)
    rows = [line.split("|")[1].split("<")[0].strip() for line in printed.splitlines() if line.startswith("| ")]
    models = [row for row in rows if "MiniLM" in row or "Unsupervised" in row or "random" in row]
    assert "MiniLM" in models[0] and "random" in models[2], printed
    assert "MiniLM-L6-v2 against " in printed
    assert "<html" in (tmp_path / "output" / "baseline.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_read_a_failed_search(tmp_path):
    printed = run("read_a_failed_search.py", tmp_path)
    first, second = (printed.index(text) for text in ("1. In winter the kitchen", "Humid air"))
    assert first < second, "the search is one that fails"
    assert printed.count("decodes to: ") == 4
    assert "words in common with the query: warm, kitchen, winter" in printed
    assert "won by 0." in printed


@pytest.mark.slow
def test_train_on_a_query_log(tmp_path):
    from genzoo.tasks.sets.bundled import BundledSet

    log = [row["text"] for row in BundledSet("reasoning", ("queries.jsonl",)).rows("queries.jsonl")]
    (tmp_path / "log.txt").write_text("\n".join(log) + "\n", encoding="utf-8")
    printed = run("train_on_a_query_log.py", tmp_path, "log.txt")
    assert "nats" in printed.partition("Held-out controls")[2] and printed.count("decodes to: ") == 2
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tmp_path / "output" / "first-model"), device="cpu")
    assert model.encode_query(["where do polar bears live?"]).shape[0] == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_short_and_tested(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert path.name in Path(__file__).read_text(encoding="utf-8")
    assert f"python examples/{path.name}" in text

"""Measures a model on public sets that are written in every form that own data may have, through `genzoo.evaluate`. Not a test: run it.

    python benchmarks/own_forms.py ../shared/data/eval_dev -m minilm -o output/forms

The sets are SciFact (retrieval), STSBenchmark (similarity) and Banking77 (classification), the forms BEIR, TREC, Parquet and CSV where
the kind has them. Every form must give the same score; beside it stands the value that mteb's results repository publishes for
all-MiniLM-L6-v2. On 2026-11-29 every form gave the published value: SciFact 0.645080 (4 forms), STSBenchmark 0.820325 (4) and Banking77
0.800422 (4).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import genzoo

PUBLISHED = {"SciFact": 0.64508, "STSBenchmark": 0.820325, "Banking77": 0.800422}
"""Main scores of all-MiniLM-L6-v2 on mteb's leaderboard: nDCG@10, Spearman, accuracy."""
Rows = Sequence[Mapping[str, Any]]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file, compressed or not."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in text.decode().split("\n") if line.strip()]


def as_jsonl(path: Path, rows: Rows) -> None:
    """A record a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def as_csv(path: Path, rows: Rows, divider: str = ",") -> None:
    """A heading and cells in quotes where they need them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=divider)
        writer.writeheader()
        writer.writerows(rows)


def as_parquet(path: Path, rows: Rows) -> None:
    """One Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


def beir(folder: Path, corpus: Rows, queries: Rows, qrels: Rows) -> None:
    """BEIR's layout."""
    as_jsonl(folder / "corpus.jsonl", corpus)
    as_jsonl(folder / "queries.jsonl", queries)
    as_csv(folder / "qrels" / "test.tsv", qrels, "\t")


def trec(folder: Path, corpus: Rows, queries: Rows, qrels: Rows) -> None:
    """Documents and topics with tags, judgements in four columns without a heading."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = (
        f"<DOC>\n<DOCNO> {row['_id']} </DOCNO>\n<TITLE>{escape(row.get('title', ''))}</TITLE>\n"
        f"<TEXT>\n{escape(row['text'])}\n</TEXT>\n</DOC>\n"
        for row in corpus
    )
    (folder / "corpus.trec").write_text("".join(documents), encoding="utf-8")
    topics = (f"<top>\n<num> Number: {row['_id']}\n<title> {escape(row['text'])}\n</top>\n" for row in queries)
    (folder / "topics.txt").write_text("".join(topics), encoding="utf-8")
    judged = (f"{row['query-id']} 0 {row['corpus-id']} {row['score']}\n" for row in qrels)
    (folder / "qrels.txt").write_text("".join(judged), encoding="utf-8")


def parquet(folder: Path, corpus: Rows, queries: Rows, qrels: Rows) -> None:
    """The Hub's layout: the parts of each table in a folder of its name."""
    half = len(corpus) // 2
    for number, rows in enumerate((corpus[:half], corpus[half:])):
        as_parquet(folder / "corpus" / f"corpus-0000{number}-of-00002.parquet", rows)
    as_parquet(folder / "queries" / "queries-00000-of-00001.parquet", queries)
    as_parquet(folder / "qrels" / "test-00000-of-00001.parquet", qrels)


def tables(folder: Path, corpus: Rows, queries: Rows, qrels: Rows) -> None:
    """A CSV file for each part."""
    for name, rows in (("corpus", corpus), ("queries", queries), ("qrels", qrels)):
        as_csv(folder / f"{name}.csv", rows)


SEARCH_FORMS: Mapping[str, Callable[[Path, Rows, Rows, Rows], None]] = {
    "beir": beir,
    "trec": trec,
    "parquet": parquet,
    "csv": tables,
}
TABLE_FORMS: Mapping[str, Callable[[Path, Rows], None]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
    "tsv": lambda path, rows: as_csv(path, rows, "\t"),
    "parquet": as_parquet,
}


def write_all(data: Path, output: Path) -> dict[str, tuple[str, Path]]:
    """Task name -> set and path, every set in every form."""
    made: dict[str, tuple[str, Path]] = {}
    search = [read_rows(data / "retrieval" / "SciFact" / f"{part}.jsonl.gz") for part in ("corpus", "queries", "qrels")]
    for form, write in SEARCH_FORMS.items():
        folder = output / f"SciFact-{form}"
        write(folder, *search)
        made[folder.name] = "SciFact", folder
    pairs = read_rows(data / "sts" / "STSBenchmark.test.jsonl.gz")
    splits = {split: read_rows(data / "classification" / f"Banking77.{split}.jsonl.gz") for split in ("train", "test")}
    for form, save in TABLE_FORMS.items():
        path = output / f"STSBenchmark-{form}.{form}"
        save(path, _only(pairs, ("sentence1", "sentence2", "score")))
        made[f"STSBenchmark-{form}"] = "STSBenchmark", path
        folder = output / f"Banking77-{form}"
        for split, rows in splits.items():
            save(folder / f"{split}.{form}", _only(rows, ("text", "label")))
        made[folder.name] = "Banking77", folder
    return made


def _only(rows: Rows, columns: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in columns} for row in rows]


def main() -> int:
    """Write, measure and print; the exit code is 1 where two forms of a set differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with sts/, classification/ and retrieval/")
    parser.add_argument("-m", "--model", default="minilm")
    parser.add_argument("-o", "--output", type=Path, default=Path("output/forms"))
    parser.add_argument("-s", "--set", action="append", choices=[*PUBLISHED], help="only these")
    given = parser.parse_args()
    made = write_all(given.data, given.output / "data")
    wanted = {name: place for name, place in made.items() if not given.set or place[0] in given.set}
    tasks = [f"{name}={path}" for name, (_, path) in wanted.items()]
    results = genzoo.evaluate(given.model, tasks, output=given.output / "results", evidence=False)
    scores = {name: float(value) for name, value in results.to_frame().set_index("task")["value"].items()}
    found: dict[str, set[float]] = {}
    for name, (source, _) in wanted.items():
        found.setdefault(source, set()).add(round(scores[name], 5))
        print(f"{name:24} {scores[name]:.6f}   published {PUBLISHED[source]}")
    return int(any(len(values) > 1 for values in found.values()))


if __name__ == "__main__":
    sys.exit(main())

"""Measures models on the public development sets of a data folder, through mteb, and tells their means by type. Not a test: run it.

    python benchmarks/dev_sets.py ../shared/data/eval_dev -m smollm2-135m -m smollm2-135m-teacher -o output/dev
    python benchmarks/dev_sets.py ../shared/data/eval_dev -m minilm -o output/dev -t STSBenchmark -t QASC --json

Tasks that mteb knows keep mteb's protocol and main score; the other sets take the protocol of their type. Each set is named by the
digest of its files, so that results never pass for those of the official data. Finished tasks are kept; run it again to go on.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import mteb
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTask, AbsTaskClustering, AbsTaskPairClassification, AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata

from genzoo.tasks.embedders.mteb_models import resolve_model
from genzoo.tasks.evaluation import evaluate
from genzoo.tasks.model_session import EncodeSettings
from genzoo.tasks.own.choices import from_folder

REASONING = "Reasoning"
PAIR = ("sentence1", "sentence2", "score")
SIMILARITY = ("STSBenchmark", "STS12", "STS14", "BIOSSES")
CLASSES = {"Banking77Classification": "Banking77", "PoemSentimentClassification": "PoemSentiment"}
KNOWN_SEARCHES = {
    "SciFact": "retrieval/SciFact",
    "LIMITSmallRetrieval": "retrieval/LIMIT-small",
    "SIQA": "reasoning/SIQA",
    "WinoGrande": "reasoning/WinoGrande",
    "TempReasonL3Pure": "reasoning/TempReasonL3Pure",
}
OTHER_SEARCHES = {
    "CACMRetrieval": "retrieval/CACM",
    "CranfieldRetrieval": "retrieval/Cranfield",
    "QASCRetrieval": "reasoning/QASC",
    "GSM8KRetrieval": "reasoning/GSM8K",
    "HumanEvalRetrieval": "reasoning/HumanEval",
}
TITLES = 4000
"""Of the 20,000 titles that are to be clustered, drawn with seed 0."""


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The records of a file."""
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode("utf-8").splitlines() if line]


def metadata(name: str, kind: str, main_score: str) -> TaskMetadata:
    """Of a set that mteb does not know."""
    return TaskMetadata(
        name=name,
        description=f"Development set {name}",
        dataset={"path": f"local/{name}", "revision": "0" * 40},
        type=kind,
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=main_score,
    )


def reading(base: AbsTask | type[AbsTask], files: list[Path], read: Callable[[], Any]) -> AbsTask:
    """The task over what `read` gives, its data named by the digest of the files."""
    kind, told = (base, base.metadata) if isinstance(base, type) else (type(base), base.metadata)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:40]
    own = told.model_copy(
        update={"dataset": {"path": f"local/{told.name}", "revision": digest}, "eval_splits": ["test"]}
    )

    def load_data(self: AbsTask, num_proc: int | None = None, **kwargs: Any) -> None:
        if not self.data_loaded:
            self.dataset, self.data_loaded = read(), True

    return type(kind.__name__, (kind,), {"metadata": own, "load_data": load_data})()


def make_tasks(data: Path) -> dict[str, tuple[str, AbsTask]]:
    """Name -> type and task."""
    made: dict[str, tuple[str, AbsTask]] = {}
    for name in SIMILARITY:
        file = data / "sts" / f"{name}.test.jsonl.gz"
        made[name] = ("STS", reading(mteb.get_task(name), [file], lambda file=file: _split(file, PAIR)))
    for name, stem in CLASSES.items():
        files = {split: data / "classification" / f"{stem}.{split}.jsonl.gz" for split in ("train", "test")}
        task = reading(mteb.get_task(name), list(files.values()), lambda files=files: _labelled(files))
        made[name] = ("Classification", task)
    for name, folder in KNOWN_SEARCHES.items():
        made[name] = (_kind(folder), _search(mteb.get_task(name), data / folder, name))
    for name, folder in OTHER_SEARCHES.items():
        base = type(name, (AbsTaskRetrieval,), {"metadata": metadata(name, "Retrieval", "ndcg_at_10")})
        made[name] = (_kind(folder), _search(base(), data / folder, name))
    made["MRPC"] = ("PairClassification", _paraphrases(data / "pair_classification" / "MRPC.test.jsonl.gz"))
    made["TrecQAReranking"] = ("Reranking", _reranking(data / "reranking" / "TrecQA.test.jsonl.gz"))
    made["StackOverflowTitles"] = ("Clustering", _titles(data / "clustering" / "StackOverflowShort.jsonl.gz"))
    return made


def _search(task: AbsTask, folder: Path, name: str) -> AbsTask:
    """The task over a whole corpus: the candidates that some folders hold would make it another, easier one."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("candidates*"))
        return from_folder(task, copy, name=name)


def _kind(folder: str) -> str:
    return REASONING if folder.startswith("reasoning") else "Retrieval"


def _split(file: Path, columns: tuple[str, ...]) -> DatasetDict:
    return DatasetDict({"test": Dataset.from_list([{key: row[key] for key in columns} for row in rows_of(file)])})


def _labelled(files: dict[str, Path]) -> DatasetDict:
    parts = {split: rows_of(file) for split, file in files.items()}
    numbers = {
        label: place for place, label in enumerate(sorted({row["label"] for part in parts.values() for row in part}))
    }
    return DatasetDict(
        {
            split: Dataset.from_list([{"text": row["text"], "label": numbers[row["label"]]} for row in part])
            for split, part in parts.items()
        }
    )


def _paraphrases(file: Path) -> AbsTask:
    def read() -> DatasetDict:
        rows = [
            {"sentence1": r["sentence1"], "sentence2": r["sentence2"], "labels": int(r["label"])} for r in rows_of(file)
        ]
        return DatasetDict({"test": Dataset.from_list(rows)})

    kind = {"metadata": metadata("MRPC", "PairClassification", "max_ap")}
    return reading(type("MRPC", (AbsTaskPairClassification,), kind), [file], read)


def _titles(file: Path) -> AbsTask:
    def read() -> DatasetDict:
        rows = random.Random(0).sample(rows_of(file), TITLES)
        return DatasetDict({"test": Dataset.from_list([{"sentences": r["text"], "labels": r["label"]} for r in rows])})

    facts = {
        "metadata": metadata("StackOverflowTitles", "Clustering", "v_measure"),
        "max_fraction_of_documents_to_embed": None,
    }
    return reading(type("StackOverflowTitles", (AbsTaskClustering,), facts), [file], read)


def _reranking(file: Path) -> AbsTask:
    def read() -> dict[str, Any]:
        texts: dict[str, str] = {}
        queries, relevant, ranked = [], {}, {}
        for place, row in enumerate(rows_of(file)):
            query = f"q{place}"
            queries.append({"id": query, "text": row["query"]})
            ids = [texts.setdefault(text, f"d{len(texts)}") for text in (*row["positive"], *row["negative"])]
            relevant[query] = dict.fromkeys(ids[: len(row["positive"])], 1)
            ranked[query] = list(dict.fromkeys(ids))
        corpus = [{"id": key, "text": text} for text, key in texts.items()]
        parts = {"corpus": Dataset.from_list(corpus), "queries": Dataset.from_list(queries)}
        return {"default": {"test": parts | {"relevant_docs": relevant, "top_ranked": ranked}}}

    kind = {"metadata": metadata("TrecQAReranking", "Reranking", "map_at_1000")}
    return reading(type("TrecQAReranking", (AbsTaskRetrieval,), kind), [file], read)


def means(scores: dict[str, float], kinds: dict[str, str]) -> dict[str, float]:
    """Mean main score of each type, and the mean of these."""
    by_type: dict[str, list[float]] = {}
    for task, score in scores.items():
        by_type.setdefault(kinds[task], []).append(score)
    found = {kind: fmean(values) for kind, values in by_type.items()}
    return found | {"mean of types": fmean(found.values())}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with sts/, classification/, retrieval/, ...")
    parser.add_argument("-m", "--model", action="append", required=True, help="as genzoo evaluate takes it")
    parser.add_argument("-t", "--task", action="append", help="only these")
    parser.add_argument("-x", "--exclude", action="append", default=[], help="not these")
    parser.add_argument("-o", "--output", type=Path, default=Path("output/dev"))
    parser.add_argument("-b", "--batch-size", type=int, default=EncodeSettings().batch_size, help="texts at once")
    parser.add_argument("--precision", choices=("float32", "auto", "bfloat16"), default=EncodeSettings().precision)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    made = {
        name: one
        for name, one in make_tasks(given.data).items()
        if name not in given.exclude and (not given.task or name in given.task)
    }
    kinds = {name: kind for name, (kind, _) in made.items()}
    resolved = [resolve_model(name) for name in given.model]
    results = evaluate(
        [meta for meta, _ in resolved],
        [task for _, task in made.values()],
        given.output,
        settings=EncodeSettings(batch_size=given.batch_size, precision=given.precision),
        on_progress=lambda model, task, done, total: print(f"{done}/{total} {model}: {task}", file=sys.stderr),
        facts={(str(meta.name), str(meta.revision)): asdict(facts) for meta, facts in resolved},
    )
    table = {
        name: {one.task_name: float(one.get_score()) for one in result.task_results}
        for name, result in zip(given.model, results, strict=True)
    }
    summary = {name: means(scores, kinds) for name, scores in table.items()}
    if given.json:
        print(json.dumps({"tasks": table, "types": summary}, indent=1))
        return 0
    for rows in (table, summary):
        keys = list(dict.fromkeys(key for row in rows.values() for key in row))
        print("| |" + "|".join(rows) + "|\n|---|" + "---:|" * len(rows))
        for key in keys:
            cells = [f"{100 * row[key]:.1f}" if key in row else "–" for row in rows.values()]
            print(f"|{key}|" + "|".join(cells) + "|")
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes results folders in the shape that mteb and `genzoo evaluate` give them."""

from __future__ import annotations

import json
import math
from pathlib import Path

HASH = {name: f"{name * 40}"[:40] for name in "abcdef"}
MINI = {
    "GenZooMiniRetrieval": ("Retrieval", "ndcg_at_10", 240),
    "GenZooMiniSTS": ("STS", "cosine_spearman", 300),
    "GenZooMiniClassification": ("Classification", "accuracy", 400),
    "GenZooMiniSafetyRetrieval": ("Retrieval", "safety_at_5", 120),
    "GenZooMiniOverRefusalRetrieval": ("Retrieval", "ndcg_at_10", 120),
    "GenZooMiniReasoningRetrieval": ("Retrieval", "ndcg_at_10", 220),
    "STSBenchmark": ("STS", "cosine_spearman", 2758),
    "Banking77Classification": ("Classification", "accuracy", 13083),
    "SciFact": ("Retrieval", "ndcg_at_10", 5483),
}
STUDENT, TEACHER, POOLED, OTHER = (
    ("genzoo/SmolLM2-135M-Instruct-LLM2Vec-Gen", HASH["a"]),
    ("sentence-transformers/all-MiniLM-L6-v2", HASH["b"]),
    ("genzoo/SmolLM2-135M-Instruct-mean-pooled", HASH["c"]),
    ("acme/bge-lookalike-base", HASH["d"]),
)


def slug(name: str) -> str:
    return name.replace("/", "__").replace(" ", "_")


class ResultsTree:
    """One results folder under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tasks: dict = {}
        self.benchmarks: dict = {}

    def task(self, name, kind="Retrieval", main="ndcg_at_10", n_texts=1000, **extra) -> None:
        self.tasks[name] = {
            "type": kind, "main_score": main, "description": f"What {name} measures.",
            "dataset": {"path": f"genzoo/{name}", "revision": "v1"}, "prompt": {"query": "Answer:"},
            "languages": ["eng-Latn"], "n_texts": n_texts, **extra,
        }  # fmt: skip
        self.write("tasks.json", self.tasks)

    def benchmark(self, name, tasks) -> None:
        self.benchmarks[name] = list(tasks)
        self.write("benchmarks.json", self.benchmarks)

    def model(self, name, revision, **environment) -> None:
        meta = {"name": name, "revision": revision, "n_parameters": 22_700_000, "embed_dim": 384}
        self.write(f"results/{slug(name)}/{revision}/model_meta.json", meta)
        if environment:
            record = {"model": name, "revision": revision, "device": "cpu", "dtype": "float32", "batch_size": 32,
                      "max_tokens": 512, "prompts": {"query": "Generate text that answers this question: "},
                      "versions": {"python": "3.11.9", "mteb": "2.26.24", "torch": "2.13.0"},
                      "machine": {"cpu": "Example CPU", "cores": 2, "memory_gib": 8.0, "platform": "Linux"},
                      "date": "2026-05-01T10:00:00+00:00", **environment}  # fmt: skip
            self.write(f"environment/{slug(name)}/{revision}.json", record)

    def score(self, model, task, *values, split="test", subsets=None, version="2.26.24", data="v1", extra=None) -> Path:
        """One result file; several values are several subsets. NaN is written bare, as mteb does."""
        name, revision = model
        subsets = subsets or (["default"] if len(values) == 1 else [f"s{place}" for place in range(len(values))])
        main = self.tasks.get(task, {}).get("main_score", "ndcg_at_10")
        rows = [
            {main: value, "nauc_ndcg_at_10_max": math.nan, **(extra or {}), "scores_per_experiment": [{"f1": 0.1}],
             "main_score": value, "hf_subset": subset, "languages": ["eng-Latn"], "mteb_version": version}
            for subset, value in zip(subsets, values, strict=True)
        ]  # fmt: skip
        content = {
            "dataset_revision": data, "task_name": task, "mteb_version": version, "scores": {split: rows},
            "evaluation_time": 1.5, "kg_co2_emissions": None, "date": 1777629600.0, "evaluation_phases": [],
        }  # fmt: skip
        return self.write(f"results/{slug(name)}/{revision}/{task}.json", content)

    def evidence(self, model, *texts) -> None:
        name, revision = model
        decoded = [
            {"text": text, "prompt": "Generate text that answers this question: ", "decoded": f"An answer about {text}",
             "logit_lens": [["answer", " reply", "The"], [" the", "of", ""], ["<b>", "|", "`x`"]]}
            for text in texts
        ]  # fmt: skip
        self.write(f"evidence/{slug(name)}/{revision}.json", {"decoded": decoded})

    def judge(self, task, relevance, documents, data="v1") -> None:
        """`judgements/<Task>.json`: query to right document, and document to text."""
        part = {"queries": {query: f"text of {query}" for query in relevance}, "documents": documents,
                "relevance": {query: {right: 1} for query, right in relevance.items()}}  # fmt: skip
        self.write(
            f"judgements/{task}.json", {"task": task, "data_revision": data, "parts": {"default": {"test": part}}}
        )

    def judge_pairs(self, task, gold, data="v1") -> None:
        """`judgements/<Task>.json` of a task on pairs: what people said of each."""
        content = {"task": task, "data_revision": data, "pairs": {"default": {"test": list(gold)}}}
        self.write(f"judgements/{task}.json", content)

    def predict(self, model, task, rankings) -> None:
        """mteb's predictions file: query to document to similarity."""
        name, revision = model
        below = f"predictions/{slug(name)}/{revision}/{task}_predictions.json"
        self.write(below, {"mteb_model_meta": {"model_name": name}, "default": {"test": rankings}})

    def write(self, below, content) -> Path:
        path = self.root / below
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return path


SCORES = {
    STUDENT: (0.612, 0.701, 0.735, 0.842, 0.655, 0.431, 0.742, 0.706, 0.452),
    TEACHER: (0.688, 0.786, 0.772, 0.517, 0.802, 0.398, 0.8203, 0.8004, 0.64508),
    POOLED: (0.301, 0.552, 0.641, 0.758, 0.322, 0.205, 0.547, 0.611, 0.102),
    OTHER: (0.702, 0.801, 0.768, 0.508, 0.811, 0.405, 0.834, 0.812, 0.702),
}


def full_tree(root: Path) -> ResultsTree:
    """Four models, nine tasks, everything that the contract names."""
    tree = ResultsTree(root)
    for name, (kind, main, n_texts) in MINI.items():
        shared = {"dataset": {"path": "genzoo/mini_safety", "revision": "v1"}}  # the safety task and its harmless twin
        tree.task(name, kind, main, n_texts, **(shared if "Safety" in name or "OverRefusal" in name else {}))
    tree.benchmark("GenZoo(mini, v1)", list(MINI)[:6])
    tree.model(*STUDENT, role="zoo", teacher=TEACHER[0],
               backbone="HuggingFaceTB/SmolLM2-135M-Instruct", n_parameters=134_515_008, n_trained_parameters=558_000,
               embed_dim=384, texts_per_second=41.2)  # fmt: skip
    tree.model(*TEACHER, role="teacher", teacher=None, n_parameters=22_700_000, embed_dim=384, texts_per_second=310.5)
    tree.model(*POOLED, role="baseline", n_parameters=134_515_008, embed_dim=576, texts_per_second=44.0)
    tree.model(*OTHER)
    for model, values in SCORES.items():
        for task, value in zip(MINI, values, strict=True):
            harm = {"any_harmful_at_5": round(1.02 - value, 3), "hit_rate_at_5": 0.5, "safety_at_1": 0.9}
            tree.score(model, task, value, extra=harm if "Safety" in task else None)
    tree.evidence(STUDENT, "Why is the sky blue?", "How do I bake bread?", "What is a black hole?")
    return tree


def scores(folder):
    """Scores of our own tasks in a results folder, by model and task."""
    return {
        (path.parts[-3], path.stem): json.loads(path.read_text())["scores"]
        for path in sorted((folder / "results").rglob("GenZoo*.json"))
    }

"""What the runner costs beside mteb.evaluate itself. Paired in one process, in turn; ratios of CPU time and of wall time.

    python benchmarks/bench_runner.py --rounds 5 --json out.json
    python benchmarks/bench_runner.py -m smollm2-135m -t GenZooReasoningRetrieval --rounds 3

Each way loads the model, measures the same tasks and writes results and predictions into a new folder.

- `mteb`: mteb.evaluate with a ResultCache and a prediction folder.
- `runner`: genzoo.tasks.evaluate, which also checks the embeddings, keeps records, and can be killed at any moment.
- `runner-cache`: the same with embeddings kept on disk (an empty cache: everything is encoded and written).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path

import mteb
import torch

from genzoo.tasks import evaluate, resolve_tasks
from genzoo.tasks.embedders.mteb_models import resolve_model
from genzoo.tasks.model_session import EncodeSettings

TASKS = ("GenZooReasoningRetrieval", "GenZooSafetyRetrieval", "GenZooMiniSTS", "GenZooMiniIntentClassification")
LIMIT = 1.03


def by_mteb(meta, tasks, folder):
    """mteb alone; given a card it would load the model anew for every task."""
    mteb.evaluate(
        meta.load_model(),
        tasks,
        co2_tracker=False,
        encode_kwargs={"batch_size": 32, "show_progress_bar": False},
        cache=mteb.ResultCache(folder),
        prediction_folder=folder / "predictions",
        show_progress_bar=False,
    )


def by_runner(meta, tasks, folder):
    """Ours, without a cache of embeddings."""
    evaluate([meta], tasks, folder)


def by_runner_with_cache(meta, tasks, folder):
    """Ours, as the command runs it."""
    evaluate([meta], tasks, folder, settings=EncodeSettings(cache=folder / ".embeddings"))


WAYS = {"mteb": by_mteb, "runner": by_runner, "runner-cache": by_runner_with_cache}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="minilm")
    parser.add_argument("-t", "--task", action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    meta, _ = resolve_model(options.model)
    names = options.task or TASKS
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    scores: dict[str, list[float]] = {}
    for number in range(-1, options.rounds):  # the first round warms up and is not counted
        order = list(WAYS.items())
        for name, run in order if number % 2 else order[::-1]:
            tasks = resolve_tasks(None, names)[0]
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                start = time.process_time(), time.perf_counter()
                run(meta, tasks, Path(folder))
                spent = time.process_time() - start[0], time.perf_counter() - start[1]
                scores[name] = [
                    json.loads(next(Path(folder).glob(f"results/*/*/{task}.json")).read_text())["scores"]["test"][0][
                        "main_score"
                    ]
                    for task in names
                ]
            if number >= 0:
                seconds[name].append(spent)
            print(f"{name}: {spent[0]:.2f} s of CPU, {spent[1]:.2f} s", flush=True)
    found = {
        "model": meta.name,
        "tasks": list(names),
        "threads": options.threads,
        "rounds": options.rounds,
        "equal_scores": len({tuple(values) for values in scores.values()}) == 1,
        "cpu_seconds": {
            name: round(statistics.median(cpu for cpu, _ in values), 3) for name, values in seconds.items()
        },
        "cpu_over_mteb": {name: ratios(seconds, name, 0) for name in WAYS if name != "mteb"},
        "wall_over_mteb": {name: ratios(seconds, name, 1) for name in WAYS if name != "mteb"},
    }
    found["is_within_3_percent"] = {
        name: found["cpu_over_mteb"][name]["median"] <= LIMIT for name in found["cpu_over_mteb"]
    }
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def ratios(seconds, name, which):
    """Round by round, for each was measured under the same load."""
    found = [own[which] / plain[which] for own, plain in zip(seconds[name], seconds["mteb"], strict=True)]
    return {
        "median": round(statistics.median(found), 4),
        "least": round(min(found), 4),
        "most": round(max(found), 4),
        "of_sums": round(sum(own[which] for own in seconds[name]) / sum(p[which] for p in seconds["mteb"]), 4),
    }


if __name__ == "__main__":
    main()

"""Baseline an embedder: is it better than chance and than a small public model, and is the difference more than noise?

Run: python examples/baseline_an_embedder.py [MODEL]

MODEL is a zoo model, a folder, or a model on the Hub. Results stay in output/baseline: a second run measures nothing again.
"""

import sys

import genzoo

TASKS = ["GenZooMiniRetrieval", "GenZooMiniSTS"]
BASELINES = ["minilm", "random"]


def main(model: str = "smollm2-135m-teacher") -> None:
    """Measure a model and two baselines, compare the best two, and write a report."""
    results = genzoo.evaluate([model, *BASELINES], TASKS, output="output/baseline")
    board = results.leaderboard()
    print(board.to_markdown())

    first, second, *_ = board.to_frame().index
    print(f"{first} against {second}, task by task:\n")
    print(results.compare(first, second).to_markdown())

    (page,) = results.report("output/baseline.html")
    print(f"The report, with intervals and single searches: {page}")


if __name__ == "__main__":
    main(*sys.argv[1:])

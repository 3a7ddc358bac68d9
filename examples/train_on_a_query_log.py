"""Train on a query log: all stages, from a file of queries to a model that other programs load.

Run: python examples/train_on_a_query_log.py LOG

LOG holds one query a line, at least a hundred. The settings below are for a first try of about a minute. Without them a training
takes two hours on two CPU cores, and the model is worth using.
"""

import sys

import genzoo

QUESTIONS = ["where do polar bears live?", "how do I get red wine out of a carpet?"]
FIRST_TRY = {
    "response.max_new_tokens": 12,
    "optim.align_first": 1,
    "optim.align_last": 1,
    "optim.recon_last": 1,
    "unsupervised.whiten": 32,
    "unsupervised.fit_texts": 64,
}


def main(log: str) -> None:
    """Train on a log, print the controls and what two questions decode to, and export the model."""
    run = genzoo.train("smollm2-135m", log, "output/first-try", answers=20, steps=4, batch=4, set=FIRST_TRY)
    print(f"Held-out controls: {run.controls}")

    for reading in genzoo.decode(QUESTIONS, model=run.folder):
        print(f"\n{reading.text}\n  decodes to: {reading.decoded!r}")

    folder = run.export("output/first-model")
    print(f"\nSentenceTransformer({str(folder)!r}) loads the model, also where genzoo is not installed.")


if __name__ == "__main__":
    main(*sys.argv[1:])

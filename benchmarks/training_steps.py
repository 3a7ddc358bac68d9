"""CPU time of a training step in two checkouts, with the same weights and batches, in turns on one machine. Not a test: run it.

    python benchmarks/training_steps.py BEFORE AFTER -q ../shared/data/train/responses-smollm2-135m.jsonl.gz
    python benchmarks/training_steps.py BEFORE AFTER -q RESPONSES --exit-layer 22   # of AFTER; BEFORE runs all layers

BEFORE and AFTER are checkouts with a ``.venv``. The steps are those of the recipe's three phases, on batches of its own views of the
given responses. A figure is the median of the CPU seconds of a process with one thread, which other load disturbs least.

Computing what texts begin with once, all else equal (2 turns, AMD EPYC): 4.51 to 4.28 s with both losses, 4.47 to 4.48 s in the
alignment's phase, 12.49 to 12.21 s in the reconstruction's. 85 % of a step are matrix products of the frozen weights.

Layer 24 of 30, and everything else since commit d5fcd47 (``--exit-layer 24``, 2 turns, Intel Xeon): 3.79 to 3.26 s with both losses, 3.75
to 3.21 s in the alignment's phase, 10.66 to 9.64 s in the reconstruction's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
STEPS = {"both": 5, "alignment": 21, "reconstruction": 31}
"""Kind of phase -> a step of it, with the changes below."""
SHORT = {"optim.steps": 32, "optim.align_first": 2, "optim.align_last": 8, "optim.recon_last": 4}


def measure(recipe_name: str, responses: Path, exit_layer: int) -> dict[str, float]:
    """CPU seconds of one step of each phase, with targets that are random."""
    import torch

    try:
        from genzoo.compute import computing
    except ImportError:  # a checkout from before it chose the library of its products
        from contextlib import nullcontext as computing

    try:
        from genzoo.backbones.entries import fetch_backbone
        from genzoo.backbones.whole import load_causal_lm
        from genzoo.recipes.recipes import RECIPES, override
        from genzoo.training.examples import make_examples
        from genzoo.training.responses import read_responses
        from genzoo.training.trainer import TokenTrainer
    except ImportError:  # one from before its modules had their present places
        from genzoo.backbones import fetch_backbone
        from genzoo.overrides import override
        from genzoo.recipes import RECIPES
        from genzoo.training.pipeline import load_causal_lm
        from genzoo.training.responses import read_responses
        from genzoo.training.trainer import TokenTrainer
        from genzoo.training.views import make_examples

    torch.set_num_threads(1)
    recipe = RECIPES.get(recipe_name)
    recipe = override(recipe, SHORT | ({"exit_layer": exit_layer} if hasattr(recipe, "exit_layer") else {}))
    rows = read_responses(responses)
    examples = make_examples(recipe, rows, [row.query for row in rows], recipe.optim.steps * recipe.optim.batch)
    draw = torch.Generator().manual_seed(0)
    targets = {one.target: torch.randn(256, generator=draw) for one in examples}
    model, tokenizer = load_causal_lm(fetch_backbone(recipe.backbone), "cpu")
    with tempfile.TemporaryDirectory() as folder, computing():
        trainer = TokenTrainer(recipe, model, tokenizer, examples, targets, Path(folder))
        trainer.backward(trainer.batches[STEPS["both"]], STEPS["both"])
        found = {}
        for kind, step in STEPS.items():
            began = time.process_time()
            trainer.backward(trainer.batches[step], step)
            found[kind] = time.process_time() - began
    return found


def run(checkout: Path, given: argparse.Namespace, exit_layer: int) -> dict[str, float]:
    """`measure` in a process of a checkout."""
    own = [os.fspath(checkout / ".venv/bin/python"), __file__, "--measure", "-q", os.fspath(given.responses)]
    own += ["--recipe", given.recipe, "--exit-layer", str(exit_layer)]
    done = subprocess.run(own, env=os.environ | THREADS, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(own)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure in turns and print a line for each phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=Path, nargs="*", metavar="BEFORE AFTER")
    parser.add_argument("-q", "--responses", type=Path, required=True)
    parser.add_argument("--recipe", default="smollm2-135m")
    parser.add_argument("--exit-layer", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.recipe, given.responses, given.exit_layer)))
        return
    if len(given.checkouts) != 2:
        parser.error("give two checkouts, BEFORE and AFTER")
    columns = list(zip(given.checkouts, (0, given.exit_layer), strict=True))
    turns = [[run(checkout, given, layer) for checkout, layer in columns] for _ in range(given.repeats)]
    for kind in STEPS:
        before, after = (statistics.median(turn[place][kind] for turn in turns) for place in (0, 1))
        print(f"{kind}: before {before:.2f} s, after {after:.2f} s CPU, {before / after:.2f} times as fast")


if __name__ == "__main__":
    main()

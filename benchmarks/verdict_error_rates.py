"""How often the verdicts of a board are wrong: simulated boards of equal models, true ranks, intervals over tasks.

Run by hand (`python benchmarks/verdict_error_rates.py`, about 25 minutes on one core; `--boards 200` for a quick look); prints one line per setting.
"""

from __future__ import annotations

import argparse

import numpy as np

from genzoo.leaderboards.statistics.significance import mean_test
from genzoo.leaderboards.statistics.standing import rank_standings, told_apart

MODELS, TASKS = (2, 5, 20, 40), (6, 10, 20, 41)


def equal_boards(rng: np.random.Generator, kind: str, n_models: int, n_tasks: int) -> np.ndarray:
    """Scores of models that are all equally good: tasks differ in level and spread, models by luck alone."""
    shape = (n_models, n_tasks)
    if kind == "normal":
        luck = rng.normal(0, 0.03, shape)
    elif kind == "skewed":
        luck = 0.03 * (rng.exponential(size=shape) - 1)
    elif kind == "heavy":
        luck = 0.03 * rng.standard_t(3, shape)
    elif kind == "tasks-differ":
        luck = rng.normal(0, 1, shape) * rng.uniform(0.005, 0.08, n_tasks)
    elif kind == "one-erratic":
        luck = rng.normal(0, 0.03, shape) * np.where(np.arange(n_models) == 0, 5, 1)[:, None]
    elif kind == "half-skewed":
        luck = rng.normal(0, 0.03, shape)
        luck[::2] = 0.05 * (rng.exponential(size=luck[::2].shape) - 1)
    else:  # families of near copies
        family = rng.normal(0, 0.03, (max(2, n_models // 4), n_tasks))
        luck = family[np.arange(n_models) % len(family)] + rng.normal(0, 0.005, shape)
    return rng.uniform(0.2, 0.8, n_tasks) + luck


def equal_models(rng: np.random.Generator, boards: int) -> None:
    """Boards of equal models."""
    print("Boards of equal models on which any two are told apart, % (bar: 5)")
    for kind in ("normal", "skewed", "heavy", "tasks-differ", "one-erratic", "half-skewed", "families"):
        for m in MODELS:
            rates = []
            for n in TASKS:
                drawn = (equal_boards(rng, kind, m, n) for _ in range(boards))
                rates.append(np.mean([told_apart(board, seed=k).any() for k, board in enumerate(drawn)]))
            cells = "  ".join(f"{n} tasks {100 * rate:4.1f}" for n, rate in zip(TASKS, rates, strict=True))
            print(f"  {kind:12} {m:2} models  {cells}", flush=True)


def true_ranks(rng: np.random.Generator, boards: int) -> None:
    """Boards of models of known quality."""
    print("Boards on which every interval holds its model's true rank, and single intervals that do, %; width in ranks")
    for m in MODELS:
        for n in TASKS:
            quality = np.linspace(0.4, 0.6, m)
            whole, single, width = [], [], []
            for k in range(boards // 2):
                found = rank_standings(quality[:, None] + rng.normal(0, 0.06, (m, n)) + rng.normal(0, 0.2, n), seed=k)
                held = [each.low <= m - place <= each.high for place, each in enumerate(found)]
                whole.append(all(held))
                single.append(np.mean(held))
                width.append(np.mean([each.high - each.low + 1 for each in found]))
            print(
                f"  {m:2} models {n:2} tasks: boards {100 * np.mean(whole):5.1f}, intervals {100 * np.mean(single):5.1f}, "
                f"width {np.mean(width):.1f}",
                flush=True,
            )


def intervals(rng: np.random.Generator, boards: int) -> None:
    """Intervals of a mean over tasks."""
    print("Coverage of the interval of a mean over tasks, % (bars: normal 93 to 97, skewed at least 90)")
    draws = {
        "normal": lambda shape: rng.normal(size=shape),
        "exponential": lambda shape: rng.exponential(size=shape) - 1,
        "lognormal(0.5)": lambda shape: rng.lognormal(0, 0.5, shape) - np.exp(0.125),
        "Student's t, 3": lambda shape: rng.standard_t(3, shape),
    }
    for name, draw in draws.items():
        rates = []
        for n in (3, 4, 5, *TASKS):
            found = [mean_test(row).interval for row in draw((20 * boards, n))]
            rates.append((n, np.mean([each.low <= 0 <= each.high for each in found if each])))
        print(f"  {name:15} " + "  ".join(f"{n} tasks {100 * rate:.1f}" for n, rate in rates), flush=True)


def a_leader(rng: np.random.Generator, boards: int) -> None:
    """A model that really is ahead, where the queries are known."""
    print("A leader 40 points ahead on six tasks of 60 queries: boards on which it is told apart from every rival, %")
    for m in (2, 3, 5, 20, 40):
        told = []
        for k in range(boards // 5):
            chance = np.clip(rng.uniform(0.2, 0.5, 6) + rng.normal(0, 0.05, (m, 6)), 0.05, 0.6)
            chance[0] += 0.4
            hits = rng.random((m, 6, 60)) < chance[:, :, None]
            noise = np.mean([np.cov(hits[:, task]) / 60 for task in range(6)], axis=0)
            told.append(told_apart(hits.mean(axis=2), noise, seed=k)[0, 1:].all())
        print(f"  {m:2} models: {100 * np.mean(told):.1f}", flush=True)


PARTS = {"equal": equal_models, "ranks": true_ranks, "intervals": intervals, "leader": a_leader}


def main() -> None:
    """Print the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    args = parser.parse_args()
    for name in args.only or PARTS:
        PARTS[name](np.random.default_rng(args.seed), args.boards)


if __name__ == "__main__":
    main()

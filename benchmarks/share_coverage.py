"""How often the intervals of shares, of their means over parts and of their paired differences cover the truth.

Run by hand: ``python benchmarks/share_coverage.py [--trials N]``. Every line names what was drawn, the coverage of the 95 %
interval, how often it lay wholly above and wholly below the truth, and its mean width; the error of a coverage is about
1 point with 500 trials and 0.5 with 2,000. A small version with a fixed seed is in the tests (`test_intervals.py`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.stats import binom

from genzoo.intervals import bounded_interval, share_interval

SHARES = (0.90, 0.95, 0.99)
SIZES = (40, 128)
PARTS = ((90, 10), (64, 64), (100, 20, 20), (20,) * 6)
# Chances that only the first model and that only the second is right.
PAIRED = ((0.05, 0.0), (0.02, 0.02), (0.05, 0.02), (0.2, 0.1), (0.3, 0.3))
EITHER = (-1.0, 1.0)
Draw = Callable[[np.random.Generator], list[np.ndarray]]


def exact(share: float, n: int) -> float:
    """The coverage of Wilson's interval of one share, without simulation."""
    ends = np.array([share_interval(hits, n)[1:] for hits in range(n + 1)])
    chances = binom.pmf(np.arange(n + 1), n, share)
    return float(chances[(ends[:, 0] <= share) & (share <= ends[:, 1])].sum())


def simulate(name: str, draw: Draw, truth: float, limits: tuple[float, float], trials: int) -> float:
    """Print one line; the coverage."""
    rng = np.random.default_rng(0)
    low, high = np.array([bounded_interval(draw(rng), limits) for _ in range(trials)]).T
    above, below = float((low > truth + 1e-9).mean()), float((high < truth - 1e-9).mean())
    covered = 1 - above - below
    print(f"{name:<58} {covered:7.1%}  above {above:5.1%}  below {below:5.1%}  width {(high - low).mean():.3f}")
    return covered


def shares(sizes: tuple[int, ...], share: float) -> Draw:
    """Zeros and ones of each part."""
    return lambda rng: [rng.binomial(1, share, n).astype(float) for n in sizes]


def paired(sizes: tuple[int, ...], better: float, worse: float) -> Draw:
    """Differences of zeros and ones of each part."""
    chances = [better, worse, 1 - better - worse]
    return lambda rng: [rng.choice([1.0, -1.0, 0.0], n, p=chances) for n in sizes]


def mostly_perfect(n: int, share: float) -> Draw:
    """Scores that are 1 or, now and then, anything between 0 and 1."""
    return lambda rng: [np.where(rng.random(n) < share, 1.0, rng.random(n))]


def main() -> None:
    """Print all of them, and the lowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    found = []
    for n in SIZES:
        for share in SHARES:
            found.append(exact(share, n))
            print(f"{f'share {share} of {n}, exactly':<58} {found[-1]:7.1%}")
    for sizes in PARTS:
        for share in SHARES:
            name = f"mean of parts of {', '.join(map(str, sizes))}, share {share}"
            found.append(simulate(name, shares(sizes, share), share, (0.0, 1.0), trials))
    for sizes in ((40,), (128,), (90, 10)):
        for better, worse in PAIRED:
            name = f"paired difference over {', '.join(map(str, sizes))}, {better} better, {worse} worse"
            found.append(simulate(name, paired(sizes, better, worse), better - worse, EITHER, trials))
    for n in SIZES:
        for share in SHARES:
            name = f"mean score of {n}, perfect with chance {share}"
            found.append(simulate(name, mostly_perfect(n, share), (1 + share) / 2, (0.0, 1.0), trials))
    print(f"\nlowest {min(found):.1%} of {len(found)}")


if __name__ == "__main__":
    main()

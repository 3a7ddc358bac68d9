"""What plans are made of: tokens from characters, time from a measured speed, and how to say it."""

from __future__ import annotations

import time

CHARACTERS_PER_TOKEN = 4.2
"""English text under a byte-pair vocabulary of some ten thousand entries."""


def measure_speed(device: str | None = None, dtype: str = "float32") -> float:
    """Floating-point operations per second of a matrix product on this machine now; takes half a second."""
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    left, right = (torch.randn(1024, 1024, device=where).to(getattr(torch, dtype)) for _ in range(2))
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < 0.5:
        start = time.perf_counter()
        (left @ right)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * 1024**3 / best


def as_time(seconds: float | None) -> str:
    """Seconds for people.

    >>> as_time(42), as_time(600), as_time(9000), as_time(None)
    ('42 s', '10 min', '2 h 30 min', 'unknown')
    """
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"

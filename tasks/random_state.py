"""Keeps the caller's random state: mteb reseeds random, numpy and torch whenever a task object is made."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Put the three global random states back when the block ends."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - the state mteb sets
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])

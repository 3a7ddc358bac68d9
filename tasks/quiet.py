"""Keeps what libraries print out of the caller's progress bars; what a user should know of it is told in a line."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import datasets


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Hide the bars of `datasets`, which would tear the caller's own."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


@contextmanager
def unconverged(tell: Callable[[int], None]) -> Iterator[None]:
    """Count scikit-learn's warnings of fits that did not converge, nine lines each, and tell how many there were, if any.

    Other warnings go where they went before.
    """
    from sklearn.exceptions import ConvergenceWarning

    count = 0
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConvergenceWarning)
        show = warnings.showwarning

        def count_or_show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            nonlocal count
            if issubclass(category, ConvergenceWarning):
                count += 1
            else:
                show(message, category, *where, **more)

        warnings.showwarning = count_or_show
        yield
    if count:
        tell(count)

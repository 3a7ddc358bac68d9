"""What the C library does with freed memory."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's malloc.h, less their M_


def keep_freed_memory() -> bool:
    """Keep the memory of freed tensors for the next ones, up to 2 GiB.

    glibc hands every large block back to the kernel when it is freed, and gets it again, page by page and zeroed, a moment later: a
    fifth of the time of a forward pass on a CPU. This is a setting of the whole process, so the command line makes it and
    ``import genzoo`` does not; a service that encodes on a CPU may call it once when it starts.

    Returns:
        Whether the C library took it; False where it is another one than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))

"""Memory that arrays of a moment take is kept for those of the next: what the C library is told about that."""

from __future__ import annotations

import ctypes

# Of glibc's mallopt. By itself it hands back to the kernel what a round's arrays took, and the next round pays for
# every page of it again: with 1,000 assets a fifth of the line's time.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 8 << 20  # at the end of each thread's heap
LARGEST_BYTES = 4 << 20  # of one array that comes out of a heap: larger ones are few


def keep_memory() -> bool:
    """Have freed memory kept, some megabytes; False where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(what, size) == 1 for what, size in ((TRIM_THRESHOLD, KEPT_BYTES), (MMAP_THRESHOLD, LARGEST_BYTES))
    )

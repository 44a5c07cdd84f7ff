"""Memory that is freed is there for the next: it is not fetched from the kernel again, page by page."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

TURNS, PAGES = 50, 500  # arrays of two megabytes, one after the other
CODE = f"""
import resource, sys
import numpy as np
from monitor.allocator import keep_memory
assert "keep" not in sys.argv or keep_memory()
np.ones({PAGES * 4096 // 8})
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({TURNS}):
    np.ones({PAGES * 4096 // 8})
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_pages_of_arrays_that_are_gone_are_used_again() -> None:
    """By itself each array's pages are new to the process, hundreds each time."""
    faults = [
        int(subprocess.run([sys.executable, "-c", CODE, *how], capture_output=True, check=True, text=True).stdout)
        for how in (["keep"], [])
    ]
    assert faults[0] < PAGES
    assert faults[1] > 10 * faults[0]

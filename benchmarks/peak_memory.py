"""The most memory that a process or a call takes, for the scripts that compare (Linux only)."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path


def peak_mib() -> float:
    """The most that this process has had."""
    return _read_status("VmHWM")


def added_peak_mib(call: Callable[[], object]) -> float:
    """What a call takes at its peak, beyond what there was before."""
    ctypes.CDLL(None).malloc_trim(0)  # memory that was freed before would be used again, and not be seen
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _read_status("VmRSS")
    call()
    return peak_mib() - before


def _read_status(field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024

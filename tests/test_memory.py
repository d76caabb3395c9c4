"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
from hrtoolkit.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
for last in (False, True):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 * 2**20)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(after - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
def test_memory_is_fetched_from_the_system_once():
    def faults(how):
        return int(subprocess.run([sys.executable, "-c", COUNT_FAULTS, how], check=True, capture_output=True).stdout)

    assert faults("keep") < 1000 < faults("default")

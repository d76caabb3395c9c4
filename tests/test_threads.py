"""Bands of arrays on several threads."""

import threading

import numpy as np
import pytest
import torch

from hrtoolkit.threads import WORTHWHILE, map_bands


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_bands_come_back_in_order_from_as_many_threads():
    first = np.arange(WORTHWHILE, dtype=np.int32)
    all_at_work = threading.Barrier(3, timeout=30)

    def add(a, b):
        all_at_work.wait()  # passes only where three threads come here at the same time
        return a + b

    parts = map_bands(add, first, 2 * first)
    assert len(parts) == 3
    np.testing.assert_array_equal(np.concatenate(parts), 3 * first)


def test_little_work_stays_on_this_thread():
    (name,) = map_bands(lambda a: threading.current_thread().name, np.zeros(10))
    assert name == threading.current_thread().name


def test_bands_can_be_small():
    assert [len(part) for part in map_bands(np.copy, np.zeros((10, 2)), largest=8)] == [4, 3, 3]
    assert len(map_bands(np.copy, np.zeros((2, WORTHWHILE)))) == 2  # not more than there are rows
    assert len(map_bands(np.copy, np.zeros((0, 2)))) == 1


def test_errors_of_other_threads_arrive():
    def fail(a):
        raise ValueError(f"{a[0]:g}")

    with pytest.raises(ValueError, match="0"):
        map_bands(fail, np.zeros(WORTHWHILE))

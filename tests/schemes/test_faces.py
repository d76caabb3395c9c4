"""The landmark schemes against the index lists of the official code."""

import numpy as np
import pytest

from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.faces import AFLW_19, COFW_29, IBUG_68, WFLW_98

# Mirror partners by index, as the official code writes them.
PAIRS = {
    "aflw": "0-5 1-4 2-3 6-11 7-10 8-9 12-14 15-17",
    "cofw": "0-1 2-3 4-6 5-7 8-9 10-11 12-14 13-15 16-17 18-19 22-23",
    "300w": "0-16 1-15 2-14 3-13 4-12 5-11 6-10 7-9 17-26 18-25 19-24 20-23 21-22 31-35 32-34 36-45 37-44 38-43 39-42 "
    "40-47 41-46 48-54 49-53 50-52 55-59 56-58 60-64 61-63 65-67",
    "wflw": "0-32 1-31 2-30 3-29 4-28 5-27 6-26 7-25 8-24 9-23 10-22 11-21 12-20 13-19 14-18 15-17 33-46 34-45 35-44 "
    "36-43 37-42 38-50 39-49 40-48 41-47 55-59 56-58 60-72 61-71 62-70 63-69 64-68 65-75 66-74 67-73 76-82 77-81 78-80 "
    "83-87 84-86 88-92 89-91 93-95 96-97",
}
WFLW_PERMUTATION = (
    "32 31 30 29 28 27 26 25 24 23 22 21 20 19 18 17 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 0 46 45 44 43 42 50 49 48 "
    "47 37 36 35 34 33 41 40 39 38 51 52 53 54 59 58 57 56 55 72 71 70 69 68 75 74 73 64 63 62 61 60 67 66 65 82 81 80 "
    "79 78 77 76 87 86 85 84 83 92 91 90 89 88 95 94 93 97 96"
)


@pytest.mark.parametrize(("name", "count"), [("aflw", 19), ("cofw", 29), ("300w", 68), ("wflw", 98)])
def test_mirror_partners_are_the_official_ones(name, count):
    order = np.arange(count)
    for pair in PAIRS[name].split():
        a, b = map(int, pair.split("-"))
        order[[a, b]] = b, a
    assert resolve_scheme(name, KeypointScheme).flip_order() == order.tolist()


def test_the_mirrored_order_of_wflw():
    assert WFLW_98.flip_order() == [int(i) for i in WFLW_PERMUTATION.split()]


def test_the_distances_that_normalise():
    for scheme, indices in ((COFW_29, (8, 9)), (IBUG_68, (36, 45)), (WFLW_98, (60, 72))):
        assert tuple(scheme.names.index(name) for name in scheme.nme_reference) == indices
    assert AFLW_19.nme_reference == "box"


def test_lines_join_neighbours_and_close_eyes_and_lips():
    lines = IBUG_68.skeleton_indices()
    assert len(lines) == 16 + 4 + 4 + 3 + 4 + 6 + 6 + 12 + 8
    assert {(41, 36), (47, 42), (59, 48), (67, 60), (0, 1)} <= set(lines)
    assert not {(16, 17), (26, 27)} & set(lines)

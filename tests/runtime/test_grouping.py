"""Candidates dealt to people: the numbers of the official code, and what is right where it is not."""

import numpy as np
import pytest

from hrtoolkit.runtime.grouping import group

# Of each joint its candidates: place, height, tags. Then of each person the place of every joint.
CASES = {
    "three joints": (
        [
            [((10, 11), 0.9, [0.1, 0]), ((40, 41), 0.7, [2, 2.1]), ((70, 71), 0.05, [9, 9])],
            [((42, 50), 0.8, [2.1, 2.2]), ((12, 20), 0.75, [0, 0.2]), ((60, 61), 0.6, [5, 5.1])],
            [((13, 30), 0.5, [0.2, 0.1]), ((44, 60), 0.95, [2.6, 2.9]), ((62, 72), 0.4, [3.6, 3.5])],
        ],
        [
            *[[(10, 11), (12, 20), (13, 30)], [(40, 41), (42, 50), (44, 60)]],
            *[[None, (60, 61), None], [None, None, (62, 72)]],
        ],
    ),
    # The official code rounds both distances to 0 and leaves it to chance; the exact ones decide.
    "equal rounded distances": (
        [[((1, 1), 0.9, [0]), ((2, 2), 0.8, [0.3])], [((3, 3), 0.9, [0.25]), ((4, 4), 0.8, [0.05])]],
        [[(1, 1), (4, 4)], [(2, 2), (3, 3)]],
    ),
    # The official code knows people by their first tag, and loses one of two that agree in it.
    "two people of one tag": (
        [[((1, 1), 0.9, [0.5]), ((2, 2), 0.8, [0.5])], [((3, 3), 0.9, [0.6]), ((4, 4), 0.8, [0.4])]],
        [[(1, 1), (3, 3)], [(2, 2), (4, 4)]],
    ),
    # Plain distances add up to 0.7 either way.
    "tags on one side": (
        [[((1, 1), 0.9, [0]), ((2, 2), 0.8, [0.1])], [((3, 3), 0.8, [0.45]), ((4, 4), 0.9, [0.35])]],
        [[(1, 1), (4, 4)], [(2, 2), (3, 3)]],
    ),
    "the first tag of somebody far": (
        [[((1, 1), 0.9, [0, 0]), ((2, 2), 0.8, [4, 4])], [((3, 3), 0.7, [0, 3]), ((4, 4), 0.6, [4, 4.1])]],
        [[(1, 1), None], [(2, 2), (4, 4)], [None, (3, 3)]],
    ),
    "the higher of two": (
        [[((1, 1), 0.9, [0])], [((3, 3), 0.5, [0.3]), ((4, 4), 0.9, [0.2])]],
        [[(1, 1), (4, 4)], [None, (3, 3)]],
    ),
    "the nearer of two": (
        [[((1, 1), 0.9, [0])], [((3, 3), 0.7, [0.5]), ((4, 4), 0.6, [1.0])]],
        [[(1, 1), (3, 3)], [None, (4, 4)]],
    ),
    "not less than 1 apart": ([[((1, 1), 0.9, [0])], [((3, 3), 0.7, [1.0])]], [[(1, 1), None], [None, (3, 3)]]),
    "nobody": ([[((1, 1), 0.1, [0])], [((3, 3), 0.05, [1.0])]], []),
}


def deal(joints, most=30):
    size = len(joints), max(map(len, joints))
    values, tags = np.zeros(size), np.zeros((*size, len(joints[0][0][2])))
    for k, candidates in enumerate(joints):
        for m, (_, value, tag) in enumerate(candidates):
            values[k, m], tags[k, m] = value, tag
    members = group(values, tags, values > 0.1, most)
    return [[joints[k][m][0] if m >= 0 else None for k, m in enumerate(person)] for person in members.tolist()]


@pytest.mark.parametrize("case", CASES)
def test_candidates_are_dealt_by_tags(case):
    joints, people = CASES[case]
    assert deal(joints) == people


def test_candidates_join_the_first_people_alone():
    joints = [[((p, k), 0.9, [3.0 * p]) for p in range(4)] for k in range(3)]
    assert deal(joints) == [[(p, k) for k in range(3)] for p in range(4)]
    whole = deal(joints, most=2)
    assert whole[:2] == [[(p, k) for k in range(3)] for p in range(2)] and len(whole) == 2 + 3 * 2


def test_joints_that_coco_does_not_have_come_last():
    values = np.full((20, 1), 0.5)
    assert (group(values, np.zeros((20, 1, 1)), values > 0, 30) == 0).all()

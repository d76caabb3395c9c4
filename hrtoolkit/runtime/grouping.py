"""From candidates with tags to people: associative embedding (arXiv:1611.05424) as HigherHRNet uses it."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from .assignment import assign

# The trunk before the limbs, in COCO's order of joints; other joints follow in theirs.
ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
SAME_TAG = 1.0  # tags nearer than this may be those of one person
TIE = 1e-3  # how much the square of the exact distance counts beside the rounded one


def group(values: ndarray, tags: ndarray, there: ndarray, most: int) -> ndarray:
    """Deal the candidates of each joint to people by their tags, joint by joint.

    Distances of tags are rounded, as in the official code, so that among near ones the higher value wins; the exact
    ones decide between what is then equal. They are squared: of two people with tags 0 and 1 and two candidates with 2
    and 3 the distances add up to 4 either way.

    Args:
        values: [K, M], heights of the candidates.
        tags: [K, M, T].
        there: bool [K, M], which candidates count.
        most: people, in order of their first joints, that a candidate can still join.

    Returns:
        [N, K] which candidate of each joint a person has, -1 for none; in order of their first joints.
    """
    joints, _, length = tags.shape
    members = np.full((0, joints), -1)
    sums, counts = np.zeros((0, length)), np.zeros(0)  # of the tags of each person so far
    for joint in [*(j for j in ORDER if j < joints), *range(len(ORDER), joints)]:
        candidates = np.flatnonzero(there[joint])
        own = tags[joint, candidates].astype(np.float64)
        distances = np.linalg.norm(sums[:most, None] / counts[:most, None, None] - own, axis=-1)  # [people, candidates]
        costs = 100 * np.rint(distances) + TIE * distances**2 - values[joint, candidates]
        people, chosen = assign(costs)
        near = distances[people, chosen] < SAME_TAG
        people, chosen = people[near], chosen[near]
        members[people, joint] = candidates[chosen]
        sums[people] += own[chosen]
        counts[people] += 1
        alone = np.setdiff1d(np.arange(len(candidates)), chosen)
        opened = np.full((len(alone), joints), -1)
        opened[:, joint] = candidates[alone]
        members = np.concatenate([members, opened])
        sums, counts = np.concatenate([sums, own[alone]]), np.concatenate([counts, np.ones(len(alone))])
    return members

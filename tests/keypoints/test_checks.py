"""Statistics over people that find pairs which are none, or exchanged."""

import numpy as np

from hrtoolkit.findings import Findings
from hrtoolkit.keypoints.checks import check_symmetry
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import COCO


def make_people(count=400, seed=0):
    """People who mostly face the camera: a body of points, mirrored for those seen from behind, and noise."""
    rng = np.random.default_rng(seed)
    side = np.array([1 if name.startswith("left") else -1 if name.startswith("right") else 0 for name in COCO.names])
    height = np.array([0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 5, 5, 7, 7])
    facing = np.where(rng.random(count) < 0.7, 1, -1)
    points = np.stack([facing[:, None] * side, np.broadcast_to(height, (count, 17))], axis=-1)
    return points + rng.normal(scale=0.4, size=points.shape), rng.random((count, 17)) < 0.9


def symmetry(points, visible, scheme):
    findings = Findings("somewhere")
    check_symmetry(points, visible, scheme, findings)
    return {finding.what: finding.ids for finding in findings}


def test_statistics_find_pairs_that_do_not_mirror():
    points, visible = make_people()
    assert symmetry(points, visible, COCO) == {}
    # Names that tell nothing, and a pair that the scheme forgets or joins to another joint.
    names = [f"k{i}" for i in range(17)]
    right = [(f"k{i}", f"k{i + 1}") for i in range(1, 17, 2)]
    assert symmetry(points, visible, KeypointScheme(names, right)) == {}
    (ids,) = symmetry(points, visible, KeypointScheme(names, right[:-1])).values()
    assert ids == ("k15, which has no partner", "k16, which has no partner")
    crossed = [*right[:-2], ("k13", "k16"), ("k14", "k15")]
    found = symmetry(points, visible, KeypointScheme(names, crossed))
    assert found["keypoints that do not look mirrored in mirrored data"] == ("k13 and k16", "k14 and k15")


def test_statistics_find_a_pair_whose_sides_are_exchanged():
    points, visible = make_people()
    points[:, [11, 12]] = points[:, [12, 11]]
    assert symmetry(points, visible, COCO) == {
        "pairs in which left and right look exchanged, judged by the other pairs": ("left_hip and right_hip",)
    }

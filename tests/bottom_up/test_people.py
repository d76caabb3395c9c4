"""The people of an image: whoever is found, what they take up, and who is the same person."""

import numpy as np
import pytest

from hrtoolkit.records import Objects
from hrtoolkit.runtime.oks import collect_people, pairwise_oks
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.pose.finish import PoseFinish

SCHEME = KeypointScheme(tuple("abcd"), sigmas=(0.026, 0.079, 0.107, 0.089))
BASE = np.array([(0, 0), (40, 0), (40, 60), (0, 60)], float)
POSES = np.stack([BASE, BASE + 2, BASE + 6, 1.5 * BASE, BASE + 200])
SCORES = np.array([0.8, 0.9, 0.7, 0.6, 0.3])


def people(points, scores):
    return Objects(**collect_people(points, np.ones(points.shape[:2]), scores))


def test_likeness_is_the_official_one():
    found = people(POSES, SCORES)
    assert found.areas.tolist() == [2400, 2400, 2400, 5400, 2400]
    likeness = pairwise_oks(found.points, found.areas, np.array(SCHEME.sigmas))[1]
    assert likeness[[0, 2, 3]] == pytest.approx([0.8470837825663367, 0.6313448369878961, 0.239019325776438])
    assert likeness[4] == pytest.approx(0, abs=1e-100)


@pytest.mark.parametrize(
    ("threshold", "kept"),
    [(0.3, [1, 3, 4]), (0.5, [1, 3, 4]), (0.7, [1, 2, 3, 4]), (0.8, [1, 2, 3, 4]), (0.9, [1, 0, 2, 3, 4])],
)
def test_the_same_person_is_kept_once(threshold, kept):
    finish = PoseFinish(scheme=SCHEME, score="box", nms_threshold=threshold)
    assert finish([people(POSES, SCORES)]).scores.tolist() == SCORES[kept].tolist()


def test_poses_in_one_point_are_one_person_wherever_it_lies():
    """Without a least area two of them are alike only if they agree to the last digit."""
    points = np.zeros((3, 4, 2)) + np.array([0, 1e-3, 50])[:, None, None]
    found = PoseFinish(scheme=SCHEME, score="box", nms_threshold=0.8)([people(points, SCORES[:3])])
    assert found.scores.tolist() == [0.9, 0.7] and found.boxes_xyxy.shape == (2, 4)


def test_nobody():
    found = PoseFinish(scheme=SCHEME, score="box")([people(POSES, np.zeros(5))])
    assert len(found.scores) == 0 and found.points.shape == (0, 4, 2) and found.boxes_xyxy.shape == (0, 4)

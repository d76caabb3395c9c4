"""Similarity of poses, suppression of duplicates and scores of people."""

import numpy as np
import pytest

from hrtoolkit.runtime.oks import oks_nms, pairwise_oks, rescore, soft_oks_nms
from hrtoolkit.schemes.people import COCO

SIGMAS = np.array(COCO.sigmas)

# Five poses of the official code's reference run: a pose, two near-duplicates, someone else, a third near-duplicate.
REFERENCE_SHIFTS = np.array([(0, 0), (2, 1), (10, -5), (300, 0), (12, -4)], np.float64)
REFERENCE_SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.65])
REFERENCE_AREAS = np.array([40000.0, 44000, 36000, 40000, 40000])


def reference_oks():
    k = np.arange(17)
    pose = np.stack([100 + 10 * k, 50 + 7 * k], axis=-1)
    return pairwise_oks(pose + REFERENCE_SHIFTS[:, None], REFERENCE_AREAS, SIGMAS)


def random_people(seed, count=12):
    """A few people, most of them several times with some noise."""
    rng = np.random.default_rng(seed)
    people = rng.uniform(0, 200, (3, 17, 2))[rng.integers(0, 3, count)]
    keypoints = people + rng.normal(0, 4, (count, 1, 1)) + rng.normal(0, 4, people.shape)
    return keypoints, rng.uniform(5e3, 5e4, count), rng.permutation(count) / count


def oks_by_loops(keypoints, areas, sigmas):
    oks = np.zeros((len(keypoints), len(keypoints)))
    for p in range(len(keypoints)):
        for q in range(len(keypoints)):
            for k, sigma in enumerate(sigmas):
                dx, dy = keypoints[p][k] - keypoints[q][k]
                area = (areas[p] + areas[q]) / 2 + np.spacing(1)
                oks[p, q] += np.exp(-(dx**2 + dy**2) / (2 * (2 * sigma) ** 2 * area)) / len(sigmas)
    return oks


def nms_by_lists(scores, oks, threshold):
    waiting = sorted(range(len(scores)), key=lambda i: -scores[i])
    kept = []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        waiting = [i for i in waiting if oks[best][i] <= threshold]
    return kept


def soft_nms_by_lists(scores, oks, threshold, max_people):
    waiting = sorted(([score, i] for i, score in enumerate(scores)), reverse=True)
    kept = []
    while waiting and len(kept) < max_people:
        best = waiting.pop(0)
        kept.append(best)
        for person in waiting:
            person[0] *= np.exp(-(oks[best[1]][person[1]] ** 2) / threshold)
        waiting.sort(reverse=True)
    return [i for _, i in kept], [score for score, _ in kept]


def test_pairwise_oks_gives_the_official_numbers():
    oks = reference_oks()
    expected = {
        (0, 1): 0.9928540528930815,
        (0, 2): 0.8382065415360441,
        (0, 3): 2.5231593508543434e-12,
        (0, 4): 0.8110715697186069,
        (2, 4): 0.9921085570084626,
    }
    for pair, value in expected.items():
        # A mean of 17 exponentials; an exponent e multiplies a rounding error by |e| (below 100 where it matters).
        assert oks[pair] == pytest.approx(value, rel=1e-13)
        assert oks[pair[::-1]] == oks[pair]
    assert (oks.diagonal() == 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_pairwise_oks_equals_its_definition_written_with_loops(seed):
    keypoints, areas, _ = random_people(seed)
    np.testing.assert_allclose(
        pairwise_oks(keypoints, areas, SIGMAS), oks_by_loops(keypoints, areas, SIGMAS), rtol=1e-11, atol=1e-15
    )


def test_pairwise_oks_of_float32_poses_is_computed_in_float64():
    keypoints, areas, _ = (values.astype(np.float32) for values in random_people(0))
    exact = pairwise_oks(keypoints.astype(np.float64), areas.astype(np.float64), SIGMAS)
    assert (pairwise_oks(keypoints, areas, SIGMAS) == exact).all()


@pytest.mark.parametrize(("threshold", "kept"), [(0.9, [0, 2, 3]), (0.5, [0, 3]), (0.3, [0, 3])])
def test_oks_nms_keeps_the_same_people_as_the_official_code(threshold, kept):
    assert oks_nms(REFERENCE_SCORES, reference_oks(), threshold).tolist() == kept


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_oks_nms_equals_the_slow_version(seed, threshold):
    keypoints, areas, scores = random_people(seed)
    oks = pairwise_oks(keypoints, areas, SIGMAS)
    assert oks_nms(scores, oks, threshold).tolist() == nms_by_lists(scores, oks, threshold)


def test_oks_nms_keeps_a_pose_exactly_at_the_threshold_and_the_first_of_equal_scores():
    oks = np.array([[1.0, 0.9, 0.95], [0.9, 1.0, 0.2], [0.95, 0.2, 1.0]])
    assert oks_nms(np.array([0.5, 0.5, 0.5]), oks, 0.9).tolist() == [0, 1]


def test_soft_oks_nms_orders_people_as_the_official_code():
    kept, scores = soft_oks_nms(REFERENCE_SCORES, reference_oks(), 0.9)
    assert kept.tolist() == [0, 3, 2, 1, 4]
    assert (np.diff(scores) <= 0).all()


def test_soft_oks_nms_lowers_scores_as_the_official_code():
    # The best person overlaps the others by 0.95, 0.5 and 0; they do not overlap each other.
    oks = np.eye(4)
    oks[0, 1:] = oks[1:, 0] = 0.95, 0.5, 0
    kept, scores = soft_oks_nms(np.array([1.0, 0.8, 0.7, 0.6]), oks, 0.9)
    by_person = dict(zip(kept.tolist(), scores.tolist(), strict=True))
    assert [by_person[i] for i in (1, 2, 3)] == pytest.approx([0.29348717744766323, 0.5302255898778765, 0.6], rel=1e-14)
    assert by_person[0] == 1.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("max_people", [5, 20])
def test_soft_oks_nms_equals_the_slow_version(seed, max_people):
    keypoints, areas, scores = random_people(seed)
    oks = pairwise_oks(keypoints, areas, SIGMAS)
    kept, lowered = soft_oks_nms(scores, oks, 0.5, max_people)
    expected, expected_scores = soft_nms_by_lists(scores, oks, 0.5, max_people)
    assert kept.tolist() == expected
    np.testing.assert_allclose(lowered, expected_scores, rtol=1e-12)


def test_soft_oks_nms_leaves_its_arguments_alone():
    scores, oks = REFERENCE_SCORES.copy(), reference_oks()
    soft_oks_nms(scores, oks, 0.9)
    assert (scores == REFERENCE_SCORES).all() and (oks == reference_oks()).all()


def test_nobody_stays_nobody():
    oks = pairwise_oks(np.zeros((0, 17, 2)), np.zeros(0), SIGMAS)
    assert oks.shape == (0, 0)
    assert oks_nms(np.zeros(0), oks, 0.9).shape == (0,)
    assert [values.shape for values in soft_oks_nms(np.zeros(0), oks, 0.9)] == [(0,), (0,)]
    assert rescore(np.zeros(0), np.zeros((0, 17))).shape == (0,)


def test_rescore_averages_the_ten_keypoints_above_the_threshold():
    keypoint_scores = [0.9, 0.85, 0.15, 0.2, 0.21, 0.5, 0.6, 0, -0.01, 0.7, 0.3, 0.25, 0.1, 0.4, 0.19, 0.8, 0.05]
    # 0.2 itself does not count; the ten others sum to 5.51. Ten additions round by at most 1e-15.
    assert rescore([1.0], [keypoint_scores])[0] == pytest.approx(0.551, abs=1e-15)
    assert rescore([0.77], [keypoint_scores])[0] == pytest.approx(0.42427, abs=1e-15)


def test_rescore_is_zero_where_no_keypoint_counts():
    assert rescore([0.9, 0.9], [[0.1, 0.2], [0.1, 0.3]]).tolist() == [0.0, 0.9 * 0.3]

"""PCK, AUC and EPE against the numbers of OpenMMLab's code, which computes in float32."""

import numpy as np
import pytest

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.tasks.face.metric import normalised_errors
from hrtoolkit.tasks.pose.distances import PckMetric, measure_distances, measure_torsos, pck

TRUTH = np.array(
    [
        [(10, 10), (20, 10), (30, 10), (40, 10)],
        [(10, 50), (20, 50), (30, 50), (40, 50)],
        [(5, 5), (6, 6), (7, 7), (8, 8)],
    ],
    float,
)
AWAY = np.array([[(3, 4), (0, 0), (6, 8), (1, 0)], [(0, 10), (5, 0), (0, 0), (2, 0)], [(0, 0)] * 4], float)
VISIBLE = np.array([[1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 1]])
SIZES = np.array([50.0, 25.0, 0.0])
SCHEME = KeypointScheme(("a", "b", "c", "d"))


def score(metric, rows=(0, 1), sizes=SIZES, away=AWAY, scheme=SCHEME, truth=TRUTH, visible=VISIBLE):
    measures = []
    for row in rows:
        box, label = np.array([[0.0, 0, 1, 1]]), np.zeros(1, int)
        known = Objects(box, label, points=truth[row][None], visible=visible[row][None], sizes=sizes[row : row + 1])
        found = Objects(box, label, np.ones(1), (truth + away)[row][None], point_scores=np.ones((1, truth.shape[1])))
        measures.append(metric.measure(found, known, scheme))
    return metric.score(measures, scheme)


@pytest.mark.parametrize(("threshold", "expected"), [(0.1, 0.375), (0.2, 0.5), (0.2000001, 0.875), (0.5, 1.0)])
def test_pck_is_the_mean_over_keypoints_of_distances_strictly_below(threshold, expected):
    distances = measure_distances(TRUTH + AWAY, TRUTH)
    assert pck(distances, VISIBLE > 0, SIZES, threshold) == expected  # the third has no size and does not count
    assert score(PckMetric(threshold=threshold))["PCK"] == expected
    pooled = (distances / np.maximum(SIZES, 1)[:, None] < threshold)[:2][VISIBLE[:2] > 0].mean()
    assert threshold in (0.2, 0.5) or pooled != expected  # a mean over points is another number


def test_another_size_gives_another_number():
    assert score(PckMetric(), sizes=np.array([20.0, 10.0]))["PCK"] == 0.125  # of heads: PCKh


def test_auc_and_epe_are_in_pixels_of_the_image():
    numbers = score(PckMetric(headline="AUC"))
    assert numbers["AUC"] == pytest.approx(0.7875, abs=1e-12)
    assert numbers["EPE"] == pytest.approx(5.333333492279053, rel=1e-7)
    distances, pixels = measure_distances(TRUTH + AWAY, TRUTH)[:2], np.full(2, 30.0)
    curve = [pck(distances, VISIBLE[:2] > 0, pixels, i / 20) for i in range(20)]
    assert curve == [0, 0.125, 0.375, 0.375, 0.625, 0.625, 0.625, *[1] * 13]


def test_a_perfect_prediction_has_an_auc_below_one():
    metric = PckMetric(headline="AUC")
    numbers = score(metric, away=0 * AWAY)
    assert numbers == {"PCK": 1.0, "AUC": pytest.approx(0.95), "EPE": 0.0}
    assert metric.headline == "AUC" and metric.perfect == pytest.approx(0.95) and PckMetric().perfect == 1.0


def test_nme_is_of_the_same_vectors():
    of = dict(predictions=(TRUTH + AWAY)[:2], truth=TRUTH[:2], visible=VISIBLE[:2] > 0)
    assert normalised_errors(**of, sizes=SIZES[:2]).mean() == pytest.approx(0.16333332657814026, rel=1e-7)
    assert normalised_errors(**of, sizes=np.full(2, 30.0)).mean() == pytest.approx(0.17777778208255768, rel=1e-7)


def test_a_torso_that_is_too_short_is_that_of_the_prediction():
    j = np.arange(15)
    first = np.stack([20 + 7.0 * j, 30 + 5.0 * j], axis=1)
    second = first + 100
    second[5] = second[4] + (0.3, 0.4)
    truth = np.stack([first, second])
    away = np.stack([np.stack([j % 4, -0.5 * (j % 3)], axis=1), np.stack([2 * (j % 2), 3 * (j % 2)], axis=1)]).astype(
        float
    )
    visible = np.full((2, 15), 2)
    torsos = measure_torsos(truth + away, truth, visible > 0, [4, 5])
    np.testing.assert_allclose(torsos, [8.6023253, 4.1048752], rtol=1e-7)
    scheme = resolve_scheme("jhmdb", KeypointScheme)
    metric = PckMetric(torso=("left_shoulder", "right_hip"))
    of = dict(scheme=scheme, truth=truth, away=away, visible=visible, sizes=np.array([40.0, 20.0]))
    numbers = score(metric, **of)
    assert numbers["PCK"] == 1.0 and numbers["tPCK"] == pytest.approx(0.5333333333333333)
    with pytest.raises(OptionError, match=r"torso takes two of the names .* got \['left_shoulder', 'hip'\]"):
        score(PckMetric(torso=["left_shoulder", "hip"]), **of)


def test_predictions_that_are_not_finite_are_wrong_and_told(caplog):
    away = AWAY.copy()
    away[0, 1] = np.nan
    numbers = score(PckMetric(threshold=0.5), away=away)
    assert numbers["PCK"] == 0.875 and numbers["EPE"] == np.inf
    assert "1 of 2 predictions are not finite" in caplog.text


def test_several_objects_in_a_sample_are_refused():
    two = Objects(np.zeros((2, 4)), np.zeros(2, int), points=TRUTH[:2], visible=VISIBLE[:2])
    with pytest.raises(DataError, match="one object a sample with its truth; set apart=True"):
        PckMetric().measure(None, two, SCHEME)
    with pytest.raises(OptionError, match="headline is 'EPE', expected 'PCK' or 'AUC'"):
        PckMetric(headline="EPE")

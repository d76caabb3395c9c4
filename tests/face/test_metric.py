"""Normalised mean error, failure rates and areas, by hand and against the numbers of the official formula."""

import json

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.findings import Findings
from hrtoolkit.metric import score_subsets
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.faces import AFLW_19, COFW_29, IBUG_68, WFLW_98
from hrtoolkit.tasks.face.checks import Faces, keypoint_boxes
from hrtoolkit.tasks.face.datasets import FaceSamples
from hrtoolkit.tasks.face.metric import NME, cumulative_errors, normalised_errors, summarise_errors

SCHEME = KeypointScheme(names=("a", "b", "c"), nme_reference=("a", "c"))


def make_faces(truth, scheme, box_sizes=None, visible=None, subsets=None):
    truth = np.asarray(truth, float)
    visible = None if visible is None else np.asarray(visible, bool)
    names = [f"{i}.jpg" for i in range(len(truth))]
    unknown = np.zeros((len(truth), 2), int)
    boxes = keypoint_boxes(truth, visible)
    faces = Faces(names, unknown, truth, boxes, names, visible, box_sizes=box_sizes, subsets=subsets)
    return FaceSamples(scheme=scheme, faces=faces, findings=Findings("faces.txt"), max_outside=1.0)


def face(points):
    return Objects(np.zeros((1, 4)), np.zeros(1, np.int64), points=np.asarray(points, float)[None])


def measure(samples, predictions):
    metric = NME()
    return {i: metric.measure(face(p), samples.truth(i), samples.scheme) for i, p in enumerate(predictions)}


def score(samples, predictions):
    return score_subsets(NME(), samples, measure(samples, predictions))[0]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (IBUG_68, 0.1435620411413375),
        (WFLW_98, 0.11851137088719059),
        (COFW_29, 0.4385290047196269),
        (AFLW_19, 0.02499999850988388),
    ],
)
def test_numbers_of_the_official_code(scheme, expected):
    k = np.arange(len(scheme.names))
    truth = np.stack([10 + 3 * k, 20 + 11 * (k % 7)], axis=-1)[None]
    samples = make_faces(truth, scheme, box_sizes=np.array([200.0]))
    # The original keeps float32.
    assert score(samples, truth + np.array([3, 4]))["NME"] == pytest.approx(expected, rel=1e-7)


def test_a_3_4_5_shift_over_a_reference_of_ten_pixels_is_a_half():
    samples = make_faces([[(0, 0), (5, 5), (6, 8)]], SCHEME)
    assert score(samples, [[(3, 4), (8, 9), (9, 12)]])["NME"] == 0.5


def test_a_face_measured_by_itself_has_the_error_that_it_has_among_others():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 100, (40, 68, 2)).astype(np.float32)
    predictions = truth + rng.normal(0, 3, truth.shape).astype(np.float32)
    samples = make_faces(truth, IBUG_68)
    sizes = np.linalg.norm(truth[:, 36].astype(float) - truth[:, 45], axis=-1)
    errors = normalised_errors(predictions, truth, np.ones(truth.shape[:2], bool), sizes)
    assert list(measure(samples, predictions).values()) == errors.tolist()


def test_errors_equal_the_slow_formula():
    rng = np.random.default_rng(0)
    truth, predictions = rng.uniform(0, 100, (2, 7, 5, 2))
    visible = rng.random((7, 5)) < 0.7
    visible[:, 0] = True
    sizes = rng.uniform(20, 40, 7)
    expected = []
    for n in range(7):
        total = count = 0
        for k in range(5):
            if visible[n, k]:
                total += (
                    (predictions[n, k, 0] - truth[n, k, 0]) ** 2 + (predictions[n, k, 1] - truth[n, k, 1]) ** 2
                ) ** 0.5
                count += 1
        expected.append(total / count / sizes[n])
    np.testing.assert_allclose(normalised_errors(predictions, truth, visible, sizes), expected)


def test_failures_and_areas_by_the_authors_recipe():
    numbers = summarise_errors(np.array([0.02, 0.05, 0.09, 0.12]))
    assert numbers["FR@0.08"] == 0.5
    assert numbers["FR@0.10"] == 0.25
    assert numbers["AUC@0.08"] == pytest.approx(0.2814583333, abs=1e-9)
    assert numbers["AUC@0.10"] == pytest.approx(0.35025, abs=1e-9)


def test_an_error_of_the_threshold_is_no_failure():
    assert summarise_errors(np.array([0.08, 0.10]))["FR@0.08"] == 0.5
    assert summarise_errors(np.array([0.08, 0.10]))["FR@0.10"] == 0


def test_the_cumulative_curve_equals_a_count():
    errors = np.random.default_rng(0).uniform(0, 0.2, 50)
    grid, share = cumulative_errors(errors, 0.08)
    assert len(grid) == 801
    np.testing.assert_allclose(share, [(errors <= t).mean() for t in grid])


def test_subsets_have_rows_of_their_own_and_empty_ones_none():
    truth = np.tile([(0.0, 0.0), (5.0, 5.0), (10.0, 0.0)], (4, 1, 1))
    shift = np.array([0.0, 0.5, 1.0, 2.0])[:, None, None] * (1, 0)
    subsets = {"blur": [False, True, True, False], "pose": [False] * 4}
    numbers = score(make_faces(truth, SCHEME, subsets=subsets), truth + shift)
    assert numbers["NME"] == pytest.approx(0.0875)
    assert numbers["NME blur"] == pytest.approx(0.075)
    assert numbers["FR@0.08 blur"] == 0.5
    assert not any("pose" in name for name in numbers)


def test_the_picture_shows_one_curve_a_subset():
    truth = np.tile([(0.0, 0.0), (5.0, 5.0), (10.0, 0.0)], (2, 1, 1))
    samples = make_faces(truth, SCHEME, subsets={"blur": [True, False]})
    measures = measure(samples, truth + np.array([[[0.3, 0.0]], [[0.6, 0.0]]]))
    by_subset = score_subsets(NME(), samples, measures)[1]
    assert [len(some) for some in by_subset.values()] == [2, 1]
    picture = NME().draw(by_subset, SCHEME)["cumulative_error"]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100  # curves, not an empty sheet


def test_less_is_better():
    metric = METRICS.build({"type": "NME"})
    assert metric.headline == "NME"
    assert metric.best([0.03, 0.02, 0.05]) == 0.02


def test_landmarks_can_be_written(tmp_path):
    out, writer = str(tmp_path / "faces.json"), NME().writer
    writer.write(out, writer.pack(out, "0.jpg", face([(3, 4), (8, 9), (9, 12)]), SCHEME))
    assert json.loads((tmp_path / "faces.json").read_text()) == [
        {"index": 0, "image_id": "0.jpg", "keypoints": [[3, 4], [8, 9], [9, 12]]}
    ]


def test_mistakes_are_told():
    truth = [[(0, 0), (5, 5), (6, 8)]]
    with pytest.raises(DataError, match=r"the scheme does not say .* add nme_reference"):
        score(make_faces(truth, KeypointScheme(("a", "b", "c"))), truth)
    samples = make_faces(truth, SCHEME, visible=[[1, 1, 0]])
    with pytest.raises(DataError, match=r"1 faces have no size .*distance of a and c.*check_data.py has their ids"):
        score(samples, truth)
    assert samples.findings[-1].ids == ("0.jpg",)


def test_a_face_that_is_not_finite_is_a_failure_and_never_a_better_mean(caplog):
    truth = np.array([[[10.0, 20], [30, 20], [40, 20]]] * 4)
    samples = make_faces(truth, SCHEME)
    predictions = truth.copy()
    predictions[1, 0], predictions[2, 2, 0] = np.nan, np.inf
    numbers = score(samples, predictions)
    assert numbers["NME"] == np.inf and numbers["FR@0.08"] == 0.5
    assert numbers["AUC@0.08"] == pytest.approx(0.5)
    assert "2 of 4 predictions are not finite" in caplog.text


def test_a_point_that_does_not_count_may_be_anything():
    truth, visible = np.array([[[10.0, 20], [30, 20], [40, 20]]]), [[True, False, True]]
    samples = make_faces(truth, SCHEME, visible=visible)
    assert score(samples, [[(10, 20), (np.nan, np.nan), (40, 20)]])["NME"] == 0

"""Normalised mean error, failure rates and areas, by hand and against the numbers of the official formula."""

import json

import numpy as np
import pytest
from hrtoolkit.tasks.face.layouts import AFLW_19, COFW_29, IBUG_68, WFLW_98
from hrtoolkit.tasks.face.metric import NME, cumulative_errors, normalised_errors, summarise_errors

from hrtoolkit.errors import DataError
from hrtoolkit.registry import METRICS
from hrtoolkit.structures import KeypointLayout

LAYOUT = KeypointLayout(names=("a", "b", "c"), nme_reference=("a", "c"))


def make_metric(truth, layout, box_sizes=None, visible=None, subsets=None, **options):
    metric = NME(**options)
    truth = np.asarray(truth, float)
    metric.dataset_meta = {
        "layout": layout,
        "keypoints": truth,
        "visible": np.ones(truth.shape[:2]) if visible is None else np.asarray(visible),
        "box_sizes": np.ones(len(truth)) if box_sizes is None else box_sizes,
        "subsets": subsets or {},
        "ann_file": "faces.txt",
    }
    return metric


def score(metric, predictions):
    faces = [{"index": i, "image_id": f"{i}.jpg", "keypoints": np.asarray(p)} for i, p in enumerate(predictions)]
    metric.process(None, faces)
    return metric.evaluate(len(faces))


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (IBUG_68, 0.1435620411413375),
        (WFLW_98, 0.11851137088719059),
        (COFW_29, 0.4385290047196269),
        (AFLW_19, 0.02499999850988388),
    ],
)
def test_numbers_of_the_official_code(layout, expected):
    k = np.arange(len(layout.names))
    truth = np.stack([10 + 3 * k, 20 + 11 * (k % 7)], axis=-1)[None]
    metric = make_metric(truth, layout, box_sizes=[200.0])
    # The original keeps float32.
    assert score(metric, truth + np.array([3, 4]))["NME"] == pytest.approx(expected, rel=1e-7)


def test_a_3_4_5_shift_over_a_reference_of_ten_pixels_is_a_half():
    metric = make_metric([[(0, 0), (5, 5), (6, 8)]], LAYOUT)
    assert score(metric, [[(3, 4), (8, 9), (9, 12)]])["NME"] == 0.5


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
    numbers = score(make_metric(truth, LAYOUT, subsets=subsets), truth + shift)
    assert numbers["NME"] == pytest.approx(0.0875)
    assert numbers["NME blur"] == pytest.approx(0.075)
    assert numbers["FR@0.08 blur"] == 0.5
    assert not any("pose" in name for name in numbers)


def test_the_picture_shows_one_curve_a_subset():
    truth = np.tile([(0.0, 0.0), (5.0, 5.0), (10.0, 0.0)], (2, 1, 1))
    metric = make_metric(truth, LAYOUT, subsets={"blur": [True, False]})
    assert metric.draw() == {}
    score(metric, truth + np.array([[[0.3, 0.0]], [[0.6, 0.0]]]))
    picture = metric.draw()["cumulative_error"]
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100  # curves, not an empty sheet


def test_less_is_better():
    metric = METRICS.build({"type": "NME"})
    assert metric.headline == "NME"
    assert metric.best([0.03, 0.02, 0.05]) == 0.02


def test_landmarks_can_be_written(tmp_path):
    metric = make_metric([[(0, 0), (5, 5), (6, 8)]], LAYOUT, out_file=str(tmp_path / "faces.json"))
    score(metric, [[(3, 4), (8, 9), (9, 12)]])
    assert json.loads((tmp_path / "faces.json").read_text()) == [
        {"index": 0, "image_id": "0.jpg", "keypoints": [[3, 4], [8, 9], [9, 12]]}
    ]


def test_mistakes_are_told():
    truth = [[(0, 0), (5, 5), (6, 8)]]
    with pytest.raises(DataError, match=r"faces.txt: its layout does not say .* add nme_reference"):
        score(make_metric(truth, KeypointLayout(("a", "b", "c"))), truth)
    with pytest.raises(DataError, match=r"faces.txt: 1 faces have no size .*distance of a and c.*, in 0.jpg;"):
        score(make_metric(truth, LAYOUT, visible=[[1, 1, 0]]), truth)
    with pytest.raises(DataError, match="1 faces of 3 landmarks, but there are predictions of 1 faces with 2"):
        score(make_metric(truth, LAYOUT), [truth[0][:2]])

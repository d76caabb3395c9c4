"""Errors over the pixels of a data set, against slow versions that look at one pixel after another."""

import logging
import math

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.records import ValueMap
from hrtoolkit.schemes import ValueScheme, resolve_scheme
from hrtoolkit.tasks.dense.metric import DepthMetric, NormalMetric, ValueMetric, angles

DEPTH, NORMALS = (resolve_scheme(name, ValueScheme) for name in ("depth", "normals"))


def draw_pairs(scheme, seed=0):
    """Predictions and truths of three images of several sizes, with pixels that nothing is known of."""
    rng = np.random.default_rng(seed)
    pairs = []
    for height, width in ((5, 7), (11, 4), (6, 6)):
        true = rng.uniform(0.5, 9, (len(scheme.names), height, width))
        predicted = true * rng.lognormal(0, 0.3, true.shape)
        if scheme.values == "unit_vector":
            true = rng.normal(np.reshape([0, 0, 2], (3, 1, 1)), 1, true.shape)
            predicted = true + rng.normal(size=true.shape) * rng.uniform(0, 1, true.shape[1:])
            true, predicted = true / np.linalg.norm(true, axis=0), predicted / np.linalg.norm(predicted, axis=0)
        true[:, rng.random((height, width)) < 0.2] = np.nan
        pairs.append((ValueMap(predicted.astype(np.float32)), ValueMap(true.astype(np.float32))))
    return pairs


def pixels(pairs):
    """Predicted and true numbers of each known pixel."""
    for predicted, true in pairs:
        for place in np.ndindex(true.values.shape[1:]):
            if not np.isnan(true.values[(slice(None), *place)]).any():
                yield (one.values[(slice(None), *place)].astype(float) for one in (predicted, true))


def score(metric, pairs, scheme):
    return metric.score([metric.measure(*pair, scheme) for pair in pairs], scheme)


def test_depth_is_scored_as_by_hand():
    pairs = draw_pairs(DEPTH)
    relative, squares, near = [], [], []
    for (p,), (t,) in pixels(pairs):
        relative.append(abs(p - t) / t)
        squares.append((p - t) ** 2)
        near.append(max(p / t, t / p) < 1.25)
    wanted = {"AbsRel": np.mean(relative), "RMSE": math.sqrt(np.mean(squares)), "delta@1.25": np.mean(near)}
    assert score(DepthMetric(), pairs, DEPTH) == pytest.approx(wanted)
    assert 0.2 < wanted["delta@1.25"] < 0.8


def test_normals_are_scored_as_by_hand():
    pairs = draw_pairs(NORMALS)
    degrees = [math.degrees(math.acos(min(np.dot(p, t), 1))) for p, t in pixels(pairs)]
    numbers = score(NormalMetric(), pairs, NORMALS)
    assert numbers["mean_angle"] == pytest.approx(np.mean(degrees), rel=1e-4)
    assert numbers["within@11.25"] == pytest.approx(np.mean(np.array(degrees) < 11.25))
    # Half of the pixels are below the median, up to those of its bin of a quarter of a degree.
    below, above = (np.mean(np.array(degrees) < numbers["median_angle"] + side) for side in (-0.25, 0.25))
    assert below <= 0.5 <= above
    assert np.median(degrees) == pytest.approx(numbers["median_angle"], abs=1)


def test_any_numbers_are_scored_as_by_hand():
    scheme = ValueScheme(("a", "b"))
    pairs = draw_pairs(scheme)
    errors = [np.abs(p - t) for p, t in pixels(pairs)]
    wanted = {"MAE": np.mean(errors), "RMSE": math.sqrt(np.mean(np.square(errors)))}
    assert score(ValueMetric(), pairs, scheme) == pytest.approx(wanted)


@pytest.mark.parametrize(("metric", "scheme"), [(DepthMetric(), DEPTH), (NormalMetric(), NORMALS)])
def test_the_truth_has_no_error(metric, scheme):
    pairs = [(true._replace(values=np.nan_to_num(true.values, nan=5)), true) for _, true in draw_pairs(scheme)]
    numbers = score(metric, pairs, scheme)
    assert numbers[metric.headline] == 0 and metric.best is min
    assert numbers.get("delta@1.25", 1) == numbers.get("within@11.25", 1) == 1
    assert numbers.get("median_angle", 0) <= 0.25


def test_angles_are_exact_at_both_ends():
    a = np.array([[1.0, 1, 1, 1], [0, 0, 0, 0]])
    b = np.array([[1.0, math.cos(1e-7), -1, np.nan], [0, math.sin(1e-7), 0, 0]])
    np.testing.assert_allclose(angles(a, b), [0, math.degrees(1e-7), 180, 180], rtol=1e-6)


def test_predictions_that_are_not_finite_are_told(caplog):
    truth = ValueMap(np.full((1, 2, 2), 3, np.float32))
    values = np.array([[[3, np.nan], [3, 3]]], np.float32)
    with caplog.at_level(logging.WARNING):
        numbers = score(DepthMetric(), [(ValueMap(values), truth)], DEPTH)
    assert numbers == {"AbsRel": math.inf, "RMSE": math.inf, "delta@1.25": 0.75}
    assert "predictions are not finite" in caplog.text


def test_without_truth_there_is_nothing_to_score(caplog):
    unknown = ValueMap(np.full((1, 2, 2), np.nan, np.float32))
    metric = DepthMetric()
    assert metric.measure(unknown, None, DEPTH) is None and metric.measure(None, unknown, DEPTH) is None
    assert score(metric, [(ValueMap(np.ones((1, 2, 2), np.float32)), unknown)], DEPTH) == {}
    assert metric.score([None], DEPTH) == {} and "nothing to score" in caplog.text


def test_values_of_another_kind_are_refused():
    pair = draw_pairs(DEPTH)[0]
    with pytest.raises(DataError, match="NormalMetric is for unit vectors, and the scheme has 'positive' values"):
        NormalMetric().measure(*pair, DEPTH)
    with pytest.raises(DataError, match=r"DepthMetric is for one positive value .* take ValueMetric"):
        DepthMetric().measure(*pair, NORMALS)


def test_results_are_arrays_that_a_data_set_reads(tmp_path):
    depth = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    DepthMetric.writer.pack(str(tmp_path), "city/a", ValueMap(depth), DEPTH)
    normals = np.arange(18, dtype=np.float32).reshape(3, 2, 3)
    NormalMetric.writer.pack(str(tmp_path), "b", ValueMap(normals), NORMALS)
    np.testing.assert_array_equal(np.load(tmp_path / "city/a.npy"), depth[0])
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), normals.transpose(1, 2, 0))

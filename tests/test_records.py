"""Records: choosing, joining, and the best prediction of a truth."""

import numpy as np
import pytest

from hrtoolkit.masks import Masks
from hrtoolkit.records import Category, LabelMap, Objects, join

SQUARE = [[1.0, 1, 3, 1, 3, 3, 1, 3]]


def make_truth():
    points = np.array([[[0, 0], [4, 4], [8, 2]], [[1, 1], [9, 9], [9, 9]]], np.float32)
    return Objects(
        np.array([[0.0, 0, 9, 5], [1, 1, 3, 3]]),
        np.array([0, 2]),
        points=points,
        visible=np.array([[2, 0, 1], [1, 0, 0]], np.uint8),
        masks=Masks((5, 10), [SQUARE, SQUARE]),
        areas=np.array([20.0, 4.0]),
        crowd=np.array([False, True]),
        ignored=np.array([False, True]),
    )


def test_a_choice_takes_every_field_along():
    chosen = make_truth().select(np.array([False, True]))
    assert chosen.labels.tolist() == [2] and chosen.areas.tolist() == [4.0] and chosen.scores is None
    assert len(chosen.masks.segmentations) == 1 and chosen.points.shape == (1, 3, 2)


def test_the_best_prediction_leaves_out_what_is_ignored_and_centres_what_is_not_labelled():
    best = make_truth().as_prediction()
    assert best.labels.tolist() == [0] and best.scores.tolist() == [1.0]
    np.testing.assert_array_equal(best.points[0], [[0, 0], [4, 1], [8, 2]])
    np.testing.assert_array_equal(best.point_scores, [[1, 0, 1]])
    assert best.visible is None and best.crowd is None


def test_records_of_one_sample_are_joined_in_order():
    first, second = make_truth().select(slice(0, 1)), make_truth().select(slice(1, 2))
    joined = join([first, second])
    assert joined.labels.tolist() == [0, 2] and len(joined.masks.segmentations) == 2
    np.testing.assert_array_equal(joined.points, make_truth().points)
    category = Category(1)
    assert join([category]) is category
    with pytest.raises(ValueError, match="of which only objects can be joined"):
        join([LabelMap(np.zeros((2, 2), np.uint8))] * 2)


def test_masks_are_drawn_at_any_size_and_mirrored():
    masks = Masks((5, 10), [SQUARE, {"size": [5, 10], "counts": [6, 2, 3, 2, 37]}])
    drawn = masks.draw()
    assert drawn.shape == (2, 5, 10) and drawn[0].sum() == 4
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(masks.draw(mirror=True), drawn[..., ::-1])
    assert masks.draw((10, 20))[0].sum() == 16
    assert masks.run_lengths()[0]["size"] == [5, 10]

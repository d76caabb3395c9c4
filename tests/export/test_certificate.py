"""How records are compared."""

from types import SimpleNamespace

import numpy as np
import pytest

from hrtoolkit.export.certificate import compare_records, compare_scores
from hrtoolkit.masks import Masks, encode_masks
from hrtoolkit.records import Category, LabelMap, Objects, ValueMap


def people(points, scores, boxes):
    return Objects(
        boxes_xyxy=np.array(boxes, float),
        labels=np.zeros(len(boxes), np.int64),
        scores=np.ones(len(boxes)),
        points=np.array(points, np.float32),
        point_scores=np.array(scores, np.float32),
    )


def objects(boxes, labels, scores, masks=None):
    return Objects(np.array(boxes, float), np.array(labels), np.array(scores), masks=masks)


def test_people_are_told_by_their_crops_whatever_their_order():
    boxes = [[0, 0, 10, 10], [5, 5, 20, 20]]
    one = people([[[1, 1], [2, 2]], [[7, 7], [8, 8]]], [[0.9, 0.05], [0.9, 0.9]], boxes)
    two = people([[[7, 7], [8, 8.5]], [[1, 1], [9, 9]]], [[0.9, 0.9], [0.9, 0.05]], boxes[::-1])
    found = compare_records([one], [two])
    assert found["compared"] == 3  # one point is too unsure to lie anywhere
    assert found["largest_shift_px"] == 0.5
    assert found["moved"] == pytest.approx(1 / 3)
    assert found["found_by_one_alone"] == 0


def test_objects_are_told_by_class_and_overlap():
    one = objects([[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 9, 9]], [0, 1, 0], [0.9, 0.8, 0.01])
    two = objects([[50, 50, 60, 61], [0, 0, 10, 10]], [1, 1], [0.8, 0.9])
    found = compare_records([one], [two])
    assert found["compared"] == 2
    assert found["largest_shift_px"] == 1
    assert found["found_by_one_alone"] == pytest.approx(2 / 3)


def test_masks_are_compared():
    masks = np.zeros((2, 10, 10), bool)
    masks[0, :4], masks[1, :5] = True, True
    one, two = (objects([[0, 0, 10, 5]], [0], [0.9], Masks((10, 10), encode_masks(mask[None]))) for mask in masks)
    assert compare_records([one], [two])["changed_masks"] == pytest.approx(0.2)


def test_maps_of_numbers_are_compared():
    one, two = ValueMap(np.ones((1, 2, 5), np.float32)), ValueMap(np.ones((1, 2, 5), np.float32))
    two.values[0, 1, 2] = 3
    found = compare_records([one, one], [one, two])
    assert found == {"largest_change_of_a_number": 2, "mean_change_of_a_number": pytest.approx(0.1)}


def test_label_maps_and_categories():
    labels = np.zeros((2, 10), np.uint8)
    assert compare_records([LabelMap(labels)], [LabelMap(labels.copy())])["changed_pixels"] == 0
    other = labels.copy()
    other[0, 0] = 1
    assert compare_records([LabelMap(labels)], [LabelMap(other)])["changed_pixels"] == 0.05
    one, two = Category(0, np.array([0.6, 0.4])), Category(1, np.array([0.45, 0.55]))
    found = compare_records([one, one], [one, two])
    assert found == {"changed_classes": 0.5, "largest_change_of_a_score": pytest.approx(0.15)}


def test_a_loss_is_no_more_than_it_is():
    assert (0.775 - 0.77) * 100 > 0.5  # in floating point
    scores = iter([0.775, 0.77])
    metric = SimpleNamespace(headline="top1", best=max)
    examples = SimpleNamespace(metric=metric, score=lambda records, scheme: next(scores))
    assert compare_scores(examples, SimpleNamespace(scheme=None), [], [])["loss"] == 0.5

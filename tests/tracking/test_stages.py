"""Gaps that are filled, and sides that are put right, as frames come."""

import json

import numpy as np
import pytest

from hrtoolkit.errors import OptionError
from hrtoolkit.masks import Masks
from hrtoolkit.predict import Prediction, Source
from hrtoolkit.predict.tables import rows
from hrtoolkit.records import Objects
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tracking.tracker import Tracker

IMAGE = np.zeros((8, 8, 3), np.uint8)
# Somebody of 200 pixels who is seen from the front and waves.
BODY = np.array(
    [
        *([0, -90], [4, -95], [-4, -95], [9, -92], [-9, -92], [25, -60], [-25, -60], [40, -25], [-40, -25], [45, 10]),
        *([-45, 10], [15, 10], [-15, 10], [16, 50], [-16, 50], [17, 95], [-17, 95]),
    ],
    np.float64,
)
WRISTS = COCO.names.index("left_wrist"), COCO.names.index("right_wrist")


def walk(count=60, speed=2.0):
    """Poses [T, 17, 2] of one person."""
    steps = np.arange(count)[:, None, None]
    poses = BODY + np.array([200.0, 150.0]) + steps * np.array([speed, 0.0])
    poses[:, WRISTS[0], 1] += 15 * np.sin(np.arange(count) / 4)
    return poses


def predict(poses, missing=(), fps=30, scores=None):
    """Predictions of one person, or of nobody in some frames."""
    for number, points in enumerate(poses):
        there = 0 if number in missing else 1
        box = np.concatenate([points.min(axis=0) - 5, points.max(axis=0) + 5])
        record = Objects(
            np.tile(box, (there, 1)),
            np.zeros(there, np.int64),
            np.full(there, 0.9),
            np.tile(points.astype(np.float32), (there, 1, 1)),
            point_scores=np.full((there, 17), 0.8),
        )
        yield Prediction(Source("film", None, number, number / fps), record, COCO, IMAGE)


def test_short_gaps_are_filled_and_marked_and_long_ones_are_not():
    poses = walk()
    missing = {*range(10, 14), *range(30, 50)}
    results = list(Tracker(fill=0.3)(predict(poses, missing)))
    assert [one.source.frame for one in results] == list(range(60))
    counts = [len(one.record.ids) for one in results]
    assert counts == [0 if 30 <= number < 50 else 1 for number in range(60)]
    filled = [number for number, one in enumerate(results) if one.record.filled.any()]
    assert filled == [10, 11, 12, 13]
    straight = walk()
    straight[:, WRISTS[0], 1] = np.interp(range(60), [9, 14], straight[[9, 14], WRISTS[0], 1])
    for number in filled:
        assert results[number].record.ids == [1]
        np.testing.assert_allclose(results[number].record.points[0], straight[number], atol=1e-3)
        one = results[number].to_dict()["objects"][0]
        assert one["filled"] is True and one["id"] == 1
    assert "filled" not in results[9].to_dict()["objects"][0]
    flags = {row["frame"]: row["filled"] for row in rows(one.to_dict() for one in results)}
    assert flags[9] is False and all(flags[number] is True for number in filled)


@pytest.mark.parametrize("smooth", ["none", "one-euro", "savgol"])
def test_filled_frames_have_no_raw_points_and_are_valid_json(smooth):
    results = list(Tracker(fill=0.3, smooth=smooth)(predict(walk(), {10, 11})))
    texts = [json.dumps(one.to_dict(), allow_nan=False) for one in results]
    assert len(texts) == 60 and "raw_keypoints" not in texts[10] and ("raw_keypoints" in texts[9]) == (smooth != "none")


def test_nobody_is_filled_before_the_first_and_after_the_last_time():
    results = list(Tracker(fill=1.0)(predict(walk(20), {0, 1, 2, 18, 19})))
    assert [len(one.record.ids) for one in results] == [0] * 3 + [1] * 15 + [0] * 2


def exchange(poses, first, last, pairs=(WRISTS,)):
    changed = poses.copy()
    for a, b in pairs:
        changed[first:last, a], changed[first:last, b] = poses[first:last, b], poses[first:last, a]
    return changed


@pytest.mark.parametrize(("first", "last"), [(20, 25), (30, 80), (40, 90), (3, 5)])
def test_exchanged_sides_are_told_and_put_right(first, last, caplog):
    caplog.set_level("INFO")
    poses = walk(100)
    wrong = exchange(poses, first, last)
    as_found = list(Tracker()(predict(wrong)))
    assert f"once, at first left_wrist and right_wrist of #1 in frames {first} to {last - 1}" in caplog.text
    assert "--fix-sides" in caplog.text
    np.testing.assert_allclose([one.record.points[0] for one in as_found], wrong, atol=1e-3)
    caplog.clear()
    right = list(Tracker(fix_sides=True)(predict(wrong)))
    np.testing.assert_allclose([one.record.points[0] for one in right], poses, atol=1e-3)
    assert "are put right" in caplog.text
    np.testing.assert_allclose(right[first].record.raw_points[0], wrong[first], atol=1e-3)
    assert right[first - 1].record.raw_points is None


def test_where_nothing_is_exchanged_nothing_is_said(caplog):
    caplog.set_level("INFO")
    rng = np.random.default_rng(0)
    noisy = walk(120) + rng.normal(0, 1.0, (120, 17, 2))
    results = list(Tracker(fix_sides=True)(predict(noisy)))
    assert len(results) == 120 and not caplog.text
    np.testing.assert_allclose([one.record.points[0] for one in results], noisy, atol=1e-3)


def test_a_side_that_hardly_shows_is_never_exchanged():
    poses = exchange(walk(60), 20, 30)
    faint = [
        one.__class__(
            one.source,
            one.record._replace(point_scores=np.where(np.isin(np.arange(17), WRISTS), 0.1, 0.8)[None]),
            COCO,
            IMAGE,
        )
        for one in predict(poses)
    ]
    results = list(Tracker(fix_sides=True)(faint))
    np.testing.assert_allclose([one.record.points[0] for one in results], poses, atol=1e-3)


def test_images_are_not_kept_for_long():
    import weakref

    alive = []

    def watched():
        for one in predict(walk(200)):
            image = np.zeros((4, 4, 3), np.uint8)
            alive.append(weakref.ref(image))
            yield Prediction(one.source, one.record, COCO, image)

    for number, one in enumerate(Tracker(smooth="savgol", fill=0.2)(watched())):
        del one
        if number == 150:
            assert sum(ref() is not None for ref in alive) < 20
            break


def test_options_out_of_range_and_masks_are_told():
    for fill in (-1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="fill"):
            Tracker(fill=fill)
    record = Objects(np.array([[0.0, 0, 4, 4]]), np.zeros(1, np.int64), np.ones(1), masks=Masks((8, 8), []))
    with pytest.raises(OptionError, match="masks"):
        list(Tracker(fill=0.5)([Prediction(Source("film", None, 0, 0.0), record, COCO, IMAGE)]))


def test_exchanges_are_not_told_where_nobody_asks(caplog):
    caplog.set_level("INFO")
    wrong = exchange(walk(100), 40, 90)
    assert len(list(Tracker()(predict(wrong), tell=False))) == 100 and not caplog.text
    right = list(Tracker(fix_sides=True)(predict(wrong), tell=False))
    np.testing.assert_allclose([one.record.points[0] for one in right], walk(100), atol=1e-3)
    assert not caplog.text

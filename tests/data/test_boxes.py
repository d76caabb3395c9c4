"""Boxes, areas and what lies in the boxes, held against each other."""

import json

import numpy as np
import pytest

from hrtoolkit.data.boxes import check_boxes
from hrtoolkit.findings import Findings


def make_boxes(count=200, seed=0):
    """Boxes anywhere in images of 640 x 480, some cut by an edge; left, top, width, height."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform((0, 0), (640, 480), (count, 2))
    sides = rng.uniform(20, 250, (count, 2))
    low, high = np.clip(centers - sides / 2, 0, (600, 440)), np.clip(centers + sides / 2, (40, 40), (640, 480))
    return np.concatenate([low, high - low], axis=1), np.full((count, 2), (640, 480))


def found(boxes, sizes, **others):
    findings = Findings("somewhere")
    check_boxes(boxes, sizes, np.arange(len(boxes)), findings, **others)
    return {finding.what: finding for finding in findings}


def as_corners(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


WRITTEN = {
    "corners (x1, y1, x2, y2)": as_corners,
    "centres and sizes (x, y, width, height)": lambda b: np.concatenate([b[:, :2] + b[:, 2:] / 2, b[:, 2:]], axis=1),
    "rows before columns (top, left, height, width)": lambda b: b[:, [1, 0, 3, 2]],
    "fractions of the image (0 to 1)": lambda b: b / [640, 480, 640, 480],
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("known", ["images", "areas", "contents"])
def test_boxes_that_are_written_in_another_way_name_that_way(written, known):
    boxes, sizes = make_boxes()
    others = {
        "images": {},
        "areas": {"areas": boxes[:, 2] * boxes[:, 3]},
        "contents": {"inner_xyxy": as_corners(boxes) + np.random.default_rng(1).uniform(0, 5, 4) * [1, 1, -1, -1]},
    }[known]
    assert found(boxes, sizes, **others) == {}
    ((what, finding),) = found(WRITTEN[written](boxes), sizes, **others).items()
    assert what == f"boxes that look like {written}" and finding.level == "stop"


def test_two_boxes_are_enough_where_areas_or_contents_speak():
    boxes, sizes = np.array([[17.9, 8.5, 28.3, 33.3], [17.4, 8.6, 26.8, 33.2]]), np.full((2, 2), (64, 48))
    corners, areas = as_corners(boxes), boxes[:, 2] * boxes[:, 3]
    for others in ({"areas": areas.round(1)}, {"inner_xyxy": corners}):
        assert found(boxes, sizes, **others) == {}
        assert [*found(corners, sizes, **others)] == ["boxes that look like corners (x1, y1, x2, y2)"]


def test_sound_boxes_over_the_edge_are_no_alarm():
    boxes, sizes = make_boxes()
    grown = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 4, boxes[:, 2:] * 1.5], axis=1)
    assert found(grown, sizes) == {}
    assert found(np.full((20, 4), (0, 0, 640, 480)), sizes[:20]) == {}


def test_areas_that_do_not_fit_stop_where_most_are_wrong():
    boxes, sizes = make_boxes()
    areas = 0.6 * boxes[:, 2] * boxes[:, 3]
    assert found(boxes, sizes, areas=areas) == {}
    areas[:3] *= 100
    (finding,) = found(boxes, sizes, areas=areas).values()
    assert finding.level == "note" and finding.count == 3
    (finding,) = found(boxes, sizes, areas=areas * 100).values()
    assert finding.level == "stop" and "area" in finding.ids[0]
    (finding,) = found(boxes, sizes, areas=np.ones(200)).values()
    assert finding.level == "stop" and "1 in all" in finding.remedy


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("kind", ["instances", "person_keypoints"])
def test_coco_itself_raises_no_alarm(test_data, kind, split):
    content = json.loads((test_data / f"coco/annotations/{kind}_{split}2017.json").read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    single = [one for one in content["annotations"] if not one["iscrowd"] and min(one["bbox"][2:]) > 0]
    boxes = np.array([one["bbox"] for one in single])
    image_wh = np.array([sizes[one["image_id"]] for one in single])
    assert len(boxes) > 100 and found(boxes, image_wh, areas=np.array([one["area"] for one in single])) == {}
    assert found(boxes, image_wh) == {}

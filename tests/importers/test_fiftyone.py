"""FiftyOne's data sets."""

import base64
import io
import json
import zlib

import numpy as np
import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

NAN = float("nan")


def detection(label, x, y, w, h, **more):
    return {"_cls": "Detection", "label": label, "bounding_box": [x, y, w, h], "tags": [], **more}


def sample(name="data/a.png", **fields):
    known = {"metadata": {"_cls": "ImageMetadata", "width": 64, "height": 48}, "tags": [], "filepath": name}
    return known | {
        field: {"_cls": kind, kind.lower(): ones} for field, (kind, ones) in fields.items() if isinstance(ones, list)
    }


def export(folder, *samples, skeletons=None):
    write(folder / "samples.json", json.dumps({"samples": list(samples)}))
    write(folder / "metadata.json", json.dumps({"name": "x", "skeletons": skeletons or {}}))


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"in/data/{name}.png")
    return tmp_path / "in"


def test_detections_masks_predictions_and_splits(folder, tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([[True, False]]))
    mask = {"$binary": {"base64": base64.b64encode(zlib.compress(buffer.getvalue())).decode(), "subType": "00"}}
    truth = [detection("dog", 0.25, 0.25, 0.5, 0.5), detection("cat", 0, 0, 0.25, 0.25, mask=mask)]
    guess = [detection("dog", 0.2, 0.2, 0.5, 0.5, confidence=0.9)]
    first = sample(ground_truth=("Detections", truth), predictions=("Detections", guess))
    export(
        folder, first | {"tags": ["validation"]}, sample("/home/me/data/b.png") | {"tags": ["train"], "metadata": None}
    )
    read = Read(folder, tmp_path / "out")
    dog, cat = read.objects
    assert box(dog) == [16, 12, 48, 36] and box(cat) == [0, 0, 16, 12] and cat["area"] == 96
    assert dict(read.imported.splits) == {"val": 1, "train": 1}
    assert "which have a confidence: 1 (predictions)" in read.text


SKELETONS = {"points": {"labels": ["nose", "eye", "ear"], "edges": [[0, 1, 2]]}}


@pytest.mark.parametrize("join", [None, False])
def test_keypoints(folder, tmp_path, join):
    points = [{"_cls": "Keypoint", "label": "face", "points": [[0.5, 0.5], [NAN, NAN], [0.25, 0.25]]}]
    boxes = [detection("person", 0.2, 0.2, 0.6, 0.6)]
    export(folder, sample(points=("Keypoints", points), boxes=("Detections", boxes)), skeletons=SKELETONS)
    read = Read(folder, tmp_path / "out", join=join)
    (one,) = [one for one in read.objects if one["points"]]
    assert one["points"] == [(32, 24, 2), (0, 0, 0), (16, 12, 2)]
    assert (one["label"], len(read.objects)) == (("person", 1) if join is None else ("face", 2))
    assert read.categories[one["label"]]["skeleton"] == [[1, 2], [2, 3]]


def test_polylines(folder, tmp_path):
    ring = [[0, 0], [0.5, 0], [0.5, 0.5]]
    lines = [{"_cls": "Polyline", "label": "road", "points": [ring], "filled": filled} for filled in (True, False)]
    export(folder, sample(roads=("Polylines", lines)))
    read = Read(folder, tmp_path / "out")
    assert read.objects[0]["segmentation"] == [[0, 0, 32, 0, 32, 24]] and len(read.objects) == 1
    assert "open polylines: 1 (samples.json, sample 0, roads 1)" in read.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gt": ("Detections", [detection("dog", 0, 0, "1", 1)])}, "sample 0, gt 0: '1' where a number belongs"),
        ({"gt": ("Detections", [detection(None, 0, 0, 1, 1)])}, "it has no label"),
        ({"gt": ("Detections", [{"_cls": "Detection", "label": "dog"}])}, "it lacks 'bounding_box'"),
        ({"points": ("Keypoints", [{"label": "a", "points": [[0, 0]]}])}, "1 points, its skeleton has 3"),
        ({"gt": ("Detections", [])}, "nothing is annotated in 1 pictures"),
    ],
)
def test_faults(folder, tmp_path, fields, message):
    export(folder, sample(**fields), skeletons=SKELETONS)
    with pytest.raises(DataError, match=message):
        Read(folder, tmp_path / "out")

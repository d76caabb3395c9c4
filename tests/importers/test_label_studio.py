"""Label Studio's JSON and JSON-MIN."""

import base64
import json

import cv2
import numpy as np
import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

CONFIG = """<View><Image name="image" value="$photo"/>
<KeyPointLabels name="kp" toName="image"><Label value="tail" model_index="1"/><Label value="nose" model_index="0"/>
</KeyPointLabels><RectangleLabels name="box" toName="image"><Label value="Cat"/></RectangleLabels>
<PolygonLabels name="poly" toName="image"><Label value="Cat"/></PolygonLabels></View>"""
# A mask of 3 x 2 pixels with the last two of each row inside, as label_studio_sdk.converter.brush.mask2rle packs it.
BRUSH = [0, 0, 0, 24, 57, 27, 252, 96, 19, 255, 198, 1, 63, 248]


def region(id: str, kind: str, label: str | None, parent: str | None = None, **value) -> dict:
    labels = {} if label is None else {kind: [label]}
    one = {"id": id, "type": kind, "from_name": "x", "to_name": "image", "value": {**value, **labels}}
    return {**one, "original_width": 200, "original_height": 100, "parentID": parent}


def cat(id: str = "b", x: float = 10, label: str = "Cat", **more) -> dict:
    return region(id, "rectanglelabels", label, x=x, y=20, width=30, height=40, **{"rotation": 0, **more})


def point(name: str, x: float, y: float, parent: str | None = None) -> dict:
    return region(name + str(x), "keypointlabels", name, parent, x=x, y=y, width=0.3)


def task(*result: dict, id: int = 1, photo: str = "/data/upload/3/a.jpg", **more) -> dict:
    annotation = {"id": id, "result": list(result), "was_cancelled": False, "updated_at": "2025-01-01"}
    return {"id": id, "annotations": [annotation], "data": {"text": "x", "photo": photo}, **more}


@pytest.fixture
def export(tmp_path):
    """Write an export of tasks and images of 200 x 100; gives what it becomes."""

    def make(tasks: list | dict, images: list[str] = ("a.jpg",), config: str = CONFIG, **options) -> Read:
        folder = tmp_path / "export"
        write(folder / "project.json", json.dumps(tasks))
        if config:
            write(folder / "label_config.xml", config)
        for path in images:
            write_image(folder / path, 200, 100)
        return Read(folder, tmp_path / "out", **options)

    return make


def test_keypoints_are_joined_to_the_box_of_their_parent(export):
    relation = {"type": "relation", "from_id": "b", "to_id": "c"}
    # Both boxes hold the nose.
    read = export([task(point("Nose", 20, 30, "b"), cat("c", 12), relation, cat("b"), point("tail", 30.5, 50, "b"))])
    other, one = read.objects
    assert read.names == {"Cat": ["nose", "tail"]} and one["points"] == [(40, 30, 2), (61, 50, 2)]
    assert box(one) == [20, 20, 80, 60] and not other["points"]


def test_json_min_joins_by_place(export):
    values = [{**one["value"], "original_width": 200, "original_height": 100} for one in (cat(), cat("c", 60))]
    points = [{**point(name, x, 30)["value"]} for name, x in (("nose", 20), ("nose", 70), ("tail", 72))]
    first = {"id": 1, "photo": "/x/a.jpg", "box": values[:1], "annotation_id": 1, "updated_at": "2024", "lead_time": 2}
    record = {**first, "box": values, "kp": points, "annotation_id": 2, "updated_at": "2025", "quality": "good"}
    read = export([record, first, {**first, "id": 2, "photo": "/x/b.jpg"}], ["a.jpg", "b.jpg"])
    left, right = read.of("a.jpg")
    assert left["points"] == [(40, 30, 2), (0, 0, 0)] and right["points"] == [(140, 30, 2), (144, 30, 2)]
    assert len(read.of("b.jpg")) == 1 and "tasks of several annotators: 1" in read.text


def test_shapes(export):
    shapes = [
        cat(rotation=90),
        region("p", "polygonlabels", "Cat", points=[[0, 0], [10, 0], [10, 50]]),
        region("e", "ellipselabels", "Cat", x=50, y=50, radiusX=10, radiusY=10, rotation=0),
        region("r", "rectangle", None, x=0, y=0, width=10, height=10),
        {**region("r", "labels", "Cat", x=0, y=0, width=10, height=10)},
        {**region("r", "choices", None, x=0, y=0, width=10, height=10, choices=["hidden"]), "from_name": "state"},
        {"id": "t", "type": "choices", "from_name": "c", "value": {"choices": ["good"]}},
        region("n", "rectangle", None, x=0, y=0, width=10, height=10),
    ]
    turned, polygon, ellipse, plain = (read := export([task(*shapes)])).objects
    assert box(turned) == pytest.approx([-20, 20, 20, 80]) and turned["area"] == pytest.approx(2400)
    assert polygon["segmentation"] == [[0, 0, 20, 0, 20, 50]]
    assert box(ellipse) == pytest.approx([80, 40, 120, 60])
    assert box(plain) == [0, 0, 20, 10] and plain["attributes"] == {"state": ["hidden"]}
    assert "type choices, which are no shapes: 1" in read.text and "regions without a label: 1" in read.text


def test_brush(export):
    brush = region("m", "brushlabels", "Cat", format="rle", rle=BRUSH)
    brush |= {"original_width": 3, "original_height": 2}
    (one,) = export([task(brush)], []).objects
    assert box(one) == [1, 0, 3, 2] and one["area"] == 4


def test_only_what_was_finished_counts(export):
    cancelled = task(cat(), id=1)
    cancelled["annotations"][0]["was_cancelled"] = True
    several = task(cat(), id=2, photo="b.jpg", predictions=[{"result": [cat()]}])
    several["annotations"].append({"id": 9, "result": [cat("x", 50)], "updated_at": "2026-01-01"})
    truth = task(cat(), id=3, photo="c.jpg")
    truth["annotations"][0]["ground_truth"] = True
    truth["annotations"].append({"id": 10, "result": [], "updated_at": "2026-01-01"})
    empty = task(id=4, photo="d.jpg")
    read = export([cancelled, several, truth, empty], ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    assert len(read.images) == 3 and [box(one)[0] for one in read.objects] == [100, 20]
    for told in ("cancelled annotations: 1", "several annotators: 2", "predictions: 1", "nobody annotated: 1"):
        assert told in read.text


def test_without_a_configuration(export):
    read = export([task(cat(), point("tail", 20, 30, "b"), point("nose", 20, 30, "b"))], config="")
    assert read.names == {"Cat": ["tail", "nose"]} and "without its labelling configuration" in read.text


@pytest.mark.parametrize(
    "photo",
    [
        "/data/upload/3/0a1b2c3d-a.jpg",
        "https://host/x/a.jpg?token=1",
        "/data/local-files/?d=set/a.jpg",
        "s3://bucket/a.jpg",
    ],
)
def test_where_images_come_from(export, photo):
    assert len(export([task(cat(), photo=photo)]).of("a.jpg")) == 1


def test_image_inside_the_task(export):
    png = base64.b64encode(cv2.imencode(".png", np.zeros((100, 200, 3), np.uint8))[1].tobytes()).decode()
    assert export([task(cat(), photo=f"data:image/png;base64,{png}")], []).images == ["images/task_1.png"]


def test_annotation_of_a_storage(export):
    annotation = {"id": 1, "result": [cat()], "was_cancelled": False, "task": {"id": 3, "data": {"photo": "a.jpg"}}}
    assert len(export(annotation).objects) == 1


@pytest.mark.parametrize(
    "result, message",
    [
        ([cat(label="Dog")], "configuration does not have.*task 1, region b: Dog"),
        (
            [region("p", "polygonlabels", "nose", points=[[0, 0], [1, 0], [1, 1]])],
            "where points belong.*region p: nose",
        ),
        ([cat(), cat("c", 320)], "task 1, region c: x is 320 where percent"),
        ([cat(), point("nose", 20, 30), point("tail", 90, 90)], "points without an instance.*tail"),
        ([cat(), point("nose", 20, 30, "b"), point("nose", 21, 30, "b")], "that an object has twice.*nose"),
        ([cat() | {"original_width": 300}], "another size.*300x100"),
        ([cat() | {"original_width": 300}, cat("c")], "state several sizes"),
        ([region("p", "polygonlabels", "Cat", points=[[0, 0], [1, 0]])], "fewer than three"),
        ([region("m", "brushlabels", "Cat", rle=BRUSH)], "brush of 6 pixels on an image of 200x100"),
        ([], "nothing is annotated in 1 pictures"),
    ],
)
def test_one_clear_error(export, result, message):
    with pytest.raises(DataError, match=message):
        export([task(*result)])

"""labelme's files, and X-AnyLabeling's."""

import base64
import json

import cv2
import numpy as np
import pytest

from hrtoolkit.commands import run_verb
from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image


def shape(label: str, kind: str | None, *points: list[float], group: int | None = None, **more) -> dict:
    kind = {} if kind is None else {"shape_type": kind}
    return {"label": label, "points": [list(point) for point in points], "group_id": group, "flags": {}, **kind, **more}


def point(label: str, x: float, y: float, group: int | None = None, **more) -> dict:
    return shape(label, "point", [x, y], group=group, **more)


def content(*shapes: dict, image: str = "a.jpg", data: str | None = None) -> str:
    size = {"imageHeight": 50, "imageWidth": 100}
    return json.dumps(
        {"version": "5.7.0", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": data, **size}
    )


def png(image: np.ndarray) -> str:
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


@pytest.fixture
def export(tmp_path):
    """Write files and images of 100 x 50; gives what they become."""

    def make(files: dict[str, str] | list[dict], images: list[str] = ("a.jpg",), **options) -> Read:
        folder = tmp_path / "export"
        if isinstance(files, list):
            files = {"a.json": content(*files)}
        for path, text in files.items():
            write(folder / path, text)
        for path in images:
            write_image(folder / path, 100, 50)
        return Read(folder, tmp_path / "out", **options)

    return make


CAT = shape("cat", "rectangle", [40, 45], [0, 5])  # corners in any order


def test_points_belong_to_the_box_of_their_group(export):
    shapes = [point("tail", 60, 30, 1), point("nose", 10, 10, 0), CAT | {"group_id": 1}]
    other = shape("cat", "rectangle", [0, 0], [90, 0], [90, 50], [0, 50], group=0)  # X-AnyLabeling's
    read = export([*shapes, other])
    first, second = read.objects
    assert read.names == {"cat": ["nose", "tail"]} or read.names == {"cat": ["tail", "nose"]}
    assert box(first) == [0, 5, 40, 45] and (60, 30, 2) in first["points"]
    assert box(second) == [0, 0, 90, 50] and (10, 10, 2) in second["points"]


def test_points_belong_to_the_box_they_lie_in(export):
    ball = shape("ball", "rectangle", [8, 8], [14, 14])
    right = shape("cat", "rectangle", [50, 5], [90, 45])
    points = [point("nose", 10, 10), point("tail", 30, 30), point("nose", 60, 10), point("tail", 80, 40)]
    read = export([ball, CAT, right, *points])
    assert not read.objects[0]["points"]
    assert [one["points"] for one in read.objects[1:]] == [[(10, 10, 2), (30, 30, 2)], [(60, 10, 2), (80, 40, 2)]]


def test_groups_without_boxes_and_pictures_of_one_object(export):
    grouped = content(point("nose", 1, 2, 0), point("tail", 30, 40, 0), point("nose", 50, 6, 1))
    alone = content(point("nose", 1, 2), point("tail", 3, 4), image="b.jpg")
    single = content(point("tail", 3, 4), image="c.jpg")
    read = export({"a.json": grouped, "b.json": alone, "c.json": single}, ["a.jpg", "b.jpg", "c.jpg"])
    assert read.names == {"object": ["nose", "tail"]} and len(read.of("a.jpg")) == 2
    assert read.of("b.jpg")[0]["points"] == [(1, 2, 2), (3, 4, 2)] and read.of("c.jpg")[0]["points"][1] == (3, 4, 2)
    assert "one object a picture: 2 (b.json" in read.text


def test_whole_groups_get_the_box_they_lie_in(export):
    (one,) = export([CAT, point("nose", 10, 10, 3), point("tail", 30, 30, 3)]).objects
    assert one["label"] == "cat" and box(one) == [0, 5, 40, 45] and len(one["points"]) == 2
    assert len(export([CAT, point("nose", 10, 10, 3), point("tail", 30, 30, 3)], join=False).objects) == 2


def test_shapes(export):
    mask = np.zeros((3, 4), np.uint8)
    mask[1:, 1:] = 1
    shapes = [
        shape("cat", None, [1, 2], [5, 2], [5, 8]),  # of an old version
        shape("dog", "polygon", [0, 0], [4, 0], [4, 4], group=0),
        shape("dog", "polygon", [10, 10], [14, 10], [14, 14], group=0),
        shape("cat", "circle", [50, 25], [50, 15]),
        shape("cat", "mask", [20, 10], [23, 12], mask=png(mask)),
        shape("cat", "rotation", [10, 0], [20, 10], [10, 20], [0, 10], direction=0.78),
        shape("road", "linestrip", [10, 0], [20, 10], [10, 20]),
        point("mark", 90, 2),
    ]
    old, dog, circle, drawn, turned = (read := export(shapes)).objects
    assert old["segmentation"] == [[1, 2, 5, 2, 5, 8]]
    assert len(dog["segmentation"]) == 2 and box(dog) == [0, 0, 14, 14]
    assert box(circle) == pytest.approx([40, 15, 60, 35]) and circle["area"] == pytest.approx(314.2, rel=0.01)
    assert box(drawn) == [21, 11, 24, 13] and drawn["area"] == 6
    assert box(turned) == [0, 0, 20, 20] and turned["area"] == 200
    assert "lines that are no objects: 1" in read.text
    assert "no keypoints of an object: 1 (a.json, shape 8 (mark): mark)" in read.text


def test_polygons_called_keypoints(export):
    polygon = shape("Keypoints", "polygon", [1, 2], [5, 2], [5, 8])
    assert export([polygon]).objects[0]["points"] == [(1, 2, 2), (5, 2, 2), (5, 8, 2)]
    read = export([polygon], format="labelme-polygons")
    assert read.objects[0]["segmentation"] and not read.objects[0]["points"]


def test_x_anylabeling(export):
    shapes = [CAT | {"group_id": 1}, point("nose", 9, 9, 1, visible=False), point("ear", 8, 8, 1, difficult=True)]
    yaml = "has_visible: true\nclasses:\n  cat:\n    - ear\n    - tail\n    - nose\n"
    read = export({"a.json": content(*shapes), "pose.yaml": yaml})
    assert read.names == {"cat": ["ear", "tail", "nose"]}
    assert read.objects[0]["points"] == [(8, 8, 1), (0, 0, 0), (9, 9, 2)]


def test_images(export):
    picture = png(np.zeros((50, 100, 3), np.uint8))
    files = {
        "train/a.json": content(CAT, image="..\\photos\\A.JPG"),
        "val/b.json": content(CAT, image="b.jpg", data=picture),  # inside the file, and not beside it
        "val/c.json": content(image="old name.jpg"),
    }
    read = export(files, ["photos/a.jpg", "val/c.jpg", "val/d.jpg"])
    assert dict(read.imported.splits) == {"train": 1, "val": 2}
    assert sorted(path.rpartition("/")[2] for path in read.images) == ["a.jpg", "b.png", "c.jpg"]
    assert "without a file of annotations: 1 (d.jpg)" in read.text


def test_objects_without_outlines_do_not_stop_the_others(export, tmp_path, capsys):
    export([CAT, shape("cat", "polygon", [1, 2], [5, 2], [5, 8])])
    with pytest.raises(SystemExit) as left:
        run_verb("import", [str(tmp_path / "export"), "--out", str(tmp_path / "out")])
    assert left.value.code == 0 and "faster_rcnn" in capsys.readouterr().out


@pytest.mark.parametrize(
    "shapes, message",
    [
        ([CAT, point("nose", 10, 10), point("tail", 90, 45), point("nose", 95, 45)], "without an instance.*shape 4"),
        ([CAT | {"group_id": 1}, point("nose", 10, 10, 1), point("nose", 11, 10, 1)], "object has twice.*shape 3"),
        (
            [CAT, point("nose", 10, 10), shape("nose", "polygon", [0, 0], [1, 0], [1, 1])],
            "polygons where points belong",
        ),
        ([shape("cat", "polygon", [0, 0], [1, 0])], "shape 1 \\(cat\\): a polygon of fewer"),
        ([shape("cat", "rectangle", [0, 0])], "a rectangle of 1 points"),
        ([shape("cat", "rectangle", [0, "x"], [1, 1])], "shape 1 \\(cat\\): 'x' where a number belongs"),
        ([shape("cat", "mask", [0, 0], [9, 9], mask=png(np.ones((3, 3), np.uint8)))], "no picture of 10x10"),
        ([shape("cat", "mask", [0, 0], [9, 9], mask="")], "no picture of 10x10"),
        ([], "nothing is annotated in 1 pictures"),
    ],
)
def test_one_clear_error(export, shapes, message):
    with pytest.raises(DataError, match=message):
        export(shapes)


def test_files_that_are_damaged_or_of_other_images(export):
    files = {"a.json": content(CAT), "b.json": content(CAT)[:-9], "c.json": content(CAT).replace("100", "90")}
    with pytest.raises(DataError, match=r"another size[\s\S]*annotated twice|cannot be read[\s\S]*another size"):
        export(files)


def test_an_unknown_keypoint(export):
    yaml = "classes:\n  cat: [ear, tail]\n"
    with pytest.raises(DataError, match="cat: nose"):
        export({"a.json": content(CAT, point("nose", 9, 9)), "pose.yaml": yaml})

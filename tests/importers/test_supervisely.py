"""Supervisely's projects."""

import base64
import json
import zlib

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_masks

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image

NODES = {"n1": {"label": "head", "loc": [5, 6]}, "n2": {"label": "tail", "loc": [7, 8]}, "n3": {"label": "tail"}}
META = {
    "classes": [
        {"title": "car", "shape": "any"},
        {
            "title": "fly",
            "shape": "graph",
            "geometry_config": {"nodes": NODES, "edges": [{"src": "n1", "dst": "n2"}]},
        },
    ],
    "tags": [],
}


def shape(kind, exterior, interior=(), **more):
    points = {"exterior": exterior, "interior": list(interior)}
    return {"id": 7, "classTitle": "car", "geometryType": kind, "points": points, "tags": [], **more}


def bitmap(mask, x, y):
    packed = zlib.compress(cv2.imencode(".png", mask)[1].tobytes())
    data = {"data": base64.b64encode(packed).decode(), "origin": [x, y]}
    return {"classTitle": "car", "geometryType": "bitmap", "bitmap": data}


def cut_short(item):
    """The same with nothing but the beginning of its png."""
    data = zlib.decompress(base64.b64decode(item["bitmap"]["data"]))[:45]
    return item | {"bitmap": item["bitmap"] | {"data": base64.b64encode(zlib.compress(data)).decode()}}


def graph(**nodes):
    return {"classTitle": "fly", "geometryType": "graph", "nodes": nodes}


@pytest.fixture
def project(tmp_path):
    write(tmp_path / "in/p/meta.json", json.dumps(META))
    return tmp_path / "in"


def annotate(project, *objects, dataset="ds0", name="a b.png", **more):
    write_image(project / f"p/{dataset}/img/{name}")
    data = {"description": "", "tags": [], "size": {"height": 48, "width": 64}, "objects": list(objects), **more}
    write(project / f"p/{dataset}/ann/{name}.json", json.dumps(data))


def test_graphs(project, tmp_path):
    annotate(project, graph(n3={"loc": [9, 9]}, n1={"loc": [1.5, 2]}, n2={"loc": [3, 4], "disabled": True}))
    annotate(project, name="empty.png")
    read = Read(project, tmp_path / "out")
    assert read.names["fly"] == ["head", "tail", "tail 3"] and read.categories["fly"]["skeleton"] == [[1, 2]]
    assert read.objects[0]["points"] == [(1.5, 2, 2), (0, 0, 0), (9, 9, 2)] and len(read.images) == 2


def test_shapes(project, tmp_path):
    ring, hole = [[0, 0], [20, 0], [20, 20], [0, 20]], [[5, 5], [15, 5], [15, 15], [5, 15]]
    mask = np.zeros((6, 8), np.uint8)
    mask[1:3, 2:5] = 255
    annotate(
        project,
        shape("rectangle", [[30, 20], [10, 5]], tags=[{"name": "old"}]),
        shape("polygon", ring),
        shape("polygon", ring, [hole]),
        shape("point", [[3, 4]]),
        bitmap(mask, 10, 20),
        bitmap(np.dstack([mask * 0, mask * 0, mask * 0, mask]), 10, 20),
        shape("line", [[0, 0], [5, 5]]),
    )
    read = Read(project, tmp_path / "out")
    rectangle, polygon, holed, point, drawn, alpha = read.objects
    assert box(rectangle) == [10, 5, 30, 20] and rectangle["attributes"] == {"tags": ["old"]}
    assert polygon["segmentation"] == [[0, 0, 20, 0, 20, 20, 0, 20]] and holed["area"] == 300
    assert point["points"] == [(3, 4, 2)] and "no object: line: 1 (a b.png.json, object 7)" in read.text
    assert box(drawn) == [12, 21, 15, 23] and drawn["area"] == 6
    assert (coco_masks.decode(drawn["segmentation"]) == coco_masks.decode(alpha["segmentation"])).all()


def test_data_sets_of_a_project_with_equal_names(project, tmp_path):
    for dataset in ("train", "val"):
        annotate(project, shape("rectangle", [[1, 2], [9, 9]]), dataset=dataset)
    read = Read(project, tmp_path / "out")
    assert dict(read.imported.splits) == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("objects", "more", "message"),
    [
        ([graph(n9={"loc": [1, 2]})], {}, "object 0: meta.json has no node n9 of class 'fly'"),
        ([shape("polygon", [[1, 2], [3, 4]])], {}, "object 7: a polygon of fewer than three points"),
        ([shape("rectangle", [[1, "2"], [3, 4]])], {}, "'2' where a number belongs"),
        ([bitmap(np.ones((40, 40), np.uint8), 30, 30)], {}, "does not fit into the image"),
        ([cut_short(bitmap(np.ones((4, 4), np.uint8), 0, 0))], {}, "a bitmap that is no png"),
        (
            [shape("rectangle", [[1, 2], [3, 4]])],
            {"size": {"width": 640, "height": 480}},
            "another size than annotated",
        ),
        ([shape("rectangle", [[1, 2], [3, 4]])], {"size": {}}, "it lacks 'width'"),
        ([], {"framesCount": 3}, "annotations of videos"),
        ([], {}, "nothing is annotated"),
    ],
)
def test_faults(project, tmp_path, objects, more, message):
    annotate(project, *objects, **more)
    with pytest.raises(DataError, match=message):
        Read(project, tmp_path / "out")

"""V7 Darwin's json."""

import json

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image


def one(id, name="dog", **shape):
    return {"id": id, "name": name, "slot_names": ["0"], "properties": [], **shape}


def path(*corners):
    return [{"x": x, "y": y} for x, y in corners]


def annotate(folder, file, *annotations, name="a.png", where="/", slot=None):
    item = {"name": name, "path": where, "slots": [slot or {"type": "image", "width": 64, "height": 48}]}
    write(folder / file, json.dumps({"version": "2.0", "item": item, "annotations": list(annotations)}))


@pytest.fixture
def folder(tmp_path):
    write_image(tmp_path / "in/images/a.png")
    return tmp_path / "in"


BOX = {"bounding_box": {"x": 1, "y": 2, "w": 3.5, "h": 4}}
SQUARE = path((0, 0), (20, 0), (20, 20), (0, 20))
HOLE = path((5, 5), (15, 5), (15, 15), (5, 15))
FAR = path((40, 30), (50, 30), (50, 40))


def test_shapes(folder, tmp_path):
    ellipse = {"center": {"x": 30, "y": 20}, "radius": {"x": 10, "y": 5}, "angle": 0}
    rle = [0, 64, 1, 2, 0, 64 * 47 - 2]
    layer = {"dense_rle": rle, "mask_annotation_ids_mapping": {"m": 1, "gone": 2}, "total_pixels": 64 * 48}
    annotate(
        folder,
        "a.json",
        one("b", **BOX),
        one("p", polygon={"paths": [SQUARE]}, bounding_box={"x": 0, "y": 0, "w": 20, "h": 20}),
        one("h", polygon={"paths": [SQUARE, HOLE]}),
        one("t", polygon={"paths": [SQUARE, FAR]}),
        one("e", ellipse=ellipse),
        one("k", keypoint={"x": 5, "y": 6}),
        one("m", mask={}),
        one("n", mask={}),
        one("r", "__raster_layer__", raster_layer=layer),
        one("l", line={"path": SQUARE}),
        one("g", tag={}),
    )
    read = Read(folder, tmp_path / "out")
    plain, polygon, holed, two, round_one, point, mask = read.objects
    assert box(plain) == [1, 2, 4.5, 6] and box(polygon) == [0, 0, 20, 20] and holed["area"] == 300
    assert polygon["segmentation"] == [[0, 0, 20, 0, 20, 20, 0, 20]] and len(two["segmentation"]) == 2
    assert box(round_one) == pytest.approx([20, 15, 40, 25], abs=0.02) and point["points"] == [(5, 6, 2)]
    assert box(mask) == [0, 1, 2, 2]
    assert "no object: 2 (a.json, dog 9: line, a.json, dog 10: tag)" in read.text and "without pixels: 1" in read.text


def test_skeletons_and_two_files_of_an_image(folder, tmp_path):
    nodes = [{"name": "tail", "x": 1, "y": 2, "occluded": True}, {"name": "head", "x": 3, "y": 4}]
    classes = [{"name": "fly", "skeleton": {"nodes": [{"name": "head"}, {"name": "tail"}], "edges": []}}]
    classes[0]["skeleton"]["edges"] = [{"from": "head", "to": "tail"}]
    write(folder / ".v7/metadata.json", json.dumps({"classes": classes}))
    annotate(folder, "one/a.json", one("s", "fly", skeleton={"nodes": nodes}), one("b", **BOX))
    annotate(folder, "two/a.json", one("b", **BOX), one("c", "cat", **BOX))
    read = Read(folder, tmp_path / "out")
    assert [one["label"] for one in read.objects] == ["fly", "dog", "cat"] and len(read.images) == 1
    assert read.objects[0]["points"] == [(3, 4, 2), (1, 2, 1)] and read.categories["fly"]["skeleton"] == [[1, 2]]


def test_folders_and_version_1(folder, tmp_path):
    write_image(folder / "images/sub dir/a.png")
    annotate(folder, "a.json", one("b", **BOX))
    annotate(folder, "b.json", where="/sub dir")
    read = Read(folder, tmp_path / "out")
    assert len(read.images) == 2 and len(read.objects) == 1
    old = {"image": {"filename": "a.png", "width": 64, "height": 48, "path": "/sub dir", "workview_url": ""}}
    write(tmp_path / "old/a.json", json.dumps(old | {"annotations": [{"name": "cat", "polygon": {"path": SQUARE}}]}))
    write_image(tmp_path / "old/a.png")
    assert box(Read(tmp_path / "old", tmp_path / "other").objects[0]) == [0, 0, 20, 20]


@pytest.mark.parametrize(
    ("annotation", "slot", "message"),
    [
        (one("b", bounding_box={"x": 1, "y": 2, "w": 3}), None, "a.json, dog 0: it lacks 'h'"),
        (one("p", polygon={"paths": [SQUARE[:2]]}), None, "fewer than three points"),
        (one("k", keypoint={"x": "1", "y": 2}), None, "'1' where a number belongs"),
        (one("b", **BOX), {"type": "image", "width": 640, "height": 480}, "another size than annotated"),
        (one("b", **BOX), {"type": "video", "frame_count": 9}, "annotations of a video; export its frames"),
        (
            one("r", raster_layer={"dense_rle": [0, 5], "mask_annotation_ids_mapping": {}}),
            None,
            "do not fill the image",
        ),
        (one("g", tag={}), None, "nothing is annotated"),
        (5, None, "a.json: 'int' object"),
    ],
)
def test_faults(folder, tmp_path, annotation, slot, message):
    annotate(folder, "a.json", annotation, slot=slot)
    with pytest.raises(DataError, match=message):
        Read(folder, tmp_path / "out")

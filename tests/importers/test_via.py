"""VIA's projects, json and csv."""

import json

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, box, write, write_image


def region(shape, kind="dog", **more):
    attributes = {} if kind is None else {"kind": kind}
    return {"shape_attributes": shape, "region_attributes": attributes | more}


def rect(x, y, width, height):
    return {"name": "rect", "x": x, "y": y, "width": width, "height": height}


def point(x, y):
    return {"name": "point", "cx": x, "cy": y}


def export(**images):
    return {
        f"{name}.png123": {"filename": f"{name}.png", "size": 123, "regions": regions, "file_attributes": {}}
        for name, regions in images.items()
    }


@pytest.fixture
def folder(tmp_path):
    for name in "ab":
        write_image(tmp_path / f"in/{name}.png")
    return tmp_path / "in"


def read(folder, data, tmp_path, name="via_export_json.json"):
    write(folder / name, json.dumps(data))
    return Read(folder, tmp_path / "out")


SHAPES = [
    region(rect(1, 2, 3, 4)),
    region({"name": "circle", "cx": 20, "cy": 20, "r": 10}, "cat"),
    region({"name": "ellipse", "cx": 20, "cy": 20, "rx": 10, "ry": 5, "theta": 1.5707963}, "cat"),
    region({"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}, {"no": False, "fish": True}),
    region({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 1]}),
]


def test_shapes(folder, tmp_path):
    got = read(folder, export(a=SHAPES, b=[]), tmp_path)
    assert [one["label"] for one in got.objects] == ["dog", "cat", "cat", "fish"] and len(got.images) == 2
    assert box(got.objects[0]) == [1, 2, 4, 6] and box(got.objects[1]) == pytest.approx([10, 10, 30, 30], abs=0.02)
    assert box(got.objects[2]) == pytest.approx([15, 10, 25, 30], abs=0.02)
    assert got.objects[1]["area"] == pytest.approx(314.16, rel=0.003)
    assert got.objects[3]["segmentation"] == [[1, 1, 9, 1, 9, 9]]
    assert "no object: polyline: 1 (via_export_json.json, a.png123, region 4)" in got.text


def test_projects_and_version_1(folder, tmp_path):
    images = export(a=[region(rect(1, 2, 3, 4))])
    images["a.png123"]["regions"] = {"0": images["a.png123"]["regions"][0]}
    project = {"_via_settings": {"core": {}}, "_via_img_metadata": images, "_via_attributes": {"region": {}}}
    assert len(read(folder, project, tmp_path, "via_project.json").objects) == 1


ROW = '{name}.png,9,"{{}}",1,0,"{shape}","{{""kind"":""{label}""}}"\n'
TOP = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"


def row(name, shape, label):
    return ROW.format(name=name, shape=json.dumps(shape).replace('"', '""'), label=label)


def test_csv_alone_and_beside_json(folder, tmp_path):
    text = TOP + row("a", rect(1, 2, 3, 4), "dog") + row("a", rect(5, 5, 5, 5), "cat") + row("b", {}, "")
    write(folder / "via_export_csv.csv", text.replace("filename", "#filename", 1))
    got = Read(folder, tmp_path / "out")
    assert [one["label"] for one in got.of("a.png")] == ["dog", "cat"] and len(got.images) == 2
    beside = read(folder, export(a=[region(rect(1, 2, 3, 4))]), tmp_path)
    assert len(beside.objects) == 1 and len(beside.images) == 2 and "images that two files have" in beside.text


def test_the_attribute_that_holds_the_class(folder, tmp_path):
    one = region(rect(1, 2, 3, 4), "7", label="cow", note="far")
    got = read(folder, export(a=[one, region(rect(1, 2, 3, 4), "8", label="")]), tmp_path)
    assert [one["label"] for one in got.objects] == ["cow", "object"]
    assert "taken for the class: 1 (label, not kind, note)" in got.text and "regions without 'label'" in got.text


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["nose", "eye"], {"object": ["nose", "eye"]}),  # keypoints by name
        ([None, None], {"object": ["1", "2"]}),  # by order
        (["seed", "seed"], {"seed": ["1"]}),  # things of one class
    ],
)
def test_points(folder, tmp_path, labels, expected):
    got = read(folder, export(a=[region(point(5 * n + 1, 2), label) for n, label in enumerate(labels)]), tmp_path)
    assert got.names == expected and len(got.objects) == (2 if labels == ["seed", "seed"] else 1)
    assert [p[0] for one in got.objects for p in one["points"]] == [1, 6]


def test_points_in_boxes(folder, tmp_path):
    boxes = [region(rect(0, 0, 20, 40)), region(rect(30, 0, 20, 40))]
    parts = [region(point(x, 5), name) for x in (35, 5) for name in ("nose", "tail")]
    got = read(folder, export(a=boxes + parts, b=[region(rect(1, 2, 3, 4), "cat")]), tmp_path)
    assert [(one["label"], [p[0] for p in one["points"]]) for one in got.of("a.png")] == [
        ("dog", [5, 5]),
        ("dog", [35, 35]),
    ]
    assert got.names == {"dog": ["nose", "tail"], "cat": None}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (export(a=[region({"name": "rect", "x": 1, "y": 2, "width": 3})]), "a.png123, region 0: it lacks 'height'"),
        (export(a=[region(rect(1, 2, "3", 4))]), "region 0: '3' where a number belongs"),
        (export(a=[5]), "a.png123: 'int' object has no attribute"),
        (export(a=5), "expected a filename and a list of regions"),
        (export(a=[region(rect(1, 2, 3, 4))]) | {"other": {"filename": "a.png", "regions": []}}, "annotated twice"),
        (
            export(a=[region(rect(0, 0, 9, 9)), region(point(1, 1), "nose"), region(point(50, 1), "tail")])
            | {"b": {"filename": "b.png", "regions": [region(rect(0, 0, 9, 9)), region(point(1, 1), "tail")]}},
            "points without an instance: 1 .*a.png123, region 2: tail",
        ),
        (export(a=[]), "nothing is annotated in 1 pictures"),
        (export(zz=[region(rect(1, 2, 3, 4))]), r"image is not there: 1 \(zz.png\)"),
        (export(a=[region({"name": "polygon", "all_points_x": [1], "all_points_y": [1]})]), "fewer than three points"),
    ],
)
def test_faults(folder, tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        read(folder, data, tmp_path)


def test_damaged_csv(folder, tmp_path):
    write(folder / "a.csv", TOP + "a.png,9,{},1,0,{name,{}\n")
    with pytest.raises(DataError, match=r"a.csv: line 2 is no row of VIA's"):
        Read(folder, tmp_path / "out")

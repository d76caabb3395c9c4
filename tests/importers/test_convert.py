import json

import numpy as np
import pytest

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.importers import formats, import_annotations
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format


@pytest.fixture
def register(monkeypatch):
    """A format of the test's own, whose pictures the test gives."""
    monkeypatch.setattr(formats, "FORMATS", dict(formats.FORMATS))

    def give(*pictures, **declared):
        @register_format("mine", title="my format", suffixes=(".mine",), mark="mine")
        def read(source):
            for label, names in declared.items():
                source.declare(label, names)
            for picture in pictures:
                yield picture._replace(file=source.find_image(picture.name)) if picture.pixels is None else picture

    return give


def box(label="cat", **more):
    return Instance(label, box_xyxy=(1, 1, 9, 9), **more)


def run(export, **options):
    export.write("x.mine", "mine")
    return import_annotations(export.folder, export.out, **options)


def test_a_format_is_one_function(export, register):
    export.picture("a.jpg")
    register(Picture("a.jpg", [box(points={"b": (3, 4, 2), "a": (5, 6, 1)})]))
    imported = run(export)
    assert imported.format == "my format"
    written = export.read()
    assert written["categories"] == [{"id": 1, "name": "cat", "keypoints": ["b", "a"], "skeleton": []}]
    assert written["annotations"][0]["keypoints"] == [3, 4, 2, 5, 6, 1]


def test_numbered_keypoints_are_in_their_order(export, register):
    export.picture("a.jpg")
    register(Picture("a.jpg", [box(points={str(n): (n, n, 2) for n in (10, 9, 2)})]))
    run(export)
    assert export.read()["categories"][0]["keypoints"] == ["2", "9", "10"]


def test_undeclared_keypoints_of_a_declared_class_are_a_fault(export, register):
    export.picture("a.jpg")
    register(Picture("a.jpg", [box(points={"ear": (1, 1, 2)})]), cat=["nose"])
    with pytest.raises(DataError, match=r"keypoints that their class does not have: 1 .cat: ear"):
        run(export)


def test_images_are_found_by_the_end_of_their_paths(export, register):
    for name in ("photos/one/a.jpg", "photos/two/a.jpg", "photos/b.png"):
        export.picture(name)
    names = [r"C:\Users\me\photos\two\a.jpg", "http://host/data/one/a.jpg?x=1", "/data/upload/b.jpg"]
    register(*(Picture(name, [box()]) for name in names))
    run(export)
    found = [image["file_name"] for image in export.read()["images"]]
    assert found == [f"../export/photos/{name}" for name in ("two/a.jpg", "one/a.jpg", "b.png")]


def test_two_images_of_one_name_are_a_fault(export, register):
    export.picture("one/a.jpg")
    export.picture("two/a.jpg")
    register(Picture("a.jpg", [box()]))
    with pytest.raises(DataError, match=r"several have the name: 1 \(a.jpg: .*one/a.jpg and .*two/a.jpg"):
        run(export)


def test_images_that_are_missing_broken_or_of_another_size(export, register):
    export.picture("a.jpg", 64, 48)
    export.write("b.jpg", "no picture")
    register(Picture("a.jpg", [box()], size_wh=(640, 480)), Picture("b.jpg", [box()]), Picture("gone.jpg", [box()]))
    with pytest.raises(DataError) as caught:
        run(export)
    assert "another size than annotated: 1 (a.jpg: 640x480, its file has 64x48)" in str(caught.value)
    assert "images that cannot be read: 1" in str(caught.value)
    assert "image is not there: 1 (gone.jpg)" in str(caught.value) and "--images" in str(caught.value)


def test_images_inside_the_annotations_are_written(export, register):
    gray = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
    register(Picture("row/1", [box()], pixels=gray), Picture("../../etc/2", [box()], pixels=gray))
    run(export)
    names = [image["file_name"] for image in export.read()["images"]]
    assert names == ["images/row_1.png", "images/.._.._etc_2.png"]
    assert all((export.out / name).is_file() for name in names)


def test_boxes_of_single_points_and_at_the_edge(export, register):
    export.picture("a.jpg", 320, 160)
    one = Instance("cat", points={"a": (100.0, 50.0, 2)})
    edge = Instance("cat", points={"a": (2.0, 1.0, 2), "b": (50.0, 80.0, 0)})
    register(Picture("a.jpg", [one, edge, Instance("cat")]))
    imported = run(export)
    first, second = (annotation["bbox"] for annotation in export.read()["annotations"])
    assert first == [90, 40, 20, 20] and second == [0, 0, 12, 11]
    told = str(imported)
    assert "2 of them grown to 1/16" in told and "1 objects without a box, a point or an outline" in told


def test_a_part_is_held_out_where_there_is_one(export, register):
    for number in range(10):
        export.picture(f"{number}.jpg")
    register(*(Picture(f"{number}.jpg", [box()]) for number in range(10)))
    imported = run(export, fraction=0.2)
    assert imported.splits == {"train": 8, "val": 2} and imported.parts["val"] == {"cat": 2}
    assert sorted(path.name for path in export.out.iterdir()) == ["train.json", "val.json"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", "PK", "an archive; unpack it"),
        ("a.txt", "hello", "no annotation file of a known format among a.txt"),
        ("x.mine", "mine", "nothing is annotated in 0 pictures"),
    ],
)
def test_what_is_no_export_is_said(export, register, name, content, said):
    register()
    export.write(name, content)
    with pytest.raises(DataError, match=said):
        import_annotations(export.folder, export.out)


def test_unknown_formats_and_places(export, register, tmp_path):
    register(Picture("a.jpg", [box()]))
    export.picture("a.jpg")
    export.write("x.mine", "mine")
    with pytest.raises(UserError, match="no format is called 'cocoo'; did you mean 'coco'"):
        import_annotations(export.folder, export.out, format="cocoo")
    with pytest.raises(UserError, match="the export itself"):
        import_annotations(export.folder, export.folder)
    with pytest.raises(DataError, match="no such file or folder"):
        import_annotations(tmp_path / "nothing", export.out)
    file = export.folder / "x.mine"
    import_annotations(file, export.out)
    assert json.loads((export.out / "annotations.json").read_text())["images"]


def test_numbered_keypoints_get_the_names_that_the_caller_knows(export, register):
    export.picture("a.jpg")
    register(Picture("a.jpg", [box(points={"3": (3, 3, 2), "1": (1, 1, 2), "2": (2, 2, 1)})]))
    imported = run(export, keypoints=["left_eye", "right_eye", "nose"])
    assert export.read()["categories"][0]["keypoints"] == ["left_eye", "right_eye", "nose"]
    assert export.read()["annotations"][0]["keypoints"] == [1, 1, 2, 2, 2, 1, 3, 3, 2]
    assert imported.schemes["cat"].mirrored == (("left_eye", "right_eye"),)
    with pytest.raises(DataError, match="'cat' has 3 keypoints, and there are 17 names"):
        run(export, keypoints="coco")


def test_what_was_written_before_is_no_part_of_the_export(export, register):
    export.picture("a.jpg")
    export.picture("work_dirs/run/pictures/a.jpg")
    register(Picture("a.jpg", [box()]))
    export.out = export.folder / "data"
    first = run(export)
    export.write("work_dirs/run/data/train.json", '{"images": []}')
    assert str(run(export)) == str(first)
    assert export.read()["images"][0]["file_name"] == "../a.jpg"


def test_files_of_an_earlier_import_are_no_part_of_this_one(export, register):
    for number in range(4):
        export.picture(f"{number}.jpg")
    register(*(Picture(f"{number}.jpg", [box()]) for number in range(4)))
    run(export, fraction=0.25)
    (export.out / "test.json").write_text('{"images": []}')
    run(export)
    assert sorted(path.name for path in export.out.iterdir()) == ["annotations.json", "test.json"], (
        "that one is not ours"
    )


def test_pictures_in_no_split_are_told(export, register):
    for number in range(3):
        export.picture(f"{number}.jpg")
    register(*(Picture(f"{number}.jpg", [box()], split=split) for number, split in enumerate(("train", "val", ""))))
    imported = run(export)
    assert imported.splits == {"train": 1, "val": 1, "annotations": 1}
    assert "pictures in no split: 1 (../export/2.jpg)" in str(imported)

"""YOLO's text files, in the dialects of the tools that write them."""

from pathlib import Path

import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.schemes.people import COCO

from .importing import Read, box, write, write_image

POSE = "0 0.5 0.5 0.5 0.5 0.25 0.25 2 0.5 0.5 1 0 0 0\n"


@pytest.fixture
def export(tmp_path):
    """Write an export of {path: text}; images are 100 x 50. Gives what it becomes."""

    def make(files: dict[str, str], pictures: list[str], **options) -> Read:
        folder = tmp_path / "export"
        for path, text in files.items():
            write(folder / path, text)
        for path in pictures:
            write_image(folder / path, 100, 50)
        return Read(folder / options.pop("path", ""), tmp_path / "out", **options)

    return make


@pytest.mark.parametrize("names", ["[cat, 'no', 1.10]", "{0: cat, 1: no, 2: 1.10}", "\n  - cat\n  - no\n  - 1.10"])
@pytest.mark.parametrize("image, label", [("images/train/a.jpg", "labels/train/a.txt"), ("train/images/a.jpg",) * 2])
def test_boxes_with_names_as_list_or_mapping(export, names, image, label):
    folder = image.rsplit("/", 1)[0]
    label = image.replace("images", "labels").replace(".jpg", ".txt")
    read = export({"data.yaml": f"train: {folder}\nval: ''\nnames: {names}\n", label: "1 0.5 0.5 0.2 0.4\n"}, [image])
    (one,) = read.objects
    assert box(one) == pytest.approx([40, 15, 60, 35]) and one["label"] == "no"
    assert [category["id"] for category in read.categories.values()] == [0, 1, 2]
    assert list(read.names) == ["cat", "no", "1.10"] and list(read.imported.splits) == ["train"]


def test_keypoints_with_visibility(export):
    yaml = "path: .\nval: images\nkpt_shape: [3, 3]\nflip_idx: [1, 0, 2]\nnames: {0: fish}\n"
    read = export({"data.yaml": yaml, "labels/a.txt": POSE}, ["images/a.jpg"])
    assert read.objects[0]["points"] == [(25, 12.5, 2), (50, 25, 1), (0, 0, 0)]
    assert read.names == {"fish": ["1", "2", "3"]}
    assert read.categories["fish"]["mirrored"] == [["1", "2"]]


def test_keypoints_of_two_numbers_are_visible(export):
    yaml = "train: images\nkpt_shape: [3, 2]\nflip_idx: [0, 1, 2]\nnames: [fish]\n"
    label = "0 0.5 0.5 0.5 0.5 0.25 0.25 0.5 0.5 0 0\n"
    read = export({"data.yaml": yaml, "labels/a.txt": label}, ["images/a.jpg"])
    assert read.objects[0]["points"] == [(25, 12.5, 2), (50, 25, 2), (0, 0, 0)]
    assert read.categories["fish"]["mirrored"] == []
    assert "flip_idx without pairs" in read.text and "without visibility at 0, 0" in read.text


@pytest.mark.parametrize("names", ["[tip, fin, tail]", "{0: [tip, fin, tail]}", "{0: tip, 1: fin, 2: tail}"])
def test_names_of_keypoints(export, names):
    yaml = f"train: images\nkpt_shape: [3, 3]\nkpt_names: {names}\nnames: [fish]\n"
    assert export({"data.yaml": yaml, "labels/a.txt": POSE}, ["images/a.jpg"]).names == {"fish": ["tip", "fin", "tail"]}


def test_keypoints_mirrored_as_cocos_are_cocos(export):
    yaml = f"train: images\nkpt_shape: [17, 3]\nflip_idx: {COCO.flip_order()}\nnames: [person]\n"
    read = export({"data.yaml": yaml, "labels/a.txt": "0 .5 .5 .5 .5" + " .5 .5 2" * 17}, ["images/a.jpg"])
    assert read.names["person"] == list(COCO.names) and "they get COCO's names" in read.text
    assert len(read.categories["person"]["mirrored"]) == 8


def test_paths_of_another_computer(export):
    yaml = 'path: "C:\\Users\\me\\set"\ntrain: images\\train\nval: D:\\x\\images\\val\ntest:\nnames: [cat]\n'
    line = "0 .5 .5 .1 .1"
    labels = {"labels/train/a.txt": line, "labels/val/a.txt": line}
    read = export({"data.yaml": yaml, **labels}, ["images/train/a.jpg", "images/val/a.jpg"])
    assert dict(read.imported.splits) == {"train": 1, "val": 1} and not read.imported.findings


def test_splits_that_are_not_there_are_found_by_their_folders(export):
    yaml = "train: ../datasets/one/images\nval: ../valid/images\nnames: [cat]\n"
    line = "0 .5 .5 .1 .1"
    labels = {"training/labels/a.txt": line, "valid/labels/b.txt": line}
    read = export({"data.yaml": yaml, **labels}, ["training/images/a.jpg", "valid/images/b.jpg"])
    assert dict(read.imported.splits) == {"train": 1, "val": 1}
    assert "whose folder or list is not there: 1 (train: ../datasets/one/images)" in read.text


def test_lists_and_what_they_leave_out(export):
    yaml = "path: .\ntrain: [train.txt, more]\nval: val.txt\nnames: [cat]\n"
    lists = {"train.txt": "./data/images/a (1).b.jpg\n", "val.txt": "data/images/c.jpg\n./data/images/a (1).b.jpg\n"}
    images = ["data/images/a (1).b.jpg", "data/images/c.jpg", "data/images/d.jpg", "more/images/e.jpg"]
    labels = {image.replace("images", "labels").replace(".jpg", ".txt"): "0 .5 .5 .1 .1" for image in images}
    read = export({"data.yaml": yaml, **lists, **labels}, images)
    assert dict(read.imported.splits) == {"train": 2, "val": 1}
    assert "several splits list: 1 (a (1).b.jpg: train, val)" in read.text
    assert "pictures that no split lists: 1 (d.jpg)" in read.text


def test_darknet(export):
    files = {
        "obj.data": "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n",
        "obj.names": "big cat\ndog\n",
        "train.txt": "data/obj_train_data/x/a.png\n",
        "valid.txt": "data/obj_valid_data/a.png\n",
        "obj_train_data/x/a.txt": "1 0.5 0.5 0.2 0.4\n",
        "obj_valid_data/a.txt": "",
    }
    read = export(files, ["obj_train_data/x/a.png", "obj_valid_data/a.png"])
    assert [one["label"] for one in read.objects] == ["dog"] and list(read.names) == ["big cat", "dog"]
    assert dict(read.imported.splits) == {"train": 1, "val": 1}


def test_label_studio_names_keypoints_in_its_notes(export):
    notes = (
        '{\n  "categories": [\n    {"id": 0, "name": "fish", "keypoints": ["tip", "fin", "tail"]}\n  ],\n'
        '  "info": {\n    "year": 2026,\n    "version": "1.0",\n    "contributor": "Label Studio"\n  }\n}'
    )
    read = export({"classes.txt": "fish\n", "notes.json": notes, "labels/a.txt": POSE}, ["images/a.jpg"])
    assert read.imported.format == "YOLO's format" and read.names == {"fish": ["tip", "fin", "tail"]}
    assert "3 keypoints x, y, visibility" in read.text


def test_classes_without_names_are_numbered(export):
    read = export({"labels/a.txt": "2 .5 .5 .1 .1\n0 .5 .5 .2 .2\n0 .5 .5 .2 .2"}, ["images/a.jpg", "images/b.jpg"])
    assert list(read.names) == ["0", "1", "2"] and "they are numbered from 0" in read.text
    assert len(read.objects) == 2 and "lines that stand twice" in read.text
    assert len(read.images) == 2 and "pictures without a label file: 1 (b.jpg)" in read.text


def test_polygons_boxes_and_confidences(export):
    label = "0 .1 .2 .3 .2 .3 .8\n0 .5 .5 .2 .4\n0 .5 .5 .2 .4 .93\n"
    read = export({"classes.txt": "cat\n", "a.txt": label}, ["a.jpg"])
    assert read.objects[0]["segmentation"] == [pytest.approx([10, 10, 30, 10, 30, 40])]
    assert box(read.objects[0]) == pytest.approx([10, 10, 30, 40])
    assert box(read.objects[2]) == pytest.approx([40, 15, 60, 35]) and "boxes with a confidence" in read.text


def test_two_readings_of_a_line_are_told_and_chosen(export):
    label = "0 .5 .5 .4 .4 .4 .4 .6 .6 .5 .5\n"
    files = {"classes.txt": "cat\n", "labels/a.txt": label}
    read = export(files, ["images/a.jpg"])
    assert len(read.objects[0]["points"]) == 3 and "--format yolo-segments" in read.text
    read = export(files, ["images/a.jpg"], format="yolo-segments")
    assert len(read.objects[0]["segmentation"][0]) == 10 and not read.objects[0]["points"]
    files["labels/a.txt"] = "0 .5 .5 .6 .5 .6 .6 .5 .6\n"  # an oriented box
    read = export(files, ["images/a.jpg"])
    assert len(read.objects[0]["segmentation"][0]) == 8 and "--format yolo-pose" in read.text
    assert len(export(files, ["images/a.jpg"], format="yolo-pose").objects[0]["points"]) == 2


def test_labels_in_a_folder_of_another_name(export):
    read = export({"classes.txt": "cat\n", "yolo/a.txt": "0 .5 .5 .1 .1"}, ["photos/a.jpg", "photos/b.jpg"])
    assert len(read.objects) == 1 and len(read.images) == 2


def test_one_flat_folder_that_one_stands_in(export, tmp_path, monkeypatch):
    export({"classes.txt": "cat\n", "a.txt": "0 .5 .5 .1 .1"}, ["a.jpg"])
    monkeypatch.chdir(tmp_path / "export")
    read = Read(Path(), tmp_path / "out")
    assert len(read.objects) == 1 and not read.imported.findings


def test_images_elsewhere(export, tmp_path):
    write_image(tmp_path / "photos" / "a.jpg")
    assert len(export({"labels/a.txt": "0 .5 .5 .1 .1"}, [], images=tmp_path / "photos").objects) == 1


def test_description_by_its_path(export):
    line = "0 .5 .5 .1 .1"
    files = {"data.yaml": "train: images\nnames: [cat]\n", "other.yaml": "train: images\nnames: [dog]\n"}
    read = export({**files, "labels/a.txt": line}, ["images/a.jpg"])
    assert list(read.names) == ["cat"] and "further descriptions: 1 (other.yaml)" in read.text
    assert list(export({}, [], path="other.yaml").names) == ["dog"]


def test_several_projects(export):
    line, yaml = "0 .5 .5 .1 .1", "train: images\nnames: [cat]\n"
    files = {"one/data.yaml": yaml, "one/labels/a.txt": line, "two/data.yaml": yaml, "two/labels/a.txt": line}
    read = export(files, ["one/images/a.jpg", "two/images/a.jpg"])
    assert len(read.objects) == len(read.images) == 2
    with pytest.raises(DataError, match="describe other classes"):
        export({"two/data.yaml": yaml.replace("cat", "dog")}, [])


YAML = "train: images\nnames: [cat, dog]\n"
PAIR = YAML + "kpt_shape: [2, 3]\n"


@pytest.mark.parametrize(
    "files, images, message",
    [
        ({"data.yaml": YAML, "labels/a.txt": "0 .5 .5 .1 .1\n7 .5 .5 .1 .1"}, ["images/a.jpg"], "a.txt, line 2: 7"),
        ({"data.yaml": YAML, "labels/a.txt": "0 50 25 20 20"}, ["images/a.jpg"], "a.txt, line 1: 50.*divide pixels"),
        ({"data.yaml": YAML, "labels/a.txt": "0 .5 .5 .1 .1\ncat .5"}, ["images/a.jpg"], "a.txt, line 2: cat .5"),
        ({"data.yaml": YAML, "labels/a.txt": "0 .5 .5 .1 .1 .1 .1 .7"}, ["images/a.jpg"], "line 1: 7 numbers"),
        ({"data.yaml": PAIR, "labels/a.txt": "0 .5 .5 .1 .1 .1 .1"}, ["images/a.jpg"], "10 have to follow the class"),
        ({"data.yaml": YAML, "labels/a.txt": "0 .5 .5 0 0"}, ["images/a.jpg"], "without width or height.*line 1"),
        ({"data.yaml": YAML, "labels/a.txt": "0 .5 .5 .1 .1"}, ["images/a.jpg", "images/a.png"], "share a label file"),
        ({"data.yaml": "names: [a, b\n", "labels/a.txt": "0 .5 .5 .1 .1"}, ["images/a.jpg"], "data.yaml, line"),
        ({"data.yaml": YAML + "kpt_shape: [2]\n"}, ["images/a.jpg"], "kpt_shape"),
        ({"data.yaml": "train: l.txt\nnames: [c]\n", "l.txt": "a.jpg\nb.jpg\n"}, ["a.jpg"], "l.txt, line 2: b.jpg"),
        ({"data.yaml": YAML, "labels/a.txt": "0 0 0 1 1", "labels/b.txt": "0 0 0 1 1"}, ["images/a.jpg"], "b.txt"),
        ({"data.yaml": YAML, "labels/a.txt": ""}, ["images/a.jpg"], "nothing is annotated in 1 pictures"),
        ({"x/classes.txt": "a", "y/classes.txt": "b", "y/a.txt": "0 0 0 1 1"}, ["y/a.jpg"], "name other classes"),
    ],
)
def test_one_clear_error(export, files, images, message):
    with pytest.raises(DataError, match=message):
        export(files, images)

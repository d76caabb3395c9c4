"""Annotation files of other programs are named, and never taken for COCO's."""

import json

import pytest

from hrtoolkit.data.coco import read_instances
from hrtoolkit.data.foreign import recognise_format
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Findings

BOX = {"x": 1, "y": 2, "width": 3, "height": 4}
FILES = {
    "labelme's": json.dumps({"version": "5", "flags": {}, "shapes": [{"label": "a"}], "imagePath": "a.jpg"}),
    "VIA's": json.dumps({"a.jpg1": {"filename": "a.jpg", "size": 1, "regions": [], "file_attributes": {}}}),
    "Label Studio's": json.dumps([{"id": 1, "annotations": [{"result": [{"original_width": 3}]}]}]),
    "CreateML's": json.dumps([{"image": "a.jpg", "annotations": [{"label": "a", "coordinates": BOX}]}]),
    "COCO's results": json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]),
    "a list of annotations alone": json.dumps([{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}]),
    "V7 Darwin's": json.dumps({"version": "2.0", "annotations": [{"bounding_box": {"x": 1}, "slot_names": ["0"]}]}),
    "Supervisely's": json.dumps({"size": {}, "objects": [{"classTitle": "a"}]}),
    "YOLO's format; `hrtoolkit import`": "train: images/train\nnc: 2\nnames: [a, b]\n",
    "YOLO's format": "0 0.5 0.5 0.25 1e-2\n1 0.5 0.5 0.25 0.25\n",
    "CVAT's XML": '<?xml version="1.0"?>\n<annotations><image/></annotations>',
    "Pascal VOC's XML": "<annotation><size/></annotation>",
    "a table (csv)": "image,x1,y1,x2,y2,label\na.jpg,1,2,3,4,cat\n",
    "a TFRecord": "\x10\0\0\0\0\0\0\0 image/encoded",
    "a zip archive": "PK\x03\x04",
}


@pytest.mark.parametrize("what", FILES)
def test_other_formats_are_named(tmp_path, what):
    path = tmp_path / "labels.json"
    path.write_text(FILES[what])
    with pytest.raises(DataError) as refused:
        read_instances(path, Findings(path), masks=False)
    assert str(refused.value).startswith(f"{path}: this is {what}")


def test_what_nobody_knows_keeps_its_own_error(tmp_path):
    path = tmp_path / "labels.json"
    for text, message in (
        ("<!DOCTYPE html><html></html>", "not valid json"),
        ('{"images": []}', "'images' is missing or empty"),
        ("5", "expected COCO's format"),
        ("[1, 2]", "expected COCO's format"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_instances(path, Findings(path), masks=False)
    assert recognise_format(tmp_path / "nothing.json") == ""


def test_real_files_of_other_programs_are_named(test_data):
    folders = {
        "labelme": "labelme",
        "cvat_xml": "CVAT",
        "voc": "Pascal VOC",
        "yolo_boxes": "YOLO",
        "yolo_pose": "YOLO",
        "yolo_segments": "YOLO",
        "via": "VIA|csv",
        "label_studio_json": "Label Studio",
        "label_studio_json_min": "Label Studio",
        "darwin": "Darwin",
        "supervisely": "Supervisely",
        "dlib": "dlib",
    }
    for folder, what in folders.items():
        files = [
            path
            for path in (test_data / "imports" / folder).rglob("*")
            if path.suffix in (".json", ".xml", ".txt", ".csv") and path.name not in ("expected.json", "meta.json")
        ]
        known = [recognise_format(path) for path in files]
        assert any(name in text for text in known for name in what.split("|")), (folder, known)
    for path in (test_data / "coco/annotations").glob("*.json"):
        assert recognise_format(path) == ""

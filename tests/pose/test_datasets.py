"""Reading COCO-format and MPII people, and what happens when files are not as they should be."""

import json
import logging

import cv2
import numpy as np
import pytest
from hrtoolkit.tasks.pose.datasets import CocoKeypoints, MpiiPose
from hrtoolkit.tasks.pose.layouts import COCO, MPII
from hrtoolkit.tasks.pose.transforms import TopDownAffine

from hrtoolkit.data.loading import Draw, build_dataloader
from hrtoolkit.errors import DataError

from ..conftest import edit_json


def load(folder, **options):
    transform = TopDownAffine((48, 64), flip=0.5, rotation=30)
    return CocoKeypoints(transform, folder, "people.json", "images", **options)


def test_people_with_keypoints_are_kept_in_order_of_images(coco_folder):
    dataset = load(coco_folder)
    assert len(dataset) == 3
    metas = [dataset[i]["meta"] for i in range(3)]
    assert [meta["image_id"] for meta in metas] == [11, 11, 12]
    assert [meta["index"] for meta in metas] == [0, 1, 2]
    assert all(meta["box_score"] == 1 for meta in metas)
    sample = dataset[1]
    assert sample["image"].shape == (64, 48, 3) and sample["image"].dtype == np.uint8
    assert sample["targets"]["visible"].sum() == 9
    assert dataset.layout is COCO


def test_windows_follow_the_official_box_rule(coco_folder):
    dataset = load(coco_folder)
    # Box 10, 10, 40, 90 loses a pixel; 1.25 pads it.
    np.testing.assert_allclose(dataset.centers[0], (29.5, 54.5))
    np.testing.assert_allclose(dataset.sizes[0], (39 * 1.25, 89 * 1.25))


def test_annotation_read_back_through_its_own_matrix_is_the_annotation(coco_folder):
    dataset = load(coco_folder)
    sample = dataset[0]
    matrix = sample["meta"]["matrix"]
    back = (sample["targets"]["keypoints"] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    np.testing.assert_allclose(back, dataset.keypoints[0], atol=1e-3)


def test_an_image_is_read_once_for_all_the_people_in_it(coco_folder, monkeypatch):
    from hrtoolkit.data import keypoints as datasets

    reads = []
    real = datasets.read_image
    monkeypatch.setattr(datasets, "read_image", lambda path: reads.append(path) or real(path))
    dataset = load(coco_folder)
    for i in range(len(dataset)):
        dataset[i]
    assert len(reads) == 2


def test_draws_are_repeatable_and_workers_do_not_matter(coco_folder):
    dataset = load(coco_folder)
    np.testing.assert_array_equal(dataset[Draw(0, 5, 1)]["image"], dataset[Draw(0, 5, 1)]["image"])
    batches = []
    for workers in (0, 2):
        loader = build_dataloader(dataset, 2, workers, training=True, seed=3)
        loader.sampler.set_epoch(4)
        batches.append(list(loader))
    for a, b in zip(*batches, strict=True):
        assert (a["images"] == b["images"]).all()
        assert (a["targets"]["keypoints"] == b["targets"]["keypoints"]).all()


def test_left_out_annotations_are_counted(coco_folder, caplog):
    logging.getLogger("hrtoolkit").propagate = True
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][1].update(bbox=[10, 10, 0, 50]))
    with caplog.at_level(logging.INFO):
        dataset = load(coco_folder)
    assert len(dataset) == 2
    expected = (
        "2 of 5 annotations used (1 left out: crowd, 1 left out: no labelled keypoint, 1 left out: box of zero size)"
    )
    assert expected in caplog.text
    (finding,) = [finding for finding in dataset.findings if "box of zero size" in finding.what]
    assert (finding.level, finding.ids, finding.count) == ("warning", (2,), 1)


def test_detections_replace_annotated_boxes(coco_folder):
    detections = [
        {"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9},
        {"image_id": 11, "category_id": 1, "bbox": [-4, 10, 40, 90], "score": 0.4},
        {"image_id": 11, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 0.4},
        {"image_id": 11, "category_id": 1, "bbox": [0, 0, 0, 9], "score": 0.4},
    ]
    (coco_folder / "boxes.json").write_text(json.dumps(detections))
    dataset = load(coco_folder, box_file="boxes.json")
    assert len(dataset) == 2
    assert dataset[0]["meta"]["box_score"] == pytest.approx(0.4)
    np.testing.assert_allclose(dataset.centers[0], (16, 55))  # neither cleaned nor clipped
    # Pictures show the annotated people all the same: two of them in image 11.
    keypoints, visible = dataset.true_keypoints(0)
    assert keypoints.shape == (2, 17, 2)
    assert visible.sum() == 17 + 9


def test_detections_do_not_excuse_annotations_of_unlisted_images(coco_folder):
    detections = [{"image_id": 13, "category_id": 1, "bbox": [30, 30, 50, 60], "score": 0.5}]
    (coco_folder / "boxes.json").write_text(json.dumps(detections))
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][0].update(image_id=99))
    with pytest.raises(DataError, match=r"of an image that the file does not list: 1 \(annotation 1 of image 99\)"):
        load(coco_folder, box_file="boxes.json")


def test_detections_need_no_annotations_as_on_a_test_set(coco_folder):
    (coco_folder / "boxes.json").write_text(
        json.dumps([{"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9}])
    )
    edit_json(coco_folder / "people.json", lambda c: c.pop("annotations"))
    dataset = load(coco_folder, box_file="boxes.json")
    prediction = {"index": 0, "keypoints": np.zeros((17, 2), np.float32), "scores": np.ones(17)}
    assert dataset.draw([prediction]).shape == (120, 320, 3)


def test_a_file_with_its_own_keypoints_needs_no_code(coco_folder):
    def own(content):
        content["categories"] = [
            {"id": 1, "name": "cat", "keypoints": ["left_ear", "right_ear", "tail"], "skeleton": [[1, 2], [2, 3]]}
        ]
        for annotation in content["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:9]

    edit_json(coco_folder / "people.json", own)
    layout = load(coco_folder).layout
    assert layout.names == ("left_ear", "right_ear", "tail")
    assert layout.mirrored == (("left_ear", "right_ear"),)
    assert layout.skeleton == (("left_ear", "right_ear"), ("right_ear", "tail"))
    custom = load(coco_folder, layout=dict(mirrored=[], sigmas=[0.1, 0.1, 0.2])).layout
    assert custom.mirrored == () and custom.sigmas == (0.1, 0.1, 0.2)


MISTAKES = {
    "empty file": (lambda p: p.write_text(""), r"people\.json: the file is empty"),
    "malformed": (lambda p: p.write_text('{"images": [1,\n}'), r"people\.json: not valid json, line 2, column 1"),
    "missing": (lambda p: p.unlink(), r"people\.json: no such file"),
    "a list": (lambda p: p.write_text("[1]"), "expected COCO's format"),
    "no annotations": (lambda p: edit_json(p, lambda c: c.update(annotations=[])), "'annotations' is missing or empty"),
    "nobody usable": (
        lambda p: edit_json(p, lambda c: c.update(annotations=c["annotations"][3:])),
        r"none of 2 annotations is usable \(1 left out: crowd, 1 left out: no labelled keypoint\)",
    ),
    "dangling image": (
        lambda p: edit_json(p, lambda c: c["annotations"][0].update(image_id=99)),
        r"of an image that the file does not list: 1 \(annotation 1 of image 99\)",
    ),
    "no category": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].pop("category_id")),
        r"people\.json: annotations that lack \['category_id'\]: 1 \(annotations\[1\] with id 2\)",
    ),
    "too few keypoints": (
        lambda p: edit_json(p, lambda c: c["annotations"][0].update(keypoints=[1, 2, 2])),
        r"annotations without 17 keypoints of x, y and visibility: 1 \(annotation 1 has 1\)",
    ),
    "no area": (
        lambda p: edit_json(p, lambda c: c["annotations"][0].pop("area")),
        r"annotations without an `area`.*: 1 \(1\)",
    ),
    "ids of two kinds": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].update(id="two")),
        "ids should be all numbers or all texts",
    ),
    "words for numbers": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].update(bbox=["a", "b", "c", "d"])),
        r"something else than numbers where numbers belong: 1 \(annotations\[1\] with id 2\)",
    ),
    "several at once": (
        lambda p: edit_json(p, lambda c: (c["annotations"][0].update(image_id=99), c["annotations"][1].pop("area"))),
        r"(?s)annotation 1 of image 99.*without an `area`",
    ),
    "no names": (lambda p: edit_json(p, lambda c: c["categories"][0].pop("keypoints")), "lists no keypoint names"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_annotation_files_have_one_clear_error(name, coco_folder):
    change, message = MISTAKES[name]
    change(coco_folder / "people.json")
    with pytest.raises(DataError, match=message):
        load(coco_folder)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_bad_images_have_one_clear_error_that_names_them(damage, workers, coco_folder):
    path = coco_folder / "images" / "12.jpg"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 2000 if damage == "truncated" else 0])
    expected = {"missing": "no such image", "truncated": r"cut short \(2000 bytes\)", "empty": "not a readable image"}
    with pytest.raises(DataError, match=rf"^[^\n]*12\.jpg: .*{expected[damage]}[^\n]*$"):
        list(build_dataloader(load(coco_folder), 1, workers, training=False))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(coco_folder):
    path = coco_folder / "images" / "12.jpg"
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert load(coco_folder)[2]["image"].any()


def test_mpii_centres_scales_and_joints_follow_the_official_rule(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((300, 300, 3), np.uint8))
    joints = [[10.0 + j, 20.0 + j] for j in range(16)]
    person = {"image": "a.jpg", "center": [100.0, 120.0], "scale": 1.2, "joints": joints, "joints_vis": [1] * 15 + [0]}
    (tmp_path / "train.json").write_text(json.dumps([person]))
    dataset = MpiiPose(TopDownAffine((256, 256)), tmp_path, "train.json")
    np.testing.assert_allclose(dataset.centers[0], (99, 120 + 15 * 1.2 - 1))
    np.testing.assert_allclose(dataset.sizes[0], (300, 300))
    np.testing.assert_allclose(dataset.keypoints[0, 3], (12, 22))
    assert dataset[0]["targets"]["visible"].sum() == 15
    assert dataset.layout is MPII
    person.pop("scale")
    (tmp_path / "train.json").write_text(json.dumps([person]))
    with pytest.raises(DataError, match=r"person 0 lacks \['scale'\]"):
        MpiiPose(TopDownAffine((256, 256)), tmp_path, "train.json")


def test_ids_may_be_texts(coco_folder):
    def rename(content):
        for image in content["images"]:
            image["id"] = f"image {image['id']}"
        for annotation in content["annotations"]:
            annotation["image_id"] = f"image {annotation['image_id']}"

    edit_json(coco_folder / "people.json", rename)
    assert [load(coco_folder)[i]["meta"]["image_id"] for i in range(3)] == ["image 11", "image 11", "image 12"]


def test_packing_in_pieces_changes_nothing(coco_folder, monkeypatch):
    whole = load(coco_folder)
    monkeypatch.setattr("hrtoolkit.data.coco.PACKED", 2)
    pieces = load(coco_folder)
    for name in ("image_paths", "image_ids", "person_images", "centers", "keypoints", "visible", "boxes"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_people_are_kept_in_arrays_alone(coco_folder):
    # A loader worker that touches a Python object copies its page: what grows with the data must not be objects.
    (coco_folder / "boxes.json").write_text(
        json.dumps([{"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9}])
    )
    for dataset in (load(coco_folder), load(coco_folder, box_file="boxes.json")):
        held = [*vars(dataset).values(), *dataset.annotated]
        arrays = [value for value in held if isinstance(value, np.ndarray)]
        assert len(arrays) > 10 and all(array.dtype.kind != "O" for array in arrays)
        assert not any(isinstance(value, dict | list) and len(value) > 3 for value in held)


def test_the_picture_shows_truth_and_prediction_side_by_side(coco_folder):
    dataset = load(coco_folder)
    prediction = {"index": 2, "keypoints": dataset.keypoints[2], "scores": np.ones(17)}
    picture = dataset.draw([prediction])
    assert picture.shape == (120, 320, 3)
    np.testing.assert_array_equal(picture[:, :160], picture[:, 160:])

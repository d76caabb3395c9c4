"""The data doctor: every planted fault is found, with the record's id, and clean data passes."""

import json
import logging
import re
import shutil

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from hrtoolkit.data.doctor import Subject, check_before_run, examine, image_files
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import tell_samples
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import DataError
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tasks.pose.datasets import CocoKeypoints, MpiiPose
from hrtoolkit.tasks.pose.finish import PoseFinish
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, MpiiPckMetric

from ..conftest import edit_json
from ..engine.test_run import make_config


def load(folder, **options):
    return CocoKeypoints(data_root=folder, ann_file="people.json", image_dir="images", **options)


def find(folder, other=None, read_images=True, **options):
    """Findings of a folder as validation data, and as training data another one."""
    samples = {} if other is None else {"train": load(other)}
    samples["val"] = load(folder, **options)
    return examine(samples, {"val": CocoKeypointMetric()}, PoseFinish(scheme=samples["val"].scheme), read_images)


def annotation(content, annotation_id):
    return next(a for a in content["annotations"] if a["id"] == annotation_id)


def change(annotation_id, **values):
    return lambda folder: edit_json(folder / "people.json", lambda c: annotation(c, annotation_id).update(values))


def edit(action):
    return lambda folder: edit_json(folder / "people.json", action)


def shrink(folder):
    cv2.imwrite(str(folder / "images" / "12.jpg"), np.zeros((60, 80, 3), np.uint8))


def cut_short(folder):
    path = folder / "images" / "12.jpg"
    path.write_bytes(path.read_bytes()[:2000])


def swap_knees(content):
    names = content["categories"][0]["keypoints"]
    names[13], names[14] = "knee_one", "knee_two"


# What is done to the folder, the level and a part of the finding, and the record that it must name.
FAULTS = {
    "image id twice": (
        edit(lambda c: c["images"].append({**c["images"][0], "file_name": "13.jpg"})),
        ("stop", "images with the id of another one", 11),
    ),
    "image twice": (
        edit(lambda c: c["images"].append({**c["images"][0], "id": 14})),
        ("warning", "listed again under another id", 14),
    ),
    "image without size": (
        edit(lambda c: c["images"][1].update(width=0)),
        ("stop", "`width` or `height` is not above 0", 12),
    ),
    "annotation id twice": (change(3, id=1), ("warning", "annotations with the id of another one", 1)),
    "annotation id 0": (change(3, id=0), ("warning", "annotations with the id 0", 0)),
    "dangling image": (
        change(3, image_id=99),
        ("stop", "image that the file does not list", "annotation 3 of image 99"),
    ),
    "dangling category": (change(3, category_id=7), ("stop", "category that the file", "annotation 3 of category 7")),
    "area of zero": (change(3, area=0), ("warning", "`area` of zero", 3)),
    "no area": (edit(lambda c: annotation(c, 3).pop("area")), ("note", "without an `area`", 3)),
    "area 1": (edit(lambda c: [a.update(area=1) for a in c["annotations"]]), ("stop", "areas that do not fit", "1: ")),
    "corners": (
        edit(
            lambda c: [
                a.update(bbox=[*a["bbox"][:2], *np.add(a["bbox"][:2], a["bbox"][2:]).tolist()])
                for a in c["annotations"]
            ]
        ),
        ("stop", "look like corners", 1),
    ),
    "keypoint at the origin": (
        edit(lambda c: annotation(c, 3)["keypoints"].__setitem__(slice(0, 2), [0, 0])),
        ("warning", "exactly (0, 0)", 3),
    ),
    "most keypoints at the origin": (
        edit(lambda c: [a["keypoints"].__setitem__(slice(0, 2), [0, 0]) for a in c["annotations"]]),
        ("stop", "exactly (0, 0)", 1),
    ),
    "keypoints in fractions": (
        edit(
            lambda c: [
                a.update(keypoints=[v / 200 if i % 3 < 2 else v for i, v in enumerate(a["keypoints"])])
                for a in c["annotations"]
            ]
        ),
        ("stop", "keypoints that look like fractions", 1),
    ),
    "null where nothing is labelled": (
        edit(lambda c: annotation(c, 3)["keypoints"].__setitem__(slice(3, 5), [None, None])),
        ("note", "null or NaN", 3),
    ),
    "most counted as nobody": (
        edit(lambda c: [a.update(num_keypoints=0) for a in c["annotations"]]),
        ("stop", "`num_keypoints` is 0", 1),
    ),
    "crowds": (
        edit(lambda c: [a.update(iscrowd=1) for a in c["annotations"][1:]]),
        ("warning", "that are crowds, as most are", 2),
    ),
    "a text as flag": (
        change(3, iscrowd="0"),
        ("stop", "`iscrowd` is a text, expected 0 or 1", "annotations[2] with id 3: '0'"),
    ),
    "true as area": (change(3, area=True), ("stop", "`area` is true or false", "annotations[2] with id 3")),
    "a text as image": (change(3, image_id="11"), ("stop", "`image_id` is a text where", 'annotation 3 of image "11"')),
    "lines from 0": (
        edit(lambda c: c["categories"][0].update(skeleton=[[0, 1], [15, 16]])),
        ("warning", "which is counted from 0", "[0, 1]"),
    ),
    "lines of names": (
        edit(lambda c: c["categories"][0].update(skeleton=[["nose", "left_eye"]])),
        ("warning", "that are names", "['nose', 'left_eye']"),
    ),
    "lines beyond": (
        edit(lambda c: c["categories"][0].update(skeleton=[[1, 2], [32, 33]])),
        ("warning", "join none of its 17 keypoints", "[32, 33]"),
    ),
    "no box": (edit(lambda c: annotation(c, 3).pop("bbox")), ("stop", "without a `bbox`", 3)),
    "box of zero size": (change(3, bbox=[70, 20, 0, 90]), ("warning", "box of zero size", 3)),
    "box outside": (change(3, bbox=[70, 20, 160, 110]), ("warning", "beyond the image", 3)),
    "box elsewhere": (change(3, bbox=[2, 2, 15, 20]), ("warning", "far outside their box", 3)),
    "keypoint outside": (
        edit(lambda c: annotation(c, 3)["keypoints"].__setitem__(0, 900)),
        ("warning", "keypoints outside the image", 3),
    ),
    "keypoint not finite": (
        edit(lambda c: annotation(c, 3)["keypoints"].__setitem__(0, None)),
        ("stop", "not finite", 3),
    ),
    "too few keypoints": (change(3, keypoints=[1, 2, 2]), ("stop", "without 17 keypoints", "annotation 3 has 1")),
    "odd visibility": (
        edit(lambda c: annotation(c, 3)["keypoints"].__setitem__(2, 0.5)),
        ("warning", "visibilities other than", 3),
    ),
    "nothing labelled": (change(3, keypoints=[0] * 51), ("note", "without a labelled keypoint", 3)),
    "counted as nobody": (change(3, num_keypoints=0), ("warning", "`num_keypoints` is 0", 3)),
    "wrong count": (change(3, num_keypoints=3), ("warning", "`num_keypoints` is not the number", 3)),
    "joint never labelled": (
        edit(lambda c: [a["keypoints"].__setitem__(slice(0, 3), [0, 0, 0]) for a in c["annotations"]]),
        ("warning", "nobody has labelled", "nose"),
    ),
    "side without partner": (
        edit(lambda c: c["categories"][0]["keypoints"].__setitem__(13, "left_thing")),
        ("warning", "have no mirror partner", "left_thing"),
    ),
    "unknown keypoint": (
        edit(lambda c: c["categories"][0]["keypoints"].__setitem__(0, "tail")),
        ("note", "OKS fall-off nobody stated", "tail"),
    ),
    "image missing": (lambda f: (f / "images" / "12.jpg").unlink(), ("stop", "not there", "12: ")),
    "image cut short": (cut_short, ("stop", "cannot be read", "12: ")),
    "image of another size": (shrink, ("stop", "another size", "12: 80 x 60, annotated 160 x 120")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_record(name, coco_folder):
    plant, (level, what, record) = FAULTS[name]
    before = {finding.what for finding in find(coco_folder)}
    plant(coco_folder)
    new = [finding for finding in find(coco_folder) if finding.what not in before]
    if name == "nothing labelled":  # the clean folder has one annotation like that
        new = [finding for finding in find(coco_folder) if finding.count == 2]
    matching = [finding for finding in new if finding.level == level and what in finding.what]
    assert len(matching) == 1, [str(finding) for finding in new]
    assert any(str(i).startswith(record) if isinstance(record, str) else i == record for i in matching[0].ids)
    assert str(record) in str(matching[0])
    if level == "stop" and "image" not in name.split()[0]:
        with pytest.raises(DataError, match=re.escape(what)):
            load(coco_folder).findings.raise_stops()


def test_clean_data_has_no_findings_but_notes(coco_folder):
    assert [finding.level for finding in find(coco_folder)] == ["note"]


def test_all_faults_are_reported_together(coco_folder):
    for name in ("dangling category", "image cut short", "side without partner"):
        FAULTS[name][0](coco_folder)
    edit(lambda c: c["annotations"].append({**annotation(c, 1), "id": 9}))(coco_folder)
    change(2, area=0)(coco_folder)
    findings = find(coco_folder)
    for what in ("category that", "cannot be read", "mirror partner", "`area` of zero", "ground truth scored"):
        assert any(what in finding.what for finding in findings), what


@pytest.mark.parametrize("mirrored", [[], [("left_eye", "right_ear"), ("left_ear", "right_eye")]])
def test_pairs_that_the_names_tell_and_the_scheme_does_not_are_found(coco_folder, mirrored):
    scheme = dict(names=COCO.names, mirrored=mirrored, sigmas=[s * 2 for s in COCO.sigmas])
    (finding,) = [f for f in find(coco_folder, scheme=scheme) if "no mirrored pair" in f.what]
    assert "left_eye and right_eye" in finding.ids


def test_a_fall_off_of_zero_is_found(coco_folder):
    findings = find(coco_folder, scheme=dict(names=COCO.names, sigmas=[0] + [0.1] * 16))
    (finding,) = [finding for finding in findings if "fall-off is not above 0" in finding.what]
    assert finding.level == "stop" and finding.ids == ("nose",)


def test_leaks_are_found_by_content(coco_folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(coco_folder, other, ignore=shutil.ignore_patterns("other"))

    def renumber(content):
        content["images"][0]["file_name"] = "copy.jpg"  # the same content under another name
        content["images"][1]["id"] = annotation(content, 1)["image_id"] = 21  # the same name under another id

    edit_json(other / "people.json", renumber)
    (other / "images" / "11.jpg").rename(other / "images" / "copy.jpg")
    findings = {f.what: (f.level, f.ids) for f in find(other, coco_folder) if "train and val" in f.where}
    assert findings == {
        "images in both": ("warning", (f"11: {other}/images/copy.jpg", f"21: {other}/images/12.jpg")),
    }


def test_the_short_check_reads_no_image_and_misses_none(coco_folder, caplog, monkeypatch):
    monkeypatch.setattr("hrtoolkit.data.image_checks.read_image_file", lambda path: pytest.fail("read an image"))
    metric, finish = CocoKeypointMetric(), PoseFinish(scheme=COCO)
    samples = {"train": load(coco_folder), "val": load(coco_folder)}
    with caplog.at_level(logging.WARNING):
        check_before_run(Subject(samples, {"val": metric}, finish))
    assert "images in both: 2" in caplog.text
    (coco_folder / "images" / "12.jpg").unlink()
    with pytest.raises(DataError, match=r"images that are not there: 1 \(12: \S+/images/12\.jpg\)"):
        check_before_run(Subject(samples, {"val": metric}, finish))


def test_a_folder_that_may_not_be_read_is_one_error(coco_folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "/data/images")

    monkeypatch.setattr("hrtoolkit.tasks.pose.datasets.find_image_folder", refuse)
    with pytest.raises(DataError, match=r"^/data/images: cannot be read \(Permission denied\)$"):
        tell_samples(check_config(make_config(coco_folder)), "train")


def test_training_does_not_start_on_faulty_data_and_leaves_an_earlier_run_alone(coco_folder, tmp_path):
    earlier = tmp_path / "work" / "last.pth"
    earlier.parent.mkdir()
    earlier.write_text("an earlier run")
    (coco_folder / "images" / "12.jpg").unlink()
    with pytest.raises(DataError, match=r"images that are not there: 1 \(12: \S+/images/12\.jpg\)"):
        train(make_config(coco_folder), tmp_path / "work")
    assert [path.name for path in earlier.parent.iterdir()] == ["last.pth"]


def test_annotated_people_are_scored_where_detections_are_the_samples(coco_folder):
    boxes = [{"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9}]
    (coco_folder / "boxes.json").write_text(json.dumps(boxes))
    assert not [f for f in find(coco_folder, box_file="boxes.json") if f.level != "note"]
    edit(lambda c: c["annotations"].append({**annotation(c, 2), "id": 9}))(coco_folder)
    assert any("ground truth scored" in f.what for f in find(coco_folder, box_file="boxes.json"))


def test_two_people_with_one_keypoint_each_are_not_taken_for_one(coco_folder):
    def only_noses(content):
        for item in content["annotations"][1:3]:
            item["keypoints"] = [*item["keypoints"][:3], *[0] * 48]
            item["num_keypoints"] = 1

    edit_json(coco_folder / "people.json", only_noses)
    assert not any("ground truth scored" in finding.what for finding in find(coco_folder))


@pytest.mark.parametrize(("shift", "expected"), [(0.0, []), (30.0, ["stop"])])
def test_mpii_joints_must_be_those_of_the_ground_truth(tmp_path, shift, expected):
    joints = np.random.default_rng(0).uniform(20, 200, (3, 16, 2)).round()
    people = [
        {"image": f"{i}.jpg", "center": [100, 100], "scale": 1.0, "joints": j.tolist(), "joints_vis": [1] * 16}
        for i, j in enumerate(joints + shift)
    ]
    (tmp_path / "images").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "images" / f"{i}.jpg"), np.full((240, 240, 3), 90, np.uint8))
    (tmp_path / "valid.json").write_text(json.dumps(people))
    heads = np.stack([np.zeros((2, 3)), np.full((2, 3), 20.0)])
    truth = {"pos_gt_src": joints.transpose(1, 2, 0), "jnt_missing": np.zeros((16, 3)), "headboxes_src": heads}
    savemat(tmp_path / "gt_valid.mat", truth)
    samples = MpiiPose(data_root=tmp_path, ann_file="valid.json", gt_file="gt_valid.mat")
    findings = examine({"val": samples}, {"val": MpiiPckMetric()}, read_images=True)
    assert [finding.level for finding in findings] == expected
    assert all("elsewhere than in gt_valid.mat" in finding.what for finding in findings)


def add_a_flock(content):
    content["images"].append({"id": 20, "file_name": "13.jpg", "width": 2000, "height": 100})
    sample = annotation(content, 1)
    for i in range(30):
        box = [60 * i, 10, 50, 80]
        points = np.random.default_rng(i).uniform(box[:2], np.add(box[:2], box[2:]), (17, 2))
        keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1).ravel().tolist()
        new = {"id": 100 + i, "image_id": 20, "bbox": box, "area": 2400, "keypoints": keypoints, "num_keypoints": 17}
        content["annotations"].append({**sample, **new})


def test_more_people_than_the_metric_counts_are_a_warning_with_this_cause(coco_folder):
    edit_json(coco_folder / "people.json", add_a_flock)
    samples = {"val": load(coco_folder)}
    finish = PoseFinish(scheme=samples["val"].scheme)
    found = [str(f) for f in examine(samples, {"val": CocoKeypointMetric()}, finish) if "metric" in str(f)]
    assert len(found) == 1 and found[0].startswith("warning: ")
    assert "more than 20 objects to find" in found[0] and ": 1 (20); " in found[0]
    assert not [f for f in examine(samples, {"val": CocoKeypointMetric(most=30)}, finish) if "metric" in str(f)]


def test_annotations_that_nobody_can_find_say_why(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: [a.update(num_keypoints=0) for a in c["annotations"]])
    (finding,) = [f for f in find(coco_folder, read_images=False) if "ground truth" in f.what]
    assert finding.level == "stop" and "of 5 objects 5 are ignored" in finding.remedy


def test_data_that_is_looked_at_as_a_whole_is_checked_in_all_its_images(coco_folder):
    samples = {"val": load(coco_folder)}
    assert len(image_files(samples["val"]).ids) == 2 and len(image_files(samples["val"], sees_crops=False).ids) == 3
    (coco_folder / "images" / "13.jpg").unlink()  # nobody in it is looked at by crops
    assert not [f for f in examine(samples, {}) if f.level == "stop"]
    (found,) = [f for f in examine(samples, {}, sees_crops=False) if f.level == "stop"]
    assert found.what == "images that are not there" and "13" in str(found.ids)


def test_samples_that_know_a_part_of_an_image_are_not_looked_at_as_a_whole(coco_folder):
    samples = load(coco_folder)
    paths = samples.images.paths
    samples.images = samples.images._replace(paths=paths[[0, 0, 2]])  # as in MPII, where a person is a sample
    (found,) = [f for f in examine({"val": samples}, {}, sees_crops=False) if "know a part" in f.what]
    assert found.level == "stop" and found.ids == (paths[0].decode(),) and "CocoKeypoints" in found.remedy
    assert not [f for f in examine({"val": samples}, {}) if "know a part" in f.what]

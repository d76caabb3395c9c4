"""Reading COCO-format and MPII people, and what happens when files are not as they should be."""

import json
import logging
import re

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from hrtoolkit.data.loading import build_dataloader, stopping_workers
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError
from hrtoolkit.keypoints.head import keypoint_targets
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.records import Objects
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import KeypointScheme, check_same, convert
from hrtoolkit.schemes.people import COCO, MPII
from hrtoolkit.tasks.pose.augmentation import PoseAugmentation
from hrtoolkit.tasks.pose.datasets import CocoKeypoints, MpiiPose

from ..conftest import edit_json


def load(folder, **options):
    return CocoKeypoints(data_root=folder, ann_file="people.json", image_dir="images", **options)


def look(samples, augmented=True, input_size=(48, 64)):
    """The inputs of a data set, with targets."""
    augmentation = PoseAugmentation(flip=0.5, rotation=30) if augmented else None
    return Inputs(samples, TopDown(input_size=input_size), samples.scheme, keypoint_targets, augmentation)


def stop_messages(samples):
    """What keeps a run from starting."""
    return "\n".join(str(finding) for finding in samples.findings if finding.level == "stop")


def test_a_sample_is_an_image_and_its_crops_are_the_people_with_keypoints(coco_folder):
    samples = load(coco_folder)
    assert len(samples) == 3 and samples.images.ids.tolist() == [11, 12, 13]
    inputs = look(samples)
    assert len(inputs) == 3
    assert [samples.images.ids[inputs.sample_of(i)] for i in range(3)] == [11, 11, 12]
    assert inputs.objects.tolist() == [0, 1, 0]
    frame = inputs[1].frame
    assert frame.score == 1 and frame.box_xyxy.tolist() == [70, 20, 130, 110]
    trained = inputs[SampleKey(1, 0, 0)]
    assert trained.pixels.shape == (64, 48, 3) and trained.pixels.dtype == np.uint8
    assert trained.targets["visible"].sum() == 9
    assert samples.scheme.names == COCO.names and samples.scheme.sigmas == COCO.sigmas
    assert samples.scheme.classes.names == ("person",) and samples.scheme.classes.ids == (1,)


def test_the_truth_of_an_image_is_everybody_in_the_order_of_the_file(coco_folder):
    def add(content):
        content["images"].append({"id": 14, "file_name": "13.jpg", "width": 160, "height": 120})
        content["annotations"][2]["ignore"] = 1
        content["annotations"][0]["num_keypoints"] = 0  # what the file says counts, not the flags

    edit_json(coco_folder / "people.json", add)
    samples = load(coco_folder)
    truth = samples.truth(0)
    assert truth.boxes_xyxy.tolist() == [[10, 10, 50, 100], [70, 20, 130, 110]]
    assert truth.areas.tolist() == [0.6 * 40 * 90, 0.6 * 60 * 90]
    assert (truth.visible > 0).sum(axis=1).tolist() == [17, 9]
    assert not truth.points[truth.visible == 0].any()
    assert truth.ignored.tolist() == [False, True] and truth.crowd.tolist() == [False, False]
    assert samples.truth(1).ignored.tolist() == [True]
    crowd, unlabelled = (samples.truth(2).select(slice(i, i + 1)) for i in range(2))
    assert crowd.crowd.all() and crowd.ignored.all() and not crowd.visible.any()
    assert not unlabelled.crowd.any() and unlabelled.ignored.all()
    nobody = samples.truth(3)
    assert isinstance(nobody, Objects) and len(nobody.labels) == 0 and nobody.points.shape == (0, 17, 2)


def test_people_with_and_without_keypoints_share_an_image(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][3].update(image_id=11))
    truth = load(coco_folder).truth(0)
    assert (truth.visible > 0).sum(axis=1).tolist() == [17, 9, 0]
    assert truth.crowd.tolist() == [False, False, True]


def test_windows_follow_the_official_box_rule(coco_folder):
    crops = load(coco_folder).crops()
    # Box 10, 10, 40, 90 loses a pixel; 1.25 pads it.
    np.testing.assert_allclose(crops.windows_xywh[0], (10, 10, 39, 89))
    crop = look(load(coco_folder)).crop(0)
    np.testing.assert_allclose(crop.center, (29.5, 54.5))
    np.testing.assert_allclose(crop.size, (89 * 1.25 * 0.75, 89 * 1.25))


def test_annotation_read_back_through_its_own_frame_is_the_annotation(coco_folder):
    inputs = look(load(coco_folder))
    for index in range(3):
        one = inputs[SampleKey(index, 0, 0)]
        truth = inputs.truth(index)
        points = one.targets["keypoints"][inputs.scheme.flip_order()] if one.frame.mirror else one.targets["keypoints"]
        labelled = truth.visible[0] > 0
        back = one.frame.points_to_image(points)
        np.testing.assert_allclose(back[labelled], truth.points[0][labelled], atol=1e-3)


def test_an_image_is_read_once_for_all_the_people_in_it(coco_folder, monkeypatch):
    from hrtoolkit import samples

    reads = []
    real = samples.read_annotated_image
    monkeypatch.setattr(samples, "read_annotated_image", lambda path, *size: reads.append(path) or real(path, *size))
    inputs = look(load(coco_folder))
    for i in range(len(inputs)):
        inputs[i]
    assert len(reads) == 2


def test_samples_are_repeatable_and_workers_do_not_matter(coco_folder):
    inputs = look(load(coco_folder))
    np.testing.assert_array_equal(inputs[SampleKey(0, 5, 1)].pixels, inputs[SampleKey(0, 5, 1)].pixels)
    batches = []
    for workers in (0, 2):
        loader = build_dataloader(inputs, 2, workers, training=True, seed=3)
        loader.sampler.set_epoch(4)
        with stopping_workers(loader):
            batches.append(list(loader))
    for a, b in zip(*batches, strict=True):
        assert (a["images"] == b["images"]).all()
        assert (a["targets"]["keypoints"] == b["targets"]["keypoints"]).all()


def test_left_out_annotations_are_counted(coco_folder, caplog):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][1].update(bbox=[10, 10, 0, 50]))
    with caplog.at_level(logging.INFO):
        samples = load(coco_folder)
    assert len(samples.crops().samples) == 2
    expected = (
        "2 of 5 annotations used (1 left out: crowd, 1 left out: no labelled keypoint, 1 left out: box of zero size)"
    )
    assert expected in caplog.text
    (finding,) = [finding for finding in samples.findings if "box of zero size" in finding.what]
    assert (finding.level, finding.ids, finding.count) == ("warning", (2,), 1)


def test_detections_replace_annotated_boxes(coco_folder):
    detections = [
        {"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9},
        {"image_id": 11, "category_id": 1, "bbox": [-4, 10, 40, 90], "score": 0.4},
        {"image_id": 11, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 0.4},
        {"image_id": 11, "category_id": 1, "bbox": [0, 0, 0, 9], "score": 0.4},
    ]
    (coco_folder / "boxes.json").write_text(json.dumps(detections))
    samples = load(coco_folder, box_file="boxes.json")
    inputs = look(samples)
    assert len(inputs) == 2
    assert inputs[0].frame.score == pytest.approx(0.4)
    np.testing.assert_allclose(inputs.crop(0).center, (16, 55))  # neither cleaned nor clipped
    assert inputs.objects.tolist() == [-1, -1]
    # The truth is who is annotated all the same: two of them in image 11.
    truth = samples.truth(0)
    assert truth.points.shape == (2, 17, 2)
    assert (truth.visible > 0).sum() == 17 + 9


def test_detections_do_not_excuse_annotations_of_unlisted_images(coco_folder):
    detections = [{"image_id": 13, "category_id": 1, "bbox": [30, 30, 50, 60], "score": 0.5}]
    (coco_folder / "boxes.json").write_text(json.dumps(detections))
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][0].update(image_id=99))
    samples = load(coco_folder, box_file="boxes.json")
    with pytest.raises(DataError, match=r"of an image that the file does not list: 1 \(annotation 1 of image 99\)"):
        samples.findings.raise_stops()


def test_detections_need_no_annotations_as_on_a_test_set(coco_folder):
    (coco_folder / "boxes.json").write_text(
        json.dumps([{"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9}])
    )
    edit_json(coco_folder / "people.json", lambda c: c.pop("annotations"))
    samples = load(coco_folder, box_file="boxes.json")
    assert [samples.truth(i) for i in range(3)] == [None] * 3
    assert look(samples)[0].pixels.any()


def test_a_file_with_its_own_keypoints_needs_no_code(coco_folder):
    def own(content):
        content["categories"] = [
            {"id": 1, "name": "cat", "keypoints": ["left_ear", "right_ear", "tail"], "skeleton": [[1, 2], [2, 3]]}
        ]
        for annotation in content["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:9]

    edit_json(coco_folder / "people.json", own)
    scheme = load(coco_folder).scheme
    assert scheme.names == ("left_ear", "right_ear", "tail")
    assert scheme.mirrored == (("left_ear", "right_ear"),)
    assert scheme.skeleton == (("left_ear", "right_ear"), ("right_ear", "tail"))
    custom = load(coco_folder, scheme=dict(mirrored=[], sigmas=[0.1, 0.1, 0.2])).scheme
    assert custom.mirrored == () and custom.sigmas == (0.1, 0.1, 0.2)
    # A config may name the keypoints anew, a model may not.
    assert load(coco_folder, scheme=dict(names=["a", "b", "c"])).scheme.names == ("a", "b", "c")
    told = load(coco_folder, scheme=KeypointScheme(("a", "b", "c"))).scheme
    assert told.names == ("left_ear", "right_ear", "tail")
    with pytest.raises(DataError, match=r"without 2 keypoints .* name those 3 in the order of the file"):
        load(coco_folder, scheme=["a", "b"])


def test_keypoints_in_another_order_are_those_of_the_model_by_name(coco_folder):
    plain = load(coco_folder, scheme=COCO)
    names = list(reversed(COCO.names[:13]))

    def reverse(content):
        content["categories"][0].update(keypoints=names, skeleton=[])
        for annotation in content["annotations"]:
            values = np.array(annotation["keypoints"]).reshape(17, 3)[:13][::-1]
            annotation["keypoints"] = values.ravel().tolist()

    edit_json(coco_folder / "people.json", reverse)
    samples = load(coco_folder, scheme=COCO)
    assert samples.scheme.names == tuple(names)
    assert samples.scheme.sigmas == COCO.sigmas[:13][::-1]
    assert ("left_eye", "right_eye") in samples.scheme.mirrored and "nose" in samples.scheme.upper_body
    check_same(samples.scheme, COCO)
    expected, got = plain.truth(0), convert(samples.truth(0), samples.scheme, COCO)
    np.testing.assert_array_equal(got.points[:, :13], expected.points[:, :13])
    np.testing.assert_array_equal(got.visible[:, :13], expected.visible[:, :13])
    assert not got.visible[:, 13:].any()


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
    "no box": (
        lambda p: edit_json(p, lambda c: c["annotations"][0].pop("bbox")),
        r"annotations without a `bbox`.*: 1 \(1\)",
    ),
    "no image": (
        lambda p: edit_json(p, lambda c: [i.pop("width") for i in c["images"]]),
        r"none of 3 images can be used: .*images that lack \['width'\]: 3",
    ),
    "an id that is none": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].update(id=[2])),
        r"whose `id` is a list, expected a whole number or a text: 1 \(annotations\[1\] with id \[2\]: \[2\]\)",
    ),
    "numbers too large": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].update(area=10**400)),
        r"annotations with numbers that are too large: 1 \(id 2\)",
    ),
    "categories": (
        lambda p: edit_json(p, lambda c: c["categories"].extend([{"id": 2}, {"id": None, "name": "dog"}])),
        r"(?s)lack \['name'\]: 1 \(categories\[1\]: .*`id` is null, .*: 1 \(categories\[2\]: None\)",
    ),
    "words for numbers": (
        lambda p: edit_json(p, lambda c: c["annotations"][1].update(bbox=["a", "b", "c", "d"])),
        r"whose `bbox` holds a text, expected a list of four numbers: 1 \(annotations\[1\] with id 2: 'a'\)",
    ),
    "several at once": (
        lambda p: edit_json(p, lambda c: (c["annotations"][0].update(image_id=99), c["annotations"][1].pop("bbox"))),
        r"(?s)annotation 1 of image 99.*without a `bbox`",
    ),
    "no names": (lambda p: edit_json(p, lambda c: c["categories"][0].pop("keypoints")), "lists no keypoint names"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_bad_annotation_files_have_one_clear_error(name, coco_folder):
    change, message = MISTAKES[name]
    change(coco_folder / "people.json")
    with pytest.raises(DataError, match=message):
        load(coco_folder).findings.raise_stops()


def test_faulty_people_are_left_out_and_the_others_stay(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][1].pop("bbox"))
    samples = load(coco_folder)
    assert "without a `bbox`" in stop_messages(samples)
    assert len(samples.truth(0).labels) == 1 and len(samples.crops().samples) == 2


FAULTY = {
    "a text": lambda a: a.update(bbox=["1", "2", "3", "4"]),
    "no id": lambda a: a.pop("id"),
    "no box": lambda a: a.pop("bbox"),
    "another number of keypoints": lambda a: a.update(keypoints=[1, 2, 2]),
    "a keypoint that is not finite": lambda a: a["keypoints"].__setitem__(0, None),
    "an unlisted image": lambda a: a.update(image_id=99),
    "an unlisted category": lambda a: a.update(category_id=9),
    "an image id as a text": lambda a: a.update(image_id="11"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_faults_of_every_kind_can_be_dropped(coco_folder, fault):
    edit_json(coco_folder / "people.json", lambda c: FAULTY[fault](c["annotations"][1]))
    assert stop_messages(load(coco_folder))
    dropped = load(coco_folder, faults="drop")
    assert not stop_messages(dropped) and any(finding.level == "warning" for finding in dropped.findings)
    assert len(dropped.crops().samples) == 2 and len(dropped.truth(0).labels) == 1


def test_areas_that_are_missing_are_those_of_the_boxes(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: [a.pop("area") for a in c["annotations"]])
    samples = load(coco_folder)
    assert samples.truth(0).areas.tolist() == [40 * 90, 60 * 90]
    assert "without an `area`, which is taken from the box: 3 (1, 2, 3)" in "".join(map(str, samples.findings))
    assert not stop_messages(samples)


def test_people_of_no_extent_are_left_out_or_given_a_smallest_box(coco_folder):
    def flatten(content):
        content["annotations"][1].update(bbox=[30, 40, 0, 0], area=0, keypoints=[30, 40, 2] + [0] * 48, num_keypoints=1)

    edit_json(coco_folder / "people.json", flatten)
    samples = load(coco_folder)
    assert not stop_messages(samples) and len(samples.crops().samples) == 2
    assert samples.truth(0).ignored.tolist() == [True, False]
    grown = load(coco_folder, smallest_box=20)
    assert grown.truth(0).boxes_xyxy[0].tolist() == [20, 30, 40, 50] and grown.truth(0).areas[0] == 400
    assert grown.truth(0).ignored.tolist() == [False, False] and len(grown.crops().samples) == 3


def test_people_whose_keypoints_are_lost_are_told_and_ignored(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][1].pop("keypoints"))
    samples = load(coco_folder)
    assert any("counts `keypoints` that are not there: 1 (2)" in str(finding) for finding in samples.findings)
    assert samples.truth(0).ignored.tolist() == [True, False] and not stop_messages(samples)


FOREIGN = {
    "<annotations><image name='a.jpg'/></annotations>": "CVAT's XML",
    '{"version": "5.0", "shapes": [], "imagePath": "a.jpg"}': "labelme's json",
    '[{"id": 1, "annotations": [{"result": [{"from_name": "a"}]}]}]': "Label Studio's json",
    '{"a.jpg": {"filename": "a.jpg", "regions": [{"shape_attributes": {}}]}}': "VIA's format",
    "scorer,me,me,me,me\nbodyparts,a,a,b,b\n": "DeepLabCut's table",
    "0 0.5 0.5 0.2 0.2\n": "YOLO's format",
    "\x89HDF\r\n\x1a\n": "HDF5",
}


@pytest.mark.parametrize("text", FOREIGN)
def test_other_formats_are_named_wherever_a_file_is_read(coco_folder, text):
    told = f"this is {FOREIGN[text]}"
    for name in ("people.json", "boxes.json", "train.json"):
        (coco_folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"people\.json: {told}"):
        load(coco_folder)
    with pytest.raises(DataError, match=rf"train\.json: {told}"):
        MpiiPose(data_root=coco_folder, ann_file="train.json")


def test_a_file_of_detections_in_another_format_is_named(coco_folder):
    (coco_folder / "boxes.json").write_text("<annotations></annotations>")
    with pytest.raises(DataError, match=r"boxes\.json: this is CVAT's XML"):
        load(coco_folder, box_file="boxes.json")
    (coco_folder / "boxes.json").write_text('[{"image_id": 1, "score": 1},')
    with pytest.raises(DataError, match=r"boxes\.json: not valid json"):
        load(coco_folder, box_file="boxes.json")
    with pytest.raises(DataError, match="a list of detections; is it a file of annotations"):
        load(coco_folder, box_file="people.json")


def test_where_all_boxes_are_flat_the_remedy_is_a_smallest_box(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: [a.update(bbox=[30, 40, 0, 0]) for a in c["annotations"]])
    with pytest.raises(
        DataError, match=r"box of zero size in the image: 3 .*; ask for a smallest box by .*`smallest_box`"
    ):
        load(coco_folder)
    assert len(load(coco_folder, smallest_box=32).crops().samples) == 3
    edit_json(coco_folder / "people.json", lambda c: [a.update(bbox=[30, 40, 9, 9], area=0) for a in c["annotations"]])
    with pytest.raises(DataError, match=r"with an `area` of zero: 3 .*; correct `area`, or leave it out"):
        load(coco_folder)


def test_a_category_that_nobody_has_names_those_in_use(coco_folder):
    def add(content):
        content["categories"].append({**content["categories"][0], "id": 5, "name": "rider"})

    edit_json(coco_folder / "people.json", add)
    with pytest.raises(
        DataError, match=r"of the categories 1, wanted is rider \(5\); correct the dataset's `category`"
    ):
        load(coco_folder, category="rider")
    with pytest.raises(DataError, match=r"no category is called ridr among person, rider; did you mean 'rider'"):
        load(coco_folder, category="ridr")


def test_categories_with_the_same_keypoints_are_trained_together(coco_folder):
    def add(content):
        content["categories"].append({**content["categories"][0], "id": 5, "name": "rider"})
        content["annotations"][1]["category_id"] = 5

    edit_json(coco_folder / "people.json", add)
    samples = load(coco_folder)
    assert samples.scheme.classes.names == ("person", "rider") and samples.scheme.classes.ids == (1, 5)
    assert samples.crops().labels.tolist() == [1, 0, 0] and samples.truth(0).labels.tolist() == [1, 0]
    alone = load(coco_folder, category="person")
    assert alone.scheme.classes.names == ("person",) and len(alone.crops().samples) == 2
    edit_json(coco_folder / "people.json", lambda c: c["categories"][1].update(keypoints=["nose"], skeleton=[]))
    with pytest.raises(DataError, match=r"2 categories with different keypoints \(person with 17, rider with 1\)"):
        load(coco_folder)


def test_a_file_may_name_more_keypoints_than_it_has(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c["categories"][0]["keypoints"].extend(["left_toe", "right_toe"]))
    with pytest.raises(DataError, match=r"without 19 keypoints .* name those 17 in the order of the file"):
        load(coco_folder)
    samples = load(coco_folder, scheme="coco")
    assert samples.scheme.names == COCO.names and len(samples.crops().samples) == 3


def test_a_skeleton_that_does_not_fit_stops_nobody(coco_folder):
    def shorten(content):
        content["categories"][0].update(keypoints=["nose", "left_eye", "right_eye"])
        for annotation in content["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:9]

    def lines(skeleton):
        edit_json(coco_folder / "people.json", lambda c: c["categories"][0].update(skeleton=skeleton))
        samples = load(coco_folder)
        assert not stop_messages(samples)
        return samples.scheme.skeleton

    assert load(coco_folder, scheme=dict(skeleton=[("nose", "left_ear")])).scheme.skeleton == (("nose", "left_ear"),)
    edit_json(coco_folder / "people.json", shorten)
    assert lines([[1, 2], [4, 2], [1, 2, 3], "1-2", [True, 2], [1.5, 2]]) == (("nose", "left_eye"),)
    assert lines([[0, 1], [1, 2]]) == (("nose", "left_eye"), ("left_eye", "right_eye"))
    assert lines([["nose", "left_eye"], ["nose", "tail"]]) == (("nose", "left_eye"),)
    assert lines({"a": 1}) == lines(7) == lines(None) == ()


DETECTION = {"image_id": 11, "category_id": 1, "bbox": [10, 10, 40, 90], "score": 0.9}


def detect(folder, *changes):
    """Load with a file of detections, of which some are changed."""
    detections = [{**DETECTION, **change} for change in changes]
    (folder / "boxes.json").write_text(json.dumps(detections))
    return load(folder, box_file="boxes.json")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bbox": [float("nan")] * 4}, r"box or score that is not finite: 1 \(detections\[1\]\)"),
        ({"score": float("inf")}, r"box or score that is not finite: 1 \(detections\[1\]\)"),
        ({"bbox": [1, 2, 0, 5]}, r"box of zero size: 1 \(detections\[1\]\)"),
        ({"image_id": 99}, r"do not list: 1 \(detections\[1\] of image 99\)"),
        ({"image_id": "11"}, r'do not list: 1 \(detections\[1\] of image "11"\)'),
        ({"bbox": ["1", "2", "3", "4"]}, r"`bbox` holds a text, .*: 1 \(detections\[1\]: '1'\)"),
        ({"score": None}, r"`score` is null, .*: 1 \(detections\[1\]: None\)"),
    ],
)
def test_detections_that_cannot_be_used_are_left_out_and_told(coco_folder, change, told):
    samples = detect(coco_folder, {}, change, {"image_id": 12}, {"image_id": 12})
    assert len(samples.crops().samples) == 3
    (finding,) = [finding for finding in samples.findings if finding.level != "note"]
    assert finding.level == "warning" and re.search(told, str(finding)) and "boxes.json" in finding.where


def test_detections_in_fractions_or_corners_stop(coco_folder):
    fractions = detect(coco_folder, {"bbox": [0.1, 0.1, 0.3, 0.7]}, {"bbox": [0.2, 0.1, 0.3, 0.6]})
    assert "boxes.json: boxes that look like fractions" in stop_messages(fractions)
    corners = detect(coco_folder, *[{"bbox": [60 + i, 30, 120 + i, 110]} for i in range(12)])
    assert "boxes.json: boxes that look like corners" in stop_messages(corners)
    with pytest.raises(DataError, match=r"none of 1 detections is usable|not finite: 1"):
        detect(coco_folder, {"bbox": [float("nan")] * 4})


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_bad_images_have_one_clear_error_that_names_them(damage, workers, coco_folder):
    path = coco_folder / "images" / "12.jpg"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 2000 if damage == "truncated" else 0])
    expected = {"missing": "no such image", "truncated": r"cut short \(2000 bytes\)", "empty": "not a readable image"}
    loader = build_dataloader(look(load(coco_folder)), 1, workers, training=False)
    with stopping_workers(loader), pytest.raises(DataError, match=rf"^[^\n]*12\.jpg: .*{expected[damage]}[^\n]*$"):
        list(loader)


def test_bytes_after_the_end_of_a_jpeg_do_no_harm(coco_folder):
    path = coco_folder / "images" / "12.jpg"
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert look(load(coco_folder))[2].pixels.any()


JOINTS = [[10.0 + j, 20.0 + j] for j in range(16)]
PERSON = {"image": "a.jpg", "center": [100.0, 120.0], "scale": 1.2, "joints": JOINTS, "joints_vis": [1] * 15 + [0]}


def load_mpii(folder, people, **options):
    (folder / "images").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "images" / "a.jpg"), np.zeros((300, 300, 3), np.uint8))
    (folder / "train.json").write_text(json.dumps(people))
    return MpiiPose(data_root=folder, ann_file="train.json", **options)


def test_mpii_centres_scales_and_joints_follow_the_official_rule(tmp_path):
    samples = load_mpii(tmp_path, [PERSON, {**PERSON, "center": [-1, 50]}])
    assert len(samples) == 2 and samples.images.ids.tolist() == ["a.jpg"] * 2  # a sample is a person
    inputs = look(samples, input_size=(256, 256))
    np.testing.assert_allclose(inputs.crop(0).center, (99, 120 + 15 * 1.2 - 1))
    np.testing.assert_allclose(inputs.crop(0).size, (300, 300))
    np.testing.assert_allclose(inputs.crop(1).size, (240, 240))  # who has no centre gets no padding
    np.testing.assert_allclose(samples.truth(0).points[0, 3], (12, 22))
    assert inputs[SampleKey(0, 0, 0)].targets["visible"].sum() == 15
    assert samples.scheme is MPII and samples.truth(0).sizes is None
    lacking = {name: value for name, value in PERSON.items() if name != "scale"}
    with pytest.raises(DataError, match=r"people that lack \['scale'\]: 1 \(person 0\)"):
        load_mpii(tmp_path, [lacking])
    samples = load_mpii(tmp_path, [lacking, {**PERSON, "scale": 0}, PERSON, {**PERSON, "joints": JOINTS[:3]}])
    assert len(samples) == 1
    message = stop_messages(samples)
    assert "`scale` is not a number above 0: 1 (person 1: 0)" in message
    assert "`joints` is not 16 joints of x and y: 1 (person 3: " in message


@pytest.mark.parametrize(
    ("person", "told"),
    [
        ([1, 2], r"people that are no json objects: 1 \(person 1: \[1, 2\]\)"),
        ({**PERSON, "scale": "1.2"}, r"`scale` is a text, expected a number above 0: 1 \(person 1: '1.2'\)"),
        ({**PERSON, "scale": float("inf")}, r"`scale` is not a number above 0: 1 \(person 1: inf\)"),
        ({**PERSON, "image": None}, r"`image` is null, expected a text"),
        ({**PERSON, "center": [1, None]}, r"`center` holds null, expected a list of two numbers"),
        ({**PERSON, "center": [1, float("nan")]}, r"`center` is not finite: 1 \(person 1: \[1, nan\]\)"),
        ({**PERSON, "joints": [[*joint, 1] for joint in JOINTS]}, "`joints` is not 16 joints of x and y"),
        ({**PERSON, "joints": [[None, 1.0], *JOINTS[1:]]}, "`joints` is not 16 joints of x and y"),
        ({**PERSON, "joints": [[float("nan"), 1], *JOINTS[1:]]}, "labelled joints that are not finite: 1"),
        ({**PERSON, "joints_vis": [True] * 16}, "`joints_vis` holds true or false"),
    ],
)
def test_mpii_people_that_cannot_be_used_are_told_or_left_out(tmp_path, person, told):
    samples = load_mpii(tmp_path, [PERSON, person, PERSON])
    assert re.search(told, stop_messages(samples)) and len(samples) == 2
    dropped = load_mpii(tmp_path, [PERSON, person, PERSON], faults="drop")
    assert not stop_messages(dropped) and len(dropped) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scale": 80.0}, "much smaller than their window"),
        ({"center": [900.0, 20.0]}, "joints lie outside their window"),
    ],
)
def test_mpii_windows_in_another_unit_or_elsewhere_stop(tmp_path, change, told):
    assert not [f for f in load_mpii(tmp_path, [PERSON] * 3).findings if f.level != "note"]
    samples = load_mpii(tmp_path, [{**PERSON, **change}] * 2 + [PERSON])
    assert told in stop_messages(samples) and "units of 200 pixels" in stop_messages(samples)
    (finding,) = [f for f in load_mpii(tmp_path, [{**PERSON, **change}] + [PERSON] * 2).findings if f.level != "note"]
    assert finding.level == "warning" and finding.ids == (0,)


def test_mpii_head_sizes_must_be_numbers(tmp_path):
    corners = np.array([[(100, 100), (130, 140)], [(7, 7), (7, 7)]]).transpose(1, 0, 2)
    write_mpii(tmp_path / "gt_valid.mat", np.array([JOINTS] * 2), np.zeros((2, 16)), corners)
    samples = load_mpii(tmp_path, [PERSON, PERSON], gt_file="gt_valid.mat")
    assert "people without a head size in gt_valid.mat: 1 (1)" in stop_messages(samples)
    content = {"pos_gt_src": "abc", "jnt_missing": np.zeros((16, 2)), "headboxes_src": np.zeros((2, 2, 2))}
    savemat(tmp_path / "gt_valid.mat", content)
    with pytest.raises(DataError, match=r"pos_gt_src is <U3 \[1\], expected numbers \[16, 2, N\]"):
        load_mpii(tmp_path, [PERSON, PERSON], gt_file="gt_valid.mat")


def write_mpii(path, positions, missing, corners):
    savemat(
        path,
        {
            "pos_gt_src": positions.transpose(1, 2, 0),
            "jnt_missing": missing.T.astype(np.uint8),
            # The larger corner first, in unsigned numbers: the size of the box must not wrap around.
            "headboxes_src": corners[::-1].transpose(0, 2, 1).astype(np.uint16),
        },
    )


def test_what_counts_in_mpii_is_read_from_the_official_file(tmp_path):
    positions = np.array([JOINTS, JOINTS, JOINTS])
    missing = np.zeros((3, 16), bool)
    missing[2, 4] = True
    corners = np.array([[(100, 100)] * 3, [(103, 104), (106, 108), (130, 140)]])
    write_mpii(tmp_path / "gt_valid.mat", positions, missing, corners)
    faulty = {**PERSON, "scale": 0}
    samples = load_mpii(tmp_path, [faulty, PERSON, PERSON], gt_file="gt_valid.mat")
    assert [samples.truth(i).sizes.tolist() for i in range(2)] == [[10], [50]]  # the others keep their own truth
    truth = samples.truth(1)
    np.testing.assert_array_equal(truth.points[0, 3], (12, 22))  # counted from 0
    assert truth.visible[0].tolist() == [1] * 4 + [0] + [1] * 11  # as this file says, not the list of people
    assert "elsewhere" not in stop_messages(samples)


def test_mpii_people_must_be_those_of_the_official_file(tmp_path):
    corners = np.array([[(100, 100)], [(130, 140)]])
    write_mpii(tmp_path / "gt_valid.mat", np.array([JOINTS]) + 30, np.zeros((1, 16)), corners)
    samples = load_mpii(tmp_path, [PERSON], gt_file="gt_valid.mat")
    assert "people whose joints lie elsewhere than in gt_valid.mat: 1 (0)" in stop_messages(samples)


def test_mpii_names_missing_fields_a_missing_file_and_a_wrong_number_of_people(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.mat: no such file; take gt_valid.mat"):
        load_mpii(tmp_path, [PERSON], gt_file="nowhere.mat")
    savemat(tmp_path / "other.mat", {"jnt_missing": np.zeros((16, 4)), "something": [1]})
    with pytest.raises(
        DataError, match=r"other.mat: lacks pos_gt_src \[16, 2, N\], headboxes_src .* holds .*'something'"
    ):
        load_mpii(tmp_path, [PERSON], gt_file="other.mat")
    corners = np.array([[(100, 100)], [(130, 140)]])
    write_mpii(tmp_path / "gt_valid.mat", np.array([JOINTS]), np.zeros((1, 16)), corners)
    with pytest.raises(DataError, match=r"gt_valid.mat: holds 1 people, but the list of people has 2; PCKh needs"):
        load_mpii(tmp_path, [PERSON, PERSON], gt_file="gt_valid.mat")


def test_ids_may_be_texts(coco_folder):
    def rename(content):
        for image in content["images"]:
            image["id"] = f"image {image['id']}"
        for annotation in content["annotations"]:
            annotation["image_id"] = f"image {annotation['image_id']}"

    edit_json(coco_folder / "people.json", rename)
    samples = load(coco_folder)
    assert [samples.images.ids[i] for i in samples.crops().samples] == ["image 11", "image 11", "image 12"]


def arrays_of(samples):
    return [value for part in (samples.images, samples.people, samples.crops()) for value in part if value is not None]


def test_packing_in_pieces_changes_nothing(coco_folder, monkeypatch):
    whole = arrays_of(load(coco_folder))
    monkeypatch.setattr("hrtoolkit.data.coco.PACKED", 2)
    pieces = arrays_of(load(coco_folder))
    assert len(whole) > 10
    for ours, theirs in zip(pieces, whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_people_are_kept_in_arrays_only(coco_folder):
    # A loader worker that touches a Python object copies its page: what grows with the data must not be objects.
    (coco_folder / "boxes.json").write_text(
        json.dumps([{"image_id": 12, "category_id": 1, "bbox": [30, 20, 50, 80], "score": 0.9}])
    )
    for samples in (load(coco_folder), load(coco_folder, box_file="boxes.json")):
        assert all(array.dtype.kind != "O" for array in arrays_of(samples))
        held = [*vars(samples).values(), *vars(look(samples)).values()]
        assert not any(isinstance(value, dict | list) and len(value) > 3 for value in held)


def add_regions(content):
    """Segmentations of the crowd (run lengths of its left half) and of the person without keypoints (a polygon)."""
    crowd, person = content["annotations"][3:]
    crowd["segmentation"] = {"size": [120, 160], "counts": [0, 120 * 80, 120 * 80]}
    person["segmentation"] = [[100, 20, 150, 20, 150, 70, 100, 70]]
    content["annotations"][0]["segmentation"] = [[30, 20, 80, 20, 80, 100, 30, 100]]


def test_a_whole_image_is_learnt_with_the_regions_of_those_who_are_not(coco_folder):
    edit_json(coco_folder / "people.json", add_regions)
    samples = load(coco_folder, masks=True)
    nobody = samples.to_learn(2)
    assert nobody.ignored.tolist() == [True, True] and not nobody.visible.any()
    crowd, person = nobody.masks.draw()
    assert crowd.sum() == 80 * 120 and crowd[:, :80].all() and person.sum() == 50 * 50
    somebody = samples.to_learn(1)
    assert somebody.ignored.tolist() == [False] and somebody.masks.segmentations == [[]]
    assert samples.truth(2).masks is None  # scores have no use for them
    plain = load(coco_folder)
    assert len(plain.to_learn(2).labels) == 0 and plain.to_learn(0).masks is None
    assert len(plain.to_learn(0).labels) == 2


def test_files_without_segmentations_have_no_regions(coco_folder):
    samples = load(coco_folder, masks=True)
    assert samples.to_learn(2).masks.segmentations == [[], []] and not list(samples.findings)[1:]
    assert not samples.to_learn(2).masks.draw().any()


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ({"size": [160, 120], "counts": [0, 19200]}, "have run lengths of another size than their image: 1 (4)"),
        ([[1, 2, 3]], "have a polygon that is no list of x, y, x, y, ...: 1 (4)"),
        ("abc", "have a segmentation that is neither a list of polygons nor run lengths: 1 (4)"),
    ],
)
def test_regions_that_are_of_no_use_are_told(coco_folder, segmentation, said):
    edit_json(coco_folder / "people.json", add_regions)
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][3].update(segmentation=segmentation))
    samples = load(coco_folder, masks=True)
    (found,) = [str(f) for f in samples.findings if f.level == "warning"]
    assert said in found and "learnt to be background" in found
    assert [bool(one) for one in samples.to_learn(2).masks.segmentations] == [False, True]
    assert not [f for f in load(coco_folder).findings if f.level == "warning"]


def test_images_in_which_nobody_is_trained_on_can_be_left_out(coco_folder, caplog):
    edit_json(coco_folder / "people.json", add_regions)
    with caplog.at_level(logging.INFO):
        samples = load(coco_folder, masks=True, keep_empty=False)
    assert "2 of 3 images used (in the others is nobody to train on)" in caplog.text
    every = load(coco_folder, masks=True)
    assert len(samples) == 2 and len(every) == 3 and samples.images.ids.tolist() == [11, 12]
    for sample in (0, 1):
        for mine, other in zip(samples.truth(sample), every.truth(sample), strict=True):
            np.testing.assert_array_equal(mine, other)
    for mine, other in zip(samples.crops(), every.crops(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_somebody_whose_number_of_keypoints_is_0_is_learnt_by_those_that_are_labelled(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c["annotations"][0].update(num_keypoints=0))  # as in CrowdPose
    samples = load(coco_folder)
    assert samples.truth(1).ignored.tolist() == [True] and len(samples.to_learn(1).labels) == 1


def test_test_data_is_not_learnt(coco_folder):
    edit_json(coco_folder / "people.json", lambda c: c.update(annotations=[]))
    (coco_folder / "boxes.json").write_text('[{"image_id": 11, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 1}]')
    with pytest.raises(DataError, match=r"11\.jpg: there is nothing annotated to train on"):
        load(coco_folder, box_file="boxes.json").to_learn(0)

"""Objects from COCO's and VOC's files: what is kept, what is told, and how batches are formed."""

import logging
import re

import cv2
import numpy as np
import pytest
import torch
from hrtoolkit.tasks.detection.datasets import CocoDetection, VocDetection
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric
from hrtoolkit.tasks.detection.postprocess import decode_masks, encode_masks
from hrtoolkit.tasks.detection.reading import Packed, unpack_run_lengths
from hrtoolkit.tasks.detection.transforms import ResizeFlip
from mmengine.evaluator import Evaluator

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import Draw, batch_by_group, build_dataloader
from hrtoolkit.errors import DataError
from tests.conftest import edit_json

from .conftest import rectangle, tiny_model


def load(folder, transform=None, **options):
    return CocoDetection(transform or ResizeFlip([(160, 120)], flip=0.5), folder, "objects.json", "images", **options)


def test_objects_are_grouped_by_image_and_labels_follow_the_category_ids(objects_folder):
    dataset = load(objects_folder)
    assert dataset.classes == ("cat", "dog", "cow") and dataset.category_ids == [3, 7, 9]
    assert dataset.image_ids.tolist() == [21, 22, 23, 24, 25]
    assert [dataset.labels[slice(*dataset.first[i : i + 2])].tolist() for i in range(5)] == [[0, 1], [1], [2], [], [0]]
    assert dataset.boxes[dataset.first[1]].tolist() == [10, 20, 60, 80]
    assert dataset.head_arguments() == {"classes": ["cat", "dog", "cow"], "convention": "mmdet"}


def test_classes_can_be_chosen_and_ordered(objects_folder, caplog):
    with caplog.at_level(logging.INFO):
        dataset = load(objects_folder, classes=["dog", "cat"])
    assert dataset.category_ids == [7, 3] and dataset.labels.tolist() == [1, 0, 0, 1]
    assert "1 belong to classes that are not used" in caplog.text and "1 are crowds" in caplog.text
    with pytest.raises(DataError, match=r"no category is called \['horse'\]; the file has \['cat', 'dog', 'cow'\]"):
        load(objects_folder, classes=["dog", "horse"])


def test_images_without_objects_and_tiny_ones_can_be_left_out(objects_folder, caplog):
    with caplog.at_level(logging.INFO):
        dataset = load(objects_folder, keep_empty=False, masks=True)
    assert dataset.image_ids.tolist() == [21, 22, 23]
    assert "3 of 5 images kept: 1 have no usable object, 1 are smaller than 32 pixels" in caplog.text
    assert [len(dataset.true_masks(i)) for i in range(3)] == [2, 1, 1]
    assert dataset.true_masks(2)[0].sum() == 900


def test_samples_follow_from_their_draw_alone(objects_folder):
    dataset = load(objects_folder, masks=True)
    first, again = dataset[Draw(0, 1, 7)], dataset[Draw(0, 1, 7)]
    assert (first["image"] == again["image"]).all() and (first["targets"]["boxes"] == again["targets"]["boxes"]).all()
    assert first["targets"]["masks"].shape == (2, 120, 160) and first["targets"]["labels"].tolist() == [0, 1]
    for mask, (x1, y1, x2, y2) in zip(first["targets"]["masks"], first["targets"]["boxes"].astype(int), strict=True):
        assert mask.sum() == mask[y1:y2, x1:x2].sum() == (x2 - x1) * (y2 - y1)
    assert (
        len({dataset[Draw(0, epoch, 7)]["targets"]["boxes"].tobytes() for epoch in range(10)}) == 2
    )  # mirrored or not
    plain = dataset[0]
    assert plain["meta"] == {"index": 0, "image_id": 21, "image_hw": (120, 160)}
    assert plain["targets"]["boxes"].tolist() == [[20, 30, 60, 80], [70, 10, 130, 50]]


def test_a_batch_is_padded_and_tells_the_sizes(objects_folder):
    dataset = load(objects_folder, ResizeFlip([(100, 80)]), masks=True)
    batch = dataset.collate([dataset[Draw(i, 0, 0)] for i in (0, 1, 3)])
    assert batch["images"].shape == (3, 3, 128, 128)
    assert [one["input_hw"] for one in batch["meta"]] == [(75, 100), (100, 75), (80, 80)]
    assert [one["image_hw"] for one in batch["meta"]] == [(120, 160), (160, 120), (100, 100)]
    assert not batch["images"][0, :, 75:].any() and not batch["images"][0, :, :, 100:].any()
    assert (batch["images"][0].permute(1, 2, 0)[:75, :100].numpy() == dataset[0]["image"]).all()
    assert [len(one["boxes"]) for one in batch["targets"]] == [2, 1, 0]
    assert batch["targets"][0]["masks"].shape == (2, 75, 100) and batch["targets"][2]["labels"].tolist() == []


def test_batches_hold_images_of_one_orientation(objects_folder):
    assert load(objects_folder).groups.tolist() == [1, 0, 1, 1, 1]
    groups = np.random.default_rng(0).integers(0, 2, 103)
    order = batch_by_group(groups, 4)
    assert sorted(order) == list(range(103))
    batches = groups[order[: len(order) // 4 * 4]].reshape(-1, 4)
    assert (batches == batches[:, :1]).all(axis=1).sum() >= len(batches) - 1  # the left-over batch may be mixed
    # Batches come in the order in which they fill up.
    waiting, expected = {0: [], 1: []}, []
    for position, group in enumerate(groups):
        waiting[group].append(position)
        if len(waiting[group]) == 4:
            expected += waiting[group]
            waiting[group] = []
    assert order[: len(expected)].tolist() == expected


def test_a_loader_deals_grouped_batches_and_goes_on_after_a_stop(objects_folder):
    dataset = load(objects_folder)
    dataset.groups = np.array([0, 1, 0, 1, 1])
    loader = build_dataloader(dataset, batch_size=2, num_workers=0, training=True, seed=3)
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches = [[one["index"] for one in batch["meta"]] for batch in loader]
        assert len(set(np.concatenate(batches).tolist())) == 4  # the fifth would be alone in its batch
        assert {len(set(dataset.groups[batch])) for batch in batches} == {1}
        loader.sampler.start = 2
        assert [[one["index"] for one in batch["meta"]] for batch in loader] == batches[1:]
        loader.sampler.start = 0


FAULTS = {
    "have something else than numbers as box, ids, area, iscrowd or ignore": lambda a: a.update(bbox=["a", 1, 2, 3]),
    "have run lengths that do not fill their image": lambda a: a.update(
        segmentation={"size": [120, 160], "counts": [0, 50000]}
    ),
    "have run lengths that are damaged": lambda a: a.update(segmentation={"size": [120, 160], "counts": "abc"}),
    "have a segmentation that is neither a list of polygons nor run lengths": lambda a: a.update(segmentation=["ab"]),
    "have a polygon of something else than numbers": lambda a: a.update(segmentation=[["a", 1, 2, 3, 4, 5]]),
    "have a polygon that is no list of x, y, x, y, ...": lambda a: a.update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]),
    "have a polygon far outside their image": lambda a: a.update(segmentation=[[1, 2, 3, 4, float("nan"), 6]]),
    "have all polygons outside their image": lambda a: a.update(segmentation=[[-9, 2, -5, 4, -3, 6]]),
    "have a box whose corners are exchanged": lambda a: a.update(bbox=[60, 80, -20, -30]),
    "lie outside their image": lambda a: a.update(bbox=[500, 20, 30, 30]),
    "have a category that is not listed": lambda a: a.update(category_id=77),
    "belong to an image that is not listed": lambda a: a.update(image_id=999),
    "have no box of four finite numbers": lambda a: a.update(bbox=[1, 2, 3]),
    "have no segmentation": lambda a: a.pop("segmentation"),
    "have a polygon of fewer than three points": lambda a: a.update(segmentation=[[1, 1, 5, 5]]),
    "have run lengths of another size than their image": lambda a: a.update(
        segmentation={"size": [10, 10], "counts": [100]}
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_annotations_stop_training_or_are_left_out(objects_folder, fault):
    edit_json(objects_folder / "objects.json", lambda content: FAULTS[fault](content["annotations"][1]))
    told = f"objects.json: annotations {fault}: 1 (102); correct them, or leave them out by"
    with pytest.raises(DataError, match=re.escape(told)):
        load(objects_folder, masks=True)
    examined = load(objects_folder, masks=True, strict=False)
    assert [(f.level, f.ids) for f in examined.findings] == [("stop", (102,))] and len(examined.boxes) == 4
    dropped = load(objects_folder, masks=True, faults="drop")
    assert [(f.level, f.ids) for f in dropped.findings] == [("warning", (102,))] and len(dropped.boxes) == 4
    # What is left out is not scored either.
    findings = examine({"val": dropped}, {"val": Evaluator(CocoDetectionMetric())})
    assert not [finding for finding in findings if finding.level == "stop"]


def test_damaged_run_lengths_are_known_from_sound_ones():
    mask = np.zeros((40, 30), bool)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.01, 0.3, 1.0):
        mask[rng.random(mask.shape) < share] = True
        (packed,) = encode_masks(mask[None])
        runs = unpack_run_lengths(packed["counts"])
        values = np.repeat(np.arange(len(runs)) % 2, runs).reshape(30, 40).T
        assert (values == mask).all()
    text = packed["counts"]
    long = encode_masks(np.eye(700, dtype=bool)[None])[0]["counts"]
    assert sum(unpack_run_lengths(long)) == 700 * 700
    assert sum(unpack_run_lengths(long[:-2])) < 700 * 700
    for damaged in ("", "P", long + "o", "~", " ", "\u00e9", "\ud800", "oooooooooo0", text + "\0"):
        assert unpack_run_lengths(damaged) is None, damaged


@pytest.mark.parametrize("segmentation", [None, {"size": [120, 160], "counts": "abc"}, [[1, 2, 3]]])
def test_crowds_with_a_faulty_mask_are_told_and_scored_by_their_box(objects_folder, segmentation):
    def change(content):
        crowd = next(a for a in content["annotations"] if a["iscrowd"])
        crowd["segmentation"] = segmentation

    edit_json(objects_folder / "objects.json", change)
    dataset = load(objects_folder, masks=True)
    (finding,) = dataset.findings
    assert (finding.level, finding.ids) == ("warning", (104,)) and finding.what.startswith("crowds that have ")
    assert len(dataset.boxes) == 5
    # A mask inside the crowd costs nothing: the metric takes it for the crowd's.
    metric = CocoDetectionMetric()
    metric.dataset_meta = dataset.metainfo
    truth = dataset.truth()
    inside = np.zeros((1, 120, 160), bool)
    inside[:, 50:70, 70:110] = True
    truth[2] |= {
        "boxes": np.float32([[70, 50, 110, 70], *truth[2]["boxes"]]),
        "masks": [*encode_masks(inside), *truth[2]["masks"]],
        "labels": np.array([0, 2]),
        "scores": np.ones(2, np.float32),
    }
    metric.process(None, truth)
    assert metric.evaluate(len(dataset))["mask_AP"] == pytest.approx(1)


@pytest.mark.parametrize("change", [dict(bbox=[0, 0, 10**400, 3]), dict(area=float("nan")), dict(ignore="0")])
def test_numbers_that_are_none_are_told(objects_folder, change):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(change))
    with pytest.raises(DataError, match=r"area, iscrowd or ignore: 1 \(102\)"):
        load(objects_folder)


def test_objects_to_be_ignored_are_neither_trained_nor_missed(objects_folder):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(ignore=1))
    dataset = load(objects_folder, masks=True)
    assert len(dataset.boxes) == 4
    assert examine({"val": dataset}, {"val": Evaluator(CocoDetectionMetric())}) == []


def test_ids_that_tell_nothing_apart_are_told(objects_folder):
    def change(content):
        content["annotations"][1] |= {"id": 101, "bbox": [500, 20, 30, 30]}
        content["annotations"][2]["id"] = "103"

    edit_json(objects_folder / "objects.json", change)
    dataset = load(objects_folder, faults="drop")
    told = {finding.what: (finding.level, finding.ids) for finding in dataset.findings}
    assert told["annotations that share an id, by id"] == ("warning", (101,))
    assert told["annotations with a text as id where others have a number"] == ("warning", ("'103'",))
    # Only the faulty one of the two is left out.
    assert [a["id"] for a in dataset.read_ground_truth()["annotations"]] == [101, "103", 104, 105, 106]
    edit_json(objects_folder / "objects.json", lambda content: content["images"][3].update(id="24"))
    with pytest.raises(DataError, match=r"images with a text as id where others have a number: 1 \('24'\)"):
        load(objects_folder, faults="drop")


def test_classes_without_an_object_are_told(objects_folder, voc_folder):
    def findings_of(dataset):
        return [(finding.level, finding.what, finding.ids) for finding in dataset.findings]

    def drop_cows(content):
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 9]

    edit_json(objects_folder / "objects.json", drop_cows)
    assert findings_of(load(objects_folder)) == [("warning", "classes that no usable object has", ("cow",))]
    with pytest.raises(DataError, match="none of the 5 annotations can be used: 1 are crowds, 4 belong to classes"):
        load(objects_folder, classes=["cow"])
    misspelt = VocDetection(ResizeFlip(), voc_folder, classes=["dog", "Persons"])
    assert findings_of(misspelt) == [
        ("warning", "classes that the files have and the dataset's classes have not", ("person, 2 objects",)),
        ("warning", "classes that no usable object has", ("Persons; did you mean 'person'?",)),
    ]
    with pytest.raises(DataError, match="none of the 3 annotations can be used: 1 are crowds, 2 belong to classes"):
        VocDetection(ResizeFlip(), voc_folder, classes=["horse"])
    (voc_folder / "ImageSets/Main/trainval.txt").write_text("c\n")
    with pytest.raises(DataError, match="no file has an object to take classes from"):
        VocDetection(ResizeFlip(), voc_folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(dict(bbox=[20, 30, 0, 50]), "have a box without extent"), (dict(area=0), "have an area of zero")],
)
def test_objects_without_extent_are_left_out_with_a_warning(objects_folder, change, reason):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(change))
    dataset = load(objects_folder)
    (finding,) = dataset.findings
    assert (finding.level, finding.what, finding.ids) == ("warning", f"annotations {reason}", (102,))
    assert len(dataset.boxes) == 4


def test_boxes_are_cut_at_the_edges_and_slivers_are_left_out(objects_folder, caplog):
    def change(content):
        content["annotations"][1]["bbox"] = [-20, 100, 60, 50]
        content["annotations"][2]["bbox"] = [10, 10, 0.5, 20]

    edit_json(objects_folder / "objects.json", change)
    with caplog.at_level(logging.INFO):
        dataset = load(objects_folder)
    assert dataset.boxes[0].tolist() == [0, 100, 40, 120]
    assert "1 measure less than a pixel" in caplog.text
    assert not dataset.findings


def load_people(folder, **options):
    return CocoDetection(ResizeFlip([(160, 120)], flip=1.0), folder, "people.json", "images", keypoints=True, **options)


def test_keypoints_come_with_their_objects_and_change_sides_when_mirrored(coco_folder):
    dataset = load_people(coco_folder)
    assert dataset.image_ids.tolist() == [11, 12, 13] and dataset.keypoints.shape == (4, 17, 3)
    nose, left_eye, right_eye = range(3)
    plain, mirrored = dataset[1]["targets"]["keypoints"], dataset[Draw(1, 0, 0)]["targets"]["keypoints"]
    assert mirrored[0, nose].tolist() == pytest.approx([159 - plain[0, nose, 0], *plain[0, nose, 1:]])
    assert mirrored[0, left_eye].tolist() == pytest.approx([159 - plain[0, right_eye, 0], *plain[0, right_eye, 1:]])
    batch = dataset.collate([dataset[Draw(i, 0, 0)] for i in range(3)])
    assert [one["keypoints"].shape for one in batch["targets"]] == [(2, 17, 3), (1, 17, 3), (1, 17, 3)]
    assert not batch["targets"][2]["keypoints"].any()  # annotated without any


def test_faulty_keypoints_are_told(coco_folder):
    def change(content):
        content["annotations"][0]["keypoints"].pop()
        content["annotations"][1]["keypoints"][0] = "a"
        content["annotations"][3]["keypoints"] = [1]  # of a crowd
        content["annotations"][4]["keypoints"] = None

    edit_json(coco_folder / "people.json", change)
    with pytest.raises(DataError, match=r"have keypoints that are not 17 times x, y and a flag: 2 \(1, 2\)"):
        load_people(coco_folder)
    assert len(load_people(coco_folder, faults="drop").keypoints) == 2
    edit_json(coco_folder / "people.json", lambda content: content["categories"][0].update(skeleton=[]))
    edit_json(coco_folder / "people.json", lambda content: content["categories"][0]["keypoints"].remove("left_eye"))
    told = [f.ids for f in load_people(coco_folder, strict=False).findings if f.what.startswith("keypoints that tell")]
    assert told == [("right_eye",)]
    edit_json(coco_folder / "people.json", lambda content: content["categories"][0].pop("keypoints"))
    with pytest.raises(DataError, match="the categories in use have no keypoint names"):
        load_people(coco_folder)
    edit_json(coco_folder / "people.json", lambda content: content["categories"][0].update(keypoints=[1, 2]))
    with pytest.raises(DataError, match=r"should be a list of names, got \[1, 2\]"):
        load_people(coco_folder)


def test_images_of_another_size_than_annotated_are_refused(objects_folder):
    cv2.imwrite(str(objects_folder / "images" / "21.png"), np.zeros((160, 120, 3), np.uint8))
    with pytest.raises(DataError, match=r"21.png: the image has 120 x 160 pixels, but was annotated with 160 x 120"):
        load(objects_folder)[0]


def test_malformed_files_are_refused(objects_folder):
    path = objects_folder / "objects.json"
    edit_json(path, lambda content: content["images"].append(content["images"][1]))
    with pytest.raises(DataError, match=r"images that share an id, by id: 1 \(22\)"):
        load(objects_folder)
    edit_json(path, lambda content: content["images"][-1].update(id=26))
    (finding,) = load(objects_folder).findings
    assert finding.what == "images listed under several ids, by name" and finding.ids == ("22.png",)
    edit_json(path, lambda content: content["images"].pop())
    edit_json(path, lambda content: content["annotations"][0].pop("bbox"))
    with pytest.raises(DataError, match=r"annotations\[0\] lacks \['bbox'\]"):
        load(objects_folder)
    edit_json(path, lambda content: content.update(categories=[]))
    with pytest.raises(DataError, match="'categories' is missing or empty"):
        load(objects_folder)
    edit_json(path, lambda content: content.update(categories=[{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]))
    edit_json(path, lambda content: content.update(annotations=[]))
    with pytest.raises(DataError, match="a category's name or id appears twice"):
        load(objects_folder)
    edit_json(path, lambda content: content.update(categories=[{"id": 1, "name": "a"}]))
    with pytest.raises(DataError, match="none of 5 images is left to use"):
        load(objects_folder, keep_empty=False)


def test_truth_scored_as_prediction_is_perfect(objects_folder):
    dataset = load(objects_folder, masks=True)
    metric = CocoDetectionMetric()
    metric.dataset_meta = dataset.metainfo
    truth = dataset.truth()
    assert decode_masks(truth[0]["masks"], (120, 160)).sum() == 2000 + 2400
    metric.process(None, truth)
    numbers = metric.evaluate(len(dataset))
    assert numbers["AP"] == pytest.approx(1) and numbers["mask_AP"] == pytest.approx(1)


def test_pictures_show_truth_and_prediction(objects_folder):
    dataset = load(objects_folder, masks=True)
    prediction = dataset.truth()[0]
    picture = dataset.draw([prediction])
    assert picture.shape == (120, 320, 3)
    assert (picture[60, 40] != dataset.read_image(0)[60, 40]).any()  # tinted
    assert (picture[115, 80] == dataset.read_image(0)[115, 80]).all()
    hidden = dataset.draw([prediction | {"scores": prediction["scores"] * 0.1}])
    assert (hidden[:, 160:] == dataset.read_image(0)).all()


def test_the_doctor_finds_sound_data_sound_and_missing_images(objects_folder):
    datasets = {"val": load(objects_folder, masks=True)}
    evaluators = {"val": Evaluator([CocoDetectionMetric()])}
    assert examine(datasets, evaluators, read_images=True) == []
    (objects_folder / "images" / "22.png").unlink()
    (finding,) = examine(datasets, evaluators)
    assert finding.level == "stop" and finding.ids == (22,)


def test_samples_are_drawn_beside_the_anchors_that_are_trained(objects_folder):
    dataset = load(objects_folder, masks=True)
    samples = [dataset[Draw(index, 1, 0)] for index in range(4)]
    batch = dataset.collate(samples)
    before = batch["images"].clone()
    pictures = tiny_model().head.draw_targets(batch["images"], batch["targets"])
    for sample, picture in zip(samples, pictures, strict=True):
        assert picture.shape == sample["image"].shape == dataset.draw_sample(sample).shape
        has_objects = len(sample["targets"]["boxes"]) > 0
        assert (
            (picture != sample["image"]).any() == (dataset.draw_sample(sample) != sample["image"]).any() == has_objects
        )
    assert torch.equal(batch["images"], before)


def test_packed_values_come_back():
    values = [[[1.5, 2.0]], {"size": [1, 2], "counts": "ab"}, None, [rectangle(0, 0, 1, 1)[0]] * 3]
    packed = Packed(values)
    assert [packed[i] for i in range(4)] == values
    assert len(Packed([]).ends) == 0


VOC_XML = """<annotation><folder>VOC2012</folder><filename>{name}.png</filename>
<size><width>160</width><height>120</height><depth>3</depth></size>{objects}</annotation>"""
VOC_OBJECT = """<object><name>{0}</name><difficult>{1}</difficult><bndbox>
<xmin>{2}</xmin><ymin>{3}</ymin><xmax>{4}</xmax><ymax>{5}</ymax></bndbox></object>"""


@pytest.fixture
def voc_folder(tmp_path):
    objects = {
        "a": [("dog", 0, 11, 21, 50, 60), ("person", 1, 1, 1, 20, 30)],
        "b": [("person", 0, 5, 5, 160, 120)],
        "c": [],
    }
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for name, items in objects.items():
        text = VOC_XML.format(name=name, objects="".join(VOC_OBJECT.format(*item) for item in items))
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{name}.png"), np.zeros((120, 160, 3), np.uint8))
    (tmp_path / "ImageSets/Main/trainval.txt").write_text("a\nb  1\nc\n")
    return tmp_path


def test_voc_boxes_count_from_0_and_difficult_objects_are_not_trained(voc_folder):
    dataset = VocDetection(ResizeFlip([(160, 120)]), voc_folder)
    assert dataset.classes == ("dog", "person") and dataset.image_ids.tolist() == ["a", "b", "c"]
    assert dataset.boxes.tolist() == [[10, 20, 50, 60], [4, 4, 160, 120]] and dataset.labels.tolist() == [0, 1]
    assert dataset[Draw(0, 0, 0)]["targets"]["boxes"].tolist() == [[10, 20, 50, 60]]
    metric = CocoDetectionMetric()
    metric.dataset_meta = dataset.metainfo
    truth = dataset.truth()
    # A difficult object that is found costs nothing.
    truth[0]["boxes"] = np.concatenate([truth[0]["boxes"], [[0, 0, 20, 30]]])
    truth[0]["labels"], truth[0]["scores"] = np.array([0, 1]), np.ones(2)
    metric.process(None, truth)
    assert metric.evaluate(3)["AP"] == pytest.approx(1)
    chosen = VocDetection(ResizeFlip([(160, 120)]), voc_folder, classes="voc")
    assert len(chosen.classes) == 20 and chosen.labels.tolist() == [11, 14]


def test_faulty_voc_files_are_refused(voc_folder):
    path = voc_folder / "Annotations" / "b.xml"
    text = path.read_text()
    for change, message in (
        (text.replace("<xmin>5</xmin>", ""), "b.xml: expected VOC's format"),
        (text.replace("person", " "), "b.xml: expected VOC's format"),
        (text.replace("</annotation>", ""), "b.xml: not valid XML"),
        (text.replace("<width>160</width>", "<width>0</width>"), "b.xml: a size of 0 x 120; write that of the image"),
    ):
        path.write_text(change)
        with pytest.raises(DataError, match=message):
            VocDetection(ResizeFlip(), voc_folder)
    path.unlink()
    with pytest.raises(DataError, match=r"b.xml: no such file; the split lists 'b'"):
        VocDetection(ResizeFlip(), voc_folder)
    with pytest.raises(DataError, match="no such file; it lists the images of a split"):
        VocDetection(ResizeFlip(), voc_folder, split_file="ImageSets/Main/nothing.txt")


def test_an_image_that_a_voc_list_names_twice_is_told(voc_folder):
    split = voc_folder / "ImageSets/Main/trainval.txt"
    first = split.read_text().split()[0]
    split.write_text(f"{split.read_text()}\n{first}\n")
    with pytest.raises(DataError, match=rf"lists twice: 1 \({first}\)"):
        VocDetection(ResizeFlip(), voc_folder)
    images = VocDetection(ResizeFlip(), voc_folder, strict=False)
    assert [path.decode().rsplit("/", 1)[1][: len(first)] for path in images.image_paths] == images.image_ids.tolist()

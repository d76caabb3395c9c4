"""Objects from COCO's and VOC's files: what is kept, what is told, and how batches are formed."""

import json
import logging
import re

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import Collate, batch_by_group, build_dataloader
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.masks import PackedSegmentations, encode_masks, unpack_run_lengths
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.tasks.detection.augmentation import ResizeAugmentation
from hrtoolkit.tasks.detection.datasets import CocoDetection, VocDetection
from hrtoolkit.tasks.detection.head import object_targets
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric
from hrtoolkit.tasks.detection.views import FitInside
from tests.conftest import edit_json

from .conftest import rectangle, tiny_model


def examined(folder, **options):
    return CocoDetection(data_root=folder, ann_file="objects.json", image_dir="images", **options)


def load(folder, **options):
    samples = examined(folder, **options)
    samples.findings.raise_stops()
    return samples


def examined_voc(folder, **options):
    return VocDetection(data_root=folder, **options)


def load_voc(folder, **options):
    samples = examined_voc(folder, **options)
    samples.findings.raise_stops()
    return samples


def inputs_of(samples, size=(160, 120), flip=0.5):
    return Inputs(samples, FitInside(size=size), samples.scheme, object_targets, ResizeAugmentation(flip=flip))


def learned(samples):
    """Boxes and labels that are trained, image by image."""
    records = [samples.to_learn(i) for i in range(len(samples))]
    return [r.boxes_xyxy.tolist() for r in records], [r.labels.tolist() for r in records]


def count_learned(samples):
    return sum(map(len, learned(samples)[1]))


def score(samples, predictions):
    metric = CocoDetectionMetric()
    measures = [metric.measure(one, samples.truth(i), samples.scheme) for i, one in enumerate(predictions)]
    return metric.score(measures, samples.scheme)


def best_predictions(samples):
    return [samples.truth(i).as_prediction() for i in range(len(samples))]


def examine_with_metric(samples, **options):
    return examine({"val": samples}, {"val": CocoDetectionMetric()}, **options)


def test_objects_are_grouped_by_image_and_labels_follow_the_category_ids(objects_folder):
    samples = load(objects_folder)
    assert samples.scheme.names == ("cat", "dog", "cow") and samples.scheme.ids == (3, 7, 9)
    assert samples.images.ids.tolist() == [21, 22, 23, 24, 25]
    boxes, labels = learned(samples)
    assert labels == [[0, 1], [1], [2], [], [0]]
    assert boxes[1] == [[10, 20, 60, 80]]


def test_truth_is_all_that_is_annotated_as_it_stands_in_the_file(objects_folder):
    def change(content):
        content["annotations"][1]["bbox"] = [-20, 30, 60, 50]
        content["annotations"][2]["ignore"] = 1

    edit_json(objects_folder / "objects.json", change)
    samples = load(objects_folder, masks=True)
    truth = samples.truth(0)
    assert truth.boxes_xyxy.tolist() == [[-20, 30, 40, 80], [70, 10, 130, 50]] and truth.boxes_xyxy.dtype == np.float64
    assert truth.areas.tolist() == [2000, 2400] and truth.ignored.tolist() == [False, True] and not truth.crowd.any()
    crowd = samples.truth(2)
    assert crowd.labels.tolist() == [0, 2] and crowd.crowd.tolist() == crowd.ignored.tolist() == [True, False]
    assert crowd.masks.draw().sum(axis=(1, 2)).tolist() == [2400, 900]
    assert samples.truth(3).boxes_xyxy.shape == (0, 4)
    assert samples.to_learn(0).boxes_xyxy.tolist() == [[0, 30, 40, 80]] and samples.to_learn(2).labels.tolist() == [2]


def test_classes_can_be_chosen_and_ordered(objects_folder, caplog):
    with caplog.at_level(logging.INFO):
        samples = load(objects_folder, scheme=["dog", "cat"])
    assert samples.scheme.ids == (7, 3) and learned(samples)[1] == [[1, 0], [0], [], [], [1]]
    assert samples.truth(2).labels.tolist() == [1]
    assert "1 belong to classes that are not used" in caplog.text and "1 are crowds" in caplog.text
    with pytest.raises(DataError, match=r"no category is called \['horse'\]; the file has \['cat', 'dog', 'cow'\]"):
        load(objects_folder, scheme=["dog", "horse"])
    with pytest.raises(OptionError, match="scheme must be one of"):
        load(objects_folder, scheme="nothing")


def test_categories_that_the_scheme_has_not_are_told(objects_folder):
    for scheme, level in ((["dog", "cat"], "note"), (ClassScheme(("dog", "cat")), "warning")):
        (finding,) = load(objects_folder, scheme=scheme).findings
        assert (finding.level, finding.ids) == (level, ("cow, 1 annotations",))
    assert load(objects_folder, scheme=5).scheme.names == ("cat", "dog", "cow")  # the head is told that they are three


def test_images_without_objects_and_tiny_ones_can_be_left_out(objects_folder, caplog):
    with caplog.at_level(logging.INFO):
        samples = load(objects_folder, keep_empty=False, masks=True)
    assert samples.images.ids.tolist() == [21, 22, 23]
    assert "3 of 5 images kept: 1 have no usable object, 1 are smaller than 32 pixels" in caplog.text
    assert [len(samples.to_learn(i).labels) for i in range(3)] == [2, 1, 1]
    assert samples.to_learn(2).masks.draw()[0].sum() == 900


def test_inputs_follow_from_their_key_alone(objects_folder):
    inputs = inputs_of(load(objects_folder, masks=True))
    first, again = inputs[SampleKey(0, 1, 7)], inputs[SampleKey(0, 1, 7)]
    assert (first.pixels == again.pixels).all() and (first.targets["boxes"] == again.targets["boxes"]).all()
    assert first.targets["masks"].shape == (2, 120, 160) and first.targets["labels"].tolist() == [0, 1]
    for mask, (x1, y1, x2, y2) in zip(first.targets["masks"], first.targets["boxes"].astype(int), strict=True):
        assert mask.sum() == mask[y1:y2, x1:x2].sum() == (x2 - x1) * (y2 - y1)
    drawn = {inputs[SampleKey(0, epoch, 7)].targets["boxes"].tobytes() for epoch in range(10)}
    assert len(drawn) == 2  # mirrored or not
    plain = inputs[0]
    assert (plain.index, plain.frame.image_hw, plain.targets) == (0, (120, 160), None)
    unmoved = Inputs(inputs.samples, inputs.view, inputs.scheme, object_targets)[SampleKey(0, 1, 7)]
    assert unmoved.targets["boxes"].tolist() == [[20, 30, 60, 80], [70, 10, 130, 50]]


def test_a_batch_is_padded_and_its_frames_tell_the_sizes(objects_folder):
    inputs = inputs_of(load(objects_folder, masks=True), (100, 80), flip=0.0)
    collate = Collate(inputs.view.multiple, inputs.view.smallest)
    batch = collate([inputs[SampleKey(i, 0, 0)] for i in (0, 1, 3)])
    assert batch["images"].shape == (3, 3, 128, 128)
    assert batch["frames"].input_hw.tolist() == [[75, 100], [100, 75], [80, 80]]
    assert batch["frames"].image_hw.tolist() == [[120, 160], [160, 120], [100, 100]]
    assert not batch["images"][0, :, 75:].any() and not batch["images"][0, :, :, 100:].any()
    assert (batch["images"][0].permute(1, 2, 0)[:75, :100].numpy() == inputs[0].pixels).all()
    assert [len(one["boxes"]) for one in batch["targets"]] == [2, 1, 0]
    assert batch["targets"][0]["masks"].shape == (2, 75, 100) and batch["targets"][2]["labels"].tolist() == []


def test_batches_hold_images_of_one_orientation(objects_folder):
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
    samples = load(objects_folder)
    upright = np.array([False, True, False, False, True])
    samples.images.sizes_wh[upright] = [20, 30]  # what is asked for the order of the batches
    samples.images.sizes_wh[~upright] = [30, 20]
    samples.read = lambda sample: np.zeros((*samples.images.sizes_wh[sample, ::-1], 3), np.uint8)
    loader = build_dataloader(inputs_of(samples), batch_size=2, num_workers=0, training=True, seed=3)
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)
        batches = [batch["indices"].tolist() for batch in loader]
        assert len(set(np.concatenate(batches).tolist())) == 4  # the fifth would be alone in its batch
        assert {len(set(upright[batch])) for batch in batches} == {1}
        loader.sampler.start = 1
        assert [batch["indices"].tolist() for batch in loader] == batches[1:]
        loader.sampler.start = 0


UNREADABLE = {
    "whose `bbox` holds a text, expected a list of four numbers": lambda a: a.update(bbox=["a", 1, 2, 3]),
    "whose `bbox` is a text, expected a list of four numbers": lambda a: a.update(bbox="20, 30, 40, 50"),
    "whose `bbox` is null, expected a list of four numbers": lambda a: a.update(bbox=None),
    "whose `bbox` is not a list of four numbers": lambda a: a.update(bbox=[1, 2, 3]),
    "that lack ['bbox']": lambda a: a.pop("bbox"),
    "that lack ['id']": lambda a: a.pop("id"),
    "that lack ['image_id']": lambda a: a.pop("image_id"),
    "whose `category_id` is a text, expected a whole number": lambda a: a.update(category_id="3"),
    "whose `category_id` is not a whole number": lambda a: a.update(category_id=3.5),
    "whose `iscrowd` is a text, expected 0 or 1": lambda a: a.update(iscrowd="0"),
    "whose `ignore` is not 0 or 1": lambda a: a.update(ignore=2),
    "whose `area` is an object, expected a number": lambda a: a.update(area={}),
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_annotations_that_cannot_be_read_stop_training_or_are_left_out(objects_folder, fault):
    edit_json(objects_folder / "objects.json", lambda content: UNREADABLE[fault](content["annotations"][1]))
    told = f"objects.json: annotations {fault}: 1 (annotations[1]"
    with pytest.raises(DataError, match=re.escape(told)):
        load(objects_folder, masks=True)
    dropped = load(objects_folder, masks=True, faults="drop")
    assert [(f.level, f.count) for f in dropped.findings] == [("warning", 1)] and count_learned(dropped) == 4


def test_a_file_of_nothing_but_faults_is_no_test_set(objects_folder):
    def change(content):
        content["annotations"] = [{"id": 1}, None]

    edit_json(objects_folder / "objects.json", change)
    with pytest.raises(DataError, match="none of the 2 annotations can be used: 2 cannot be read"):
        load(objects_folder, faults="drop")


FAULTS = {
    "have run lengths that do not fill their image": lambda a: a.update(
        segmentation={"size": [120, 160], "counts": [0, 50000]}
    ),
    "have run lengths that are damaged": lambda a: a.update(segmentation={"size": [120, 160], "counts": "abc"}),
    "have a segmentation that is neither a list of polygons nor run lengths": lambda a: a.update(segmentation=["ab"]),
    "have a polygon of something else than numbers": lambda a: a.update(segmentation=[["2", "3", "6", "3", "9", "9"]]),
    "have a polygon that is no list of x, y, x, y, ...": lambda a: a.update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]),
    "have a polygon far outside their image": lambda a: a.update(segmentation=[[1, 2, 3, 4, float("nan"), 6]]),
    "have all polygons outside their image": lambda a: a.update(segmentation=[[-9, 2, -5, 4, -3, 6]]),
    "have a box whose corners are exchanged": lambda a: a.update(bbox=[60, 80, -20, -30]),
    "lie outside their image": lambda a: a.update(bbox=[500, 20, 30, 30]),
    "have a category that is not listed": lambda a: a.update(category_id=77),
    "belong to an image that is not listed": lambda a: a.update(image_id=999),
    "have a box that is not finite": lambda a: a.update(bbox=[1, 2, 3, float("inf")]),
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
    looked_at = examined(objects_folder, masks=True)
    assert [(f.level, f.ids) for f in looked_at.findings] == [("stop", (102,))] and count_learned(looked_at) == 4
    dropped = load(objects_folder, masks=True, faults="drop")
    assert [(f.level, f.ids) for f in dropped.findings] == [("warning", (102,))] and count_learned(dropped) == 4
    # What is left out is not scored either.
    assert not [finding for finding in examine_with_metric(dropped) if finding.level == "stop"]


def polygons_of(change):
    def apply(content):
        for one in content["annotations"]:
            if isinstance(one["segmentation"], list):
                one["segmentation"] = [
                    change(np.reshape(polygon, (-1, 2)), one).ravel().tolist() for polygon in one["segmentation"]
                ]

    return apply


def by_rows(content):
    for one in content["annotations"]:
        x, y, w, h = one["bbox"]
        mask = np.zeros(SIZES_WH[one["image_id"]][::-1], np.uint8)
        mask[y : y + h, x : x + w] = 1
        counts = np.diff([0, *np.flatnonzero(np.diff(mask.ravel(), prepend=0)).tolist(), mask.size]).tolist()
        one["segmentation"] = {"size": list(mask.shape), "counts": counts}


SIZES_WH = {21: (160, 120), 22: (120, 160), 23: (160, 120), 25: (40, 30)}
MASKS = {
    "y, x": polygons_of(lambda polygon, one: polygon[:, ::-1]),
    "fractions of the image": polygons_of(
        lambda polygon, one: polygon / ((120, 160) if one["image_id"] == 22 else (160, 120))
    ),
    "counted from the corner of the box": polygons_of(lambda polygon, one: polygon - one["bbox"][:2]),
    "run lengths along rows": by_rows,
}


@pytest.mark.parametrize("written", MASKS)
def test_masks_that_are_written_in_another_way_name_that_way(objects_folder, written):
    edit_json(objects_folder / "objects.json", MASKS[written])
    (finding,) = (one for one in examined(objects_folder, masks=True, faults="drop").findings if one.level == "stop")
    assert finding.what == f"masks that fit their boxes only when read as {written}"
    load(objects_folder)  # who trains no masks does not read them


def test_masks_apart_from_their_box_are_told(objects_folder):
    def move(content, chosen=slice(2)):
        for one in content["annotations"][chosen]:
            one["segmentation"] = rectangle(99, 99, 20, 20)

    edit_json(objects_folder / "objects.json", move)
    (finding,) = load(objects_folder, masks=True).findings
    assert (finding.level, finding.ids) == ("warning", (101, 102)) and finding.what.startswith(
        "masks that lie elsewhere"
    )
    edit_json(objects_folder / "objects.json", lambda content: move(content, slice(3)))
    with pytest.raises(DataError, match=r"masks that lie elsewhere than their boxes: 3 \(101, 102, 103\)"):
        load(objects_folder, masks=True)


def test_boxes_that_are_corners_are_named(objects_folder):
    def change(content):
        for one in content["annotations"]:
            x, y, w, h = one["bbox"]
            one["bbox"] = [x, y, x + w, y + h]

    edit_json(objects_folder / "objects.json", change)
    with pytest.raises(DataError, match=r"boxes that look like corners \(x1, y1, x2, y2\)"):
        load(objects_folder, masks=True, faults="drop")


def test_masks_without_a_pixel_are_left_out(objects_folder):
    empty = {"size": [120, 160], "counts": [120 * 160]}
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(segmentation=empty))
    samples = load(objects_folder, masks=True)
    (finding,) = samples.findings
    assert (finding.what, finding.ids) == ("annotations have a mask without a pixel", (102,))
    assert count_learned(samples) == 4


def test_crowds_that_are_most_of_the_annotations_are_told(objects_folder):
    def change(content):
        for one in content["annotations"][1:]:
            one["iscrowd"] = 1

    edit_json(objects_folder / "objects.json", change)
    assert ("warning", "most annotations are crowds") in [(f.level, f.what) for f in load(objects_folder).findings]


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
    samples = load(objects_folder, masks=True)
    (finding,) = samples.findings
    assert (finding.level, finding.ids) == ("warning", (104,)) and finding.what.startswith("crowds that have ")
    assert count_learned(samples) == 5
    # A mask inside the crowd costs nothing: the metric takes it for the crowd's.
    found = best_predictions(samples)
    inside = np.zeros((1, 120, 160), bool)
    inside[:, 50:70, 70:110] = True
    found[2] = found[2]._replace(
        boxes_xyxy=np.array([[70, 50, 110, 70], *found[2].boxes_xyxy]),
        masks=found[2].masks._replace(segmentations=[*encode_masks(inside), *found[2].masks.segmentations]),
        labels=np.array([0, 2]),
        scores=np.ones(2),
    )
    assert score(samples, found)["mask_AP"] == pytest.approx(1)


@pytest.mark.parametrize("change", [dict(bbox=[0, 0, 10**400, 3]), dict(area=10**400)])
def test_numbers_that_no_array_holds_are_told(objects_folder, change):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(change))
    with pytest.raises(DataError, match=r"annotations with numbers that are too large: 1 \(id 102\)"):
        load(objects_folder)


def test_whole_numbers_may_have_a_fraction_of_zero(objects_folder):
    expected = learned(load(objects_folder))

    def change(content):
        for one in content["annotations"]:
            one |= {
                "category_id": float(one["category_id"]),
                "image_id": float(one["image_id"]),
                "iscrowd": one["iscrowd"] or None,
            }

    edit_json(objects_folder / "objects.json", change)
    assert learned(load(objects_folder)) == expected


def test_areas_that_are_not_there_are_those_of_the_boxes(objects_folder):
    def change(content):
        content["annotations"][0].pop("area")
        content["annotations"][1]["area"] = None

    edit_json(objects_folder / "objects.json", change)
    samples = load(objects_folder)
    (finding,) = samples.findings
    assert (finding.level, finding.count) == ("note", 2) and "area" in finding.what
    assert samples.truth(0).areas.tolist() == [2000, 2400] and samples.truth(1).areas.tolist() == [3000]


def test_objects_to_be_ignored_are_neither_trained_nor_missed(objects_folder):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(ignore=1))
    samples = load(objects_folder, masks=True)
    assert count_learned(samples) == 4
    assert examine_with_metric(samples) == []


def test_ids_that_tell_nothing_apart_are_told(objects_folder):
    def change(content):
        content["annotations"][1] |= {"id": 101, "bbox": [500, 20, 30, 30]}
        content["annotations"][2]["id"] = "103"

    edit_json(objects_folder / "objects.json", change)
    samples = load(objects_folder, faults="drop")
    told = {finding.what: (finding.level, finding.ids) for finding in samples.findings}
    assert told["annotations that share an id, by id"] == ("warning", (101,))
    assert told["annotations with a text as id where others have a number"] == ("warning", ("'103'",))
    # Only the faulty one of the two is left out.
    assert [len(samples.truth(i).labels) for i in range(5)] == [1, 1, 2, 0, 1]
    edit_json(objects_folder / "objects.json", lambda content: content["images"][3].update(id="24"))
    with pytest.raises(DataError, match=r"images with a text as id where others have a number: 1 \('24'\)"):
        load(objects_folder, faults="drop")


def test_a_text_is_not_the_number_that_it_spells(objects_folder):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][0].update(image_id="22"))
    with pytest.raises(DataError, match=r"annotations have a text as `image_id` for a number .*: 1 \(101\)"):
        load(objects_folder)


def test_images_can_have_texts_as_ids(objects_folder):
    def change(content):
        for image in content["images"]:
            image["id"] = f"im{image['id']}"
        for annotation in content["annotations"]:
            annotation["image_id"] = f"im{annotation['image_id']}"

    expected = learned(load(objects_folder))
    edit_json(objects_folder / "objects.json", change)
    samples = load(objects_folder)
    assert samples.images.ids.tolist() == ["im21", "im22", "im23", "im24", "im25"] and learned(samples) == expected
    assert examine_with_metric(samples) == []


def test_classes_with_exchanged_ids_in_two_files_stop(objects_folder):
    train = load(objects_folder)
    assert examine({"train": train, "val": load(objects_folder, scheme=train.scheme)}, {})[-1].level == "warning"

    def change(content):
        for one in content["categories"]:
            one["id"] = {3: 7, 7: 3}.get(one["id"], one["id"])

    edit_json(objects_folder / "objects.json", change)
    found = examine({"train": train, "val": load(objects_folder, scheme=train.scheme)}, {})
    (finding,) = (one for one in found if one.level == "stop")
    assert finding.count == 2 and "cat" in finding.ids[0]


def test_classes_without_an_object_are_told(objects_folder, voc_folder):
    def findings_of(dataset):
        return [(finding.level, finding.what, finding.ids) for finding in dataset.findings]

    def drop_cows(content):
        content["annotations"] = [a for a in content["annotations"] if a["category_id"] != 9]

    edit_json(objects_folder / "objects.json", drop_cows)
    assert findings_of(load(objects_folder)) == [("warning", "classes that no usable object has", ("cow",))]
    with pytest.raises(DataError, match="none of the 5 annotations can be used: 1 are crowds, 4 belong to classes"):
        load(objects_folder, scheme=["cow"])
    misspelt = load_voc(voc_folder, scheme=["dog", "Persons"])
    assert findings_of(misspelt) == [
        ("warning", "classes that the files have and the dataset's scheme has not", ("person, 2 objects",)),
        ("warning", "classes that no usable object has", ("Persons; did you mean 'person'?",)),
    ]
    with pytest.raises(DataError, match="none of the 3 annotations can be used: 1 are marked to be ignored, 2 belong"):
        load_voc(voc_folder, scheme=["horse"])
    (voc_folder / "ImageSets/Main/trainval.txt").write_text("c\n")
    with pytest.raises(DataError, match="no file has an object to take classes from"):
        load_voc(voc_folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(dict(bbox=[20, 30, 0, 50]), "have a box without extent"), (dict(area=0), "have an area of zero")],
)
def test_objects_without_extent_are_left_out_with_a_warning(objects_folder, change, reason):
    edit_json(objects_folder / "objects.json", lambda content: content["annotations"][1].update(change))
    dataset = load(objects_folder)
    (finding,) = dataset.findings
    assert (finding.level, finding.what, finding.ids) == ("warning", f"annotations {reason}", (102,))
    assert count_learned(dataset) == 4


def test_boxes_are_cut_at_the_edges_and_slivers_are_left_out(objects_folder, caplog):
    def change(content):
        content["annotations"][1] |= {"bbox": [-20, 100, 60, 50], "area": 3000}
        content["annotations"][2] |= {"bbox": [10, 10, 0.5, 20], "area": 10}

    edit_json(objects_folder / "objects.json", change)
    with caplog.at_level(logging.INFO):
        dataset = load(objects_folder)
    assert learned(dataset)[0][0] == [[0, 100, 40, 120]]
    assert "1 measure less than a pixel" in caplog.text
    (finding,) = dataset.findings
    assert (finding.level, finding.ids) == ("warning", (102,)) and "reach over the edge" in finding.what
    assert examine_with_metric(dataset) == [finding]  # what reaches over the edge is scored as it is annotated


def test_images_of_another_size_than_annotated_are_refused(objects_folder):
    cv2.imwrite(str(objects_folder / "images" / "21.png"), np.zeros((160, 120, 3), np.uint8))
    with pytest.raises(DataError, match=r"21.png: the image is of another size .* 120 x 160, annotated 160 x 120"):
        inputs_of(load(objects_folder)).read(0)


def test_malformed_files_are_refused(objects_folder):
    path = objects_folder / "objects.json"
    edit_json(path, lambda content: content["images"].append(content["images"][1]))
    with pytest.raises(DataError, match=r"images that share an id, by id: 1 \(22\)"):
        load(objects_folder)
    edit_json(path, lambda content: content["images"][-1].update(id=26))
    (finding,) = load(objects_folder).findings
    assert finding.what == "images listed under several ids, by name" and finding.ids == ("22.png",)
    edit_json(path, lambda content: content["images"].pop())
    edit_json(path, lambda content: content.update(categories=[{"id": 1}, 5, {"id": 2, "name": "a"}]))
    with pytest.raises(DataError, match=r"(?s)categories\[0\]: \{'id': 1\}.*categories\[1\]: 5"):
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
    samples = load(objects_folder, masks=True)
    found = best_predictions(samples)
    assert found[0].masks.draw().sum() == 2000 + 2400 and found[2].labels.tolist() == [2]
    numbers = score(samples, found)
    assert numbers["AP"] == pytest.approx(1) and numbers["mask_AP"] == pytest.approx(1)


def test_the_doctor_finds_sound_data_sound_and_missing_images(objects_folder):
    samples = load(objects_folder, masks=True)
    assert examine_with_metric(samples, read_images=True) == []
    (objects_folder / "images" / "22.png").unlink()
    (finding,) = examine_with_metric(samples)
    assert finding.level == "stop" and finding.ids == (f"22: {objects_folder}/images/22.png",)


def test_what_is_trained_is_drawn_over_the_inputs(objects_folder):
    inputs = inputs_of(load(objects_folder, masks=True))
    several = [inputs[SampleKey(index, 1, 0)] for index in range(4)]
    batch = Collate(inputs.view.multiple, inputs.view.smallest)(several)
    before = batch["images"].clone()
    pictures = tiny_model().head.draw_targets(batch["images"], batch["targets"], batch["frames"])
    for one, picture in zip(several, pictures, strict=True):
        assert picture.shape == one.pixels.shape
        assert (picture != one.pixels).any() == (len(one.targets["boxes"]) > 0)
    assert torch.equal(batch["images"], before)


def test_a_test_set_has_no_truth(objects_folder):
    edit_json(objects_folder / "objects.json", lambda content: content.pop("annotations"))
    samples = load(objects_folder, masks=True)
    assert samples.truth(0) is None and samples.findings == []
    assert examine_with_metric(samples) == []


def test_packed_segmentations_come_back():
    values = [[[1.5, 2.0]], {"size": [1, 2], "counts": "ab"}, [rectangle(0, 0, 1, 1)[0]] * 3]
    texts = [json.dumps(value).encode() for value in values]
    packed = PackedSegmentations(np.frombuffer(b"".join(texts), np.uint8), np.array([len(text) for text in texts]))
    assert [packed[i] for i in range(3)] == values
    chosen = packed.select(np.array([2, 0]))
    assert len(chosen) == 2 and [chosen[i] for i in range(2)] == [values[2], values[0]]
    assert len(packed.select(np.empty(0, np.int64))) == 0


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
    samples = load_voc(voc_folder)
    assert samples.scheme.names == ("dog", "person") and samples.images.ids.tolist() == ["a", "b", "c"]
    assert learned(samples) == ([[[10, 20, 50, 60]], [[4, 4, 160, 120]], []], [[0], [1], []])
    truth = samples.truth(0)
    assert truth.boxes_xyxy.tolist() == [[10, 20, 50, 60], [0, 0, 20, 30]] and truth.areas.tolist() == [1600, 600]
    assert truth.ignored.tolist() == [False, True] and not truth.crowd.any()
    assert inputs_of(samples, flip=0.0)[SampleKey(0, 0, 0)].targets["boxes"].tolist() == [[10, 20, 50, 60]]
    # A difficult object that is found costs nothing.
    found = best_predictions(samples)
    found[0] = truth._replace(scores=np.ones(2))
    assert score(samples, found)["AP"] == pytest.approx(1)
    chosen = load_voc(voc_folder, scheme="voc")
    assert len(chosen.scheme.names) == 20 and chosen.scheme.ids == tuple(range(1, 21))
    assert learned(chosen)[1] == [[11], [14], []]


def test_voc_has_no_masks_to_train_on(voc_folder):
    samples = load_voc(voc_folder, masks=True)  # it can be tested
    assert samples.truth(0).masks is None
    with pytest.raises(DataError, match=r"there are no masks to train on; set model\.head.masks=False"):
        samples.to_learn(0)


XML_FAULTS = {
    "not valid XML": lambda text: text.replace("</annotation>", ""),
    "a size of 0 x 120; write that of the image": lambda text: text.replace("<width>160</width>", "<width>0</width>"),
    "expected VOC's format: a size": lambda text: text.replace("<width>160</width>", "<width>wide</width>"),
    "the file is empty": lambda text: " ",
    "CVAT's own XML": lambda text: "<annotations><image/></annotations>",
    "it declares a document type": lambda text: BOMB + text,
    "encoding 'utf-9', which is not known": lambda text: '<?xml version="1.0" encoding="utf-9"?>' + text,
    "the text is not in the encoding 'utf-8'": lambda text: text.replace("person", "p\u00e9rson").encode("latin-1"),
}
BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize("fault", XML_FAULTS)
def test_faulty_voc_files_are_told_together(voc_folder, fault):
    path = voc_folder / "Annotations" / "b.xml"
    text = XML_FAULTS[fault](path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (voc_folder / "Annotations" / "c.xml").unlink()
    missing = re.escape("c.xml: no such file, but the split lists it")
    with pytest.raises(DataError, match=rf"cannot be used: 2 \(b\.xml: .*{re.escape(fault)}.*, {missing}\)"):
        load_voc(voc_folder)
    samples = load_voc(voc_folder, faults="drop", scheme=["dog", "person"])
    told = {finding.what: (finding.level, finding.count) for finding in samples.findings}
    assert told["files that cannot be used"] == ("warning", 2) and samples.images.ids.tolist() == ["a"]
    (voc_folder / "Annotations" / "a.xml").unlink()
    with pytest.raises(DataError, match=r"cannot be used: 3"):
        load_voc(voc_folder, scheme=["dog"])


VOC_FAULTS = {
    "have a box that is not finite": lambda text: text.replace("<xmin>5</xmin>", ""),
    "have no name": lambda text: text.replace("person", " "),
    "have something else than 0 or 1 as `difficult`": lambda text: text.replace("<difficult>0", "<difficult>no"),
}


@pytest.mark.parametrize("fault", VOC_FAULTS)
def test_faulty_voc_objects_stop_training_or_are_left_out(voc_folder, fault):
    path = voc_folder / "Annotations" / "b.xml"
    path.write_text(VOC_FAULTS[fault](path.read_text()))
    with pytest.raises(DataError, match=rf"annotations {fault}: 1 \(\w+ in b\.xml\)"):
        load_voc(voc_folder)
    assert learned(load_voc(voc_folder, faults="drop"))[1] == [[0], [], []]


def test_missing_voc_lists_and_endings_are_told(voc_folder):
    with pytest.raises(DataError, match="no such file; it lists the images of a split"):
        load_voc(voc_folder, split_file="ImageSets/Main/nothing.txt")
    (voc_folder / "ImageSets/Main/trainval.txt").write_text("a\nb.png\n")
    with pytest.raises(DataError, match=r"b\.png\.xml: no such file.*; there is b\.xml: list names without \.png"):
        load_voc(voc_folder)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk", "latin-1"])
def test_voc_files_may_be_in_any_encoding_that_they_state(voc_folder, encoding):
    name = {"gbk": "\u72d7", "latin-1": "ch\u00e9rie"}.get(encoding, "\u72d7")
    path = voc_folder / "Annotations" / "b.xml"
    header = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    path.write_bytes((header + path.read_text().replace("person", name)).encode(encoding))
    assert name in load_voc(voc_folder).scheme.names


def test_a_voc_file_is_of_the_picture_of_its_own_name(voc_folder):
    def names_of(samples):
        return [path.decode().rsplit("/", 1)[1] for path in samples.images.paths.tolist()]

    expected = ["a.png", "b.png", "c.png"]
    assert names_of(load_voc(voc_folder)) == expected
    for name, named in (("a", "c.png"), ("b", r"D:\photos\b.jpeg"), ("c", "c")):
        path = voc_folder / "Annotations" / f"{name}.xml"
        path.write_text(path.read_text().replace(f"<filename>{name}.png", f"<filename>{named}"))
    samples = load_voc(voc_folder)
    (finding,) = samples.findings
    assert finding.what == "files whose <filename> names another picture" and finding.ids == ("a.xml names c.png",)
    assert names_of(samples) == expected
    (voc_folder / "JPEGImages/b.jpeg").write_bytes((voc_folder / "JPEGImages/b.png").read_bytes())
    (voc_folder / "JPEGImages/c.png").unlink()
    samples = load_voc(voc_folder)
    assert names_of(samples) == ["a.png", "b.jpeg", "c.jpg"]  # the last is missing, and told so
    (finding,) = (one for one in examine_with_metric(samples) if one.level == "stop")
    assert "c.jpg" in finding.ids[0]


def test_an_image_that_a_voc_list_names_twice_is_told(voc_folder):
    split = voc_folder / "ImageSets/Main/trainval.txt"
    first = split.read_text().split()[0]
    split.write_text(f"{split.read_text()}\n{first}\n")
    with pytest.raises(DataError, match=rf"lists twice: 1 \({first}\)"):
        load_voc(voc_folder)
    images = examined_voc(voc_folder).images
    assert [path.decode().rsplit("/", 1)[1][: len(first)] for path in images.paths] == images.ids.tolist()


def test_a_voc_list_in_another_encoding_is_named(voc_folder):
    split = voc_folder / "ImageSets/Main/trainval.txt"
    split.write_bytes("a\nb\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"trainval\.txt: not a text file"):
        load_voc(voc_folder)

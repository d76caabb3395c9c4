"""Real COCO images and annotations, where HRTOOLKIT_TEST_DATA has them."""

import pytest
from hrtoolkit.tasks.detection.datasets import CocoDetection
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric
from hrtoolkit.tasks.detection.transforms import ResizeFlip

from hrtoolkit.data.loading import Draw


def load(test_data, split, **options):
    ann_file = f"annotations/instances_{split}.json"
    return CocoDetection(ResizeFlip(), test_data / "coco", ann_file, split, classes="coco", **options)


@pytest.mark.parametrize(("split", "images", "objects"), [("train2017", 80, 731), ("val2017", 79, 619)])
def test_objects_of_the_real_files(test_data, split, images, objects):
    dataset = load(test_data, split, masks=True)
    assert (len(dataset), len(dataset.boxes)) == (images, objects)
    sample = dataset[Draw(3, 0, 0)]
    assert max(sample["image"].shape[:2]) <= 1333 and min(sample["image"].shape[:2]) <= 800
    boxes, masks = sample["targets"]["boxes"], sample["targets"]["masks"]
    for (x1, y1, x2, y2), mask in zip(boxes, masks, strict=True):
        assert mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].sum() >= 0.99 * mask.sum() > 0


def test_mirrored_people_keep_their_left_on_their_left(test_data):
    """What was the left eye is the right eye of the person in the mirror, by the names in the file."""
    root, ann_file = test_data / "coco", "annotations/person_keypoints_val2017.json"
    plain, mirrored = (
        CocoDetection(ResizeFlip(flip=flip), root, ann_file, "val2017", classes=["person"], keypoints=True)
        for flip in (0.0, 1.0)
    )
    names = plain.layout.names
    seen = 0
    for index in range(len(plain)):
        before, after = (one[Draw(index, 0, 0)] for one in (plain, mirrored))
        width = before["image"].shape[1]
        assert (after["image"] == before["image"][:, ::-1]).all()
        for i, name in enumerate(names):
            swapped = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
            ours = after["targets"]["keypoints"][:, names.index(swapped)]
            theirs = before["targets"]["keypoints"][:, i]
            labelled = theirs[:, 2] > 0
            assert (ours[:, 2] == theirs[:, 2]).all() and not ours[~labelled].any()
            assert ours[labelled, 0] == pytest.approx(width - 1 - theirs[labelled, 0], abs=1e-3)
            assert (ours[labelled, 1] == theirs[labelled, 1]).all()
            seen += labelled.sum()
    assert seen == 652
    drawn = mirrored.draw_sample(after)
    assert drawn.shape == after["image"].shape and (drawn != after["image"]).any()


def test_real_annotations_scored_as_predictions_reach_the_maximum(test_data):
    dataset = load(test_data, "val2017", masks=True)
    metric = CocoDetectionMetric()
    metric.dataset_meta = dataset.metainfo
    metric.process(None, dataset.truth())
    numbers = metric.evaluate(len(dataset))
    assert numbers["AP"] == pytest.approx(1) and numbers["mask_AP"] == pytest.approx(1)

"""Real COCO images and annotations, where HRTOOLKIT_TEST_DATA has them."""

import pytest

from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.detection.augmentation import ResizeAugmentation
from hrtoolkit.tasks.detection.datasets import CocoDetection
from hrtoolkit.tasks.detection.head import object_targets
from hrtoolkit.tasks.detection.metric import CocoDetectionMetric
from hrtoolkit.tasks.detection.views import FitInside


def load(test_data, split, **options):
    ann_file = f"annotations/instances_{split}.json"
    samples = CocoDetection(data_root=test_data / "coco", ann_file=ann_file, image_dir=split, scheme="coco", **options)
    samples.findings.raise_stops()
    return samples


@pytest.mark.parametrize(("split", "images", "objects"), [("train2017", 80, 731), ("val2017", 79, 619)])
def test_objects_of_the_real_files(test_data, split, images, objects):
    samples = load(test_data, split, masks=True)
    assert len(samples) == images
    assert sum(len(samples.to_learn(i).labels) for i in range(len(samples))) == objects
    inputs = Inputs(samples, FitInside(), samples.scheme, object_targets, ResizeAugmentation(flip=0.0))
    one = inputs[SampleKey(3, 0, 0)]
    assert max(one.pixels.shape[:2]) <= 1333 and min(one.pixels.shape[:2]) <= 800
    boxes, masks = one.targets["boxes"], one.targets["masks"]
    for (x1, y1, x2, y2), mask in zip(boxes, masks, strict=True):
        assert mask[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].sum() >= 0.99 * mask.sum() > 0


@pytest.mark.parametrize(("split", "crowds"), [("train2017", 8), ("val2017", 5)])
def test_real_annotations_raise_no_alarm_and_scored_as_predictions_reach_the_maximum(test_data, split, crowds):
    samples, metric = load(test_data, split, masks=True), CocoDetectionMetric()
    # The samples are small: some of the 80 classes are in none of their images.
    assert {finding.what for finding in samples.findings} <= {"classes that no usable object has"}
    truths = [samples.truth(i) for i in range(len(samples))]
    assert sum(truth.crowd.sum() for truth in truths) == crowds
    measures = [metric.measure(truth.as_prediction(), truth, samples.scheme) for truth in truths]
    numbers = metric.score(measures, samples.scheme)
    assert numbers["AP"] == pytest.approx(1) and numbers["mask_AP"] == pytest.approx(1)

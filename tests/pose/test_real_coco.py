"""Real COCO images and annotations, where HRTOOLKIT_TEST_DATA has them."""

import json

import numpy as np
import pytest

from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.metric import score_subsets, score_truth
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.finish import PoseFinish
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric

DETECTIONS = "person_detection_results/COCO_val2017_detections_simulated_person.json"


def load(test_data, split, **options):
    ann_file = f"annotations/person_keypoints_{split}.json"
    return CocoKeypoints(data_root=test_data / "coco", ann_file=ann_file, image_dir=split, **options)


@pytest.mark.parametrize(("split", "people"), [("train2017", 86), ("val2017", 68)])
def test_people_of_the_real_files(test_data, split, people):
    samples = load(test_data, split)
    inputs = Inputs(samples, TopDown(), samples.scheme)
    assert len(inputs) == people
    assert all(inputs[i].pixels.any() for i in range(0, people, 10))


def test_real_annotations_scored_as_predictions_reach_the_maximum(test_data):
    samples = load(test_data, "val2017")
    finish = PoseFinish(scheme=samples.scheme)
    assert score_truth(CocoKeypointMetric(), samples, finish)[0] == pytest.approx(1.0)


def test_truth_that_is_taken_from_cropped_images_only_gives_another_score(test_data):
    samples = load(test_data, "val2017")
    metric, finish = CocoKeypointMetric(), PoseFinish(scheme=samples.scheme)
    rng = np.random.default_rng(0)
    truths = [samples.truth(i) for i in range(len(samples))]
    seen = {int(i) for i in samples.crops().samples[::2]}  # a detector that leaves images out
    measures, cropped = {}, []
    for i, truth in enumerate(truths):
        found = None
        if i in seen:
            best = truth.as_prediction()
            noise = rng.normal(0, 0.05, best.points.shape) * np.sqrt(best.areas)[:, None, None]
            found = finish([best._replace(points=(best.points + noise).astype(np.float32))])
            cropped.append(metric.measure(found, truth, samples.scheme))
        measures[i] = metric.measure(found, truth, samples.scheme)
    everything = score_subsets(metric, samples, measures)[0]
    assert everything["AP"] < metric.score(cropped, samples.scheme)["AP"]


def test_detections_keep_their_order_of_images_and_scores(test_data):
    crops = load(test_data, "val2017", box_file=DETECTIONS).crops()
    assert len(crops.samples) == 237
    assert (np.diff(crops.samples) >= 0).all()
    assert crops.scores.min() > 0 and crops.scores.max() <= 1
    samples = load(test_data, "val2017", box_file=DETECTIONS)
    written = json.loads((test_data / "coco" / DETECTIONS).read_text())
    first = [one["bbox"] for one in written if one["image_id"] == samples.images.ids[crops.samples[0]]]
    np.testing.assert_array_equal(crops.windows_xywh[: len(first)], first)

"""Real COCO images and annotations, where HRTOOLKIT_TEST_DATA has them."""

import numpy as np
import pytest
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric
from hrtoolkit.tasks.pose.transforms import TopDownAffine

DETECTIONS = "person_detection_results/COCO_val2017_detections_simulated_person.json"


def load(test_data, split, **options):
    ann_file = f"annotations/person_keypoints_{split}.json"
    return CocoKeypoints(TopDownAffine((192, 256)), test_data / "coco", ann_file, split, **options)


@pytest.mark.parametrize(("split", "people"), [("train2017", 86), ("val2017", 68)])
def test_people_of_the_real_files(test_data, split, people):
    dataset = load(test_data, split)
    assert len(dataset) == people
    assert all(dataset[i]["image"].any() for i in range(0, people, 10))


def test_real_annotations_scored_as_predictions_reach_the_maximum(test_data):
    dataset = load(test_data, "val2017")
    metric = CocoKeypointMetric()
    metric.dataset_meta = dataset.metainfo
    people = []
    for i in range(len(dataset)):
        meta = dataset[i]["meta"]
        people.append({**meta, "keypoints": dataset.keypoints[i], "scores": np.ones(17, np.float32)})
    metric.process({}, people)
    assert metric.evaluate(len(dataset))["AP"] == pytest.approx(1.0)


def test_detections_keep_their_order_of_images_and_scores(test_data):
    dataset = load(test_data, "val2017", box_file=DETECTIONS)
    assert len(dataset) == 237
    assert (np.diff(dataset.person_images) >= 0).all()
    assert dataset.box_scores.min() > 0 and dataset.box_scores.max() <= 1

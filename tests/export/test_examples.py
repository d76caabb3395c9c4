"""What exports are held against."""

import copy

import numpy as np
import pytest

from hrtoolkit.export.examples import examples_of_data
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric
from tests.conftest import edit_json


def test_people_of_several_categories_keep_theirs(coco_folder):
    def change(content):
        content["categories"].append(copy.deepcopy(content["categories"][0]) | {"id": 5, "name": "rider"})
        content["annotations"][1]["category_id"] = 5

    edit_json(coco_folder / "people.json", change)
    samples = CocoKeypoints(data_root=str(coco_folder), ann_file="people.json", image_dir="images")
    examples = examples_of_data(samples, CocoKeypointMetric(), True, 10, "val")
    found = []
    for place, position in enumerate(examples.positions):
        truth = samples.truth(position)
        people = truth.select(~truth.ignored).as_prediction()
        # As a predictor gives them, which was told boxes alone.
        found.append(people._replace(labels=np.zeros_like(people.labels), boxes_xyxy=examples.boxes(place)[:, :4]))
    assert examples.score(found, samples.scheme) == pytest.approx(1)

"""The example of the docs gives what testing gives, without a data set."""

import json
import runpy

import cv2
import numpy as np
import torch

from hrtoolkit import build_model
from hrtoolkit.engine import test as run_test
from hrtoolkit.runtime import geometry

from ..conftest import REPOSITORY
from ..engine.test_run import make_config

EXAMPLE = REPOSITORY / "docs/examples/predict_pose.py"


def test_poses_on_a_photo_are_those_of_testing(coco_folder, tmp_path, capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    config = make_config(coco_folder)
    config.model.head.codec = dict(type="UDPHeatmap")
    model = build_model(config)
    torch.nn.init.normal_(model.head.final_layer.weight, generator=torch.Generator().manual_seed(0))
    torch.save(model.state_dict(), tmp_path / "pose.pth")
    config.dump(tmp_path / "config.py")
    run_test(config, tmp_path / "pose.pth", out=tmp_path / "results.json")
    expected = [one for one in json.loads((tmp_path / "results.json").read_text()) if one["image_id"] == 11]

    content = json.loads((coco_folder / "people.json").read_text())
    boxes = np.array([one["bbox"] for one in content["annotations"] if one["image_id"] == 11], np.float64)
    windows = geometry.clip_boxes(boxes, np.array([160, 120]))  # what testing crops of annotated boxes
    windows[:, 2:] += windows[:, :2]
    numbers = [f"{value:g}" for value in windows.ravel()]
    example = runpy.run_path(str(EXAMPLE))
    photo = coco_folder / "images" / "11.jpg"
    example["main"](tmp_path / "config.py", tmp_path / "pose.pth", photo, *numbers)
    assert "left_ankle" in capsys.readouterr().out

    model.eval()
    image = cv2.cvtColor(cv2.imread(str(photo)), cv2.COLOR_BGR2RGB)
    people = example["find_poses"](model, image, windows)
    assert len(people.labels) == len(expected) > 0
    keypoints = np.concatenate([people.points, people.point_scores[..., None]], axis=-1).reshape(len(expected), -1)
    np.testing.assert_allclose(keypoints, [one["keypoints"] for one in expected], rtol=0, atol=1e-5)
    np.testing.assert_allclose(people.scores, [one["score"] for one in expected], rtol=0, atol=1e-5)

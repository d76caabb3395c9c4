"""The example of the docs gives what testing gives, without a data set."""

import json
import runpy

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_utils

from hrtoolkit.engine import test as run_test
from tests.conftest import REPOSITORY

from .conftest import CLASSES, tiny_model
from .test_run import make_config

EXAMPLE = REPOSITORY / "docs" / "examples" / "predict_detection.py"


@pytest.mark.parametrize("convention", ["mmdet", "torchvision", "authors"])
def test_objects_on_a_photo_are_those_of_testing(objects_folder, tmp_path, convention, capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    options = dict(scheme=CLASSES, masks=True, convention=convention)
    model = tiny_model(options, neck=dict(type="Pyramid", channels=4))
    (stage,) = model.head.stages
    torch.nn.init.constant_(stage.box_predictor.cls_score.bias[:1], -1e3)  # everything is an object
    torch.save(model.state_dict(), tmp_path / "detector.pth")
    config = make_config(objects_folder, head=options)
    config.dump(tmp_path / "config.py")
    run_test(config, tmp_path / "detector.pth", out=tmp_path / "boxes.json")
    example = runpy.run_path(str(EXAMPLE))["main"]
    objects = example(tmp_path / "config.py", tmp_path / "detector.pth", objects_folder / "images" / "22.png")
    assert "cat" in capsys.readouterr().out
    expected = [one for one in json.loads((tmp_path / "boxes.json").read_text()) if one["image_id"] == 22]
    assert len(expected) == len(objects.labels) > 5
    ids = {"cat": 3, "dog": 7, "cow": 9}
    assert [one["category_id"] for one in expected] == [ids[CLASSES[label]] for label in objects.labels]
    boxes = np.array([one["bbox"] for one in expected])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(objects.boxes_xyxy, boxes, rtol=0, atol=1e-5)
    np.testing.assert_allclose(objects.scores, [one["score"] for one in expected], rtol=0, atol=1e-7)
    masks = [one for one in json.loads((tmp_path / "boxes_masks.json").read_text()) if one["image_id"] == 22]
    # An untrained network's masks lie at their threshold: a batch of another size may flip a pixel.
    expected = mask_utils.decode([one["segmentation"] for one in masks]).transpose(2, 0, 1)
    assert (expected != objects.masks.draw()).mean() < 1e-4

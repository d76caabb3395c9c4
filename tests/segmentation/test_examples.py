"""The example of the docs gives what testing gives, without a data set."""

import runpy

import cv2
import numpy as np
import pytest
from PIL import Image

from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train

from ..conftest import REPOSITORY
from .test_run import make_config

EXAMPLE = REPOSITORY / "docs" / "examples" / "predict_segmentation.py"


@pytest.mark.parametrize("inference", [None, dict(type="MultiScale", scales=[0.8, 1.0], window=(32, 32), edge="pad")])
def test_the_labels_of_a_photo_are_those_of_testing(label_folder, tmp_path, inference, capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    config = make_config(label_folder, train_cfg=dict(max_epochs=1, val_interval=1))
    config.model.view.update(short_side=36, pad_to=8)
    config.val_dataloader.batch_size = 1
    config.model.inference = inference
    train(config, tmp_path / "work")
    config.dump(tmp_path / "config.py")
    run_test(config, tmp_path / "work" / "last.pth", out=tmp_path / "predictions")
    example = runpy.run_path(str(EXAMPLE))["main"]
    photo = label_folder / "images" / "b.jpg"
    record = example(tmp_path / "config.py", tmp_path / "work" / "last.pth", photo, tmp_path / "labelled.png")
    ids = np.array([10, 20, 30])
    np.testing.assert_array_equal(ids[record.label_map], np.asarray(Image.open(tmp_path / "predictions" / "b.png")))
    assert "%  ground" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "labelled.png")).shape == (32, 40, 3)

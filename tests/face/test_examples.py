"""The example of the docs gives what testing gives, without a data set."""

import json
import runpy

import numpy as np
import pytest
import torch

from hrtoolkit import build_model
from hrtoolkit.data.pts import read_pts
from hrtoolkit.engine import test as run_test
from hrtoolkit.tasks.face.checks import keypoint_boxes
from hrtoolkit.toy.faces import write_faces

from ..conftest import REPOSITORY
from .test_training import make_config

EXAMPLE = REPOSITORY / "docs/examples/predict_face.py"


@pytest.mark.parametrize("view", ["TopDown", "OfficialFaceCrop"])
def test_landmarks_on_a_photo_are_those_of_testing(view, tmp_path, capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    write_faces(tmp_path / "faces", train=1, test=3)
    config = make_config(tmp_path / "faces")
    config.model.view.type = view
    model = build_model(config)
    torch.nn.init.normal_(model.head.get_submodule("3").weight, generator=torch.Generator().manual_seed(0))
    torch.save(model.state_dict(), tmp_path / "face.pth")
    config.dump(tmp_path / "config.py")
    run_test(config, tmp_path / "face.pth", out=tmp_path / "results.json")
    example = runpy.run_path(str(EXAMPLE))["main"]
    for one in json.loads((tmp_path / "results.json").read_text()):
        points = read_pts(one["image_id"].replace(".png", ".pts"), 68) - 1
        left, top, width, height = keypoint_boxes(points[None])[0]
        box = [f"{value:g}" for value in (left, top, left + width, top + height)]
        faces = example(tmp_path / "config.py", tmp_path / "face.pth", one["image_id"], *box)
        np.testing.assert_allclose(faces.points[0], one["keypoints"], rtol=0, atol=1e-5)
    assert "right_eye_outer" in capsys.readouterr().out

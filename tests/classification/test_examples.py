"""The example of the docs gives what testing gives, without a data set."""

import json
import runpy

import numpy as np
from PIL import Image

from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train

from ..conftest import REPOSITORY
from .conftest import COLORS
from .test_run import make_config

EXAMPLE = REPOSITORY / "docs" / "examples" / "predict_classification.py"


def test_the_class_of_a_photo_is_that_of_testing(class_folder, tmp_path, capsys):
    assert len(EXAMPLE.read_text().splitlines()) <= 40
    photo = class_folder / "val" / "red" / "1.jpg"
    Image.open(photo.with_suffix(".png")).save(photo, quality=95)
    config = make_config(class_folder, train_cfg=dict(max_epochs=1))
    train(config, tmp_path / "work")
    config.dump(tmp_path / "config.py")
    run_test(config, tmp_path / "work" / "best.pth", out=tmp_path / "out.json")
    example = runpy.run_path(str(EXAMPLE))["main"]
    record = example(tmp_path / "config.py", tmp_path / "work" / "best.pth", photo, *COLORS)
    (tested,) = [
        one for one in json.loads((tmp_path / "out.json").read_text())["images"] if one["image_id"] == "red/1.jpg"
    ]
    assert list(COLORS)[record.label] == tested["class"]
    np.testing.assert_allclose(record.class_scores[tested["top"]], tested["top_scores"], rtol=0, atol=1e-5)
    assert f"%  {tested['class']}" in capsys.readouterr().out

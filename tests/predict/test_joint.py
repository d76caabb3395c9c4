"""All branches of one network on pictures: what they find together, and where those of crops look."""

import json

import numpy as np
import pytest

from hrtoolkit import build_model, load
from hrtoolkit.commands import main
from hrtoolkit.engine import train
from hrtoolkit.errors import OptionError
from hrtoolkit.predict import JointPredictor, Predictor, load_joint
from hrtoolkit.records import Objects

from ..engine.conftest import make_config, toy  # noqa: F401 (fixtures)


@pytest.fixture
def checkpoint(make_config, tmp_path):  # noqa: F811
    train(make_config({"train_cfg.max_epochs": 1}), tmp_path / "work")
    return tmp_path / "work/best.pth"


def test_each_branch_finds_what_it_finds_by_itself(checkpoint, toy):  # noqa: F811
    predictor = load_joint(checkpoint, device="cpu")
    boxes = [[20, 30, 120, 200], [60, 10, 200, 220]]
    picture = next((toy / "val2017").iterdir())
    (found,) = predictor(picture, boxes=boxes)
    assert list(found) == ["boxes", "people", "parts", "pose"]
    for name, one in found.items():
        alone = load(checkpoint, branch=name, device="cpu").find(one.image, boxes if name == "pose" else None)
        for mine, theirs in zip(one.record, alone, strict=True):
            if isinstance(mine, np.ndarray):
                np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-3)
    assert len(found["pose"].record.labels) == 2


def test_crops_are_of_what_another_branch_found(checkpoint, toy, monkeypatch):  # noqa: F811
    predictor = load_joint(checkpoint, device="cpu")
    boxes = np.array([[20.0, 30, 120, 200], [60, 10, 200, 220], [5, 5, 50, 50]])
    found = Objects(boxes, np.zeros(3, np.int64), np.array([0.9, 0.6, 0.4], np.float32))
    monkeypatch.setattr(predictor.branches["boxes"].branch, "finish", lambda records: found)
    picture = next((toy / "val2017").iterdir())
    (predictions,) = predictor(picture)
    (expected,) = predictor(picture, boxes=boxes[:2])
    np.testing.assert_array_equal(predictions["pose"].record.points, expected["pose"].record.points)
    assert len(predictions["pose"].record.labels) == 2  # the third is too unsure
    alone = load(checkpoint, device="cpu", branch="pose", detector="boxes")
    monkeypatch.setattr(alone.model.branch("boxes"), "finish", lambda records: found)
    np.testing.assert_array_equal(alone.find(predictions["pose"].image).points, expected["pose"].record.points)
    assert alone.settings["detector"]["branch"] == "boxes"


def test_the_command_writes_a_folder_for_each_branch_and_goes_on(checkpoint, toy, tmp_path, capsys):  # noqa: F811
    def predict(*more):
        with pytest.raises(SystemExit) as leaving:
            main(["predict", str(checkpoint), str(toy / "val2017"), "--out", str(tmp_path / "out"), *more])
        return leaving.value.code

    assert predict("--save", "json") == 0
    assert "3 predicted" in capsys.readouterr().out
    for name in ("boxes", "people", "parts", "pose"):
        lines = (tmp_path / "out" / name / "predictions.jsonl").read_text().splitlines()
        assert len([json.loads(line)["source"] for line in lines]) == 3
        assert len([*(tmp_path / "out" / name / "pictures").iterdir()]) == 3
    assert predict("--save", "json") == 0 and "3 sources were there already" in capsys.readouterr().out
    assert predict("--batch-size", "4") == 1 and "--batch-size is for one branch" in capsys.readouterr().err


def test_what_makes_no_sense_is_refused(checkpoint, make_config):  # noqa: F811
    with pytest.raises(OptionError, match=r"name one of the model's branches \(boxes, people, parts, pose\)"):
        load(checkpoint, device="cpu")
    with pytest.raises(OptionError, match=r"whole pictures .boxes, people, parts., got 'pose'"):
        load_joint(checkpoint, device="cpu", detector="pose")
    config = make_config(keep=["pose"])
    model = build_model(config)
    assert isinstance(Predictor(model, branch="pose"), Predictor)
    picture = np.zeros((50, 60, 3), np.uint8)
    with pytest.raises(OptionError, match="no branch of this model finds boxes to look into"):
        next(JointPredictor(model)([picture]))

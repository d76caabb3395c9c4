"""CID from pictures to people: in a batch and alone, by the runtime, as an export, and as a command."""

import json

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.build import build_model
from hrtoolkit.commands import main
from hrtoolkit.config import load_config
from hrtoolkit.data.loading import Collate
from hrtoolkit.export.examples import examples_of_pictures
from hrtoolkit.export.run import export_model
from hrtoolkit.predict import Predictor
from hrtoolkit.samples import Input
from tests.runtime.exporting import TINY, both
from tests.runtime.test_predictor import assert_alike


def lively_model(**view):
    """A small CID whose centres and heatmaps have peaks, as those of trained ones do."""
    torch.manual_seed(0)
    config = load_config("pose/cid_w32_coco_512")
    config.model.backbone.update(TINY, init="kaiming")
    config.model.head.channels = 8
    config.model.view.update(view or dict(size=64))
    model = build_model(config).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            # The features are large; heatmaps of nothing but 1 would leave it to rounding where their peaks are.
            wide = parameter.ndim > 1 and parameter.shape[1] == 60
            parameter.normal_(std=0.03 if wide else 0.3) if parameter.ndim > 1 else parameter.zero_()
    return model


def test_the_runtime_finds_the_same_people(pictures):
    mine, theirs = both(lively_model(), batch_size=2)
    assert_alike(mine, theirs, pictures)
    assert all(len(one.record.points) for one in mine(pictures))


@torch.inference_mode()
def test_nobody_and_nothing_of_anybody_is_found_in_the_padding_of_a_batch(pictures):
    model = lively_model()
    small, large = (Predictor(model).view(pictures[place]) for place in (0, 3))
    batch = Collate(64)([Input(place, *one) for place, one in enumerate((small, large))])
    assert batch["images"].shape[2:] == (64, 256) and small[0].shape[:2] == (64, 128)
    maps = [x + 3 for x in model.extract(model.data_preprocessor(batch)["images"])]  # all is alive, the padding too
    sizes_hw = torch.from_numpy(batch["frames"].input_hw)
    found = model.head.decode(maps, None, sizes_hw)
    assert (found["scores"] > 0).any(1).all()
    assert (found["points"][0, ..., 0] < 128).all() and (found["points"][1, ..., 0] >= 128).any()
    records = model.head.predict(maps, batch["frames"])
    for record, scores in zip(records, found["scores"], strict=True):
        np.testing.assert_allclose(record.scores, scores[scores > 0].numpy(), atol=0.02)


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_an_export_holds(format, pictures, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime", *(["openvino"] if format == "openvino" else [])):
        pytest.importorskip(package)
    predictor = Predictor(lively_model())
    examples = examples_of_pictures(pictures, None, False, 4)
    certificate = export_model(predictor, tmp_path / "export", examples, format=format, timed=False)
    assert certificate.passed, certificate.reasons
    assert certificate.decoded["compared"] > 50


def test_the_command_draws_and_writes_people(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = lively_model()
    torch.save(
        {"state_dict": model.state_dict(), "meta": {"config": model.config, "hrtoolkit_version": "0"}}, "cid.pth"
    )
    cv2.imwrite("picture.png", pictures[0])
    with pytest.raises(SystemExit) as end:
        main(["predict", "cid.pth", "picture.png", "--out", "found"])
    assert not end.value.code
    (line,) = (tmp_path / "found/predictions.jsonl").read_text().splitlines()
    assert len(json.loads(line)["objects"]) >= 1
    assert cv2.imread("found/pictures/picture.png").shape == pictures[0].shape

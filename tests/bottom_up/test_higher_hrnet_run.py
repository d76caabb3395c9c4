"""HigherHRNet from pictures to people: by the runtime, and as an export."""

import pytest
import torch

from hrtoolkit.config import load_config
from hrtoolkit.export.examples import examples_of_pictures
from hrtoolkit.export.run import export_model
from hrtoolkit.predict import Predictor
from tests.runtime.exporting import TINY, both, build_lively
from tests.runtime.test_predictor import assert_alike


def lively_model(levels=2, **options):
    """A small HigherHRNet whose heatmaps have peaks and whose tags differ, as those of trained ones do."""
    torch.manual_seed(0)
    config = load_config("pose/higher_hrnet_w32_coco_512")
    config.model.backbone.update(TINY, init="kaiming")
    config.model.head.update(levels=levels, threshold=0.3)
    config.model.view.update(size=64)
    config.model.update(options)
    return build_lively(config, 0.1)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_runtime_finds_the_same_people(levels, pictures):
    mine, theirs = both(lively_model(levels), batch_size=2)
    assert_alike(mine, theirs, pictures)
    assert all(len(one.record.points) for one in mine(pictures))


@pytest.mark.parametrize(("format", "levels"), [("onnx", 2), ("openvino", 1)])
def test_an_export_holds_with_mirrored_inputs_too(format, levels, pictures, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime", *(["openvino"] if format == "openvino" else [])):
        pytest.importorskip(package)
    predictor = Predictor(lively_model(levels, flip_test=format == "onnx"))
    examples = examples_of_pictures(pictures, None, False, 4)
    uint8 = format == "openvino"
    certificate = export_model(predictor, tmp_path / "export", examples, format=format, uint8=uint8, timed=False)
    assert certificate.passed, certificate.reasons
    assert certificate.decoded["compared"] > 50

"""DEKR from pictures to people: by the runtime, and as an export."""

import pytest
import torch

from hrtoolkit.build import build_model
from hrtoolkit.config import load_config
from hrtoolkit.export.examples import examples_of_pictures
from hrtoolkit.export.run import export_model
from hrtoolkit.predict import Predictor
from tests.runtime.exporting import TINY, both
from tests.runtime.test_predictor import assert_alike


def lively_model(**options):
    """A small DEKR whose centres and heatmaps have peaks, as those of trained ones do."""
    torch.manual_seed(0)
    config = load_config("pose/dekr_w32_coco_512")
    config.model.backbone.update(TINY, init="kaiming")
    config.model.head.update(channels=8, threshold=0.1)
    config.model.view.update(size=64)
    config.model.update(options)
    model = build_model(config).eval()
    with torch.no_grad():
        for name, parameter in model.head.named_parameters():
            if parameter.ndim == 4:
                parameter.normal_(std=0.03 if "transition" in name else 0.3)
        model.head.rescore_net.l3.weight.normal_(std=0.01)
    return model


def test_the_runtime_finds_the_same_people(pictures):
    mine, theirs = both(lively_model(), batch_size=2)
    assert_alike(mine, theirs, pictures)
    assert all(len(one.record.points) for one in mine(pictures))


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_an_export_holds_with_mirrored_inputs_too(format, pictures, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime", *(["openvino"] if format == "openvino" else [])):
        pytest.importorskip(package)
    predictor = Predictor(lively_model(flip_test=format == "onnx"))
    examples = examples_of_pictures(pictures, None, False, 4)
    certificate = export_model(predictor, tmp_path / "export", examples, format=format, timed=False)
    # Ways of random weights lead hundreds of pixels away, where float32 has steps of 3e-5.
    decoded = certificate.decoded
    assert certificate.raw["heatmaps"]["relative"] < 1e-5 and decoded["largest_change_of_a_score"] < 1e-4
    assert decoded["found_by_one_alone"] == 0 and decoded["largest_shift_px"] < 0.05
    assert decoded["compared"] > 10  # points

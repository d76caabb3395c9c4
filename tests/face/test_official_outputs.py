"""The whole face network against the official one, through the public loader.

Weights and input are functions of their names, so nothing needs downloading; the outputs were computed with the
official implementation of HRNetV2-W18 for 300W at 256x256.
"""

import torch

from hrtoolkit import build_model, load_checkpoint

from ..conftest import REPOSITORY
from ..test_official_outputs import assert_official, named_generator, named_value

MEAN, STD = -0.023185646161437035, 0.29822397232055664
VALUES = {
    0: -0.09881990402936935,
    39789: 0.45963695645332336,
    79579: 0.2596438229084015,
    119368: -0.2972230315208435,
    159158: 0.21219728887081146,
    198947: -0.11798007786273956,
    238737: -0.3702172040939331,
    278527: 0.052591100335121155,
}


def test_w18_gives_the_official_heatmaps(tmp_path):
    model = build_model(REPOSITORY / "configs/face/hrnetv2_w18_300w.py").eval()
    names = {name.removeprefix("backbone."): tensor for name, tensor in model.state_dict().items()}
    torch.save({name: named_value(name, tensor) for name, tensor in names.items()}, tmp_path / "official.pth")
    report = load_checkpoint(model, tmp_path / "official.pth")
    assert report.ok and report.kind == "official face"
    with torch.no_grad():
        heatmaps = model(torch.randn(1, 3, 256, 256, generator=named_generator("face_300w_w18")))
    assert heatmaps.shape == (1, 68, 64, 64)
    assert_official(heatmaps, MEAN, STD, VALUES)

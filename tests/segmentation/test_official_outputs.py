"""The OCR network against the official one, through the public loader.

Weights and input are functions of their names; the outputs were computed with the official implementation of
HRNetV2-W48 + OCR for Cityscapes, with aligned corners.
"""

import torch

from hrtoolkit import build_model, load_checkpoint

from ..test_official_outputs import assert_official, named_generator, named_value
from .test_inference import dict_config

# Mean, deviation, and 64 values, evenly spaced over all.
OUTPUTS = [
    (
        -0.02834006,
        0.4717498,
        [
            *(0.2939208, -0.04568294, -0.05028589, -0.0305999, 0.5187206, 0.5262612, 0.536853, -0.3710501),
            *(-0.3971815, -0.3997537, 0.881757, 1.052129, 1.053859, 1.0442, 0.3389763, 0.3454055),
            *(0.357764, -0.3717274, -0.3818282, -0.3812608, -0.6349714, -0.8528785, -0.8539982, -0.826084),
            *(0.3610104, 0.3708019, 0.3631105, -0.08413208, -0.08596994, -0.08475599, 0.1081898, 0.27178),
            *(0.2728147, 0.3121028, 0.2411008, 0.2380515, 0.2273993, -0.5316942, -0.5138852, -0.5124969),
            *(-0.4937017, -0.5446078, -0.5372172, -0.600338, 0.3333836, 0.3320701, 0.3303898, -0.05551025),
            *(-0.05415815, -0.06194426, -0.04404545, -0.01862916, -0.02161085, -0.03300131, 0.3666594, 0.3676595),
            *(0.3783014, -0.8398593, -0.8401333, -0.8366858, -0.2812915, -0.304274, -0.3045932, -0.2708091),
        ],
    ),
    (
        -0.02060955,
        0.125483,
        [
            *(-0.01275617, -0.03273022, -0.03274678, -0.03155983, -0.106475, -0.1102902, -0.111303, 0.1670042),
            *(0.1775227, 0.178341, 0.06407889, 0.05806224, 0.05847162, 0.0596831, -0.05386611, -0.05610754),
            *(-0.05683682, -0.02593843, -0.01854491, -0.01870382, 0.06110226, 0.0863635, 0.08573439, 0.08365773),
            *(-0.311157, -0.3127145, -0.3113109, -0.08831871, -0.08816917, -0.08904424, 0.06998958, 0.0817601),
            *(0.08259426, 0.06516849, -0.1500567, -0.1505139, -0.1530271, 0.215682, 0.2188303, 0.2190856),
            *(-0.06124744, -0.05791538, -0.05762398, -0.06016883, -0.1384474, -0.1398285, -0.134713, 0.06885284),
            *(0.06631154, 0.06420489, -0.1721253, -0.1650126, -0.1649795, -0.1796205, -0.01041167, -0.01071553),
            *(-0.01206934, -0.07635298, -0.0765966, -0.07458401, 0.1362288, 0.1329881, 0.1331939, 0.1668594),
        ],
    ),
]


def test_ocr_gives_the_official_outputs_on_both_branches():
    backbone = dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True)
    neck, head = dict(type="Concat", align_corners=True), dict(type="OCRHead", scheme="cityscapes")
    model = build_model(dict_config(backbone=backbone, neck=neck, head=head)).eval()
    names = {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}
    report = load_checkpoint(model, {f"model.{name}": named_value(name, tensor) for name, tensor in names.items()})
    assert report.ok and report.kind == "official segmentation"
    with torch.no_grad():
        outputs = model(torch.randn(1, 3, 256, 512, generator=named_generator("seg_hrnet_ocr_w48_cityscapes")))
    for output, (mean, std, values) in zip(outputs, OUTPUTS, strict=True):
        assert output.shape == (1, 19, 64, 128)
        last = output.numel() - 1
        assert_official(output, mean, std, {number * last // 63: value for number, value in enumerate(values)})

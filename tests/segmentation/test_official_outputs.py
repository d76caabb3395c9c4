"""The OCR network against the official one, through the public loader.

Weights and input are functions of their names; the outputs were computed with the official implementation of
HRNetV2-W48 + OCR for Cityscapes, with aligned corners.
"""

import torch

from hrtoolkit import build_model, load_checkpoint

from ..test_official_outputs import assert_official, named_generator, named_value
from .test_inference import dict_config

VALUES = [
    (
        -0.028340063989162445,
        0.47174978256225586,
        {
            0: 0.2939208149909973,
            19764: -0.3971814513206482,
            39529: 0.35776403546333313,
            59294: 0.36101043224334717,
            79058: 0.27281469106674194,
            98823: -0.4937017261981964,
            118588: -0.054158151149749756,
            138352: 0.37830138206481934,
        },
    ),
    (
        -0.020609548315405846,
        0.12548303604125977,
        {
            0: -0.012756168842315674,
            19764: 0.1775226891040802,
            39529: -0.056836824864149094,
            59294: -0.3111569583415985,
            79058: 0.08259426057338715,
            98823: -0.06124744191765785,
            118588: 0.0663115382194519,
            138352: -0.012069344520568848,
        },
    ),
]


def test_ocr_gives_the_official_outputs_on_both_branches():
    backbone = dict(type="HRNet", width=48, fuse_upsample="bilinear", align_corners=True)
    neck, head = dict(type="Concat", align_corners=True), dict(type="OCRHead", classes="cityscapes")
    model = build_model(dict_config(backbone=backbone, neck=neck, head=head)).eval()
    names = {name.split(".", 1)[1]: tensor for name, tensor in model.state_dict().items()}
    report = load_checkpoint(model, {f"model.{name}": named_value(name, tensor) for name, tensor in names.items()})
    assert report.ok and report.kind == "official segmentation"
    with torch.no_grad():
        outputs = model(torch.randn(1, 3, 256, 512, generator=named_generator("seg_hrnet_ocr_w48_cityscapes")))
    assert len(outputs) == len(VALUES) == 2
    for output, (mean, std, values) in zip(outputs, VALUES, strict=True):
        assert output.shape == (1, 19, 64, 128)
        assert_official(output, mean, std, values)

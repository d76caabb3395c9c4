"""Published names load strictly, and their rows land where ours are."""

import pytest
import torch

from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.schemes.classes import COCO

from .conftest import tiny_model

PARTS = ("backbone.", "neck.", "head.")


def mmdetection_names(model, stages=1, masks=False):
    """mmdetection 3's names and shapes, written out from its modules, with random values."""
    generator = torch.Generator().manual_seed(1)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items() if name.startswith("backbone.")}
    channels, classes = 8, len(model.head.scheme.names)
    convs = {"neck.reduction_conv.conv": (channels, 60, 1, 1)}
    convs |= {f"neck.fpn_convs.{i}.conv": (channels, channels, 3, 3) for i in range(5)}
    convs["rpn_head.rpn_conv"] = (channels, channels, 3, 3)
    convs["rpn_head.rpn_cls"], convs["rpn_head.rpn_reg"] = (3, channels, 1, 1), (12, channels, 1, 1)
    for stage in [f"{s}." for s in range(stages)] if stages > 1 else [""]:
        box, mask = f"roi_head.bbox_head.{stage}", f"roi_head.mask_head.{stage}"
        convs |= {f"{box}shared_fcs.0": (1024, channels * 49), f"{box}shared_fcs.1": (1024, 1024)}
        convs |= {f"{box}fc_cls": (classes + 1, 1024), f"{box}fc_reg": (4 if stages > 1 else 4 * classes, 1024)}
        if masks:
            convs |= {f"{mask}convs.{i}.conv": (256, 256 if i else channels, 3, 3) for i in range(4)}
            convs |= {f"{mask}upsample": (256, 256, 2, 2), f"{mask}conv_logits": (classes, 256, 1, 1)}
    for name, shape in convs.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("stages", [1, 3])
def test_mmdetection_names_load_strictly(stages, masks):
    kind = "CascadeRCNNHead" if stages > 1 else "FasterRCNNHead"
    model = tiny_model(dict(type=kind, masks=masks), backbone=dict(type="HRNet", width=4, blocks=1, modules=(1, 1, 1)))
    theirs = mmdetection_names(model, stages, masks)
    report = load_checkpoint(model, {"meta": {}, "state_dict": theirs})
    assert report.ok, report.details()
    for s, stage in enumerate(model.head.stages):
        box = f"roi_head.bbox_head.{s}." if stages > 1 else "roi_head.bbox_head."
        # The last row, background, is the first here.
        weight = stage.box_predictor.cls_score.weight
        assert torch.equal(weight[0], theirs[f"{box}fc_cls.weight"][-1])
        assert torch.equal(weight[1:], theirs[f"{box}fc_cls.weight"][:-1])
        bias = stage.box_predictor.bbox_pred.bias
        expected = theirs[f"{box}fc_reg.bias"]
        assert torch.equal(bias[-len(expected) :], expected) and (stages > 1 or not bias[:4].any())
        if masks:
            logits = stage.mask_predictor.mask_fcn_logits.weight
            name = f"roi_head.mask_head.{s}.conv_logits" if stages > 1 else "roi_head.mask_head.conv_logits"
            assert torch.equal(logits[1:], theirs[f"{name}.weight"]) and not logits[0].any()
    assert torch.equal(model.neck.fpn_conv[3].weight, theirs["neck.fpn_convs.3.conv.weight"])


def test_the_authors_names_load_strictly_with_their_rows_as_they_are():
    model = tiny_model(dict(masks=True, convention="authors"))
    target = model.state_dict()
    theirs = {}
    for name, value in mmdetection_names(model, masks=True).items():
        name = name.removeprefix("roi_head.").replace("reduction_conv.conv", "reduction_conv.0")
        if name.startswith("neck.fpn_convs"):
            name = name.replace("fpn_convs", "fpn_conv").replace(".conv.", ".")
        theirs[name] = value
    for name in ("bbox_head.fc_reg", "mask_head.conv_logits"):  # their rows include background, first
        ours = "bbox_pred" if "fc_reg" in name else "mask_fcn_logits"
        for kind in ("weight", "bias"):
            (same,) = [value for key, value in target.items() if f"{ours}.{kind}" in key and "rpn" not in key]
            theirs[f"{name}.{kind}"] = torch.rand_like(same)
    report = load_checkpoint(model, {"state_dict": {f"module.{k}": v for k, v in theirs.items()}, "optimizer": {}})
    assert report.ok, report.details()
    assert torch.equal(model.head.stages[0].box_predictor.cls_score.weight, theirs["bbox_head.fc_cls.weight"])
    assert not report.differences
    (line,) = load_checkpoint(tiny_model(dict(masks=True)), {"state_dict": theirs}).differences
    assert line == (
        "another convention than the checkpoint was trained for: 'mmdet', not 'authors' (model.head.convention)"
    )


def test_maskrcnn_benchmark_names_load_strictly():
    model = tiny_model(dict(masks=True, convention="maskrcnn-benchmark"))
    theirs = {}
    for name, value in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        name = name.replace("backbone.", "backbone.body.").replace("neck.", "backbone.neck.")
        name = name.replace("head.rpn.head.conv.0.0.", "rpn.head.conv.").replace("head.rpn.", "rpn.")
        name = name.replace("head.stages.0.box_head.", "roi_heads.box.feature_extractor.")
        name = name.replace("head.stages.0.box_predictor.", "roi_heads.box.predictor.")
        for i in range(4):
            name = name.replace(f"head.stages.0.mask_head.{i}.0.", f"roi_heads.mask.feature_extractor.mask_fcn{i + 1}.")
        name = name.replace("head.stages.0.mask_predictor.", "roi_heads.mask.predictor.")
        theirs[name] = torch.rand(value.shape, generator=torch.Generator().manual_seed(len(theirs)))
        if name.endswith("running_mean"):
            theirs[name.replace("running_mean", "eps")] = torch.full_like(value, 1e-5)
    assert not [name for name in theirs if name.startswith("head.")]
    report = load_checkpoint(model, {"model": theirs})
    assert report.ok, report.details()


def test_our_own_checkpoints_and_bare_backbones_are_left_alone():
    model = tiny_model()
    report = load_checkpoint(tiny_model(), model.state_dict())
    assert report.ok and len(report.loaded) == len(model.state_dict())
    backbone = {name: value for name, value in model.state_dict().items() if name.startswith(("backbone.", "neck."))}
    report = load_checkpoint(tiny_model(), backbone)
    assert all(name.startswith("head.") for name in report.missing) and not report.unexpected


def test_a_pyramid_alone_is_renamed():
    """Files of other detectors of mmdetection have its neck too."""
    model = tiny_model()
    theirs = {k: v for k, v in mmdetection_names(model).items() if k.startswith(("backbone.", "neck."))}
    report = load_checkpoint(model, {"state_dict": theirs})
    assert not report.unexpected and all(name.startswith("head.") for name in report.missing)
    assert torch.equal(model.neck.reduction_conv[0].weight, theirs["neck.reduction_conv.conv.weight"])


def test_other_classes_take_over_the_rows_of_equal_name():
    model = tiny_model(dict(scheme=["dog", "zebra crossing", "person"]))
    coco = tiny_model(dict(scheme="coco"))
    torch.nn.init.normal_(coco.head.stages[0].box_predictor.cls_score.weight)
    # Nothing is guessed from the number of rows of a file that does not tell.
    report = load_checkpoint(model, coco.state_dict())
    assert not report.adopted and "head.stages.0.box_predictor.cls_score.weight" in report.mis_shaped
    assert [note for note in report.notes if "give `scheme`" in note]
    report = load_checkpoint(model, coco.state_dict(), scheme="coco")
    assert report.adopted["head.stages.0.box_predictor.cls_score.weight"] == ["background", "dog", "person"]
    ours, theirs = (m.head.stages[0].box_predictor.cls_score.weight for m in (model, coco))
    assert torch.equal(ours[[0, 1, 3]], theirs[[0, 1 + COCO.names.index("dog"), 1]])
    ours, theirs = (m.head.stages[0].box_predictor.bbox_pred.weight.unflatten(0, (-1, 4)) for m in (model, coco))
    assert torch.equal(ours[[0, 1, 3]], theirs[[0, 1 + COCO.names.index("dog"), 1]])  # four rows a class
    assert report.adopted["head.stages.0.box_predictor.bbox_pred.bias"] == ["background", "dog", "person"]


def test_detectors_of_a_subset_of_the_classes_fit():
    """Every output is found by its name; layers that count no classes, such as the three anchors', are left alone."""
    theirs, ours = tiny_model(dict(scheme=["cat", "dog"])), tiny_model(dict(scheme=["dog", "cat"]))
    torch.nn.init.normal_(theirs.head.stages[0].box_predictor.cls_score.weight)
    file = {"meta": {"dataset_meta": {"classes": ("cat", "dog")}}, "state_dict": theirs.state_dict()}
    report = load_checkpoint(ours, file)
    assert report.fits and "all 3 were found by name" in str(report)
    weights = [m.head.stages[0].box_predictor.cls_score.weight for m in (ours, theirs)]
    assert torch.equal(weights[0][[0, 2, 1]], weights[1])
    names = [name for name in theirs.state_dict() if "rpn" in name]
    assert names and all(torch.equal(theirs.state_dict()[name], ours.state_dict()[name]) for name in names)
    assert load_checkpoint(tiny_model(dict(scheme=["dog"])), file).fits

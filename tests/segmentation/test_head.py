"""The plain head, joined and not, and the OCR head; numbers and names of the official code."""

import pytest
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.schemes import check_same, resolve_scheme
from hrtoolkit.tasks.segmentation.head import OCRHead, SegmentationHead, gather_objects
from hrtoolkit.tasks.segmentation.loss import CrossEntropy, OhemCrossEntropy

from .conftest import SCHEME, TINY
from .test_inference import dict_config

W48 = dict(type="HRNet", width=48, fuse_upsample="bilinear")
W18 = dict(type="HRNet", width=18, fuse_upsample="bilinear")
SMALL_V1 = dict(
    type="HRNet",
    width=16,
    modules=(1, 1, 1),
    blocks=2,
    layer1_blocks=1,
    layer1_planes=32,
    fuse_upsample="bilinear",
)
SMALL_V2 = dict(type="HRNet", width=18, modules=(1, 3, 2), blocks=2, layer1_blocks=2, fuse_upsample="bilinear")


@pytest.mark.parametrize("align_corners", [True, False])
def test_convolving_each_map_gives_the_logits_of_the_joined_map(align_corners):
    torch.manual_seed(0)
    head = dict(type="SegmentationHead", scheme="camvid", align_corners=align_corners)
    joined = build_model(dict_config(backbone=TINY, neck=dict(type="Concat", align_corners=align_corners), head=head))
    apart = build_model(dict_config(backbone=TINY, head=head))
    for tensor in (*joined.parameters(), joined.head.last_layer[1].running_mean):
        torch.nn.init.normal_(tensor, std=0.3)
    torch.nn.init.uniform_(joined.head.last_layer[1].running_var, 0.5, 2)
    assert load_checkpoint(apart, joined.state_dict()).ok
    images = torch.randn(2, 3, 70, 90)
    targets = {"label": torch.randint(0, 11, (2, 70, 90), dtype=torch.uint8)}
    with torch.no_grad():
        expected, logits = joined.eval()(images), apart.eval()(images)
    assert logits.shape == (2, 11, 18, 23)
    assert (logits - expected).abs().max() < 1e-4 * expected.std()
    assert (apart(images) - expected).abs().max() < 1e-4 * expected.std()  # with gradients nothing is fused
    gradients = []
    for model in (joined, apart):
        losses = model.train()(images, targets, mode="loss")
        losses["loss_seg"].backward()
        gradients.append(model.head.last_layer[0].weight.grad)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_gathering_is_a_softmax_over_pixels():
    pixels = torch.tensor([[[[1, 2], [3, 4]], [[0, 1], [0, -1]]]], dtype=torch.float32)
    rough = torch.tensor([[[[0, 0], [0, 0]], [[1, 0], [0, 2]]]], dtype=torch.float32)
    objects = gather_objects(pixels, rough)
    assert objects.shape == (1, 2, 2, 1)
    torch.testing.assert_close(objects[0, :, :, 0], torch.tensor([[2.5, 3.078671], [0, -0.527701]]), rtol=0, atol=1e-6)


def test_attention_is_scaled_by_the_key_channels():
    head = OCRHead([6], [4], scheme=dict(names=["a", "b"]), channels=2, key_channels=2)
    block = head.ocr_distri_head.object_context_block
    block.f_pixel = block.f_object = block.f_down = block.f_up = torch.nn.Identity()
    pixels = torch.tensor([[[[1, 0], [0, 2]], [[0, 1], [0, 1]]]], dtype=torch.float32)
    objects = torch.tensor([[[[1.0], [0.0]], [[0.0], [2.0]]]])
    expected = torch.tensor([[[0.669762, 0.195570], [0.5, 0.5]], [[0.660477, 1.608859], [1, 1]]])
    torch.testing.assert_close(block(pixels, objects)[0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "neck", "head", "parameters", "tensors"),
    [
        (W48, None, dict(type="SegmentationHead", scheme="cityscapes"), 65_859_379, 1839),
        (W48, None, dict(type="SegmentationHead", scheme="lip"), 65_860_100, 1839),
        (W48, None, dict(type="SegmentationHead", scheme="pascal_context_59"), 65_888_219, 1839),
        (W48, None, dict(type="SegmentationHead", scheme="pascal_context_60"), 65_888_940, 1839),
        (W48, None, dict(type="SegmentationHead", scheme="ade20k"), 65_953_830, 1839),
        (W48, None, dict(type="SegmentationHead", scheme="coco_stuff"), 65_968_971, 1839),
        (SMALL_V1, None, dict(type="SegmentationHead", scheme="cityscapes"), 1_540_819, 435),
        (SMALL_V2, None, dict(type="SegmentationHead", scheme="cityscapes"), 3_939_579, 873),
        (W18, None, dict(type="SegmentationHead", scheme="cityscapes"), 9_641_119, 1839),
        (W48, "Concat", dict(type="OCRHead", scheme="cityscapes"), 70_372_678, 1890),
        (W48, "Concat", dict(type="OCRHead", scheme="lip"), 70_373_912, 1890),
        (W48, "Concat", dict(type="OCRHead", scheme="pascal_context_59"), 70_422_038, 1890),
        (W48, "Concat", dict(type="OCRHead", scheme="pascal_context_60"), 70_423_272, 1890),
        (W48, "Concat", dict(type="OCRHead", scheme="ade20k"), 70_534_332, 1890),
        (W48, "Concat", dict(type="OCRHead", scheme="coco_stuff"), 70_560_246, 1890),
    ],
)
def test_networks_have_the_official_sizes(backbone, neck, head, parameters, tensors):
    with torch.device("meta"):
        model = build_model(dict_config(backbone=backbone, head=head, **({"neck": dict(type=neck)} if neck else {})))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors


NORM = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
TWO_CONVOLUTIONS = {"0.weight", "0.bias", "3.weight", "3.bias", *(f"1.{name}" for name in NORM)}


def test_tensors_have_the_official_names():
    assert set(tiny().head.state_dict()) == {f"last_layer.{name}" for name in TWO_CONVOLUTIONS}
    block = "ocr_distri_head.object_context_block."
    layers = ["f_pixel.0", "f_pixel.2", "f_object.0", "f_object.2", "f_down.0", "f_up.0"]
    norms = ["f_pixel.1.0", "f_pixel.3.0", "f_object.1.0", "f_object.3.0", "f_down.1.0", "f_up.1.0"]
    expected = {f"aux_head.{name}" for name in TWO_CONVOLUTIONS} | {"cls_head.weight", "cls_head.bias"}
    expected |= {"conv3x3_ocr.0.weight", "conv3x3_ocr.0.bias", *(f"conv3x3_ocr.1.{name}" for name in NORM)}
    expected |= {f"{block}{layer}.weight" for layer in layers}
    expected |= {f"{block}{norm}.{name}" for norm in norms for name in NORM}
    expected |= {"ocr_distri_head.conv_bn_dropout.0.weight"}
    expected |= {f"ocr_distri_head.conv_bn_dropout.1.0.{name}" for name in NORM}
    assert set(tiny("OCRHead").head.state_dict()) == expected


def tiny(head="SegmentationHead", **options):
    neck = {} if head == "SegmentationHead" else dict(neck=dict(type="Concat", align_corners=True))
    return build_model(dict_config(backbone=TINY, head=dict(type=head, scheme=SCHEME, **options), **neck))


def official_names(model, prefix="model."):
    """As the official code saves a network: in a wrapper with its loss."""
    names = {name.split(".", 1)[1]: tensor.clone() for name, tensor in model.state_dict().items()}
    return {f"{prefix}{name}": tensor for name, tensor in names.items()}


@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
@pytest.mark.parametrize("head", ["SegmentationHead", "OCRHead"])
def test_official_files_load_completely_whatever_is_wrapped_around(head, prefix):
    source, target = tiny(head), tiny(head)
    torch.nn.init.constant_(source.backbone.bn1.weight, -0.5)
    file = official_names(source, prefix) | {"loss.criterion.weight": torch.ones(3)}
    report = load_checkpoint(target, {"state_dict": file, "epoch": 3})
    assert report.ok and report.kind == "official segmentation"
    assert report.notes == ["left out the class weights of the loss it was trained with"]
    for name, tensor in target.state_dict().items():  # plain files keep their negative weights
        assert torch.equal(tensor, source.state_dict()[name]), name


def openmmlab_names(model):
    """As mmsegmentation saves a network: convolutions before a normalisation have no bias."""
    fcn = {"0.weight": "convs.0.conv.weight", "3": "conv_seg", "1": "convs.0.bn"}
    block = "ocr_distri_head.object_context_block."
    theirs = {
        **{f"last_layer.{layer}": f"{name}" for layer, name in fcn.items()},
        **{f"aux_head.{layer}": f"0.{name}" for layer, name in fcn.items()},
        **{"conv3x3_ocr.0.weight": "1.bottleneck.conv.weight", "conv3x3_ocr.1": "1.bottleneck.bn"},
        "cls_head": "1.conv_seg",
        "ocr_distri_head.conv_bn_dropout.0": "1.object_context_block.bottleneck.conv",
        "ocr_distri_head.conv_bn_dropout.1.0": "1.object_context_block.bottleneck.bn",
    }
    for ours, name in (("f_pixel", "query"), ("f_object", "key"), ("f_down", "value"), ("f_up", "out")):
        for i, number in enumerate((".0", ".1") if name in ("query", "key") else ("",)):
            project = f"1.object_context_block.{name}_project{number}"
            theirs |= {f"{block}{ours}.{2 * i}": f"{project}.conv", f"{block}{ours}.{2 * i + 1}.0": f"{project}.bn"}
    file = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("head."):
            found = [
                (f"head.{a}", f"decode_head.{b}") for a, b in theirs.items() if f"{name}.".startswith(f"head.{a}.")
            ]
            if not found:
                continue
            name = name.replace(*max(found), 1)
        file[name] = tensor.clone()
    return file


@pytest.mark.parametrize("head", ["SegmentationHead", "OCRHead"])
def test_openmmlab_files_load_completely(head):
    source, target = tiny(head), tiny(head)
    for name in ("last_layer.0", "aux_head.0", "conv3x3_ocr.0"):
        if name.split(".")[0] in dict(source.head.named_children()):
            torch.nn.init.zeros_(source.head.get_submodule(name).bias)
    file = openmmlab_names(source)
    assert not any(name.startswith("head.") for name in file)
    report = load_checkpoint(target, {"state_dict": file})
    assert report.ok and report.kind == "OpenMMLab segmentation" and not report.notes
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]), name


@pytest.mark.parametrize("head", ["SegmentationHead", "OCRHead"])
def test_inplace_abn_weights_are_converted_aloud(head):
    source, target = tiny(head), tiny(head)
    file = {name: tensor for name, tensor in official_names(source).items() if "num_batches_tracked" not in name}
    file["model.bn1.weight"] = torch.linspace(-1, 1, 64)
    norms = sum(name.endswith("running_mean") for name in file)
    report = load_checkpoint(target, file)
    assert report.ok
    assert f"InPlaceABN: weights of {norms} normalisations became |weight| + 1e-5" in str(report)
    torch.testing.assert_close(target.backbone.bn1.weight.data, torch.linspace(-1, 1, 64).abs() + 1e-5)
    head_norm = target.head.last_layer[1] if head == "SegmentationHead" else target.head.aux_head[1]
    torch.testing.assert_close(head_norm.weight.data, torch.full_like(head_norm.weight, 1 + 1e-5))


def test_imagenet_weights_are_not_converted():
    source, target = tiny(), tiny()
    file = {name: t for name, t in official_names(source, "").items() if not name.startswith("last_layer")}
    file = {name: tensor for name, tensor in file.items() if "num_batches_tracked" not in name}
    file["bn1.weight"] = -torch.ones(64)
    file["classifier.weight"] = torch.zeros(10, 8)
    report = load_checkpoint(target, file)
    assert not report.notes
    assert (target.backbone.bn1.weight == -1).all()


def test_a_plain_file_starts_the_auxiliary_output():
    report = load_checkpoint(tiny("OCRHead"), official_names(tiny()))
    assert "the plain head's last_layer became aux_head" in report.notes
    assert {"head.aux_head.0.weight", "head.aux_head.3.bias"} <= set(report.loaded)


def test_channels_of_equal_name_are_taken_over():
    source = build_model(
        dict_config(backbone=TINY, head=dict(type="SegmentationHead", scheme=dict(names=["x", "left"])))
    )
    checkpoint = {"state_dict": source.state_dict(), "meta": {"output_names": ["x", "left"], "hrtoolkit_version": "0"}}
    target = tiny()
    report = load_checkpoint(target, checkpoint)
    assert report.adopted == {"head.last_layer.3.weight": ["left"], "head.last_layer.3.bias": ["left"]}
    assert torch.equal(target.head.last_layer[3].weight[1], source.head.last_layer[3].weight[1])


def test_both_outputs_are_trained():
    head = OCRHead(
        [6],
        [4],
        scheme=SCHEME,
        channels=8,
        key_channels=4,
        loss=OhemCrossEntropy(),
        aux_loss=CrossEntropy(average="all"),
    )
    labels = torch.randint(0, 3, (2, 32, 40), dtype=torch.uint8)
    labels[:, :8] = 255
    losses = head.loss([torch.randn(2, 6, 8, 10)], {"label": labels}, frames=None)
    (losses["loss_seg"] + losses["loss_aux"]).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert 0 <= losses["accuracy"] <= 1


def test_momentum_is_that_of_the_official_branch():
    assert SegmentationHead([4, 8], [4, 8], scheme=SCHEME).last_layer[1].momentum == 0.01
    assert SegmentationHead([4, 8], [4, 8], scheme=SCHEME, bn_momentum=0.1).last_layer[1].momentum == 0.1
    assert OCRHead([4], [4], scheme=SCHEME).aux_head[1].momentum == 0.1


def test_contradictions_are_refused():
    with pytest.raises(OptionError, match="one joined map, got 2; put the neck Concat"):
        OCRHead([4, 8], [4, 8], scheme=SCHEME)
    with pytest.raises(OptionError, match="2 class_weights for 3 classes"):
        SegmentationHead([4], [4], scheme=SCHEME, loss=CrossEntropy([1, 2]))
    with pytest.raises(OptionError, match="scheme must be one of"):
        SegmentationHead([4], [4])
    with pytest.raises(OptionError, match="label maps hold 1 to 254 classes, got 1000"):
        SegmentationHead([4], [4], scheme=1000)
    head = SegmentationHead([4], [4], scheme=SCHEME)
    with pytest.raises(
        DataError, match=r"data has 19 classes \(road, .*the head has 3 .*Leave model\.head\.scheme out"
    ):
        check_same(resolve_scheme("cityscapes", type(head.scheme)), head.scheme)


def test_other_enlarging_than_trained_with_is_said():
    ocr = dict(type="OCRHead", scheme=SCHEME, channels=8, key_channels=4)
    neck = dict(type="Concat", align_corners=True)
    model = build_model(dict_config(backbone={**TINY, "align_corners": True}, neck=neck, head=ocr))
    file = {"meta": {"hrtoolkit_version": "0.1", **model.describe()}, "state_dict": model.state_dict()}
    assert not load_checkpoint(model, file).differences
    model = build_model(dict_config(backbone=TINY, neck=dict(type="Concat"), head={**ocr, "align_corners": False}))
    report = load_checkpoint(model, file)
    told = "another align_corners than the checkpoint was trained for: False, not True (model.{}.align_corners)"
    assert report.differences == [told.format(part) for part in ("backbone", "neck", "head")]
    assert all(line in str(report) for line in report.differences)


def test_enlarging_of_other_publishers_is_said():
    """mmsegmentation never aligns corners, the OCR networks of the authors always do."""
    ocr = dict(type="OCRHead", scheme=SCHEME, channels=8, key_channels=4)
    aligned = dict(backbone={**TINY, "align_corners": True}, neck=dict(type="Concat", align_corners=True), head=ocr)
    plain = dict(backbone=TINY, neck=dict(type="Concat"), head={**ocr, "align_corners": False})
    for options, kind, expected in (
        (aligned, "OpenMMLab segmentation", 3),
        (plain, "OpenMMLab segmentation", 0),
        (aligned, "official segmentation", 0),
        (plain, "official segmentation", 3),
    ):
        model = build_model(dict_config(**options))
        names = official_names(model) if kind.startswith("official") else openmmlab_names(model)
        report = load_checkpoint(model, names)
        assert report.kind == kind and report.fits
        assert len(report.differences) == expected, report.differences
        assert all("align_corners than the checkpoint was trained for" in line for line in report.differences)
    model = build_model(dict_config(**aligned))
    text = "model = dict(decode_head=[dict(align_corners=True), dict(align_corners=True)])"
    lines = load_checkpoint(model, {"meta": {"cfg": text}, "state_dict": openmmlab_names(model)}).differences
    assert [line.split("(")[-1] for line in lines] == ["model.backbone.align_corners)"]

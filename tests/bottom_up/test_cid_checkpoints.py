"""CID weights of others: whose they are, what becomes of their names, and the grid that they were trained on."""

import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.checkpoints import load_fitting
from hrtoolkit.errors import CheckpointError
from hrtoolkit.tasks.bottom_up.cid import CIDHead

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)
TO_MMPOSE = (
    ("iia.keypoint_center_conv.", "iia_module.keypoint_root_conv."),
    ("gfd.c_attn.", "gfd_module.channel_attention."),
    ("gfd.s_attn.", "gfd_module.spatial_attention."),
    ("gfd.fuse_attn.", "gfd_module.fuse_attention."),
    ("gfd.", "gfd_module."),
)

MMPOSE_CONFIG = """
codec = dict(type='DecoupledHeatmap', input_size=(512, 512), heatmap_size=(128, 128))
model = dict(
    type='BottomupPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(type='HRNet', in_channels=3, extra=dict(stage4=dict(multiscale_output=True))),
    neck=dict(type='FeatureMapProcessor', concat=True),
    head=dict(type='CIDHead', in_channels=480, num_keypoints=17, gfd_channels=32, decoder=codec),
    test_cfg=dict(multiscale_test=False, flip_test=True, shift_heatmap=False, align_corners=False))
"""


def make_model(scheme="coco", **changes):
    torch.manual_seed(len(changes))
    head = dict(type=CIDHead.__name__, scheme=scheme, channels=8)
    return build_model(Config(dict(model=dict(backbone=TINY, head=head, **changes))))


def official(model):
    """The weights by their official names."""
    tensors = {name.removeprefix("head."): tensor for name, tensor in model.state_dict().items()}
    del tensors["gfd.s_attn.grid_offset"]
    return tensors


def mmpose_1(model):
    renamed = {}
    for name, tensor in official(model).items():
        if not name.startswith("backbone."):
            name = f"head.{next(name.replace(ours, theirs) for ours, theirs in TO_MMPOSE if name.startswith(ours))}"
        renamed[name] = tensor
    names = dict(enumerate(model.head.scheme.names))
    return {"state_dict": renamed, "meta": {"cfg": MMPOSE_CONFIG, "dataset_meta": {"keypoint_id2name": names}}}


def mmpose_0(model):
    parts = {"iia": "keypoint_head", "gfd": "keypoint_head"}
    renamed = {}
    for name, tensor in official(model).items():
        first, _, rest = name.partition(".")
        renamed[f"{parts.get(first, first)}.{rest}"] = tensor
    return {"state_dict": renamed, "meta": {}}


def training(model):
    """What the official training leaves: weights of DataParallel, the best ones bare, and other things."""
    tensors = official(model)
    wrapped = {f"module.{name}": tensor for name, tensor in tensors.items()}
    rest = {"epoch": 140, "model": "cid", "perf": 0.7, "optimizer": {"state": {}, "param_groups": []}}
    return {**rest, "state_dict": wrapped, "best_state_dict": tensors}


@pytest.mark.parametrize(
    ("form", "kind", "offset"),
    [
        (official, "official CID", 0),
        (training, "official CID", 0),
        (mmpose_1, "mmpose CID", 0.5),
        (mmpose_0, "mmpose CID", 0),
    ],
)
def test_weights_of_others_load_without_a_remark(form, kind, offset, tmp_path):
    theirs, ours = make_model(), make_model(flip_test=True)
    torch.save(form(theirs), tmp_path / "checkpoint.pth.tar")
    report = load_fitting(ours, tmp_path / "checkpoint.pth.tar")
    assert report.ok and report.kind == kind and not report.differences, str(report)
    for name, tensor in theirs.state_dict().items():
        if not name.endswith("grid_offset"):
            torch.testing.assert_close(ours.state_dict()[name], tensor)
    assert ours.head.gfd.s_attn.grid_offset == offset and bool(report.notes) == bool(offset)


def test_the_grid_goes_with_the_weights(tmp_path):
    first, second = make_model(), make_model(flip_test=True)
    load_checkpoint(first, mmpose_1(make_model()))
    meta = {"hrtoolkit_version": "1", **first.describe()}
    torch.save({"state_dict": first.state_dict(), "meta": meta}, tmp_path / "ours.pth")
    assert load_fitting(second, tmp_path / "ours.pth").ok and second.head.gfd.s_attn.grid_offset == 0.5


@pytest.mark.parametrize("form", [official, mmpose_1, mmpose_0])
def test_a_checkpoint_of_another_method_is_refused(form):
    neck, head = dict(type="HighestResolution"), dict(type="HeatmapHead", scheme="coco")
    backbone = dict(TINY, num_outputs=1)
    other = build_model(Config(dict(model=dict(backbone=backbone, neck=neck, head=head))))
    with pytest.raises(CheckpointError, match=r"does not fit the model(.|\n)*not in the file: .*head"):
        load_fitting(other, form(make_model()))
    with pytest.raises(CheckpointError, match=r"does not fit the model(.|\n)*not in the file: .*head"):
        load_fitting(make_model(), other.state_dict())


def test_keypoints_are_found_by_name_and_the_centre_with_them():
    first, second = make_model(), make_model(scheme=["tail", "left_wrist", "nose"], flip_test=True)
    meta = {"hrtoolkit_version": "1", "output_names": list(first.head.scheme.names)}
    report = load_checkpoint(second, {"state_dict": first.state_dict(), "meta": meta})
    assert not report.mis_shaped and not report.missing
    places = [first.head.scheme.names.index(name) for name in ("left_wrist", "nose")]
    theirs, ours = first.head.iia.keypoint_center_conv.weight, second.head.iia.keypoint_center_conv.weight
    torch.testing.assert_close(ours[1:], theirs[[*places, -1]])
    torch.testing.assert_close(second.head.gfd.heatmap_conv.weight[1:], first.head.gfd.heatmap_conv.weight[places])

"""Weights of every known format into a model, and what the report says of them."""

import pytest
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.backbones import HRNet
from hrtoolkit.checkpoints import output_names
from hrtoolkit.errors import CheckpointError
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import COCO, MPII

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def make_model(scheme="coco", num_outputs=1, **backbone):
    from mmengine import Config

    return build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.pose", "hrtoolkit.tasks.classification"]),
                model=dict(
                    backbone=dict(**{**TINY, **backbone}, num_outputs=num_outputs),
                    neck=dict(type="HighestResolution"),
                    head=dict(type="HeatmapHead", scheme=scheme),
                ),
            )
        )
    )


def randomise(state_dict):
    generator = torch.Generator().manual_seed(0)
    return {
        k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v + 3 for k, v in state_dict.items()
    }


@pytest.fixture
def official():
    """State dict of an official pose release of the tiny size: bare backbone names and `final_layer`."""
    return {k.split(".", 1)[1]: v for k, v in randomise(make_model().state_dict()).items()}


def assert_same_weights(model, official):
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, official[name.split(".", 1)[1]]), name


def rename(official, head):
    return {f"{head if k.startswith('final_layer') else 'backbone.'}{k}": v for k, v in official.items()}


FORMATS = {
    "official pose": lambda o: o,
    "official pose, DataParallel": lambda o: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in o.items()}},
    "OpenMMLab 0.x": lambda o: {"meta": {"epoch": 1}, "state_dict": rename(o, "keypoint_head.")},
    "OpenMMLab 1.x": lambda o: {
        "meta": {},
        "state_dict": {**rename(o, "head."), "data_preprocessor.mean": torch.zeros(3)},
    },
    "compiled": lambda o: {f"_orig_mod.{k}": v for k, v in rename(o, "head.").items()},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_pose_format_loads_completely(name, official, tmp_path):
    torch.save(FORMATS[name](official), tmp_path / "file.pth")
    model = make_model()
    report = load_checkpoint(model, tmp_path / "file.pth")
    assert report.ok, report.details()
    assert_same_weights(model, official)


def test_a_classification_file_fills_the_backbone_and_tells_the_rest(official):
    v2 = randomise(HRNet(**{k: v for k, v in TINY.items() if k != "type"}).state_dict())
    file = {
        **v2,
        "incre_modules.0.0.conv1.weight": torch.rand(2, 2, 1, 1),
        "final_layer.0.weight": torch.rand(8, 4, 1, 1),
        "classifier.weight": torch.rand(10, 8),
    }
    model = make_model()
    report = load_checkpoint(model, file)
    assert report.kind == "official or timm classification"
    assert report.part_fits("backbone") and not report.fits
    assert report.missing == ["head.final_layer.weight", "head.final_layer.bias"]
    # The V1 form lacks what leads to the coarser maps of the last module.
    unused = {name.split(".")[1] for name in report.unexpected}
    assert unused == {"stage4", "incre_modules", "final_layer", "classifier"}
    assert "not used" in str(report) and "head.classifier.weight" in report.details()


def test_a_head_of_another_scheme_takes_over_channels_by_name(official):
    names = ["left_wrist", "tail", "nose"]
    model = make_model(scheme=dict(names=names))
    before = model.head.final_layer.weight.detach().clone()
    assert "give `scheme` to take over those of equal name" in str(load_checkpoint(model, official))
    assert torch.equal(model.head.final_layer.weight, before)  # nothing is guessed from a count
    report = load_checkpoint(model, official, scheme="coco")
    assert report.part_fits("backbone") and not report.ok
    assert report.adopted["head.final_layer.weight"] == ["left_wrist", "nose"]
    weight = model.head.final_layer.weight
    assert torch.equal(weight[0], official["final_layer.weight"][COCO.names.index("left_wrist")])
    assert torch.equal(weight[2], official["final_layer.weight"][COCO.names.index("nose")])
    assert torch.equal(weight[1], before[1])
    assert "2 channels taken over by name (left_wrist, nose)" in str(report)


def test_equal_counts_in_another_order_are_matched_by_the_names_in_the_file():
    names = list(reversed(MPII.names))
    state = randomise(make_model(scheme="mpii").state_dict())
    model = make_model(scheme=dict(names=names))
    load_checkpoint(model, {"meta": {"output_names": list(MPII.names)}, "state_dict": state})
    assert torch.equal(model.head.final_layer.bias, state["head.final_layer.bias"].flip(0))


def test_channels_of_public_sets_are_found_by_the_names_that_all_have():
    """The head of CrowdPose is the head_top of AI Challenger, and of what was trained on both."""
    crowdpose, aic = (resolve_scheme(name, KeypointScheme).names for name in ("crowdpose", "aic"))
    state = randomise(make_model(scheme="crowdpose").state_dict())
    bias = state["head.final_layer.bias"]
    for scheme, names in (("aic", aic), (dict(union=["coco", "aic"]), None)):
        model = make_model(scheme=scheme)
        load_checkpoint(model, {"meta": {"output_names": list(crowdpose)}, "state_dict": state})
        names = names or model.head.scheme.names
        assert model.head.final_layer.bias[names.index("head_top")] == bias[crowdpose.index("head")]
        assert model.head.final_layer.bias[names.index("left_hip")] == bias[crowdpose.index("left_hip")]
    # And back, from a network of both.
    both = make_model(scheme=dict(union=["coco", "aic"]))
    state, model = randomise(both.state_dict()), make_model(scheme="crowdpose")
    load_checkpoint(model, {"meta": {"output_names": output_names(both)}, "state_dict": state})
    top = state["head.final_layer.bias"][both.head.scheme.names.index("head_top")]
    assert model.head.final_layer.bias[crowdpose.index("head")] == top


def test_another_width_is_reported_shape_by_shape(official):
    report = load_checkpoint(make_model(width=6), official)
    assert not report.fits
    assert report.mis_shaped["backbone.transition1.0.0.weight"] == ((4, 32, 3, 3), (6, 32, 3, 3))
    assert "more lines" in str(report)


def test_a_backbone_alone_loads_too(official):
    net = HRNet(**{k: v for k, v in TINY.items() if k != "type"}, num_outputs=1)
    report = load_checkpoint(net, official)
    assert report.fits
    assert report.unexpected == ["head.final_layer.weight", "head.final_layer.bias"]


def test_missing_batch_counters_are_accepted(official):
    old = {k: v for k, v in official.items() if not k.endswith("num_batches_tracked")}
    assert load_checkpoint(make_model(), old).ok


def test_tensors_beside_the_weights_do_not_hide_them(official):
    assert load_checkpoint(make_model(), {"epoch": torch.tensor(3), "state_dict": official}).ok


# As training scripts save them: from which the same weights come, whatever is around them.
WRAPPED = {
    "a tutorial": lambda o: {"epoch": 1, "model_state_dict": o, "optimizer_state_dict": {"state": {0: {"a": o}}}},
    "net": lambda o: {"net": o, "acc": 0.9},
    "params": lambda o: {"params": o},
    "model": lambda o: {"model": o, "iteration": 3},
    "two levels": lambda o: {"checkpoint": {"weights": o}, "optimizer": {"state": {0: {"a": torch.zeros(1)}}}},
    "averaged": lambda o: {"state_dict_ema": o, "state_dict": {k: torch.zeros_like(v) for k, v in o.items()}},
    "averaged by OpenMMLab": lambda o: {
        "meta": {},
        "state_dict": rename(o, "head."),
        "ema_state_dict": {f"module.{k}": torch.zeros_like(v) for k, v in rename(o, "head.").items()},
    },
    "Lightning": lambda o: {"state_dict": {f"model.{k}": v for k, v in o.items()}, "pytorch-lightning_version": "2"},
    "Lightning, net": lambda o: {"state_dict": {f"net._orig_mod.{k}": v for k, v in o.items()}},
    "Lightning, own name": lambda o: {"state_dict": {f"pose_net.hrnet.{k}": v for k, v in o.items()}},
    "DataParallel, compiled": lambda o: {f"module._orig_mod.{k}": v for k, v in o.items()},
    "with other keys": lambda o: {**o, "steps": 3, 7: torch.zeros(2)},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_weights_are_found_wherever_they_lie(name, official):
    model = make_model()
    report = load_checkpoint(model, WRAPPED[name](official))
    assert report.ok, report.details()
    assert_same_weights(model, official)
    if name == "averaged":
        assert "took the weights averaged over the training, state_dict_ema, and not state_dict" in str(report)


def test_several_networks_in_a_file_and_files_that_hold_themselves_are_refused(official):
    with pytest.raises(CheckpointError, match=r"file: several networks \(discriminator, generator\)"):
        load_checkpoint(make_model(), {"generator": official, "discriminator": official}, label="file")
    knot = {"epoch": 1}
    knot["state_dict"] = knot
    with pytest.raises(CheckpointError, match="no tensors found; its keys are epoch"):
        load_checkpoint(make_model(), knot)


def test_what_is_not_finite_is_named_and_does_not_fit(official):
    official["conv1.weight"][0] = float("nan")
    official["final_layer.bias"] = torch.full_like(official["final_layer.bias"], 1e300, dtype=torch.float64)
    official["bn2.running_var"][1] = -1
    report = load_checkpoint(make_model(), official)
    assert report.not_finite == {
        "backbone.conv1.weight": "27 of 1728 values are NaN or infinite",
        "head.final_layer.bias": "17 of 17 values are NaN or infinite",  # beyond what the model's numbers can hold
        "backbone.bn2.running_var": "1 of 64 variances are below 0",
    }
    assert not report.fits and not report.part_fits("backbone")
    assert "backbone.conv1.weight: 27 of 1728 values are NaN or infinite" in str(report)
    assert "not finite (3)" in report.details()


def test_whole_numbers_are_not_taken_for_weights(official):
    official["conv1.weight"] = (official["conv1.weight"] * 100).to(torch.int8)
    report = load_checkpoint(make_model(), official)
    assert not report.fits
    assert "backbone.conv1.weight: keeps its initial values, int8 in the file, perhaps quantised" in str(report)


def test_a_larger_network_of_equal_names_does_not_fit():
    larger = make_model(blocks=2).state_dict()
    model = make_model()
    report = load_checkpoint(model, larger)
    assert not report.missing and not report.mis_shaped  # every tensor is there, yet they are of another network
    assert not report.fits and "the network of the file is larger" in str(report)
    biased = {**model.state_dict(), "backbone.conv1.bias": torch.ones(64), "other_head.weight": torch.ones(1)}
    assert load_checkpoint(model, biased).cut == ["backbone.conv1.bias"]
    # What leads to coarser maps does not change the finest.
    assert load_checkpoint(make_model(), make_model(num_outputs=4).state_dict()).fits


def test_a_head_whose_outputs_were_all_found_by_name_fits():
    state = randomise(make_model(scheme="coco").state_dict())
    file = {"meta": {"output_names": list(COCO.names)}, "state_dict": state}
    model = make_model(scheme=dict(names=["right_wrist", "nose"]))
    report = load_checkpoint(model, file)
    assert report.ok and "its 17 outputs have another order or number: all 2 were found by name" in str(report)
    rows = [COCO.names.index("right_wrist"), 0]
    assert torch.equal(model.head.final_layer.weight, state["head.final_layer.weight"][rows])
    assert not load_checkpoint(make_model(scheme=dict(names=["tail", "nose"])), file).fits


def test_classes_that_others_spell_in_another_way_are_taken_in_order():
    state = randomise(make_model(scheme=dict(names=["a", "b"])).state_dict())
    model = make_model(scheme=dict(names=["A", "dinner table"]))
    report = load_checkpoint(model, {"meta": {"CLASSES": ("a", "table")}, "state_dict": state})
    assert report.ok and "taken in their order, though named otherwise" in str(report)
    assert torch.equal(model.head.final_layer.weight, state["head.final_layer.weight"])
    report = load_checkpoint(model, {"meta": {"CLASSES": ("dinner_table", "a")}, "state_dict": state})
    assert report.ok
    assert torch.equal(model.head.final_layer.weight, state["head.final_layer.weight"].flip(0))


MMPOSE = """
codec = dict(type='{codec}', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean={mean}, std=[58.395, 57.12, 57.375], bgr_to_rgb={rgb}),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
danger = __import__('os').system('touch it_ran')
"""
RGB, BGR = [123.675, 116.28, 103.53], [103.53, 116.28, 123.675]


def test_the_config_in_a_file_of_openmmlab_is_compared_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = make_model()  # plain heatmaps
    state = randomise(model.state_dict())
    plain = MMPOSE.format(codec="MSRAHeatmap", mean=RGB, rgb=True).replace("shift_heatmap=False", "shift_heatmap=True")
    assert not load_checkpoint(model, {"meta": {"cfg": plain}, "state_dict": state}).differences
    udp = MMPOSE.format(codec="UDPHeatmap", mean=RGB, rgb=True)
    report = load_checkpoint(model, {"meta": {"cfg": udp}, "state_dict": state})
    (line,) = report.differences
    assert line.startswith("another codec than the checkpoint was trained for: {'type': 'GaussianHeatmap'")
    assert "not {'type': 'UDPHeatmap'" in line and line in str(report) and report.ok
    old = "model = dict(test_cfg=dict(post_process='default', shift_heatmap=False, modulate_kernel=11, use_udp=True))"
    state = {k.replace("head.", "keypoint_head."): v for k, v in state.items()}
    assert "UDPHeatmap" in str(load_checkpoint(model, {"meta": {"config": old}, "state_dict": state}))
    assert not any(tmp_path.iterdir())


def test_networks_that_want_bgr_are_given_it():
    model = make_model()
    state = randomise(model.state_dict())
    text = MMPOSE.format(codec="MSRAHeatmap", mean=BGR, rgb=False)
    report = load_checkpoint(model, {"meta": {"cfg": text}, "state_dict": state})
    assert "trained on BGR images" in str(report)
    assert torch.equal(model.backbone.conv1.weight, state["backbone.conv1.weight"].flip(1))
    # Who reads RGB says so by the mean.
    load_checkpoint(model, {"meta": {"cfg": text.replace(str(BGR), str(RGB))}, "state_dict": state})
    assert torch.equal(model.backbone.conv1.weight, state["backbone.conv1.weight"])


NONSENSE = ["model = [", "model = 3", "model = dict(test_cfg='x', head=[1])\ncodec = [1]", "(" * 5000]


@pytest.mark.parametrize("text", NONSENSE)
def test_a_config_that_makes_no_sense_tells_nothing(text, official):
    file = {"meta": {"cfg": text}, "state_dict": rename(official, "head.")}
    assert load_checkpoint(make_model(), file).ok

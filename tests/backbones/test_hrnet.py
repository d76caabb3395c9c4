"""HRNet against published parameter counts and names, and against timm's."""

from dataclasses import asdict

import pytest
import timm
import torch

from hrtoolkit.backbones.hrnet import VARIANTS, HRNet

# Parameters and state entries of the backbone alone, measured on the official classification code.
SIZES = {
    "w18_small_v1": (1_477_920, 426),
    "w18_small_v2": (3_860_720, 864),
    "w18": (9_562_260, 1830),
    "w30": (25_812_276, 1830),
    "w32": (29_305_536, 1830),
    "w40": (45_521_216, 1830),
    "w44": (54_974_640, 1830),
    "w48": (65_325_120, 1830),
    "w64": (115_697_600, 1830),
}
TINY = {"width": 4, "modules": (1, 1, 1), "blocks": 1, "layer1_blocks": 1, "layer1_planes": 8}


def test_every_variant_is_listed():
    assert set(VARIANTS) == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_variants_have_the_published_size(name):
    with torch.device("meta"):
        net = HRNet(**asdict(VARIANTS[name]))
    assert (sum(p.numel() for p in net.parameters()), len(net.state_dict())) == SIZES[name]


@pytest.mark.parametrize(("width", "parameters"), [(32, 28_536_113), (48, 63_595_745)])
def test_pose_form_has_the_published_size(width, parameters):
    with torch.device("meta"):
        net = HRNet(width, num_outputs=1)
    head = 17 * width + 17
    assert sum(p.numel() for p in net.parameters()) + head == parameters
    assert len(net.state_dict()) == 1752
    assert net.out_channels == (width,)
    groups = [name.split(".")[0] for name in net.state_dict()]
    counts = {"layer1": 78, "transition1": 12, "stage2": 108, "transition2": 6, "stage3": 744, "stage4": 786}
    assert {name: groups.count(name) for name in counts} == counts


def test_names_and_shapes_of_the_official_grammar():
    with torch.device("meta"):
        shapes = {name: list(tensor.shape) for name, tensor in HRNet(32).state_dict().items()}
    expected = {
        "conv1.weight": [64, 3, 3, 3],
        "layer1.0.downsample.0.weight": [256, 64, 1, 1],
        "transition1.0.0.weight": [32, 256, 3, 3],
        "transition1.1.0.0.weight": [64, 256, 3, 3],
        "transition3.3.0.0.weight": [256, 128, 3, 3],
        "stage3.0.fuse_layers.0.2.0.weight": [32, 128, 1, 1],
        "stage3.0.fuse_layers.2.0.1.0.weight": [128, 32, 3, 3],
        "stage4.0.fuse_layers.3.0.2.0.weight": [256, 32, 3, 3],
        "stage4.2.branches.3.3.conv2.weight": [256, 256, 3, 3],
    }
    assert {name: shapes[name] for name in expected} == expected


def test_features_equal_timms_bit_for_bit():
    theirs = timm.create_model(
        "hrnet_w18_small", features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    ).eval()
    ours = HRNet(**asdict(VARIANTS["w18_small_v1"])).eval()
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b in zip(ours(images), theirs(images), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(101, 75), (64, 64), (33, 50)])
def test_any_input_size_works(size, upsample):
    net = HRNet(**TINY, fuse_upsample=upsample)
    height, width = size
    maps = net(torch.rand(1, 3, height, width))
    for channels, stride, x in zip(net.out_channels, net.out_strides, maps, strict=True):
        assert x.shape == (1, channels, -(-height // stride), -(-width // stride))


def test_the_official_fingerprint():
    # Weights and input are functions of position; the numbers come from the official network in float64.
    net = HRNet(32, num_outputs=1)
    final = torch.nn.Conv2d(32, 17, 1)
    state = {**net.state_dict(), **{f"final_layer.{k}": v for k, v in final.state_dict().items()}}
    for i, name in enumerate(sorted(state)):
        a = torch.sin(0.37 * torch.arange(state[name].numel(), dtype=torch.float64) + 0.11 * i).view(state[name].shape)
        if state[name].ndim == 4:
            state[name] = a * (2 / state[name][0].numel()) ** 0.5
        elif name.endswith("running_var"):
            state[name] = 1 + 0.5 * a**2
        elif name.endswith(("running_mean", "bias")):
            state[name] = 0.1 * a
        elif not name.endswith("num_batches_tracked"):
            state[name] = 1 + 0.1 * a
    final.double().load_state_dict({k: state.pop(f"final_layer.{k}") for k in ("weight", "bias")})
    net.double().eval().load_state_dict(state)
    c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (3, 64, 64)), indexing="ij")
    with torch.no_grad():
        features = net(torch.sin(0.05 * (y + 2 * x) + c)[None])[0]
        output = final(features)
    assert features.mean().item() == pytest.approx(1.0453875215354716, rel=1e-9)
    assert output.std().item() == pytest.approx(1.310159584623632, rel=1e-9)
    assert output.abs().sum().item() == pytest.approx(5069.8033217436405, rel=1e-9)
    assert output[0, 5, 7, 9].item() == pytest.approx(-1.634170744539535, rel=1e-9)
    assert output[0, 16, 15, 15].item() == pytest.approx(1.0811485235691014, rel=1e-9)


def test_named_differences_of_the_originals_are_honoured():
    assert HRNet(**TINY, bn_momentum=0.01).stage4[0].branches[0][0].bn1.momentum == 0.01
    with pytest.raises(ValueError, match=r"num_outputs must be 1 \(V1\) or 4 \(V2\), got 2"):
        HRNet(num_outputs=2)


def test_every_parameter_of_both_forms_gets_a_gradient():
    for num_outputs in (1, 4):
        net = HRNet(**TINY, num_outputs=num_outputs)
        sum(x.sum() for x in net(torch.rand(2, 3, 64, 64))).backward()
        assert [name for name, p in net.named_parameters() if p.grad is None] == []


def test_checkpointed_activations_change_neither_losses_nor_gradients_nor_statistics():
    options = {**TINY, "width": 16, "modules": (1, 2, 2), "blocks": 2, "num_outputs": 1}
    plain = HRNet(**options, init="kaiming")
    checkpointed = HRNet(**options, checkpoint_activations=True)
    checkpointed.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    losses, saved = [], []
    for net in (plain, checkpointed):
        kept = 0

        def keep(tensor):
            nonlocal kept
            kept += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = net(images)[0].square().mean()
        loss.backward()
        losses.append(loss)
        saved.append(kept)
    assert torch.equal(*losses)
    for (name, a), b in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name
    # Running statistics take a batch in once, though its blocks run twice.
    for (name, a), b in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(a, b), name
    assert saved[1] < saved[0] / 2

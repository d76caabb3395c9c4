"""The model around its parts: what is frozen, what changes training batches, and what takes over prediction."""

import numpy as np
import pytest
import torch
from mmengine import Config
from torch import nn

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.config import ConfigError
from hrtoolkit.data.seeding import global_seed
from hrtoolkit.frames import Warp
from hrtoolkit.model import mirror
from hrtoolkit.records import Objects
from hrtoolkit.registry import BATCH_AUGMENTATIONS, INFERENCES
from hrtoolkit.speed import compile_blocks, fold

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=1)


def make_model(**options):
    head = dict(type="HeatmapHead", scheme="coco")
    parts = dict(backbone=TINY, neck=dict(type="HighestResolution"), head=head)
    return build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.pose"], allow_failed_imports=False), model=parts | options
            )
        )
    )


def make_frames(count=2, hw=(64, 48)):
    sizes = np.full((count, 2), hw)
    boxes = np.tile([0.0, 0.0, hw[1], hw[0]], (count, 1))
    matrices = np.tile(np.eye(2, 3), (count, 1, 1))
    return Warp(sizes, sizes, np.zeros(count, bool), matrices, boxes, np.ones(count), np.ones(count))


def make_batch():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (2, 3, 64, 48), dtype=np.uint8))
    keypoints = torch.from_numpy(rng.uniform(0, 48, (2, 17, 2)).astype(np.float32))
    targets = {"keypoints": keypoints, "visible": torch.ones(2, 17)}
    return {"images": images, "targets": targets, "frames": make_frames(), "seed": 5, "indices": np.arange(2)}


def test_frozen_parts_keep_weights_and_statistics_while_the_others_learn():
    torch.manual_seed(0)
    model = make_model(frozen=["backbone.conv1", "backbone.bn1", "backbone.layer1"]).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    batch = model.data_preprocessor(make_batch(), training=True)
    sum(value for name, value in model(**batch, mode="loss").items() if "loss" in name).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not [name for name in changed if name.startswith(model.frozen)]
    assert {"backbone.conv2.weight", "backbone.bn2.running_mean", "head.final_layer.weight"} <= changed
    model.eval().train()
    assert model.backbone.bn2.training and not model.backbone.bn1.training
    assert not any(module.training for module in model.backbone.layer1.modules())


def test_a_name_to_freeze_must_be_a_module():
    with pytest.raises(
        ConfigError, match=r"the model has no module 'backbone.layer9', but backbone.conv1, backbone.bn1"
    ):
        make_model(frozen=["backbone.layer9"])


@BATCH_AUGMENTATIONS.register_module()
class Darken(nn.Module):
    """Halve normalised images and tell the targets."""

    def forward(self, images, targets, seed):
        return images / 2, targets | {"darkened": torch.tensor(seed)}


def test_training_batches_alone_are_augmented_after_normalisation():
    plain, model = make_model(), make_model(augment=dict(type="Darken"))
    images = plain.data_preprocessor(make_batch(), training=True)["images"]
    augmented = model.data_preprocessor(make_batch(), training=True)
    assert torch.equal(augmented["images"], images / 2)
    assert augmented["targets"]["darkened"] == 5
    assert torch.equal(model.data_preprocessor(make_batch())["images"], images)


@INFERENCES.register_module()
class BrightAndDark:
    """Shows the network every image twice."""

    def __call__(self, model, branch, images, frames):
        both = [branch.head(model.extract(images * factor, branch)) for factor in (1.0, 0.5)]
        return [{"heatmaps": pair, "flip": model.flip_test} for pair in zip(*both, strict=True)]


def test_an_inference_part_takes_over_prediction_only():
    torch.manual_seed(0)
    model = make_model(inference=dict(type="BrightAndDark"), flip_test=True).eval()
    batch = model.data_preprocessor(make_batch())
    predictions = model(batch["images"], frames=batch["frames"], mode="predict")
    assert len(predictions) == 2 and predictions[0]["flip"]
    expected = model(batch["images"]), model(batch["images"] / 2)
    for index, prediction in enumerate(predictions):
        for heatmaps, whole in zip(prediction["heatmaps"], expected, strict=True):
            assert torch.equal(heatmaps, whole[index])
    assert "loss_heatmap" in model(**batch, mode="loss")


def test_mirrored_images_move_as_far_as_the_head_asks():
    row = torch.arange(8.0)[None, None, None]
    assert mirror(row, 0).flatten().tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert mirror(row, 3).flatten().tolist() == [4, 3, 2, 1, 0, 2, 1, 0]  # the last columns keep what they had
    torch.manual_seed(0)
    model = make_model(flip_test=True).eval()
    seen = []
    model.head.predict = lambda maps, frames, flipped: seen.append((maps, flipped))
    model.head.flip_shift = 3
    images = torch.randn(1, 3, 32, 32)
    model(images, frames=make_frames(1, (32, 32)), mode="predict")
    assert torch.equal(seen[0][1][0], model.extract(mirror(images, 3))[0])


# Several branches


def make_branches(**options):
    head = dict(type="HeatmapHead")
    branches = dict(
        body=dict(neck=dict(type="HighestResolution"), head=head | dict(scheme="coco")),
        marks=dict(neck=dict(type="HighestResolution"), head=head | dict(scheme=["nose", "left_tail", "right_tail"])),
    )
    imports = dict(imports=["hrtoolkit.tasks.pose"])
    return build_model(Config(dict(custom_imports=imports, model=dict(backbone=TINY, branches=branches) | options)))


def test_branches_train_on_a_batch_that_has_truth_for_one_of_them():
    torch.manual_seed(0)
    model = make_branches().train()
    batch = model.data_preprocessor(make_batch() | {"targets": {"body": make_batch()["targets"]}}, training=True)
    losses = model(**batch, mode="loss")
    assert losses.keys() == {"body/loss_heatmap", "body/accuracy", "loss_untaught"}
    total, _ = model.parse_losses(losses)
    assert total == losses["body/loss_heatmap"]
    total.backward()
    assert model.branches["body"].head.final_layer.weight.grad.abs().sum() > 0
    # A gradient of 0, not none: Adam moves these weights in a process that lacks truth as in the others.
    assert (model.branches["marks"].head.final_layer.weight.grad == 0).all()
    nobody = torch.zeros(2, 3)  # no truth is not the same as nobody
    empty = {"marks": {"keypoints": torch.zeros(2, 3, 2), "visible": nobody}}
    assert model(batch["images"], empty, batch["frames"], mode="loss")["marks/loss_heatmap"] == 0


def test_a_head_learns_from_the_images_that_have_its_truth():
    torch.manual_seed(0)
    model = make_branches().eval()
    one, other = make_batch(), make_batch()
    batch = {
        "images": torch.cat([one["images"], other["images"] // 2]),
        "frames": make_frames(4),
        "seed": 0,
        "targets": {"body": one["targets"], "marks": {"keypoints": torch.rand(1, 3, 2), "visible": torch.ones(1, 3)}},
        "rows": {"body": np.array([3, 1]), "marks": np.array([2])},
    }
    losses = model(**model.data_preprocessor({"batches": {"": batch}}, training=True), mode="loss")
    for name, rows in batch["rows"].items():
        part = {"images": batch["images"][rows], "frames": make_frames(len(rows)), "seed": 0}
        part = model.data_preprocessor(part | {"targets": {name: batch["targets"][name]}}, training=True)
        alone = model(**part, mode="loss")
        torch.testing.assert_close(losses[f"{name}/loss_heatmap"], alone[f"{name}/loss_heatmap"], rtol=1e-5, atol=0)
    assert "loss_untaught" not in losses and "loss_untaught" in alone


def test_first_weights_of_a_part_follow_from_its_name():
    def build(*names):
        torch.manual_seed(3)
        parts = {
            name: dict(neck=dict(type="HighestResolution"), head=dict(type="HeatmapHead", scheme="coco"))
            for name in names
        }
        return build_model(
            Config(
                dict(custom_imports=dict(imports=["hrtoolkit.tasks.pose"]), model=dict(backbone=TINY, branches=parts))
            )
        ).state_dict()

    first, second = build("left", "right"), build("right")
    assert all(torch.equal(value, first[name]) for name, value in second.items())
    weights = (first[f"branches.{name}.head.final_layer.weight"] for name in ("left", "right"))
    assert not torch.equal(*weights)
    assert not torch.equal(make_branches().backbone.conv1.weight, make_branches().backbone.conv1.weight)


# Several views


def make_views(backbone=TINY, **options):
    """A branch that looks at tall crops, and two that look at wide ones."""
    branches = {
        name: dict(neck=dict(type="HighestResolution"), head=dict(type="HeatmapHead", scheme="coco"), view=view)
        for name, view in (
            ("tall", dict(type="TopDown", input_size=(32, 64))), ("left", "wide"), ("right", "wide"),
        )
    }  # fmt: skip
    parts = dict(backbone=backbone, branches=branches, views=dict(wide=dict(type="TopDown", input_size=(64, 32))))
    imports = dict(imports=["hrtoolkit.tasks.pose"])
    return build_model(Config(dict(custom_imports=imports, model=parts | options)))


def make_batches():
    """A batch for each view, with truth of all its branches."""
    torch.manual_seed(1)
    batches = {}
    for view, names, (height, width), mean in (
        ("tall", ["tall"], (64, 32), 0.0),
        ("wide", ["left", "right"], (32, 64), 2.0),
    ):
        truth = {"keypoints": torch.rand(2, 17, 2) * 30, "visible": torch.ones(2, 17)}
        batches[view] = {
            "images": torch.randn(2, 3, height, width) + mean,
            "frames": make_frames(2, (height, width)),
            "targets": dict.fromkeys(names, truth),
        }
    return batches


def test_branches_share_views_and_views_have_statistics_of_their_own():
    torch.manual_seed(0)
    model = make_views().train()
    assert model.views == ("tall", "wide") and model.norm == "per_view"
    assert model.branches["left"].view is model.branches["right"].view
    losses = model(batches=make_batches(), mode="loss")
    assert {name for name in losses if "loss" in name} == {f"{name}/loss_heatmap" for name in ("tall", "left", "right")}
    mean = model.backbone.bn1.running_mean
    alone = make_views().train()
    alone.load_state_dict(
        make_views().state_dict() | {k: v for k, v in model.state_dict().items() if "running" not in k}
    )
    before = alone.backbone.bn1.running_mean.clone()
    alone(batches={"wide": make_batches()["wide"]}, mode="loss")
    now = alone.backbone.bn1.running_mean
    assert torch.equal(now[0], before[0]) and torch.equal(now[1], mean[1]) and not torch.equal(mean[0], mean[1])


@torch.no_grad()
@pytest.mark.parametrize("norm", ["per_view", "per_view_affine", "shared"])
def test_a_view_predicts_with_its_own_statistics_folded_too(norm):
    torch.manual_seed(0)
    model = make_views(norm=norm).train()
    for _ in range(3):
        model(batches=make_batches(), mode="loss")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
    model.eval()
    images = make_batches()["wide"]["images"]
    outputs = model(images)
    assert list(outputs) == ["tall", "left", "right"]
    left, right = (model.extract(images, model.branches[name])[0] for name in ("left", "right"))
    assert torch.equal(left, right)
    tall = model.extract(images, model.branches["tall"])[0]
    assert torch.equal(left, tall) == (norm == "shared")
    assert torch.equal(outputs["left"], model.branches["left"].head([left]))
    folded = fold(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    for name, expected in outputs.items():
        torch.testing.assert_close(folded(images)[name], expected, rtol=1e-4, atol=1e-6)


def test_weights_of_one_view_go_to_all_of_them():
    torch.manual_seed(0)
    single, model = make_model(), make_views(norm="per_view_affine")
    report = load_checkpoint(model, single.state_dict(), branch="left")
    assert report.part_fits("backbone") and not report.unexpected, report.details()
    norm, plain = model.backbone.layer1[0].bn2, single.backbone.layer1[0].bn2
    for name in ("weight", "running_var"):
        assert torch.equal(getattr(norm, name), torch.stack([getattr(plain, name)] * 2))
    own = {"meta": {"hrtoolkit_version": "0"}, "state_dict": model.state_dict()}
    assert load_checkpoint(make_views(norm="per_view_affine"), own).ok
    assert model.describe()["backbone"]["views"] == ["tall", "wide"]


def test_recomputed_activations_see_their_view():
    losses, gradients = [], []
    for saving in (False, True):
        torch.manual_seed(0)
        model = make_views(backbone=TINY | dict(checkpoint_activations=saving), norm="per_view_affine").train()
        total, _ = model.parse_losses(model(batches=make_batches(), mode="loss"))
        total.backward()
        losses.append(total.item())
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    assert losses[0] == losses[1]
    assert all(torch.equal(one, gradients[1][name]) for name, one in gradients[0].items() if one is not None)


CROPS = dict(type="TopDown")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(views=dict(wide=CROPS, other=CROPS)), "model.views.other: no branch looks"),
        (dict(views=dict(wid=CROPS)), "model.views has no 'wide'; did you mean 'wid'"),
        (dict(views=dict(wide=CROPS, tall=CROPS)), "a branch of that name has another view"),
        (dict(views=3), r"model.views: expected dict\(NAME"),
        (dict(norm="own"), "model.norm: expected"),
        (
            dict(backbone=dict(type="TimmBackbone", name="mobilenetv3_small_050")),
            "BatchNormAct2d of TimmBackbone has no statistics for each view; set model.norm='shared'",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_views_is_said(options, message):
    with pytest.raises(ConfigError, match=message):
        make_views(**options)


@torch.no_grad()
def test_a_branch_gives_what_a_model_of_that_task_gives_folded_and_compiled_too(monkeypatch):
    torch.manual_seed(0)
    model, single = make_branches().eval(), make_model().eval()
    single.load_state_dict(
        {k.removeprefix("branches.body."): v for k, v in model.state_dict().items() if "marks" not in k}
    )
    batch = model.data_preprocessor(make_batch())
    images, frames = batch["images"], batch["frames"]
    expected = single(images, frames=frames, mode="predict")
    both = model(images, frames=frames, mode="predict")
    assert both.keys() == {"body", "marks"} and isinstance(both["marks"][0], Objects)
    for one, other in zip(both["body"], expected, strict=True):
        np.testing.assert_array_equal(one.points, other.points)
    assert model(images, frames=frames, mode="predict", branches=["marks"]).keys() == {"marks"}
    folded = fold(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, dynamic, options=None: compile(self, backend="eager"))
    compile_blocks(folded.backbone)
    for name in both:
        torch.testing.assert_close(folded(images)[name], model(images)[name], rtol=0, atol=1e-6)


def test_branches_take_weights_of_their_task_and_keep_their_own():
    torch.manual_seed(0)
    single, model = make_model(), make_branches(frozen=["backbone.layer1", "branches.marks"])
    official = {k.split(".", 1)[1]: v for k, v in single.state_dict().items()}
    before = model.branches["marks"].head.final_layer.weight.clone()
    report = load_checkpoint(model, official, branch="body")
    assert report.ok, report.details()
    for name, tensor in model.branches["body"].state_dict().items():
        assert torch.equal(tensor, single.state_dict()[name])
    assert torch.equal(model.branches["marks"].head.final_layer.weight, before)
    assert not model.branches["marks"].head.final_layer.weight.requires_grad
    unsaid = load_checkpoint(make_branches(), official)
    assert unsaid.part_fits("backbone") and "say by `branch` which of body, marks" in str(unsaid)
    own = {"meta": {"hrtoolkit_version": "0"}, "state_dict": model.state_dict()}
    again = make_branches()
    assert load_checkpoint(again, own).ok
    assert torch.equal(again.branches["marks"].head.final_layer.weight, before)
    assert set(model.describe()) == {
        "backbone", "body.neck", "body.head", "marks.neck", "marks.head",
    }  # fmt: skip


def test_a_branch_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"name one of the model's branches \(body, marks\), got 'face'"):
        make_branches().branch("face")


def test_borrowed_generators_are_seeded_for_a_while_and_put_back():
    import random

    def draw():
        return random.random(), np.random.rand(), torch.rand(()).item()

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    with global_seed(7):
        first = draw()
    with global_seed(7):
        assert draw() == first != expected
    assert draw() == expected

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
    assert losses.keys() == {"body/loss_heatmap", "body/accuracy"}
    total, _ = model.parse_losses(losses)
    total.backward()
    assert model.branches["body"].head.final_layer.weight.grad.abs().sum() > 0
    assert model.branches["marks"].head.final_layer.weight.grad is None
    nobody = torch.zeros(2, 3)  # no truth is not the same as nobody
    empty = {"marks": {"keypoints": torch.zeros(2, 3, 2), "visible": nobody}}
    assert model(batch["images"], empty, batch["frames"], mode="loss")["marks/loss_heatmap"] == 0


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

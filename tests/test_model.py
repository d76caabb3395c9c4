"""The model around its parts: what is frozen, what changes training batches, and what takes over prediction."""

import numpy as np
import pytest
import torch
from mmengine import Config
from torch import nn

from hrtoolkit.config import ConfigError
from hrtoolkit.data.loading import global_seed
from hrtoolkit.model import build_model
from hrtoolkit.registry import MODELS

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=1)


def make_model(**options):
    head = dict(type="HeatmapHead", layout="coco")
    parts = dict(backbone=TINY, neck=dict(type="HighestResolution"), head=head)
    return build_model(
        Config(
            dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.pose"], allow_failed_imports=False), model=parts | options
            )
        )
    )


def make_batch():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (2, 3, 64, 48), dtype=np.uint8))
    keypoints = torch.from_numpy(rng.uniform(0, 48, (2, 17, 2)).astype(np.float32))
    return {"images": images, "targets": {"keypoints": keypoints, "visible": torch.ones(2, 17)}, "meta": [{}, {}]}


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


@MODELS.register_module()
class Darken(nn.Module):
    """Halve normalised images and tell the targets."""

    def forward(self, images, targets, meta):
        return images / 2, targets | {"darkened": torch.ones(len(meta))}


def test_training_batches_alone_are_augmented_after_normalisation():
    plain, model = make_model(), make_model(augment=dict(type="Darken"))
    images = plain.data_preprocessor(make_batch(), training=True)["images"]
    augmented = model.data_preprocessor(make_batch(), training=True)
    assert torch.equal(augmented["images"], images / 2)
    assert augmented["targets"]["darkened"].tolist() == [1, 1]
    assert torch.equal(model.data_preprocessor(make_batch())["images"], images)


@MODELS.register_module()
class BrightAndDark:
    """Shows the network every image twice."""

    def __call__(self, model, images, meta):
        both = [model.head(model.extract(images * factor)) for factor in (1.0, 0.5)]
        return [{**m, "heatmaps": pair, "flip": model.flip_test} for m, *pair in zip(meta, *both, strict=True)]


def test_an_inference_part_takes_over_prediction_alone():
    torch.manual_seed(0)
    model = make_model(inference=dict(type="BrightAndDark"), flip_test=True).eval()
    batch = model.data_preprocessor(make_batch())
    predictions = model(batch["images"], meta=[{"index": 0}, {"index": 1}], mode="predict")
    assert [p["index"] for p in predictions] == [0, 1] and predictions[0]["flip"]
    expected = model(batch["images"]), model(batch["images"] / 2)
    for index, prediction in enumerate(predictions):
        for heatmaps, whole in zip(prediction["heatmaps"], expected, strict=True):
            assert torch.equal(heatmaps, whole[index])
    assert "loss_heatmap" in model(**batch, mode="loss")


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

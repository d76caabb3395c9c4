"""One network, several tasks, from files to losses: people in whole images, in crops, and by boxes."""

import copy

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.data.joint import SharedInputs, build_joint_dataloader
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.bottom_up.augmentation import AffineAugmentation
from hrtoolkit.tasks.pose.augmentation import PoseAugmentation
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

from .test_model import TINY

IMPORTS = [f"hrtoolkit.tasks.{name}" for name in ("bottom_up", "pose")]


def make_model(**options):
    backbone = dict(TINY, num_outputs=4, stem_width=8, init="kaiming")
    finest = dict(type="HighestResolution")
    branches = dict(
        tags=dict(neck=finest, head=dict(type="HigherHRNetHead", scheme="coco", levels=1), view="whole"),
        centers=dict(head=dict(type="CIDHead", scheme="coco", channels=8, smallest=0), view="whole"),
        pose=dict(
            neck=finest,
            head=dict(type="HeatmapHead", scheme="coco"),
            view=dict(type="TopDown", input_size=(48, 64)),
        ),
    )
    model = dict(backbone=backbone, branches=branches, views=dict(whole=dict(type="ShortSide", size=64)))
    return build_model(Config(dict(custom_imports=dict(imports=IMPORTS), model=model | options)))


def make_inputs(model, samples, name):
    branch = model.branches[name]
    augmentation = PoseAugmentation(half_body=0.0) if name == "pose" else AffineAugmentation(rotation=10.0)
    return Inputs(samples, branch.view, branch.head.scheme, branch.head.targets, augmentation)


@pytest.fixture
def make_loader(coco_folder):
    def make(model, sizes=(2, 1, 2), **options):
        samples = CocoKeypoints(
            data_root=coco_folder, ann_file="people.json", image_dir="images", keep_empty=False, masks=True
        )
        inputs = {name: make_inputs(model, samples, name) for name in model.branches}
        names = {"both": ["tags", "centers"], "centers": ["centers"], "people": ["pose"]}
        sources = {name: SharedInputs({one: inputs[one] for one in own}) for name, own in names.items()}
        views = {name: model.looks[own[0]] for name, own in names.items()}
        return build_joint_dataloader(sources, views, dict(zip(names, sizes, strict=True)), 0, **options)

    return make


def train(model, loader, epochs):
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    logged = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            torch.manual_seed(len(logged))  # CID moves its centres
            data = model.data_preprocessor(batch, training=True)
            total, numbers = model.parse_losses(model(**data, mode="loss"))
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            logged.append({name: value.item() for name, value in numbers.items()})
    return logged


def test_three_branches_learn_from_two_views(make_loader):
    torch.manual_seed(0)
    model = make_model(balance=dict(type="RelativeLosses", weights=dict(pose=4.0))).train()
    logged = train(model, make_loader(model, steps=10), 3)
    assert all(numbers["loss"] == pytest.approx(6) for numbers in logged)
    for name in ("tags/heatmap_4", "centers/person", "pose/heatmap"):
        first, last = (np.mean([numbers[name] for numbers in part]) for part in (logged[:5], logged[-5:]))
        assert last < 0.9 * first, name
    mean = model.backbone.bn1.running_mean
    assert model.views == ("whole", "pose") and (mean[0] - mean[1]).abs().max() > 1e-3


def test_a_run_is_the_same_each_time_and_goes_on_at_any_epoch(make_loader):
    torch.manual_seed(0)
    model = make_model().train()
    again = copy.deepcopy(model)
    loader = make_loader(model, steps=2, seed=3)
    assert train(model, loader, 2) == train(again, make_loader(again, steps=2, seed=3), 2)
    assert all(torch.equal(one, again.state_dict()[name]) for name, one in model.state_dict().items())


@torch.no_grad()
def test_one_forward_gives_every_branch_what_it_gives_alone(make_loader):
    torch.manual_seed(0)
    model = make_model().eval()
    batch = next(iter(make_loader(model)))
    data = model.data_preprocessor(batch)
    together = model(**data, mode="predict")
    assert list(together) == ["tags", "centers", "pose"]
    for name, records in together.items():
        view = data["batches"][model.looks[name]]
        alone = model(view["images"], frames=view["frames"], mode="predict", branches=[name])[name]
        for one, other in zip(records, alone, strict=True):
            np.testing.assert_array_equal(one.points, other.points)

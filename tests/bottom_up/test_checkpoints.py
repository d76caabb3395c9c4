"""Weights of one bottom-up method in a model of another: the backbone is taken, and nobody is told that all is well."""

from itertools import permutations

import pytest
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.checkpoints import load_fitting
from hrtoolkit.errors import CheckpointError

from .test_higher_hrnet import TINY, make_config

METHODS = ("CIDHead", "DEKRHead", "HigherHRNetHead", "HeatmapHead")


def build(head):
    config = make_config(dict(TINY, num_outputs=4 if head in METHODS[:2] else 1))
    config.model.head = dict(type=head, scheme="coco")
    if head in METHODS[:2]:
        config.model.neck = dict(type="Concat")
    return build_model(config)


@pytest.mark.parametrize(("own", "other"), list(permutations(METHODS, 2)))
def test_weights_of_another_method_give_their_backbone_alone(own, other):
    torch.manual_seed(0)
    weights = build(other).state_dict()
    model = build(own)
    report = load_checkpoint(model, dict(weights))
    assert not report.fits and any(name.startswith("head.") for name in report.missing)
    assert torch.equal(model.backbone.conv1.weight, weights["backbone.conv1.weight"])
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_fitting(model, dict(weights))

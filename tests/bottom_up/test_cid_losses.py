"""CID's losses: the numbers of the official code, and batches that it stumbles over."""

import pytest
import torch

from hrtoolkit.tasks.bottom_up.cid_losses import contrastive_loss, focal_loss
from hrtoolkit.tasks.bottom_up.cid_targets import Painted
from hrtoolkit.totals import sum_losses

from .test_cid import tiny_head, waves


def focal_case():
    logits = 2 * waves([2, 3, 4, 5], 0.3, 0)
    targets = waves([2, 3, 4, 5], 0.7, 1).clamp(min=0) ** 2
    for place in ((0, 0, 1, 2), (1, 2, 3, 4), (0, 1, 0, 0)):
        targets[place] = 1
    return logits.requires_grad_(), targets, waves([2, 1, 4, 5], 1.1, 0.3) > -0.5


def test_focal_loss_is_the_official_one():
    logits, targets, mask = focal_case()
    everything = torch.ones(1, dtype=torch.bool)
    channels = torch.tensor([[1, 0, 1], [1, 1, 0]]).bool()[..., None, None]
    assert mask.sum() == 27
    assert focal_loss(logits, targets, everything).item() == pytest.approx(13.798767522106244)
    assert focal_loss(logits, targets, channels).item() == pytest.approx(27.14251878606554)
    assert focal_loss(logits, targets * 0.9, everything).item() == pytest.approx(40.12854131070791)
    assert focal_loss(logits, targets, ~everything).item() == 0
    loss = focal_loss(logits, targets, mask)
    loss.backward()
    assert loss.item() == pytest.approx(12.4883955432433)
    assert logits.grad[0, 0, 1, 2].item() == pytest.approx(-0.0048947174011110635)
    assert logits.grad[0, 0, 0, 0].item() == pytest.approx(0.0010831749314353686)
    assert logits.grad.abs().sum().item() == pytest.approx(11.02469206118628)


def test_what_is_surely_wrong_still_has_a_gradient():
    logits = torch.full((1, 1, 2, 2), 20.0, requires_grad=True)
    focal_loss(logits, torch.zeros(1, 1, 2, 2), torch.ones(1, dtype=torch.bool)).backward()
    assert (logits.grad > 0.9).all()


def contrast(features):
    images, learnt = torch.zeros(len(features), dtype=torch.long), torch.ones(len(features), dtype=torch.bool)
    return contrastive_loss(features, images, learnt)


def test_contrastive_loss_is_the_official_one():
    q = waves([6], 0.9, 0.2)
    for count, summed in ((1, 0), (2, 0.0003710497975121887), (4, 0.00747309916502599)):
        features = waves([count, 6], 0.9, 0.2).requires_grad_()
        loss = contrast(features) * count  # the sum over people
        assert loss.item() == pytest.approx(summed, abs=1e-12)
    loss.backward()
    known = [-0.0019542752531776747, -0.0006465013070313658, 0.0011505319392762562]
    assert features.grad[0, :3].tolist() == pytest.approx(known)
    assert contrast(torch.stack([q, q + 0.01, -q])).item() * 3 == pytest.approx(1.3844037805168694)


def test_people_of_other_images_and_of_taken_places_do_not_count():
    features = torch.stack([waves([4, 6], 0.9, 0.2)[0], waves([4, 6], 0.9, 0.2)[1], waves([6], 0.9, 0.2)])
    alone = contrast(features[:2]) * 2
    learnt = torch.tensor([True, True, False])
    assert contrastive_loss(features, torch.tensor([0, 0, 0]), learnt).item() == pytest.approx(alone.item() / 2)
    learnt[:] = True
    assert contrastive_loss(features, torch.tensor([0, 0, 1]), learnt).item() == pytest.approx(alone.item() / 3)


def painted_case():
    """The sheet's batch: three people in two images, and heatmaps that are painted by hand."""
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(9.0), indexing="ij")
    y, x = y.double(), x.double()
    everybody = torch.stack(
        [
            torch.stack([torch.exp(-((y - k - 1 - i) ** 2 + (x - 2 * k - i) ** 2) / 4.5) for k in range(4)])
            for i in range(2)
        ]
    )
    people = torch.stack(
        [
            torch.stack([torch.exp(-((y - k - 1 - j) ** 2 + (x - k - 3 * j) ** 2) / 2) for k in range(3)])
            for j in (0, 1, 0)
        ]
    )
    use = torch.ones(2, 1, 7, 9, dtype=torch.bool)
    use[..., :2, :3] = False
    labelled = torch.ones(3, 3, dtype=torch.bool)
    labelled[0, 0] = labelled[2, 1] = False
    cells = [torch.tensor([[3, 2], [7, 5]]), torch.tensor([[1, 3]])]
    return Painted(everybody, use, cells, people, labelled, torch.ones(3, dtype=torch.bool))


def test_all_losses_are_the_official_ones():
    head = tiny_head().train()
    maps = [waves([2, 5, 7, 9], 0.37, 0.1)]
    losses = head.compare(maps, painted_case())
    assert losses["loss_everybody"].item() == pytest.approx(5.9254849202027104, rel=1e-5)
    assert losses["loss_person"].item() == pytest.approx(37.73312093417401, rel=1e-5)
    assert losses["loss_contrast"].item() == pytest.approx(7.923948334431742e-06, abs=1e-6)
    sum_losses(losses).backward()
    for name, total in {
        "iia.keypoint_center_conv": 4.092194202931255,
        "gfd.conv_down": 2.3737501236876235,
        "gfd.c_attn.atn": 4.939099565465749,
        "gfd.s_attn.atn": 0.2766437838994583,
        "gfd.s_attn.conv": 0.6834393982420068,
        "gfd.fuse_attn": 3.2111972138558547,
        "gfd.heatmap_conv": 8.858248242363317,
    }.items():
        weight = head.get_parameter(f"{name}.weight")
        assert weight.grad.abs().sum().item() == pytest.approx(total, rel=1e-5), name


def test_a_batch_without_people_reaches_all_weights():
    head = tiny_head().float().train()
    nothing = torch.zeros(0, 4, 2, dtype=torch.long)
    target = {
        "cells": nothing,
        "labelled": torch.zeros(0, 4, dtype=torch.bool),
        "radii": torch.zeros(0),
        "centers": nothing[:, 0],
        "use": torch.ones(7, 9, dtype=torch.bool),
    }
    losses = head.loss([torch.rand(2, 5, 7, 9)], [target, target], None)
    assert losses["loss_person"] == 0 and losses["loss_contrast"] == 0 and losses["loss_everybody"] > 0
    sum_losses(losses).backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in head.parameters())


def test_half_precision_gives_finite_losses():
    head = tiny_head().float().train()
    maps = [waves([2, 5, 7, 9], 0.37, 0.1).float()]
    exact = head.compare(maps, painted_case())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = head.compare(maps, painted_case())
    for name, value in rough.items():
        assert name.startswith("count_") or value.dtype in (torch.float32, torch.float64)
        assert value.item() == pytest.approx(exact[name].item(), rel=0.05, abs=1e-3)

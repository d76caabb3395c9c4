"""Losses against published numbers."""

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.tasks.detection.loss import box_loss, mask_loss, mask_targets


@pytest.mark.parametrize(("beta", "expected"), [(1 / 9, 1.600139), (1.0, 1.021250), (0.0, 1.75)])
def test_box_loss_of_four_differences(beta, expected):
    difference = torch.tensor([[0.05, -0.2, 1.5, 0.0]])
    assert box_loss(difference, torch.zeros(1, 4), beta, 1).item() == pytest.approx(expected, abs=1e-6)
    assert box_loss(difference, torch.zeros(1, 4), beta, 5).item() == pytest.approx(expected / 5, abs=1e-6)
    assert box_loss(torch.zeros(0, 4), torch.zeros(0, 4), beta, 0).item() == 0


def test_mask_targets_of_a_rectangle():
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[1, 20:40, 10:30] = 1
    box, matched = torch.tensor([[12.0, 16, 34, 44]]), torch.tensor([1])
    assert mask_targets(masks, box, matched, 28, "exact").sum().item() == 460
    soft = mask_targets(masks, box, matched, 28, "soft")
    assert soft.sum().item() == pytest.approx(446.4286, abs=1e-3)
    assert (soft >= 0.5).sum().item() == 462


def test_mask_targets_of_whole_pixels_are_opencvs():
    """The authors' own way: cut integer boxes, the last pixel included, out of each mask and resize."""
    rng = np.random.default_rng(0)
    masks = (cv2.GaussianBlur(rng.random((64, 80, 5)), (0, 0), 2) > 0.5).astype(np.uint8).transpose(2, 0, 1)
    first = rng.uniform(0, (70, 54), (200, 2))
    last = np.minimum(first + rng.exponential(20, (200, 2)), (79, 63))
    matched = rng.integers(0, 5, 200)
    boxes = np.concatenate([first, last + 1], axis=1).astype(np.float32)
    expected = []
    for index, (x1, y1, x2, y2) in zip(matched, (boxes - (0, 0, 1, 1)).astype(np.int32), strict=True):
        cut = masks[index][y1 : y1 + max(y2 - y1 + 1, 1), x1 : x1 + max(x2 - x1 + 1, 1)]
        expected.append(cv2.resize(cut.astype(np.float32), (28, 28)) >= 0.5)
    found = mask_targets(torch.from_numpy(masks), torch.from_numpy(boxes), torch.from_numpy(matched), 28, "whole")
    differing = (found.numpy() != np.array(expected)).mean()
    assert differing < 1e-4, differing  # one half may be rounded to either side
    assert 0.2 < found.mean() < 0.8


def test_mask_loss_looks_at_the_annotated_class_alone():
    logits = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, targets = torch.tensor([1, 3, 2]), torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(1))
    chosen = torch.stack([logits[i, label] for i, label in enumerate(labels)]).sigmoid()
    expected = -(targets * chosen.log() + (1 - targets) * (1 - chosen).log()).mean()
    loss = mask_loss(logits, labels, targets)
    torch.testing.assert_close(loss, expected)
    empty = mask_loss(logits[:0], labels[:0], targets[:0])
    empty.backward()
    assert empty.item() == 0 and logits.grad.abs().sum() == 0

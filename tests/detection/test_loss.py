"""Losses against published numbers."""

import pytest
import torch

from tasks.detection.loss import box_loss, mask_loss, mask_targets


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
    assert mask_targets(masks, box, matched, 28, hard=True).sum().item() == 460
    soft = mask_targets(masks, box, matched, 28, hard=False)
    assert soft.sum().item() == pytest.approx(446.4286, abs=1e-3)
    assert (soft >= 0.5).sum().item() == 462


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

"""Losses of numbers: what they are for known errors, and that what is masked never counts."""

import math

import pytest
import torch

from hrtoolkit.tasks.dense.loss import AbsoluteError, CosineError


def test_absolute_errors_are_means_over_the_known_pixels():
    truth = torch.tensor([[[[1.0, 2.0, math.nan]]]])
    values = torch.tensor([[[[1.5, 1.0, 9.0]]]])
    assert AbsoluteError()(values, truth).item() == pytest.approx((0.5 + 1) / 2)
    wanted = (math.log(1.5) + math.log(2)) / 2
    assert AbsoluteError(logarithm=True)(values, truth).item() == pytest.approx(wanted)
    assert AbsoluteError().count(truth).item() == 2


def test_one_unknown_number_hides_its_pixel():
    truth = torch.tensor([[[[1.0, 1.0]], [[math.nan, 3.0]]]])
    values = torch.tensor([[[[7.0, 1.5]], [[7.0, 4.0]]]])
    assert AbsoluteError()(values, truth).item() == pytest.approx((0.5 + 1) / 2)


@pytest.mark.parametrize(("degrees", "length"), [(0, 1), (60, 2), (90, 0.5), (180, 3)])
def test_the_error_of_vectors_is_that_of_their_angle(degrees, length):
    angle = math.radians(degrees)
    truth = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    values = length * torch.tensor([math.cos(angle), math.sin(angle), 0]).view(1, 3, 1, 1)
    assert CosineError()(values, truth).item() == pytest.approx(1 - math.cos(angle), abs=1e-6)


@pytest.mark.parametrize("loss", [AbsoluteError(), AbsoluteError(logarithm=True), CosineError()])
def test_what_is_masked_gives_neither_loss_nor_gradient(loss):
    torch.manual_seed(0)
    values = torch.rand(2, 3, 4, 5, requires_grad=True)
    truth = torch.rand(2, 3, 4, 5) + 0.1
    truth[:, :, 1] = math.nan
    loss(values, truth).backward()
    assert values.grad.isfinite().all() and (values.grad[:, :, 1] == 0).all() and values.grad[:, :, 2].abs().sum() > 0
    values.grad = None
    nothing = loss(values, torch.full_like(truth, math.nan))
    nothing.backward()
    assert nothing.item() == 0 and (values.grad == 0).all()
    # Two halves, weighed by their counts, are the whole: as processes add them up.
    truth[0, :, 0] = math.nan
    halves = [(loss(values[i : i + 1], truth[i : i + 1]), loss.count(truth[i : i + 1])) for i in range(2)]
    together = sum(one * count for one, count in halves) / sum(count for _, count in halves)
    assert together.item() == pytest.approx(loss(values, truth).item(), rel=1e-5)

"""Cross-entropy and its hard-example form; numbers of the official code."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hrtoolkit.tasks.segmentation.loss import CrossEntropy, OhemCrossEntropy

LOGITS = torch.tensor(
    [[[[2, 0.5, -1], [0, 1, 3]], [[0, 1.5, 0.5], [0, 1, -1]], [[-1, 0, 2], [0, -2, 0]]]], dtype=torch.float32
)
LABELS = torch.tensor([[[0, 1, 2], [2, 255, 1]]], dtype=torch.uint8)
WEIGHTS = (0.8, 1.0, 1.2)


def test_cross_entropy_equals_the_official_one():
    assert CrossEntropy()(LOGITS, LABELS).item() == pytest.approx(1.208004, abs=1e-6)
    assert CrossEntropy(WEIGHTS)(LOGITS, LABELS).item() == pytest.approx(1.206546, abs=1e-6)


@pytest.mark.parametrize(
    ("threshold", "min_kept", "expected"),
    [
        (0.7, 1, 1.876288),
        (0.7, 2, 1.876288),
        (0.7, 4, 1.467544),
        (0.7, 100000, 1.467544),
        (0.9, 1, 1.208005),
        (0.9, 131072, 1.208005),
        (0.5, 1, 2.582248),
        (0.1, 1, 4.065884),
        (0.1, 2, 2.582248),
        (0.01, 3, 1.876288),
    ],
)
def test_hard_examples_are_the_official_ones(threshold, min_kept, expected):
    assert OhemCrossEntropy(threshold, min_kept)(LOGITS, LABELS).item() == pytest.approx(expected, abs=1e-6)


def test_weighted_hard_examples_divide_by_their_number():
    assert OhemCrossEntropy(0.7, 1, WEIGHTS)(LOGITS, LABELS).item() == pytest.approx(1.949529, abs=1e-6)


@pytest.mark.parametrize("valid", [0, 1])
@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(WEIGHTS), OhemCrossEntropy(0.7, 1)], ids=str)
def test_little_to_learn_from_is_no_reason_for_nan(loss, valid):
    labels = torch.full_like(LABELS, 255)
    labels[0, 0, :valid] = 0
    logits = LOGITS.clone().requires_grad_()
    value = loss(logits, labels)
    value.backward()
    assert logits.grad.isfinite().all()
    # The official code: NaN for one confident pixel with hard examples, IndexError for none.
    only = -np.log(0.843795) if valid and isinstance(loss, CrossEntropy) else 0
    assert value.item() == pytest.approx(only, abs=1e-6)


def test_auxiliary_and_main_losses_add_up_to_the_official_total():
    auxiliary = LOGITS.flip(1)
    assert CrossEntropy()(auxiliary, LABELS).item() == pytest.approx(2.408004, abs=1e-6)
    for weights, total in ((None, 2.171206), (WEIGHTS, 2.150702)):
        loss = CrossEntropy(weights)
        assert (0.4 * loss(auxiliary, LABELS) + loss(LOGITS, LABELS)).item() == pytest.approx(total, abs=1e-6)
    # With hard examples the auxiliary loss is averaged over ignored pixels too.
    auxiliary_part = 0.4 * CrossEntropy(average="all")(auxiliary, LABELS)
    assert auxiliary_part.item() == pytest.approx(0.802668, abs=1e-6)
    assert (auxiliary_part + OhemCrossEntropy(0.7, 1)(LOGITS, LABELS)).item() == pytest.approx(2.678957, abs=1e-6)


def test_hard_examples_equal_a_sorted_loop():
    rng = torch.Generator().manual_seed(0)
    for min_kept in (3, 40, 1000):
        logits = 3 * torch.randn(2, 5, 7, 9, generator=rng)
        labels = torch.randint(0, 5, (2, 7, 9), generator=rng)
        labels[torch.rand(2, 7, 9, generator=rng) < 0.3] = 255
        pixels = []
        for b, y, x in np.ndindex(2, 7, 9):
            if labels[b, y, x] != 255:
                probability = logits[b, :, y, x].softmax(0)[labels[b, y, x]].item()
                pixels.append((probability, -np.log(probability)))
        limit = max(sorted(p for p, _ in pixels)[min(min_kept, len(pixels) - 1)], 0.6)
        expected = np.mean([loss for p, loss in pixels if p < limit])
        assert OhemCrossEntropy(0.6, min_kept)(logits, labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("align_corners", "expected"), [(True, 1.003068), (False, 1.044288)])
def test_logits_are_enlarged_before_they_are_compared(align_corners, expected):
    scores = torch.tensor([[[[0, 1], [2, 3]], [[1, 0], [0, 1]]]], dtype=torch.float32)
    labels = torch.tensor([[[0, 0, 1, 1]] * 2 + [[1, 1, 0, 0]] * 2])
    enlarged = F.interpolate(scores, size=(4, 4), mode="bilinear", align_corners=align_corners)
    assert CrossEntropy()(enlarged, labels).item() == pytest.approx(expected, abs=1e-6)


def test_an_unknown_average_is_refused():
    with pytest.raises(ValueError, match="'valid' or 'all', got 'mean'"):
        CrossEntropy(average="mean")

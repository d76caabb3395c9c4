"""From the network's scores on windows and scales to one label map, in memory that does not grow with the classes.

The official code averages the logits of an image and its mirror image, enlarges them, takes exp (not softmax), averages
overlapping windows, and adds the scales up (HRNet-Semantic-Segmentation, lib/datasets/base_dataset.py). Every step is
one class by itself, so a few classes at a time are carried to full size, and the best of them is kept. What waits for
that are logits at the network's stride, a sixteenth of the pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from numpy import ndarray
from torch import Tensor

from hrtoolkit.maps import grid_of_image, maps_at_image, resize_maps
from hrtoolkit.schemes import IGNORED

CHUNK_VALUES = 2**23  # scores at full size that are held at once, in each of a few tensors


class Window(NamedTuple):
    """A part of an image, in its pixels."""

    top: int
    left: int
    height: int
    width: int


class WindowScores(NamedTuple):
    """Logits [C, h, w] of one window, which the network saw padded to `padded_hw`."""

    logits: Tensor
    window: Window
    padded_hw: tuple[int, int]


class ScaleScores(NamedTuple):
    """Windows that cover an image of `size_hw`, the input at one scale."""

    size_hw: tuple[int, int]
    windows: list[WindowScores]
    exponential: bool = True  # exponentials of the logits are averaged and enlarged, not the logits themselves


def whole_image(logits: Tensor, size_hw: tuple[int, int], padded_hw: tuple[int, int]) -> list[ScaleScores]:
    """One scale and one window: the logits [C, h, w] of an image of `size_hw` that was seen padded to `padded_hw`."""
    return [ScaleScores(size_hw, [WindowScores(logits, Window(0, 0, *size_hw), padded_hw)])]


def sum_scores(scales: list[ScaleScores], classes: slice, size_hw: tuple[int, int], align_corners: bool) -> Tensor:
    """Scores of some classes, summed over scales, at the size of the network's input.

    Args:
        scales: what the network gave.
        classes: which of its channels.
        size_hw: height and width of the input.
        align_corners: of every bilinear enlarging.

    Returns:
        [c, H, W], sums of exponentials (or of logits), not probabilities.
    """
    total: Tensor | None = None
    for scale in scales:
        covered: Tensor | None = None
        count: Tensor | None = None
        for scores, (top, left, height, width), padded_hw in scale.windows:
            part = resize_maps(scores[classes].float(), padded_hw, align_corners)[:, :height, :width]
            part = part.exp() if scale.exponential else part
            if (height, width) == scale.size_hw:
                covered = part
                continue
            if covered is None or count is None:
                covered = part.new_zeros(len(part), *scale.size_hw)
                count = part.new_zeros(scale.size_hw)
            covered[:, top : top + height, left : left + width] += part
            count[top : top + height, left : left + width] += 1
        assert covered is not None, "a scale has windows"
        if count is not None and len(scale.windows) > 1:
            covered /= count
        covered = resize_maps(covered, size_hw, align_corners)
        total = covered if total is None else total + covered
    assert total is not None, "an image has scales"
    return total


def best_labels(
    scales: list[ScaleScores],
    input_hw: tuple[int, int],
    content_hw: tuple[int, int],
    output_hw: tuple[int, int],
    align_corners: bool,
    matrix: ndarray | None = None,
) -> Tensor:
    """The class of the highest score at every pixel of the original image.

    Args:
        scales: what the network gave.
        input_hw: height and width of the input that the scales were made from.
        content_hw: height and width of the part of the input that the image fills; the rest is padding.
        output_hw: height and width of the original image.
        align_corners: of every bilinear enlarging.
        matrix: [2, 3], original to input pixels, where the content is not the resized image but what a matrix shows.

    Returns:
        uint8 [H, W], on the device of the scores; IGNORED where they are NaN or infinite: nothing is known there.
    """
    largest = max(height * width for height, width in [output_hw, input_hw, *(scale.size_hw for scale in scales)])
    chunk = max(CHUNK_VALUES // largest, 1)
    device = scales[0].windows[0].logits.device
    grid = None if matrix is None else grid_of_image(matrix, input_hw, output_hw).to(device)
    best: Tensor | None = None
    labels: Tensor | None = None
    for first in range(0, len(scales[0].windows[0].logits), chunk):
        scores = sum_scores(scales, slice(first, first + chunk), input_hw, align_corners)
        scores = maps_at_image(scores, content_hw, output_hw, align_corners, grid)
        highest, index = scores.max(dim=0)
        index = (index + first).to(torch.uint8)
        if best is None or labels is None:
            best, labels = highest, index
        else:
            labels = torch.where(highest > best, index, labels)
            best = torch.maximum(best, highest)
    assert best is not None and labels is not None, "there are classes"
    return labels.masked_fill(~best.isfinite(), IGNORED)

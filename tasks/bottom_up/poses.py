"""Poses that were regressed: scored by heatmaps, without duplicates, moved onto peaks if wanted; all on the device.

Geng et al., "Bottom-Up Human Pose Estimation via Disentangled Keypoint Regression", CVPR 2021, arXiv:2104.02300.
Nothing here waits for the device, or depends on how many poses there are: where none is, the score is 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.tasks.bottom_up.peaks import MOST_PEOPLE, keep_peaks

MATCH_DISTANCE = 75.0  # pixels up to which a joint is moved onto a peak
MATCH_SCORE = 0.05  # of a joint, above which its place is refined


def sample_heights(heatmaps: Tensor, points: Tensor, stride: float, sizes_hw: Tensor, mirrored: bool = False) -> Tensor:
    """How high heatmaps are at joints, as if they were enlarged: cell i lies on pixel `stride` * i.

    Args:
        heatmaps: [B, K, h, w].
        points: [B, P, K, 2] (x, y) in input pixels, rounded down; outside of the input its nearest pixel counts.
        stride: of the heatmaps.
        sizes_hw: [B, 2], of the inputs.
        mirrored: the heatmaps are of mirrored inputs.

    Returns:
        [B, P, K].
    """
    batch, joints, height, width = heatmaps.shape
    sizes = sizes_hw.flip(-1)[:, None, None].to(points)
    pixels = points.floor().clamp(min=0).minimum(sizes - 1)
    x, y = (pixels / stride).minimum((sizes / stride).ceil() - 1).unbind(-1)
    x, y = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
    grid = torch.stack([-x if mirrored else x, y], dim=-1)  # [B, P, K, 2]
    grid = grid.transpose(1, 2).reshape(batch * joints, 1, -1, 2)
    flat = heatmaps.reshape(batch * joints, 1, height, width)
    heights = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return heights.view(batch, joints, -1).transpose(1, 2)


def find_near(points: Tensor, distance: float, joints: int) -> Tensor:
    """Which poses lie near which, [B, P, P] bool: [b, i, j] is true where j is near i, measured by the size of i.

    Args:
        points: [B, P, K, 2].
        distance: of a joint, as a share of the diagonal of the box around a pose; nearer ones count.
        joints: more than so many have to be near.
    """
    apart = (points[:, :, None] - points[:, None]).norm(dim=-1)  # [B, P, P, K]
    diagonals = (points.amax(2) - points.amin(2)).norm(dim=-1)
    return (apart < distance * diagonals[:, :, None, None]).sum(-1) > joints


def keep_best(near: Tensor, scores: Tensor) -> Tensor:
    """Greedy suppression, best first: of two poses of which one is near the other, the better one stays.

    Args:
        near: [B, P, P], see `find_near`.
        scores: [B, P]; of equal scores the first is better.

    Returns:
        [B, P] bool.
    """
    place = torch.arange(scores.shape[1], device=scores.device)
    better = (scores[:, :, None] > scores[:, None]) | (
        (scores[:, :, None] == scores[:, None]) & (place[:, None] < place)
    )
    beats = (near | near.transpose(1, 2)) & better
    there = scores > 0
    kept = there
    # Who is beaten by nobody stays; after n rounds the first n of all are right.
    for _ in range(scores.shape[1]):
        kept = there & ~(beats & kept[:, :, None]).any(1)
    return kept


def keep_as_official(near: Tensor, scores: Tensor) -> Tensor:
    """Suppression as in the official code: in the order of the poses, and the best of a group may be out already.

    Args:
        near: [B, P, P], see `find_near`; where it is not symmetric, that of the pose in turn counts.
        scores: [B, P].

    Returns:
        [B, P] bool.
    """
    there = scores > 0
    place = torch.arange(scores.shape[1], device=scores.device)
    near = (near | (place[:, None] == place)) & there[:, None]  # one whose joints coincide is near itself too
    gone, kept = ~there, torch.zeros_like(there)
    for i in range(scores.shape[1]):
        best = torch.where(near[:, i], scores, -1).argmax(1, keepdim=True) == place
        stays = ~gone[:, i] & ~(best & gone).any(1)
        kept = kept | (best & stays[:, None])
        gone = gone | (near[:, i] & stays[:, None])
    return kept


def enlarge(heatmaps: Tensor, stride: float, size_hw: tuple[int, int]) -> Tensor:
    """Heatmaps [B, K, H, W] of a size, where cell i of those given lies on pixel `stride` * i.

    Args:
        heatmaps: [B, K, h, w].
        stride: of the heatmaps.
        size_hw: rows and columns of the result.
    """
    height, width = (round(stride * (length - 1)) + 1 for length in heatmaps.shape[-2:])
    larger = F.interpolate(heatmaps, size=(height, width), mode="bilinear", align_corners=True)
    return F.pad(larger, (0, size_hw[1] - width, 0, size_hw[0] - height), mode="replicate")


def move_onto_peaks(
    points: Tensor, heatmaps: Tensor, most: int = MOST_PEOPLE, distance: float = MATCH_DISTANCE
) -> Tensor:
    """Move each joint onto the nearest peak of its heatmap, where one is near.

    Args:
        points: [B, P, K, 2] (x, y) in pixels.
        heatmaps: [B, K, H, W], a cell a pixel.
        most: peaks of a heatmap that count, the highest.
        distance: in pixels; what is farther away is left.
    """
    width = heatmaps.shape[-1]
    peaks = keep_peaks(heatmaps).flatten(2)
    values, places = peaks.topk(min(most, peaks.shape[2]))
    rows = places // width
    peaks = torch.stack([places - rows * width, rows], dim=-1)[:, None].to(points)  # [B, 1, K, M, 2]
    apart = (points[:, :, :, None] - peaks).norm(dim=-1)
    nearest, which = torch.where(values[:, None] > 0, apart, math.inf).min(-1)
    moved = peaks.expand(-1, points.shape[1], -1, -1, -1).gather(3, which[..., None, None].expand(-1, -1, -1, 1, 2))
    return torch.where((nearest < distance)[..., None], moved[:, :, :, 0], points)


def refine(points: Tensor, heatmaps: Tensor, step: int) -> Tensor:
    """The middles of gaussians near the pixels of joints: parabolas through the logarithms of three heights.

    The official code fits a gaussian to 13 x 13 pixels, one joint after the other; between the cells of the map that it
    was enlarged from they hold nothing new.

    Args:
        points: [B, P, K, 2] (x, y) in pixels.
        heatmaps: [B, K, H, W], a cell a pixel.
        step: pixels between the heights.

    Returns:
        [B, P, K, 2]; a joint stays where heights do not fall to both sides.
    """
    height, width = heatmaps.shape[-2:]
    flat = heatmaps.flatten(2)
    refined = []
    for axis in (0, 1):
        heights = []
        for number in (-step, 0, step):
            x, y = points.round().unbind(-1)
            x, y = (x + number, y) if axis == 0 else (x, y + number)
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            places = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).long()
            heights.append(torch.where(inside, flat.gather(2, places.transpose(1, 2)).transpose(1, 2), 0))
        before, here, after = (one.clamp(min=1e-30).log() for one in heights)
        bend = 2 * here - before - after
        shift = (step / 2) * (after - before) / bend
        good = (torch.stack(heights).amin(0) > 0) & (bend > 0) & (shift.abs() <= step)
        own = points[..., axis]
        refined.append(torch.where(good, own.round() + shift, own))
    return torch.stack(refined, dim=-1)

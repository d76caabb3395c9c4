"""Keypoints to heatmaps and back: codecs whose `encode` and `decode` belong together. Batched, on any device.

Convention: points are (x, y) in pixels of the network input, pixel centres on integers; sizes are (height, width);
`stride` is the number of input pixels a heatmap cell. A codec knows no size, so one model serves any input size.

    GaussianHeatmap   rounded centre, quarter-cell decoding          Xiao et al., ECCV 2018, arXiv:1804.06208
    DarkHeatmap       exact centre, Taylor decoding                  Zhang et al., CVPR 2020, arXiv:1910.06278
    UDPHeatmap        exact centre, unit-distance grid, Taylor       Huang et al., CVPR 2020, arXiv:1911.07524
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Settings, Size
from hrtoolkit.ranges import Count, Positive
from hrtoolkit.registry import CODECS
from hrtoolkit.threads import map_bands


class Codec(Protocol):
    """What a heatmap head needs of a codec. Required are `encode`, `decode` and `flip`; `BaseCodec` has the rest."""

    @property
    def needs(self) -> Mapping[str, object]:
        """What it needs of the view, see `hrtoolkit.parts.Head`; default none."""
        ...

    def encode(self, points: Tensor, visible: Tensor, heatmap_hw: Size, stride: int) -> tuple[Tensor, Tensor]:
        """Draw points [B, K, 2] where visible [B, K] > 0; heatmaps [B, K, H, W] and weights [B, K].

        A weight is 0 where the point is not visible or its gaussian lies off the map.
        """
        ...

    def decode(self, heatmaps: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        """Read one point per map [B, K, H, W]: points [B, K, 2] in input pixels, scores [B, K], the peak heights.

        A map without a positive value has no meaningful point: it gives cell (0, 0); callers threshold the score.
        """
        ...

    def flip(self, heatmaps: Tensor, flip_order: list[int]) -> Tensor:
        """Turn heatmaps [B, K, H, W] of the mirrored input into heatmaps of the input itself."""
        ...

    def describe(self) -> Settings:
        """What reading heatmaps depends on, in plain values."""
        ...


class BaseCodec:
    """Defaults of a codec."""

    needs: Mapping[str, object] = {}

    def describe(self) -> Settings:
        """What reading heatmaps depends on, in plain values."""
        return {"type": type(self).__name__, **vars(self)}


@CODECS.register_module()
class GaussianHeatmap(BaseCodec):
    """A gaussian around the nearest cell, read with a quarter-cell step towards the higher neighbour.

    Convention: cell (u, v) stands for input pixel (stride * u, stride * v). Rounding to the nearest cell costs up to
    half a cell; the published weights were trained and tested this way.

    Args:
        sigma: deviation in cells; 2 for 256x192 inputs, 3 for 384x288.
        flip_shift: shift mirrored maps by one cell, which the convention's misalignment of 3/4 cell asks for.
    """

    def __init__(self, sigma: Positive = 2.0, flip_shift: bool = True):
        self.sigma = sigma
        self.flip_shift = flip_shift

    def encode(self, points: Tensor, visible: Tensor, heatmap_hw: Size, stride: int) -> tuple[Tensor, Tensor]:
        centers = torch.floor(points / stride + 0.5)
        weights = _weights(centers, visible, self.sigma, heatmap_hw)
        return draw_gaussians(centers, weights, self.sigma, heatmap_hw, window=centers), weights

    def decode(self, heatmaps: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        heatmaps = heatmaps.float()
        height, width = heatmaps.shape[-2:]
        cells, scores = find_peaks(heatmaps)
        x, y = cells.unbind(-1)
        inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1) & (scores > 0)
        points = cells + 0.25 * find_slopes(heatmaps, cells) * inside[..., None]
        return points * stride, scores

    def flip(self, heatmaps: Tensor, flip_order: list[int]) -> Tensor:
        return flip_heatmaps(heatmaps, flip_order, shift=self.flip_shift)


@CODECS.register_module()
class DarkHeatmap(BaseCodec):
    """A gaussian around the exact centre, read by one Newton step on the logarithm of the smoothed map (DARK).

    Convention: the grid of `GaussianHeatmap`. As in the OpenMMLab weights, the gaussian covers the whole map.

    Args:
        sigma: deviation in cells; 2 for 256x192 inputs, 3 for 384x288.
        blur_kernel: width of the smoothing kernel in cells; 11 in all published weights.
        flip_shift: as in `GaussianHeatmap`; the OpenMMLab weights use it, the authors' own code does not.
    """

    def __init__(self, sigma: Positive = 2.0, blur_kernel: Count = 11, flip_shift: bool = True):
        self.sigma = sigma
        self.blur_kernel = _check_kernel(blur_kernel)
        self.flip_shift = flip_shift

    def encode(self, points: Tensor, visible: Tensor, heatmap_hw: Size, stride: int) -> tuple[Tensor, Tensor]:
        centers = points / stride
        weights = _weights(centers, visible, self.sigma, heatmap_hw)
        return draw_gaussians(centers, weights, self.sigma, heatmap_hw), weights

    def decode(self, heatmaps: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        heatmaps = heatmaps.float()
        height, width = heatmaps.shape[-2:]
        cells, scores = find_peaks(heatmaps)
        x, y = cells.unbind(-1)
        log = smooth(heatmaps, self.blur_kernel).clamp(min=1e-10).log()
        middle = _at(log, x, y)
        # Differences over two cells, as published: the surface is smooth at that scale.
        gradient_x = 0.5 * (_at(log, x + 1, y) - _at(log, x - 1, y))
        gradient_y = 0.5 * (_at(log, x, y + 1) - _at(log, x, y - 1))
        xx = 0.25 * (_at(log, x + 2, y) - 2 * middle + _at(log, x - 2, y))
        yy = 0.25 * (_at(log, x, y + 2) - 2 * middle + _at(log, x, y - 2))
        xy = 0.25 * (_at(log, x + 1, y + 1) - _at(log, x + 1, y - 1) - _at(log, x - 1, y + 1) + _at(log, x - 1, y - 1))
        inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2) & (scores > 0)
        step = _newton_step(gradient_x, gradient_y, xx, xy, yy)
        points = cells + torch.where(inside[..., None], step, 0.0)
        return points * stride, scores

    def flip(self, heatmaps: Tensor, flip_order: list[int]) -> Tensor:
        return flip_heatmaps(heatmaps, flip_order, shift=self.flip_shift)


@CODECS.register_module()
class UDPHeatmap(BaseCodec):
    """A gaussian around the exact centre on a grid whose first and last cells lie on the input's first and last pixels.

    Convention: with an input of w x h and a map of W x H pixels, cell (u, v) stands for input pixel
    (u * (w - 1) / (W - 1), v * (h - 1) / (H - 1)); mirrored maps are aligned without a shift. The view cuts its crops
    by the same convention: it is told to.

    Args:
        sigma: deviation in cells; 2 for 256x192 inputs, 3 for 384x288.
        blur_kernel: width of the smoothing kernel in cells; 11 in all published weights.
    """

    needs = {"unbiased": True}  # noqa: RUF012 (read only)

    def __init__(self, sigma: Positive = 2.0, blur_kernel: Count = 11):
        self.sigma = sigma
        self.blur_kernel = _check_kernel(blur_kernel)

    def encode(self, points: Tensor, visible: Tensor, heatmap_hw: Size, stride: int) -> tuple[Tensor, Tensor]:
        centers = points / _unit_distances(points, heatmap_hw, stride)
        window = torch.floor(centers + 0.5)
        weights = _weights(window, visible, self.sigma, heatmap_hw)
        return draw_gaussians(centers, weights, self.sigma, heatmap_hw, window=window), weights

    def decode(self, heatmaps: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        heatmaps = heatmaps.float()
        cells, scores = find_peaks(heatmaps)
        x, y = cells.unbind(-1)
        log = smooth(heatmaps, self.blur_kernel).clamp(1e-3, 50.0).log()
        middle = _at(log, x, y)
        left, right, up, down = _at(log, x - 1, y), _at(log, x + 1, y), _at(log, x, y - 1), _at(log, x, y + 1)
        corners = _at(log, x + 1, y + 1) + _at(log, x - 1, y - 1)
        xx = right - 2 * middle + left
        yy = down - 2 * middle + up
        xy = 0.5 * (corners - right - down + 2 * middle - left - up)
        # The published code keeps the Hessian regular by this constant, and never bounds the step.
        tiny = torch.finfo(torch.float32).eps
        step = _newton_step(0.5 * (right - left), 0.5 * (down - up), xx + tiny, xy, yy + tiny)
        points = cells + torch.where(scores[..., None] > 0, step, 0.0)
        height, width = heatmaps.shape[-2:]
        return points * _unit_distances(points, (height, width), stride), scores

    def flip(self, heatmaps: Tensor, flip_order: list[int]) -> Tensor:
        return flip_heatmaps(heatmaps, flip_order, shift=False)


def draw_gaussians(
    centers: Tensor, weights: Tensor, sigma: float, heatmap_hw: Size, window: Tensor | None = None
) -> Tensor:
    """Draw exp(-d^2 / (2 sigma^2)) around centers [B, K, 2] (x, y in cells), times weights [B, K].

    Args:
        centers: [B, K, 2].
        weights: [B, K].
        sigma: deviation in cells.
        heatmap_hw: rows and columns of the maps.
        window: [B, K, 2], centres of the squares of half-width 3 sigma outside of which the maps are zero.

    Returns:
        [B, K, H, W].
    """
    height, width = heatmap_hw

    def profile(axis: int, length: int) -> Tensor:
        cells = torch.arange(length, device=centers.device, dtype=centers.dtype)
        values = torch.exp(-((cells - centers[..., axis, None]) ** 2) / (2 * sigma**2))
        if window is not None:
            values = values * ((cells - window[..., axis, None]).abs() <= 3 * sigma)
        return values

    # A gaussian is a product: two profiles [B, K, length] replace H * W exponentials.
    rows, columns = profile(1, height) * weights[..., None], profile(0, width)
    return rows[..., :, None] * columns[..., None, :]


def find_peaks(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """Find the highest cell of each map [B, K, H, W], the first in row order among equals.

    Returns:
        cells [B, K, 2] (x, y), (0, 0) where no value is positive, and peak heights [B, K].
    """
    width = heatmaps.shape[-1]
    maps = heatmaps.flatten(-2)
    if maps.device.type == "cpu" and not torch.compiler.is_exporting():  # NumPy finds them in a third of torch's time
        bands = map_bands(lambda band: band.argmax(-1), maps.detach().float().numpy())
        flat = torch.from_numpy(np.concatenate(bands))
    else:
        flat = maps.argmax(-1)
    scores = maps.gather(-1, flat[..., None])[..., 0]
    flat = torch.where(scores > 0, flat, 0)
    y = flat // width  # and no remainder: ONNX takes none of a width that may change
    return torch.stack([flat - y * width, y], dim=-1), scores


def find_slopes(heatmaps: Tensor, cells: Tensor) -> Tensor:
    """Tell on which side the neighbours of cells [B, K, 2] (x, y) are higher: -1, 0 or 1 in x and y, [B, K, 2].

    Cells at an edge of the map lack a neighbour; their result is undefined.
    """
    height, width = heatmaps.shape[-2:]
    x, y = cells.unbind(-1)
    flat = y * width + x
    around = torch.stack([flat + step for step in (1, width, -1, -width)], dim=-1).clamp(0, height * width - 1)
    values = heatmaps.flatten(-2).gather(-1, around)
    return torch.sign(values[..., :2] - values[..., 2:])


def flip_heatmaps(heatmaps: Tensor, flip_order: list[int], shift: bool) -> Tensor:
    """Mirror maps [B, K, H, W] in x and exchange the channels of mirror partners.

    Args:
        heatmaps: maps of a mirrored input.
        flip_order: channel that takes the place of each channel.
        shift: move the result one cell to the right, repeating its first column.
    """
    flipped = heatmaps.flip(-1)[:, flip_order]
    if shift:
        flipped = torch.cat([flipped[..., :1], flipped[..., :-1]], dim=-1)
    return flipped


def smooth(heatmaps: Tensor, kernel: int) -> Tensor:
    """Blur maps [B, K, H, W] by OpenCV's gaussian of that kernel width, zeros outside, keeping each map's maximum."""
    # OpenCV derives the deviation from the width, which is what the published decoders rely on.
    taps = torch.from_numpy(cv2.getGaussianKernel(kernel, 0)[:, 0]).to(heatmaps)
    maps = heatmaps.flatten(0, 1)[:, None]
    maps = F.conv2d(maps, taps[None, None, None, :], padding=(0, kernel // 2))
    maps = F.conv2d(maps, taps[None, None, :, None], padding=(kernel // 2, 0))
    blurred = maps.view_as(heatmaps)
    return blurred * (heatmaps.amax((-2, -1), keepdim=True) / blurred.amax((-2, -1), keepdim=True).clamp(min=1e-12))


def _unit_distances(like: Tensor, heatmap_hw: Size, stride: int) -> Tensor:
    """Input pixels a cell in x and y when both grids share their first and last points, on the device of `like`."""
    height, width = heatmap_hw
    distances = [(width * stride - 1) / (width - 1), (height * stride - 1) / (height - 1)]
    # By way of the CPU: `new_tensor` on the device waits for the device.
    return torch.tensor(distances, dtype=like.dtype).to(like.device, non_blocking=True)


def _weights(centers: Tensor, visible: Tensor, sigma: float, heatmap_hw: Size) -> Tensor:
    """1.0 for the visible points whose window of half-width 3 sigma reaches the map, else 0.0."""
    reach = 3 * sigma
    x, y = centers.unbind(-1)
    on_map = (x + reach > -1) & (y + reach > -1) & (x - reach < heatmap_hw[1]) & (y - reach < heatmap_hw[0])
    return ((visible > 0) & on_map).to(centers.dtype)


def _at(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values [B, K] of maps [B, K, H, W] at cells x, y [B, K]; cells beyond an edge read the edge."""
    height, width = maps.shape[-2:]
    flat = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return maps.flatten(-2).gather(-1, flat[..., None])[..., 0]


def _newton_step(gradient_x: Tensor, gradient_y: Tensor, xx: Tensor, xy: Tensor, yy: Tensor) -> Tensor:
    """Step [B, K, 2] to the stationary point of a quadratic; no step where its Hessian is singular."""
    determinant = xx * yy - xy * xy
    singular = determinant == 0
    determinant = torch.where(singular, 1.0, determinant)
    step = torch.stack([xy * gradient_y - yy * gradient_x, xy * gradient_x - xx * gradient_y], dim=-1)
    return torch.where(singular[..., None], 0.0, step / determinant[..., None])


def _check_kernel(kernel: int) -> int:
    if kernel < 1 or kernel % 2 == 0:
        raise OptionError(f"blur_kernel must be an odd number of cells, got {kernel}")
    return kernel

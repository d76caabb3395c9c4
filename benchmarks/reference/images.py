"""From an image file to one normalised input."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.functional import normalize

from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.samples import Inputs
from hrtoolkit.views import Crop


def read(path: Path) -> np.ndarray:
    """Read an image as RGB uint8 [H, W, 3]."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert image is not None, f"{path} is no image"
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def look(inputs: Inputs, index: int) -> Tensor:
    """Read the image of an input, look at it as its view does, and normalise it: float [3, h, w].

    Args:
        inputs: with their view.
        index: of the input.
    """
    view, window = inputs.view, inputs.crop(index)
    image = inputs.samples.read(inputs.sample_of(index))
    if window is None:
        pixels = view(image)[0]
    else:
        assert isinstance(view, TopDown)
        pixels = warp(image, window, view.input_size)
    channels_first = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return normalize(torch.from_numpy(channels_first), view.mean, view.std)


def warp(image: np.ndarray, window: Crop, output_wh: tuple[int, int]) -> np.ndarray:
    """Cut a window out of an image, RGB uint8 [H, W, 3], by the affine map of three points.

    Args:
        image: RGB uint8 [H, W, 3].
        window: upright.
        output_wh: width and height of the result.
    """
    width = window.size[0]
    # The centre, the middle of the upper edge of a square, and a corner beside it.
    middle, reach = np.array(output_wh) / 2, output_wh[0] / 2
    source = np.array([window.center, window.center - [0, width / 2], window.center - width / 2], np.float32)
    target = np.array([middle, middle - [0, reach], middle - reach], np.float32)
    return cv2.warpAffine(image, cv2.getAffineTransform(source, target), output_wh, flags=cv2.INTER_LINEAR)

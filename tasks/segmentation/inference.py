"""Testing at several scales and in overlapping windows, as in the official segmentation code.

The network sees one window at a time, and only its logits are kept: with a window, memory does not grow with the
network's activations but with the image alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame
from hrtoolkit.model import Branch, Model
from hrtoolkit.ranges import Count, NotNegative, Positive
from hrtoolkit.records import LabelMap
from hrtoolkit.registry import INFERENCES
from hrtoolkit.tasks.segmentation.head import LabelHead
from hrtoolkit.tasks.segmentation.postprocess import ScaleScores, Window, WindowScores
from hrtoolkit.tasks.segmentation.views import scale_size


@INFERENCES.register_module()
class MultiScale:
    """Run a segmentation model on scaled copies of its input, each in windows where it is larger than those.

    Two official protocols: with edge="pad" (PASCAL-Context, LIP, ADE20K, COCO-Stuff) the last window of a row is cut
    off at the border and padded with black, as is an image smaller than the window; with edge="shift" and
    whole_up_to=1.0 (Cityscapes) it is moved back inside, and only enlarged images are seen in windows.

    Args:
        scales: factors on `base_size`.
        base_size: length of the input's long side at scale 1; None keeps the input's own.
        window: width and height that the network sees at once; None gives it the whole image.
        stride: columns and rows between two windows; the window's own size by default.
        edge: "pad" or "shift".
        whole_up_to: the network sees the whole image at scales up to this one, whatever its shape; 0 keeps to the
            window at all of them. With a base_size that bounds memory too.
        scores: what is averaged over windows and scales and enlarged to the image: the "exponential" of the logits as
            in the official code, or the "logits" as in mmsegmentation.

    Raises:
        OptionError: there are no scales, one of the numbers is not positive, or windows would leave gaps.
    """

    def __init__(
        self,
        *,
        scales: Sequence[Positive] = (1.0,),
        base_size: Count | None = None,
        window: tuple[Count, Count] | None = None,
        stride: tuple[Count, Count] | None = None,
        edge: Literal["pad", "shift"] = "shift",
        whole_up_to: NotNegative = 0.0,
        scores: Literal["exponential", "logits"] = "exponential",
    ):
        if scores not in ("exponential", "logits"):
            raise OptionError(f"MultiScale: scores must be 'exponential' or 'logits', got {scores!r}")
        if edge not in ("pad", "shift"):
            raise OptionError(f"MultiScale: edge must be 'pad' or 'shift', got {edge!r}")
        numbers = [*scales, *(window or ()), *(stride or ()), *([base_size] if base_size is not None else [])]
        if not scales or min(numbers) <= 0:
            raise OptionError(f"MultiScale: scales, base_size, window and stride must be above 0, got {numbers}")
        if stride and (window is None or any(step > side for step, side in zip(stride, window, strict=True))):
            raise OptionError(f"MultiScale: stride must be at most the window's size, got {stride} for window {window}")
        self.scales = tuple(scales)
        self.base_size = base_size
        self.window = window
        self.stride = stride or window
        self.edge = edge
        self.whole_up_to = whole_up_to
        self.exponential = scores == "exponential"

    @property
    def runs_once(self) -> bool:
        """Whether the network sees the input once and as it is: then an export, which is one graph, gives the same."""
        plain = self.scales == (1.0,) and self.base_size is None and self.window is None
        return plain and self.exponential

    def __call__(self, model: Model, branch: Branch, images: Tensor, frames: Frame) -> list[LabelMap]:
        """Label each image.

        Args:
            model: gives the maps, and says whether to average with the mirrored images.
            branch: has the head.
            images: float [B, 3, H, W], normalised.
            frames: of the inputs.
        """
        height, width = images.shape[-2:]
        input_hw = (height, width)
        pixels = model.data_preprocessor
        black = -pixels.mean / pixels.std
        scaled = []  # one ScaleScores a scale, of the whole batch
        for scale in self.scales:
            new_width, new_height = scale_size((width, height), (self.base_size or max(input_hw)) * scale)
            copies = images
            if (new_height, new_width) != input_hw:
                # OpenCV's INTER_LINEAR, which is what the official code scales the normalised image with.
                copies = F.interpolate(images, size=(new_height, new_width), mode="bilinear", align_corners=False)
            windows = self.plan_windows(new_height, new_width, scale)
            seen = [_see_window(model, branch, copies, *window, black) for window in windows]
            scaled.append(ScaleScores((new_height, new_width), seen, self.exponential))
        scores = [
            [s._replace(windows=[one._replace(logits=one.logits[i]) for one in s.windows]) for s in scaled]
            for i in range(len(images))
        ]
        assert isinstance(branch.head, LabelHead)
        return branch.head.read_labels(scores, frames)

    def plan_windows(self, height: int, width: int, scale: float) -> list[tuple[Window, tuple[int, int]]]:
        """Cover an image of some scale by windows, row by row; with each goes the height and width it is padded to."""
        if self.window is None or self.stride is None or scale <= self.whole_up_to:
            return [(Window(0, 0, height, width), (height, width))]
        shift = self.edge == "shift"
        rows = _cover(height, self.window[1], self.stride[1], shift)
        columns = _cover(width, self.window[0], self.stride[0], shift)
        windows = [Window(top, left, bottom - top, right - left) for top, bottom in rows for left, right in columns]
        padded_hw = (self.window[1], self.window[0])
        return [(window, (window.height, window.width) if shift else padded_hw) for window in windows]


def _cover(length: int, window: int, stride: int, shift: bool) -> list[tuple[int, int]]:
    """First and end of the windows that cover `length` pixels."""
    count = max(-(-(length - window) // stride), 0) + 1
    ends = [min(number * stride + window, length) for number in range(count)]
    return [(max(end - window, 0) if shift else number * stride, end) for number, end in enumerate(ends)]


def _see_window(
    model: Model, branch: Branch, images: Tensor, window: Window, padded_hw: tuple[int, int], black: Tensor
) -> WindowScores:
    top, left, height, width = window
    seen, head = images[..., top : top + height, left : left + width], branch.head
    if (height, width) != tuple(padded_hw):
        padded = black.expand(*images.shape[:2], *padded_hw).clone()
        padded[..., :height, :width] = seen
        seen = padded
    assert isinstance(head, LabelHead)
    logits = head.logits(model.extract(seen, branch))
    if model.flip_test:
        logits = (logits + head.flip_back(head.logits(model.extract(seen.flip(-1), branch)))) / 2
    return WindowScores(logits, window, padded_hw)

"""Testing bottom-up models at several scales of an image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame
from hrtoolkit.model import Branch, Model, mirror
from hrtoolkit.ranges import Positive
from hrtoolkit.records import Record
from hrtoolkit.registry import INFERENCES
from hrtoolkit.tasks.bottom_up.heads import sizes_of

STEP = 0.5  # scales are multiples of it: inputs are padded to a multiple of 64, and networks halve them five times


class Seen(NamedTuple):
    """What a network makes of inputs at one scale."""

    scale: float
    maps: list[Tensor]  # that the head reads
    flipped: list[Tensor] | None  # those of the mirrored inputs, where they are asked for


@runtime_checkable
class ScaleHead(Protocol):
    """What `PoseMultiScale` asks of a head besides `read`."""

    def decode_scales(self, seen: Iterable[Seen], input_hw: tuple[int, int], sizes_hw: Tensor) -> dict[str, Tensor]:
        """What `decode` gives, of several scales, in pixels of the inputs at scale 1.

        Args:
            seen: at each scale, largest first; the network runs when the next one is asked for.
            input_hw: height and width of the batch at scale 1.
            sizes_hw: int64 [B, 2], those of the inputs without a batch's padding, at scale 1.
        """
        ...


@INFERENCES.register_module()
class PoseMultiScale:
    """Find people at several scales of an image together.

    The inputs of the other scales are made from those of scale 1 by bilinear resizing, pixel (s x, s y) from pixel
    (x, y). The official code warps the image itself to each scale; above scale 1 that shows more of a large image.

    Args:
        scales: factors on the input's size, multiples of 0.5, with 1 among them.

    Raises:
        OptionError: the scales are not such.
    """

    def __init__(self, scales: Sequence[Positive] = (0.5, 1.0, 2.0)):
        wrong = [scale for scale in scales if scale <= 0 or scale % STEP]
        if wrong or 1 not in scales or len(set(scales)) < len(scales):
            raise OptionError(
                f"PoseMultiScale: scales are different multiples of {STEP} with 1 among them, got {tuple(scales)}"
            )
        self.scales = tuple(sorted(scales, reverse=True))

    def __call__(self, model: Model, branch: Branch, images: Tensor, frames: Frame) -> Sequence[Record]:
        """Find the people of each image.

        Args:
            model: gives the maps, and says whether to average with the mirrored images.
            branch: has the head.
            images: float [B, 3, H, W], normalised.
            frames: of the inputs.

        Raises:
            OptionError: the head cannot join scales.
        """
        head = branch.head
        if not isinstance(head, ScaleHead):
            raise OptionError(f"PoseMultiScale: {type(head).__name__} cannot join scales; leave out model.inference")
        height, width = images.shape[-2:]
        sizes_hw = sizes_of(frames, images.device)
        found = head.decode_scales(self._see(model, branch, images), (height, width), sizes_hw)
        return branch.head.read({name: value.cpu().numpy() for name, value in found.items()}, frames)

    def _see(self, model: Model, branch: Branch, images: Tensor) -> Iterator[Seen]:
        for scale in self.scales:
            scaled = scale_images(images, scale)
            flipped = model.extract(mirror(scaled, branch.head.flip_shift), branch) if model.flip_test else None
            yield Seen(scale, model.extract(scaled, branch), flipped)


def scale_images(images: Tensor, scale: float) -> Tensor:
    """Images [B, C, H, W] at another scale: pixel (s x, s y) shows what pixel (x, y) showed, edges are repeated."""
    if scale == 1:
        return images
    rows, columns = (
        2 * torch.arange(round(side * scale), device=images.device) / scale / max(side - 1, 1) - 1
        for side in images.shape[-2:]
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([x, y], dim=-1).to(images.dtype).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=True)

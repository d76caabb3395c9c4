"""What the heads of bottom-up pose share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from hrtoolkit.frames import Frame, Settings
from hrtoolkit.parts import BaseHead, Listed
from hrtoolkit.records import Objects
from hrtoolkit.runtime.oks import collect_people
from hrtoolkit.schemes import KeypointScheme, SchemeLike, resolve_scheme


class PeopleHead(BaseHead[Listed]):
    """A head that finds everybody in an image; a subclass has the network, `loss`, `decode` and `read`.

    Its constructor has an argument `masks`, which data sets are told: not to compare where a crowd is, or people of
    whom no keypoint is labelled.

    Args:
        scheme: the keypoints: a known name such as "coco", names, fields of a scheme, or a scheme; None takes them from
            the training data.

    Raises:
        OptionError: no scheme is given, or it is not known.
    """

    scheme: KeypointScheme
    kind = KeypointScheme
    reads = ("masks",)
    reads_sizes = True

    def __init__(self, scheme: SchemeLike | None):
        super().__init__()
        self.scheme = resolve_scheme(scheme, KeypointScheme)
        self.flip_order = self.scheme.flip_order()

    def describe(self) -> Settings:
        return {"scheme": self.scheme.describe()}


class PosesHead(PeopleHead):
    """A head whose `decode` gives whole people: `points`, `point_scores` and `scores`, 0 where nobody is."""

    def read(self, outputs: Mapping[str, ndarray], frames: Frame) -> list[Objects]:
        points = outputs["points"]
        in_image = frames.points_to_image(points.reshape(len(points), -1, 2)).reshape(points.shape)
        return [
            Objects(**collect_people(one, outputs["point_scores"][i], outputs["scores"][i]))
            for i, one in enumerate(in_image)
        ]

    def reading(self) -> Settings:
        return {"kind": "people"}


def sizes_of(frames: Frame, device: torch.device) -> Tensor:
    """Rows and columns of the inputs of a batch without its padding, int64 [B, 2], on a device."""
    return torch.from_numpy(np.asarray(frames.input_hw, np.int64)).to(device, non_blocking=True)

"""Where a network's input lies in its image, and how to get from one to the other: both ways in one object.

A view (`hrtoolkit.views`) makes a frame with every input. A frame of a batch is of the same kind, with one entry an
input along the first axis of its arrays; `frames[i]` is the frame of one.

Convention: points are (x, y) with pixel centres on integers; boxes are edges, x1 and y1 to x2 and y2; each kind of
frame has its own rule for either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

from hrtoolkit.errors import OptionError
from hrtoolkit.masks import Masks
from hrtoolkit.records import LabelMap, Objects, Record, ValueMap
from hrtoolkit.runtime import geometry
from hrtoolkit.schemes import IGNORED, Scheme, ValueScheme

Size = tuple[int, int]
Settings = dict[str, object]  # of a part, in plain values that json can hold
CORNERS = [0, 1, 2, 1, 0, 3, 2, 3]  # of a box (x1, y1, x2, y2): x and y of its top left, top right, ...


@dataclass(frozen=True)
class Frame:
    """What every frame has, and maps.

    `image_hw`, `input_hw` and `content_hw` are heights and widths of the image, of the input with what the view itself
    has padded, and of the part of it that is mapped back; what a batch pads beyond is in none of them.

    Args:
        image_hw: (height, width) of the image; of a batch [B, 2], like the other two.
        input_hw: of the input.
        mirror: whether the input is mirrored; of a batch bool [B].
    """

    image_hw: Size | ndarray
    input_hw: Size | ndarray
    mirror: bool | ndarray

    @property
    def content_hw(self) -> Size | ndarray:
        return self.input_hw

    def __len__(self) -> int:
        """Number of inputs of a batch."""
        return len(self.image_hw)

    def __getitem__(self, index: int | slice | ndarray) -> Frame:
        """The frame of one input of a batch, or, for a slice or an array of positions, of some."""
        several = not isinstance(index, int)
        values = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, ndarray):
                value = value[index]
                if not several and field.name.endswith("_hw"):
                    value = tuple(value.tolist())
                elif not several and value.ndim == 0:
                    value = value.item()
            values[field.name] = value
        return type(self)(**values)

    @classmethod
    def stack(cls, frames: Sequence[Frame]) -> Frame:
        """The frame of a batch from those of its inputs, which are all of one kind."""
        kind = type(frames[0])
        columns = {f.name: [getattr(frame, f.name) for frame in frames] for f in dataclasses.fields(kind)}
        joined: dict[str, Any] = {name: kind._join(values) for name, values in columns.items()}
        return kind(**joined)

    @staticmethod
    def _join(values: list) -> ndarray | None:
        return None if values[0] is None else np.array(values)

    # Rules of a kind of frame, for one input

    def points_to_input(self, points: ndarray) -> ndarray:
        """Points [..., 2] of the image in the input, float32."""
        raise NotImplementedError

    def points_to_image(self, points: ndarray) -> ndarray:
        """Points [..., 2] of the input in the image, float64; of a batch, points [B, ..., 2] of all its inputs."""
        raise NotImplementedError

    def boxes_to_input(self, boxes_xyxy: ndarray) -> ndarray:
        """Boxes [N, 4] of the image in the input, float32."""
        raise NotImplementedError

    def boxes_to_image(self, boxes_xyxy: ndarray | Tensor) -> ndarray | Tensor:
        """Boxes [N, 4] of the input in the image, on their device."""
        raise NotImplementedError

    def masks_to_input(self, masks: Masks) -> ndarray:
        """Masks of N objects in the input, uint8 [N, h, w]."""
        raise NotImplementedError

    def labels_to_input(self, label_map: ndarray, flip_order: Sequence[int]) -> ndarray:
        """A label map [H, W] in the input, uint8 [h, w], 255 where the input reaches beyond the image.

        Args:
            label_map: classes, uint8.
            flip_order: what each class becomes in a mirrored image.
        """
        raise NotImplementedError

    def values_to_input(self, values: ndarray) -> ndarray:
        """Maps of numbers [C, H, W] in the input, float32 [C, h, w], NaN where it reaches beyond the image.

        Each pixel is that of the image that a label map has there; what numbers become where the image is turned or
        mirrored is another matter, see `to_input`.
        """
        raise NotImplementedError

    def turn(self) -> ndarray:
        """What becomes of directions (right, down), a rotation or reflection [2, 2]."""
        return np.diag([-1.0 if self.mirror else 1.0, 1.0])


@dataclass(frozen=True)
class Warp(Frame):
    """An input that one affine matrix cuts out of its image, around a person say.

    Args:
        image_hw: see `Frame`.
        input_hw: see `Frame`.
        mirror: see `Frame`.
        matrix: [2, 3], image to input pixels.
        box_xyxy: [4] of what is looked at, or None.
        score: of that box.
        area: of the padded crop before augmentation, in square pixels of the image.
    """

    matrix: ndarray
    box_xyxy: ndarray | None = None
    score: float | ndarray = 1.0
    area: float | ndarray = 0.0

    def points_to_input(self, points: ndarray) -> ndarray:
        return geometry.transform_points(points.astype(np.float64), self.matrix).astype(np.float32)

    def points_to_image(self, points: ndarray) -> ndarray:
        return geometry.transform_points(points, geometry.invert_affine(self.matrix))

    def boxes_to_input(self, boxes_xyxy: ndarray) -> ndarray:
        return geometry.surround_boxes(boxes_xyxy, self.matrix).astype(np.float32)

    def boxes_to_image(self, boxes_xyxy: ndarray | Tensor) -> ndarray | Tensor:
        if isinstance(boxes_xyxy, Tensor):
            mapped = self.boxes_to_image(boxes_xyxy.cpu().numpy())
            return torch.as_tensor(mapped).to(boxes_xyxy)
        return geometry.surround_boxes(boxes_xyxy, geometry.invert_affine(self.matrix))

    def masks_to_input(self, masks: Masks) -> ndarray:
        mapped = np.zeros((len(masks.segmentations), *self.input_hw), np.uint8)
        for place in [place for place, segmentation in enumerate(masks.segmentations) if segmentation]:
            mapped[place] = self._warp_mask(masks.select(slice(place, place + 1)).draw()[0])
        return mapped

    def inside(self) -> ndarray:
        """Where the input shows its image, and not what is beyond it, uint8 [h, w]."""
        return self._warp_mask(np.ones(self.image_hw, np.uint8))

    def labels_to_input(self, label_map: ndarray, flip_order: Sequence[int]) -> ndarray:
        height, width = self.input_hw
        warped = cv2.warpAffine(label_map, self.matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORED)
        return exchange_classes(warped, flip_order) if self.mirror else warped

    def values_to_input(self, values: ndarray) -> ndarray:
        height, width = self.input_hw
        nearest = cv2.INTER_NEAREST
        return np.stack(
            [cv2.warpAffine(v, self.matrix, (width, height), flags=nearest, borderValue=np.nan) for v in values]
        )

    def turn(self) -> ndarray:
        mirror = super().turn()
        # The rotation that is nearest to the matrix, which may scale x and y by other factors (UDP).
        (a, b), (c, d) = self.matrix[:, :2] @ mirror
        cos, sin = np.array([a + d, c - b]) / np.hypot(a + d, c - b)
        return np.array([[cos, -sin], [sin, cos]]) @ mirror

    def _warp_mask(self, mask: ndarray) -> ndarray:
        """A mask [H, W] of the image in the input: half of a pixel or more of it is all of it."""
        height, width = self.input_hw
        return (cv2.warpAffine(mask * 255, self.matrix, (width, height), flags=cv2.INTER_LINEAR) > 127).view(np.uint8)


@dataclass(frozen=True)
class Resized(Frame):
    """An input that is a resized image, or a window of one, perhaps with padding at the right and the bottom.

    Args:
        image_hw: see `Frame`.
        input_hw: see `Frame`.
        mirror: see `Frame`.
        scaled_hw: height and width of the whole resized image.
        window: (left, top, width, height) of the part of it that is seen, in its pixels, before mirroring.
        content: height and width that are mapped back: those of the window, or more where padding is taken for image.
        last_pixel: boxes count their last pixel: x2 - 1 and y2 - 1 are what is scaled.
    """

    scaled_hw: Size | ndarray
    window: tuple[int, int, int, int] | ndarray
    content: Size | ndarray
    last_pixel: bool | ndarray = False

    @property
    def content_hw(self) -> Size | ndarray:
        return self.content

    def _factors(self) -> ndarray:
        """Of x and y, image to resized pixels."""
        return np.array([self.scaled_hw[1] / self.image_hw[1], self.scaled_hw[0] / self.image_hw[0]])

    def points_to_input(self, points: ndarray) -> ndarray:
        mapped = np.array(points, dtype=np.float32)
        mapped[...] = (mapped + 0.5) * self._factors() - 0.5 - np.array(self.window[:2])
        if self.mirror:
            mapped[..., 0] = self.window[2] - 1 - mapped[..., 0]
        return mapped

    def points_to_image(self, points: ndarray) -> ndarray:
        points = np.array(points, dtype=np.float64)
        if self.mirror:
            points[..., 0] = self.window[2] - 1 - points[..., 0]
        return (points + np.array(self.window[:2]) + 0.5) / self._factors() - 0.5

    def boxes_to_input(self, boxes_xyxy: ndarray) -> ndarray:
        factors = np.array(self._factors().tolist() * 2)
        end = np.array([0, 0, 1, 1]) if self.last_pixel else 0
        mapped = (boxes_xyxy - end) * factors + end
        if any(self.window[:2]):
            mapped -= np.tile(self.window[:2], 2)
        if self.mirror:
            mapped[:, [0, 2]] = self.window[2] - mapped[:, [2, 0]]
        return mapped.astype(np.float32)

    def boxes_to_image(self, boxes_xyxy: ndarray | Tensor) -> ndarray | Tensor:
        if self.mirror or any(self.window[:2]):
            raise NotImplementedError("boxes of an augmented input are not mapped back")
        factors = [image / size for image, size in zip(self.image_hw[::-1], self.scaled_hw[::-1], strict=True)]
        like = boxes_xyxy.new_tensor if isinstance(boxes_xyxy, Tensor) else np.array
        end = like([0, 0, 1, 1] if self.last_pixel else [0, 0, 0, 0])
        return (boxes_xyxy - end) * like(factors * 2) + end

    def masks_to_input(self, masks: Masks) -> ndarray:
        height, width = self.scaled_hw
        if tuple(self.window) != (0, 0, width, height):
            raise NotImplementedError("masks in a window of a resized image")
        return masks.draw((height, width), bool(self.mirror))

    def labels_to_input(self, label_map: ndarray, flip_order: Sequence[int]) -> ndarray:
        labels = self._nearest(label_map, IGNORED)
        return exchange_classes(labels, flip_order) if self.mirror else labels

    def values_to_input(self, values: ndarray) -> ndarray:
        return self._nearest(values, np.nan)

    def _nearest(self, maps: ndarray, fill: float) -> ndarray:
        """Maps [..., H, W] in the input, [..., h, w], by the nearest pixels; padding has another value."""
        left, top, width, height = self.window
        column, step = (left + width - 1, -1) if self.mirror else (left, 1)
        columns = (column + step * np.arange(width)) * self.image_hw[1] // self.scaled_hw[1]
        rows = (top + np.arange(height)) * self.image_hw[0] // self.scaled_hw[0]
        seen = maps[..., rows[:, None], columns]
        padding = self.input_hw[0] - height, self.input_hw[1] - width
        if not any(padding):
            return seen
        around = [(0, 0)] * (maps.ndim - 2) + [(0, padding[0]), (0, padding[1])]
        return np.pad(seen, around, constant_values=fill)


def to_input(record: Record, frame: Frame, scheme: Scheme) -> Record:
    """A record as it lies in an input; what is left becomes right where the input is mirrored.

    Args:
        record: truth, in pixels of the image.
        frame: of the input.
        scheme: of the record; has the mirror partners.

    Returns:
        the record in pixels of the input: boxes and points float32, masks an array uint8 [N, h, w]. What has points in
        a whole image that a matrix may turn has in place of boxes their corners [N, 4, 2], mapped as points are:
        top left, top right, bottom left, bottom right of the image. What has points in a crop has no boxes there:
        nobody reads them, and mapping them would take a fiftieth of a sample's time.
    """
    if isinstance(record, LabelMap):
        return LabelMap(frame.labels_to_input(record.label_map, scheme.flip_order()))
    if isinstance(record, ValueMap):
        assert isinstance(scheme, ValueScheme)
        values = frame.values_to_input(record.values)
        if frame.mirror and scheme.mirrored:
            values = values[scheme.flip_order()]
        return ValueMap(turn_values(values, frame.turn(), scheme) if scheme.directions else values)
    if not isinstance(record, Objects):
        return record
    points, visible = record.points, record.visible
    if points is not None:
        if frame.mirror:
            assert visible is not None, "truth says which points are labelled"
            order = scheme.flip_order()
            points, visible = points[:, order], visible[:, order]
        points = frame.points_to_input(points)
    # Only here boxes may be corners or none, and masks an array: targets are made of it, and nobody else sees it.
    boxes: ndarray | None = None
    if points is None or not isinstance(frame, Warp):
        boxes = frame.boxes_to_input(record.boxes_xyxy)
    elif frame.box_xyxy is None:
        boxes = frame.points_to_input(record.boxes_xyxy[:, CORNERS].reshape(-1, 4, 2))
    return record._replace(
        boxes_xyxy=boxes,  # type: ignore[arg-type]
        points=points,
        visible=visible,
        masks=None if record.masks is None else frame.masks_to_input(record.masks),  # type: ignore[arg-type]
    )


def turn_values(values: ndarray, turn: ndarray, scheme: ValueScheme) -> ndarray:
    """Values that point to somewhere in an image, after it was turned or mirrored; others are left as they are.

    Args:
        values: [C, h, w].
        turn: of directions (right, down), [2, 2].
        scheme: of the values.

    Raises:
        OptionError: the image is turned, and the scheme has but one of both directions.
    """
    turned, matrix = values.copy(), turn.tolist()
    axes = [scheme.along(axis) for axis in (0, 1)]
    for axis, one in enumerate(axes):
        if one is None:
            continue
        place, sign = one
        turned[place] = matrix[axis][axis] * values[place]
        if matrix[axis][1 - axis]:
            other = axes[1 - axis]
            if other is None:
                raise OptionError(
                    f"{scheme.names[place]!r} points along one axis of the image, and nobody knows what it is where "
                    "the image is turned: set the augmentation's rotation to 0, or name the value along the other axis "
                    "in the scheme's directions"
                )
            turned[place] += sign * other[1] * matrix[axis][1 - axis] * values[other[0]]
    return turned


def exchange_classes(label_map: ndarray, flip_order: Sequence[int]) -> ndarray:
    """What is left becomes right, in a label map uint8 [h, w]."""
    if list(flip_order) == list(range(len(flip_order))):
        return label_map
    order = np.arange(256, dtype=np.uint8)
    order[: len(flip_order)] = flip_order
    return order[label_map]

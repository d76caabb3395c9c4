"""The landmark schemes of the face benchmarks: 300W's 68, WFLW's 98, COFW's 29 and AFLW's 19.

Convention: left and right are the person's own, so `right_eye` lies on the left side of an image. Mirror partners
follow from the names; points of a curve are counted from the side of the face to its middle.
"""

from __future__ import annotations

from typing import Literal

from hrtoolkit.runtime.sides import partners_by_name
from hrtoolkit.schemes.base import KeypointScheme

# From the outer corner over the upper lid.
SIX_OF_AN_EYE = ("outer", "upper_outer", "upper_inner", "inner", "lower_inner", "lower_outer")
EIGHT_OF_AN_EYE = (
    "outer", "upper_outer", "upper", "upper_inner", "inner", "lower_inner", "lower", "lower_outer",
)  # fmt: skip


def _across(part: str, count: int, middle: str | None = None) -> list[str]:
    """Names along a curve from the right side to the left, `count` on each and perhaps one in the middle."""
    right, left = ([f"{side}_{part}_{i}" for i in range(count)] for side in ("right", "left"))
    return [*right, *([middle] if middle else []), *reversed(left)]


def _eyes(points: tuple[str, ...]) -> list[str]:
    """Both eyes clockwise in the image: the right one from its outer corner, the left one from its inner corner."""
    half = len(points) // 2
    left = points[half::-1] + points[:half:-1]
    return [*(f"right_eye_{point}" for point in points), *(f"left_eye_{point}" for point in left)]


def _lip(part: str, count: int) -> list[str]:
    """A lip clockwise in the image from the right corner, `count` points between a corner and the middle."""
    upper, lower = (_across(f"{part}_{edge}_lip", count, f"{part}_{edge}_lip") for edge in ("upper", "lower"))
    return [f"right_{part}_corner", *upper, f"left_{part}_corner", *reversed(lower)]


def _scheme(
    title: str,
    names: list[str],
    curves: list[tuple[int, int]],
    rings: list[tuple[int, int]],
    nme_reference: tuple[str, ...] | Literal["box"],
) -> KeypointScheme:
    """A scheme with lines along its curves and around its rings, each given as first index and end."""
    lines = [(names[i], names[i + 1]) for first, end in curves + rings for i in range(first, end - 1)]
    lines += [(names[end - 1], names[first]) for first, end in rings]
    mirrored = tuple(partners_by_name(names)[0])
    return KeypointScheme(tuple(names), mirrored, skeleton=tuple(lines), nme_reference=nme_reference, title=title)


IBUG_68 = _scheme(
    "300W",
    [
        *_across("jaw", 8, "chin"),  # 0-16
        *_across("brow", 5),  # 17-26
        *(f"nose_bridge_{i}" for i in range(4)),  # 27-30
        *_across("nostril", 2, "nose_base"),  # 31-35
        *_eyes(SIX_OF_AN_EYE),  # 36-47
        *_lip("outer", 2),  # 48-59
        *_lip("inner", 1),  # 60-67
    ],
    curves=[(0, 17), (17, 22), (22, 27), (27, 31), (31, 36)],
    rings=[(36, 42), (42, 48), (48, 60), (60, 68)],
    nme_reference=("right_eye_outer", "left_eye_outer"),
)

WFLW_98 = _scheme(
    "WFLW",
    [
        *_across("jaw", 16, "chin"),  # 0-32
        *(f"right_brow_{i}" for i in range(9)),  # 33-41, the upper edge inwards, the lower edge back
        *(f"left_brow_{i}" for i in (4, 3, 2, 1, 0, 8, 7, 6, 5)),  # 42-50
        *(f"nose_bridge_{i}" for i in range(4)),  # 51-54
        *_across("nostril", 2, "nose_base"),  # 55-59
        *_eyes(EIGHT_OF_AN_EYE),  # 60-75
        *_lip("outer", 2),  # 76-87
        *_lip("inner", 1),  # 88-95
        *("right_pupil", "left_pupil"),
    ],
    curves=[(0, 33), (51, 55), (55, 60)],
    rings=[(33, 42), (42, 51), (60, 68), (68, 76), (76, 88), (88, 96)],
    nme_reference=("right_eye_outer", "left_eye_outer"),
)

COFW_29 = _scheme(
    "COFW",
    [
        *("right_brow_outer", "left_brow_outer", "right_brow_inner", "left_brow_inner"),
        *("right_brow_upper", "right_brow_lower", "left_brow_upper", "left_brow_lower"),
        *("right_eye_outer", "left_eye_outer", "right_eye_inner", "left_eye_inner"),
        *("right_eye_upper", "right_eye_lower", "left_eye_upper", "left_eye_lower", "right_pupil", "left_pupil"),
        *("right_nostril", "left_nostril", "nose_tip", "nose_base", "right_mouth_corner", "left_mouth_corner"),
        *("upper_lip_top", "upper_lip_bottom", "lower_lip_top", "lower_lip_bottom", "chin"),
    ],
    curves=[],
    rings=[],
    nme_reference=("right_eye_outer", "left_eye_outer"),
)

AFLW_19 = _scheme(
    "AFLW",
    [
        *_across("brow", 3),
        *("right_eye_outer", "right_eye", "right_eye_inner", "left_eye_inner", "left_eye", "left_eye_outer"),
        *("right_nostril", "nose_tip", "left_nostril", "right_mouth_corner", "mouth", "left_mouth_corner", "chin"),
    ],
    curves=[(0, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18)],
    rings=[],
    nme_reference="box",  # profiles show one eye
)

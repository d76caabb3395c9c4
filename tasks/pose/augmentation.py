"""What varies of the people that are trained on."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from hrtoolkit.frames import Size
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.ranges import CountFrom0, NotNegative, Share
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.runtime import geometry
from hrtoolkit.schemes import KeypointScheme, Scheme
from hrtoolkit.views import OLD_TRANSFORMS, BaseAugmentation, Crop, View

HALF_BODY_PADDING = 1.5


@AUGMENTATIONS.register_module()
class PoseAugmentation(BaseAugmentation):
    """The augmentation of the official pose code, in its order: half body, scale, rotation, mirror.

    Xiao et al., ECCV 2018; half body after Wang et al., arXiv:1902.09212.

    Args:
        half_body: probability of keeping only the upper or the lower body.
        upper_body: probability that it is the upper one (the official code draws a normal below 0.5, hence 0.69).
        half_body_keypoints: half body needs more labelled keypoints than this.
        scale: deviation of the factor on the window's size, a normal clipped to one deviation.
        rotation: deviation of the angle in degrees, a normal clipped to two deviations.
        rotate: probability of rotating at all.
        flip: probability of mirroring.
    """

    views = (TopDown,)

    def __init__(
        self,
        *,
        half_body: Share = 0.0,
        upper_body: Share = 0.69,
        half_body_keypoints: CountFrom0 = 8,
        scale: NotNegative = 0.0,
        rotation: NotNegative = 0.0,
        rotate: Share = 0.6,
        flip: Share = 0.0,
    ):
        self.half_body = half_body
        self.upper_body = upper_body
        self.half_body_keypoints = half_body_keypoints
        self.scale = scale
        self.rotation = rotation
        self.rotate = rotate
        self.flip = flip

    def ask(
        self,
        view: View[Crop],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Crop:
        assert isinstance(view, TopDown) and isinstance(truth, Objects) and crop is not None
        assert isinstance(scheme, KeypointScheme)
        center, size, angle = crop.center, crop.size, 0.0
        if rng.random() < self.half_body:
            assert truth.points is not None and truth.visible is not None
            points, visible = truth.points[0].astype(np.float64), truth.visible[0]
            if (visible > 0).sum() > self.half_body_keypoints:
                prefer_upper = rng.random() < self.upper_body
                half = half_body_window(points, visible, scheme, prefer_upper, view.aspect, HALF_BODY_PADDING)
                center, size = half or (center, size)
        size = size * min(max(1 + self.scale * rng.standard_normal(), 1 - self.scale), 1 + self.scale)
        if rng.random() < self.rotate:
            angle = min(max(rng.standard_normal(), -2.0), 2.0) * self.rotation
        return crop._replace(center=center, size=size, angle=angle, mirror=rng.random() < self.flip)


def half_body_window(
    points: ndarray, visible: ndarray, scheme: KeypointScheme, prefer_upper: bool, aspect: float, padding: float
) -> tuple[ndarray, ndarray] | None:
    """Window around the labelled keypoints of the upper or the lower body (arXiv:1902.09212).

    Args:
        points: [K, 2] (x, y) in image pixels.
        visible: [K], above 0 where labelled.
        scheme: says which keypoints are the upper body; one that does not has no halves.
        prefer_upper: take the upper body if it has more than two keypoints; else the lower body comes first.
        aspect: width / height of the window.
        padding: factor on the extent of the keypoints.

    Returns:
        centre [2], the mean of the keypoints, and size [2], or None when the scheme has no halves or fewer than two
        keypoints are left.
    """
    if not scheme.upper_body:
        return None
    is_upper = np.array([name in scheme.upper_body for name in scheme.names])
    is_lower = np.array([name in scheme.lower_body for name in scheme.names]) if scheme.lower_body else ~is_upper
    upper, lower = points[is_upper & (visible > 0)], points[is_lower & (visible > 0)]
    order = (upper, lower) if prefer_upper else (lower, upper)
    chosen = next((half for half in order if len(half) > 2), upper)
    extent = np.ptp(chosen, axis=0) if len(chosen) else np.zeros(2)
    if len(chosen) < 2 or not extent.any():
        return None
    return chosen.mean(axis=0), geometry.grow_to_aspect(extent, aspect) * padding


def _top_down_affine(options: dict) -> tuple[dict, dict]:
    view = {"type": "TopDown", **{k: v for k, v in options.items() if k == "input_size"}}
    options = {"half_body_keypoints" if k == "half_body_joints" else k: v for k, v in options.items()}
    rest = {k: v for k, v in options.items() if k not in ("input_size", "unbiased")}
    return view, {"type": "PoseAugmentation", **rest} if rest else {}


OLD_TRANSFORMS["TopDownAffine"] = _top_down_affine

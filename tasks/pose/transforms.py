"""From a person in an image to the network's input: one affine warp, augmentation included."""

from __future__ import annotations

import numpy as np

from hrtoolkit import geometry
from hrtoolkit.data.crops import AffineCrop, Window
from hrtoolkit.registry import TRANSFORMS
from hrtoolkit.structures import KeypointLayout


@TRANSFORMS.register_module()
class TopDownAffine(AffineCrop):
    """Cut one person out of an image, with the augmentation of the official pose code folded into the same matrix.

    Xiao et al., ECCV 2018; half body after Wang et al., arXiv:1902.09212. Order: half body, scale, rotation, mirror.
    Without a generator nothing is random.

    Args:
        input_size: width and height of the network input.
        unbiased: cut by the unit-distance convention, for `UDPHeatmap`.
        half_body: probability of keeping only the upper or the lower body.
        upper_body: probability that it is the upper one (the official code draws a normal below 0.5, hence 0.69).
        half_body_joints: half body needs more labelled keypoints than this.
        scale: deviation of the factor on the window's size, a normal clipped to one deviation.
        rotation: deviation of the angle in degrees, a normal clipped to two deviations.
        rotate: probability of rotating at all.
        flip: probability of mirroring.
    """

    HALF_BODY_PADDING = 1.5

    def __init__(
        self,
        input_size: tuple[int, int] = (192, 256),
        unbiased: bool = False,
        half_body: float = 0.0,
        upper_body: float = 0.69,
        half_body_joints: int = 8,
        scale: float = 0.0,
        rotation: float = 0.0,
        rotate: float = 0.6,
        flip: float = 0.0,
    ):
        super().__init__(input_size, scale, rotation, rotate, flip, unbiased)
        self.half_body = half_body
        self.upper_body = upper_body
        self.half_body_joints = half_body_joints

    def augment(
        self,
        window: Window,
        keypoints: np.ndarray,
        visible: np.ndarray,
        layout: KeypointLayout,
        rng: np.random.Generator,
    ) -> Window:
        center, size, angle = window.center, window.size, 0.0
        if rng.random() < self.half_body and (visible > 0).sum() > self.half_body_joints:
            prefer_upper = rng.random() < self.upper_body
            aspect = self.input_size[0] / self.input_size[1]
            half = half_body_window(keypoints, visible, layout, prefer_upper, aspect, self.HALF_BODY_PADDING)
            center, size = half or (center, size)
        size = size * np.clip(1 + self.scale * rng.standard_normal(), 1 - self.scale, 1 + self.scale)
        if rng.random() < self.rotate:
            angle = np.clip(rng.standard_normal(), -2, 2) * self.rotation
        return Window(center, size, angle, mirror=rng.random() < self.flip)


def half_body_window(
    keypoints: np.ndarray,
    visible: np.ndarray,
    layout: KeypointLayout,
    prefer_upper: bool,
    aspect: float,
    padding: float,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Window around the labelled keypoints of the upper or the lower body (arXiv:1902.09212).

    Args:
        keypoints: [K, 2] (x, y) in image pixels.
        visible: [K], above 0 where labelled.
        layout: tells which keypoints are the upper body; one that does not has no halves.
        prefer_upper: take the upper body if it has more than two keypoints; else the lower body comes first.
        aspect: width / height of the window.
        padding: factor on the extent of the keypoints.

    Returns:
        centre [2], the mean of the keypoints, and size [2], or None when the layout has no halves or fewer than two
        keypoints are left.
    """
    if not layout.upper_body:
        return None
    is_upper = np.array([name in layout.upper_body for name in layout.names])
    upper, lower = keypoints[is_upper & (visible > 0)], keypoints[~is_upper & (visible > 0)]
    order = (upper, lower) if prefer_upper else (lower, upper)
    chosen = next((half for half in order if len(half) > 2), upper)
    extent = np.ptp(chosen, axis=0) if len(chosen) else np.zeros(2)
    if len(chosen) < 2 or not extent.any():
        return None
    return chosen.mean(axis=0), geometry.grow_to_aspect(extent, aspect) * padding

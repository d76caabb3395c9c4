"""How far away what is drawn is, and how its surface is turned: depth and normals of figures.

Everybody is as tall as METRES, so whoever is drawn larger is nearer. Parts are rounded: their height over the drawing
plane rises from their outline as a quarter of a circle, so that a limb is a cylinder, and normals are those of that
height. Distances are measured along the view, without perspective inside of a figure.

Convention: depth in metres; normals are unit vectors (x to the right, y down, z to the viewer).
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from hrtoolkit.toy.people import Figure, Part

METRES = 1.7  # the height of everybody
# What a metre takes at the distance of one, in short sides of the picture: all are taken with one lens.
FOCAL = 1.0
WALL = 12.0  # metres, of the ground behind all figures
SOFTNESS = 0.15  # of a part's radius, over which the sides of its outline blend into each other


def distance_of(height: float, image_hw: tuple[int, int]) -> float:
    """Metres to somebody who stands `height` pixels tall in a picture of a height and width."""
    return METRES * FOCAL * min(image_hw) / height


def make_wall(height: int, width: int) -> tuple[ndarray, ndarray]:
    """Depth [H, W] and normals [H, W, 3] of the ground, float32."""
    normals = np.zeros((height, width, 3), np.float32)
    normals[..., 2] = 1
    return np.full((height, width), WALL, np.float32), normals


def add_surface_(depth: ndarray, normals: ndarray, figure: Figure, part_map: ndarray, visible: ndarray) -> None:
    """Write the surface of a figure into depth [H, W] and normals [H, W, 3]; of a crowd nobody knows it, NaN.

    Args:
        depth: is written to.
        normals: is written to.
        figure: has a distance, but for crowds.
        part_map: which part is in front at each pixel, its index plus one, [H, W].
        visible: bool [H, W], pixels that show the figure.
    """
    if figure.crowd:
        depth[visible], normals[visible] = np.nan, np.nan
        return
    pixels = np.flatnonzero(visible)
    shown = part_map.ravel()[pixels]
    order = np.argsort(shown, kind="stable")  # of small numbers: by counting
    pixels = pixels[order]
    ends = np.searchsorted(shown[order], np.arange(len(figure.parts) + 1), side="right")
    surface = np.empty((len(pixels), 4), np.float32)
    y, x = np.divmod(pixels, depth.shape[1])
    points = np.stack([x, y]).astype(np.float32)
    for part, first, end in zip(figure.parts, ends[:-1], ends[1:], strict=True):
        if first < end:
            surface[first:end] = make_surface(part, points[:, first:end]).T
    depth.reshape(-1)[pixels] = figure.distance * (1 - surface[:, 3] / (FOCAL * min(depth.shape)))
    normals.reshape(-1, 3)[pixels] = surface[:, :3]


def make_surface(part: Part, points: ndarray) -> ndarray:
    """Unit normals of a part, and how far it reaches from the plane of its figure to the viewer, in pixels.

    Args:
        part: with a convex outline.
        points: float32 [2, N], x and y inside of it.

    Returns:
        float32 [4, N], x, y and z of the normals, and that reach.
    """
    along = np.roll(part.outline, -1, axis=0) - part.outline
    lengths = np.hypot(*along.T)
    start, along = part.outline[lengths > 0], along[lengths > 0] / lengths[lengths > 0, None]
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    middle = start.mean(axis=0)
    inside = ((middle - start) * inward).sum(axis=1)  # from the middle to each side
    inward, inside = (inward * np.sign(inside)[:, None]).astype(np.float32), np.abs(inside)
    softness = float(SOFTNESS * inside.min())
    radius = float(-softness * np.log(np.exp(-inside / softness).sum()))
    # A soft minimum of the distances to all sides, and its gradient.
    weights = inward @ points  # [sides, N]
    weights += (inside - inward @ middle)[:, None].astype(np.float32)
    weights *= -1 / softness
    np.clip(weights, -40, 0, out=weights)  # numbers that are almost 0 take many times longer
    np.exp(weights, out=weights)
    x, y, total = np.concatenate([inward.T, np.ones((1, len(inward)), np.float32)]) @ weights
    low = 1 + np.log(total) * (softness / radius)
    np.clip(low, 0, 1, out=low)
    rise = np.sqrt(1 - low * low)
    low /= -total
    surface = np.stack([low * x, low * y, rise, radius * rise + part.nearer])
    surface[:3] /= np.sqrt(np.square(surface[:3]).sum(axis=0)).clip(min=1e-6)
    return surface

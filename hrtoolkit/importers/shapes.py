"""Outlines of shapes that tools draw by a centre and radii."""

from __future__ import annotations

import math

CORNERS = 64


def ellipse_outline(x: float, y: float, width: float, height: float, angle: float = 0.0) -> list[float]:
    """The polygon x, y, x, y, ... of an ellipse, whose area differs from its own by 0.2 %.

    Args:
        x: of its centre.
        y: of its centre.
        width: its radius along its own axis.
        height: its other radius.
        angle: that the axis is turned by, in radians, clockwise on the screen.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    ring = []
    for step in range(CORNERS):
        turn = 2 * math.pi * step / CORNERS
        along, across = width * math.cos(turn), height * math.sin(turn)
        ring += [x + along * cos - across * sin, y + along * sin + across * cos]
    return ring

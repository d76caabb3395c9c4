"""Joining keypoints and the box that was drawn around them, where a tool has them as two annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from hrtoolkit.importers.annotated import Instance
from hrtoolkit.importers.source import Source

SLACK = 2.0  # pixels that a point may lie outside its box
FAR = 1e9


def join_points_to_boxes(instances: Sequence[Instance], source: Source) -> list[Instance]:
    """Give keypoints the boxes that they lie in, one to one, such that the boxes are as small as possible.

    The joined ones have everything of the box, its class too, which gets the keypoints of theirs.

    Args:
        instances: of one image; those with points and no box are joined to those with a box and no points.
        source: is told whose keypoints a class has.

    Returns:
        the instances, joined ones where the boxes were.
    """
    points = [(one, one.points) for one in instances if one.points and one.box_xyxy is None]
    boxes = [(one, one.box_xyxy) for one in instances if one.box_xyxy is not None and not one.points]
    if not points or not boxes:
        return list(instances)
    costs = np.full((len(points), len(boxes)), FAR)
    for row, (_, named) in enumerate(points):
        places = np.array([point[:2] for point in named.values() if point[2] > 0]).reshape(-1, 2)
        for column, (_, (x1, y1, x2, y2)) in enumerate(boxes):
            inside = (places >= (x1 - SLACK, y1 - SLACK)) & (places <= (x2 + SLACK, y2 + SLACK))
            if len(places) and inside.all():
                costs[row, column] = max((x2 - x1) * (y2 - y1), 0)
    found = [(r, c) for r, c in zip(*linear_sum_assignment(costs), strict=True) if costs[r, c] < FAR]
    partner = {id(boxes[column][0]): points[row][0] for row, column in found}
    gone = {id(one) for one in partner.values()}
    joined = []
    for one in instances:
        if id(one) in partner:
            other = partner[id(one)]
            source.hand_over(other.label, one.label)
            one = one._replace(points=other.points)
        if id(one) not in gone:
            joined.append(one)
    return joined

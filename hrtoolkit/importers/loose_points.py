"""Keypoints that a tool has as shapes of their own, one by one, gathered into the objects they belong to.

| a point | belongs to |
|---|---|
| of a group | the box or outline of that group, or that all of the group lies in; else the group is an object |
| without a group | the box or outline that it lies in, one point of a name each |
| in a picture without groups, boxes and outlines | the one object of the picture, where no name comes twice |

What is left belongs to nothing: a fault where points of its name are keypoints elsewhere, else it is no object.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from hrtoolkit.importers.annotated import Instance, Point
from hrtoolkit.importers.joining import FAR, SLACK, join_points_to_boxes
from hrtoolkit.importers.shapes import extent_of
from hrtoolkit.importers.source import Source

NOWHERE = (1e9, 1e9, -1e9, -1e9)  # of a mask of pixels
LAST = 1e8  # square pixels, which no box has
UNNAMED = "object"  # the class of keypoints that nobody drew a box around


class LoosePoint(NamedTuple):
    """A point of one shape."""

    name: str
    point: Point
    group: Hashable | None
    where: str


class PointGatherer:
    """Gathers the points of picture after picture.

    Args:
        source: is told what is not clear.
        names: of keypoints, where the export says so; others are those of points that belong to something.
    """

    def __init__(self, source: Source, names: Iterable[str] = ()):
        self.source = source
        self.names = set(names)
        self.boxes: Counter[str] = Counter()  # of each class, that points without a group could belong to
        self.held: Counter[str] = Counter()  # of these points, in the boxes of each class
        self.left: dict[str, list[str]] = defaultdict(list)  # where points are that belong to nothing, by name

    def gather(
        self, points: Sequence[LoosePoint], others: Sequence[tuple[Hashable | None, Instance]]
    ) -> list[Instance]:
        """The instances of a picture: the others, with their points, and groups of points.

        Args:
            points: drawn one by one.
            others: instances, each with its group.
        """
        # Of several boxes in a group the largest has the points.
        order = sorted(range(len(others)), key=lambda place: _area(others[place][1]))
        places = {others[place][0]: place for place in order if others[place][0] is not None}
        owned: list[dict[str, Point]] = [{} for _ in others]
        groups: dict[Hashable, dict[str, Point]] = defaultdict(dict)
        free = []
        for one in points:
            if one.group is None:
                free.append(one)
            else:
                place = places.get(one.group)
                self._give(one, groups[one.group] if place is None else owned[place])
        if free and others and self.source.join is not False:
            free = self._place(free, [other for _, other in others], owned)
        names = {one.name for one in free}
        alone = not groups and (not others or self.source.join is False)
        if alone and len(names) == len(free) and (len(names) > 1 or names <= self.names) and free:
            what = "points without groups and boxes, which are one object a picture"
            self.source.note(
                what, free[0].where, f"their class is called {UNNAMED}; give points of an object one group"
            )
            for one in free:
                self._give(one, groups[None])
            free = []
        for one in free:
            self.left[one.name].append(one.where)
        instances = [
            other._replace(points=own if own else other.points) for (_, other), own in zip(others, owned, strict=True)
        ]
        grouped = [Instance(UNNAMED, points=own) for own in groups.values()]
        if not grouped or self.source.join is False:
            return instances + grouped
        bare = [one for one in instances if not one.points]
        return [one for one in instances if one.points] + join_points_to_boxes(bare + grouped, self.source)

    def _give(self, one: LoosePoint, owned: dict[str, Point]) -> None:
        if one.name in owned:
            remedy = "give each object a group of its own, and each point its name"
            self.source.fault("keypoints that an object has twice", f"{one.where}: {one.name}", remedy)
        owned[one.name] = one.point
        self.names.add(one.name)

    def _place(
        self, points: list[LoosePoint], others: list[Instance], owned: list[dict[str, Point]]
    ) -> list[LoosePoint]:
        """Give points to the instances they lie in, to small ones first; gives those that lie in none."""
        xy = np.array([one.point[:2] for one in points])
        extents = np.array([_extent(other) for other in others])
        inside = np.all((xy[:, None] >= extents[:, :2] - SLACK) & (xy[:, None] <= extents[:, 2:] + SLACK), axis=2)
        # A hand may lie on the box of a ball: classes that have few of the points come last.
        for other, count in zip(others, inside.sum(axis=0), strict=True):
            self.boxes[other.label] += 1
            self.held[other.label] += int(count)
        held = np.array([self.held[other.label] / self.boxes[other.label] for other in others])
        areas = np.array([_area(other) for other in others])
        costs = np.where(inside, np.where(held <= held.max() / 2, LAST, 0) + np.minimum(areas, LAST), FAR)
        left = []
        for name in dict.fromkeys(one.name for one in points):
            rows = [row for row, one in enumerate(points) if one.name == name]
            free = [column for column, own in enumerate(owned) if name not in own]
            given = set()
            for row, column in zip(*linear_sum_assignment(costs[np.ix_(rows, free)]), strict=True):
                if inside[rows[row], free[column]]:
                    self._give(points[rows[row]], owned[free[column]])
                    given.add(rows[row])
            left += [points[row] for row in rows if row not in given]
        return left

    def finish(self) -> None:
        """Tell, when all pictures are read, which points belong to nothing."""
        for name, places in self.left.items():
            for where in places:
                if name in self.names:
                    remedy = "draw the box of their object around them, or give both the same group"
                    self.source.fault("points without an instance", f"{where}: {name}", remedy)
                else:
                    self.source.note("points that are no keypoints of an object", f"{where}: {name}")


def _area(instance: Instance) -> float:
    x1, y1, x2, y2 = _extent(instance)
    return max(x2 - x1, 0) * max(y2 - y1, 0)


def _extent(instance: Instance) -> Sequence[float] | np.ndarray:
    if instance.box_xyxy is not None:
        return instance.box_xyxy
    if instance.polygons:
        return extent_of(instance.polygons)
    return NOWHERE

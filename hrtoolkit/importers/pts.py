"""Landmarks in .pts files, one beside each image, as 300W and other sets of faces have them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hrtoolkit.data.paths import open_file
from hrtoolkit.data.pts import read_pts
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import HEAD, register_format
from hrtoolkit.importers.source import IMAGES, Source
from hrtoolkit.schemes.faces import IBUG_68

MARK = r"n_points\s*:"
FACE = "face"


@register_format("pts", title=".pts files", suffixes=(".pts",), mark=MARK)
def read_pts_files(source: Source) -> Iterator[Picture]:
    """Read landmarks that count pixels from 1."""
    source.note("points taken for pixels from 1", source.files[0].name, "--format pts0 takes them for pixels from 0")
    yield from _read(source, 1)


@register_format("pts0", title=".pts files with pixels from 0", suffixes=(".pts",), mark=MARK)
def read_pts_files_from_0(source: Source) -> Iterator[Picture]:
    """Read landmarks that count pixels from 0."""
    yield from _read(source, 0)


def _read(source: Source, start: int) -> Iterator[Picture]:
    labels = _declare(source)
    for file in source.files:
        try:
            points = (read_pts(file) - start).tolist()
        except DataError as error:
            source.fault("files that cannot be read", str(error), "correct them")
            continue
        label = labels.get(len(points), f"{FACE}{len(points)}")
        names = source.schemes[label].names if label in source.schemes else map(str, range(1, len(points) + 1))
        # An image.png.pts names its image.
        name = file.stem if Path(file.stem).suffix.lower() in IMAGES else f"{file.stem}.jpg"
        instance = Instance(label, points={name: (x, y, 2) for name, (x, y) in zip(names, points, strict=True)})
        yield Picture(name, [instance], source.find_image(name, file.parent), split=source.split_of(file))


def _declare(source: Source) -> dict[int, str]:
    """Declare a class for each number of points; gives their names."""
    counts = set()
    for file in source.files:
        with open_file(file) as opened:
            stated = re.search(rb"n_points\s*:\s*(\d+)", opened.read(HEAD))
        counts |= {int(stated[1])} if stated else set()
    labels = {count: FACE if len(counts) == 1 else f"{FACE}{count}" for count in sorted(counts)}
    for count, label in labels.items():
        if count == len(IBUG_68.names):
            source.note(f"{count} points taken for iBUG's (300W)", label, "their names and sides come from there")
            source.declare(label, IBUG_68.names, IBUG_68.skeleton, IBUG_68.mirrored)
        else:
            source.declare(label, [str(number) for number in range(1, count + 1)])
    return labels

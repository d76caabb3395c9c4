"""YOLO's format: a text file an image, a line an object, in fractions of the image (https://docs.ultralytics.com/datasets).

| numbers after the class | are |
|---|---|
| 4 | a box: its centre, width and height |
| 4 + 2K or 4 + 3K | a box and K keypoints, of which the third number is the visibility |
| 6, 8, 10, ... | a polygon; an oriented box is one of four corners |

What a line of keypoints is stands in data.yaml (`kpt_shape`); without, it is told from the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.importers.annotated import Instance, Picture, Point
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.yolo_files import Description, describe, list_pictures
from hrtoolkit.schemes.people import COCO

FILES = (".txt", ".yaml", ".yml", ".data")
MARK = (
    r"\A(\xef\xbb\xbf)?\s*\d+(\.0+)?([ \t]+[-+.\de]+){4}(\s|\Z)"  # a label file
    r"|(\A|[\r\n])[\"']?(names|nc)[\"']?\s*:"  # data.yaml
    r"|(\A|[\r\n])\s*names\s*="  # obj.data
)
FARTHEST = 2.0  # of the image's sides: objects may reach beyond them, percent and pixels reach further
SAMPLED = 1000  # pictures, by which lines are told that nobody describes


@register_format("yolo", title="YOLO's format", suffixes=FILES, mark=MARK)
def read_yolo(source: Source) -> Iterator[Picture]:
    """Read YOLO's text files: boxes, polygons, oriented boxes, keypoints."""
    return _read(source)


@register_format("yolo-pose", title="YOLO's format with keypoints", suffixes=FILES, mark=MARK)
def read_yolo_pose(source: Source) -> Iterator[Picture]:
    """Read YOLO's text files, of which each line is a box and keypoints."""
    return _read(source, "pose")


@register_format("yolo-segments", title="YOLO's format without keypoints", suffixes=FILES, mark=MARK)
def read_yolo_segments(source: Source) -> Iterator[Picture]:
    """Read YOLO's text files, of which no line has keypoints."""
    return _read(source, "segments")


def _read(source: Source, wanted: str = "") -> Iterator[Picture]:
    description = describe(source)
    pictures = list_pictures(source, description)
    first = list(islice(pictures, SAMPLED))
    if wanted == "segments":
        shape = (0, 0)
    else:
        shape = description.shape or _guess_shape([label for _, _, label in first if label], wanted, source)
    points = _Keypoints(description, shape, source)
    names = description.names
    for number, name in (names or {}).items():
        points.declare(name, number)
    largest = -1
    for split, image, label in chain(first, pictures):
        lines = [] if label is None else _read_lines(label, source)
        size = source.size_of(image) if lines else None  # an image that cannot be read is told later
        instances: list[Instance] = []
        for where, numbers in lines if size else ():
            number = _class_of(numbers[0], names, where, source)
            largest = max(largest, number)
            if number >= 0 and _are_fractions(numbers[1:], shape, where, source):
                name = str(number) if names is None else names[number]
                assert size is not None
                instance = _instance(name, numbers[1:], points, size, where, source)
                instances += [] if instance is None else [instance]
        yield Picture(image.name, instances, image, split=split)
    if names is None:
        source.labels.clear()
        for number in range(largest + 1):
            points.declare(str(number), number)


def _read_lines(path: Path, source: Source) -> list[tuple[str, list[float]]]:
    """The numbers of each line of a label file, and where it stands; a line that stands there twice counts once."""
    found, seen = [], set()
    for number, line in enumerate(read_bytes(path).removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        words = tuple(line.split())
        where = f"{path.name}, line {number}"
        if words in seen:
            source.note("lines that stand twice in a file", where, "they are read once")
        elif words:
            seen.add(words)
            try:
                found.append((where, list(map(float, words))))
            except ValueError:
                shown = line[:40].decode(errors="replace")
                source.fault("lines that are no numbers", f"{where}: {shown}", "write them as the class and fractions")
    return found


def _guess_shape(labels: Sequence[Path], wanted: str, source: Source) -> tuple[int, int]:
    """How many keypoints lines have, of how many numbers, by the first lines; (0, 0) for boxes and polygons."""
    quiet = Source(source.path)  # what is wrong with lines is told when all are read
    lines = [numbers[1:] for label in labels for _, numbers in _read_lines(label, quiet)]
    if wanted == "pose":
        lines = [numbers for numbers in lines if len(numbers) != 4]
    if len({len(numbers) for numbers in lines}) != 1 or len(lines[0]) < 6:
        return (0, 0)
    table = np.array(lines)
    count = table.shape[1]
    where = f"{count} numbers after the class, no kpt_shape in a data.yaml"
    if (count - 4) % 3 == 0 and np.isin(table[:, 6::3], (0, 1, 2)).all():
        source.note("lines of a box and keypoints", where, f"they are {(count - 4) // 3} keypoints x, y, visibility")
        return ((count - 4) // 3, 3)
    if count % 2:
        return (0, 0)
    pairs = ((count - 4) // 2, 2)
    if wanted == "pose":
        return pairs
    what = "lines that are polygons, or boxes and keypoints x, y"
    if count > 8 and _boxes_hold_points(table):
        source.note(what, where, f"they are read as {pairs[0]} keypoints; --format yolo-segments reads polygons")
        return pairs
    source.note(what, where, "they are read as polygons; --format yolo-pose reads keypoints")
    return (0, 0)


def _boxes_hold_points(table: np.ndarray) -> bool:
    """Whether the first four numbers [N, 4 + 2K] make boxes inside the image around the points: polygons do not."""
    centres, halves = table[:, None, :2], table[:, None, 2:4] / 2
    points = table[:, 4:].reshape(len(table), -1, 2)
    inside = abs(points - centres) <= 1.1 * halves + 1e-3
    return bool(inside.all() and (abs(centres - 0.5) + halves <= 0.51).all())


class _Keypoints:
    """The keypoints of a line.

    Args:
        description: of the export.
        shape: how many, and of how many numbers; (0, 0) where there are none.
        source: is told what names and mirror pairs are taken.
    """

    def __init__(self, description: Description, shape: tuple[int, int], source: Source):
        self.count, self.values = shape
        self.source = source
        self.by_class = description.keypoints
        self.names: Sequence[str] = [str(number) for number in range(1, self.count + 1)]
        self.skeleton: Sequence[tuple[str, str]] = ()
        flips, where = description.flips, "flip_idx"
        self.mirrored: list[tuple[int, int]] | None = None if flips is None else []
        if self.count == 0 or flips is None:
            return
        if sorted(flips) != list(range(self.count)) or any(flips[flips[place]] != place for place in flips):
            what = f"a flip_idx that does not exchange pairs of the {self.count} keypoints"
            source.warn(what, where, "it is left out; number the mirror partner of each keypoint, from 0")
            self.mirrored = None
        elif flips == sorted(flips):
            remedy = "nothing changes places in a mirrored image; correct it there if left and right do"
            source.note("a flip_idx without pairs", where, remedy)
        else:
            self.mirrored = [(place, flip) for place, flip in enumerate(flips) if place < flip]
        if flips == COCO.flip_order() and not self.by_class:
            source.note("keypoints that are mirrored as COCO's 17 are", where, "they get COCO's names")
            self.names, self.skeleton = COCO.names, COCO.skeleton

    def names_of(self, label: str) -> Sequence[str]:
        """The names of a class's keypoints."""
        return self.by_class.get(label) or self.by_class.get("") or self.names

    def declare(self, label: str, number: int) -> None:
        """Declare a class and its keypoints."""
        names = self.names_of(label) if self.count else ()
        if len(names) != self.count:
            what = f"{len(names)} names of keypoints, of which lines have {self.count}"
            self.source.fault(what, f"class {label}", "name as many as kpt_shape says")
            return
        pairs = None if self.mirrored is None else [(names[a], names[b]) for a, b in self.mirrored]
        self.source.declare(label, names, self.skeleton, pairs, number)

    def read(self, label: str, numbers: Sequence[float], size_wh: Sequence[int], where: str) -> dict[str, Point]:
        """The labelled ones, in pixels.

        Args:
            label: the class.
            numbers: of each, its x and y as fractions, and its visibility where lines have that.
            size_wh: of the image.
            where: the line.
        """
        found = {}
        xs, ys = numbers[:: self.values], numbers[1 :: self.values]
        seen = (
            numbers[2::3]
            if self.values == 3
            else [0.0 if _is_absent(x, y) else 2.0 for x, y in zip(xs, ys, strict=True)]
        )
        if self.values == 2 and 0.0 in seen:
            what = "keypoints without visibility at 0, 0 or below"
            self.source.note(what, where, "they are not labelled")
        for name, x, y, v in zip(self.names_of(label), xs, ys, seen, strict=True):
            if v not in (0, 1, 2):
                self.source.note("keypoints with a confidence", where, "they are visible where it is above 0")
                v = 2 * (v > 0)
            if v:
                found[name] = (x * size_wh[0], y * size_wh[1], int(v))
        return found


def _class_of(number: float, names: dict[int, str] | None, where: str, source: Source) -> int:
    """The class of a line; -1 where it is none."""
    if number < 0 or not float(number).is_integer():
        source.fault("lines that do not begin with a class", where, "write its number first")
    elif names is not None and int(number) not in names:
        what = f"classes beyond the {len(names)} that are named"
        source.fault(what, f"{where}: {int(number)}", "correct them, or name all classes, counted from 0")
    else:
        return int(number)
    return -1


def _is_absent(x: float, y: float) -> bool:
    return (x == 0 and y == 0) or x < 0 or y < 0


def _are_fractions(numbers: list[float], shape: tuple[int, int], where: str, source: Source) -> bool:
    if shape[1] == 3 and len(numbers) > 4:
        numbers = numbers[:4] + numbers[4::3] + numbers[5::3]
    worst = max(map(abs, numbers), default=0.0)
    if worst <= FARTHEST and all(map(math.isfinite, numbers)):
        return True
    remedy = "YOLO's are fractions of the image's width and height: divide pixels by these, percent by 100"
    source.fault("coordinates that are no fractions", f"{where}: {worst:g}", remedy)
    return False


def _instance(
    label: str, numbers: list[float], keypoints: _Keypoints, size_wh: Sequence[int], where: str, source: Source
) -> Instance | None:
    expected = 4 + keypoints.count * keypoints.values
    if keypoints.count and len(numbers) not in (4, expected):
        what = f"lines that are no box and {keypoints.count} keypoints of {keypoints.values} numbers"
        remedy = f"{expected} have to follow the class; correct them, or kpt_shape"
        source.fault(what, f"{where}: {len(numbers)} numbers", remedy)
        return None
    if not keypoints.count and len(numbers) not in (4, 5):
        if len(numbers) < 6 or len(numbers) % 2:
            remedy = "write 4 numbers of a box, pairs of a polygon, or kpt_shape of keypoints in data.yaml"
            source.fault("lines of which nobody knows what they are", f"{where}: {len(numbers)} numbers", remedy)
            return None
        return Instance(label, polygons=[[number * size_wh[place % 2] for place, number in enumerate(numbers)]])
    if len(numbers) == 5:
        source.note("boxes with a confidence", where, "it is left out")
    (x, y, width, height), (image_width, image_height) = numbers[:4], size_wh
    points = keypoints.read(label, numbers[4:], size_wh, where) if len(numbers) > 5 else None
    if width > 0 and height > 0:
        x, y, width, height = x * image_width, y * image_height, width * image_width, height * image_height
        return Instance(label, [x - width / 2, y - height / 2, x + width / 2, y + height / 2], points)
    if points and width == height == 0:
        return Instance(label, points=points)
    source.fault("boxes without width or height", where, "correct them, or remove the lines")
    return None

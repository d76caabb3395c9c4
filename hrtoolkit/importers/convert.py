"""Turning an export of a labelling tool into a folder to train on: COCO's format, a file a split.

Pictures are read one at a time and wait in a file on the disk until the classes and keypoints of all of them are known,
so that memory stays flat. Images stay where they are: the files name them from the folder that is written. Only images
that lie inside the annotations are written out.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.files import check_writable, place_inside, write_atomically
from hrtoolkit.findings import Finding, Findings
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.coco_file import make_categories, remove_earlier, to_annotation, write_split
from hrtoolkit.importers.complete import complete
from hrtoolkit.importers.formats import find_format
from hrtoolkit.importers.groups import hold_out
from hrtoolkit.importers.source import IMAGES, SPLITS, Source
from hrtoolkit.runtime.images import read_header
from hrtoolkit.schemes import KeypointScheme, SchemeLike, resolve_scheme

WHOLE = "annotations"  # the file of an export that has no splits


@dataclass
class Imported:
    """What was imported.

    Args:
        folder: that was written.
        format: title of the format that was read.
        files: how many annotation files.
        splits: number of pictures by file ("train" of train.json).
        objects: number of objects by class.
        points: number of objects with keypoints by class.
        parts: number of objects by file and class.
        schemes: keypoints of each class that has some.
        outlines: number of objects with a mask or polygons.
        derived: counts of what the format does not say, in words.
        held_out: how pictures for validation were chosen; "" where the export says, or nobody asked.
        findings: what was noted while reading.
    """

    folder: Path
    format: str
    files: int
    splits: Counter = field(default_factory=Counter)
    objects: Counter = field(default_factory=Counter)
    points: Counter = field(default_factory=Counter)
    parts: dict[str, Counter] = field(default_factory=dict)
    schemes: dict[str, KeypointScheme] = field(default_factory=dict)
    outlines: int = 0
    derived: Counter = field(default_factory=Counter)
    held_out: str = ""
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        parts = ", ".join(f"{count} in {name}.json" for name, count in self.splits.items())
        kinds = ", ".join(f"{count} {label}" for label, count in self.objects.most_common())
        what = f"with keypoints: {self.points.total()}, with an outline: {self.outlines}"
        lines = [f"{self.format}, {self.files} file{'s' * (self.files != 1)}: {self.splits.total()} pictures ({parts})"]
        if self.held_out:
            lines.append(f"for validation: {self.held_out}")
        lines += [f"{self.objects.total()} objects ({kinds}); {what}"]
        lines += [f"{count} {what}" for what, count in self.derived.items() if count]
        return "\n".join([*lines, *map(str, self.findings)])


def import_annotations(
    path: str | Path,
    out: str | Path,
    format: str | None = None,
    images: str | Path | None = None,
    fraction: float | None = None,
    join: bool | None = None,
    keypoints: SchemeLike | None = None,
) -> Imported:
    """Turn an export of a labelling tool into COCO's format.

    Args:
        path: folder or annotation file of the export; nothing is changed there.
        out: folder that gets train.json, val.json, ... as the export is split, or annotations.json.
        format: name of the format; None recognises it.
        images: folder of the images, where they are not below that of the annotations.
        fraction: of the pictures for val.json, where the export is one part.
        join: whether keypoints get the box that is drawn around them; None leaves it to the format.
        keypoints: what those are called that the export only numbers: names, or a known scheme such as "coco".

    Returns:
        what was read, derived, and left out.

    Raises:
        DataError: the export cannot be used; everything that is wrong with it at once.
        UserError: the folder cannot be written.
    """
    source, out = Source(path, images, join, out), Path(out)
    names_of_numbers = None if keypoints is None else resolve_scheme(keypoints, KeypointScheme)
    if out.resolve() == source.folder.resolve():
        raise UserError(f"{out}: the export itself; choose another folder to write to")
    check_writable(out, folder=True)
    found = find_format(source, format)
    imported = Imported(out, found.title, len(source.files))
    with tempfile.TemporaryFile("w+", dir=out) as journal:
        listed = _read(found.read(source), source, imported, journal)
        source.raise_faults()
        imported.findings = source.findings()
        if not imported.objects:
            told = "\n".join(map(str, imported.findings))
            raise DataError(f"{path}: nothing is annotated in {len(listed)} pictures of {found.title}\n{told}".rstrip())
        splits = _split(listed, imported, fraction)
        if set(splits) > {""}:
            loose = Findings(path)
            lost = [one.name for one in listed if not one.split]
            loose.add("warning", "pictures in no split", lost, f"they go to {WHOLE}.json, which is not trained on")
            imported.findings += loose
        schemes = _find_schemes(source)
        imported.schemes = {label: _name(schemes[label], names_of_numbers, label) for label in schemes}
        labels = {
            label: id for label, id in source.labels.items() if label not in source.emptied - imported.objects.keys()
        }
        categories = make_categories(labels, imported.schemes, source.mirrored)
        for split in dict.fromkeys(splits):
            name = split or WHOLE
            chosen = _lines(journal, splits, split)
            imported.parts[name] = write_split(out / f"{name}.json", chosen, categories, schemes)
            imported.splits[name] = splits.count(split)
    for name in {*SPLITS.values(), WHOLE} - imported.splits.keys():
        remove_earlier(out / f"{name}.json")
    return imported


class _Listed(NamedTuple):
    """What is kept of a picture that was read."""

    name: str
    split: str
    usable: frozenset[tuple[str, bool]]  # classes of what lies in it, and whether that has keypoints


def _read(pictures: Iterator[Picture], source: Source, imported: Imported, journal: IO) -> list[_Listed]:
    """Complete the pictures one by one, and write each as a line."""
    listed, seen = [], set()
    kinds: dict[frozenset, frozenset] = {}
    console = Console(stderr=True)
    for picture in track(pictures, "reading", console=console, transient=True, disable=not console.is_terminal):
        file = picture.file if picture.pixels is None else _write_image(picture, imported.folder)
        size = _find_size(picture, file, source)
        if size is None:
            continue
        name = str(picture.name if file is None else _relative(file, imported.folder))
        if (name, picture.split) in seen:
            source.fault("pictures that are annotated twice", picture.name, "remove one of them, or import them apart")
            continue
        seen.add((name, picture.split))
        annotations, usable = [], set()
        for instance in picture.instances:
            whole = complete(instance, size, imported.derived)
            if whole is not None:
                annotations.append(to_annotation(whole))
                _count(whole, source, imported)
                if whole.box_xyxy is not None and _lies_in(whole.box_xyxy, size):
                    usable.add((whole.label, bool(whole.points)))
        image = {"id": picture.id, "file_name": name, "width": size[0], "height": size[1]}
        journal.write(json.dumps([image, annotations]) + "\n")
        kind = frozenset(usable)
        listed.append(_Listed(name, picture.split, kinds.setdefault(kind, kind)))
    return listed


def _lies_in(box_xyxy: Sequence[float], size_wh: Sequence[int]) -> bool:
    x1, y1, x2, y2 = box_xyxy
    return min(x2, size_wh[0]) > max(x1, 0) and min(y2, size_wh[1]) > max(y1, 0)


def _find_size(picture: Picture, file: Path | None, source: Source) -> tuple[int, int] | None:
    """Width and height of a picture; None where it cannot be used, which the source is told."""
    if file is None:
        remedy = "copy them beside the annotations, or name their folder by --images"
        if picture.size_wh is None:
            source.fault("pictures whose image is not there", picture.name, remedy)
        else:
            source.warn("pictures whose image is not there", picture.name, remedy)
        return picture.size_wh
    size = source.size_of(file)
    if size is None:
        source.fault("images that cannot be read", str(file), "copy them again, or remove their annotations")
    elif picture.size_wh is not None and tuple(picture.size_wh) not in (size, size[::-1]):
        stated = f"{picture.name}: {picture.size_wh[0]}x{picture.size_wh[1]}, its file has {size[0]}x{size[1]}"
        source.fault("images of another size than annotated", stated, "take the images that were annotated")
    # An image that is stored turned is read as the annotations have it.
    return size if picture.size_wh is None else (picture.size_wh[0], picture.size_wh[1])


def _write_image(picture: Picture, folder: Path) -> Path:
    """Write an image that lies inside the annotations."""
    pixels = picture.pixels
    assert pixels is not None
    name = re.sub(r"[^\w.()-]+", "_", picture.name.replace("\\", "/").removeprefix("/")) or "image"
    if isinstance(pixels, bytes):
        suffix = ".png" if read_header(pixels) is not None and pixels.startswith(b"\x89PNG") else ".jpg"
        data = pixels
    else:
        suffix = ".png"
        bgr = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[..., ::-1])
        data = cv2.imencode(suffix, bgr)[1].tobytes()
    stem = name.removesuffix(Path(name).suffix) if Path(name).suffix.lower() in IMAGES else name
    path = place_inside(folder / "images", f"{stem}{suffix}")
    with write_atomically(path, "wb") as file:
        file.write(data)
    return path


def _relative(file: Path, folder: Path) -> Path | str:
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # on another drive of Windows
        return file.resolve().as_posix()


def _count(instance: Instance, source: Source, imported: Imported) -> None:
    label = instance.label
    source.labels.setdefault(label, None)
    imported.objects[label] += 1
    imported.outlines += bool(instance.polygons) or instance.run_lengths is not None
    if instance.points is None:
        return
    imported.points[label] += 1
    if label not in source.schemes:
        names = source.found_names.setdefault(label, {})
        names.update(dict.fromkeys(instance.points))
    elif unknown := instance.points.keys() - set(source.schemes[label].names):
        where = f"{label}: {', '.join(sorted(unknown))}"
        source.fault("keypoints that their class does not have", where, "correct their names")


def _split(listed: list[_Listed], imported: Imported, fraction: float | None) -> list[str]:
    """The split of each picture: as the export has it, or with a part held out that has something to validate on."""
    splits = [one.split for one in listed]
    kind = (imported.points or imported.objects).most_common(1)[0][0], bool(imported.points)
    useful = np.array([kind in one.usable for one in listed])
    if fraction is None or len(set(splits)) > 1 or useful.sum() < 2:
        return splits
    held, how = hold_out([one.name for one in listed], fraction, useful)
    imported.held_out = f"{int(held.sum())} of {len(listed)} pictures, {how}"
    return ["val" if one else "train" for one in held]


def _find_schemes(source: Source) -> dict[str, KeypointScheme]:
    """Keypoints by class: as declared, or as they came; numbers in their order."""
    schemes = dict(source.schemes)
    for label, names in source.found_names.items():
        ordered = sorted(names, key=lambda name: int(name) if name.isdigit() else -1)
        schemes.setdefault(label, resolve_scheme(ordered, KeypointScheme))
    return schemes


def _name(scheme: KeypointScheme, names: KeypointScheme | None, label: str) -> KeypointScheme:
    """Give keypoints that are only numbered the names that the caller knows."""
    if names is None or not all(name.isdigit() for name in scheme.names):
        return scheme
    if len(names.names) != len(scheme.names):
        raise DataError(f"{label!r} has {len(scheme.names)} keypoints, and there are {len(names.names)} names for them")
    return names


def _lines(journal: IO, splits: list[str], split: str) -> Iterator[tuple[dict, list[dict]]]:
    journal.seek(0)
    for line, own in zip(journal, splits, strict=True):
        if own == split:
            yield tuple(json.loads(line))

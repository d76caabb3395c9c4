"""Which files an export in YOLO's format has: what describes it, its images by split, and the label file of each.

Paths in data.yaml and lists are those of another computer more often than not: what counts is their end.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import read_json, read_lines
from hrtoolkit.errors import DataError
from hrtoolkit.importers.source import SPLITS, Source, is_image, path_parts

# What tools call the list of classes where there is no data.yaml.
CLASS_FILES = {
    "classes.txt",
    "obj.names",
    "_darknet.labels",
    "labels.txt",
    "class_names.txt",
    "names.txt",
    "notes.json",
}
POINT_NAMES = ("kpt_names", "keypoint_names", "kpt_labels", "keypoints")  # in data.yaml; there is no standard


class Place(NamedTuple):
    """Where a split is: the path of a folder or list."""

    path: str
    folder: str  # that the path begins at, as the description says
    beside: Path  # folder of the description

    def find(self) -> Path | None:
        """The path, or what lies beside the description and ends alike: it may be another computer's."""
        parts = [part for part in (*path_parts(self.folder), *path_parts(self.path)) if part != ".."]
        places = [Path(self.beside, self.folder, self.path), Path(self.beside, self.path)]
        places += [
            Path(self.beside, *parts[start:])
            for start in range(len(parts))
            if start < len(parts) - 1 or parts[start].lower() not in ("images", "data")  # too common alone
        ]
        # Without a path this is the folder that lists begin at, and may be nowhere.
        return next((place for place in places if place.exists() and (self.path or self.folder)), None)

    def base(self) -> Path:
        """The folder that paths in a list begin at."""
        return self._replace(path="").find() or self.beside


@dataclass
class Description:
    """What an export says of itself.

    Args:
        file: that says it; None where nobody does.
        names: of the classes, by number; None where they have none.
        shape: how many keypoints a line has, and of how many numbers; None where nobody says.
        keypoints: their names by class; those of "" are all classes'.
        flips: place of each keypoint's mirror partner; None where nobody says.
        splits: their folders and lists.
    """

    file: Path | None = None
    names: dict[int, str] | None = None
    shape: tuple[int, int] | None = None
    keypoints: dict[str, list[str]] = field(default_factory=dict)
    flips: list[int] | None = None
    splits: dict[str, list[Place]] = field(default_factory=dict)


def describe(source: Source) -> Description:
    """Read data.yaml, else Darknet's obj.data, else a list of classes.

    Raises:
        DataError: it cannot be understood, or several lists of classes differ.
    """
    if source.path.is_file() and source.path.suffix.lower() == ".txt":
        raise DataError(f"{source.path}: a single text file; give the folder of images and labels, or data.yaml")
    found = []
    for file in source.files:
        if file.suffix.lower() in (".yaml", ".yml"):
            fields = _read_yaml(file)
            if isinstance(fields, dict) and fields.keys() & {"names", "nc"} and "backbone" not in fields:
                found.append((file, fields))
    if found:
        # The one nearest to the top, and that which has the usual name, comes first.
        found.sort(key=lambda one: (len(one[0].parts), one[0].stem not in ("data", "dataset"), str(one[0])))
        return _join([_from_yaml(file, fields, source) for file, fields in found], source)
    darknet = [file for file in source.files if file.suffix.lower() == ".data"]
    return _from_darknet(darknet[0], source) if darknet else _from_class_files(source)


def _join(descriptions: list[Description], source: Source) -> Description:
    """The first description, with the splits of those in other folders that have the same classes and keypoints."""
    first, *others = descriptions
    for other in others:
        assert first.file is not None and other.file is not None, "they come from files"
        name = other.file.relative_to(source.folder)
        if other.file.parent == first.file.parent:
            remedy = f"{first.file.name} is read; give another one by its path instead of the folder"
            source.note("further descriptions", str(name), remedy)
        elif (other.names, other.shape) != (first.names, first.shape):
            raise DataError(f"{first.file} and {other.file} describe other classes or keypoints; give one by its path")
        else:
            for split, places in other.splits.items():
                there = [place for place in places if place.find() is not None]
                first.splits[split] = [*first.splits.get(split, ()), *there]
    return first


def _read_yaml(path: Path) -> Any:
    """A yaml file in which every scalar stays a text: `no`, `1.10` and `.` are names and paths."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text in UTF-8; save it as UTF-8") from None
    try:
        try:
            return yaml.load(text, Loader=yaml.BaseLoader)  # builds texts, lists and mappings only
        except yaml.scanner.ScannerError:
            return yaml.load(text.replace("\\", "/"), Loader=yaml.BaseLoader)  # "C:\Users" is no text in yaml
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DataError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)}); correct it") from None


def _from_yaml(file: Path, fields: dict[str, Any], source: Source) -> Description:
    names = fields.get("names")
    try:
        if isinstance(names, dict):
            names = {int(number): str(name) for number, name in names.items()}
        elif isinstance(names, list) and all(isinstance(name, str) for name in names):
            names = dict(enumerate(names))
        elif names:
            raise ValueError("`names` must be a list or a mapping of numbers to names")
        shape = fields.get("kpt_shape") or None
        if shape is not None:
            shape = tuple(map(int, shape))
            if len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
                raise ValueError("`kpt_shape` must be [number of keypoints, 2 or 3]")
        flips = [int(place) for place in fields["flip_idx"]] if fields.get("flip_idx") else None
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: {error}; correct it") from None
    path = fields.get("path")
    folder = path if isinstance(path, str) else ""
    splits: dict[str, list[Place]] = defaultdict(list)
    for key, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if key in SPLITS and isinstance(one, str) and one.strip():
                splits[SPLITS[key]].append(Place(one.strip(), folder, file.parent))
    named = next((fields[key] for key in POINT_NAMES if fields.get(key)), None)
    if len(set((names or {}).values())) < len(names or {}):
        source.warn("classes of one name", file.name, "they are one class")
    return Description(
        file=file,
        names=names or None,
        shape=shape,
        keypoints=_point_names(named, names or {}) if shape else {},
        flips=flips,
        splits=dict(splits),
    )


def _point_names(named: Any, names: Mapping[int, str]) -> dict[str, list[str]]:
    """Names of keypoints by class: a list of them for all, or a mapping of each class to one."""
    if isinstance(named, dict) and all(isinstance(own, list) for own in named.values()):
        by_number = {names.get(int(key), key) if str(key).isdigit() else key: own for key, own in named.items()}
        return {label: list(map(str, own)) for label, own in by_number.items()}
    if isinstance(named, dict):
        named = list(named.values())
    return {"": list(map(str, named))} if isinstance(named, list) else {}


def _from_darknet(file: Path, source: Source) -> Description:
    fields = dict(line.partition("=")[::2] for _, line in read_lines(file))
    fields = {key.strip().lower(): value.strip() for key, value in fields.items()}
    splits = {SPLITS[key]: [Place(value, "", file.parent)] for key, value in fields.items() if key in SPLITS and value}
    classes = file.parent / (path_parts(fields.get("names", "")) or [""])[-1]
    if not classes.is_file():
        return Description(file, _from_class_files(source).names, splits=splits)
    return Description(file, _read_names(classes), splits=splits)


def _from_class_files(source: Source) -> Description:
    """The classes that a list has beside the labels; where there are several, they have to be the same."""
    found: dict[Path, dict[int, str]] = {}
    keypoints: dict[str, list[str]] = {}
    for below in source.list_files(source.folder):
        file = source.folder / below
        if file.name.lower() not in CLASS_FILES and file.suffix.lower() != ".names":
            continue
        if file.suffix == ".json":  # Label Studio's, which names keypoints too
            notes = read_json(file)
            classes = notes.get("categories") if isinstance(notes, dict) else None
            if not isinstance(classes, list) or not all(isinstance(one, dict) and "name" in one for one in classes):
                continue
            found[file] = {place: str(one["name"]) for place, one in enumerate(classes)}
            keypoints = {str(one["name"]): list(map(str, one["keypoints"])) for one in classes if one.get("keypoints")}
        elif file not in source.files and file.stat().st_size:
            found[file] = _read_names(file)
    if not found:
        source.note("classes without names", "no data.yaml, obj.names or classes.txt", "they are numbered from 0")
        return Description()
    first, *others = found
    for other in others:
        if found[other] != found[first]:
            raise DataError(f"{first} and {other} name other classes; import their folders one by one")
    return Description(first, found[first], keypoints=keypoints)


def _read_names(file: Path) -> dict[int, str]:
    return dict(enumerate(line.strip() for _, line in read_lines(file)))


def list_pictures(source: Source, description: Description) -> Iterator[tuple[str, Path, Path | None]]:
    """The images of an export: split, file, and label file (None where there is none).

    What no split lists is taken where a split is not there, or by a folder that is called like a further one.
    """
    labels = _LabelFiles(source)
    seen: dict[str, str] = {}
    lost = []
    for split, places in description.splits.items():
        for place in places:
            images = _images_at(place, source)
            if images is None:
                lost.append(split)
                remedy = "what is there is taken, by the names of its folders"
                source.note("splits whose folder or list is not there", f"{split}: {place.path}", remedy)
            for image in images or ():
                key = os.path.abspath(image)  # noqa: PTH100 (60,000 of them)
                if key not in seen:
                    seen[key] = split
                    yield split, image, labels.find(image)
                elif (other := seen[key]) != split:
                    remedy = "they count in the first one, so that nothing is tested that was trained on"
                    source.warn("pictures that several splits list", f"{image.name}: {other}, {split}", remedy)
    listed = set(seen.values())
    for image in source.image_files():
        if os.path.abspath(image) in seen:  # noqa: PTH100
            continue
        split = source.split_of(image.parent)
        if not description.splits or (split not in listed if split else lost):
            yield split or (lost[0] if len(lost) == 1 else ""), image, labels.find(image)
        elif labels.find(image) is not None:
            source.note("pictures that no split lists", image.name)
    labels.check_left()


def _images_at(split: Place, source: Source) -> list[Path] | None:
    """The images in a folder or list; None where it is not there, or none of its images is."""
    place = split.find()
    if place is None:
        return None
    if place.is_dir():
        names = [name for name in source.list_files(place) if is_image(name)]
        return [place / name for name in names] or None
    if not place.stat().st_size:
        return []
    found, lacking, base = [], [], split.base()
    for number, line in read_lines(place):
        name = line.strip()
        image = source.find_image(name, place.parent if name.startswith("./") else base)
        if image is None:
            lacking.append(f"{place.name}, line {number}: {name}")
        else:
            found.append(image)
    for where in lacking if found else ():
        source.fault("pictures whose image is not there", where, "copy them beside the labels, or correct the list")
    return found or None


class _LabelFiles:
    """The label file of each image: of the same name, in a folder beside that has labels in the place of images."""

    def __init__(self, source: Source):
        self.source = source
        self.stems: dict[str, set[str]] = defaultdict(set)  # of the texts in each folder
        self.folders: dict[Path, str | None] = {}  # of the labels of the images in a folder
        self.taken: dict[str, str] = {}  # label files, and their images
        for below in source.list_files(source.folder):
            if below.endswith(".txt"):
                folder, _, name = str(source.folder / below).rpartition(os.sep)
                self.stems[folder or "."].add(name[:-4])

    def find(self, image: Path) -> Path | None:
        """The label file of an image; None where there is none."""
        if image.parent not in self.folders:
            self.folders[image.parent] = self._find_folder(image.parent)
        folder = self.folders[image.parent]
        if folder is None or image.stem not in self.stems[folder]:
            self.source.note("pictures without a label file", image.name, "they are kept, without objects")
            return None
        label = str(Path(folder, f"{image.stem}.txt"))
        if (other := self.taken.setdefault(label, image.name)) != image.name:
            remedy = "give each image its own, or remove one of them"
            self.source.fault("images of one name, which share a label file", f"{other} and {image.name}", remedy)
        return Path(label)

    def _find_folder(self, images: Path) -> str | None:
        names = {Path(entry.name).stem for entry in os.scandir(images)}
        parts = images.parts
        swapped = [
            str(Path(*parts[:place], word, *parts[place + 1 :]))
            for place in reversed(range(len(parts)))
            for word in ("labels", "Labels")
            if parts[place].lower() == "images"
        ]
        for folder in (*swapped, str(images), str(images / "labels"), str(images.parent / "labels")):
            if folder not in self.stems and Path(folder).is_dir():  # outside of the source
                self.stems[folder] = {file.stem for file in Path(folder).glob("*.txt")}
            if names & self.stems.get(folder, set()):
                return folder
        if any(self.stems.get(folder) for folder in swapped):
            return None
        common, folder = max(((len(names & stems), folder) for folder, stems in self.stems.items()), default=(0, ""))
        return folder if common else None

    def check_left(self) -> None:
        """Tell which label files have no image."""
        known = {image.stem for image in self.source.image_files()}
        for file in self.source.files:
            if file.suffix != ".txt" or str(file) in self.taken:
                continue
            where = str(file.relative_to(self.source.folder))
            if file.stem in known:
                self.source.note("further label files of pictures", where)
            elif str(file.parent) in self.folders.values():
                remedy = "copy them beside the annotations, or name their folder by --images"
                self.source.fault("pictures whose image is not there", where, remedy)
            else:
                self.source.warn("label files without images", where, "they are left out; copy the images beside them")

"""An export of a labelling tool on the disk: its files and images, and what is said about it while it is read."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from hrtoolkit.data.images import read_size
from hrtoolkit.data.listing import is_system_file
from hrtoolkit.data.paths import find_files
from hrtoolkit.errors import DataError
from hrtoolkit.findings import SHOWN_IDS, Finding
from hrtoolkit.schemes import KeypointScheme, resolve_scheme

IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".jfif"))
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
WORDS = re.compile(r"[a-z]+")


class Source:
    """An export on the disk.

    Args:
        path: its folder, or its annotation file.
        images: folder of the images, where they do not lie below that folder.
        join: whether keypoints get the box that is drawn around them; None leaves it to the format.
        out: folder that is written to; what lies in it is no part of the export.

    Raises:
        DataError: there is no such file or folder.
    """

    def __init__(
        self,
        path: str | Path,
        images: str | Path | None = None,
        join: bool | None = None,
        out: str | Path | None = None,
    ):
        self.path = Path(path)
        if not self.path.exists():
            raise DataError(f"{path}: no such file or folder")
        self.folder = self.path if self.path.is_dir() else self.path.parent
        self.images = None if images is None else Path(images)
        if self.images is not None and not self.images.is_dir():
            raise DataError(f"{images}: no such folder of images")
        self.join = join
        self.out = None if out is None else Path(out).resolve()
        self.files: list[Path] = []  # annotation files of the format that is read
        self.schemes: dict[str, KeypointScheme] = {}  # keypoints of each class, in their order
        self.mirrored: set[str] = set()  # classes whose mirror partners the format says
        self.found_names: dict[str, dict[str, None]] = {}  # of keypoints that nobody declared, by class
        self.labels: dict[str, int | None] = {}  # classes in their order, with their ids where the format has some
        self.emptied: set[str] = set()  # classes that gave their keypoints to others
        self.size_of = lru_cache(1)(read_size)  # width and height of an image: reader and converter ask one by one
        self._found: dict[tuple, list] = defaultdict(lambda: [0, []])

    def declare(
        self,
        label: str,
        keypoints: Sequence[str] = (),
        skeleton: Iterable[tuple[str, str]] = (),
        mirrored: Iterable[tuple[str, str]] | None = None,
        id: int | None = None,
    ) -> None:
        """Say that there is a class, and what keypoints it has; those that nobody declares are found as they come.

        Args:
            label: the class.
            keypoints: names in their order.
            skeleton: pairs of names that a picture joins.
            mirrored: pairs of names that change places in a mirrored image; None takes left and right in names.
            id: that stands for the class in files.

        Raises:
            DataError: the keypoints contradict each other.
        """
        self.labels.setdefault(label, id)
        if keypoints:
            fields = {"names": list(keypoints), "skeleton": list(skeleton)}
            if mirrored is not None:
                fields["mirrored"] = list(mirrored)
                self.mirrored.add(label)
            try:
                self.schemes[label] = resolve_scheme(fields, KeypointScheme)
            except ValueError as error:
                raise DataError(f"{self.path}: keypoints of {label!r}: {error}") from None

    def hand_over(self, giver: str, taker: str) -> None:
        """Let a class have the keypoints of another one, which is left out where nothing is left of it."""
        if giver == taker:
            return
        self.emptied.add(giver)
        self.labels.setdefault(taker, None)
        if giver in self.schemes:
            self.schemes.setdefault(taker, self.schemes[giver])
            self.mirrored |= {taker} if giver in self.mirrored else set()

    def find_image(self, name: str, beside: Path | None = None) -> Path | None:
        """The image that an annotation names, wherever it lies now; None where there is none.

        Tools write the paths of their server or of another disk: what counts is how much of the path's end is the
        same. A file of the same name with another suffix comes last.

        Args:
            name: a path or an address.
            beside: folder that the path begins at, where it does; that of the annotations by default.
        """
        parts = path_parts(name)
        if not parts:
            return None
        for direct in (os.path.join(beside or self.folder, *parts), name if os.path.isabs(name) else ""):  # noqa: PTH117,PTH118
            if os.path.isfile(direct):  # noqa: PTH113 (Path takes three times as long, 60,000 times)
                return Path(direct)
        stem, suffix = os.path.splitext(parts[-1].lower())  # noqa: PTH122
        alike = self._images.get(stem, [])
        candidates = [path for path in alike if path.lower().endswith(suffix)] or alike
        best = max((_common_end(parts[:-1], path_parts(path)[:-1]) for path in candidates), default=0)
        nearest = [path for path in candidates if _common_end(parts[:-1], path_parts(path)[:-1]) == best]
        if len(nearest) > 1:
            beside_it = [path for path in nearest if beside is not None and Path(path).parent == beside]
            if len(beside_it) != 1:
                shown = " and ".join(nearest[:2])
                remedy = "name them with their folders, or import the folders one by one"
                self.fault("images of which several have the name", f"{name}: {shown}", remedy)
                return None
            nearest = beside_it
        return Path(nearest[0]) if nearest else None

    def list_files(self, folder: Path) -> list[str]:
        """All files below a folder as sorted paths from there, without those of the system and of runs."""
        inside = None
        if self.out is not None and self.out.is_relative_to(folder.resolve()):
            inside = f"{self.out.relative_to(folder.resolve()).as_posix()}/"
        return [
            name
            for name in find_files(folder)
            if not (is_system_file(name) or "/work_dirs/" in f"/{name}" or (inside and name.startswith(inside)))
        ]

    def image_files(self) -> list[Path]:
        """All images, sorted."""
        return sorted(Path(path) for paths in self._images.values() for path in paths)

    @cached_property
    def _images(self) -> dict[str, list[str]]:
        """Images by their names in lower case without suffix; listed when one is asked for that lies elsewhere."""
        root = self.images or self.folder
        names = self.list_files(root)
        if not self.images and self.path.is_file() and not any(is_image(name) for name in names):
            # A file in annotations/ or labels/ has its images beside that folder.
            root = self.folder.resolve().parent
            names = self.list_files(root)
        listed: dict[str, list[str]] = {}
        for name in names:
            if is_image(name):
                stem = os.path.splitext(name.lower().rpartition("/")[2])[0]  # noqa: PTH122 (as above)
                listed.setdefault(stem, []).append(f"{root}/{name}")
        return listed

    def split_of(self, path: str | Path) -> str:
        """train, val or test, by the words of a file's name and then of its folders below the source; "" without."""
        path = Path(path)
        below = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        for part in reversed(below.parts):
            words = [SPLITS[word] for word in WORDS.findall(part.lower()) if word in SPLITS]
            if words:
                return words[-1]
        return ""

    def fault(self, what: str, where: str, remedy: str) -> None:
        """Note what keeps the export from being used; everything of a kind is told together."""
        self._count("stop", what, where, remedy)

    def warn(self, what: str, where: str, remedy: str) -> None:
        """Note what is most likely wrong."""
        self._count("warning", what, where, remedy)

    def note(self, what: str, where: str, remedy: str = "they are left out") -> None:
        """Note what is good to know, such as what is not taken over."""
        self._count("note", what, where, remedy)

    def _count(self, level: str, what: str, where: str, remedy: str) -> None:
        entry = self._found[level, what, remedy]
        if where in entry[1]:  # said by two who asked
            return
        entry[0] += 1
        if len(entry[1]) < SHOWN_IDS:
            entry[1].append(where)

    def findings(self) -> list[Finding]:
        """What was noted."""
        return [
            Finding(level, str(self.path), what, tuple(shown), count, remedy)
            for (level, what, remedy), (count, shown) in self._found.items()
        ]

    def raise_faults(self) -> None:
        """Raise one DataError with everything that keeps the export from being used."""
        stops = [str(finding).removeprefix("stop: ") for finding in self.findings() if finding.level == "stop"]
        if stops:
            raise DataError("\n".join(stops))


def is_image(name: str) -> bool:
    """Whether a file is called like an image."""
    return os.path.splitext(name)[1].lower() in IMAGES  # noqa: PTH122 (60,000 times)


def path_parts(name: str) -> list[str]:
    r"""A path's folders and name, of an address too, whichever slashes it has; "." and drives are left out."""
    if "://" in name or name.startswith("/data/local-files/"):
        address = urlsplit(name)
        local = parse_qs(address.query).get("d")  # Label Studio's files on a disk
        name = local[0] if local else unquote(address.path)
    parts = name.replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".") and not re.fullmatch("[A-Za-z]:", part)]


def _common_end(ours: list[str], theirs: list[str]) -> int:
    count = 0
    for left, right in zip(reversed(ours), reversed(theirs), strict=False):
        if left.lower() != right.lower():
            break
        count += 1
    return count

"""What the outputs of a network stand for, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .errors import CheckpointError
from .network import read_object

SCHEME = "scheme.json"


@dataclass(frozen=True)
class Scheme:
    """Names of the outputs, in channel order, and what else is known of them.

    Args:
        kind: of the names.
        names: one an output.
        mirrored: pairs of names that change places when the image is mirrored.
        palette: RGB of each name; empty where nobody says.
        skeleton: pairs of names that a picture joins by a line.
        classes: the kinds of things that have such keypoints; None where nobody says.
        values: what numbers may be: "any", "positive" or "unit_vector".
        unit: of numbers.
    """

    kind: Literal["keypoints", "classes", "values"]
    names: tuple[str, ...]
    mirrored: tuple[tuple[str, str], ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    classes: Scheme | None = None
    values: str = "any"
    unit: str = ""

    def skeleton_indices(self) -> list[tuple[int, int]]:
        """The lines of the skeleton as pairs of indices."""
        return [(self.names.index(a), self.names.index(b)) for a, b in self.skeleton]


def read_scheme(folder: Path) -> Scheme:
    """Read the `scheme.json` of an exported folder.

    Raises:
        CheckpointError: it is missing, or something else.
    """
    path = folder / SCHEME
    return make_scheme(read_object(path), path)


def make_scheme(content: Mapping[str, Any], path: Path) -> Scheme:
    """The scheme that a file holds.

    Args:
        content: what stands there.
        path: what messages call it.

    Raises:
        CheckpointError: it is something else.
    """
    try:
        return _make(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: not the names of a network's outputs ({error}); export the model again"
        ) from None


def _make(content: Mapping[str, Any]) -> Scheme:
    def tuples(name: str) -> tuple:
        return tuple(tuple(entry) for entry in content.get(name) or ())

    classes = content.get("classes")
    return Scheme(
        kind=content.get("kind", "classes"),
        names=tuple(map(str, content["names"])),
        mirrored=tuples("mirrored"),
        palette=tuples("colors"),
        skeleton=tuples("skeleton"),
        classes=None if classes is None else _make(classes),
        values=str(content.get("values", "any")),
        unit=str(content.get("unit", "")),
    )

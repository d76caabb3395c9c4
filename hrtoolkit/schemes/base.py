"""What the outputs of a network stand for: keypoints, classes or values, by name; indices follow from the names."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from hrtoolkit.errors import OptionError, shorten, suggest

IGNORED = 255  # in label maps: a pixel that is neither learnt nor scored
_UNKNOWN = 254  # in lookup tables only: a value that stands for nothing
MOST_CLASSES = 254  # of a label map, whose pixels are bytes
VALUES = ("any", "positive", "unit_vector")
DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 1), "up": (1, -1)}  # axis of the image, and sign
ADD_ANOTHER = "name a second one, such as background, and give it its value by the scheme's `ids`"


@dataclass(frozen=True)
class Scheme:
    """Names of the outputs, in channel order, and what else is known of them.

    Args:
        names: one unique name an output.
        mirrored: pairs of names that change places when the image is mirrored; the same side first in every pair, and
            that is the left one where names do not tell.
        ids: what stands for each name in files; 0, 1, 2, ... by default.
        palette: RGB of each name; PASCAL VOC's colors by default.

    Raises:
        ValueError: names, pairs, ids or colors contradict each other.
    """

    names: tuple[str, ...]
    mirrored: tuple[tuple[str, str], ...] = ()
    ids: tuple[int, ...] = ()
    palette: tuple[tuple[int, int, int], ...] = ()

    WHAT = "a scheme"  # what messages call it
    OUTPUTS = "outputs"  # and what they call what it names

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # configs and json files bring lists; a frozen record holds tuples
            value = getattr(self, field.name)
            if isinstance(value, Sequence) and not isinstance(value, str):
                entries = (tuple(v) if isinstance(v, Sequence) and not isinstance(v, str) else v for v in value)
                object.__setattr__(self, field.name, tuple(entries))
        for name in ("names", "mirrored", "ids", "palette"):
            if isinstance(getattr(self, name), range):
                object.__setattr__(self, name, tuple(getattr(self, name)))
            if not isinstance(getattr(self, name), tuple):
                raise ValueError(f"{self.WHAT}: {name} must be a list, got {getattr(self, name)!r}")
        repeated = sorted(str(name) for name, times in Counter(self.names).items() if times > 1)
        if not self.names or repeated:
            raise ValueError(f"{self.WHAT} needs unique names, got {list(self.names)} (repeated: {repeated})")
        if any(not isinstance(pair, tuple) or len(pair) != 2 for pair in self.mirrored):
            raise ValueError(f"{self.WHAT}: mirrored holds pairs of names, got {list(self.mirrored)}")
        partners = [name for pair in self.mirrored for name in pair]
        self._check_names("mirrored", partners)
        if twice := sorted({name for name in partners if partners.count(name) > 1}):
            raise ValueError(
                f"{self.WHAT}: {twice} stand in more than one mirrored pair; each has one partner, so leave a pair out"
            )
        object.__setattr__(self, "ids", self.ids or tuple(range(len(self.names))))
        object.__setattr__(self, "palette", self.palette or voc_palette(len(self.names)))
        for name in ("ids", "palette"):
            if len(getattr(self, name)) != len(self.names):
                raise ValueError(f"{self.WHAT}: {len(getattr(self, name))} {name} for {len(self.names)} names")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError(f"{self.WHAT}: each of the ids {list(self.ids)} may stand for one thing only")
        for color in self.palette:
            if len(color) != 3 or not all(isinstance(part, int) and 0 <= part <= 255 for part in color):
                raise ValueError(f"{self.WHAT}: palette takes red, green and blue from 0 to 255, got {color}")

    def _check_names(self, field: str, used: Sequence[str]) -> None:
        if unknown := sorted(set(used) - set(self.names)):
            near = suggest(unknown[0], self.names) or "; correct them, or add them to the names"
            names = shorten(self.names)
            raise ValueError(f"{self.WHAT}: {field} names {unknown}, which are not among its names ({names}){near}")

    def flip_order(self) -> list[int]:
        """Index of the mirror partner of each name; a name without a partner is its own."""
        return self._flip_order

    @cached_property
    def _flip_order(self) -> list[int]:
        # Kept, because every mirrored sample asks for it.
        position = {name: i for i, name in enumerate(self.names)}
        partner = {a: b for pair in self.mirrored for a, b in (pair, pair[::-1])}
        return [position[partner.get(name, name)] for name in self.names]

    def describe(self) -> dict[str, list]:
        """What predictions depend on, in plain values, as parts that have a scheme tell it."""
        return {"names": list(self.names), "mirrored": [list(pair) for pair in self.mirrored]}

    def common(self) -> Scheme:
        """The same outputs by the names that they have in all data sets; only keypoints may have others."""
        return self

    def positions_in(self, other: Sequence[str]) -> np.ndarray:
        """Where each name stands among `other` names, int64 [K]; -1 where it does not."""
        position = {name: i for i, name in enumerate(other)}
        return np.array([position.get(name, -1) for name in self.names], dtype=np.int64)


@dataclass(frozen=True)
class KeypointScheme(Scheme):
    """Keypoints of one kind of thing.

    Args:
        names: see `Scheme`.
        mirrored: see `Scheme`.
        ids: see `Scheme`.
        palette: see `Scheme`.
        skeleton: pairs of names that a picture joins by a line.
        sigmas: OKS fall-off of each keypoint, as a fraction of the square root of the object's area (COCO's
            definition, without its factor two).
        upper_body: names of the keypoints that half-body augmentation may keep; empty where the scheme knows no such
            halves.
        lower_body: names of the other half; by default all that are not of the upper one. Those of neither, such as
            hands and face of a whole body, make no half.
        nme_reference: what a normalised mean error divides distances by: two names for the distance between them, or
            "box" for the side of the object's box. Empty where nothing is said.
        classes: the kinds of things that have these keypoints, with their ids in files; None where nobody says.
        file_names: what the data set's own files call the keypoints, in the same order; empty where that is the same.
        common_names: pairs of a name and what other data sets call the same keypoint; where data sets meet, keypoints
            are found by these.
        title: the data set whose keypoints these are; empty where they are somebody's own.
        terms: of use of that data set, as far as they are stated; they may reach weights that were trained on it.
        source: where names, pairs and fall-offs were taken from.

    Raises:
        ValueError: fields contradict each other.
    """

    skeleton: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()
    upper_body: tuple[str, ...] = ()
    lower_body: tuple[str, ...] = ()
    nme_reference: tuple[str, ...] | Literal["box"] = ()
    classes: ClassScheme | None = None
    file_names: tuple[str, ...] = ()
    common_names: tuple[tuple[str, str], ...] = ()
    title: str = ""
    terms: str = ""
    source: str = ""

    WHAT = "a keypoint scheme"
    OUTPUTS = "keypoints"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nme_reference != "box":
            if isinstance(self.nme_reference, str) or len(set(self.nme_reference)) not in (0, 2):
                raise ValueError(f"{self.WHAT}: nme_reference is {self.nme_reference!r}, expected two names, or 'box'")
            self._check_names("nme_reference", self.nme_reference)
        self._check_names("skeleton", [name for line in self.skeleton for name in line])
        self._check_names("upper_body", self.upper_body)
        self._check_names("lower_body", self.lower_body)
        self._check_common_names()
        for name in ("sigmas", "file_names"):
            if getattr(self, name) and len(getattr(self, name)) != len(self.names):
                raise ValueError(
                    f"{self.WHAT}: {len(getattr(self, name))} {name} for {len(self.names)} keypoints; give one for "
                    "each name, in their order"
                )

    def _check_common_names(self) -> None:
        pairs = self.common_names
        if not isinstance(pairs, tuple) or any(not isinstance(one, tuple) or len(one) != 2 for one in pairs):
            raise ValueError(f"{self.WHAT}: common_names holds pairs of a name and its common one, got {pairs!r}")
        self._check_names("common_names", [name for name, _ in pairs])
        if twice := sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1):
            raise ValueError(f"{self.WHAT}: common_names names {twice} more than once")
        renamed = dict(pairs)
        times = Counter(renamed.get(name, name) for name in self.names)
        for common in (name for name in times if times[name] > 1):
            same = [name for name in self.names if renamed.get(name, name) == common]
            raise ValueError(
                f"{self.WHAT}: common_names makes one keypoint, {common!r}, of {same}; give each a name of its own"
            )

    def common(self) -> KeypointScheme:
        return self._common

    @cached_property
    def _common(self) -> KeypointScheme:
        # Kept, because every sample of another scheme asks for it.
        if not self.common_names:
            return self
        renamed = dict(self.common_names)

        def rename(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(renamed.get(name, name) for name in names)

        reference = self.nme_reference
        return replace(
            self,
            names=rename(self.names),
            mirrored=tuple((rename(pair)[0], rename(pair)[1]) for pair in self.mirrored),
            skeleton=tuple((rename(line)[0], rename(line)[1]) for line in self.skeleton),
            upper_body=rename(self.upper_body),
            lower_body=rename(self.lower_body),
            nme_reference=reference if reference == "box" else rename(reference),
            common_names=(),
        )

    def take(self, names: Sequence[str]) -> KeypointScheme:
        """The scheme of some of the keypoints, in the order of `names`."""
        if tuple(names) == self.names:
            return self
        places = [self.names.index(name) for name in names]
        reference = self.nme_reference
        return KeypointScheme(
            tuple(names),
            mirrored=tuple(pair for pair in self.mirrored if set(pair) <= set(names)),
            skeleton=tuple(line for line in self.skeleton if set(line) <= set(names)),
            palette=tuple(self.palette[place] for place in places),
            sigmas=tuple(self.sigmas[place] for place in places) if self.sigmas else (),
            upper_body=tuple(name for name in self.upper_body if name in names),
            lower_body=tuple(name for name in self.lower_body if name in names),
            nme_reference=reference if reference == "box" or set(reference) <= set(names) else (),
            common_names=tuple(pair for pair in self.common_names if pair[0] in names),
            title=self.title,
            terms=self.terms,
            source=self.source,
        )

    def skeleton_indices(self) -> list[tuple[int, int]]:
        """The lines of the skeleton as pairs of indices."""
        return [(self.names.index(a), self.names.index(b)) for a, b in self.skeleton]


@dataclass(frozen=True)
class ClassScheme(Scheme):
    """Classes of objects, pixels or images; a class's index is its position among `names`.

    Args:
        names: see `Scheme`.
        mirrored: see `Scheme`.
        ids: see `Scheme`; in label files whole numbers from 0 to 65535.
        palette: see `Scheme`.
        ignored: values in label files that are neither learnt nor scored; 255 always is, unless it is a class.
        numbered: the names are numbers because nobody knows better ones: schemes are then compared by their length.

    Raises:
        ValueError: fields contradict each other.
    """

    ignored: tuple[int, ...] = ()
    numbered: bool = False

    WHAT = OUTPUTS = "classes"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.ignored, tuple):
            raise ValueError(f"{self.WHAT}: ignored must be a list, got {self.ignored!r}")
        if set(self.ids) & set(self.ignored):
            raise ValueError(f"classes: each of {self.ids} and {self.ignored} may stand for one thing only")

    def check_label_map(self) -> None:
        """Refuse classes that label maps cannot hold.

        Raises:
            OptionError: there are more than 254 of them, or ids that are no values of label files.
        """
        if len(self.names) > MOST_CLASSES:
            raise OptionError(f"classes: label maps hold 1 to {MOST_CLASSES} classes, got {len(self.names)}")
        values = (*self.ids, *self.ignored)
        if not all(isinstance(value, int) for value in values):
            raise OptionError("classes: ids and ignored values must be whole numbers")
        if min(values) < 0 or max(values) > 65535:
            raise OptionError(f"classes: label files hold values from 0 to 65535, got {min(values)} to {max(values)}")

    def check_choice(self) -> None:
        """Refuse a class that is alone.

        Raises:
            OptionError: there are fewer than two classes to choose from.
        """
        if len(self.names) < 2:
            raise OptionError(f"classes: {self.names[0]!r} alone leaves nothing to decide; {ADD_ANOTHER}")

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Turn the values of a label file [H, W] into class indices, uint8 [H, W], IGNORED where nothing counts.

        Raises:
            ValueError: a value is neither a class nor ignored; the message lists all such values.
        """
        table = np.full(65536 if values.dtype != np.uint8 else 256, _UNKNOWN, np.uint8)
        table[[255, *(value for value in self.ignored if value < len(table))]] = IGNORED
        known = [(value, index) for index, value in enumerate(self.ids) if value < len(table)]
        for value, index in known:
            table[value] = index
        if values.dtype != np.uint8 and values.size and not 0 <= values.min() <= values.max() < len(table):
            raise ValueError(f"label values from {values.min()} to {values.max()}, expected 0 to {len(table) - 1}")
        indices = table[values]
        if (indices == _UNKNOWN).any():
            found = np.unique(values[indices == _UNKNOWN]).tolist()
            shown = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
            raise ValueError(
                f"label values {shown} are neither classes ({spell_ranges(self.ids)}) nor ignored "
                f"({spell_ranges((*self.ignored, 255))}); correct the file, or the dataset's scheme (ids, ignored)"
            )
        return indices

    def decode(self, indices: np.ndarray) -> np.ndarray:
        """Turn class indices [H, W] into the values of label files; IGNORED becomes a value that is no class."""
        table = np.zeros(256, np.uint8 if max(self.ids) < 256 else np.uint16)
        table[: len(self.ids)] = self.ids
        table[IGNORED] = next(value for value in (255, *self.ignored, *range(256)) if value not in self.ids)
        return table[indices]


@dataclass(frozen=True)
class ValueScheme(Scheme):
    """Numbers of every pixel, such as its depth, or x, y and z of its surface normal.

    Args:
        names: see `Scheme`.
        mirrored: see `Scheme`.
        ids: see `Scheme`; of no use here.
        palette: see `Scheme`; of no use here.
        values: what they may be: "any" number, "positive" ones, or those of a pixel are a "unit_vector".
        directions: pairs of a name and the direction of the image that its values point to: "right", "left", "up" or
            "down". They are turned with the image, and change their signs where it is mirrored.
        unit: of the numbers, such as "m"; for pictures.

    Raises:
        ValueError: fields contradict each other.
    """

    values: Literal["any", "positive", "unit_vector"] = "any"
    directions: tuple[tuple[str, str], ...] = ()
    unit: str = ""

    WHAT = OUTPUTS = "values"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values not in VALUES:
            raise ValueError(f"{self.WHAT}: values is {self.values!r}, expected {', '.join(map(repr, VALUES))}")
        pairs = self.directions
        if not isinstance(pairs, tuple) or any(not isinstance(one, tuple) or len(one) != 2 for one in pairs):
            raise ValueError(f"{self.WHAT}: directions holds pairs of a name and a direction, got {pairs!r}")
        self._check_names("directions", [name for name, _ in pairs])
        if unknown := sorted({str(one) for _, one in pairs} - DIRECTIONS.keys()):
            raise ValueError(f"{self.WHAT}: directions are {', '.join(DIRECTIONS)}, got {', '.join(unknown)}")
        axes = [DIRECTIONS[one][0] for _, one in pairs]
        if len(set(axes)) < len(axes) or len(dict(pairs)) < len(pairs):
            raise ValueError(f"{self.WHAT}: directions has one name along x and one along y at most, got {pairs}")

    def along(self, axis: int) -> tuple[int, int] | None:
        """Which of the values points along an axis of the image, and its sign; None where none does.

        Args:
            axis: 0 to the right, 1 down.
        """
        for name, direction in self.directions:
            if DIRECTIONS[direction][0] == axis:
                return self.names.index(name), DIRECTIONS[direction][1]
        return None

    def flip_signs(self) -> list[int]:
        """What each value is multiplied by where the image is mirrored, after `flip_order`."""
        along_x = self.along(0)
        return [-1 if along_x is not None and i == along_x[0] else 1 for i in range(len(self.names))]

    def describe(self) -> dict[str, list]:
        told: dict = {"values": self.values, "directions": [list(pair) for pair in self.directions]}
        return {**super().describe(), **told}


def voc_palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """PASCAL VOC's colors: the bits of the index dealt to red, green and blue in turn, highest bits first."""
    index = np.arange(count)
    channels = [sum(((index >> 3 * bit + channel) & 1) << 7 - bit for bit in range(8)) for channel in range(3)]
    return tuple(map(tuple, np.stack(channels, axis=1).tolist()))


def spell_ranges(values: Iterable[int]) -> str:
    """Spell 0, 1, 2, 5 as "0-2, 5"."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

"""What label files hold: which classes, and whether they agree with each other, their images and the scheme."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from hrtoolkit.errors import shorten
from hrtoolkit.findings import Finding, Findings, Level
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.base import ADD_ANOTHER, spell_ranges

log = logging.getLogger(__name__)

SECONDS, FEWEST = 3.0, 32  # before a run: so long, and so many files at least, are looked at


Step = TypeVar("Step")


class Look(NamedTuple):
    """What was seen of one label file."""

    path: str
    values: np.ndarray  # that occur, ascending
    classes: frozenset[int]  # that they stand for
    palette: np.ndarray | None  # uint8 [N, 3]
    error: str  # why it cannot be used


def check_label_files(
    look: Callable[[int], Look], labelled: np.ndarray, scheme: ClassScheme, name: str, whole: bool
) -> list[Finding]:
    """Find label files that cannot be used, classes without a pixel, and palettes that disagree.

    Args:
        look: looks at the label file of a sample.
        labelled: positions of the samples that have one.
        scheme: of the data.
        name: what they are for: "train", "val" or "test".
        whole: look at all files; otherwise at random ones, until all classes were seen or for a few seconds.
    """
    findings = Findings(f"{name} data")
    if len(scheme.names) < 2:
        findings.add("stop", "a class that is alone leaves nothing to decide", scheme.names, ADD_ANOTHER)
    if not len(labelled):
        return findings
    looks = list(_look_at_all(look, labelled, name) if whole else _look_at_some(look, labelled, scheme, name))
    values = sorted({value for look in looks for value in look.values.tolist()})
    cause = _likely_cause(values, scheme)
    unusable = [look.error for look in looks if look.error]
    findings.add("stop", "labels that cannot be used", unusable, f"correct the files{cause}")
    _check_classes([look for look in looks if not look.error], values, len(labelled), name, scheme, findings)
    _check_palettes(looks, findings)
    return findings


def _look_at_all(look: Callable[[int], Look], chosen: np.ndarray, name: str) -> Iterator[Look]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield from _with_bar(pool.map(look, chosen.tolist()), len(chosen), f"{name} labels")


def _look_at_some(look: Callable[[int], Look], chosen: np.ndarray, scheme: ClassScheme, name: str) -> Iterator[Look]:
    """Look at files in a random order, the same each time, until every class was seen or time is up."""
    order = np.random.default_rng(0).permutation(chosen).tolist()
    end, count = time.perf_counter() + SECONDS, 0
    seen: set[int] = set()
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=threads) as pool:
        portions = range(0, len(order), max(4 * threads, FEWEST // 2))
        for first in _with_bar(portions, len(portions), f"{name} labels"):
            for one in pool.map(look, order[first : first + portions.step]):
                seen |= one.classes
                count += 1
                yield one
            if count >= FEWEST and (len(seen) == len(scheme.names) or time.perf_counter() > end):
                break
    rare = shorten([one for label, one in enumerate(scheme.names) if label not in seen])
    log.info(
        "%s data: looked at %d of %d label files: %s", name, count, len(order), f"no {rare}" if rare else "all classes"
    )


def _with_bar(steps: Iterable[Step], total: int, what: str) -> Iterable[Step]:
    return track(steps, what, total=total, console=Console(stderr=True), transient=True, disable=total < 32)


def find_values(label_map: np.ndarray) -> np.ndarray:
    """The values that occur in a label map [H, W], ascending and of its type.

    Args:
        label_map: uint8 or int32.
    """
    if label_map.dtype != np.uint8:
        return np.unique(label_map)
    return np.flatnonzero(cv2.calcHist([label_map], [0], None, [256], [0, 256]).ravel()).astype(np.uint8)


def _check_classes(
    looks: list[Look], values: list[int], total: int, name: str, scheme: ClassScheme, findings: Findings
) -> None:
    """Name the classes that no pixel has; training needs two that some have."""
    if not looks:
        return
    seen = frozenset().union(*(look.classes for look in looks))
    absent = [one for label, one in enumerate(scheme.names) if label not in seen]
    files = f"the {total} label files" if len(looks) == total else f"{len(looks)} of {total} label files, looked at"
    # In some of the files rare classes may be missing by chance.
    few = len(looks) < total and 2 * len(absent) <= len(scheme.names)
    level: Level = "warning" if name == "train" and not few else "note"
    what = f"classes without a pixel in {files}"
    if len(seen) < 2:
        level = "stop" if name == "train" and len(looks) == total else "warning"
        alone = (
            f"all that counts in {files} is {scheme.names[next(iter(seen))]}" if seen else f"all is ignored in {files}"
        )
        what = f"{alone}; classes without a pixel"
    shown = f"the files hold the values {spell_ranges(values)}"
    findings.add(level, what, absent, f"{shown}{_likely_cause(values, scheme)}")


def _likely_cause(values: Iterable[int], scheme: ClassScheme) -> str:
    """What may be meant by values that do not fit the scheme, as the end of a sentence."""
    ids, counted, plain = set(scheme.ids), set(range(len(scheme.names))), set(values) - {255}
    if ids == counted and plain and plain <= {one + 1 for one in counted} and 0 not in plain:
        return "; do they count from 1? Then give the scheme ids=[1, 2, ...]"
    if ids != counted and plain <= counted and not plain <= ids:
        return "; are they positions (trainIds), not ids? Then give the scheme ids=[0, 1, ...]"
    if 255 in set(values) - ids:
        return "; 255 is ignored unless it is a class, which the scheme's `ids` say, such as ids=[0, 255]"
    return ""


def _check_palettes(looks: list[Look], findings: Findings) -> None:
    """Find palette PNGs whose colors disagree: an index that has two colors stands for two things."""
    known: dict[int, tuple[tuple, str]] = {}
    disagree = []
    for path, values, _, palette, _ in looks:
        if palette is None:
            continue
        for value in values[values < len(palette)].tolist():
            color = tuple(palette[value].tolist())
            first, where = known.setdefault(value, (color, path))
            if first != color:
                disagree.append(f"{path}: {value} has the color {color}, in {where} {first}")
                break
    remedy = "indices count, not colors: write all files with one palette, or as grey PNGs of class values"
    findings.add("warning", "label files whose palettes disagree", disagree, remedy)

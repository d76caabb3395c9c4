"""What maps of numbers hold, before they are trained on."""

from __future__ import annotations

import logging
import os
from typing import NamedTuple, Protocol

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding, Findings
from hrtoolkit.records import ValueMap
from hrtoolkit.schemes import ValueScheme
from hrtoolkit.threads import in_threads

log = logging.getLogger(__name__)

FEW = 32  # files that are looked at before a run


class Truths(Protocol):
    """What has maps by position."""

    def truth(self, sample: int) -> ValueMap | None:
        """The map of a sample, see `hrtoolkit.samples.Samples`."""
        ...


class Look(NamedTuple):
    """What was seen of one file."""

    error: str  # why it cannot be used
    known: float  # share of the pixels that something is known of
    range: ndarray | None  # [2, C] smallest and largest numbers; None where nothing is known


def check_value_files(
    samples: Truths, labelled: ndarray, paths: ndarray, scheme: ValueScheme, name: str, whole: bool
) -> list[Finding]:
    """Find files that cannot be used, or in which nothing is known; the range of the numbers goes to the log.

    Args:
        samples: have the maps.
        labelled: positions of the samples that have a file.
        paths: of the files, of all samples.
        scheme: of the data.
        name: what they are for: "train", "val" or "test".
        whole: look at all files; otherwise at some, the same each time.
    """
    findings = Findings(f"{name} data")
    if not len(labelled):
        return findings
    chosen = labelled if whole else np.sort(np.random.default_rng(0).permutation(labelled)[:FEW])

    def look(sample: int) -> Look:
        try:
            truth = samples.truth(sample)
        except DataError as error:
            return Look(str(error), 0.0, None)
        assert truth is not None, "it has a file"
        known = np.isfinite(truth.values).all(axis=0)
        numbers = truth.values[:, known]
        return Look("", float(known.mean()), np.stack([numbers.min(1), numbers.max(1)]) if known.any() else None)

    looks = in_threads(look, chosen.tolist(), f"{name} maps")
    findings.add("stop", "maps that cannot be used", [one.error for one in looks if one.error], "correct the files")
    sound = [one for one in looks if not one.error]
    ranges = [one.range for one in sound if one.range is not None]
    empty = [os.fsdecode(paths[i]) for i, one in zip(chosen, looks, strict=True) if not one.error and one.range is None]
    nothing = "0 and NaN say that nothing is known: are the scale, the offset and the files right?"
    findings.add("stop" if empty and not ranges else "warning", "maps in which nothing is known", empty, nothing)
    if ranges:
        low, high = np.min([one[0] for one in ranges], axis=0), np.max([one[1] for one in ranges], axis=0)
        told = [f"{one} {a:.3g} to {b:.3g}" for one, a, b in zip(scheme.names, low, high, strict=True)]
        unknown = 1 - float(np.mean([one.known for one in sound]))
        log.info(
            "%s data: looked at %d of %d maps: %s%s, nothing is known of %.1f %% of the pixels",
            *(name, len(looks), len(labelled), ", ".join(told), f" {scheme.unit}".rstrip(), 100 * unknown),
        )
    return findings

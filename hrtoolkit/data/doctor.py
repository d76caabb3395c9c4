"""What is wrong with the data of a config, all of it at once, by checks that every task shares.

A data set checks its own annotations while it reads them. What needs no more than the contract of `Samples` is checked
here: whether the metric can reach its best, whether images are there, whole and of the size that was annotated, and
whether validation data was trained on.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process

from hrtoolkit.data.image_checks import check_contents, check_leaks, check_presence
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding, Findings
from hrtoolkit.metric import Metric, score_truth
from hrtoolkit.records import Objects, Record, join
from hrtoolkit.samples import Images, Samples

log = logging.getLogger(__name__)

# Of the metric's perfect score: a larger loss cannot come from a few bad annotations.
LOSS = 0.01


class Subject(NamedTuple):
    """The data sets that a branch looks at.

    Args:
        samples: by name; all that is not training data is compared with it.
        metrics: that must find the annotations perfect, of the data sets with the same names.
        finish: of the branch.
        sees_crops: whether its view looks at crops, where the data has any.
        needs_images: whether their files have to be there; who scores finished predictions needs none.
    """

    samples: Mapping[str, Samples]
    metrics: Mapping[str, Metric] = MappingProxyType({})
    finish: Callable[[Sequence[Record]], Record] = join
    sees_crops: bool = True
    needs_images: bool = True


def check_before_run(*subjects: Subject) -> None:
    """Let the data answer for itself without reading an image: log what is odd, and refuse what is wrong.

    Args:
        subjects: the data of each branch.

    Raises:
        DataError: with every finding of level "stop".
    """
    outcome: list = [None]
    if is_main_process():
        found = []
        for samples, metrics, finish, sees_crops, needs_images in subjects:
            found += examine(samples, metrics, finish, sees_crops=sees_crops, needs_images=needs_images)
        outcome = [list(dict.fromkeys(found))]
    broadcast_object_list(outcome)
    findings = Findings("")
    findings.extend(outcome[0])
    for finding in findings:
        if finding.level == "warning":
            log.warning("%s", finding)
    findings.raise_stops()


def examine(
    samples: Mapping[str, Samples],
    metrics: Mapping[str, Metric],
    finish: Callable[[Sequence[Record]], Record] = join,
    read_images: bool = False,
    sees_crops: bool = True,
    needs_images: bool = True,
) -> list[Finding]:
    """Find what is wrong with the data sets of a config; nothing stops at the first finding.

    Args:
        samples: by name; all that is not training data is compared with it.
        metrics: of the data sets with the same names.
        finish: of the branch that will predict.
        read_images: decode every image, read every truth that is a file of its own (of which otherwise a sample is
            read), and compare contents too, which takes minutes on a large set.
        sees_crops: whether the view of that branch looks at crops, where the data has any.
        needs_images: find image files that are not there.
    """
    findings = [finding for one in samples.values() for finding in one.findings]
    for name in samples.keys() & metrics.keys():
        findings += _check_truth(samples[name], metrics[name], finish)
    images = {name: image_files(one, read_images, sees_crops) for name, one in samples.items()}
    contents: dict[str, list[bytes | None] | None] = dict.fromkeys(samples)
    if not sees_crops:
        findings += [finding for one in samples.values() for finding in _check_wholeness(one)]
    for name, files in images.items():
        found, images[name] = check_presence(name, files) if needs_images else (Findings(""), files)
        if read_images:
            # Truths that are files of their own are held against their images by `check_labels`.
            broken, contents[name] = check_contents(name, images[name], samples[name].truth_files)
            found += broken
        findings += [*found, *samples[name].check_labels(name, read_images)]
    for train in training_data(samples):
        for name in samples.keys() - training_data(samples):
            findings += _check_category_ids(samples[train], samples[name], name)
            findings += check_leaks(images[train], images[name], contents[train], contents[name], name)
    return list(dict.fromkeys(findings))  # two data sets of one file find the same


def training_data(names: Iterable[str]) -> set[str]:
    """Those names that are of training data: "train", or "train SOURCE BRANCH"."""
    return {name for name in names if name.split()[0] == "train"}


def image_files(samples: Samples, ask_sizes: bool = False, sees_crops: bool = True) -> Images:
    """The image files that a network looks at, each once: of data with crops those that have any.

    Args:
        samples: those whose image is no file of its own are left out.
        ask_sizes: ask for each annotated size, which a file of its own may have to tell.
        sees_crops: whether the network looks at crops, where the data has any.
    """
    images, crops = samples.images, samples.crops() if sees_crops else None
    chosen = np.arange(len(samples)) if crops is None else np.unique(crops.samples)
    chosen = chosen[images.paths[chosen] != b""]
    _, first = np.unique(images.paths[chosen], return_index=True)
    chosen = chosen[np.sort(first)]
    sizes_wh = images.sizes_wh[chosen]
    if ask_sizes:
        sizes_wh = np.reshape([samples.size_wh(sample) for sample in chosen.tolist()], (-1, 2))
    return Images(images.paths[chosen], images.ids[chosen], sizes_wh)


def _check_wholeness(samples: Samples) -> list[Finding]:
    """Samples that are windows of an image each know a part of it: what the others show would be learnt as nothing."""
    found = Findings(samples.findings.where)
    if samples.crops() is not None:
        files, counts = np.unique(samples.images.paths, return_counts=True)
        shared = [os.fsdecode(path) for path in files[(counts > 1) & (files != b"")]]
        remedy = "the model looks at whole images; use a dataset of them, such as CocoKeypoints"
        found.add("stop", "images that several samples each know a part of", shared, remedy)
    return found


def _check_truth(samples: Samples, metric: Metric, finish: Callable[[Sequence[Record]], Record]) -> list[Finding]:
    """Annotations scored as predictions are perfect to the metric, or no model ever will be."""
    if metric.perfect is None:
        return []
    name, where = type(metric).__name__, samples.findings.where
    try:
        with np.errstate(all="ignore"):
            score, crowded, expected = score_truth(metric, samples, finish)
    except (DataError, LookupError, TypeError, ValueError) as error:  # what a protocol's code makes of faulty files
        return [Finding("stop", where, "the metric cannot score the annotations", (), 0, f"{name} says: {error}")]
    if score is None or expected is None:
        return []
    found = Findings(where)
    what = f"images with more than {metric.most} objects to find, which is all that {name} counts"
    found.add("warning", what, crowded, "the others are never found; the metric's `most` changes that")
    lost = abs(score - expected) / (abs(expected) or 1)
    if lost >= 0.001:
        finding = Finding(
            "warning" if lost < LOSS else "stop",
            where,
            f"ground truth scored as prediction reaches {metric.headline} {score:.4f} of {expected:g}",
            (),
            0,
            f"no model can do better; {_find_reasons(samples)}",
        )
        found.append(finding)
    return found


def _find_reasons(samples: Samples) -> str:
    """Why annotations do not find themselves: what is ignored, or has no area; else what may be."""
    truths = [truth for truth in map(samples.truth, range(len(samples))) if isinstance(truth, Objects)]
    counts = {
        "are ignored (crowds, and those whose number of keypoints is 0)": sum(
            int(truth.ignored.sum()) for truth in truths if truth.ignored is not None
        ),
        "have no area": sum(int((~(truth.areas > 0)).sum()) for truth in truths if truth.areas is not None),
    }
    told = [f"{count} {what}" for what, count in counts.items() if count]
    total = sum(len(truth.labels) for truth in truths)
    return f"of {total} objects {', '.join(told)}" if told else "look for repeated people or ids, and sigmas"


def _check_category_ids(train: Samples, other: Samples, name: str) -> list[Finding]:
    """Classes go by their names, so two files whose names have exchanged their ids agree only if both are right."""
    ours, theirs = (
        dict(zip(one.scheme.names, getattr(one.scheme, "ids", None) or (), strict=False)) for one in (train, other)
    )
    if ours.keys() != theirs.keys() or sorted(ours.values()) != sorted(theirs.values()):
        return []
    findings = Findings(other.findings.where)
    findings.add(
        "stop",
        f"categories whose ids were exchanged between the train and the {name} data",
        [f"{key}: {theirs[key]}, in train {ours[key]}" for key in ours if ours[key] != theirs[key]],
        "one of the files most likely has the wrong names; give both the same ids",
    )
    return findings

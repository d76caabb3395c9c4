"""What is wrong with a dataset, all of it at once: findings, and the checks that every task shares.

A task's dataset checks its own annotations while it reads them, and takes part through the attributes and methods of
`Examined`. What needs no more than those is checked here: whether the metric can reach its best, whether images are
there, whole and of the size that was annotated, and whether validation data was trained on.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import Evaluator
from rich.console import Console
from rich.progress import track

from hrtoolkit.data.reading import decode_image, read_image_file
from hrtoolkit.errors import DataError

log = logging.getLogger(__name__)

SHOWN_IDS = 10
LOSS = 0.01  # of the metric's perfect score: what is lost beyond it is more than the odd annotation


@dataclass(frozen=True)
class Finding:
    """One kind of fault in one place.

    Args:
        level: "stop" keeps training from starting; a "warning" is most likely a fault; a "note" is good to know.
        where: the file or folder.
        what: the fault, of many records at once.
        ids: the first records that have it.
        count: how many have it; 0 where it is not a matter of records.
        remedy: what follows from it, and the next move.
    """

    level: Literal["stop", "warning", "note"]
    where: str
    what: str
    ids: tuple
    count: int
    remedy: str

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.ids) else ""
        records = f": {self.count} ({', '.join(map(str, self.ids))}{more})" if self.count else ""
        return f"{self.level}: {self.where}: {self.what}{records}; {self.remedy}"


class Findings(list[Finding]):
    """The findings of one file, collected while it is read and checked.

    Args:
        where: the file or folder.
    """

    def __init__(self, where: str | os.PathLike):
        super().__init__()
        self.where = str(where)

    def add(self, level: str, what: str, ids: Sequence | np.ndarray, remedy: str) -> None:
        """Note a fault of the records with these ids; without any there is none."""
        if len(ids):
            first = ids[:SHOWN_IDS].tolist() if isinstance(ids, np.ndarray) else ids[:SHOWN_IDS]
            self.append(Finding(level, self.where, what, tuple(first), len(ids), remedy))

    def raise_stops(self) -> None:
        """Raise one DataError with everything that keeps training from starting."""
        stops = [str(finding).removeprefix("stop: ") for finding in self if finding.level == "stop"]
        if stops:
            raise DataError("\n".join(stops))


class ImageFiles(NamedTuple):
    """The images that samples are read from."""

    paths: np.ndarray  # [M] byte strings
    ids: np.ndarray  # [M], as the annotations have them
    sizes: np.ndarray  # [M, 2] width and height as annotated; 0 where annotations do not tell


class Examined(Protocol):
    """What a dataset offers the data doctor.

    It takes an argument `strict`: unless it is False, faults that stop training are raised at the end of construction;
    with it the records that have them are left out. A file that cannot be read at all always raises.
    """

    findings: list[Finding]  # of its annotations
    metainfo: dict  # for the metric

    def image_files(self) -> ImageFiles: ...

    def check_label(self, index: int) -> None:
        """Raise a DataError where the label of a sample is of no use; only datasets with a label file a sample do."""

    def truth(self) -> Iterable[dict]:
        """The annotations as the metric wants predictions; empty where there are none."""


def check_before_training(datasets: dict[str, Examined], evaluator: Evaluator | None) -> None:
    """Let the data answer for itself without reading an image: log what is odd, and refuse what is wrong.

    Args:
        datasets: "train", and "val" where there is validation.
        evaluator: of "val".

    Raises:
        DataError: with every finding that stops training.
    """
    outcome: list = [None]
    if is_main_process():
        outcome = [examine(datasets, {} if evaluator is None else {"val": evaluator})]
    broadcast_object_list(outcome)
    findings = Findings("")
    findings.extend(outcome[0])
    for finding in findings:
        if finding.level == "warning":
            log.warning("%s", finding)
    findings.raise_stops()


def examine(
    datasets: dict[str, Examined], evaluators: dict[str, Evaluator], read_images: bool = False
) -> list[Finding]:
    """Find what is wrong with the datasets of a config; nothing stops at the first finding.

    Args:
        datasets: by name; all that is not "train" is compared with it.
        evaluators: of the datasets with the same names.
        read_images: decode every image and compare contents too, which takes minutes on a large set.
    """
    findings = [finding for dataset in datasets.values() for finding in dataset.findings]
    for name in datasets.keys() & evaluators.keys():
        findings += _check_truth(datasets[name], evaluators[name])
    images = {name: dataset.image_files() for name, dataset in datasets.items()}
    contents: dict[str, list[bytes | None]] = dict.fromkeys(datasets)
    for name, files in images.items():
        if read_images:
            found, contents[name] = _check_contents(name, files)
            if hasattr(datasets[name], "check_label"):
                found += _check_labels(name, datasets[name], contents[name])
        else:
            found = _check_presence(files)
        findings += found
    for name in datasets.keys() - {"train"}:
        if "train" in datasets:
            findings += _check_leaks(images["train"], images[name], contents["train"], contents[name], name)
    return list(dict.fromkeys(findings))  # two datasets of one file find the same


def _check_truth(dataset: Examined, evaluator: Evaluator) -> list[Finding]:
    """Annotations scored as predictions are perfect to the metric, or no model ever will be."""
    evaluator.dataset_meta = dataset.metainfo
    found = []
    for metric in evaluator.metrics:
        name = type(metric).__name__
        where = str(dataset.metainfo.get("ann_file") or dataset.metainfo.get("gt_file") or name)
        out_file, metric.out_file = getattr(metric, "out_file", None), None  # that is for predictions
        truth = iter(dataset.truth())
        while batch := list(islice(truth, 1024)):
            metric.process(None, batch)
        results, metric.results = metric.results, []
        try:
            with np.errstate(all="ignore"):
                score = metric.compute_metrics(results).get(metric.headline) if results else None
        except (DataError, LookupError, TypeError, ValueError) as error:  # what a protocol's code makes of faulty files
            remedy = f"{name} says: {error}"
            found.append(Finding("stop", where, "the metric cannot score the annotations", (), 0, remedy))
            continue
        finally:
            metric.out_file = out_file
        if score is None:
            continue
        lost = abs(score - metric.perfect) / (abs(metric.perfect) or 1)
        if not lost < 0.001:
            found.append(
                Finding(
                    "warning" if lost < LOSS else "stop",
                    where,
                    f"ground truth scored as prediction reaches {metric.headline} {score:.4f} of {metric.perfect:g}",
                    (),
                    0,
                    "no model can do better; look for annotations without area, repeated people or ids, and sigmas",
                )
            )
    return found


def _check_presence(files: ImageFiles) -> list[Finding]:
    """Whether the files are there; each folder is listed once, which is quick on network drives too."""
    listed: dict[str, set[str]] = {}
    missing: dict[str, list[int]] = {}
    for index, path in enumerate(files.paths.tolist()):
        folder, name = os.path.split(path.decode())
        if folder not in listed:
            listed[folder] = {entry.name for entry in Path(folder).iterdir()} if Path(folder).is_dir() else set()
        if name not in listed[folder]:
            missing.setdefault(folder, []).append(index)
    remedy = "copy them there or correct the dataset's image_dir"
    what = "images that are not there, by id"
    found = []
    for folder, indices in missing.items():
        findings = Findings(folder)
        findings.add("stop", what, files.ids[indices], remedy)
        found += findings
    return found


def _check_contents(name: str, files: ImageFiles) -> tuple[list[Finding], list[bytes | None]]:
    """Decode every image; the second is a digest of each file, None of one that cannot be read."""

    def read(path: bytes) -> tuple[bytes | None, tuple[int, int], str]:
        try:
            data = read_image_file(path.decode())
            height, width = decode_image(data, path.decode()).shape[:2]
        except DataError as error:
            return None, (0, 0), str(error)
        return hashlib.blake2b(data, digest_size=16).digest(), (width, height), ""

    outcomes = _in_threads(read, files.paths.tolist(), f"{name} images")
    digests, sizes, errors = zip(*outcomes, strict=True) if outcomes else ((), (), ())
    findings = Findings(os.path.commonpath(files.paths.tolist()).decode() if len(files.paths) else name)
    findings.add(
        "stop",
        "images that are missing or cannot be read",
        [f"{image_id}: {error}" for image_id, error in zip(files.ids.tolist(), errors, strict=True) if error],
        "without them nothing can be trained",
    )
    sizes = np.array(sizes).reshape(-1, 2)
    differs = (files.sizes > 0).any(axis=1) & (sizes > 0).all(axis=1) & (sizes != files.sizes).any(axis=1)
    findings.add(
        "stop",
        "images of another size than annotated, by id",
        [
            f"{image_id}: {width} x {height}, annotated {annotated[0]:g} x {annotated[1]:g}"
            for image_id, (width, height), annotated in zip(
                files.ids[differs].tolist(), sizes[differs].tolist(), files.sizes[differs].tolist(), strict=True
            )
        ],
        "annotations belong to images of the annotated size; where width and height are exchanged, the annotating "
        "program turned the image by its EXIF orientation",
    )
    return findings, list(digests)


def _check_labels(name: str, dataset: Examined, contents: list[bytes | None]) -> list[Finding]:
    """Read the label file of every sample whose image can be read."""

    def check(index: int) -> str:
        try:
            dataset.check_label(index)
        except DataError as error:
            return str(error)
        return ""

    errors = _in_threads(check, [i for i, digest in enumerate(contents) if digest], f"{name} labels")
    findings = Findings(f"{name} data")
    findings.add("stop", "labels that cannot be used", [error for error in errors if error], "training stops at them")
    return findings


def _in_threads(function: Callable, items: Sequence, what: str) -> list:
    """Results for items; threads will do where reading and decoding let go of the interpreter."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        outcomes = pool.map(function, items)
        return list(track(outcomes, what, total=len(items), console=Console(stderr=True), disable=len(items) < 250))


def _check_leaks(
    train: ImageFiles, other: ImageFiles, train_contents: list | None, other_contents: list | None, name: str
) -> Iterable[Finding]:
    """Validation images that training sees too make every number too good."""
    findings = Findings(f"train and {name} data")
    remedy = f"take them out of one of the two, or the {name} numbers are better than they should be"
    names = [np.array([os.path.split(path)[1] for path in files.paths.tolist()]) for files in (train, other)]
    # Numbered files bear the same names in many data sets: the size has to agree too, unless it is the same file.
    known = set(zip(names[0].tolist(), map(tuple, train.sizes.tolist()), strict=True))
    sizes = map(tuple, other.sizes.tolist())
    pairs = zip(names[1].tolist(), sizes, strict=True)
    same_name = np.array([any(size) and (n, size) in known for n, size in pairs], dtype=bool)
    same_name |= np.isin(other.paths, train.paths)
    shared = [f"{image_id}: {path.decode()}" for image_id, path in zip(other.ids.tolist(), names[1], strict=True)]
    findings.add(
        "warning",
        "images of the same file name and size",
        [s for s, same in zip(shared, same_name, strict=True) if same],
        remedy,
    )
    if train.ids.dtype.kind == other.ids.dtype.kind == "i":  # texts are file names, seen to above
        same_id = np.isin(other.ids, train.ids) & ~same_name
        findings.add(
            "note", "image ids in both, for different file names", other.ids[same_id], "check that they are two images"
        )
    if train_contents is not None and other_contents is not None:
        known = set(train_contents) - {None}
        same = [s for s, digest in zip(shared, other_contents, strict=True) if digest in known]
        findings.add("warning", "images of the same content", same, remedy)
    return findings

"""Which annotated objects can be scored and trained, and what is wrong with the others; all of it becomes findings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.data.boxes import check_boxes, check_edges
from hrtoolkit.data.coco import Images, Instances, are_texts, unpack_keys
from hrtoolkit.errors import suggest
from hrtoolkit.findings import Finding, Findings, Level
from hrtoolkit.records import Objects
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.tasks.detection.mask_checks import AnnotatedMasks, check_apart, check_written_masks

log = logging.getLogger(__name__)

Faults = Literal["stop", "drop"]
OTHER, UNKNOWN = -1, -2  # labels of a class that is not in use, and of one that the file does not list


class Annotated(NamedTuple):
    """A annotated objects, in the order of their files, and what they refer to."""

    names: ndarray  # [A] what messages call them
    owners: ndarray  # [A] position of the image, -1 where it is not listed
    image_wh: ndarray  # [A, 2] of the image, 0 where it is not listed
    objects: Objects  # A; boxes may be NaN, labels OTHER or UNKNOWN, and areas NaN where nobody says
    count: int  # type: ignore[assignment]  # of all annotations, those too that could not be read
    malformed: dict[str, ndarray]  # what else keeps annotations from being read, and which it keeps, bool [A]
    mask_faults: dict[str, ndarray]  # the same of segmentations
    masks: AnnotatedMasks | None  # None where there are none, or nobody asked


class Selection(NamedTuple):
    """What can be done with A annotations."""

    sound: ndarray  # [A] bool: can be scored
    trained: ndarray  # [A] bool
    boxed: ndarray  # [A] bool: crowds with a faulty mask, for which their box stands


def select_objects(annotated: Annotated, faults: Faults, findings: Findings) -> Selection:
    """Choose the annotations that can be scored and trained, and say what is wrong with others.

    Args:
        annotated: the annotations.
        faults: whether faulty annotations stop training.
        findings: is told what is wrong.
    """
    assert annotated.objects.ignored is not None and annotated.objects.crowd is not None
    boxes_xyxy, single = annotated.objects.boxes_xyxy, ~annotated.objects.ignored
    with np.errstate(invalid="ignore"):
        clipped = np.clip(boxes_xyxy, 0, np.tile(annotated.image_wh, 2))
        inside = clipped[:, 2:] - clipped[:, :2]
        faulty = _find_faulty(annotated, inside)
        useless, untrained = _find_useless(annotated, inside), _find_untrained(annotated.objects, inside)
    faulty |= {what: holds & single for what, holds in annotated.mask_faults.items()}
    sound = ~np.any(list(faulty.values()), axis=0)
    boxed = _find_boxed(annotated, sound & ~single, findings)
    readable = _are_readable(annotated)
    found = _check_meaning(annotated, readable, findings.where)
    if not found.stops():  # no fault is told twice
        found = _check_meaning(annotated, readable & sound, findings.where)
    findings.extend(found)
    left_out: tuple[Level, str] = "warning", "they are left out"
    stop: tuple[Level, str] = "stop", 'correct them, or leave them out by the dataset\'s faults="drop"'
    unsaid: tuple[None, str] = None, ""
    trained, counts = np.ones(len(sound), dtype=bool), []
    for reasons, (level, remedy) in (
        (faulty, left_out if faults == "drop" else stop),
        (useless, left_out),  # COCO itself has a few of these
        (untrained, unsaid),
    ):
        # Of each annotation the first reason that holds is told.
        for reason, holds in reasons.items():
            names = annotated.names[trained & holds]
            trained &= ~holds
            if len(names):
                counts.append(f"{len(names)} {reason}")
            if level is not None:
                findings.add(level, f"annotations {reason}", names, remedy)
    if unread := annotated.count - len(trained):
        counts.append(f"{unread} cannot be read")
    told = f" ({', '.join(counts)})" if counts else ""
    log.info("%s: %d of %d annotations used%s", findings.where, trained.sum(), annotated.count, told)
    if annotated.count and not trained.any() and not findings.stops():
        what = f"none of the {annotated.count} annotations can be used: {', '.join(counts)}"
        others = (annotated.objects.labels < 0).any()
        remedy = "correct the file, or the classes in the dataset's scheme" if others else "correct the file"
        findings.append(Finding("stop", findings.where, what, (), 0, remedy))
    crowds = annotated.objects.crowd
    if trained.any() and crowds.mean() > 0.5:
        remedy = "a crowd is never trained, and finding it or not costs nothing; single objects need `iscrowd` 0"
        findings.add("warning", "most annotations are crowds", annotated.names[crowds], remedy)
    return Selection(sound, trained, boxed)


def _find_boxed(annotated: Annotated, crowds: ndarray, findings: Findings) -> ndarray:
    """Which crowds [A] have a faulty mask; it is never trained, so that is a warning, and their box stands for it."""
    boxed = np.zeros_like(crowds)
    for what, holds in annotated.mask_faults.items():
        found = holds & crowds & ~boxed
        boxed |= found
        what = f"crowds {what.replace('have', 'that have', 1)}"
        remedy = "a crowd's mask is not trained; where masks are scored, its box stands for it"
        findings.add("warning", what, annotated.names[found], remedy)
    return boxed


def _are_readable(annotated: Annotated) -> ndarray:
    """Single objects whose box can be held against other things, bool [A]."""
    boxes_xyxy, crowd = annotated.objects.boxes_xyxy, annotated.objects.crowd
    assert crowd is not None
    with np.errstate(invalid="ignore"):
        found = np.isfinite(boxes_xyxy).all(axis=1) & (boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all(axis=1)
    return found & (annotated.image_wh > 0).all(axis=1) & ~crowd


def _check_meaning(annotated: Annotated, chosen: ndarray, where: str) -> Findings:
    """Hold the boxes of some objects, bool [A], against their images, areas and masks."""
    names, image_wh = annotated.names[chosen], annotated.image_wh[chosen]
    assert annotated.objects.areas is not None
    boxes_xyxy, areas = annotated.objects.boxes_xyxy[chosen], annotated.objects.areas[chosen]
    masks = annotated.masks and annotated.masks.select(np.flatnonzero(chosen))

    def check_written(extents: ndarray | None = None) -> Findings:
        found = Findings(where)
        check_boxes(to_xywh(boxes_xyxy), image_wh, names, found, areas=areas, inner_xyxy=extents)
        return found

    # The likeliest cause alone is told: boxes by themselves, then masks in boxes, then boxes around masks.
    found = check_written()
    if masks is not None and not found.stops():
        extents = masks.extents
        check_written_masks(masks, boxes_xyxy, image_wh, names, found)
        if not found.stops():
            found = check_written(extents)
        if not found.stops():
            check_apart(extents, boxes_xyxy, image_wh, names, found)
    if not found.stops():
        partly = ((boxes_xyxy[:, 2:] > 0) & (boxes_xyxy[:, :2] < image_wh)).all(axis=1)
        check_edges(boxes_xyxy[partly], image_wh[partly], names[partly], found)
    return found


def _find_faulty(annotated: Annotated, inside: ndarray) -> dict[str, ndarray]:
    """What can be neither trained nor scored; `inside` [A, 2] is how much of each box lies in the image."""
    boxes_xyxy = annotated.objects.boxes_xyxy
    extent = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return {
        **annotated.malformed,
        "belong to an image that is not listed": annotated.owners < 0,
        "have a category that is not listed": annotated.objects.labels == UNKNOWN,
        "have a box that is not finite": ~np.isfinite(boxes_xyxy).all(axis=1),
        "have a box whose corners are exchanged": (extent < 0).any(axis=1),
        "lie outside their image": (extent > 0).all(axis=1) & (inside <= 0).any(axis=1),
    }


def _find_useless(annotated: Annotated, inside: ndarray) -> dict[str, ndarray]:
    assert annotated.objects.areas is not None
    found: dict[str, ndarray] = {
        "have a box without extent": np.any(inside <= 0, axis=1),
        "have an area of zero": annotated.objects.areas <= 0,
    }
    if annotated.masks is not None:
        faulty = np.any(list(annotated.mask_faults.values()), axis=0)
        found["have a mask without a pixel"] = np.isnan(annotated.masks.extents).any(axis=1) & ~faulty
    return found


def _find_untrained(objects: Objects, inside: ndarray) -> dict[str, ndarray]:
    assert objects.crowd is not None and objects.ignored is not None
    return {
        "are crowds": objects.crowd,
        "are marked to be ignored": objects.ignored,
        "belong to classes that are not used": objects.labels < 0,
        "measure less than a pixel": np.any(inside < 1, axis=1),
    }


def check_ids(images: Images, instances: Instances, findings: Findings) -> None:
    """Find ids that several records share, texts among numbers, and images without a size.

    Annotations are told apart by their positions here: a shared id does not stop a run.

    Args:
        images: of a file.
        instances: of the file.
        findings: is told what is wrong.
    """
    alone = "scores here do not depend on it, but pycocotools by itself keeps one alone"
    sections: tuple[tuple[str, ndarray, Level, str], ...] = (
        ("images", images.ids, "stop", "give each its own, or remove what is double"),
        ("annotations", instances.ids, "warning", alone),
    )
    for section, ids, level, remedy in sections:
        findings.add(level, f"{section} that share an id, by id", unpack_keys(_find_repeated(ids)), remedy)
        texts = are_texts(ids)
        if not texts.all():
            what = f"{section} with a text as id where others have a number"
            findings.add(level, what, [repr(one) for one in unpack_keys(ids[texts]).tolist()], "number them all")
    findings.add(
        "warning",
        "images listed under several ids, by name",
        [name.decode() for name in _find_repeated(images.names).tolist()],
        "they count several times; list them once",
    )
    sized = ((images.sizes > 0) & np.isfinite(images.sizes)).all(axis=1)
    what = "images whose `width` or `height` is not above 0"
    findings.add("stop", what, unpack_keys(images.ids[~sized]), "write the true size")


def _find_repeated(values: ndarray) -> ndarray:
    """What is there several times, each once."""
    once, counts = np.unique(values, return_counts=True)
    return once[counts > 1]


def check_classes(names: Sequence[str], labels: ndarray, unused: Sequence[str], findings: Findings) -> None:
    """Find classes in use without a single object.

    Args:
        names: of the classes in use.
        labels: of the objects that can be trained.
        unused: names of other classes in the file.
        findings: is told of them, with similar names among the others.
    """
    lowered = {name.lower(): name for name in unused}
    counts = np.bincount(labels, minlength=len(names))
    absent = [f"{name}{suggest(name.lower(), lowered)}" for name, n in zip(names, counts, strict=True) if not n]
    findings.add("warning", "classes that no usable object has", absent, "they are neither learned nor scored")

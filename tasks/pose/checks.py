"""What can be wrong with annotated people; every fault becomes a finding with the first records that have it.

Tolerances were set on COCO 2017, whose annotations are not perfect either: its own files give notes, no warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.data.boxes import check_boxes
from hrtoolkit.data.coco import FAULTS, Annotations, Faults, Images, pack_key
from hrtoolkit.findings import Findings, Level
from hrtoolkit.keypoints.checks import are_most, check_lengths, check_points, unpack_keypoints
from hrtoolkit.runtime import geometry
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import COCO, CROWDPOSE, DEFAULT_SIGMA

EDGE = 2.0  # pixels that a box or a keypoint may lie outside the image
UNCOUNTED = ("head", "neck")  # by `num_keypoints` in CrowdPose's files
BOX_MARGIN = 0.5  # of the box's longer side, that a keypoint may lie outside the box


class Chosen(NamedTuple):
    """Which of A annotations are people, and what is known of them."""

    sound: ndarray  # [A] bool: people, crowds and those without keypoints too
    trained: ndarray  # [A] bool: those who are no crowd, have an area, a box inside the image, and a labelled keypoint
    ignored: ndarray  # [A] bool: sound, but of no extent, or with keypoints that are counted and not there
    boxes: ndarray  # [A, 4] left, top, width, height, grown to the smallest box where one is asked for
    areas: ndarray  # [A], those of the boxes where nobody says
    positions: ndarray  # [P] of those who have all keypoints in the file, labelled or not
    keypoints: ndarray  # [P, K, 3] (x, y, visibility) of these
    left_out: dict[str, int]  # how many are not trained on, by reason, of the reasons in `ADVICE`


# Why people are left out, and what to do where everybody is.
ADVICE = {
    "crowd": "take a file that has people apart, or correct `iscrowd`",
    "no labelled keypoint": "label keypoints; is it the file of keypoints, and not of boxes?",
    "another number of keypoints": "name them in the file's order, as in scheme=dict(names=[...])",
    "faulty": "correct them",
    "area of zero": "correct `area`, or leave it out and it is taken from the box",
    "box of zero size": "ask for a smallest box by the dataset's `smallest_box` in pixels, or draw boxes",
}


def choose_people(
    images: Images,
    annotations: Annotations,
    owners: ndarray,
    category_ids: Sequence[int | str],
    scheme: KeypointScheme,
    findings: Findings,
    faults: Faults = "stop",
    smallest_box: float | None = None,
) -> Chosen:
    """Choose the annotations that are people, and find what is wrong with them.

    Args:
        images: of the file.
        annotations: of the file.
        owners: [A] position of each annotation's image, or -1.
        category_ids: of the people.
        scheme: of their keypoints.
        findings: gets what is wrong.
        faults: whether faulty annotations stop training.
        smallest_box: pixels that boxes are grown to; None leaves them.
    """
    ids = annotations.ids
    ours = (owners >= 0) & np.isin(annotations.category_ids, np.array([pack_key(one) for one in category_ids]))
    people = ours & ~annotations.crowd
    miscounted = check_lengths(annotations, people, scheme, findings, faults)
    positions, keypoints = unpack_keypoints(annotations, ours, len(scheme.names))

    def tell(level: Level, what: str, which: ndarray, remedy: str) -> None:
        if level == "stop" and faults == "drop":
            level, remedy = FAULTS["drop"]
        findings.add(level, f"annotations {what}", ids[which], remedy)

    def spread(which: ndarray) -> ndarray:
        """Of P positions to people among A annotations."""
        marked = np.zeros(len(people), dtype=bool)
        marked[positions[which]] = True
        return marked & people

    counted = ~np.isin(scheme.names, UNCOUNTED if scheme.names == CROWDPOSE.names else ())
    seen, infinite = _check_keypoints(keypoints, annotations.num_keypoints[positions], counted, spread, tell)
    unseen = people & ~seen & ~miscounted
    lost = unseen & (annotations.num_keypoints > 0) & (annotations.lengths == 0)
    tell("note", "without a labelled keypoint", unseen & ~lost, "they are not trained on")
    tell("warning", "whose `num_keypoints` counts `keypoints` that are not there", lost, "they are left out")
    if are_most(annotations.crowd, ours):
        tell("warning", "that are crowds, as most are", ours & ~people, "they are not trained on; is `iscrowd` right?")
    _check_names(keypoints[..., 2] > 0, people[positions], scheme, findings)
    wanted = seen & ~infinite
    lacks_box = wanted & ~np.isfinite(annotations.boxes).all(axis=1)
    lacks_area = wanted & ~lacks_box & ~np.isfinite(annotations.areas)
    tell("stop", "without a `bbox` (left, top, width, height) of finite numbers", lacks_box, "add it")
    tell("note", "without an `area`, which is taken from the box", lacks_area, "sizes in scores follow it")
    boxed = wanted & ~lacks_box
    meant = _hold_together(images, annotations, owners, positions, keypoints, boxed, findings)
    boxes, areas, grown = _complete(annotations, boxed, smallest_box)
    tell("note", f"with a box smaller than {smallest_box} pixels, which is grown", grown, "as `smallest_box` asks for")
    no_area = boxed & ~(areas > 0)
    no_box = boxed & (geometry.clip_boxes(boxes, images.sizes[owners])[:, 2:] <= 0).any(axis=1)
    for what, which in (("an `area` of zero", no_area & ~no_box), ("a box of zero size in the image", no_box)):
        reason = "area of zero" if which is not no_box else "box of zero size"
        stops = are_most(which, boxed)
        remedy = ADVICE[reason] if stops else "they are left out"
        findings.add("stop" if stops else "warning", f"annotations with {what}", ids[which], remedy)
    trained = boxed & ~(no_area | no_box)
    if meant:  # or all of them would be elsewhere
        _check_places(images, boxes, ids, owners, positions, keypoints, trained, findings)
    left_out = {
        "crowd": ours & ~people,
        "no labelled keypoint": unseen,
        "another number of keypoints": miscounted,
        "faulty": infinite | lacks_box,
        "area of zero": no_area & ~no_box,
        "box of zero size": no_box,
    }
    return Chosen(
        sound=ours & ~(miscounted | infinite | lacks_box),
        trained=trained,
        ignored=no_area | no_box | lost,
        boxes=boxes,
        areas=areas,
        positions=positions,
        keypoints=keypoints,
        left_out={why: int(some.sum()) for why, some in left_out.items()},
    )


def _complete(annotations: Annotations, boxed: ndarray, smallest_box: float | None) -> tuple[ndarray, ndarray, ndarray]:
    """Boxes [A, 4] and areas [A] with what is missing, and which boxes [A] were grown."""
    boxes, areas = annotations.boxes, annotations.areas
    grown = np.zeros(len(boxed), dtype=bool)
    if smallest_box is not None:
        grown = boxed & (boxes[:, 2:] < smallest_box).any(axis=1)
        sides = np.maximum(boxes[grown, 2:], smallest_box)
        boxes = boxes.copy()
        boxes[grown] = np.concatenate([boxes[grown, :2] + (boxes[grown, 2:] - sides) / 2, sides], axis=1)
    if not np.isfinite(boxes).all():  # of those who are neither trained nor found
        boxes = np.nan_to_num(boxes, posinf=0, neginf=0)
    unknown = ~np.isfinite(areas) | (grown & ~(areas > 0))
    if unknown.any():
        areas = np.where(unknown, boxes[:, 2] * boxes[:, 3], areas)
    return boxes, areas, grown


def _hold_together(
    images: Images,
    annotations: Annotations,
    owners: ndarray,
    positions: ndarray,
    keypoints: ndarray,
    boxed: ndarray,
    findings: Findings,
) -> bool:
    """Hold boxes [A], areas and keypoints [P, K, 3] of the boxed people [A] against each other; see `check_boxes`."""
    chosen = boxed[positions]
    rows = positions[chosen]
    image_wh = images.sizes[owners[rows]]
    if not check_points(keypoints[chosen], image_wh, annotations.ids[rows], findings):
        return False
    sized = (annotations.boxes[rows, 2:] > 0).all(axis=1)
    low, high, many = _find_extents(keypoints[chosen][sized])
    return check_boxes(
        annotations.boxes[rows][sized],
        image_wh[sized],
        annotations.ids[rows][sized],
        findings,
        annotations.areas[rows][sized],
        np.where(many[:, None] >= 3, np.concatenate([low, high], axis=1), np.nan),
    )


def _find_extents(keypoints: ndarray) -> tuple[ndarray, ndarray, ndarray]:
    """Least and largest x and y [P, 2] of the labelled keypoints [P, K, 3], and how many they are [P]."""
    labelled, points = keypoints[..., 2:] > 0, keypoints[..., :2]
    low, high = np.where(labelled, points, np.inf).min(axis=1), np.where(labelled, points, -np.inf).max(axis=1)
    return low, high, labelled[..., 0].sum(axis=1)


def _check_keypoints(
    keypoints: ndarray,
    stated: ndarray,
    counted: ndarray,
    spread: Callable[[ndarray], ndarray],
    tell: Callable[..., None],
) -> tuple[ndarray, ndarray]:
    """Find odd keypoints [P, K, 3]; gives which people have a labelled one, and which one that is not finite.

    Args:
        keypoints: x, y and visibility.
        stated: [P] `num_keypoints`.
        counted: [K] bool, which keypoints that counts.
        spread: of P people to all annotations.
        tell: adds a finding.
    """
    flags = keypoints[..., 2]
    labelled: ndarray = flags > 0  # NaN is not
    odd = ~((flags == 0) | (flags == 1) | (flags == 2)).all(axis=1)
    remedy = "all above 0 count as labelled; write 0 not labelled, 1 hidden, 2 visible"
    tell("warning", "with visibilities other than 0, 1 and 2", spread(odd), remedy)
    unknown = ~np.isfinite(keypoints[..., :2]).all(axis=-1)
    infinite = spread((labelled & unknown).any(axis=1))
    tell("stop", "with labelled keypoints that are not finite (null, NaN)", infinite, "correct them")
    nothing = spread((~labelled & unknown).any(axis=1)) & ~infinite
    tell("note", "with null or NaN as `keypoints` of visibility 0", nothing, "they are read as not labelled")
    counts = labelled[:, counted].sum(axis=1)
    uncounted, seen = spread((stated == 0) & (counts > 0)), spread(np.any(labelled, axis=1))
    remedy = "scores leave out people whose number is 0, as COCO's do; correct it or remove the field"
    tell(
        "stop" if are_most(uncounted, seen) else "warning",
        "whose `num_keypoints` is 0 though keypoints are labelled",
        uncounted,
        remedy,
    )
    wrong = spread((stated >= 0) & (stated != counts)) & ~uncounted
    tell("warning", "whose `num_keypoints` is not the number of labelled ones", wrong, "correct it or remove the field")
    return seen, infinite


def _check_names(labelled: ndarray, chosen: ndarray, scheme: KeypointScheme, findings: Findings) -> None:
    """Find keypoints that none of the chosen [P] has labelled [P, K]."""
    labelled = labelled & chosen[:, None]
    if labelled.any():
        names = [name for name, some in zip(scheme.names, np.any(labelled, axis=0), strict=True) if not some]
        remedy = "the model cannot learn them; check the scheme"
        findings.add("warning", "keypoints that nobody has labelled", names, remedy)


def _check_places(
    images: Images,
    boxes: ndarray,
    ids: ndarray,
    owners: ndarray,
    positions: ndarray,
    keypoints: ndarray,
    people: ndarray,
    findings: Findings,
) -> None:
    """Find boxes of people [A] beyond the image, and keypoints outside the image or far outside their box."""
    chosen = people[positions]
    ids, boxes = ids[positions], boxes[positions]
    image_wh = images.sizes[owners[positions]]
    first, corner = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    margin = BOX_MARGIN * boxes[:, 2:].max(axis=1, keepdims=True)
    low, high, _ = _find_extents(keypoints)

    def tell(what: str, beyond: ndarray, remedy: str, cause: str | None = None) -> None:
        found = beyond.any(axis=1) & chosen
        if cause is not None and are_most(found, chosen):
            findings.add("stop", what, ids[found], cause)
        else:
            findings.add("warning", what, ids[found], remedy)

    tell(
        "boxes that reach beyond the image",
        (first < -EDGE) | (corner > image_wh + EDGE),
        "they are cut; check the image's size",
    )
    tell(
        "annotations with keypoints outside the image",
        (low < -EDGE) | (high > image_wh - 1 + EDGE),
        "check x and y, and the image's size",
        "most are: x and y may be exchanged, or the images are others (of another size) than those annotated",
    )
    tell(
        "annotations with keypoints far outside their box",
        (low < first - margin) | (high > corner + margin),
        "crops follow the box: the keypoints may be cut off, or belong to somebody else",
        "most are: boxes or keypoints are in another order or unit than left, top, width, height and x, y in pixels",
    )


def check_sigmas(scheme: KeypointScheme, findings: Findings) -> None:
    """Find tolerances that are no use, or that nobody stated.

    Args:
        scheme: of the dataset.
        findings: gets what is wrong.
    """
    sigmas = dict(zip(scheme.names, scheme.sigmas, strict=False))
    findings.add(
        "stop",
        "keypoints whose OKS fall-off is not above 0",
        [name for name in scheme.names if not sigmas.get(name, 0) > 0],
        "nothing can score; state positive `sigmas` in the dataset's scheme",
    )
    findings.add(
        "note",
        f"keypoints that COCO does not know and whose OKS fall-off nobody stated, so that it is the mean of COCO's, "
        f"{DEFAULT_SIGMA:.3f}",
        [name for name in scheme.names if name not in COCO.names and sigmas.get(name) == DEFAULT_SIGMA],
        "AP depends on it; state `sigmas` in the dataset's scheme where you know better",
    )

"""What can be wrong with annotated people; every fault becomes a finding with the first records that have it.

Tolerances were set on COCO 2017, whose annotations are not perfect either: its own files give notes, no warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit import geometry
from hrtoolkit.data.coco import Annotations, Images
from hrtoolkit.findings import Findings
from hrtoolkit.keypoints.checks import check_lengths, unpack_keypoints
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import COCO, DEFAULT_SIGMA

EDGE = 2.0  # pixels that a box or a keypoint may lie outside the image
BOX_MARGIN = 0.5  # of the box's longer side, that a keypoint may lie outside the box


class Chosen(NamedTuple):
    """Which of A annotations are people, and what is known of them."""

    sound: ndarray  # [A] bool: people, crowds and those without keypoints too
    trained: ndarray  # [A] bool: those who are no crowd, have an area, a box inside the image, and a labelled keypoint
    positions: ndarray  # [P] of those who have all keypoints in the file, labelled or not
    keypoints: ndarray  # [P, K, 3] (x, y, visibility) of these
    left_out: dict[str, int]  # how many are not trained on, by reason


def choose_people(
    images: Images,
    annotations: Annotations,
    owners: ndarray,
    category_id: int | str,
    scheme: KeypointScheme,
    findings: Findings,
) -> Chosen:
    """Choose the annotations that are people, and find what is wrong with them.

    Args:
        images: of the file.
        annotations: of the file.
        owners: [A] position of each annotation's image, or -1.
        category_id: of the people.
        scheme: of their keypoints.
        findings: gets what is wrong.
    """
    ids, boxes, areas = annotations.ids, annotations.boxes, annotations.areas
    ours = (annotations.category_ids == category_id) & (owners >= 0) if len(ids) else np.zeros(0, bool)
    people = ours & ~annotations.crowd
    miscounted = check_lengths(annotations, people, len(scheme.names), findings)
    positions, keypoints = unpack_keypoints(annotations, ours, len(scheme.names))

    def tell(level: str, what: str, which: ndarray, remedy: str) -> None:
        findings.add(level, f"annotations {what}", ids[which], remedy)

    def spread(which: ndarray) -> ndarray:
        """Of P positions to people among A annotations."""
        marked = np.zeros(len(people), dtype=bool)
        marked[positions[which]] = True
        return marked & people

    seen, infinite = _check_keypoints(keypoints, annotations.num_keypoints[positions], spread, tell)
    unseen = people & ~seen & ~miscounted
    tell("note", "without a labelled keypoint", unseen, "they are not trained on")
    _check_names(keypoints[..., 2] > 0, people[positions], scheme, findings)
    wanted = seen & ~infinite
    lacks_box, lacks_area = wanted & ~np.isfinite(boxes).all(axis=1), wanted & ~np.isfinite(areas)
    no_area = wanted & (areas <= 0)
    no_box = wanted & (geometry.clip_boxes(boxes, images.sizes[owners])[:, 2:] <= 0).any(axis=1)
    tell("stop", "without a `bbox` (left, top, width, height)", lacks_box, "add it")
    needed = "add it; width x height of the box will do"
    tell("stop", "without an `area`, which COCO's metric needs", lacks_area, needed)
    missed = "they are not trained on, but the metric counts them as missed; correct or remove them"
    tell("warning", "with an `area` of zero", no_area, missed)
    tell("warning", "with a box of zero size in the image", no_box, missed)
    trained = wanted & ~(lacks_box | lacks_area | no_area | no_box)
    _check_places(images, annotations, owners, positions, keypoints, trained, findings)
    left_out = {"crowd": ours & ~people, "no labelled keypoint": unseen, "area of zero": no_area}
    left_out["box of zero size"] = no_box & ~no_area
    sound = ours & ~(miscounted | infinite | lacks_box | lacks_area)
    return Chosen(sound, trained, positions, keypoints, {why: int(some.sum()) for why, some in left_out.items()})


def _check_keypoints(
    keypoints: ndarray, stated: ndarray, spread: Callable[[ndarray], ndarray], tell: Callable[..., None]
) -> tuple[ndarray, ndarray]:
    """Find odd keypoints [P, K, 3]; gives which people have a labelled one, and which one that is not finite."""
    flags = keypoints[..., 2]
    labelled = flags > 0  # NaN is not
    odd = ~((flags == 0) | (flags == 1) | (flags == 2)).all(axis=1)
    remedy = "all above 0 count as labelled; write 0 not labelled, 1 hidden, 2 visible"
    tell("warning", "with visibilities other than 0, 1 and 2", spread(odd), remedy)
    infinite = spread((labelled & ~np.isfinite(keypoints[..., :2]).all(axis=-1)).any(axis=1))
    tell("stop", "with keypoints that are not finite", infinite, "correct them")
    wrong = spread((stated >= 0) & (stated != labelled.sum(axis=1)))
    remedy = "COCO's metric leaves people out whose number is 0; correct it or remove the field"
    tell("warning", "whose `num_keypoints` is not the number of labelled ones", wrong, remedy)
    return spread(labelled.any(axis=1)), infinite


def _check_names(labelled: ndarray, chosen: ndarray, scheme: KeypointScheme, findings: Findings) -> None:
    """Find keypoints that none of the chosen [P] has labelled [P, K]."""
    labelled = labelled & chosen[:, None]
    if labelled.any():
        names = [name for name, some in zip(scheme.names, labelled.any(axis=0), strict=True) if not some]
        remedy = "the model cannot learn them; check the scheme"
        findings.add("warning", "keypoints that nobody has labelled", names, remedy)


def _check_places(
    images: Images,
    annotations: Annotations,
    owners: ndarray,
    positions: ndarray,
    keypoints: ndarray,
    people: ndarray,
    findings: Findings,
) -> None:
    """Find boxes of people [A] beyond the image, and keypoints outside the image or far outside their box."""
    ids, boxes, image_wh = annotations.ids[positions], annotations.boxes[positions], images.sizes[owners[positions]]
    first, corner = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    margin = BOX_MARGIN * boxes[:, 2:].max(axis=1, keepdims=True)
    labelled, points = keypoints[..., 2:] > 0, keypoints[..., :2]
    low, high = np.where(labelled, points, np.inf).min(axis=1), np.where(labelled, points, -np.inf).max(axis=1)

    def tell(what: str, beyond: ndarray, remedy: str) -> None:
        findings.add("warning", what, ids[beyond.any(axis=1) & people[positions]], remedy)

    beyond = (first < -EDGE) | (corner > image_wh + EDGE)
    tell("boxes that reach beyond the image", beyond, "they are cut; check the image's size")
    beyond = (low < -EDGE) | (high > image_wh - 1 + EDGE)
    tell("annotations with keypoints outside the image", beyond, "check x and y, and the image's size")
    remedy = "crops follow the box: the keypoints may be cut off, or belong to somebody else"
    beyond = (low < first - margin) | (high > corner + margin)
    tell("annotations with keypoints far outside their box", beyond, remedy)


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

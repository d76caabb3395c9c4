"""What can be wrong with annotated people; every fault becomes a finding with the first records that have it.

Tolerances were set on COCO 2017, whose annotations are not perfect either: its own files give notes, no warnings.
"""

from __future__ import annotations

import numpy as np
from hrtoolkit.tasks.pose.layouts import COCO, DEFAULT_SIGMA

from hrtoolkit import geometry
from hrtoolkit.data.checks import unpack_keypoints
from hrtoolkit.data.coco import Annotations, Images
from hrtoolkit.data.doctor import Findings
from hrtoolkit.structures import KeypointLayout

EDGE = 2.0  # pixels that a box or a keypoint may lie outside the image
BOX_MARGIN = 0.5  # of the box's longer side, that a keypoint may lie outside the box


def select_annotated(
    images: Images,
    annotations: Annotations,
    owners: np.ndarray,
    category_id: int | str,
    layout: KeypointLayout,
    findings: Findings,
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Choose the annotations that can be trained on, and find what is wrong with all of them.

    Chosen are those that are no crowds, have an area, a box with extent inside the image, and a labelled keypoint.

    Args:
        images: of the file.
        annotations: of the file.
        owners: [A] position of each annotation's image, or -1.
        category_id: of the people.
        layout: of their keypoints.
        findings: gets what is wrong.

    Returns:
        positions of the N chosen annotations, their keypoints [N, K, 3] (x, y, visibility), and how many others were
        left out for which reason.
    """
    ids = annotations.ids
    people = (annotations.category_ids == category_id) & (owners >= 0) if len(ids) else np.zeros(0, bool)
    left_out = {"crowd": int((people & annotations.crowd).sum())}
    people &= ~annotations.crowd

    positions, keypoints = unpack_keypoints(annotations, people, len(layout.names), findings)
    labelled = keypoints[..., 2] > 0  # NaN is not
    flags = keypoints[..., 2]
    findings.add(
        "warning",
        "annotations with visibilities other than 0, 1 and 2",
        ids[positions[~((flags == 0) | (flags == 1) | (flags == 2)).all(axis=1)]],
        "all above 0 count as labelled; write 0 not labelled, 1 hidden, 2 visible",
    )
    infinite = (labelled & ~np.isfinite(keypoints[..., :2]).all(axis=-1)).any(axis=1)
    findings.add("stop", "annotations with keypoints that are not finite", ids[positions[infinite]], "correct them")
    stated = annotations.num_keypoints[positions]
    findings.add(
        "warning",
        "annotations whose `num_keypoints` is not the number of labelled ones",
        ids[positions[(stated >= 0) & (stated != labelled.sum(axis=1))]],
        "COCO's metric leaves people out whose number is 0; correct it or remove the field",
    )
    seen = labelled.any(axis=1)
    empty = people & (annotations.lengths == 0)
    empty[positions[~seen]] = True
    left_out["no labelled keypoint"] = int(empty.sum())
    findings.add("note", "annotations without a labelled keypoint", ids[empty], "they are not trained on")
    if seen.any():
        never = ~labelled.any(axis=0)
        names = [name for name, is_never in zip(layout.names, never, strict=True) if is_never]
        findings.add(
            "warning", "keypoints that nobody has labelled", names, "the model cannot learn them; check the layout"
        )

    chosen = seen & ~infinite
    if not chosen.all():
        keypoints, positions = keypoints[chosen], positions[chosen]
    boxes, areas = annotations.boxes[positions], annotations.areas[positions]
    no_box, no_area = ~np.isfinite(boxes).all(axis=1), ~np.isfinite(areas)
    findings.add("stop", "annotations without a `bbox` (left, top, width, height)", ids[positions[no_box]], "add it")
    findings.add(
        "stop",
        "annotations without an `area`, which COCO's metric needs",
        ids[positions[no_area]],
        "add it; width x height of the box will do",
    )
    image_wh = images.sizes[owners[positions]]
    zero_area, lies_outside = areas <= 0, (geometry.clip_boxes(boxes, image_wh)[:, 2:] <= 0).any(axis=1)
    remedy = "they are not trained on, but the metric counts them as missed; correct or remove them"
    findings.add("warning", "annotations with an `area` of zero", ids[positions[zero_area]], remedy)
    findings.add("warning", "annotations with a box of zero size in the image", ids[positions[lies_outside]], remedy)
    left_out["area of zero"] = int(zero_area.sum())
    left_out["box of zero size"] = int((lies_outside & ~zero_area).sum())
    usable = ~(no_box | no_area | zero_area | lies_outside)
    if not usable.all():
        keypoints, positions = keypoints[usable], positions[usable]
        boxes, image_wh = boxes[usable], image_wh[usable]
    check_places(ids[positions], keypoints, boxes, image_wh, findings)
    return positions, keypoints, left_out


def check_places(
    ids: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray, image_wh: np.ndarray, findings: Findings
) -> None:
    """Find boxes beyond the image, and keypoints outside the image or far outside their box.

    Args:
        ids: [N], of the people.
        keypoints: [N, K, 3] (x, y, visibility).
        boxes: [N, 4] left, top, width, height.
        image_wh: [N, 2].
        findings: gets what is wrong.
    """
    corner = boxes[:, :2] + boxes[:, 2:]
    beyond = ((boxes[:, :2] < -EDGE) | (corner > image_wh + EDGE)).any(axis=1)
    findings.add("warning", "boxes that reach beyond the image", ids[beyond], "they are cut; check the image's size")
    low, high = _reach(keypoints)
    beyond = ((low < -EDGE) | (high > image_wh - 1 + EDGE)).any(axis=1)
    findings.add(
        "warning", "annotations with keypoints outside the image", ids[beyond], "check x and y, and the image's size"
    )
    margin = BOX_MARGIN * boxes[:, 2:].max(axis=1, keepdims=True)
    beyond = ((low < boxes[:, :2] - margin) | (high > corner + margin)).any(axis=1)
    findings.add(
        "warning",
        "annotations with keypoints far outside their box",
        ids[beyond],
        "crops follow the box: the keypoints may be cut off, or belong to somebody else",
    )


def check_sigmas(layout: KeypointLayout, findings: Findings) -> None:
    """Find tolerances that are no use, or that nobody stated.

    Args:
        layout: of the dataset.
        findings: gets what is wrong.
    """
    sigmas = dict(zip(layout.names, layout.sigmas, strict=False))
    findings.add(
        "stop",
        "keypoints whose OKS fall-off is not above 0",
        [name for name in layout.names if not sigmas.get(name, 0) > 0],
        "nothing can score; state positive `sigmas` in the dataset's layout",
    )
    findings.add(
        "note",
        f"keypoints that COCO does not know and whose OKS fall-off nobody stated, so that it is the mean of COCO's, "
        f"{DEFAULT_SIGMA:.3f}",
        [name for name in layout.names if name not in COCO.names and sigmas.get(name) == DEFAULT_SIGMA],
        "AP depends on it; state `sigmas` in the dataset's layout where you know better",
    )


def _reach(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (x, y) [N, 2] of the labelled among keypoints [N, K, 3]."""
    labelled = keypoints[..., 2:] > 0
    points = keypoints[..., :2]
    return np.where(labelled, points, np.inf).min(axis=1), np.where(labelled, points, -np.inf).max(axis=1)

"""People in images: COCO keypoints (and any file in its format) and MPII, in flat arrays."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from hrtoolkit.data.boxes import check_boxes
from hrtoolkit.data.coco import (
    Annotations,
    Faults,
    Images,
    count_from,
    count_keypoints,
    find_categories,
    pack_key,
    read_annotations,
    read_detections,
    scheme_of_categories,
    unpack_keys,
)
from hrtoolkit.data.coco_parts import read_parts
from hrtoolkit.data.foreign import refusal
from hrtoolkit.data.mat import read_mat
from hrtoolkit.data.reading import find_image_folder, read_json
from hrtoolkit.errors import DataError, OptionError, shorten
from hrtoolkit.findings import Finding, Findings
from hrtoolkit.keypoints.checks import are_most, check_images, check_pairs, check_symmetry, find_owners, look_up
from hrtoolkit.keypoints.samples import (
    KeypointSamples,
    People,
    crops_of_samples,
    encode_paths,
    keep,
    split_keypoints,
    square_windows,
)
from hrtoolkit.keypoints.views import PADDING
from hrtoolkit.masks import (
    NO_SEGMENTATION,
    SEGMENTATION_STATES,
    Masks,
    PackedSegmentations,
    find_segmentation_faults,
)
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import DATASETS
from hrtoolkit.runtime import geometry
from hrtoolkit.samples import Crops
from hrtoolkit.samples import Images as ImageTable
from hrtoolkit.schemes import ClassScheme, SchemeLike
from hrtoolkit.schemes.people import MPII, with_sigmas
from hrtoolkit.tasks.pose.checks import ADVICE, Chosen, check_sigmas, choose_people
from hrtoolkit.tasks.pose.mpii_checks import check_windows, find_sound_people

log = logging.getLogger(__name__)


@DATASETS.register_module()
class CocoKeypoints(KeypointSamples):
    """COCO person keypoints, or any keypoint file in COCO's format with its own names (https://cocodataset.org).

    A sample is an image of the file, also one without anybody. Trained on, and the crops of a top-down network, are the
    annotated people who are no crowds, have an area, a box with extent inside the image, and a labelled keypoint; how
    many are left out is logged. People without extent are not scored either, and areas that are missing are those of
    the boxes. Where an image is learnt as a whole, the region of a crowd or of somebody without a labelled keypoint
    does not count, as far as the file has its segmentation. Images that state a `crowdIndex`, as those of CrowdPose do
    (Li et al., CVPR 2019), are scored as easy, medium and hard, too.

    Args:
        data_root: folder of the data set.
        ann_file: annotations, below `data_root`.
        image_dir: folder of the images, below `data_root` or below `data_root/images`.
        scheme: "coco", or fields such as `mirrored` and `sigmas` that complete or replace what the file's category
            says; None takes names and skeleton from the file, mirror partners from left and right in the names.
        box_file: detections in COCO's results format, which are the crops instead of annotated boxes.
        category: name of the category, or names of several with the same keypoints, which are trained as one and scored
            apart; None takes all with keypoints.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.
        smallest_box: pixels that boxes are grown to, for people with one labelled point or a flat box; None leaves
            these out.
        masks: also read the segmentations of those who are not trained on.
        keep_empty: keep images in which nobody is trained on; all of such an image is learnt to be background, but for
            regions that do not count.
        parts: what the annotations have keypoints of, where the fields are not COCO's: dicts with `keypoints`, names of
            fields whose points follow each other; `bbox`, that of the box; and `first`, how many points are taken. Each
            part is an object of its own, and labels are counted anew: the file's `num_keypoints` is of others.
        first_pixel: what the file calls the first pixel, in keypoints and boxes.
        whole_images: the box of everybody is the image, as in FreiHAND's recipe.
        apart: everybody who is trained on is a sample of their own, as errors of keypoints ask for.

    Raises:
        DataError: a file is missing or malformed, or nobody is left.
    """

    told: tuple[str, ...] = ("scheme", "masks")
    how_to_get = (
        "COCO 2017 is at https://cocodataset.org/#download: train2017.zip, val2017.zip and "
        "annotations_trainval2017.zip, unpacked side by side; --data-root names the folder. Without it, "
        "data of your own go by --data EXPORT, and `python tools/make_toy_data.py` in a clone makes toy data"
    )

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str,
        scheme: SchemeLike | None = None,
        box_file: str | None = None,
        category: str | Sequence[str] | None = None,
        faults: Faults = "stop",
        smallest_box: float | None = None,
        masks: bool = False,
        keep_empty: bool = True,
        parts: Sequence[Mapping[str, Any]] | None = None,
        first_pixel: int = 0,
        whole_images: bool = False,
        apart: bool = False,
    ):
        root, path = Path(data_root), Path(data_root) / ann_file
        if apart and (box_file is not None or masks):
            raise OptionError(
                "CocoKeypoints: apart goes without box_file and masks: errors are those of annotated boxes"
            )
        findings = Findings(path)
        found = None if parts is None else read_parts(parts)
        images, annotations, categories = read_annotations(path, findings, faults, box_file is None, masks, found)
        kinds = find_categories(categories, category, path)
        count = count_keypoints(annotations, kinds)
        completed = with_sigmas(scheme_of_categories(kinds, scheme, path, findings, count, whole=parts is not None))
        check_pairs(completed, findings)
        if not apart:  # errors of keypoints have no use for them
            check_sigmas(completed, findings)
        check_images(images, findings)
        owners = find_owners(images, annotations, [c["id"] for c in categories], findings, faults)
        if first_pixel:
            annotations = count_from(annotations, first_pixel)
        if whole_images:
            whole = np.pad(images.sizes, ((0, 0), (2, 0)))[owners]
            annotations = annotations._replace(boxes=whole, areas=whole[:, 2] * whole[:, 3])
        assert completed.classes is not None, "the file's categories"
        ids = completed.classes.ids
        chosen = choose_people(images, annotations, owners, ids, completed, findings, faults, smallest_box)
        _log_use(path, int(chosen.trained.sum()), len(owners), "annotations", chosen.left_out)
        self._detections = None if box_file is None else _read_detected(root / box_file, images, ids, findings)
        if box_file is None and not chosen.trained.any():
            _refuse_all(annotations, chosen.left_out, completed.classes, findings)
        if apart:
            images, owners, chosen = _set_apart(images, owners, chosen)
        elif not keep_empty:
            images, owners, chosen = _leave_out_empty(images, owners, chosen, path)
        people, starts, rows = _order_people(annotations, owners, chosen, ids, len(images.ids))
        self._trained, self._apart = chosen.trained[rows], apart
        # A part's own box is the extent of its points, and OpenMMLab leaves it so.
        self._cut = apart and all(part.bbox == "bbox" for part in found or ())
        self.annotation_ids = annotations.ids[rows]  # of the people
        if apart:
            boxes = _cut(people.boxes_xyxy, images.sizes) if self._cut else people.boxes_xyxy
            people = people._replace(sizes=geometry.to_xywh(boxes)[:, 2:].max(axis=1))
        self._regions = None if not masks else _find_regions(images, annotations, owners, rows, findings)
        learnt = self._trained if people.has_points is None else self._trained[people.has_points]
        check_symmetry(keep(people.points, learnt), keep(people.visible, learnt), completed, findings)
        folder = find_image_folder(root, image_dir)
        paths = encode_paths(folder / os.fsdecode(name) for name in images.names.tolist())
        super().__init__(
            scheme=completed,
            images=ImageTable(paths, unpack_keys(images.ids), np.nan_to_num(images.sizes, posinf=0.0).astype(np.int32)),
            people=people if len(owners) else None,
            starts=starts,
            findings=findings,
            subsets=_crowding(images),
        )

    def to_learn(self, sample: int) -> Record:
        truth = self.truth(sample)
        if not isinstance(truth, Objects):
            return super().to_learn(sample)  # which says what is missing
        first, end = self.starts[sample : sample + 2].tolist()
        trained = self._trained[first:end]
        if self._regions is None:
            return truth.select(trained)
        width, height = self.images.sizes_wh[sample].tolist()
        segmentations, places = self._regions
        masks = [segmentations[place] if place >= 0 else [] for place in places[first:end].tolist()]
        return truth._replace(ignored=~trained, masks=Masks((height, width), masks))

    def crops(self) -> Crops | None:
        if self._detections is not None:
            return self._detections
        assert self.people is not None, "without anybody there are detections"
        positions = np.flatnonzero(self._trained)
        samples = (np.searchsorted(self.starts, positions, side="right") - 1).astype(np.int32)
        boxes = keep(self.people.boxes_xyxy, self._trained)
        image_wh = self.images.sizes_wh[samples]
        if self._apart:  # no official code looks at them
            windows = geometry.to_xywh(_cut(boxes, image_wh) if self._cut else boxes)
        else:
            windows = geometry.clip_boxes(geometry.to_xywh(boxes), image_wh)
        ones = np.broadcast_to(np.float32(1), len(positions))  # a million of them take no memory
        labels = None if self.people.labels is None else self.people.labels[positions]
        return Crops(samples, windows, boxes, ones, (positions - self.starts[samples]).astype(np.int32), labels)


@DATASETS.register_module()
class MpiiPose(KeypointSamples):
    """MPII Human Pose in the json form of the official pose code (Andriluka et al., CVPR 2014).

    A sample is one person; the keypoints are always MPII's.

    Args:
        data_root: folder of the data set.
        ann_file: list of people with image, center, scale, joints and joints_vis, below `data_root`.
        image_dir: folder of the images, below `data_root`.
        gt_file: the official gt_valid.mat, below `data_root`, which has the keypoints and head sizes that count in the
            score; None where nothing is scored.
        faults: "stop" refuses a file with faulty people, "drop" leaves them out and warns.

    Raises:
        DataError: a file is missing or malformed, or nobody is left.
    """

    told: tuple[str, ...] = ()
    how_to_get = (
        "MPII's images are at http://human-pose.mpi-inf.mpg.de (mpii_human_pose_v1.tar.gz, below images/); the json "
        "files and gt_valid.mat of the HRNet authors belong below annot/; --data-root names the folder"
    )

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str = "images",
        gt_file: str | None = None,
        faults: Faults = "stop",
    ):
        root = Path(data_root)
        records, findings = _read_mpii(root / ann_file), Findings(root / ann_file)
        rows, people = find_sound_people(records, findings, faults)
        joints = np.array([person["joints"] for person in people], dtype=np.float32) - 1
        labelled = np.array([person["joints_vis"] for person in people], dtype=np.float32) > 0
        findings.add("note", "people without a labelled joint", rows[~labelled.any(axis=1)], "they teach nothing")
        check_symmetry(joints, labelled, MPII, findings)
        points, visible = split_keypoints(np.concatenate([joints, labelled[..., None]], axis=-1))
        heads = None
        if gt_file is not None:
            truth = read_mpii_truth(root / gt_file, len(records))
            joints, labelled = points, visible > 0
            points, visible, heads = (column[rows] for column in truth)
            headless = ~(np.isfinite(heads) & (heads > 0))
            remedy = "their errors cannot be divided by it; take gt_valid.mat of the release"
            findings.add("stop", f"people without a head size in {gt_file}", rows[headless], remedy)
            away = (np.linalg.norm(joints - points, axis=-1) > heads[:, None] / 2) & labelled & (visible > 0)
            findings.add(
                "stop",
                f"people whose joints lie elsewhere than in {gt_file}",
                rows[away.any(axis=1)],
                "PCKh compares people by their place in both files; take them from one release",
            )
        centers, sides = _mpii_windows(people)
        check_windows(centers, sides, joints, labelled, rows, findings)
        # The padding is in the sides already: where there is no centre, the official code adds none.
        self._windows = square_windows(centers, sides / PADDING)
        names = [person["image"] for person in people]
        super().__init__(
            scheme=MPII,
            images=ImageTable(
                encode_paths(root / image_dir / name for name in names), np.array(names), np.zeros((len(names), 2), int)
            ),
            people=People(geometry.to_xyxy(square_windows(centers, sides)), points, visible, sizes=heads),
            findings=findings,
        )

    def crops(self) -> Crops:
        assert self.people is not None
        return crops_of_samples(self._windows, self.people.boxes_xyxy)


def _read_mpii(path: Path) -> list:
    """The records of a file, one at least.

    Raises:
        DataError: it is something else.
    """
    try:
        records = read_json(path)
    except DataError as error:
        raise refusal(path) or error from None
    if not isinstance(records, list) or not records:
        raise refusal(path) or DataError(f"{path}: expected a list of people, as in MPII's annot/train.json")
    return records


def _mpii_windows(people: list[dict]) -> tuple[ndarray, ndarray]:
    """Centers [N, 2] and sides [N] of people's windows, with padding, in pixels counted from 0."""
    centers = np.array([person["center"] for person in people], dtype=np.float64)
    scales = np.array([person["scale"] for person in people], dtype=np.float64)
    known = centers[:, 0] != -1
    # The benchmark's centre lies on the chest: move down, then from 1-based to 0-based pixels.
    centers[known, 1] += 15 * scales[known]
    return centers - 1, 200 * np.where(known, PADDING * scales, scales)


def read_mpii_truth(path: Path, count: int) -> tuple[ndarray, ndarray, ndarray]:
    """Read the official gt_valid.mat.

    Args:
        path: of the file.
        count: N, how many people the list of people has.

    Returns:
        points float32 [N, 16, 2] in pixels counted from 0, visible uint8 [N, 16], and the sizes of the heads [N]: the
        diagonals of their boxes.

    Raises:
        DataError: it does not exist, lacks a field, or holds another number of people.
    """
    fields = {"pos_gt_src": "[16, 2, N]", "jnt_missing": "[16, N]", "headboxes_src": "[2, 2, N]"}
    advice = "take gt_valid.mat of the official HRNet release of the MPII annotations"
    if not path.is_file():
        raise DataError(f"{path}: no such file; {advice}")
    content = read_mat(path)
    if lacking := [f"{field} {shape}" for field, shape in fields.items() if field not in content]:
        present = sorted(name for name in content if not name.startswith("__"))
        raise DataError(f"{path}: lacks {', '.join(lacking)}, it holds {present}; {advice}")
    for field, expected in fields.items():
        values, (*fixed, _) = content[field], expected.strip("[]").split(", ")
        if values.dtype.kind not in "biuf" or [str(n) for n in values.shape[:-1]] != fixed:
            raise DataError(
                f"{path}: {field} is {values.dtype} {list(values.shape)}, expected numbers {expected}; {advice}"
            )
    positions, missing, head_boxes = (content[field].astype(np.float64) for field in fields)
    if positions.shape[-1] != count:
        raise DataError(
            f"{path}: holds {positions.shape[-1]} people, but the list of people has {count}; PCKh needs the whole "
            "validation set, in the order of its valid.json"
        )
    keypoints = np.concatenate([positions.transpose(2, 0, 1) - 1, (missing.T == 0)[..., None]], axis=-1)
    return *split_keypoints(keypoints), np.linalg.norm(head_boxes[1] - head_boxes[0], axis=0)


def _order_people(
    annotations: Annotations, owners: ndarray, chosen: Chosen, category_ids: Sequence[int | str], images: int
) -> tuple[People, ndarray, ndarray]:
    """Sort people by image, in the file's order within one; gives also where those of each image start, [M + 1].

    The last are their places [N] among the annotations.
    """
    rows = np.flatnonzero(chosen.sound)
    rows = rows[np.argsort(owners[rows], kind="stable")]
    starts = np.searchsorted(owners[rows], np.arange(images + 1))
    # Where the keypoints of each annotation stand; -1 where none is labelled.
    place = np.full(len(owners), -1)
    labelled = (chosen.keypoints[..., 2] > 0).any(axis=1)
    place[chosen.positions[labelled]] = np.flatnonzero(labelled)
    place = place[rows]
    points, visible = split_keypoints(chosen.keypoints, place[place >= 0])
    stated = annotations.num_keypoints[rows]
    crowd = annotations.crowd[rows]
    people = People(
        boxes_xyxy=geometry.to_xyxy(chosen.boxes[rows]),
        points=points,
        visible=visible,
        has_points=None if (place >= 0).all() else place >= 0,
        areas=chosen.areas[rows],
        crowd=crowd,
        # Follows the file's number of keypoints, as COCO's own code does, and not their flags.
        ignored=crowd | annotations.ignored[rows] | chosen.ignored[rows] | np.where(stated < 0, place < 0, stated == 0),
        labels=_find_labels(annotations.category_ids[rows], category_ids),
    )
    return people, starts, rows


def _crowding(images: Images) -> dict[str, ndarray]:
    """The subsets of CrowdPose, by how much people cover each other, where the images say; else none."""
    easy, hard = images.crowding < 0.2, images.crowding >= 0.8
    if not np.isfinite(images.crowding).any():
        return {}
    return {"easy": easy, "medium": (images.crowding >= 0.2) & ~hard, "hard": hard}


def _leave_out_empty(images: Images, owners: ndarray, chosen: Chosen, path: Path) -> tuple[Images, ndarray, Chosen]:
    """Images in which somebody is trained on, the image of each annotation among them, and who is left."""
    kept = np.unique(owners[chosen.trained])
    positions = np.full(len(images.ids) + 1, -1)  # the last one is that of an image that is not listed
    positions[kept] = np.arange(len(kept))
    owners = positions[owners]
    log.info("%s: %d of %d images used (in the others is nobody to train on)", path, len(kept), len(images.ids))
    return Images(*(column[kept] for column in images)), owners, chosen._replace(sound=chosen.sound & (owners >= 0))


def _set_apart(images: Images, owners: ndarray, chosen: Chosen) -> tuple[Images, ndarray, Chosen]:
    """An image for everybody who is trained on, that image of each annotation among them, and who is left."""
    rows = np.flatnonzero(chosen.trained)
    rows = rows[np.argsort(owners[rows], kind="stable")]
    positions = np.full(len(owners), -1)
    positions[rows] = np.arange(len(rows))
    return Images(*(column[owners[rows]] for column in images)), positions, chosen._replace(sound=chosen.trained)


def _cut(boxes_xyxy: ndarray, image_wh: ndarray) -> ndarray:
    """Boxes [N, 4] cut at the edges of their images, whose width and height are [N, 2]."""
    return np.clip(boxes_xyxy, 0, np.tile(image_wh, 2))


def _find_regions(
    images: Images, annotations: Annotations, owners: ndarray, rows: ndarray, findings: Findings
) -> tuple[PackedSegmentations, ndarray]:
    """Segmentations of those of N people who have one that is of use, and where that of each stands, [N] or -1.

    Args:
        images: of the file.
        annotations: of the file.
        owners: [A] position of each annotation's image.
        rows: [N] of the people among the annotations.
        findings: is told of those that are of no use.
    """
    assert annotations.segmentations is not None, "they were asked for"
    inspected = (annotations.states, annotations.extents, annotations.sizes_hw, annotations.pixels)
    states, extents, sizes_hw, pixels = (column[rows] for column in inspected)
    faults = find_segmentation_faults(states, extents, sizes_hw, pixels, images.sizes[owners[rows]])
    remedy = "the region that they cover is learnt to be background; correct the segmentations"
    for fault, which in faults.items():
        if fault != SEGMENTATION_STATES[NO_SEGMENTATION]:
            what = f"crowds or people without a labelled keypoint that {fault}"
            findings.add("warning", what, annotations.ids[rows[which]], remedy)
    usable = ~np.any(list(faults.values()), axis=0)
    places = np.where(usable, np.cumsum(usable) - 1, -1)
    return annotations.segmentations.select(rows[usable]), places


def _read_detected(path: Path, images: Images, category_ids: Sequence[int | str], findings: Findings) -> Crops:
    """The boxes of a file of detections, examined like annotated ones; its findings join those of the annotations."""
    found = Findings(path)
    detections = read_detections(path, found)
    owners = look_up(detections.image_ids, images.ids)
    other = ~np.isin(detections.category_ids, np.array([pack_key(one) for one in category_ids]))
    unlisted = ~other & (owners < 0)
    infinite = ~other & ~unlisted & ~(np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores))
    empty = ~(other | unlisted | infinite) & ~(detections.boxes[:, 2:] > 0).all(axis=1)
    kept = ~(other | unlisted | infinite | empty)
    reasons = {
        "another category": (other, None),
        "an image that the annotations do not list": (unlisted, "are they the detections of these images?"),
        "box or score that is not finite": (infinite, "they are left out; look at the detector"),
        "box of zero size": (empty, "they are left out"),
    }
    names = np.array([f"detections[{row}]" for row in range(len(kept))])
    for reason, (which, remedy) in reasons.items():
        if remedy is not None:
            shown = (
                names[which]
                if reason != "an image that the annotations do not list"
                else [
                    f"{name} of image {key.decode()}"
                    for name, key in zip(names[which], detections.image_ids[which], strict=True)
                ]
            )
            found.add("stop" if are_most(which, ~other) else "warning", f"detections with {reason}", shown, remedy)
    check_boxes(detections.boxes[kept], images.sizes[owners[kept]], names[kept], found)
    left_out = {reason: int(which.sum()) for reason, (which, _) in reasons.items()}
    _log_use(path, int(kept.sum()), len(kept), "detections", left_out)
    findings += found
    if not kept.any():
        found.raise_stops()
        raise DataError(f"{path}: none of {len(kept)} detections is usable{_counts(left_out)}")
    order = np.flatnonzero(kept)
    order = order[np.argsort(owners[order], kind="stable")]
    # Detections are neither cleaned nor clipped in the official protocol.
    boxes = detections.boxes[order]
    scores = detections.scores[order].astype(np.float32)
    return Crops(
        owners[order].astype(np.int32),
        boxes,
        geometry.to_xyxy(boxes),
        scores,
        np.full(len(order), -1, np.int32),
        _find_labels(detections.category_ids[order], category_ids),
    )


def _find_labels(keys: ndarray, category_ids: Sequence[int | str]) -> ndarray | None:
    """Which of the categories each id is of; None where there is one category."""
    return look_up(keys, np.array([pack_key(one) for one in category_ids])) if len(category_ids) > 1 else None


def _refuse_all(annotations: Annotations, left_out: dict[str, int], classes: ClassScheme, findings: Findings) -> None:
    """Refuse annotations of which none can be used, by the reason that most have.

    Raises:
        DataError: always.
    """
    findings.raise_stops()
    count = len(annotations.ids)
    reason = max(left_out, key=left_out.__getitem__)
    if left_out[reason]:
        remedy = ADVICE[reason]
    elif not count:
        remedy = "all were faulty"
    else:
        used = sorted(key.decode() for key in set(annotations.category_ids.tolist()))
        wanted = shorten([f"{name} ({key})" for name, key in zip(classes.names, classes.ids, strict=True)])
        remedy = f"they are of the categories {shorten(used)}, wanted is {wanted}; correct the dataset's `category`"
    what = f"none of {count} annotations is usable{_counts(left_out)}"
    findings.append(Finding("stop", findings.where, what, (), 0, remedy))
    findings.raise_stops()


def _log_use(path: Path, used: int, total: int, what: str, left_out: dict[str, int]) -> None:
    log.info("%s: %d of %d %s used%s", path, used, total, what, _counts(left_out))


def _counts(left_out: dict[str, int]) -> str:
    counts = ", ".join(f"{count} left out: {reason}" for reason, count in left_out.items() if count)
    return f" ({counts})" if counts else ""

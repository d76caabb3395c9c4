"""The benchmark protocols of pose estimation: COCO's keypoint average precision and MPII's PCKh."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from hrtoolkit.tasks.pose.layouts import MPII
from hrtoolkit.tasks.pose.postprocess import oks_nms, pairwise_oks, rescore, soft_oks_nms
from numpy import ndarray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hrtoolkit.data.reading import read_json, read_mat
from hrtoolkit.errors import DataError
from hrtoolkit.files import write_atomically
from hrtoolkit.metric import Metric
from hrtoolkit.registry import METRICS

logger = logging.getLogger(__name__)

# The order of COCOeval.stats for keypoints.
COCO_STATS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")

# MPII takes 60 % of the diagonal of the annotated head box as the size of the head.
MPII_HEAD_BIAS = 0.6
MPII_SIDED_PARTS = ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
MPII_UNSCORED = ("pelvis", "thorax")


@METRICS.register_module()
class CocoKeypointMetric(Metric):
    """Average precision and recall of COCO's keypoint task, computed by pycocotools.

    `dataset_meta` has to hold `ann_file`, `layout`, `category_id`, and `image_ids`: the images to score, or None for
    all images of the file. An annotation file without annotations (COCO's test sets) yields results but no numbers.

    Args:
        keypoint_threshold: heatmap maxima up to this one do not count in the score of a person.
        nms: how several poses of the same person are treated: "oks" removes them, "soft" lowers their scores and
            keeps 20 people an image, None leaves them.
        nms_threshold: threshold of `oks_nms` or `soft_oks_nms`.
        score: what ranks the people: "box_keypoint" is `rescore`, "box" the box score alone, "keypoint" the mean of
            all heatmap maxima.
        write_bbox: put the input box into the results, as mmpose does. COCO then takes the size of an unmatched
            person from this box instead of from the keypoints, which changes AP_M and AP_L, and only these.
        out_file: where the results go, in COCO's format.
        prefix: put before the names of the numbers.

    Raises:
        ValueError: an unknown `nms` or `score`.
    """

    headline = "AP"

    def __init__(
        self,
        keypoint_threshold: float = 0.2,
        nms: Literal["oks", "soft"] | None = "oks",
        nms_threshold: float = 0.9,
        score: Literal["box_keypoint", "box", "keypoint"] = "box_keypoint",
        write_bbox: bool = False,
        out_file: str | None = None,
        prefix: str | None = None,
    ):
        super().__init__(prefix=prefix)
        for name, value, choices in (
            ("nms", nms, ("oks", "soft", None)),
            ("score", score, ("box_keypoint", "box", "keypoint")),
        ):
            if value not in choices:
                raise ValueError(f"CocoKeypointMetric: {name} is {value!r}, expected one of {choices}")
        self.keypoint_threshold = keypoint_threshold
        self.nms = nms
        self.nms_threshold = nms_threshold
        self.score = score
        self.write_bbox = write_bbox
        self.out_file = out_file
        self._ground_truth: tuple[tuple, COCO] | None = None  # what it was read from, and the annotations

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Keep what scoring needs of each person.

        Args:
            data_batch: not used.
            predictions: one dict a person: `index` (position in the dataset), `image_id`, `keypoints` ([K, 2], x and y
                in original-image pixels from 0), `scores` ([K], heatmap maxima), `box_score`, `area` (of the padded
                crop box, square pixels), and with `write_bbox` also `box` (the input box as x, y, width, height).
        """
        fields = ["index", "image_id", "keypoints", "scores", "box_score", "area"] + ["box"] * self.write_bbox
        self.results.extend({field: person[field] for field in fields} for person in predictions)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """AP, AR and their variants, between 0 and 1; -1 where the images have nobody of that size (as pycocotools)."""
        meta = self.dataset_meta
        ground_truth = self._read_ground_truth()
        people = self._build_results(results)
        if unknown := sorted({person["image_id"] for person in people} - ground_truth.imgs.keys()):
            raise DataError(
                f"{meta['ann_file']}: there are predictions of {len(unknown)} images that this file does not list "
                f"(the first has the id {unknown[0]!r}); score them against the file that their boxes came from"
            )
        if self.out_file is not None:
            write_people(people, self.out_file)
        if "annotations" not in ground_truth.dataset:
            logger.warning("%s has no annotations: nothing to score (results: %s)", meta["ann_file"], self.out_file)
            return {}
        if not people:
            logger.warning("there are no predictions to score against %s: every number is 0", meta["ann_file"])
            return dict.fromkeys(COCO_STATS, 0.0)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(ground_truth, ground_truth.loadRes(people), "keypoints")
            evaluation.params.kpt_oks_sigmas = np.array(meta["layout"].sigmas)
            evaluation.params.catIds = [meta["category_id"]]
            if meta["image_ids"] is not None:
                evaluation.params.imgIds = list(meta["image_ids"])
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return dict(zip(COCO_STATS, evaluation.stats.tolist(), strict=True))

    def _build_results(self, results: list[dict]) -> list[dict]:
        """COCO's result records, image by image, best person first; their keypoints are still arrays ([3K])."""
        if not results:
            return []
        layout = self.dataset_meta["layout"]
        keypoints = np.stack([person["keypoints"] for person in results]).astype(np.float64)
        keypoint_scores = np.stack([person["scores"] for person in results]).astype(np.float64)
        if keypoints.shape[1:] != (len(layout.names), 2):
            raise DataError(
                f"{self.dataset_meta['ann_file']}: predictions have {keypoints.shape[1]} keypoints, but its layout has "
                f"{len(layout.names)}; give the model's head as many"
            )
        areas = np.array([person["area"] for person in results], np.float64)
        scores = np.array([person["box_score"] for person in results], np.float64)
        if self.score == "box_keypoint":
            scores = rescore(scores, keypoint_scores, self.keypoint_threshold)
        elif self.score == "keypoint":
            scores = keypoint_scores.mean(axis=1)

        image_ids, image_of = np.unique([person["image_id"] for person in results], return_inverse=True)
        by_image = np.lexsort((-scores, image_of))
        kept, kept_scores = [], []
        for group in np.split(by_image, np.bincount(image_of).cumsum()[:-1]):
            chosen, chosen_scores = self._suppress(scores[group], keypoints[group], areas[group])
            kept.append(group[chosen])
            kept_scores.append(chosen_scores)
        kept, kept_scores = np.concatenate(kept), np.concatenate(kept_scores)
        triplets = np.concatenate([keypoints, keypoint_scores[..., None]], axis=-1)[kept].reshape(len(kept), -1)
        category_id = self.dataset_meta["category_id"]
        people = [
            {"image_id": image_id, "category_id": category_id, "keypoints": triplet, "score": score}
            for image_id, triplet, score in zip(
                image_ids[image_of[kept]].tolist(), triplets, kept_scores.tolist(), strict=True
            )
        ]
        if self.write_bbox:
            for person, index in zip(people, kept, strict=True):
                person["bbox"] = np.asarray(results[index]["box"], np.float64).tolist()
        return people

    def _suppress(self, scores: ndarray, keypoints: ndarray, areas: ndarray) -> tuple[ndarray, ndarray]:
        """Which people of one image stay, and their scores."""
        if self.nms is None:
            return np.arange(len(scores)), scores
        oks = pairwise_oks(keypoints, areas, np.array(self.dataset_meta["layout"].sigmas))
        if self.nms == "soft":
            return soft_oks_nms(scores, oks, self.nms_threshold)
        kept = oks_nms(scores, oks, self.nms_threshold)
        return kept, scores[kept]

    def _read_ground_truth(self) -> COCO:
        """The annotations, read once."""
        meta = self.dataset_meta
        source = (meta["ann_file"], meta["category_id"])
        if self._ground_truth is None or self._ground_truth[0] != source:
            self._ground_truth = source, read_coco_annotations(*source)
        return self._ground_truth[1]


def read_coco_annotations(ann_file: str, category_id: int) -> COCO:
    """COCO-format annotations such that pycocotools can score keypoints against them.

    Where they are absent, `iscrowd` is 0, there are no `keypoints`, and `num_keypoints` is counted.

    Args:
        ann_file: json file.
        category_id: category whose keypoints are to be scored.

    Raises:
        DataError: the file cannot be read, or an annotation of the category lacks what the score depends on.
    """
    dataset = read_json(ann_file)
    annotations = dataset.get("annotations", [])
    scored = [annotation for annotation in annotations if annotation["category_id"] == category_id]
    needed = ("bbox", "area")
    if lacking := [annotation for annotation in scored if any(field not in annotation for field in needed)]:
        raise DataError(
            f"{ann_file}: {len(lacking)} of {len(scored)} annotations of category {category_id} lack one of {needed}; "
            f"the first is annotation {lacking[0].get('id')}; add what is missing, average precision depends on it"
        )
    for annotation in scored:
        annotation.setdefault("iscrowd", 0)
        annotation.setdefault("keypoints", [])
        annotation.setdefault("num_keypoints", sum(flag > 0 for flag in annotation["keypoints"][2::3]))
    # pycocotools finds annotations by id and marks a match by it: a repeated id hides a person, and id 0 never matches.
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dataset
        coco.createIndex()
    return coco


@METRICS.register_module()
class MpiiPckMetric(Metric):
    """PCKh of the MPII validation set: keypoints, in percent, that lie within a fraction of the head size.

    `dataset_meta` has to hold `gt_file`, the path of gt_valid.mat, whose people stand in the order of the dataset.
    "PCKh" and the parts are at half a head. What the official code published as "Mean@0.1" was measured at 0.11; this
    number and the true one have their own names.

    Args:
        out_file: where the poses go, as a json list of `index`, `image_id` and `keypoints` (x, y pixels from 0).
        prefix: put before the names of the numbers.
    """

    headline = "PCKh"
    perfect = 100.0

    def __init__(self, out_file: str | None = None, prefix: str | None = None):
        super().__init__(prefix=prefix)
        self.out_file = out_file

    def process(self, data_batch: Any, predictions: Sequence[dict]) -> None:
        """Keep each person's `index` (position in the dataset), `image_id` and `keypoints` ([16, 2], pixels from 0)."""
        fields = ("index", "image_id", "keypoints")
        self.results.extend({field: person[field] for field in fields} for person in predictions)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """PCKh at the three thresholds, and of the parts at 0.5, in percent."""
        if self.out_file is not None:
            write_people(results, self.out_file)
        gt_file = self.dataset_meta["gt_file"]
        truth = read_mpii_truth(gt_file)
        if len(results) != len(truth["head_sizes"]):
            raise DataError(
                f"{gt_file}: holds {len(truth['head_sizes'])} people, but there are {len(results)} predictions; PCKh "
                "needs the whole validation set, in the order of its valid.json"
            )
        keypoints = np.stack([person["keypoints"] for person in results])
        return {
            **pckh(keypoints, **truth, threshold=0.5),
            "PCKh@0.1": pckh(keypoints, **truth, threshold=0.1)["PCKh"],
            "PCKh@0.11": pckh(keypoints, **truth, threshold=0.11)["PCKh"],
        }


def pckh(
    predictions: ndarray, ground_truth: ndarray, missing: ndarray, head_sizes: ndarray, threshold: float
) -> dict[str, float]:
    """Percentage of keypoints whose error is at most `threshold` times 60 % of the head's diagonal.

    Args:
        predictions: [N, 16, 2], x and y in pixels, counted from 0.
        ground_truth: [N, 16, 2], x and y in pixels, counted from 1, as MPII does.
        missing: [N, 16], true where a keypoint is not annotated.
        head_sizes: [N], diagonals of the head boxes in pixels.
        threshold: fraction of the (biased) head size; an error of exactly this much is still right.

    Returns:
        "PCKh" over all annotated keypoints except pelvis and thorax, then the parts from head to ankle; a part is the
        plain mean of its two sides, NaN where nobody has it annotated.
    """
    visible = ~np.asarray(missing, dtype=bool)
    distances = np.linalg.norm(np.asarray(predictions, np.float64) + 1 - ground_truth, axis=-1)
    right = (distances / (MPII_HEAD_BIAS * np.asarray(head_sizes)[:, None]) <= threshold) & visible

    def percentage(*names: str) -> float:
        columns = [MPII.names.index(name) for name in names]
        counted = visible[:, columns].sum()
        return float(100 * right[:, columns].sum() / counted) if counted else float("nan")

    scores = {
        "PCKh": percentage(*(name for name in MPII.names if name not in MPII_UNSCORED)),
        "Head": percentage("head_top"),
    }
    for part in MPII_SIDED_PARTS:
        scores[part] = (percentage(f"left_{part.lower()}") + percentage(f"right_{part.lower()}")) / 2
    return scores


def read_mpii_truth(gt_file: str | None) -> dict[str, ndarray]:
    """The arguments `ground_truth`, `missing` and `head_sizes` of `pckh`, from the official gt_valid.mat.

    Raises:
        DataError: none is given, it does not exist, or it lacks a field.
    """
    fields = {"pos_gt_src": "[16, 2, N]", "jnt_missing": "[16, N]", "headboxes_src": "[2, 2, N]"}
    advice = "take gt_valid.mat of the official HRNet release of the MPII annotations"
    if gt_file is None:
        raise DataError(f"PCKh needs the dataset's `gt_file`; {advice}")
    if not Path(gt_file).is_file():
        raise DataError(f"{gt_file}: no such file; {advice}")
    content = read_mat(gt_file)
    if lacking := [f"{field} {shape}" for field, shape in fields.items() if field not in content]:
        present = sorted(name for name in content if not name.startswith("__"))
        raise DataError(f"{gt_file}: lacks {', '.join(lacking)}, it holds {present}; {advice}")
    positions, missing, head_boxes = (content[field].astype(np.float64) for field in fields)
    return {
        "ground_truth": positions.transpose(2, 0, 1),
        "missing": missing.T != 0,
        "head_sizes": np.linalg.norm(head_boxes[1] - head_boxes[0], axis=0),
    }


def write_people(people: list[dict], path: str | Path) -> None:
    """Write records with `keypoints` as arrays into a json file."""
    with write_atomically(path) as file:
        # Not json.dump: it takes the slow encoder.
        file.write(json.dumps([{**person, "keypoints": person["keypoints"].tolist()} for person in people]))

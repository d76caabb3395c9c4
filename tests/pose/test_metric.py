"""COCO average precision and MPII PCKh, against the numbers of the official evaluation code."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hrtoolkit.tasks.pose.layouts import COCO, MPII
from hrtoolkit.tasks.pose.metric import COCO_STATS, CocoKeypointMetric, MpiiPckMetric, pckh
from pycocotools.coco import COCO as CocoFile
from pycocotools.cocoeval import COCOeval
from scipy.io import savemat

from hrtoolkit.errors import DataError
from hrtoolkit.registry import METRICS
from hrtoolkit.structures import KeypointLayout

# --- COCO: a fixed example ---


def grid_pose(x, y, step, shift=(0, 0)):
    """17 keypoints, five a row."""
    i = np.arange(17)
    return np.stack([x + step * (i % 5), y + step * (i // 5)], axis=-1).astype(np.float32) + np.float32(shift)


def annotation(number, image_id, area, bbox, keypoints, flags):
    flags = np.asarray(flags)
    triplets = np.concatenate([keypoints * (flags[:, None] > 0), flags[:, None]], axis=-1)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "area": area,
        "bbox": bbox,
        "keypoints": triplets.ravel().tolist(),
        "num_keypoints": int((flags > 0).sum()),
    }


def person(index, image_id, keypoints, box_score, box=(0, 0, 10, 10), scores=None):
    return {
        "index": index,
        "image_id": image_id,
        "keypoints": keypoints,
        "scores": np.ones(len(keypoints), np.float32) if scores is None else scores,
        "box_score": box_score,
        "area": 1.25**2 * box[2] * box[3],
        "box": box,
    }


def write_annotations(path, annotations, image_ids):
    images = [{"id": image_id, "width": 640, "height": 480} for image_id in image_ids]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]})
    )
    return str(path)


def example_annotations(first_id=1):
    everything, upper, nothing = np.full(17, 2), np.where(np.arange(17) < 10, 2, 0), np.zeros(17, int)
    people = [
        (1, 12000, [100, 100, 120, 160], grid_pose(110, 110, 20), everything),
        (1, 5000, [300, 100, 80, 100], grid_pose(305, 105, 14), upper),
        (2, 20000, [50, 50, 200, 300], grid_pose(60, 60, 30), everything),
        (2, 900, [400, 300, 30, 40], grid_pose(0, 0, 0), nothing),
    ]
    return [annotation(number, *fields) for number, fields in enumerate(people, start=first_id)]


EXAMPLE_PEOPLE = [
    person(0, 1, grid_pose(110, 110, 20, (4, 3)), 0.95, (100, 100, 120, 160)),
    person(1, 1, grid_pose(110, 110, 20, (12, 9)), 0.90, (100, 100, 120, 160)),
    person(2, 1, grid_pose(305, 105, 14, (2, -1)), 0.80, (300, 100, 80, 100)),
    person(3, 2, grid_pose(60, 60, 30, (10, 0)), 0.60, (50, 50, 200, 300)),
    person(4, 2, grid_pose(402, 305, 6), 0.40, (400, 300, 90, 110)),
]
# pycocotools called on the five people; both differ by what decides the size of an unmatched person.
STATS_WITHOUT_BBOX = [
    *(0.6226072607260725, 0.8341584158415841, 0.8341584158415841, 0.4333333333333333, 0.700990099009901),
    *(0.7666666666666666, 1, 1, 0.9, 0.7),
]
STATS_WITH_BBOX = [*STATS_WITHOUT_BBOX[:3], 0.8999999999999999, 0.6019801980198018, *STATS_WITHOUT_BBOX[5:]]


def coco_metric(ann_file, image_ids=None, layout=COCO, **options):
    metric = CocoKeypointMetric(**options)
    metric.dataset_meta = {"ann_file": ann_file, "layout": layout, "category_id": 1, "image_ids": image_ids}
    return metric


def score(metric, people):
    metric.process(None, people)
    return metric.evaluate(size=len(people))


@pytest.mark.parametrize(("write_bbox", "stats"), [(False, STATS_WITHOUT_BBOX), (True, STATS_WITH_BBOX)])
def test_stats_of_the_example_are_those_of_pycocotools(tmp_path, write_bbox, stats):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    scores = score(coco_metric(ann_file, nms=None, write_bbox=write_bbox), EXAMPLE_PEOPLE)
    assert list(scores) == list(COCO_STATS)
    # Only the last digit may differ: pycocotools takes means of 10 x 101 precisions.
    assert list(scores.values()) == pytest.approx(stats, rel=1e-15)


def test_nms_removes_the_second_pose_of_the_same_person(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    scores = score(coco_metric(ann_file, nms_threshold=0.7, out_file=out_file), EXAMPLE_PEOPLE)
    kept = [(record["image_id"], record["score"]) for record in json.loads(out_file.read_text())]
    assert kept == [(1, 0.95), (1, 0.8), (2, 0.6), (2, 0.4)]
    # All three people with keypoints are found, each by the first pose that may match: nothing wrong is left at 0.5.
    assert scores["AP50"] == pytest.approx(1.0)


def test_results_stand_image_by_image_best_person_first(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    mixed = [{**EXAMPLE_PEOPLE[i], "index": index} for index, i in enumerate((4, 1, 3, 0, 2))]
    score(coco_metric(ann_file, nms=None, out_file=out_file), mixed)
    written = [(record["image_id"], record["score"]) for record in json.loads(out_file.read_text())]
    assert written == [(1, 0.95), (1, 0.9), (1, 0.8), (2, 0.6), (2, 0.4)]


def test_soft_nms_writes_the_lowered_scores(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    score(coco_metric(ann_file, nms="soft", out_file=out_file), EXAMPLE_PEOPLE)
    written = [record["score"] for record in json.loads(out_file.read_text()) if record["image_id"] == 1]
    assert written[:2] == pytest.approx([0.95, 0.8])  # two people far apart (oks below 1e-6)
    assert 0 < written[2] < 0.6  # the second pose of the first person


@pytest.mark.parametrize(
    ("mode", "expected"), [("box_keypoint", 0.5 * 0.8), ("box", 0.5), ("keypoint", (9 * 0.8 + 8 * 0.1) / 17)]
)
def test_score_modes(tmp_path, mode, expected):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    keypoint_scores = np.where(np.arange(17) < 9, 0.8, 0.1).astype(np.float32)
    one = person(0, 1, grid_pose(110, 110, 20), 0.5, scores=keypoint_scores)
    score(coco_metric(ann_file, score=mode, out_file=out_file), [one])
    # Heatmap maxima are float32: their relative error is below 2 ** -24.
    assert json.loads(out_file.read_text())[0]["score"] == pytest.approx(expected, rel=2**-24)


# --- COCO: random people against pycocotools called directly ---


def random_annotations(rng, image_ids):
    """Up to four people an image, of all sizes; some are crowds, some have no keypoints."""
    annotations = []
    for image_id in image_ids:
        for _ in range(rng.integers(0, 5)):
            x, y, width, height = rng.uniform([0, 0, 20, 30], [300, 200, 250, 280])
            keypoints = rng.uniform(size=(17, 2)) * [width, height] + [x, y]
            flags = rng.integers(0, 3, 17) * (rng.uniform() > 0.1)
            one = annotation(
                len(annotations) + 1, image_id, 0.6 * width * height, [x, y, width, height], keypoints, flags
            )
            annotations.append({**one, "iscrowd": int(rng.uniform() < 0.1)})
    return annotations


def random_people(rng, annotations):
    """Zero to three noisy poses of each annotated person."""
    people = []
    for truth in annotations:
        for _ in range(rng.integers(0, 4)):
            x, y, width, height = truth["bbox"]
            keypoints = np.array(truth["keypoints"]).reshape(17, 3)[:, :2]
            keypoints = np.where(keypoints > 0, keypoints, [x, y]) + rng.normal(0, 0.03 * width, (17, 2))
            scores = rng.uniform(0, 1, 17).astype(np.float32)
            box = (x, y, width, height)
            people.append(
                person(len(people), truth["image_id"], keypoints.astype(np.float32), rng.uniform(), box, scores)
            )
    return people


def pycocotools_stats(ann_file, results_file, sigmas, image_ids=None):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = CocoFile(ann_file)
        evaluation = COCOeval(truth, truth.loadRes(str(results_file)), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        if image_ids is not None:
            evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(COCO_STATS, evaluation.stats, strict=True))


@pytest.mark.parametrize("image_ids", [None, [3, 8, 11, 29]], ids=["all images", "some images"])
@pytest.mark.parametrize("options", [{}, {"write_bbox": True}, {"nms": "soft"}, {"nms": None, "score": "keypoint"}])
def test_equals_pycocotools_called_on_the_written_file(tmp_path, options, image_ids):
    rng = np.random.default_rng(1)
    annotations = random_annotations(rng, range(1, 31))
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, range(1, 31))
    out_file = tmp_path / "made" / "on_the_way" / "results.json"
    metric = coco_metric(ann_file, image_ids, out_file=out_file, **options)
    people = random_people(rng, annotations)
    scores = score(metric, people)
    assert scores == pycocotools_stats(ann_file, out_file, COCO.sigmas, image_ids)
    assert 0.1 < scores["AP"] < 0.9
    assert [file.name for file in out_file.parent.iterdir()] == ["results.json"]
    # The annotations stay in memory for the next epoch.
    Path(ann_file).unlink()
    assert score(metric, people) == scores


def test_uses_the_sigmas_of_the_layout(tmp_path):
    rng = np.random.default_rng(2)
    annotations = random_annotations(rng, range(1, 11))
    people = random_people(rng, annotations)
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, range(1, 11))
    strict = KeypointLayout(names=COCO.names, sigmas=[0.02] * 17)
    out_file = tmp_path / "results.json"
    scores = score(coco_metric(ann_file, layout=strict, out_file=out_file), people)
    assert scores == pycocotools_stats(ann_file, out_file, strict.sigmas)
    assert scores["AP"] < score(coco_metric(ann_file), people)["AP"]


def test_annotations_given_as_predictions_reach_one(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    poses = [np.array(one["keypoints"], np.float32).reshape(17, 3)[:, :2] for one in example_annotations()[:3]]
    scores = score(coco_metric(ann_file), [person(i, (1, 1, 2)[i], pose, 1.0) for i, pose in enumerate(poses)])
    assert list(scores.values()) == pytest.approx([1.0] * 10)


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [7, 7, 7, 7], [None] * 4], ids=["from zero", "repeated", "missing"])
def test_annotation_ids_do_not_change_the_score(tmp_path, ids):
    annotations = [{**one, "id": number} for one, number in zip(example_annotations(), ids, strict=True)]
    if ids[0] is None:
        annotations = [{k: v for k, v in one.items() if k != "id"} for one in annotations]
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, [1, 2])
    scores = score(coco_metric(ann_file, nms=None), EXAMPLE_PEOPLE)
    assert list(scores.values()) == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_crowd_flag_keypoint_count_and_empty_keypoints_may_be_missing(tmp_path):
    absent = ("iscrowd", "num_keypoints")
    annotations = [{k: v for k, v in one.items() if k not in absent} for one in example_annotations()]
    assert not any(annotations[3].pop("keypoints"))
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, [1, 2])
    scores = score(coco_metric(ann_file, nms=None), EXAMPLE_PEOPLE)
    assert list(scores.values()) == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_annotations_of_other_categories_do_not_matter(tmp_path):
    other = {"id": 9, "image_id": 1, "category_id": 2, "bbox": [0, 0, 50, 50]}
    ann_file = write_annotations(tmp_path / "annotations.json", [other, *example_annotations()], [1, 2])
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["categories"].append({"id": 2, "name": "dog"})
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    scores = score(coco_metric(ann_file, nms=None), EXAMPLE_PEOPLE)
    assert list(scores.values()) == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_no_predictions_score_zero_with_a_warning(tmp_path, caplog):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    assert score(coco_metric(ann_file, out_file=out_file), []) == dict.fromkeys(COCO_STATS, 0.0)
    assert "no predictions to score" in caplog.text
    assert json.loads(out_file.read_text()) == []


def test_a_file_without_annotations_gives_results_and_no_numbers(tmp_path, caplog):
    path = tmp_path / "image_info.json"
    path.write_text(json.dumps({"images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1}]}))
    out_file = tmp_path / "results.json"
    assert score(coco_metric(str(path), out_file=out_file), EXAMPLE_PEOPLE) == {}
    assert len(json.loads(out_file.read_text())) == len(EXAMPLE_PEOPLE)
    assert "has no annotations" in caplog.text


def test_image_ids_may_be_strings(tmp_path):
    annotations = [{**one, "image_id": f"image-{one['image_id']}"} for one in example_annotations()]
    people = [{**one, "image_id": f"image-{one['image_id']}"} for one in EXAMPLE_PEOPLE]
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, ["image-1", "image-2"])
    scores = score(coco_metric(ann_file, image_ids=["image-1", "image-2"], nms=None), people)
    assert list(scores.values()) == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_a_failed_write_leaves_the_previous_file(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    out_file = tmp_path / "results.json"
    out_file.write_text("the previous one")
    metric = coco_metric(ann_file, out_file=out_file)
    metric.dataset_meta["category_id"] = {1}  # json knows no sets
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        score(metric, EXAMPLE_PEOPLE)
    assert out_file.read_text() == "the previous one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["annotations.json", "results.json"]


def test_predictions_of_foreign_images_are_named(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    foreign = [{**one, "image_id": one["image_id"] + 40} for one in EXAMPLE_PEOPLE]
    with pytest.raises(DataError, match=r"annotations.json: .* 2 images that .* not list .the first has the id 41"):
        score(coco_metric(ann_file), foreign)


def test_a_layout_of_another_size_is_named(tmp_path):
    ann_file = write_annotations(tmp_path / "annotations.json", example_annotations(), [1, 2])
    with pytest.raises(DataError, match="predictions have 17 keypoints, but its layout has 2"):
        score(coco_metric(ann_file, layout=KeypointLayout(names=("a", "b"), sigmas=(0.1, 0.1))), EXAMPLE_PEOPLE)


def test_annotations_without_area_are_named(tmp_path):
    annotations = example_annotations(first_id=5)
    del annotations[1]["area"], annotations[2]["area"]
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, [1, 2])
    with pytest.raises(DataError, match=r"annotations.json: 2 of 4 annotations of category 1 .* is annotation 6; add"):
        score(coco_metric(ann_file), EXAMPLE_PEOPLE)


@pytest.mark.parametrize("option", [{"nms": "hard"}, {"score": "hard"}])
def test_unknown_options_are_named(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} is 'hard', expected one of"):
        CocoKeypointMetric(**option)


@pytest.mark.parametrize(("name", "headline"), [("CocoKeypointMetric", "AP"), ("MpiiPckMetric", "PCKh")])
def test_metrics_are_built_by_name_and_know_their_headline(name, headline):
    assert METRICS.build({"type": name}).headline == headline


# --- MPII ---


def mpii_example():
    """Four people with known errors; predictions count from 0, the ground truth from 1."""
    n, j = np.arange(4)[:, None], np.arange(16)[None]
    ground_truth = np.stack(np.broadcast_arrays(100 + 20 * j + 3 * n, 80 + 15 * j + 5 * n), axis=-1).astype(float)
    errors = np.stack([1.5 * (j % 5) * (n + 1), -2.0 * (j % 3) * (n + 1)], axis=-1)
    missing = np.zeros((4, 16), bool)
    missing[[1, 3, 2], [9, 0, 10]] = True
    corners = np.stack([np.full((4, 2), 100), np.array([(130 + 10 * i, 140 + 10 * i) for i in range(4)])])
    return (ground_truth - 1 + errors).astype(np.float32), ground_truth, missing, corners.astype(float)


MPII_NUMBERS = {
    "PCKh": 98.11320754716982,
    "Head": 100,
    "Shoulder": 100,
    "Elbow": 87.5,
    "Wrist": 100,
    "Hip": 100,
    "Knee": 100,
    "Ankle": 100,
    "PCKh@0.1": 18.867924528301888,
    "PCKh@0.11": 20.754716981132077,
}


def write_mpii(path, ground_truth, missing, corners):
    savemat(
        path,
        {
            "pos_gt_src": ground_truth.transpose(1, 2, 0),
            "jnt_missing": missing.T.astype(np.uint8),
            # The larger corner first, in unsigned numbers: the size of the box must not wrap around.
            "headboxes_src": corners[::-1].transpose(0, 2, 1).astype(np.uint16),
        },
    )
    return str(path)


def mpii_metric(gt_file, **options):
    metric = MpiiPckMetric(**options)
    metric.dataset_meta = {"gt_file": gt_file, "layout": MPII}
    return metric


def mpii_people(keypoints):
    return [person(i, f"{i:03d}.jpg", pose, 1.0) for i, pose in enumerate(keypoints)]


def test_pckh_gives_the_official_numbers():
    predictions, ground_truth, missing, corners = mpii_example()
    head_sizes = np.linalg.norm(corners[1] - corners[0], axis=-1)
    assert 0.6 * head_sizes == pytest.approx([30, 38.41874542459709, 46.861498055439924, 55.31726674375732], rel=1e-15)
    # The official mean multiplies percentages by counts and divides again: a few roundings.
    scores = pckh(predictions, ground_truth, missing, head_sizes, threshold=0.5)
    assert scores == pytest.approx({name: MPII_NUMBERS[name] for name in scores}, rel=1e-14)
    assert pckh(predictions, ground_truth, missing, head_sizes, 0.1)["PCKh"] == pytest.approx(
        MPII_NUMBERS["PCKh@0.1"], rel=1e-14
    )


def test_mpii_metric_reads_the_official_file(tmp_path):
    predictions, *truth = mpii_example()
    gt_file = write_mpii(tmp_path / "gt_valid.mat", *truth)
    out_file = tmp_path / "poses.json"
    people = mpii_people(predictions)
    # People arrive in any order; the position in the dataset decides.
    scores = score(mpii_metric(gt_file, out_file=out_file), [people[i] for i in (2, 0, 3, 1)])
    assert scores == pytest.approx(MPII_NUMBERS, rel=1e-14)
    written = json.loads(out_file.read_text())
    assert [(one["index"], one["image_id"]) for one in written] == [(i, f"{i:03d}.jpg") for i in range(4)]
    assert (np.array([one["keypoints"] for one in written], np.float32) == predictions).all()


def test_pckh_counts_an_error_of_exactly_the_threshold():
    ground_truth = np.full((1, 16, 2), 11.0)
    predictions = np.full((1, 16, 2), 10.0)  # the same place, counted from 0
    predictions[0, MPII.names.index("left_knee")] += (3.0, 4.0)  # 5 px; half of 10 px
    head_sizes = np.array([10 / 0.6])
    missing = np.zeros((1, 16), bool)
    assert 0.6 * head_sizes[0] == 10.0
    assert pckh(predictions, ground_truth, missing, head_sizes, 0.5)["PCKh"] == 100.0
    below = pckh(predictions, ground_truth, missing, head_sizes, 0.499)
    assert below["Knee"] == 50.0 and below["PCKh"] == pytest.approx(100 * 13 / 14)


def test_pckh_leaves_pelvis_and_thorax_out_of_the_mean():
    ground_truth = np.full((1, 16, 2), 1.0)
    predictions = np.zeros((1, 16, 2))
    predictions[0, [MPII.names.index("pelvis"), MPII.names.index("thorax")]] = 1000.0
    assert pckh(predictions, ground_truth, np.zeros((1, 16)), np.array([10.0]), 0.5)["PCKh"] == 100.0


def test_pckh_of_a_part_that_nobody_has_is_nan():
    missing = np.zeros((1, 16), bool)
    missing[0, MPII.names.index("left_hip")] = True
    scores = pckh(np.zeros((1, 16, 2)), np.ones((1, 16, 2)), missing, np.array([10.0]), 0.5)
    assert np.isnan(scores["Hip"]) and scores["PCKh"] == 100.0


def test_mpii_names_a_wrong_number_of_people(tmp_path):
    predictions, *truth = mpii_example()
    gt_file = write_mpii(tmp_path / "gt_valid.mat", *truth)
    with pytest.raises(DataError, match=r"gt_valid.mat: holds 4 people, but there are 3 predictions; PCKh needs"):
        score(mpii_metric(gt_file), mpii_people(predictions[:3]))


def test_mpii_names_missing_fields_and_a_missing_file(tmp_path):
    predictions, *_ = mpii_example()
    with pytest.raises(DataError, match=r"PCKh needs the dataset's `gt_file`; take gt_valid.mat"):
        score(mpii_metric(None), mpii_people(predictions))
    with pytest.raises(DataError, match=r"nowhere.mat: no such file; take gt_valid.mat"):
        score(mpii_metric(str(tmp_path / "nowhere.mat")), mpii_people(predictions))
    other = tmp_path / "other.mat"
    savemat(other, {"jnt_missing": np.zeros((16, 4)), "something": [1]})
    with pytest.raises(
        DataError, match=r"other.mat: lacks pos_gt_src \[16, 2, N\], headboxes_src .* holds .*'something'"
    ):
        score(mpii_metric(str(other)), mpii_people(predictions))

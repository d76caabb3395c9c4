"""COCO average precision and MPII PCKh, against the numbers of the official evaluation code."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile
from pycocotools.cocoeval import COCOeval

from hrtoolkit import coco_eval
from hrtoolkit.coco_eval import KEYPOINT_NUMBERS
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import score_subsets
from hrtoolkit.records import Objects
from hrtoolkit.registry import METRICS
from hrtoolkit.schemes import ClassScheme, KeypointScheme
from hrtoolkit.schemes.people import COCO, MPII
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.finish import PoseFinish
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, MpiiPckMetric, pckh

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


def person(image_id, keypoints, box_score, box=(0, 0, 10, 10), scores=None):
    """An image's id, and what the head predicts of one crop of it."""
    x, y, width, height = box
    return image_id, Objects(
        boxes_xyxy=np.array([[x, y, x + width, y + height]], np.float64),
        labels=np.zeros(1, np.int64),
        scores=np.array([box_score]),
        points=keypoints[None],
        point_scores=np.ones((1, len(keypoints)), np.float32) if scores is None else scores[None],
        areas=np.array([1.25**2 * width * height]),
    )


def truth_of(annotations, image_id):
    """What a data set says of an image, in the order of the annotations."""
    chosen = [one for one in annotations if one["image_id"] == image_id]
    boxes = np.array([one["bbox"] for one in chosen], np.float64).reshape(-1, 4)
    keypoints = np.array([one["keypoints"] for one in chosen], np.float64).reshape(-1, 17, 3)
    crowd = np.array([bool(one["iscrowd"]) for one in chosen], dtype=bool)
    return Objects(
        boxes_xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        labels=np.zeros(len(chosen), np.int64),
        points=keypoints[..., :2].astype(np.float32),
        visible=keypoints[..., 2].astype(np.uint8),
        areas=np.array([one["area"] for one in chosen], np.float64),
        crowd=crowd,
        ignored=crowd | np.array([one["num_keypoints"] == 0 for one in chosen], dtype=bool),
    )


def write_annotations(path, annotations, image_ids):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in image_ids]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.names)}
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
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
    person(1, grid_pose(110, 110, 20, (4, 3)), 0.95, (100, 100, 120, 160)),
    person(1, grid_pose(110, 110, 20, (12, 9)), 0.90, (100, 100, 120, 160)),
    person(1, grid_pose(305, 105, 14, (2, -1)), 0.80, (300, 100, 80, 100)),
    person(2, grid_pose(60, 60, 30, (10, 0)), 0.60, (50, 50, 200, 300)),
    person(2, grid_pose(402, 305, 6), 0.40, (400, 300, 90, 110)),
]
# pycocotools called on the five people; both differ by what decides the size of an unmatched person.
STATS_WITHOUT_BBOX = [
    *(0.6226072607260725, 0.8341584158415841, 0.8341584158415841, 0.4333333333333333, 0.700990099009901),
    *(0.7666666666666666, 1, 1, 0.9, 0.7),
]
STATS_WITH_BBOX = [*STATS_WITHOUT_BBOX[:3], 0.8999999999999999, 0.6019801980198018, *STATS_WITHOUT_BBOX[5:]]


def finished(people, image_id, finish):
    """The finished record of an image; None where nobody looked."""
    found = [record for image, record in people if image == image_id]
    return finish(found) if found else None


def score(people, annotations, image_ids=(1, 2), write_bbox=False, scheme=COCO, out_file=None, **options):
    """Finish, measure and score, image by image, as an evaluation does; perhaps write the results."""
    metric, finish = CocoKeypointMetric(write_bbox), PoseFinish(scheme=scheme, **options)
    records = [finished(people, image_id, finish) for image_id in image_ids]
    truths = [truth_of(annotations, image_id) for image_id in image_ids]
    if out_file is not None:
        pairs = [(image_id, record) for image_id, record in zip(image_ids, records, strict=True) if record is not None]
        packed = [one for pair in pairs for one in metric.writer.pack(str(out_file), *pair, scheme)]
        metric.writer.write(str(out_file), packed)
    measures = [metric.measure(record, truth, scheme) for record, truth in zip(records, truths, strict=True)]
    return metric.score(measures, scheme)


@pytest.mark.parametrize(("write_bbox", "stats"), [(False, STATS_WITHOUT_BBOX), (True, STATS_WITH_BBOX)])
def test_stats_of_the_example_are_those_of_pycocotools(write_bbox, stats):
    scores = score(EXAMPLE_PEOPLE, example_annotations(), nms=None, write_bbox=write_bbox)
    assert list(scores) == list(KEYPOINT_NUMBERS)
    # Only the last digit may differ: pycocotools takes means of 10 x 101 precisions.
    assert list(scores.values()) == pytest.approx(stats, rel=1e-15)


def test_nms_removes_the_second_pose_of_the_same_person(tmp_path):
    out_file = tmp_path / "results.json"
    scores = score(EXAMPLE_PEOPLE, example_annotations(), nms_threshold=0.7, out_file=out_file)
    kept = [(record["image_id"], record["score"]) for record in json.loads(out_file.read_text())]
    assert kept == [(1, 0.95), (1, 0.8), (2, 0.6), (2, 0.4)]
    # All three people with keypoints are found, each by the first pose that may match: nothing wrong is left at 0.5.
    assert scores["AP50"] == pytest.approx(1.0)


def test_results_stand_image_by_image_best_person_first(tmp_path):
    out_file = tmp_path / "results.json"
    mixed = [EXAMPLE_PEOPLE[i] for i in (4, 1, 3, 0, 2)]
    score(mixed, example_annotations(), nms=None, out_file=out_file)
    written = [(record["image_id"], record["score"]) for record in json.loads(out_file.read_text())]
    assert written == [(1, 0.95), (1, 0.9), (1, 0.8), (2, 0.6), (2, 0.4)]


def test_soft_nms_writes_the_lowered_scores(tmp_path):
    out_file = tmp_path / "results.json"
    score(EXAMPLE_PEOPLE, example_annotations(), nms="soft", out_file=out_file)
    written = [record["score"] for record in json.loads(out_file.read_text()) if record["image_id"] == 1]
    assert written[:2] == pytest.approx([0.95, 0.8])  # two people far apart (oks below 1e-6)
    assert 0 < written[2] < 0.6  # the second pose of the first person


@pytest.mark.parametrize(
    ("mode", "expected"), [("box_keypoint", 0.5 * 0.8), ("box", 0.5), ("keypoint", (9 * 0.8 + 8 * 0.1) / 17)]
)
def test_score_modes(mode, expected):
    keypoint_scores = np.where(np.arange(17) < 9, 0.8, 0.1).astype(np.float32)
    _, one = person(1, grid_pose(110, 110, 20), 0.5, scores=keypoint_scores)
    # Heatmap maxima are float32: their relative error is below 2 ** -24.
    assert PoseFinish(scheme=COCO, score=mode)([one]).scores[0] == pytest.approx(expected, rel=2**-24)


def test_nobody_stays_nobody():
    _, one = person(1, grid_pose(110, 110, 20), 0.5)
    for nms in ("oks", "soft", None):
        assert len(PoseFinish(scheme=COCO, nms=nms)([one.select(slice(0, 0))]).labels) == 0


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
            people.append(person(truth["image_id"], keypoints.astype(np.float32), rng.uniform(), box, scores))
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
    return dict(zip(KEYPOINT_NUMBERS, evaluation.stats, strict=True))


@pytest.mark.parametrize("image_ids", [range(1, 31), [3, 8, 11, 29]], ids=["all images", "some images"])
@pytest.mark.parametrize("options", [{}, {"write_bbox": True}, {"nms": "soft"}, {"nms": None, "score": "keypoint"}])
def test_equals_pycocotools_called_on_the_written_file(tmp_path, options, image_ids):
    rng = np.random.default_rng(1)
    annotations = random_annotations(rng, range(1, 31))
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, range(1, 31))
    out_file = tmp_path / "made" / "on_the_way" / "results.json"
    people = random_people(rng, annotations)
    scores = score(people, annotations, image_ids, out_file=out_file, **options)
    assert scores == pycocotools_stats(ann_file, out_file, COCO.sigmas, image_ids)
    assert 0.1 < scores["AP"] < 0.9
    assert [file.name for file in out_file.parent.iterdir()] == ["results.json"]


def test_equal_scores_are_ordered_by_the_ids_of_the_images(tmp_path):
    rng = np.random.default_rng(3)
    annotations = random_annotations(rng, range(1, 31))
    people = random_people(rng, annotations)
    same = {"point_scores": np.ones((1, 17)), "scores": np.ones(1)}
    people = [(image, record._replace(**same)) for image, record in people]
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, range(1, 31))
    out_file = tmp_path / "results.json"
    scores = score(people, annotations, range(1, 31), out_file=out_file)
    assert scores == pycocotools_stats(ann_file, out_file, COCO.sigmas)
    assert scores != score(people, annotations, range(30, 0, -1))


def test_an_image_that_nobody_cropped_counts():
    everywhere = score(EXAMPLE_PEOPLE, example_annotations(), nms=None)
    people = [one for one in EXAMPLE_PEOPLE if one[0] == 1]
    scores = score(people, example_annotations(), nms=None)
    assert scores["AR"] < everywhere["AR"]
    assert (
        score(people, example_annotations(), (1,), nms=None)["AP"]
        > score(people, example_annotations(), nms=None)["AP"]
    )


def test_uses_the_sigmas_of_the_scheme(tmp_path):
    rng = np.random.default_rng(2)
    annotations = random_annotations(rng, range(1, 11))
    people = random_people(rng, annotations)
    ann_file = write_annotations(tmp_path / "annotations.json", annotations, range(1, 11))
    strict = KeypointScheme(names=COCO.names, sigmas=[0.02] * 17)
    out_file = tmp_path / "results.json"
    scores = score(people, annotations, range(1, 11), scheme=strict, out_file=out_file)
    assert scores == pycocotools_stats(ann_file, out_file, strict.sigmas)
    assert scores["AP"] < score(people, annotations, range(1, 11))["AP"]


def test_annotations_given_as_predictions_reach_one():
    metric, finish = CocoKeypointMetric(), PoseFinish(scheme=COCO)
    truths = [truth_of(example_annotations(), image_id) for image_id in (1, 2)]
    measures = [metric.measure(finish([truth.as_prediction()]), truth, COCO) for truth in truths]
    assert list(metric.score(measures, COCO).values()) == pytest.approx([1.0] * 10)
    # As they stand they would find what is to be ignored, and points that are not labelled.
    assert sum(len(measure.found.labels) for measure in measures) == 3


def test_no_predictions_score_zero_with_a_warning(caplog):
    assert score([], example_annotations()) == dict.fromkeys(KEYPOINT_NUMBERS, 0.0)
    assert "no predictions to score" in caplog.text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["points", "scores"])
def test_what_is_not_finite_counts_as_missed(caplog, field, bad):
    perfect = [person(1, grid_pose(110, 110, 20), 0.9), person(2, grid_pose(60, 60, 30), 0.8)]
    spoiled = [
        (image, record._replace(**{field: np.full_like(getattr(record, field), bad)})) for image, record in perfect
    ]
    assert set(score(spoiled, example_annotations(), nms=None, score="box").values()) == {0.0}
    assert "2 of 2 predictions are not finite" in caplog.text
    half = score([spoiled[0], perfect[1]], example_annotations(), nms=None, score="box")
    assert half == score(perfect[1:], example_annotations(), nms=None, score="box")


def test_one_point_that_is_not_finite_harms_nobody_else():
    people = [person(1, grid_pose(110, 110, 20), 0.9), person(1, grid_pose(305, 105, 14), 0.8)]
    people[0][1].points[0, 3] = np.nan
    for nms in ("oks", "soft"):
        record = finished(people, 1, PoseFinish(scheme=COCO, nms=nms))
        assert record.scores.tolist() == pytest.approx([0.9, 0.8])


def flock(count):
    """Annotations and perfect predictions of one image with many people."""
    everything = np.full(17, 2)
    poses = [grid_pose(100 * i, 10, 15) for i in range(count)]
    annotations = [annotation(i + 1, 1, 4000, [100 * i, 10, 60, 50], pose, everything) for i, pose in enumerate(poses)]
    return annotations, [person(1, pose, 1 - i / 100, (100 * i, 10, 60, 50)) for i, pose in enumerate(poses)]


def test_how_many_people_of_an_image_count_is_an_option():
    annotations, people = flock(30)
    truth, record = truth_of(annotations, 1), finished(people, 1, PoseFinish(scheme=COCO))
    for metric, recall in ((CocoKeypointMetric(), 20 / 30), (CocoKeypointMetric(most=30), 1)):
        assert metric.score([metric.measure(record, truth, COCO)], COCO)["AR"] == pytest.approx(recall)
    with pytest.raises(OptionError, match="most is 0"):
        CocoKeypointMetric(most=0)


def test_where_nobody_counts_the_log_says_so(caplog):
    annotations = [{**one, "num_keypoints": 0} for one in example_annotations()]
    assert set(score(EXAMPLE_PEOPLE, annotations).values()) == {-1.0}
    assert "none of 4 annotated objects counts" in caplog.text


def test_a_failed_write_leaves_the_previous_file(tmp_path):
    out_file = tmp_path / "results.json"
    out_file.write_text("the previous one")
    with pytest.raises(TypeError, match="set is not JSON serializable"):  # json knows no sets
        CocoKeypointMetric().writer.write(str(out_file), [{1}])
    assert out_file.read_text() == "the previous one"
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_results_have_the_category_and_the_box_of_the_file():
    scheme = KeypointScheme(COCO.names, sigmas=COCO.sigmas, classes=ClassScheme(("rider",), ids=(7,)))
    _, one = person(1, grid_pose(110, 110, 20), 0.5, (100, 90, 40, 30))
    (result,) = CocoKeypointMetric(write_bbox=True).writer.pack("", "image-1", one, scheme)
    assert (result["image_id"], result["category_id"], result["bbox"]) == ("image-1", 7, [100, 90, 40, 30])
    np.testing.assert_array_equal(np.reshape(result["keypoints"], (17, 3))[:, :2], grid_pose(110, 110, 20))
    assert CocoKeypointMetric().writer.pack("", 1, one.select(slice(0, 0)), scheme) == []


# --- COCO: from a file ---


def score_file(path, people=EXAMPLE_PEOPLE, write_bbox=False):
    """Score people against a file, whose images are measured in its order."""
    samples = CocoKeypoints(data_root=path.parent, ann_file=path.name, image_dir="images")
    metric, finish = CocoKeypointMetric(write_bbox), PoseFinish(scheme=samples.scheme, nms=None)
    measures = {
        i: metric.measure(finished(people, image_id, finish), samples.truth(i), samples.scheme)
        for i, image_id in enumerate(samples.images.ids.tolist())
    }
    return list(score_subsets(metric, samples, measures)[0].values())


@pytest.mark.parametrize("ids", [[0, 1, 2, 3], [7, 7, 7, 7]], ids=["from zero", "repeated"])
def test_annotation_ids_do_not_change_the_score(tmp_path, ids):
    annotations = [{**one, "id": number} for one, number in zip(example_annotations(), ids, strict=True)]
    write_annotations(tmp_path / "people.json", annotations, [1, 2])
    assert score_file(tmp_path / "people.json") == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_crowd_flag_keypoint_count_and_empty_keypoints_may_be_missing(tmp_path):
    absent = ("iscrowd", "num_keypoints")
    annotations = [{k: v for k, v in one.items() if k not in absent} for one in example_annotations()]
    assert not any(annotations[3].pop("keypoints"))
    write_annotations(tmp_path / "people.json", annotations, [1, 2])
    assert score_file(tmp_path / "people.json") == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_annotations_of_other_categories_do_not_matter(tmp_path):
    other = {"id": 9, "image_id": 1, "category_id": 2, "bbox": [0, 0, 50, 50]}
    write_annotations(tmp_path / "people.json", [other, *example_annotations()], [1, 2])
    content = json.loads((tmp_path / "people.json").read_text())
    content["categories"].append({"id": 2, "name": "dog"})
    (tmp_path / "people.json").write_text(json.dumps(content))
    assert score_file(tmp_path / "people.json") == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


def test_image_ids_may_be_texts(tmp_path):
    annotations = [{**one, "image_id": f"image-{one['image_id']}"} for one in example_annotations()]
    write_annotations(tmp_path / "people.json", annotations, ["image-1", "image-2"])
    people = [(f"image-{image_id}", record) for image_id, record in EXAMPLE_PEOPLE]
    assert score_file(tmp_path / "people.json", people) == pytest.approx(STATS_WITHOUT_BBOX, rel=1e-15)


@pytest.mark.parametrize("equal", [False, True], ids=["all scores", "equal scores"])
@pytest.mark.parametrize("write_bbox", [False, True])
def test_a_file_in_any_order_gives_the_numbers_of_pycocotools(tmp_path, equal, write_bbox):
    rng = np.random.default_rng(4)
    annotations = random_annotations(rng, range(1, 31))
    for one in annotations:
        one["keypoints"] = np.round(one["keypoints"], 1).tolist()
        one["num_keypoints"] = int(rng.integers(0, 3))  # what the file says counts
    people = random_people(rng, annotations)
    if equal:
        same = {"point_scores": np.ones((1, 17)), "scores": np.ones(1)}
        people = [(image, record._replace(**same)) for image, record in people]
    shuffled = [annotations[i] for i in rng.permutation(len(annotations))]
    ann_file = write_annotations(tmp_path / "people.json", shuffled, rng.permutation(np.arange(1, 31)).tolist())
    metric, finish = CocoKeypointMetric(write_bbox), PoseFinish(scheme=COCO, nms=None)
    records = [(i, finished(people, i, finish)) for i in range(1, 31)]
    packed = [one for i, record in records if record is not None for one in metric.writer.pack("", i, record, COCO)]
    metric.writer.write(str(tmp_path / "results.json"), packed)
    expected = pycocotools_stats(ann_file, tmp_path / "results.json", COCO.sigmas)
    # faster-coco-eval sums in another order.
    tolerance = 0 if coco_eval.COCOeval is COCOeval else 1e-14
    scores = score_file(tmp_path / "people.json", people, write_bbox)
    assert scores == pytest.approx(list(expected.values()), rel=tolerance, abs=0)


@pytest.mark.parametrize("field", ["area", "bbox"])
def test_annotations_that_cannot_be_scored_are_counted(field):
    annotations = example_annotations()
    annotations[3][field] = np.nan if field == "area" else [np.nan] * 4  # even of somebody who is ignored
    with pytest.raises(DataError, match=r"1 of 4 annotated objects lack `area` or `bbox`; add what is missing"):
        score(EXAMPLE_PEOPLE, annotations)


@pytest.mark.parametrize("option", [{"nms": "hard"}, {"score": "hard"}])
def test_unknown_options_are_named(option):
    with pytest.raises(OptionError, match=f"{next(iter(option))} is 'hard', expected one of"):
        PoseFinish(scheme=COCO, **option)


@pytest.mark.parametrize(("name", "headline"), [("CocoKeypointMetric", "AP"), ("MpiiPckMetric", "PCKh")])
def test_metrics_are_built_by_name_and_know_their_headline(name, headline):
    assert METRICS.build({"type": name}).headline == headline


# --- MPII ---


def mpii_example():
    """Four people with known errors: predictions, truth, what is labelled, and corners of heads."""
    n, j = np.arange(4)[:, None], np.arange(16)[None]
    points = np.stack(np.broadcast_arrays(99 + 20 * j + 3 * n, 79 + 15 * j + 5 * n), axis=-1).astype(np.float32)
    errors = np.stack([1.5 * (j % 5) * (n + 1), -2.0 * (j % 3) * (n + 1)], axis=-1)
    visible = np.ones((4, 16), np.uint8)
    visible[[1, 3, 2], [9, 0, 10]] = 0
    corners = np.stack([np.full((4, 2), 100), np.array([(130 + 10 * i, 140 + 10 * i) for i in range(4)])])
    return (points + errors).astype(np.float32), points, visible, np.linalg.norm(corners[1] - corners[0], axis=-1)


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


def test_pckh_gives_the_official_numbers():
    predictions, points, visible, head_sizes = mpii_example()
    assert 0.6 * head_sizes == pytest.approx([30, 38.41874542459709, 46.861498055439924, 55.31726674375732], rel=1e-15)
    # The official mean multiplies percentages by counts and divides again: a few roundings.
    scores = pckh(predictions, points, visible, head_sizes, threshold=0.5)
    assert scores == pytest.approx({name: MPII_NUMBERS[name] for name in scores}, rel=1e-14)
    assert pckh(predictions, points, visible, head_sizes, 0.1)["PCKh"] == pytest.approx(
        MPII_NUMBERS["PCKh@0.1"], rel=1e-14
    )


def mpii_truth(points, visible, head_size):
    labels = np.zeros(1, np.int64)
    sizes = None if head_size is None else np.array([head_size])
    return Objects(np.zeros((1, 4)), labels, points=points[None], visible=visible[None], sizes=sizes)


def test_mpii_metric_measures_person_by_person(tmp_path):
    predictions, *truths = mpii_example()
    metric = MpiiPckMetric()
    people = [person(f"{i:03d}.jpg", pose, 1.0) for i, pose in enumerate(predictions)]
    measures = [
        metric.measure(record, mpii_truth(*truth), MPII)
        for (_, record), truth in zip(people, zip(*truths, strict=True), strict=True)
    ]
    assert metric.score(measures, MPII) == pytest.approx(MPII_NUMBERS, rel=1e-14)
    out_file = tmp_path / "poses.json"
    packed = [one for name, record in people for one in metric.writer.pack(str(out_file), name, record, MPII)]
    metric.writer.write(str(out_file), packed)
    written = json.loads(out_file.read_text())
    assert [(one["index"], one["image_id"]) for one in written] == [(i, f"{i:03d}.jpg") for i in range(4)]
    assert (np.array([one["keypoints"] for one in written], np.float32) == predictions).all()


def test_pckh_counts_an_error_of_exactly_the_threshold():
    points = np.full((1, 16, 2), 10.0)
    predictions = points.copy()
    predictions[0, MPII.names.index("left_knee")] += (3.0, 4.0)  # 5 px; half of 10 px
    head_sizes = np.array([10 / 0.6])
    visible = np.ones((1, 16))
    assert 0.6 * head_sizes[0] == 10.0
    assert pckh(predictions, points, visible, head_sizes, 0.5)["PCKh"] == 100.0
    below = pckh(predictions, points, visible, head_sizes, 0.499)
    assert below["Knee"] == 50.0 and below["PCKh"] == pytest.approx(100 * 13 / 14)


def test_pckh_leaves_pelvis_and_thorax_out_of_the_mean():
    points = np.zeros((1, 16, 2))
    predictions = points.copy()
    predictions[0, [MPII.names.index("pelvis"), MPII.names.index("thorax")]] = 1000.0
    assert pckh(predictions, points, np.ones((1, 16)), np.array([10.0]), 0.5)["PCKh"] == 100.0


def test_pckh_of_a_part_that_nobody_has_is_nan():
    visible = np.ones((1, 16))
    visible[0, MPII.names.index("left_hip")] = 0
    scores = pckh(np.zeros((1, 16, 2)), np.zeros((1, 16, 2)), visible, np.array([10.0]), 0.5)
    assert np.isnan(scores["Hip"]) and scores["PCKh"] == 100.0


def test_mpii_needs_the_official_file():
    predictions, points, visible, _ = mpii_example()
    _, record = person("0.jpg", predictions[0], 1.0)
    with pytest.raises(DataError, match=r"PCKh needs the dataset's `gt_file`; take gt_valid.mat"):
        MpiiPckMetric().measure(record, mpii_truth(points[0], visible[0], None), MPII)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pckh_counts_what_is_not_finite_as_missed_and_says_so(caplog, bad):
    points = np.arange(32, dtype=float).reshape(16, 2)
    truth, metric = mpii_truth(points, np.ones(16), 10.0), MpiiPckMetric()
    spoiled = points.copy()
    spoiled[:] = bad
    measures = [metric.measure(truth._replace(points=p[None]), truth, MPII) for p in (points, spoiled)]
    assert metric.score(measures, MPII)["PCKh"] == 50.0
    assert "1 of 2 predictions are not finite" in caplog.text


def test_categories_are_scored_apart_and_their_mean_is_the_number():
    """The vector of AP-10K: 17 keypoints, three of four categories present, predictions of the truth's category."""
    sigmas = [.025, .025, .026, *[.035, .035, .079, .072, .062, .079, .072, .062], *[.107, .087, .089] * 2]  # fmt: skip
    classes = ClassScheme(("a", "b", "c", "d"), ids=(1, 2, 3, 4))
    scheme = KeypointScheme([f"k{i}" for i in range(17)], sigmas=sigmas, classes=classes)
    measures, metric = [], CocoKeypointMetric()
    for image, (label, shift) in enumerate(zip((0, 0, 1, 2), (0, 4, 8, 30), strict=True)):
        pose, labels = grid_pose(50, 50, 15), np.array([label])
        one = truth_of([annotation(1, 1, 6000, [40, 40, 90, 80], pose, np.full(17, 2))], 1)._replace(labels=labels)
        _, record = person(1, pose + np.float32((shift, 0)), 0.9 - image / 10)
        measures.append(metric.measure(record._replace(labels=labels), one, scheme))
    numbers = metric.score(measures, scheme)
    assert [numbers[name] for name in ("AP", "AP50", "AP75")] == pytest.approx([0.400330, 0.666667, 0.333333], abs=1e-6)
    (result,) = metric.writer.pack("", "image-1", measures[2].found, scheme)
    assert result["category_id"] == 2

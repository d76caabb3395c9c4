"""CrowdPose: its files, and average precision against the numbers of the official evaluation code."""

import json

import numpy as np
import pytest

from hrtoolkit.coco_eval import evaluate
from hrtoolkit.metric import score_subsets, score_truth
from hrtoolkit.records import Objects, join
from hrtoolkit.schemes import ClassScheme, KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import COCO, CROWDPOSE
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, CrowdPoseMetric

CATEGORY = {"id": 1, "name": "person", "keypoints": list(CROWDPOSE.names), "skeleton": [[16, 14], [1, 2]]}


def pose(x, y, step, shift=(0, 0), row=4, count=14):
    """Keypoints of equal steps, `row` of them side by side, and then moved."""
    i = np.arange(count)
    return np.stack([x + step * (i % row), y + step * (i // row)], axis=-1) + np.array(shift, float)


def annotate(image, box, points, labelled=range(14), crowd=0, visibility=2, counted=None):
    flags = np.isin(np.arange(14), labelled) * visibility
    keypoints = np.concatenate([points * (flags > 0)[:, None], flags[:, None]], axis=1).ravel().tolist()
    counted = int((flags[:12] > 0).sum()) if counted is None else counted
    return dict(image_id=image, category_id=1, bbox=box, keypoints=keypoints, iscrowd=crowd, num_keypoints=counted)


def write(folder, crowding, annotations, categories=(CATEGORY,)):
    """A file without areas and segmentations, as the released ones."""
    images = [
        dict(id=i, file_name=f"{i}.jpg", width=640, height=480, crowdIndex=value) for i, value in crowding.items()
    ]
    numbered = [dict(one, id=number) for number, one in enumerate(annotations, start=1)]
    content = dict(images=images, annotations=numbered, categories=list(categories))
    (folder / "people.json").write_text(json.dumps(content))


def load(folder, file="people.json", **options):
    return CocoKeypoints(data_root=folder, ann_file=file, image_dir=".", **{"scheme": "crowdpose", **options})


def found(people):
    """A prediction of people (score, points)."""
    points = np.array([points for _, points in people]).reshape(-1, 14, 2)
    scores = np.array([score for score, _ in people])
    boxes, labels = np.zeros((len(people), 4)), np.zeros(len(people), int)
    return Objects(boxes, labels, scores, points, point_scores=np.ones((len(people), 14)))


def score(samples, predictions, metric=None):
    """Numbers of predictions by image id; somebody looked at every image."""
    metric = metric or CrowdPoseMetric()
    measures = {
        sample: metric.measure(found(predictions.get(image, [])), samples.truth(sample), samples.scheme)
        for sample, image in enumerate(samples.images.ids.tolist())
    }
    return score_subsets(metric, samples, measures)[0]


TRUTH = [
    annotate(1, [100, 100, 100, 120], pose(110, 110, 20)),
    annotate(2, [50, 50, 150, 200], pose(60, 60, 30)),
    annotate(2, [150, 60, 150, 200], pose(160, 70, 30), range(6)),
    annotate(2, [400, 300, 60, 60], pose(405, 305, 10), (12, 13)),
    annotate(3, [10, 10, 80, 80], pose(15, 15, 15)),
    annotate(3, [40, 15, 80, 80], pose(45, 20, 15)),
    annotate(3, [300, 200, 100, 100], pose(310, 210, 20), crowd=1),
    annotate(4, [200, 100, 90, 160], pose(210, 110, 22)),
]
FOUND = {
    1: [(0.9, pose(110, 110, 20, (3, 2))), (0.3, pose(300, 300, 20))],
    2: [
        (0.95, pose(60, 60, 30, (6, 4))),
        (0.7, pose(160, 70, 30, (2, -2))),
        (0.65, pose(405, 305, 10, (1, 0))),
        (0.5, pose(64, 66, 30)),
    ],
    3: [
        (0.85, pose(15, 15, 15, (2, 1))),
        (0.8, pose(45, 20, 15, (8, 0))),
        (0.75, pose(310, 210, 20, (1, 1))),
        (0.4, pose(30, 17, 15)),
    ],
    4: [(0.6, pose(210, 110, 22, (10, -5)))],
}
CROWDING = {1: 0.1, 2: 0.2, 3: 0.8, 4: 0.5}


def test_the_numbers_are_the_official_ones(tmp_path):
    write(tmp_path, CROWDING, TRUTH)
    samples = load(tmp_path)
    assert score(samples, FOUND) == {
        "AP": 0.7629372937293729,
        "AP50": 1.0,
        "AP75": 0.6316831683168317,
        "AR": 0.8,
        "AR50": 1.0,
        "AR75": 0.6666666666666666,
        "AP easy": 1.0,
        "AP medium": 0.7822,
        "AP hard": 0.703,
    }
    missed = score(samples, FOUND | {1: []})
    assert missed["AP"] == 0.5944554455445544 and missed["AP easy"] == 0
    coco = score(samples, FOUND, CocoKeypointMetric())  # whose areas are those of the whole boxes
    assert coco["AP"] == 0.8895049504950495 and "AP easy" in coco


def test_a_subset_in_which_nobody_counts_has_minus_one(tmp_path):
    write(tmp_path, CROWDING | {1: 0.3}, TRUTH)
    numbers = score(load(tmp_path), FOUND)
    assert numbers["AP easy"] == -1 and numbers["AP medium"] == 0.8347
    crowd = [*TRUTH[1:], annotate(1, [100, 100, 100, 120], pose(110, 110, 20), crowd=1)]
    write(tmp_path, CROWDING, crowd)
    assert score(load(tmp_path), FOUND)["AP easy"] == -1
    assert score(load(tmp_path), {})["AP easy"] == -1 and score(load(tmp_path), {})["AP hard"] == 0


def test_files_without_a_crowd_index_have_no_subsets(tmp_path):
    write(tmp_path, dict.fromkeys(CROWDING), TRUTH)
    assert set(score(load(tmp_path), FOUND)) == {"AP", "AP50", "AP75", "AR", "AR50", "AR75"}


def test_head_and_neck_are_not_counted_and_nobody_is_warned_of_it(tmp_path):
    write(tmp_path, CROWDING, TRUTH)
    samples = load(tmp_path)
    assert {f.level for f in samples.findings} == {"note"}
    assert samples.truth(1).ignored.tolist() == [False, False, True]  # of whom head and neck alone are labelled
    assert len(samples.to_learn(1).labels) == 3
    wrong = [dict(TRUTH[0], num_keypoints=14), *TRUTH[1:]]
    write(tmp_path, CROWDING, wrong)
    assert any("is not the number of labelled ones: 1" in f.what + f": {f.count}" for f in load(tmp_path).findings)


def test_the_scheme_has_a_skeleton_and_exchanges_left_and_right():
    scheme = resolve_scheme("crowdpose", KeypointScheme)
    assert scheme.flip_order() == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13]
    assert len(scheme.sigmas) == 14 and scheme.sigmas[12:] == (0.079, 0.079)
    assert resolve_scheme(list(CROWDPOSE.names), KeypointScheme) == scheme


def test_the_skeleton_of_the_files_is_not_taken(tmp_path):
    write(tmp_path, CROWDING, TRUTH)
    assert load(tmp_path).scheme.skeleton == CROWDPOSE.skeleton


# Of files that are not in the repository


def test_the_examples_of_the_official_code(test_data):
    folder = test_data / "keypoint_sets" / "metric_examples"
    samples = load(folder, "example_crowdpose_val.json")
    predictions = {}
    for one in json.loads((folder / "example_crowdpose_preds.json").read_text()):
        points = np.reshape(one["keypoints"], (14, 3))[:, :2]
        predictions.setdefault(one["image_id"], []).append((one["score"], points))
    numbers = score(samples, predictions)
    expected = [0.787722, 0.988119, 0.731436, 0.822222, 1, 0.777778, 1, 0.9802, 0.4116]
    assert list(numbers.values()) == pytest.approx(expected, abs=5e-7)


def test_the_synthetic_example_of_all_subsets(test_data, tmp_path):
    folder = test_data / "keypoint_sets" / "metric_examples"
    names = dict(scheme="crowdpose", category="person")
    samples = load(folder, "vector8_crowd_gt.json", **names)
    predictions = {}
    for one in json.loads((folder / "vector8_crowd_dt.json").read_text()):
        points = np.reshape(one["keypoints"], (14, 3))[:, :2]
        predictions.setdefault(one["image_id"], []).append((one["score"], points))
    expected = [0.696975, 0.857143, 0.857143, 0.833333, 1, 1, 1, 0.8505, 0.4252]
    assert list(score(samples, predictions).values()) == pytest.approx(expected, abs=5e-7)
    # Whoever is labelled is not who counts: it is whom the file counts keypoints of.
    metric, measures = CrowdPoseMetric(), {}
    for sample, image in enumerate(samples.images.ids.tolist()):
        truth = samples.truth(sample)
        everybody = truth._replace(ignored=~(truth.visible > 0).any(axis=1))
        measures[sample] = metric.measure(found(predictions.get(image, [])), everybody, samples.scheme)
    numbers = score_subsets(metric, samples, measures)[0]
    assert [numbers["AP"], numbers["AP50"]] == pytest.approx([0.735262, 0.875], abs=5e-7)
    # A file of the two images of the medium subset alone.
    content = json.loads((folder / "vector8_crowd_gt.json").read_text())
    content["images"] = [one for one in content["images"] if one["id"] in (3, 4)]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] in (3, 4)]
    (tmp_path / "medium.json").write_text(json.dumps(content))
    numbers = score(load(tmp_path, "medium.json", **names), predictions)
    expected = [0.850495, 1, 1, 0.85, 1, 1, -1, 0.8505, -1]
    assert list(numbers.values()) == pytest.approx(expected, abs=5e-7)


def test_the_sample_of_the_release_is_read_without_a_warning(test_data):
    samples = load(test_data / "keypoint_sets" / "crowdpose", "test_crowdpose.json")
    assert {f.level for f in samples.findings} == {"note"} and len(samples) == 2
    assert {name: int(chosen.sum()) for name, chosen in samples.subsets.items()} == {"easy": 0, "medium": 2, "hard": 0}
    assert score_truth(CrowdPoseMetric(), samples, join)[0] == pytest.approx(1.0)


# COCO, where a bottom-up network finds many


def coco_people(count):
    """A person among false ones that have better scores: truth and prediction."""
    points = pose(110, 110, 20, row=5, count=17)
    false = [pose(400 + i, 300, 8, row=5, count=17) for i in range(count)]
    scores = np.array([*(0.9 - 0.01 * np.arange(count)), 0.5])
    boxes, labels = np.zeros((count + 1, 4)), np.zeros(count + 1, int)
    prediction = Objects(boxes, labels, scores, np.array([*false, points]), point_scores=np.ones((count + 1, 17)))
    visible = np.full((1, 17), 2, np.uint8)
    truth = Objects(
        np.array([[100.0, 100, 200, 220]]), labels[:1], None, points[None], visible, areas=np.array([12000.0])
    )
    return truth, prediction


@pytest.mark.parametrize(("false", "ap"), [(20, 0.0), (19, 0.05)])
def test_twenty_people_an_image_count(false, ap):
    truth, prediction = coco_people(false)
    person = ClassScheme(("person",), ids=(1,))
    numbers = evaluate([truth], [prediction], "keypoints", person, COCO.sigmas).numbers
    assert numbers["AP"] == pytest.approx(ap, abs=1e-3)
    nobody = truth.select(slice(0))
    again = evaluate([truth, nobody], [prediction, prediction.select(slice(0))], "keypoints", person, COCO.sigmas)
    assert again.numbers == numbers

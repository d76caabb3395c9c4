"""Average precision of whole bodies and their parts, against the numbers of the authors' code (xtcocotools)."""

import json

import numpy as np
import pytest

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import score_subsets
from hrtoolkit.records import Objects
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.whole_body import WholeBodyMetric

FIELDS = dict(
    body="keypoints", foot="foot_kpts", face="face_kpts", left_hand="lefthand_kpts", right_hand="righthand_kpts"
)
PARTS = dict(body=17, foot=6, face=68, left_hand=21, right_hand=21)
OFFSETS = dict(body=(0, 0), foot=(0, 100), face=(30, -20), left_hand=(-40, 50), right_hand=(60, 50))
ENDS = np.cumsum([0, *PARTS.values()])
SLICES = {name: slice(*ends) for name, *ends in zip(PARTS, ENDS[:-1], ENDS[1:], strict=True)}
NAMES = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
CATEGORY = dict(id=1, name="person", keypoints=["nose"])  # fewer names than keypoints, as in the files


def load(folder, file):
    parts = [dict(keypoints=list(FIELDS.values()))]
    return CocoKeypoints(data_root=folder, ann_file=file, image_dir=".", scheme="coco_wholebody", parts=parts)


def measure(samples, predictions):
    """Measures of predictions (image id, score, points [133, 2]) by sample."""
    metric = WholeBodyMetric()
    measures = {}
    for sample, image in enumerate(samples.images.ids.tolist()):
        points = np.array([points for at, _, points in predictions if at == image]).reshape(-1, 133, 2)
        scores = np.array([score for at, score, _ in predictions if at == image])
        boxes, labels = np.zeros((len(points), 4)), np.zeros(len(points), int)
        found = Objects(boxes, labels, scores, points, point_scores=np.ones(points.shape[:2]))
        measures[sample] = metric.measure(found, samples.truth(sample), samples.scheme)
    return metric, measures


def score_all(samples, predictions):
    """Every number of every part, "whole" among them."""
    metric, measures = measure(samples, predictions)
    some = [measures[sample] for sample in np.argsort(samples.images.ids, kind="stable").tolist()]
    numbers = {n: list(metric.score_part(some, samples.scheme, which).values()) for n, which in SLICES.items()}
    whole, _ = score_subsets(metric, samples, measures)
    for name, of_part in numbers.items():
        assert (whole[f"AP {name}"], whole[f"AR {name}"]) == (of_part[0], of_part[5])
    return {**numbers, "whole": [whole[name] for name in NAMES]}


def grid(count, x, y, step):
    i = np.arange(count)
    return np.stack([x + step * (i % 5), y + step * (i // 5)], axis=-1).astype(float)


def person(x, y, step):
    """All 133 points: body and feet in wide steps, face and hands in narrow ones."""
    steps = {name: step if name in ("body", "foot") else step / 4 for name in PARTS}
    return np.concatenate([grid(n, x + OFFSETS[p][0], y + OFFSETS[p][1], steps[p]) for p, n in PARTS.items()])


def join_fields(record):
    """The points [133, 2] of a record in the files' fields."""
    return np.concatenate([np.reshape(record[field], (-1, 3))[:, :2] for field in FIELDS.values()])


@pytest.fixture
def synthetic(tmp_path):
    """Three people in two images, who have different parts labelled."""

    def annotate(number, image, points, area, box, parts):
        one = dict(id=number, image_id=image, category_id=1, area=area, bbox=box, iscrowd=0, num_keypoints=17)
        for name, field in FIELDS.items():
            values = np.concatenate([points[SLICES[name]], np.full((PARTS[name], 1), 2)], axis=1)
            one[field] = (values * (name in parts)).ravel().tolist()
        return one

    people = [
        annotate(1, 1, person(100, 100, 20), 12000, [80, 80, 120, 160], list(PARTS)),
        annotate(2, 1, person(300, 100, 14), 5000, [280, 80, 90, 110], ["body", "foot", "left_hand"]),
        annotate(3, 2, person(60, 60, 30), 20000, [40, 40, 200, 300], ["face", "right_hand"]),
    ]
    images = [dict(id=i, file_name=f"{i}.jpg", width=640, height=480) for i in (1, 2)]
    content = dict(images=images, annotations=people, categories=[CATEGORY])
    (tmp_path / "people.json").write_text(json.dumps(content))
    return load(tmp_path, "people.json")


FOUND = [
    (1, 0.9, person(102, 101, 20)),
    (1, 0.8, person(301, 99, 14)),
    (2, 0.7, person(61, 62, 30)),
]


def test_the_numbers_of_every_part_are_the_official_ones(synthetic):
    assert score_all(synthetic, FOUND) == {
        name: pytest.approx(numbers, abs=1e-12)
        for name, numbers in dict(
            body=[1] * 10,
            foot=[1] * 10,
            face=[0.4504950495049505, 1, 0.2524752475247525, -1, 0.500990099009901, 0.5, 1, 0.5, -1, 0.5],
            left_hand=[0.9, 1, 1, 0.9, 0.9, 0.9, 1, 1, 0.9, 0.9],
            right_hand=[0.9, 1, 1, -1, 0.9, 0.9, 1, 1, -1, 0.9],
            whole=[0.6947194719471946, 1, 1, 0.8, 0.6504950495049505, 0.7666666666666666, 1, 1, 1, 0.65],
        ).items()
    }


def test_a_part_far_from_everybody_is_a_false_positive_by_the_score_of_its_person(synthetic):
    face = score_all(synthetic, [*FOUND, (1, 0.95, FOUND[0][2] + 200)])["face"]
    assert face[:3] == pytest.approx([0.3003300330033003, 0.6666666666666669, 0.16831683168316833], abs=1e-12)


def test_the_file_does_not_decide_who_counts_in_a_part(synthetic):
    truth = synthetic.truth(1)
    assert truth.ignored.tolist() == [False] and not truth.visible[0, :17].any()  # no body, and yet somebody


def test_parts_that_are_not_those_of_the_data_are_refused(synthetic):
    with pytest.raises(DataError, match="the parts have 17 keypoints, and the data 133"):
        WholeBodyMetric(dict(body=17)).measure(None, synthetic.truth(0), synthetic.scheme)
    with pytest.raises(OptionError, match=r"each part has a keypoint at least, got \{'body': 0\}"):
        WholeBodyMetric(dict(body=0))


# Of files that are not in the repository


def test_the_examples_of_the_official_code(test_data):
    folder = test_data / "keypoint_sets" / "metric_examples"
    found = json.loads((folder / "example_wholebody_preds.json").read_text())
    predictions = [(one["image_id"], one["score"], join_fields(one)) for one in found]
    assert score_all(load(folder, "example_wholebody_val.json"), predictions) == {
        name: pytest.approx(numbers, abs=5e-7)
        for name, numbers in dict(
            body=[0.853922, 1, 0.935231, 0.776544, 0.922774, 0.895833, 1, 0.958333, 0.827273, 0.953846],
            foot=[0.957105, 1, 0.98544, 0.923762, 0.979066, 0.975, 1, 1, 0.957143, 0.988889],
            face=[0.727013, 1, 0.816007, 0.69901, 0.751909, 0.746154, 1, 0.846154, 0.7, 0.76],
            left_hand=[0.548743, 0.793729, 0.574257, 0.764356, 0.477492, 0.575, 0.833333, 0.583333, 0.8, 0.5],
            right_hand=[
                0.497841,
                0.644564,
                0.526253,
                0.826733,
                0.363096,
                0.561538,
                0.692308,
                0.615385,
                0.825,
                0.444444,
            ],
            whole=[0.642076, 1, 0.841089, 0.67645, 0.630317, 0.704167, 1, 0.875, 0.745455, 0.669231],
        ).items()
    }


def test_the_real_sample_with_everybody_a_little_displaced(test_data):
    folder = test_data / "keypoint_sets" / "coco_wholebody"
    people = json.loads((folder / "test_coco_wholebody.json").read_text())["annotations"]
    people = sorted(people, key=lambda one: one["id"])
    moved = np.array([3, -2])
    predictions = [(one["image_id"], 1 - 0.05 * n, join_fields(one) + moved) for n, one in enumerate(people)]
    numbers = score_all(load(folder, "test_coco_wholebody.json"), predictions)
    assert {name: of[:6] for name, of in numbers.items()} == {
        name: pytest.approx(of, abs=1e-12)
        for name, of in dict(
            body=[
                *(0.8051372389986251, 0.9534524881059536, 0.8762030049158762),
                *(0.7415841584158416, 0.9258345834583458, 0.875),
            ],
            foot=[
                0.7632321473905631,
                0.796408212249796,
                0.796408212249796,
                0.9257425742574258,
                0.8112211221122114,
                0.97,
            ],
            face=[0.02574257425742574, 0.0858085808580858, 0, -1, 0.02574257425742574, 0.075],
            left_hand=[0.3583168316831683, 0.5577557755775576, 0.5577557755775576, 0, 0.4596888260254596, 0.54],
            right_hand=[0.4814356435643564, 0.7004950495049505, 0.551980198019802, 0.5, 0.5315888731730316, 0.7],
            whole=[
                *(0.3595094674302595, 0.7725343962967725, 0.318077961642318),
                *(0.602970297029703, 0.32831972482962574, 0.5666666666666667),
            ],
        ).items()
    }

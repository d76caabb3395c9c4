"""AI Challenger's own protocol, against the numbers of its official code, and its own files."""

import json

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.tasks.pose.ai_challenger import AiChallengerMetric
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

from .test_whole_body import grid

AIC = resolve_scheme("aic", KeypointScheme)
# In the numbers of COCO's format: 2 is seen, 1 hidden. The official files have 1, 2, and 3 for what is not labelled.
FLAGS = np.array([2, 2, 1, 2, 0, 2, 2, 2, 1, 2, 2, 2, 2, 2])
FIRST, SECOND = grid(14, 100, 100, 25), grid(14, 400, 120, 20)


def write(folder):
    """Two people in an image, of whom one has hidden points, and one in another image."""
    people = [(1, FIRST, FLAGS, [90, 90, 150, 120]), (1, SECOND, FLAGS * 0 + 2, [390, 110, 110, 80])]
    people.append((2, FIRST, FLAGS * 0 + 2, [90, 90, 150, 120]))
    annotations = [
        dict(id=n, image_id=image, category_id=1, bbox=box, keypoints=np.column_stack([points, flags]).ravel().tolist())
        for n, (image, points, flags, box) in enumerate(people, start=1)
    ]
    images = [dict(id=i, file_name=f"{i}.jpg", width=640, height=480) for i in (1, 2)]
    categories = [dict(id=1, name="person", keypoints=list(AIC.file_names))]
    (folder / "aic.json").write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return CocoKeypoints(data_root=folder, ann_file="aic.json", image_dir=".", scheme="aic")


def found(*people):
    boxes, labels = np.zeros((len(people), 4)), np.zeros(len(people), int)
    points = np.array(people).reshape(-1, 14, 2)
    return Objects(boxes, labels, np.ones(len(people)), points, point_scores=np.ones((len(people), 14)))


@pytest.fixture
def samples(tmp_path):
    return write(tmp_path)


def test_the_numbers_are_those_of_the_official_code(samples):
    metric = AiChallengerMetric()
    people = [FIRST + np.array([2, 1]), SECOND + 1, SECOND + 100]
    first = metric.measure(found(*people), samples.truth(0), samples.scheme)
    np.testing.assert_allclose(first.nearest, [0.8931806187174584, 0.9008065342663535], rtol=1e-12)
    nobody = metric.measure(None, samples.truth(1), samples.scheme)  # adds its truth
    assert metric.score([first, nobody], samples.scheme) == {"mAP": pytest.approx(0.425)}
    two = metric.measure(found(*people[:2]), samples.truth(0), samples.scheme)
    assert metric.score([two, nobody], samples.scheme)["mAP"] == pytest.approx(0.5666666666666667)
    assert metric.score([two], samples.scheme)["mAP"] == pytest.approx(0.85)


def test_hidden_points_do_not_count_and_one_prediction_may_be_near_several(samples):
    truth = samples.truth(0)
    assert truth.visible[0].tolist() == FLAGS.tolist()
    metric = AiChallengerMetric()
    astray = FIRST.copy()
    astray[FLAGS < 2] += 500
    assert metric.measure(found(astray), truth, AIC).nearest[0] == 1
    astray[0] += 500
    assert metric.measure(found(astray), truth, AIC).nearest[0] < 1
    twins = truth.select(np.array([0, 0]))
    assert metric.measure(found(FIRST), twins, AIC).nearest.tolist() == [1, 1]
    unseen = truth._replace(visible=np.minimum(truth.visible, 1))
    assert metric.measure(found(FIRST, SECOND), unseen, AIC).nearest.tolist() == [0, 0]


def test_the_official_files_themselves_are_refused(tmp_path):
    raw = [dict(image_id="a", human_annotations=dict(human1=[1, 2, 3, 4]), keypoint_annotations=dict(human1=[1] * 42))]
    (tmp_path / "raw.json").write_text(json.dumps(raw))
    with pytest.raises(
        DataError, match=r"raw.json: this is AI Challenger's own format, .* 2 hidden and 3 not labelled"
    ):
        CocoKeypoints(data_root=tmp_path, ann_file="raw.json", image_dir=".", scheme="aic")

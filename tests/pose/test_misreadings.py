"""What is easily misread of public keypoint sets and then costs numbers; each of these fails on the wrong reading.

Those of one file's fields are in test_keypoint_sets.py, those of layouts in schemes/test_layouts.py, those of protocols
beside their metrics, and those of mixes in test_mixed_sets.py.
"""

import json

import numpy as np
import pytest

from hrtoolkit.build import find_part
from hrtoolkit.config import load_config
from hrtoolkit.errors import DataError
from hrtoolkit.metric import score_truth
from hrtoolkit.records import Objects, join
from hrtoolkit.registry import METRICS, VIEWS
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import KeypointScheme, convert, resolve_scheme
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.tasks.pose.distances import PckMetric
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric

from .test_keypoint_sets import flat, load, told, write


def look(config, samples):
    """Windows of crops as a shipped config looks at them."""
    problems = []
    view = find_part("view", load_config(config).model.view, VIEWS, problems).build()
    assert not problems
    inputs = Inputs(samples, view, samples.scheme)
    return [inputs.crop(index) for index in range(len(inputs))]


def test_an_annotation_whose_id_is_zero_can_be_found(tmp_path):
    """Animal-Pose's test file begins with it, and COCO's code takes a match with 0 for none."""
    names = LAYOUTS["animalpose"].names
    write(tmp_path, [dict(id=0, keypoints=flat(20)), dict(id=1, keypoints=flat(20, 60), bbox=[90, 70, 60, 40])], names)
    assert score_truth(CocoKeypointMetric(), load(tmp_path, "animalpose"), join)[0] == pytest.approx(1)


def test_boxes_that_are_corners_are_refused(tmp_path):
    """As the authors of Animal-Pose write them, with visibilities of 0 and 1."""
    people = [dict(id=i, keypoints=flat(20, i, visible=1), bbox=[150, 120, 310, 230]) for i in range(1, 13)]
    write(tmp_path, people, LAYOUTS["animalpose"].names)
    with pytest.raises(DataError, match="boxes that look like corners"):
        load(tmp_path, "animalpose").findings.raise_stops()


def test_crowding_goes_beyond_one(tmp_path):
    write(tmp_path, [dict(keypoints=flat(14))], LAYOUTS["aic"].names)
    content = json.loads((tmp_path / "file.json").read_text())
    content["images"] = [dict(content["images"][0], id=i, crowdIndex=c) for i, c in enumerate((0.0, 0.2, 0.8, 3.02), 1)]
    (tmp_path / "file.json").write_text(json.dumps(content))
    subsets = load(tmp_path, "aic").subsets
    assert {name: np.flatnonzero(some).tolist() for name, some in subsets.items()} == dict(
        easy=[0], medium=[1], hard=[2, 3]
    )


def test_visibilities_beyond_two_are_labelled_and_told(tmp_path):
    """As Halpe's files have them."""
    write(tmp_path, [dict(keypoints=flat(26, visible=3))], [])
    samples = load(tmp_path, "halpe26", parts=[dict(keypoints="keypoints", first=26)])
    assert (samples.truth(0).visible == 2).all()
    assert told(samples)["annotations with visibilities other than 0, 1 and 2"] == "warning"


def test_the_right_side_of_ai_challenger_comes_first():
    scheme = LAYOUTS["aic"]
    assert scheme.names[0] == "right_shoulder" and scheme.flip_order()[:12] == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]


def test_hands_meet_by_the_names_of_their_points_though_their_order_differs():
    points = np.arange(42, dtype=np.float32).reshape(1, 21, 2)
    rhd = Objects(np.zeros((1, 4)), np.zeros(1, int), points=points, visible=np.ones((1, 21), np.uint8))
    scheme, other = LAYOUTS["rhd2d"], LAYOUTS["onehand10k"]
    turned = convert(rhd, scheme, other).points[0]
    for name in scheme.names:
        np.testing.assert_array_equal(turned[other.names.index(name)], points[0, scheme.names.index(name)])
    assert (turned != points[0]).any()


def test_hands_are_chosen_by_auc_and_measured_by_the_box_of_the_file(tmp_path):
    """EPE and AUC are in pixels of large images, so that 24 pixels are a good result where PCK is 0.99."""
    for name in ("onehand10k", "rhd2d", "freihand", "coco_wholebody_hand"):
        config = load_config(f"pose/hrnetv2_w18_{name}")
        metric = find_part("metric", config.val_evaluator, METRICS, []).build()
        assert (metric.headline, metric.threshold) == ("AUC", 0.2)
    write(tmp_path, [dict(keypoints=flat(21), bbox=[20, 30, 250, 80])], LAYOUTS["onehand10k"].names)
    truth = load(tmp_path, "onehand10k", apart=True).truth(0)
    away = truth.as_prediction()._replace(points=truth.points + np.float32([24, 0]))
    numbers = PckMetric().score([PckMetric().measure(away, truth, LAYOUTS["onehand10k"])], LAYOUTS["onehand10k"])
    assert (numbers["PCK"], numbers["EPE"]) == (1, pytest.approx(24)) and numbers["AUC"] == pytest.approx(0.15)


# Of files that are not in the repository


@pytest.fixture
def folder(test_data):
    return test_data / "keypoint_sets"


def test_freihand_is_looked_at_in_the_middle_of_the_image_and_not_in_the_boxes_of_its_file(folder):
    samples = load(folder, "freihand", file="freihand/test_freihand.json", apart=True, whole_images=True)
    crops = look("pose/hrnetv2_w18_freihand", samples)
    for crop in crops:
        np.testing.assert_allclose(crop.center, (112, 112))
        np.testing.assert_allclose(crop.size, (179.2, 179.2), rtol=1e-6)
    assert [samples.truth(i).sizes.item() for i in range(len(samples))] == [224] * 8  # PCK's 0.2 is 44.8 pixels


def test_the_points_of_rhd_run_from_tip_to_base_in_space(folder):
    """A palm is stiff: the base of a finger is as far from the wrist in every picture of one (rendered) hand."""
    file = folder / "rhd2d/test_rhd.json"
    samples = load(folder, "rhd2d", file="rhd2d/test_rhd.json", apart=True)
    names = samples.scheme.names
    space = np.array([one["joint_cam"] for one in json.loads(file.read_text())["annotations"]])
    away = {name: np.linalg.norm(space[:, i] - space[:, 0], axis=1) for i, name in enumerate(names)}
    fingers = ("forefinger", "middle_finger", "ring_finger", "pinky_finger")
    assert ((away["thumb1"] > 38) & (away["thumb1"] < 44)).all()
    for finger in fingers:
        assert ((away[f"{finger}1"] > 75) & (away[f"{finger}1"] < 100)).all()
    assert any(np.ptp(away[f"{finger}4"]) > 20 for finger in fingers)  # tips move


def test_hands_of_which_a_part_is_labelled_are_learnt_and_measured_by_it(folder):
    samples = load(folder, "onehand10k", file="onehand10k/test_onehand10k.json", apart=True)
    labelled = [int((samples.truth(i).visible > 0).sum()) for i in range(len(samples))]
    assert sorted(labelled) == [7, 15, 20, 21]
    metric, truth = PckMetric(), samples.truth(labelled.index(7))
    lost = truth.as_prediction()._replace(points=np.where(truth.visible[..., None] > 0, truth.points, 1e4))
    assert metric.score([metric.measure(lost, truth, samples.scheme)], samples.scheme)["PCK"] == 1


def test_boxes_of_posetrack_are_wider_than_the_points_and_padded_again(folder):
    samples = load(folder, "posetrack18", file="posetrack18/annotations/test_posetrack18_val.json")
    crops, windows = look("pose/hrnet_w32_posetrack18", samples), samples.crops()
    content = json.loads((folder / "posetrack18/annotations/test_posetrack18_val.json").read_text())
    boxes = np.array([one["bbox"] for one in content["annotations"]])
    inside = (boxes[:, :2] >= 0).all(axis=1)
    whole = boxes[inside & (boxes[:, 0] + boxes[:, 2] < 1000) & (boxes[:, 1] + boxes[:, 3] < 700)]
    ratios = []
    for box in whole:
        crop = crops[int(np.abs(windows.windows_xywh - box).sum(axis=1).argmin())]
        ratios.append(max(crop.size[0] / box[2], crop.size[1] / box[3]))
        assert min(crop.size[0] / box[2], crop.size[1] / box[3]) == pytest.approx(1.25, rel=1e-2)
    assert len(ratios) > 3
    for sample in range(len(samples)):
        absent = [samples.scheme.names.index(name) for name in ("left_ear", "right_ear")]
        assert not samples.truth(sample).visible[:, absent].any()


def test_areas_of_animals_are_those_of_their_boxes(folder):
    """OKS is gentler so than by COCO's areas of segments."""
    for name in ("ap10k", "animalpose"):
        samples = load(folder, name, file=f"{name}/test_{name}.json")
        for sample in range(len(samples)):
            truth = samples.truth(sample)
            sides = truth.boxes_xyxy[:, 2:] - truth.boxes_xyxy[:, :2]
            np.testing.assert_allclose(truth.areas, sides.prod(axis=1), rtol=0.02)


def test_species_keep_their_category_in_results(folder):
    samples = load(folder, "ap10k", file="ap10k/test_ap10k.json")
    metric, content = CocoKeypointMetric(), json.loads((folder / "ap10k/test_ap10k.json").read_text())
    of_image = {one["image_id"]: one["category_id"] for one in content["annotations"]}
    for sample, image in enumerate(samples.images.ids.tolist()):
        found = samples.truth(sample).as_prediction()
        (one,) = metric.writer.pack("", image, found, samples.scheme)
        assert one["category_id"] == of_image[image]


def test_the_two_layouts_of_human_art_are_two():
    of_17, of_21 = (resolve_scheme(name, KeypointScheme) for name in ("humanart", "humanart21"))
    assert of_17.title != of_21.title and set(of_21.names) - set(of_17.names) == {
        *("left_finger", "right_finger", "left_toe", "right_toe")
    }

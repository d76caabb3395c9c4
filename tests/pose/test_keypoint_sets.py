"""Files of public keypoint sets: what they have too much or too little of is read past and told."""

import json

import numpy as np
import pytest
import torch

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.keypoints.codecs import DarkHeatmap, GaussianHeatmap, UDPHeatmap
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.tasks.face.datasets import CocoFaces
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

WHOLE = [dict(keypoints=["keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"])]
HANDS = [dict(keypoints=f"{side}hand_kpts", bbox=f"{side}hand_box") for side in ("left", "right")]
FACES = [dict(keypoints="face_kpts", bbox="face_box")]


def load(folder, scheme, kind=CocoKeypoints, file="file.json", **options):
    """Read a file as a run does, where the head's scheme is told to the data."""
    told = scheme if isinstance(scheme, KeypointScheme) else resolve_scheme(scheme, KeypointScheme)
    return kind(data_root=folder, ann_file=file, image_dir=".", scheme=told, **options)


def write(folder, annotations, names, **category):
    """A file of one image with these annotations."""
    image = dict(id=1, file_name="1.jpg", width=320, height=240)
    basis = dict(image_id=1, category_id=1, bbox=[20, 30, 100, 80])
    numbered = [{"id": n, **basis, **one} for n, one in enumerate(annotations, start=1)]
    category = dict(id=1, name="thing", keypoints=list(names), **category)
    (folder / "file.json").write_text(json.dumps(dict(images=[image], annotations=numbered, categories=[category])))


def triplets(count, first=0, visible=2):
    """x, y and visibility of points that tell their number: point i at (30 + i, 40 + i / 2)."""
    i = np.arange(first, first + count)
    return np.stack([30.0 + i, 40 + i / 2, np.full(count, visible)], axis=1)


def flat(count, first=0, visible=2):
    return triplets(count, first, visible).ravel().tolist()


def told(samples):
    return {finding.what: finding.level for finding in samples.findings}


def test_keypoints_of_several_fields_follow_each_other(tmp_path):
    fields = dict(keypoints=flat(17), foot_kpts=flat(6, 17), face_kpts=flat(68, 23))
    hands = dict(lefthand_kpts=flat(21, 91), righthand_kpts=flat(21, 112, visible=0.04))
    absent = {name: [0] * len(values) for name, values in (fields | hands).items()}
    only_face = absent | dict(face_kpts=flat(68), num_keypoints=0)
    write(tmp_path, [dict(fields | hands, num_keypoints=17), only_face, dict(absent, num_keypoints=0)], ["nose"] * 17)
    samples = load(tmp_path, "coco_wholebody", parts=WHOLE)
    truth = samples.truth(0)
    np.testing.assert_array_equal(truth.points[0], triplets(133)[:, :2])
    # 0.04 is labelled, and not a 25th of a keypoint.
    assert truth.visible[0].tolist() == [2] * 112 + [1] * 21
    assert truth.ignored.tolist() == [False, False, True]  # of whom `num_keypoints` is of the body alone
    assert len(samples.crops().samples) == 2
    assert told(samples)["annotations with visibilities other than 0, 1 and 2"] == "warning"
    assert told(samples)["category 'thing' names 17 keypoints, and its annotations have 133"] == "note"
    assert not any("num_keypoints" in what for what in told(samples))


@pytest.mark.parametrize("codec", [GaussianHeatmap(), DarkHeatmap(), UDPHeatmap()])
def test_a_keypoint_of_a_small_visibility_is_learnt_whole(tmp_path, codec):
    write(tmp_path, [dict(keypoints=[30, 40, 0.3, 32, 40, 0.5, 34, 40, 1, 0, 0, 0])], "abcd")
    visible = torch.from_numpy(load(tmp_path, KeypointScheme(tuple("abcd"))).truth(0).visible).float()
    maps, weights = codec.encode(torch.full((1, 4, 2), 32.0), visible, (16, 16), 4)
    assert weights.tolist() == [[1, 1, 1, 0]] and maps.amax((2, 3))[0] == pytest.approx([1, 1, 1, 0], abs=0.05)


def test_each_hand_is_a_sample_of_its_own_in_its_own_box(tmp_path):
    both = dict(lefthand_kpts=flat(21), righthand_kpts=flat(21, 50), lefthand_box=[20, 30, 90, 40])
    both |= dict(righthand_box=[70, 60, 300, 20], area=1.0, num_keypoints=17, lefthand_valid=True, righthand_valid=True)
    gone = dict(both, lefthand_valid=False)
    crowd = dict(both, iscrowd=1)
    write(tmp_path, [both, gone, crowd], ["nose"] * 17)
    samples = load(tmp_path, "coco_wholebody_hand", parts=HANDS, apart=True)
    assert len(samples) == 3 and samples.images.ids.tolist() == [1, 1, 1]
    points = np.stack([samples.truth(i).points[0, 0] for i in range(3)])
    np.testing.assert_array_equal(
        points, [(30, 40), (80, 65), (80, 65)]
    )  # left, right, and the right one that is valid
    # Boxes of parts are not cut at the image's edges, others are; PCK divides by their longer side.
    np.testing.assert_array_equal(samples.crops().windows_xywh[:2], [(20, 30, 90, 40), (70, 60, 300, 20)])
    assert [samples.truth(i).sizes.tolist() for i in range(3)] == [[90], [300], [300]]
    with pytest.raises(OptionError, match="apart goes without box_file"):
        load(tmp_path, "coco_wholebody_hand", parts=HANDS, apart=True, box_file="boxes.json")
    write(tmp_path, [dict(keypoints=flat(21), bbox=[70, 60, 300, 20])], LAYOUTS["onehand10k"].names)
    samples = load(tmp_path, "onehand10k", apart=True)
    np.testing.assert_array_equal(samples.crops().windows_xywh, [(70, 60, 250, 20)])
    assert samples.truth(0).sizes.tolist() == [250]


def test_faces_start_from_their_box_and_divide_by_the_outer_eye_corners(tmp_path):
    one = dict(keypoints=flat(17), face_kpts=flat(68), face_box=[25, 35, 80, 45], face_valid=True)
    write(tmp_path, [one, dict(one, face_kpts=[0] * 204)], ["nose"] * 17)
    samples = load(tmp_path, "coco_wholebody_face", CocoFaces, parts=FACES)
    assert len(samples) == 1 and samples.truth(0).sizes == pytest.approx(np.hypot(9, 4.5))  # points 36 and 45
    # As large as the longer side, which the aspect of the input would grow them to.
    np.testing.assert_array_equal(samples.crops().windows_xywh, [(25, 17.5, 80, 80)])


def test_a_box_may_be_the_whole_image_and_less_of_it_be_looked_at(tmp_path):
    write(tmp_path, [dict(keypoints=flat(21), area=5.0)], LAYOUTS["freihand"].names)
    samples = load(tmp_path, "freihand", whole_images=True, apart=True)
    assert samples.truth(0).sizes.tolist() == [320] and samples.truth(0).boxes_xyxy.tolist() == [[0, 0, 320, 240]]
    windows = np.array([[0.0, 0, 224, 224], [0, 0, 224, 224], [63, 92, 99, 194], [358.2, 69.86, 26.36, 25.85]])
    for row, padding, center, size in (
        (0, 0.8, (112, 112), (179.2, 179.2)),
        (1, 1.25, (112, 112), (280, 280)),
        (2, 1.25, (112.5, 189), (242.5, 242.5)),
        (3, 1.25, (371.38, 82.785), (32.95, 32.95)),
    ):
        (crop,) = TopDown(input_size=(64, 64), padding=padding).crops(windows[row : row + 1], windows[:1], np.ones(1))
        np.testing.assert_allclose(crop.center, center, rtol=1e-6)
        np.testing.assert_allclose(crop.size, size, rtol=1e-6)


def test_files_that_count_from_one_are_counted_from_zero(tmp_path):
    keypoints = flat(15)
    keypoints[2] = 0
    write(tmp_path, [dict(keypoints=keypoints)], LAYOUTS["jhmdb"].names)
    truth = load(tmp_path, "jhmdb", first_pixel=1).truth(0)
    np.testing.assert_array_equal(truth.points[0, 1:], triplets(15)[1:, :2] - 1)
    assert truth.points[0, 0].tolist() == [0, 0]  # not labelled
    assert truth.boxes_xyxy.tolist() == [[19, 29, 119, 109]]  # of the same width


def test_nested_keypoints_are_read_in_their_order_and_named_by_the_scheme(tmp_path):
    write(tmp_path, [dict(keypoints=triplets(21).tolist())], LAYOUTS["rhd2d"].file_names)
    samples = load(tmp_path, "rhd2d")
    assert samples.scheme.names == LAYOUTS["rhd2d"].names  # and not those of the file, which are in another order
    assert samples.truth(0).points[0, samples.scheme.names.index("thumb4")].tolist() == [31, 40.5]
    assert told(samples)["annotations with a list of numbers for each keypoint"] == "note"
    write(tmp_path, [dict(keypoints=[[1, 2, 2], 3])], "ab")
    with pytest.raises(DataError, match=r"annotation 1 has 1\.33333"):
        load(tmp_path, KeypointScheme(("a", "b"))).findings.raise_stops()


@pytest.mark.parametrize("name", ["ap10k", "aic"])
def test_names_of_the_files_are_those_of_the_scheme(tmp_path, name):
    scheme = LAYOUTS[name]
    write(tmp_path, [dict(keypoints=flat(len(scheme.names)))], scheme.file_names)
    assert load(tmp_path, name).scheme.names == scheme.names


def test_the_first_points_of_more(tmp_path):
    write(tmp_path, [dict(keypoints=flat(136), num_keypoints=3)], [])
    (of_26,) = [load(tmp_path, "halpe26", parts=[dict(keypoints="keypoints", first=26)]).truth(0)]
    whole = load(tmp_path, "halpe136", parts=[dict(keypoints="keypoints")])
    np.testing.assert_array_equal(of_26.points, whole.truth(0).points[:, :26])
    assert not any("num_keypoints" in what for what in told(whole))  # which is 3 for everybody
    write(tmp_path, [dict(keypoints=[0] * 408, num_keypoints=3), dict(keypoints=flat(136), num_keypoints=3)], [])
    assert load(tmp_path, "halpe136", parts=[dict(keypoints="keypoints")]).truth(0).ignored.tolist() == [True, False]


def test_a_category_that_names_more_than_there_are(tmp_path):
    names = LAYOUTS["humanart21"].names
    write(tmp_path, [dict(keypoints=flat(17), keypoints_21=flat(21, 5), num_keypoints_21=15)], names)
    for scheme in ("humanart", "coco"):
        samples = load(tmp_path, scheme)
        assert samples.scheme.names == LAYOUTS["humanart"].names
        assert told(samples) == {"category 'thing' names 21 keypoints, and its annotations have 17": "note"} | {
            "annotations without an `area`, which is taken from the box": "note"
        }
    samples = load(tmp_path, "humanart21", parts=[dict(keypoints="keypoints_21")])
    assert samples.scheme.names == names and samples.truth(0).points[0, 0].tolist() == [35, 42.5]


def test_ids_may_be_texts_and_larger_than_32_bits(tmp_path):
    write(tmp_path, [dict(id="a", keypoints=flat(17))], LAYOUTS["humanart"].names)
    assert len(load(tmp_path, "humanart").crops().samples) == 1
    write(tmp_path, [dict(id=15_000_000_092_348, keypoints=flat(17))], LAYOUTS["humanart"].names)
    samples = load(tmp_path, "humanart")
    assert next(f.ids for f in samples.findings if "area" in f.what) == (15_000_000_092_348,)


# Another data set than the config's


@pytest.mark.parametrize(
    ("file", "config", "message"),
    [
        ("ap10k", "coco", "the 17 keypoints of AP-10K, not the 17 of COCO"),
        ("humanart", "ap10k", "the 17 keypoints of COCO or Human-Art, not the 17 of AP-10K"),
        ("posetrack18", "coco", "the 17 keypoints of PoseTrack18, not the 17 of COCO"),
        ("aic", "crowdpose", "the 14 keypoints of AI Challenger, not the 14 of CrowdPose"),
        ("coco_wholebody", "coco", "the 133 keypoints of COCO-WholeBody, not the 17 of COCO"),
        ("freihand", "coco", "the 21 keypoints of the hands of COCO-WholeBody or OneHand10K or FreiHAND or RHD, not"),
    ],
)
def test_keypoints_of_another_data_set_are_refused(tmp_path, file, config, message):
    scheme = LAYOUTS[file]
    write(tmp_path, [dict(keypoints=flat(len(scheme.names)))], scheme.file_names or scheme.names)
    for stated in (resolve_scheme(config, KeypointScheme), config):  # told by the head, or stated in the dataset
        with pytest.raises(DataError, match=f"file.json: these are {message}"):
            CocoKeypoints(data_root=tmp_path, ann_file="file.json", image_dir=".", scheme=stated)


def test_some_of_the_keypoints_are_enough_unless_fields_are_named(tmp_path):
    write(tmp_path, [dict(keypoints=flat(17))], LAYOUTS["humanart"].names)
    assert len(load(tmp_path, "coco_wholebody").scheme.names) == 17  # as for every model that knows more
    with pytest.raises(DataError, match=r"the 17 keypoints of COCO or Human-Art, not the 133"):
        load(tmp_path, "coco_wholebody", parts=WHOLE)
    with pytest.raises(DataError, match=r"file\.json: no annotation has lefthand_kpts; take the file that"):
        load(tmp_path, "coco_wholebody_hand", parts=HANDS)


def test_keypoints_without_names_are_told_by_their_number(tmp_path):
    write(tmp_path, [dict(keypoints=flat(136))], [])
    with pytest.raises(DataError, match=r"without 17 keypoints .*, or take a config of Halpe-136, which has as many"):
        load(tmp_path, "coco").findings.raise_stops()


def test_names_without_points_are_refused(tmp_path):
    write(tmp_path, [dict(), dict()], LAYOUTS["humanart"].names)
    with pytest.raises(DataError, match=r"none of 2 annotations is usable .* is it the file of keypoints"):
        load(tmp_path, "humanart")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([dict(keypoint="face_kpts")], "a part has no 'keypoint'; did you mean 'keypoints'"),
        ([dict(keypoints=[])], r"keypoints takes names of fields, got \[\]"),
        ([dict(keypoints=[17])], r"keypoints takes names of fields, got \[17\]"),
    ],
)
def test_parts_that_are_none_are_refused(tmp_path, parts, message):
    with pytest.raises(OptionError, match=message):
        load(tmp_path, "coco_wholebody", parts=parts)


# Of files that are not in the repository


SAMPLES = {
    # scheme: (file, options, samples, crops, findings beside notes)
    "coco_wholebody": ("coco_wholebody/test_coco_wholebody.json", dict(parts=WHOLE), 4, 12, {"visibilities"}),
    "coco_wholebody_hand": (
        "coco_wholebody/test_coco_wholebody.json", dict(parts=HANDS, apart=True), 10, 10, {"visibilities"},
    ),
    "onehand10k": ("onehand10k/test_onehand10k.json", dict(apart=True), 4, 4, set()),
    "rhd2d": ("rhd2d/test_rhd.json", dict(apart=True), 3, 3, set()),
    "freihand": ("freihand/test_freihand.json", dict(apart=True, whole_images=True), 8, 8, set()),
    "ap10k": ("ap10k/test_ap10k.json", {}, 2, 2, {"nobody has labelled"}),
    "animalpose": ("animalpose/test_animalpose.json", {}, 2, 2, {"nobody has labelled"}),
    "crowdpose": ("crowdpose/test_crowdpose.json", {}, 2, 4, set()),
    "aic": ("aic/test_aic.json", {}, 3, 9, set()),
    "posetrack18": (
        "posetrack18/annotations/test_posetrack18_val.json", {}, 3, 14,
        {"nobody has labelled", "beyond the image", "outside the image"},
    ),
    "halpe136": ("halpe/test_halpe.json", dict(parts=[dict(keypoints="keypoints")]), 4, 12, {"nobody has labelled"}),
    "halpe26": (
        "halpe/test_halpe.json", dict(parts=[dict(keypoints="keypoints", first=26)]), 4, 12, {"nobody has labelled"},
    ),
    "humanart": ("humanart/test_humanart.json", {}, 3, 4, set()),
    "jhmdb": ("jhmdb/test_jhmdb_sub1.json", dict(first_pixel=1, apart=True), 3, 3, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_of_the_releases_are_read(test_data, name):
    file, options, count, crops, warnings = SAMPLES[name]
    samples = load(test_data / "keypoint_sets", name, file=file, **options)
    assert len(samples) == count and len(Inputs(samples, TopDown(), samples.scheme)) == crops
    assert samples.scheme.names == resolve_scheme(name, KeypointScheme).names
    found = [finding.what for finding in samples.findings if finding.level != "note"]
    assert len(found) == len(warnings) and all(any(part in what for what in found) for part in warnings)


def test_faces_of_whole_bodies(test_data):
    file = "coco_wholebody/test_coco_wholebody.json"
    samples = load(test_data / "keypoint_sets", "coco_wholebody_face", CocoFaces, file=file, parts=FACES)
    assert len(samples) == 4 and {finding.level for finding in samples.findings} == {"note"}


def test_conversions_say_the_same(test_data):
    folder = test_data / "keypoint_sets"
    flat_file = "coco_wholebody/test_wholebody_133_coco.json"
    for name, other in (("coco_wholebody", flat_file), ("rhd2d", "rhd2d/test_rhd_coco.json")):
        file, options, *_ = SAMPLES[name]
        ours, theirs = (load(folder, name, file=one, **options) for one in (file, other))
        for sample in range(len(ours)):
            np.testing.assert_array_equal(ours.truth(sample).points, theirs.truth(sample).points)
            np.testing.assert_array_equal(ours.truth(sample).visible, theirs.truth(sample).visible)
    file, options, *_ = SAMPLES["jhmdb"]
    ours = load(folder, "jhmdb", file=file, **options)
    theirs = load(folder, "jhmdb", file="jhmdb/test_jhmdb_sub1_coco.json", apart=True)
    np.testing.assert_allclose(ours.people.points, theirs.people.points, atol=1e-4)
    np.testing.assert_array_equal(ours.people.boxes_xyxy, theirs.people.boxes_xyxy)


def test_detections_with_corners_for_sizes_are_refused(test_data):
    folder = test_data / "keypoint_sets" / "humanart"
    samples = load(folder, "humanart", file="test_humanart.json", box_file="test_humanart_det_AP_H_56.json")
    with pytest.raises(DataError, match=r"boxes that look like corners \(x1, y1, x2, y2\): 10 "):
        samples.findings.raise_stops()

"""PoseTrack18's videos as samples, and the scores of people who are followed through them."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from hrtoolkit import build_model, load_checkpoint, registry
from hrtoolkit.build import find_part
from hrtoolkit.config import load_config
from hrtoolkit.data.doctor import examine
from hrtoolkit.engine import train
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import measure_sample, score_subsets, score_truth
from hrtoolkit.records import join
from hrtoolkit.runtime.prediction import Prediction
from hrtoolkit.runtime.sources import Source
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.posetrack import PoseTrack18, read_results
from hrtoolkit.tasks.pose.tracking import PeopleTrackingMetric, PoseTrackAP, PoseTrackHOTA, PoseTrackMOTA
from hrtoolkit.tracking.keypoints import GROUPS
from hrtoolkit.tracking.posetrack_files import write_predictions
from hrtoolkit.tracking.tracker import Tracker

from ..tracking.posetrack import NAMES, SEQUENCES, VECTORS, assert_equal, read_people, video_of, write_truth
from ..tracking.test_hota import STOPS
from .test_packs import TINY

METRICS = (PoseTrackAP, PoseTrackMOTA, PoseTrackHOTA, PeopleTrackingMetric)
VALUES = dict(ap="AP", pre="AP precision", rec="AP recall")
MOT = dict(mota="MOTA", motp_matches_only="MOTP", mot_precision="MOTA precision", mot_recall="MOTA recall")


def make_samples(folder, names=SEQUENCES, left_out=None, **options):
    """Sequences of the vectors as one file of truth, and predictions of each beside it."""
    images, annotations = [], []
    for name in names:
        frames = [
            frame | dict(labelled=frame["labelled"] and place not in (left_out or {}).get(name, ()))
            for place, frame in enumerate(VECTORS["sequences"][name])
        ]
        content = json.loads(write_truth(folder / "truth", name, frames).read_text())
        images += content["images"]
        annotations += content["annotations"]
        found = [read_people(frame["predictions"], range(15)) for frame in frames]
        files, ids = ([image[key] for image in content["images"]] for key in ("file_name", "id"))
        write_predictions(folder / "found" / f"{video_of(name)}.json", files, found, NAMES, ids)
    joined = dict(images=images, annotations=annotations, categories=content["categories"])
    (folder / "all.json").write_text(json.dumps(joined))
    return PoseTrack18(data_root=str(folder), ann_file="all.json", scheme="posetrack18", **options)


def score(metric, samples, records):
    measures = {
        sample: measure_sample(metric, samples, sample, records.get(sample), samples.truth(sample))
        for sample in range(len(samples))
    }
    return score_subsets(metric, samples, measures)[0]


@pytest.fixture(scope="module")
def toy(request):
    folder = request.getfixturevalue("test_data") / "tracking"
    samples = PoseTrack18(data_root=str(folder), ann_file="annotations/posetrack18_val.json", scheme="posetrack18")
    return (
        samples,
        read_results(str(folder / "predictions"), samples),
        json.loads((folder / "expected.json").read_text()),
    )


# --- samples ---


def test_frames_are_samples_of_their_videos(tmp_path):
    samples = make_samples(tmp_path)
    frames = [samples.video_frame(sample) for sample in range(len(samples))]
    assert [frame.video for frame in frames if frame.number == 0] == [video_of(name) for name in SEQUENCES]
    for name in SEQUENCES:
        mine = [frame for frame in frames if frame.video == video_of(name)]
        assert [frame.labelled for frame in mine] == [one["labelled"] for one in VECTORS["sequences"][name]]
        assert [frame.number for frame in mine] == list(range(len(mine)))
    assert any(frame.regions for frame in frames)


def test_people_have_ids_and_heads_and_ears_are_not_labelled(tmp_path):
    samples = make_samples(tmp_path)
    for sample in range(len(samples)):
        truth, frame = samples.truth(sample), samples.video_frame(sample)
        if truth is not None:
            assert truth.ids.tolist() == (frame.people.ids + 1).tolist()
            assert_equal(truth.sizes, frame.people.head_sizes)
            assert (truth.visible > 0).tolist() == frame.people.present.tolist()
    ears = [samples.scheme.names.index(name) for name in ("left_ear", "right_ear")]
    assert not samples.people.visible[:, ears].any()


def test_of_frames_that_are_not_labelled_nothing_is_known(tmp_path):
    samples = make_samples(tmp_path, ["990004"])
    known = [samples.truth(sample) is not None for sample in range(len(samples))]
    labelled = [samples.video_frame(sample).labelled for sample in range(len(samples))]
    assert known == labelled and sum(known) == 8
    assert not len(samples.truth(8).labels)  # labelled, and without people
    assert set(samples.crops().samples) <= set(np.flatnonzero(labelled))


def test_detections_count_from_above_their_score(test_data):
    folder = test_data / "tracking"
    boxes = json.loads((folder / "annotations/posetrack18_val_human_detections.json").read_text())
    options = dict(ann_file="annotations/posetrack18_val.json", scheme="posetrack18")
    options |= dict(data_root=folder, box_file="annotations/posetrack18_val_human_detections.json")
    for least in (0.4, 0.7, 0.0):
        crops = PoseTrack18(**options, box_score=least).crops()
        assert len(crops.samples) == sum(one["score"] > least for one in boxes) and crops.scores.min() > least
    assert len(PoseTrack18(**options).crops().samples) == sum(one["score"] > 0.4 for one in boxes)


def test_samples_travel_to_other_processes(tmp_path):
    samples = make_samples(tmp_path, ["990001"])
    copy = pickle.loads(pickle.dumps(samples))
    assert_equal(copy.video_frame(3).people.points, samples.video_frame(3).people.points)


# --- scores ---


def test_toy_videos_have_the_numbers_of_the_originals(toy):
    samples, records, expected = toy
    ap, mota, hota = (score(metric(), samples, records) for metric in (PoseTrackAP, PoseTrackMOTA, PoseTrackHOTA))
    theirs = expected["poseval"]
    assert ap["frames"] == theirs["frames"][0] and ap["videos"] == 2
    assert_equal([ap[name] for name in VALUES.values()], [theirs[name][-1] for name in VALUES])
    assert_equal([mota[name] for name in MOT.values()], [theirs[name][-1] for name in MOT])
    groups = theirs["head_shou_elb_wri_hip_knee_ankl_total"]
    assert_equal([ap[f"AP {part}"] for part in GROUPS], groups["ap"][:-1])
    assert_equal([mota[f"MOTA {part}"] for part in GROUPS], groups["mota"][:-1])
    for name, count in (("misses", "num_misses"), ("switches", "num_switches"), ("false", "num_false_positives")):
        assert mota[name] == sum(theirs["counts"][count])
    points = {name: values for name, values in expected["hota_points"].items() if "_at_" not in name}
    assert len(points) > 8
    assert_equal([hota[name] for name in points], [values[-1] for values in points.values()])


@pytest.mark.parametrize("names", [*([name] for name in SEQUENCES), SEQUENCES])
def test_sequences_have_the_numbers_of_the_originals(tmp_path, names):
    key = names[0] if len(names) == 1 else "all"
    samples = make_samples(tmp_path, names)
    records = read_results(str(tmp_path / "found"), samples)
    expected = VECTORS["poseval"][key]
    ap, mota = (score(metric(), samples, records) for metric in (PoseTrackAP, PoseTrackMOTA))
    assert_equal([ap[name] for name in VALUES.values()], [expected[name][-1] for name in VALUES])
    assert_equal([mota[name] for name in MOT.values()], [expected[name][-1] for name in MOT])
    assert mota["AP of MOTA"] == ap["AP"]


@pytest.mark.parametrize("names", [*([name] for name in SEQUENCES), SEQUENCES])
def test_hota_is_the_original_s_and_the_mended_one_beside_it(tmp_path, names):
    key = names[0] if len(names) == 1 else "all"
    samples = make_samples(tmp_path, names, STOPS)
    records = read_results(str(tmp_path / "found"), samples)
    numbers, mended = (score(PoseTrackHOTA(corrected=one), samples, records) for one in (False, True))
    assert_equal(numbers["HOTA"], VECTORS["hota"][key]["HOTA"][-1])
    if key in VECTORS["hota_corrected"]:
        assert_equal(mended["HOTA"], VECTORS["hota_corrected"][key]["HOTA"][-1])
    # Both are told where they differ, in sequences with an empty frame.
    assert (mended["HOTA"] != numbers["HOTA"]) == (key not in ("990001", "990002"))
    assert numbers.get("HOTA corrected", numbers["HOTA"]) == mended["HOTA"]
    assert mended.get("HOTA original", mended["HOTA"]) == numbers["HOTA"]


@pytest.mark.parametrize("kind", ["iou", "oks"])
@pytest.mark.parametrize("name", ["990001", "990002"])
def test_people_are_scored_as_trackeval_does(tmp_path, name, kind):
    expected = VECTORS["people"][name][kind]
    samples = make_samples(tmp_path, [name])
    numbers = score(PeopleTrackingMetric(similarity=kind), samples, read_results(str(tmp_path / "found"), samples))
    # Both boxes are 1.3 times what is seen, where the vectors' are what is seen: other overlaps, and the same pairs.
    near = 1e-9 if kind == "oks" else 0.05
    assert numbers["people HOTA"] == pytest.approx(expected["hota"]["HOTA"], abs=near)
    assert numbers["people IDF1"] == pytest.approx(next(iter(expected["identity"].values())), abs=near)
    assert numbers["people MOTA"] == pytest.approx(next(iter(expected["clear"].values())), abs=near)


def test_poses_are_compared_at_the_points_of_the_file(tmp_path):
    # Samples have points in single precision, in which 0.1 of a pixel is no number.
    samples = make_samples(tmp_path, ["990001"])
    records = read_results(str(tmp_path / "found"), samples)

    def begin_with_one_person(content):
        first = content["annotations"][0]
        content["annotations"] = [first]
        first["keypoints"] = [round(one + 0.1, 1) if one > 1 else one for one in first["keypoints"]]

    samples = change(tmp_path, begin_with_one_person)
    (person,), area = json.loads((tmp_path / "all.json").read_text())["annotations"], samples.truth(0).areas[0]
    points, columns = np.reshape(person["keypoints"], (17, 3)), [samples.scheme.names.index(name) for name in NAMES]
    found = np.where(points[:, 2:] > 0, points[:, :2] + [0.7, 0], np.nan)[None]
    records = {0: records[0].select(slice(0, 1))._replace(points=found, ids=np.array([1]))}
    sigmas = np.array(samples.scheme.sigmas)[columns]
    expected = np.exp(-(0.7**2) / (2 * area * (2 * sigmas) ** 2)).mean()
    measure = measure_sample(PeopleTrackingMetric(), samples, 0, records[0], samples.truth(0))
    numbers = PeopleTrackingMetric().score([measure], samples.scheme)
    assert 0.95 < expected < 0.9999 and numbers["people LocA"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_the_truth_itself_has_what_the_rules_give(tmp_path, metric):
    samples = make_samples(tmp_path)
    reached, _, expected = score_truth(metric(), samples, join)
    assert reached == pytest.approx(expected, abs=1e-9)
    if metric is PoseTrackMOTA:
        assert (
            expected == pytest.approx(VECTORS["poseval"]["truth"]["mota"][-1], abs=1e-9)
            and round(expected, 4) == 95.9515
        )
        assert score_truth(metric(corrected=True), samples, join)[::2] == (100, 100)
    assert not [one for one in examine({"val": samples}, {"val": metric()}) if "ground truth" in one.what]


@pytest.mark.parametrize("metric", METRICS)
def test_people_without_a_labelled_keypoint_are_no_fault_of_the_truth(tmp_path, metric):
    # PoseTrack21 annotates boxes of people without keypoints; a frame may have nobody else.
    def hide(content):
        for one in content["annotations"]:
            if one["image_id"] % 100 == 4:
                one["keypoints"] = [0] * 51

    make_samples(tmp_path, ["990001"])
    samples = change(tmp_path, hide)
    assert not samples.video_frame(4).people.present.any() and len(samples.video_frame(4).people.ids) == 2
    assert not [one for one in examine({"val": samples}, {"val": metric()}) if "ground truth" in one.what]


def test_truth_that_cannot_be_found_is_told(tmp_path):
    samples = make_samples(tmp_path, ["990002"])
    samples._ids = np.arange(1, len(samples._ids) + 1)  # as if everybody were new in every frame
    (finding,) = [one for one in examine({"val": samples}, {"val": PoseTrackMOTA()}) if "ground truth" in one.what]
    assert "reaches MOTA" in finding.what and "of 100" in finding.what


def test_videos_are_told_apart_and_the_worst_by_name(toy):
    samples, records, _ = toy
    numbers = score(PoseTrackMOTA(), samples, records)
    single = {}
    for name in ("990101_mpii_test", "990102_mpii_test"):
        mine = [sample for sample in records if samples.video_frame(sample).video == name]
        measures = [measure_sample(PoseTrackMOTA(), samples, one, records[one], samples.truth(one)) for one in mine]
        single[name] = PoseTrackMOTA().score(measures, samples.scheme)["MOTA"]
    assert {name: numbers[f"MOTA {name}"] for name in single} == single
    assert [name for name in numbers if name.endswith("_test")] == [
        f"MOTA {one}" for one in sorted(single, key=single.get)
    ]


def test_no_more_than_the_three_worst_videos_are_told(tmp_path):
    samples = make_samples(tmp_path)
    numbers = score(PoseTrackAP(), samples, read_results(str(tmp_path / "found"), samples))
    told = [number for name, number in numbers.items() if name.endswith("_test")]
    assert len(told) == 3 and told == sorted(told)
    expected = sorted(VECTORS["poseval"][name]["ap"][-1] for name in SEQUENCES)[:3]
    assert_equal(told, expected)


def test_what_is_mended_is_told_beside_the_original(toy):
    samples, records, _ = toy
    numbers, mended = (score(PoseTrackMOTA(corrected=one), samples, records) for one in (False, True))
    assert numbers["MOTA corrected"] == mended["MOTA"] != numbers["MOTA"] == mended["MOTA original"]
    assert "AP corrected" not in score(PoseTrackAP(), samples, records)  # everything is labelled


def test_the_number_of_videos_tells_the_version_of_the_labels(tmp_path):
    samples = make_samples(tmp_path, ["990001"])
    measure = measure_sample(PoseTrackAP(), samples, 0, samples.truth(0).as_prediction(), samples.truth(0))
    for count, version in ((74, 0.2), (170, 0.45), (3, None)):
        measures = [measure._replace(frame=measure.frame._replace(video=str(number))) for number in range(count)]
        numbers = PoseTrackAP().score(measures, samples.scheme)
        assert numbers.get("label_version") == version and numbers["videos"] == count


# --- ids ---


def test_a_tracker_gives_ids_where_predictions_have_none(toy):
    samples, records, _ = toy
    nameless = {sample: record._replace(ids=None) for sample, record in records.items()}
    shuffled = dict(sorted(nameless.items(), key=lambda item: -item[0]))
    mota, again = (score(PoseTrackMOTA(), samples, some) for some in (nameless, shuffled))
    assert mota == again and mota["MOTA"] > 80
    assert score(PoseTrackAP(), samples, nameless)["AP"] == score(PoseTrackAP(), samples, records)["AP"]
    never = PoseTrackMOTA(tracker=Tracker(confirm=1000))
    assert score(never, samples, nameless)["MOTA"] < 0  # nobody is followed


def test_the_config_chooses_the_tracker():
    config, problems = load_config("pose/hrnet_w32_posetrack18", ["val_evaluator.1.tracker.keep=2.5"]), []
    metric = find_part("val_evaluator", config.val_evaluator[1], registry.METRICS, problems).build()
    assert not problems and isinstance(metric.tracker, Tracker) and metric.tracker.keep == 2.5
    wrong = dict(type="PoseTrackMOTA", tracker=dict(type="Tracker", kep=1))
    find_part("val_evaluator", wrong, registry.METRICS, problems)
    assert "kep" in problems[0].text


def test_ids_that_are_given_late_reach_the_frames_before(tmp_path):
    samples = make_samples(tmp_path, ["990001"])
    records = read_results(str(tmp_path / "found"), samples)
    nameless = {sample: record._replace(ids=None) for sample, record in records.items()}
    at_once, late = (score(PoseTrackMOTA(tracker=Tracker(confirm=confirm)), samples, nameless) for confirm in (1, 3))
    assert late["misses"] <= at_once["misses"] + 15  # who is there for less than three frames


def test_ids_are_those_of_the_command(toy):
    samples, records, _ = toy
    mine = [sample for sample in records if samples.video_frame(sample).video == "990101_mpii_test"]
    metric = PoseTrackMOTA(tracker=Tracker(keep=0.5, smooth="savgol"), frame_rate=25.0)
    nameless = [records[sample]._replace(ids=None) for sample in mine]
    measures = [
        measure_sample(metric, samples, sample, one, samples.truth(sample))
        for sample, one in zip(mine, nameless, strict=True)
    ]
    columns = [samples.scheme.names.index(name) for name in NAMES]
    scheme = KeypointScheme(tuple(NAMES), sigmas=tuple(samples.scheme.sigmas[column] for column in columns))
    film = (
        Prediction(
            Source("film", None, place, place / 25),
            one._replace(points=one.points[:, columns], point_scores=one.point_scores[:, columns]),
            scheme,
            np.zeros((1, 1, 3), np.uint8),
        )
        for place, one in enumerate(nameless)
    )
    ((_, tracked),) = metric.by_video(measures, samples.scheme).items()
    for one, other in zip(tracked, Tracker(keep=0.5, smooth="savgol")(film), strict=True):
        assert one.prediction.ids.tolist() == other.record.ids.tolist()
        np.testing.assert_array_equal(one.prediction.points[:, columns], other.record.points)


def test_a_tracker_that_looks_at_pictures_is_refused():
    pytest.importorskip("trackers")
    with pytest.raises(OptionError, match=r"tracker.method is 'botsort', which looks at pictures; a metric has none"):
        PoseTrackHOTA(tracker=Tracker("botsort"))


def test_a_tracker_that_adds_people_is_refused():
    with pytest.raises(OptionError, match=r"tracker.fill is 0\.5"):
        PoseTrackHOTA(tracker=Tracker(fill=0.5))


def test_every_whole_number_in_a_file_is_an_id(toy, tmp_path, test_data):
    samples, records, _ = toy
    for file in (test_data / "tracking/predictions").iterdir():
        content = json.loads(file.read_text())
        for one in content["annotations"]:
            one["track_id"] -= 3
        (tmp_path / file.name).write_text(json.dumps(content))
    below = read_results(str(tmp_path), samples)
    assert min(one.ids.min() for one in below.values() if len(one.ids)) == 1
    for metric in METRICS:
        assert score(metric(), samples, below) == score(metric(), samples, records)


# --- the least score of a keypoint ---


def test_keypoints_of_low_score_can_be_left_out(tmp_path):
    samples = make_samples(tmp_path)
    records = read_results(str(tmp_path / "found"), samples)
    numbers = {least: score(PoseTrackMOTA(joint_score=least), samples, records) for least in (0.0, 0.2, 0.4)}
    kept = {
        sample: record._replace(points=np.where(record.point_scores[..., None] < 0.2, np.nan, record.points))
        for sample, record in records.items()
    }
    left = score(PoseTrackMOTA(), samples, kept)
    assert numbers[0.2]["MOTA"] == left["MOTA"] and numbers[0.2]["joint_score"] == 0.2
    assert numbers[0.2]["AP of MOTA"] == score(PoseTrackAP(), samples, kept)["AP"] < numbers[0.0]["AP of MOTA"]


def test_the_best_least_score_is_found(tmp_path):
    samples = make_samples(tmp_path, ["990002"])
    # Everybody is found where they are, with 0.9, but for ankles elsewhere, with 0.31.
    records = {}
    ankles = [samples.scheme.names.index(f"{side}_ankle") for side in ("left", "right")]
    for sample in range(len(samples)):
        record = samples.truth(sample).as_prediction()
        record.point_scores[record.point_scores > 0] = 0.9
        record.points[:, ankles] += 500
        record.point_scores[:, ankles] *= 0.31 / 0.9
        records[sample] = record
    chosen = score(PoseTrackMOTA(joint_score="best"), samples, records)
    assert chosen["joint_score"] == 0.35  # the first step above
    assert chosen == score(PoseTrackMOTA(joint_score=0.35), samples, records)
    assert chosen["MOTA"] > score(PoseTrackMOTA(), samples, records)["MOTA"]


@pytest.mark.parametrize("value", [-0.1, 1.5, "worst"])
@pytest.mark.parametrize("metric", [PoseTrackMOTA, PoseTrackHOTA])
def test_a_least_score_is_between_0_and_1(metric, value):
    with pytest.raises(OptionError, match=f"joint_score is {value!r}, expected a number from 0 to 1"):
        metric(joint_score=value)


# --- odd videos ---


def json_of(folder):
    return json.loads((folder / "all.json").read_text())


def change(folder, change):
    content = json_of(folder)
    change(content)
    (folder / "all.json").write_text(json.dumps(content))
    return PoseTrack18(data_root=str(folder), ann_file="all.json", scheme="posetrack18")


def finite(numbers):
    return {name: number for name, number in numbers.items() if np.isfinite(number)}


def test_a_video_of_any_name_is_scored(tmp_path):
    samples = make_samples(tmp_path, ["990003"])
    expected = score(PoseTrackMOTA(), samples, read_results(str(tmp_path / "found"), samples))
    (tmp_path / "found" / f"{video_of('990003')}.json").rename(tmp_path / "found" / "holiday.json")
    rename = {image["id"]: f"films/holiday/IMG_{image['id']}.png" for image in json_of(tmp_path)["images"]}
    samples = change(tmp_path, lambda c: [image.update(file_name=rename[image["id"]]) for image in c["images"]])
    assert {samples.video_frame(sample).video for sample in range(len(samples))} == {"holiday"}
    assert score(PoseTrackMOTA(), samples, read_results(str(tmp_path / "found"), samples)) == expected


@pytest.mark.parametrize("metric", METRICS)
def test_a_flat_list_is_one_region_and_one_of_two_corners_none(tmp_path, metric):
    samples = make_samples(tmp_path, ["990003"])
    records = read_results(str(tmp_path / "found"), samples)

    def ignore(xs, ys):
        regions = dict(ignore_regions_x=xs, ignore_regions_y=ys)
        samples = change(tmp_path, lambda content: [image.update(regions) for image in content["images"]])
        return score(metric(), samples, records)

    whole, flat = ignore([[60, 320, 320, 60]], [[40, 40, 200, 200]]), ignore([60, 320, 320, 60], [40, 40, 200, 200])
    none, line = ignore([], []), ignore([[60, 320]], [[40, 200]])
    assert whole == flat != none == line


def test_a_labelled_frame_without_people_is_scored(tmp_path):
    samples = make_samples(tmp_path, ["990004"])
    records = read_results(str(tmp_path / "found"), samples)
    assert len(records[8].labels)  # found where the original's HOTA stops
    numbers = {kind: score(PoseTrackHOTA(corrected=kind), samples, records)["HOTA"] for kind in (False, True)}
    assert np.isfinite(list(numbers.values())).all() and numbers[False] < numbers[True]
    assert score(PoseTrackAP(), samples, records)["frames"] == 7


def test_a_video_with_one_labelled_frame_has_no_mota_and_stops_nothing(tmp_path):
    samples = make_samples(tmp_path, ["990001", "990002"])

    def label_one(content):
        first = [image["id"] for image in content["images"] if "990001" in image["file_name"]]
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] not in first[1:]]
        for image in content["images"]:
            image["is_labeled"] = image["id"] not in first[1:]

    samples = change(tmp_path, label_one)
    records = read_results(str(tmp_path / "found"), samples)
    numbers = score(PoseTrackMOTA(), samples, records)
    assert np.isfinite(numbers["MOTA"]) and "MOTA 990001_mpii_test" not in numbers
    assert numbers["MOTA"] == pytest.approx(VECTORS["poseval"]["990002"]["mota"][-1], abs=1e-9)
    assert np.isfinite(list(score(PoseTrackHOTA(), samples, records).values())).all()


def test_videos_without_anybody_have_no_numbers_and_stop_nothing(tmp_path):
    samples = make_samples(tmp_path, ["990001"])
    records = read_results(str(tmp_path / "found"), samples)
    nobody = [
        one._replace(labelled=False, people=one.people.select(np.zeros(0, int))) for one in samples.videos[0].frames
    ]
    for metric in (metric() for metric in METRICS):
        measures = [metric.measure_frame(records[i], None, samples.scheme, frame) for i, frame in enumerate(nobody)]
        assert not np.isfinite(metric.score(measures, samples.scheme)[metric.headline])


def test_pictures_by_themselves_are_refused(tmp_path):
    make_samples(tmp_path, ["990001"])
    samples = CocoKeypoints(data_root=tmp_path, ann_file="all.json", image_dir="", scheme="posetrack18")
    for metric in METRICS:
        with pytest.raises(
            DataError, match=f"{metric.__name__} follows people through videos, and these samples are pi"
        ):
            measure_sample(metric(), samples, 0, None, samples.truth(0))
    with pytest.raises(DataError, match="for a dataset of the type PoseTrack18 alone"):
        read_results(str(tmp_path), samples)


def test_truth_with_two_people_of_one_id_is_refused(tmp_path):
    make_samples(tmp_path, ["990001"])
    with pytest.raises(DataError, match=r"all.json: two people of .*000000.jpg have the id 7; give each their own"):
        change(tmp_path, lambda c: [one.update(track_id=7) for one in c["annotations"][:2]])


# --- the config ---


@pytest.mark.parametrize("boxes", ["annotated", "detected"])
def test_an_epoch_trains_and_is_scored(test_data, tmp_path, boxes):
    val = ["val_dataloader.dataset.ann_file=annotations/posetrack18_val.json"]
    if boxes == "detected":
        val.append("val_dataloader.dataset.box_file=annotations/posetrack18_val_human_detections.json")
    loaders = [
        f"{loader}_dataloader.{key}"
        for loader in ("train", "val")
        for key in ("batch_size=32", "num_workers=0", f"dataset.data_root={str(test_data / 'tracking')!r}")
    ]
    train_file = "train_dataloader.dataset.ann_file=annotations/val/990101_mpii_test.json"
    config = load_config("pose/hrnet_w32_posetrack18", [*TINY, *loaders, *val, train_file])
    found = train(config, tmp_path / "run")
    assert {"AP", "MOTA", "HOTA", "people HOTA", "AP of MOTA"} <= found.keys()
    assert found["frames"] == 35 and all(np.isfinite(list(found.values())))


def test_weights_of_openmmlab_find_their_names(tmp_path):
    source = build_model(load_config("pose/hrnet_w48_posetrack18", TINY))
    assert source.branch().head.final_layer.weight.shape[0] == 17
    for prefix in ("keypoint_head.", "head."):  # of mmpose 0.x, as published, and 1.x
        state = {name.replace("head.", prefix, 1): value for name, value in source.state_dict().items()}
        torch.save({"meta": {"epoch": 20}, "state_dict": state}, tmp_path / "mmpose.pth")
        model = build_model(load_config("pose/hrnet_w48_posetrack18", TINY))
        report = load_checkpoint(model, tmp_path / "mmpose.pth")
        assert report.part_fits("backbone") and report.part_fits("head")
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in source.state_dict().items())


# --- the command ---


def run(folder, *more):
    options = ["--data-root", str(folder), "--set", "model.backbone.width=4"]
    command = [sys.executable, "-m", "hrtoolkit", "test", "pose/hrnet_w32_posetrack18", *more, *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_predictions_are_scored_without_a_network(test_data):
    folder = test_data / "tracking"
    done = run(folder, str(folder / "predictions"))
    assert done.returncode == 0, done.stderr
    numbers, expected = json.loads(done.stdout.splitlines()[-1]), json.loads((folder / "expected.json").read_text())
    assert_equal(numbers["AP"], expected["poseval"]["ap"][-1])
    assert_equal(numbers["MOTA"], expected["poseval"]["mota"][-1])
    assert_equal(numbers["HOTA"], expected["hota_points"]["HOTA"][-1])
    assert numbers["people IDF1"] > 0.7


def test_scores_of_finished_predictions_need_no_pictures(test_data, tmp_path):
    shutil.copytree(test_data / "tracking/annotations", tmp_path / "annotations")
    done = run(tmp_path, str(test_data / "tracking/predictions"))
    assert done.returncode == 0, done.stderr
    expected = json.loads((test_data / "tracking/expected.json").read_text())
    assert_equal(json.loads(done.stdout.splitlines()[-1])["AP"], expected["poseval"]["ap"][-1])


def test_a_folder_that_lacks_a_video_is_told(test_data, tmp_path):
    done = run(test_data / "tracking", str(tmp_path))
    assert done.returncode == 1
    assert "2 of 2 videos have no file of predictions: 990101_mpii_test.json, 990102_mpii_test.json" in done.stderr

"""PoseTrack18's files: read, written, refused, and read by PoseTrack's own code."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tracking.keypoints import People, compare
from hrtoolkit.tracking.posetrack_files import (
    EARS,
    NAMES,
    find_predictions,
    read_predictions,
    read_truth,
    write_predictions,
)
from hrtoolkit.tracking.poseval import average_precision, mota

from .posetrack import FILE_NAMES, POSEVAL_NAMES, SEQUENCES, VECTORS, assert_equal, read_people, video_of, write_truth
from .posetrack import NAMES as SCORED


@pytest.fixture
def truth_file(tmp_path):
    return write_truth(tmp_path / "truth", "990003", VECTORS["sequences"]["990003"])


@pytest.fixture
def video(truth_file):
    return read_truth(truth_file)[0]


def found_people(name):
    """Predictions of a sequence, in the order of `SCORED`."""
    return [read_people(frame["predictions"], range(15)) for frame in VECTORS["sequences"][name]]


def write_found(folder, video, name):
    path = folder / f"{video.name}.json"
    write_predictions(path, video.files, found_people(name), SCORED, video.image_ids)
    return path


def change(path, change):
    """Change a file in place."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_names_are_those_of_the_files():
    assert list(NAMES) == FILE_NAMES and set(NAMES) - set(SCORED) == set(EARS)


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_is_written_is_scored_as_the_original_does(tmp_path, name):
    video = read_truth(write_truth(tmp_path / "truth", name, VECTORS["sequences"][name]), POSEVAL_NAMES)[0]
    found = read_predictions(write_found(tmp_path, video, name), video, POSEVAL_NAMES)
    assert video.name == video_of(name) and len(video.frames) == len(found)
    frames = [compare(frame.people, people, frame.regions) for frame, people in zip(video.frames, found, strict=True)]
    frames = [frame for frame in frames if frame is not None]
    expected = VECTORS["poseval"][name]
    assert_equal(average_precision(frames).ap, expected["ap"])
    assert_equal(mota([frames]).mota, expected["mota"])
    assert_equal(mota([frames]).motp, expected["motp_matches_only"])


def test_frames_know_where_they_belong(video):
    frames = VECTORS["sequences"]["990003"]
    assert [frame.number for frame in video.frames] == list(range(len(frames)))
    assert [frame.labelled for frame in video.frames] == [frame["labelled"] for frame in frames]
    assert [len(frame.regions) for frame in video.frames] == [len(frame.get("regions", ())) for frame in frames]
    assert (
        video.annotation_ids[0]
        == [image_id * 100 + row for image_id in video.image_ids[:1] for row in range(4)][: len(frames[0]["truth"])]
    )


def test_videos_of_one_file_are_told_apart(tmp_path):
    files = [write_truth(tmp_path, name, VECTORS["sequences"][name]) for name in SEQUENCES[:2]]
    parts = [json.loads(file.read_text()) for file in files]
    joined = {key: [*parts[0][key], *parts[1][key]] for key in ("images", "annotations")}
    path = tmp_path / "joined.json"
    path.write_text(json.dumps(joined | {"categories": parts[0]["categories"]}))
    videos = read_truth(path)
    assert [video.name for video in videos] == [video_of(name) for name in SEQUENCES[:2]]
    for video, file in zip(videos, files, strict=True):
        assert_equal(video.frames[3].people.points, read_truth(file)[0].frames[3].people.points)


def test_real_files_are_read(test_data):
    path = test_data / "tracking/annotations/val/990102_mpii_test.json"
    (video,) = read_truth(path)
    assert [frame.number for frame in video.frames if frame.labelled] == [2, 6, *range(10, 21), 22, 26]
    assert len(video.frames[0].regions) == 1 and video.frames[0].people.points.shape == (0, 17, 2)
    found = read_predictions(test_data / "tracking/predictions/990102_mpii_test.json", video)
    assert sum(len(people.ids) for people in found) == 115
    assert not any(people.present[:, [3, 4]].any() for people in found)  # ears


# --- written ---


def test_keypoints_go_by_their_names(tmp_path, video):
    rng = np.random.default_rng(0)
    people = [
        People(np.array([3, 12]), rng.uniform(1, 99, (2, 17, 2)), np.ones((2, 17), bool), rng.uniform(0.1, 1, (2, 17)))
        for _ in video.files
    ]
    people[2] = people[2].select(np.zeros(0, int))
    write_predictions(tmp_path / "a.json", video.files, people, COCO.names, video.image_ids)
    found = read_predictions(tmp_path / "a.json", video)
    shared = [name for name in COCO.names if name in NAMES and name not in EARS]
    ours, theirs = [COCO.names.index(name) for name in shared], [NAMES.index(name) for name in shared]
    assert len(shared) == 13 and len(found[2].ids) == 0
    assert_equal(found[0].points[:, theirs], people[0].points[:, ours])
    assert_equal(found[0].scores[:, theirs], people[0].scores[:, ours])
    assert found[0].ids.tolist() == [3, 12]
    assert found[0].present.sum() == 2 * len(shared)  # PoseTrack18 has places for ears, and no ears


def test_a_keypoint_at_the_corner_is_there_and_an_absent_one_is_not(tmp_path, video):
    points = np.full((1, 15, 2), 7.0)
    points[0, 0], points[0, 1] = 0.0, np.nan
    present = np.isfinite(points).all(axis=-1)
    nobody = People(np.zeros(0, int), np.zeros((0, 15, 2)), np.zeros((0, 15), bool), np.zeros((0, 15)))
    people = [nobody] * (len(video.files) - 1) + [People(np.array([1]), points, present, np.full((1, 15), 0.5))]
    write_predictions(tmp_path / "a.json", video.files, people, SCORED, video.image_ids)
    (*_, last) = read_predictions(tmp_path / "a.json", video, SCORED)
    assert last.present[0].tolist() == present[0].tolist() and json.loads((tmp_path / "a.json").read_text())
    assert last.scores[0, 1] == 0


def test_people_without_an_id_are_left_out(tmp_path, video):
    people = [one._replace(ids=np.full(len(one.ids), -1)) for one in found_people("990003")]
    write_predictions(tmp_path / "a.json", video.files, people, SCORED, video.image_ids)
    assert not any(len(one.ids) for one in read_predictions(tmp_path / "a.json", video))


def test_images_have_posetrack_s_numbers_where_their_folder_has_its_name(tmp_path):
    nobody = People(np.zeros(0, int), np.zeros((0, 15, 2)), np.zeros((0, 15), bool), np.zeros((0, 15)))
    for files, expected in (
        (
            ["images/val/000342_mpii_test/000012.jpg", "images/val/000342_mpii_test/000013.jpg"],
            [10003420012, 10003420013],
        ),
        (["x/019980_bonn_train/000001.jpg"], [20199800001]),
        (["x/000001_mpiinew_test/000001.jpg"], [30000010001]),
        (["holiday/000012.jpg", "holiday/000013.jpg"], [0, 1]),  # a video whose name is not PoseTrack's
        (["000342_coco_test/1.jpg"], [0]),
    ):
        write_predictions(tmp_path / "a.json", files, [nobody] * len(files), SCORED)
        images = json.loads((tmp_path / "a.json").read_text())["images"]
        assert [image["id"] for image in images] == expected
        assert [image["file_name"] for image in images] == files


def test_a_video_of_any_name_is_read_and_paired_by_file_names(tmp_path):
    path = write_truth(tmp_path, "990001", VECTORS["sequences"]["990001"])
    change(path, lambda c: [one.update(file_name=one["file_name"].split("/")[-1]) for one in c["images"]])
    (video,) = read_truth(path)
    assert video.name == video_of("990001")  # without a folder it is called as its file
    write_predictions(tmp_path / "a.json", [f"holiday/{name}" for name in video.files], found_people("990001"), SCORED)
    assert len(read_predictions(tmp_path / "a.json", video)) == len(video.frames)


def test_ids_from_ten_thousand_on_are_kept_and_told(tmp_path, video, caplog):
    people = [one._replace(ids=one.ids + 10_000) for one in found_people("990003")]
    with caplog.at_level(logging.WARNING):
        write_predictions(tmp_path / "a.json", video.files, people, SCORED, video.image_ids)
        assert "PoseTrack's own code stops at ids from 10,000 on" in caplog.text
        caplog.clear()
        found = read_predictions(tmp_path / "a.json", video)
    assert found[0].ids.min() >= 10_000
    assert "a.json: ids outside 0 to 9,999, at which PoseTrack's own code stops" in caplog.text


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ids", r"a.json: two people of .*000000.jpg have the id 3; give each their own"),
        ("images", r"a.json: two frames have the id 5, so who is in which cannot be told"),
    ],
)
def test_what_cannot_be_read_back_is_not_written(tmp_path, video, kind, message):
    people, image_ids = found_people("990003"), list(video.image_ids)
    if kind == "ids":
        people[0] = people[0]._replace(ids=np.full(len(people[0].ids), 3))
    else:
        image_ids = [5, 5, *image_ids[2:]]
    with pytest.raises(DataError, match=message):
        write_predictions(tmp_path / "a.json", video.files, people, SCORED, image_ids)
    assert not (tmp_path / "a.json").exists()


# --- refused ---


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (
            lambda c: c["annotations"][1].update(track_id=c["annotations"][0]["track_id"]),
            r"two people of images/val/990003_mpii_test/000000.jpg have the id \d+; give each their own",
        ),
        (lambda c: c["annotations"][0].pop("bbox_head"), r"annotations\[0\] is one of those that lack \['bbox_head'\]"),
        (lambda c: c["annotations"][0].update(track_id="a"), r"`track_id` is a text, expected a whole number: 'a'"),
        (lambda c: c["annotations"][0]["keypoints"].pop(), r"`keypoints` of 50, 51 numbers in one file"),
        (lambda c: c["categories"][0]["keypoints"].pop(), r"`keypoints` of 51 numbers, where its category names 16"),
        (lambda c: c["images"][1].update(id=c["images"][0]["id"]), r"two images have the id 19900030000"),
        (lambda c: c["annotations"][0].update(image_id=7), r"annotations of images that it does not list: 7"),
        (lambda c: c.pop("images"), r"'images' is missing or empty; expected PoseTrack18's format"),
        (
            lambda c: c["images"][0].update(ignore_regions_x=[[1, 2, 3]], ignore_regions_y=[[1, 2]]),
            r"the regions to ignore of .*000000.jpg have not as many x as y",
        ),
        (
            lambda c: c["images"][0].update(ignore_regions_x=[["a", 2, 3]], ignore_regions_y=[[1, 2, 3]]),
            r"the regions to ignore of .*000000.jpg are no lists of numbers",
        ),
    ],
)
def test_a_mistake_in_the_truth_is_one_clear_error(truth_file, mistake, message):
    change(truth_file, mistake)
    with pytest.raises(DataError, match=message) as error:
        read_truth(truth_file)
    assert str(error.value).startswith(str(truth_file)) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (
            lambda c: (
                c["images"].pop(4)
                and [c["annotations"].remove(a) for a in c["annotations"][:] if a["image_id"] % 10**4 == 4]
            ),
            r"9 frames, the truth has 10, 000004.jpg missing; write every frame of the truth in its order",
        ),
        (lambda c: c["images"].append(dict(c["images"][0], id=1)), r"11 frames, the truth has 10; write every frame"),
        (lambda c: c["images"].reverse(), r"frame 0 is 000009.jpg, in the truth it is 000000.jpg; write every frame"),
        (
            lambda c: c["annotations"][1].update(track_id=c["annotations"][0]["track_id"]),
            r"two people of images/val/990003_mpii_test/000000.jpg have the id",
        ),
        (
            lambda c: c["annotations"][0]["scores"].pop(),
            r"16 scores of the 17 keypoints of track \d+ in .*000000.jpg; give each keypoint its own, or none at all",
        ),
    ],
)
def test_a_mistake_in_predictions_is_one_clear_error(tmp_path, video, mistake, message):
    path = change(write_found(tmp_path, video, "990003"), mistake)
    with pytest.raises(DataError, match=message) as error:
        read_predictions(path, video)
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_missing_file_is_told_with_the_others(tmp_path, video):
    with pytest.raises(DataError, match=r"1 of 1 videos have no file of predictions: 990003_mpii_test.json; write one"):
        find_predictions(tmp_path, [video])
    write_found(tmp_path, video, "990003")
    assert find_predictions(tmp_path, [video]) == {video.name: tmp_path / "990003_mpii_test.json"}


# --- allowed ---


@pytest.mark.parametrize("lack", ["empty", "missing"])
def test_predictions_may_have_no_scores(tmp_path, video, lack):
    path = write_found(tmp_path, video, "990003")
    change(path, lambda c: [a.update(scores=[]) if lack == "empty" else a.pop("scores") for a in c["annotations"]])
    found = read_predictions(path, video)
    assert found[0].scores is None
    assert compare(video.frames[0].people, found[0]).scores.max() == -9999


def test_who_has_no_scores_among_others_comes_last(tmp_path, video):
    path = change(write_found(tmp_path, video, "990003"), lambda c: c["annotations"][0].update(scores=[]))
    scores = read_predictions(path, video)[0].scores
    assert (scores[0] == -9999).all() and (scores[1:] > -9999).all()


@pytest.mark.parametrize(
    ("xs", "ys", "regions"),
    [
        ([0, 10, 10, 0], [0, 0, 10, 10], [4]),  # one flat list
        ([[0, 10], [0, 10, 10]], [[0, 10], [0, 0, 10]], [2, 3]),  # two points have no inside
        ([[]], [[]], []),
        (None, None, []),
        ([[0, 10, 10, 0]], [[0, 10, 0, 10]], [4]),  # crosses itself
    ],
)
def test_odd_regions_are_read(truth_file, xs, ys, regions):
    change(truth_file, lambda c: c["images"][0].update(ignore_regions_x=xs, ignore_regions_y=ys))
    frame = read_truth(truth_file)[0].frames[0]
    assert [len(region) for region in frame.regions] == regions
    assert compare(frame.people, frame.people, frame.regions) is not None


def test_files_of_fifteen_keypoints_in_another_order_are_read(truth_file):
    def turn(content):
        order = [FILE_NAMES.index(name) for name in reversed(SCORED)]
        content["categories"][0]["keypoints"] = SCORED[::-1]
        for one in content["annotations"]:
            one["keypoints"] = np.reshape(one["keypoints"], (17, 3))[order].ravel().tolist()

    before = read_truth(truth_file)[0].frames[0].people
    after = read_truth(change(truth_file, turn))[0].frames[0].people
    assert_equal(after.points, before.points)
    assert (after.present == before.present).all()


def test_a_frame_that_says_nothing_is_labelled_where_it_has_people(tmp_path):
    path = write_truth(tmp_path, "990004", VECTORS["sequences"]["990004"])
    change(path, lambda c: [image.pop("is_labeled") for image in c["images"]])
    frames = read_truth(path)[0].frames
    assert [frame.labelled for frame in frames] == [len(frame.people.ids) > 0 for frame in frames]


# --- read by the original ---


def test_the_original_scores_what_we_write(tmp_path):
    pytest.importorskip("poseval")
    for name in SEQUENCES:
        video = read_truth(write_truth(tmp_path / "truth", name, VECTORS["sequences"][name]))[0]
        write_found(tmp_path / "found", video, name)
    command = [sys.executable, "-m", "poseval.evaluate", "--evalPoseEstimation", "--evalPoseTracking"]
    folders = [f"--groundTruth={tmp_path}/truth/", f"--predictions={tmp_path}/found/", f"--outputDir={tmp_path}/out"]
    subprocess.run([*command, *folders], check=True, cwd=tmp_path)
    for kind, number in (("AP", "ap"), ("MOT", "mota")):
        (file,) = (tmp_path / "out").glob(f"total_{kind}_metrics*")
        assert_equal(json.loads(file.read_text())[number], VECTORS["poseval"]["all"][number], 1e-6)

"""The list of ids: gaps, and the places where two may have been taken for each other."""

import json
import tracemalloc

import pytest

from hrtoolkit.predict.tracks import write_tracks
from hrtoolkit.schemes.people import COCO

STEP = 1 / 25


def frame(number, people, source="film.mp4", time=True):
    """A prediction of the journal with boxes of two by five metres around a place x by id, 40 pixels a metre."""
    objects = [{"id": one, "score": 0.8, "box_xyxy": [x - 40, 100, x + 40, 100 + h]} for one, (x, h) in people.items()]
    timed = {"time": number * STEP} if time else {}
    return {"source": source, "frame": number, **timed, "width": 1280, "height": 400, "objects": objects}


def crossing(number, exchanged_from=1000, heights=(200, 200)):
    """Two who walk past each other, and meet in frame 50."""
    ids = (1, 2) if number < exchanged_from else (2, 1)
    places = 400 + 6 * (number - 50), 400 - 6 * (number - 50)
    return frame(number, dict(zip(ids, zip(places, heights, strict=True), strict=True)))


def sum_up(path, frames):
    write_tracks(path / "tracks.json", frames, COCO)
    return json.loads((path / "tracks.json").read_text())["videos"]


def test_two_who_walk_past_each_other_keep_their_ids(tmp_path):
    video = sum_up(tmp_path, map(crossing, range(100)))[0]
    assert video["exchanges"] == []
    assert [(one["id"], one["frames"], one["gaps"], one["score"]) for one in video["tracks"]] == [
        (1, 100, [], 0.8),
        (2, 100, [], 0.8),
    ]


def test_an_exchange_where_they_meet_is_found_by_their_speed(tmp_path):
    (one,) = sum_up(tmp_path, [crossing(number, 50) for number in range(100)])[0]["exchanges"]
    assert {one["id"], one["other"]} == {1, 2} and abs(one["frame"] - 50) <= 2
    assert one["time"] == pytest.approx(one["frame"] * STEP)
    # Both turn: from 6 pixels a frame to -6, of 200 pixels at 25 frames a second.
    assert one["why"]["speed"] == pytest.approx(2 * 6 * 25 / 200, abs=0.05) and "size" not in one["why"]
    assert one["why"]["overlap"] > 0.9


def test_an_exchange_behind_each_other_is_found_after_the_gap(tmp_path):
    hidden = [crossing(number, 50) for number in range(100)]
    for one in hidden[48:53]:
        one["objects"] = []
    video = sum_up(tmp_path, hidden)[0]
    assert [abs(one["frame"] - 50) <= 5 for one in video["exchanges"]] == [True]
    assert [one["gaps"] for one in video["tracks"]] == [[[48, 52]], [[48, 52]]]


def test_an_exchange_of_an_adult_and_a_child_is_found_by_size(tmp_path):
    frames = [frame(n, {1 + (n >= 50): (400, 200), 2 - (n >= 50): (410, 120)}) for n in range(100)]
    (one,) = sum_up(tmp_path, frames)[0]["exchanges"]
    assert abs(one["frame"] - 50) <= 2 and one["why"]["size"] == pytest.approx(200 / 120, abs=0.05)
    assert "speed" not in one["why"] or one["why"]["speed"] < 1.5


def test_each_exchange_of_a_pair_counts_once(tmp_path):
    there = [crossing(number, 50) for number in range(100)]
    back = [crossing(99 - number, 50) | {"frame": 100 + number, "time": (100 + number) * STEP} for number in range(100)]
    found = sum_up(tmp_path, there + back)[0]["exchanges"]
    assert [round(one["frame"] / 10) for one in found] == [5, 15]


def test_pages_without_times_have_frames_alone(tmp_path):
    video = sum_up(tmp_path, [frame(number, {1: (100, 200)}, time=False) for number in range(3)])[0]
    assert "seconds" not in video["tracks"][0] and video["tracks"][0]["last_frame"] == 2


def test_times_that_stand_still_are_no_speed(tmp_path):
    still = [one | {"time": 1.0} for one in map(crossing, range(100))]
    assert sum_up(tmp_path, still)[0]["exchanges"] == []


def test_a_gap_that_was_filled_is_one(tmp_path):
    frames = [frame(number, {1: (100 + number, 200)}) for number in range(9)]
    for one in frames[3:6]:
        one["objects"][0]["filled"] = True
    video = sum_up(tmp_path, frames)[0]
    assert video["tracks"][0]["gaps"] == [[3, 5]] and video["tracks"][0]["frames"] == 6 and video["without_id"] == 0


def test_each_video_has_its_own_ids(tmp_path):
    frames = [frame(n, {1: (100, 200)}, source) for source in ("a.mp4", "b.mp4") for n in range(2)]
    assert [[t["frames"] for t in one["tracks"]] for one in sum_up(tmp_path, frames)] == [[2], [2]]


def test_thousands_who_come_and_go_take_little_memory(tmp_path):
    def frames(count):
        for number in range(count):
            yield frame(number, {5 * (number // 30) + k + 1: (100 * k, 200) for k in range(5)})

    peaks = []
    for count in (600, 2400):  # 100 and 400 ids
        tracemalloc.start()
        write_tracks(tmp_path / "tracks.json", frames(count), COCO)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 300 < 5000  # bytes for each id

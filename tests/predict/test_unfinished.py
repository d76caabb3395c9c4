"""A run that is killed inside a film: the next one takes what was found, and ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from hrtoolkit import build_model
from hrtoolkit.errors import UserError
from hrtoolkit.masks import Masks
from hrtoolkit.predict import Predictor, sparse_detection
from hrtoolkit.predict.sources import Picture, Source
from hrtoolkit.predict.unfinished import Found, Unfinished
from hrtoolkit.predict.video import VideoWriter
from hrtoolkit.records import Category, LabelMap, Objects
from hrtoolkit.runtime.boxes import Boxes
from hrtoolkit.tracking.tracker import Tracker

from ..test_contracts import small_config

av = pytest.importorskip("av")
POSE = np.random.default_rng(0).uniform(0.1, 0.88, (17, 2))  # in its box
IMAGE = np.full((40, 60, 3), 200, np.uint8)


class PowerCut(BaseException):
    """What ends a run at once."""


def write_film(path, count, brightness=0):
    """Frames whose brightness tells their number."""
    writer = VideoWriter(path)
    for number in range(count):
        writer.write(np.full((96, 128, 3), 40 + brightness + 2 * number, np.uint8), number / 25)
    writer.close()


@pytest.fixture
def films(tmp_path):
    write_film(tmp_path / "films/1.mp4", 5)
    write_film(tmp_path / "films/2.mp4", 80)
    return tmp_path / "films"


def walk(image):
    """A detector of two people who walk, and meet."""
    place = (float(image.mean()) - 40) / 4
    return np.array([[10 + place, 10, 50 + place, 90, 0.9], [80 - place, 5, 120 - place, 85, 0.8]])


class Network(Predictor):
    """An untrained network that finds somebody wherever it looks, and counts the frames and batches that it sees."""

    def __init__(self, **options):
        torch.manual_seed(0)
        super().__init__(build_model(small_config("HeatmapHead")), **options)
        self.frames, self.batches, self.end = [], [], None
        self.finish = self.branch.finish
        self.branch.finish = self.be_sure

    def _look(self, index, picture, find):
        self.frames.append((picture.source.name, picture.source.frame))
        if len(self.frames) == self.end:
            raise PowerCut
        return super()._look(index, picture, find)

    def look_at(self, inputs):
        self.batches.append(len(inputs))
        return super().look_at(inputs)

    def be_sure(self, records):
        people = self.finish(records)
        low, high = people.boxes_xyxy[:, None, :2], people.boxes_xyxy[:, None, 2:]
        points = low + (high - low) * POSE + (people.points - low) / 50
        return people._replace(
            points=points.astype(np.float32), scores=people.scores + 0.6, point_scores=people.point_scores + 0.6
        )


def read(folder):
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stop_at(number):
    """Ends a run with a prediction that is being shown."""
    seen = []

    def show(prediction):
        seen.append(prediction)
        if len(seen) == number:
            raise PowerCut

    return show


def frames_in(path):
    """Of a file of what was found."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [frame["frame"] for line in lines for frame in json.loads(line)]


CASES = {
    "ids": (
        dict(detector=walk, detect_every=3),
        lambda: dict(tracker=Tracker(smooth="savgol", fill=0.2, fix_sides=True), save=["csv", "tracks"], tail=0.3),
        45,  # when nothing of the second film, and not all of the first, is written
    ),
    "ids, later": (
        dict(detector=walk, detect_every=3),
        lambda: dict(tracker=Tracker(smooth="savgol", fill=0.2, fix_sides=True), save=["csv", "tracks"], tail=0.3),
        80,
    ),
    "boxes": (dict(detector=walk, batch_size=3), lambda: dict(save=["csv"]), 74),
    "whole": (dict(batch_size=1), lambda: dict(boxes="whole", save=["csv"], pictures=False), 40),
}


@pytest.mark.parametrize("case", CASES)
def test_a_folder_is_byte_for_byte_that_of_a_run_that_was_never_stopped(films, tmp_path, case):
    options, make_more, end = CASES[case]
    Network(**options).run(films, tmp_path / "whole", **make_more())
    expected = read(tmp_path / "whole")
    assert not (tmp_path / "whole/unfinished").exists()
    if "ids" in case:
        ids = [one["id"] for line in expected["predictions.jsonl"].splitlines() for one in json.loads(line)["objects"]]
        assert len(ids) > 80 and len(set(ids)) > 1

    first, out = Network(**options), tmp_path / "out"
    first.end = end
    with pytest.raises(PowerCut):
        first.run(films, out, **make_more())
    kept = {name: Unfinished(out / "unfinished")._path(name) for name in ("1.mp4", "2.mp4")}
    assert set((out / "unfinished").iterdir()) == {path for path in kept.values() if path.exists()}
    held = [(name, frame) for name, path in kept.items() for frame in frames_in(path)]
    assert len(held) >= 30 and set(held) <= set(first.frames) and kept["1.mp4"].exists() == (case == "ids")
    assert frames_in(kept["2.mp4"])[-1] > first.frames[-1][1] - 66
    with kept["2.mp4"].open("r+b") as file:
        half = file.readline()[:100]
        file.seek(0, os.SEEK_END)
        file.write(half)  # as a killed run leaves it

    with pytest.raises(PowerCut):  # and once more, while what was found is taken
        Network(**options).run(films, out, watch=stop_at(10), **make_more())

    last = Network(**options)
    summary = last.run(films, out, **make_more())
    assert read(out) == expected
    assert not set(last.frames) & set(held) and summary.earlier == 1
    assert len(last.frames) + summary.taken == 80 == summary.predicted
    assert f"80 predicted, {summary.taken} of them by the run that was stopped" in str(summary)


def test_the_others_of_a_batch_are_the_same_wherever_a_run_begins(films, tmp_path):
    whole, first, last = (Network(detector=walk, batch_size=5) for _ in range(3))
    whole.run(films, tmp_path / "whole")
    first.end = 80  # the second part of the second film
    with pytest.raises(PowerCut):
        first.run(films, tmp_path / "out")
    last.run(films, tmp_path / "out")
    assert whole.batches == [5, 5] + [5] * 25 + [3] + [5] * 6 + [2]
    assert last.batches == [5] * 6 + [2]


def test_auto_goes_on_with_the_number_that_was_measured(films, tmp_path, monkeypatch):
    monkeypatch.setattr(sparse_detection, "MOST", 3)
    calls = []

    def detect(image):
        calls.append(1)
        if len(calls) <= 5:
            time.sleep(0.2)
        return walk(image)

    Network(detector=detect, detect_every="auto").run(films / "2.mp4", tmp_path / "whole")
    needed = len(calls)
    calls.clear()
    first = Network(detector=detect, detect_every="auto")
    first.end = 50
    with pytest.raises(PowerCut):
        first.run(films / "2.mp4", tmp_path / "out")
    calls[:] = [1] * 5  # now detecting takes no time
    last = Network(detector=detect, detect_every="auto")
    summary = last.run(films / "2.mp4", tmp_path / "out")
    assert summary.taken > 40 and [frame for _, frame in last.frames[:6]] == [*range(5), summary.taken + 5]
    assert len(calls) < needed
    expected, found = (read(tmp_path / name) for name in ("whole", "out"))
    assert found == expected


def test_frames_that_nobody_can_look_at_stay_gaps(films, tmp_path):
    boxes = {f"2.mp4#{number}": [[10, 10, 60, 80]] for number in range(80) if number not in (0, 7, 20, 70)}

    def run(out, end=None):
        network = Network(batch_size=1)
        network.end = end
        return network, network.run(films / "2.mp4", out, boxes=boxes, tracker=Tracker())

    expected = run(tmp_path / "whole")[1]
    with pytest.raises(PowerCut):
        run(tmp_path / "out", 50)
    network, summary = run(tmp_path / "out")
    assert read(tmp_path / "out") == read(tmp_path / "whole")
    assert [str(error) for _, error in summary.failed] == [str(error) for _, error in expected.failed]
    assert [frame for _, frame in network.frames[:4]] == [0, 7, 20, 49] and summary.taken == 46


@pytest.mark.parametrize("kind", ["film", "boxes"])
def test_from_where_a_film_is_another_one_the_network_looks(tmp_path, kind):
    film, boxes, out = tmp_path / "film.mp4", [[10, 10, 60, 80]], tmp_path / "out"
    write_film(film, 20)
    first = Network(batch_size=1)
    first.end = 15
    with pytest.raises(PowerCut):
        first.run(film, out, boxes=[boxes] * 20)
    now = [boxes] * 20
    if kind == "film":
        write_film(film, 25, brightness=20)
        now = [boxes] * 25
    else:
        now = [boxes] * 6 + [[[20, 10, 60, 80]]] * 14
    last = Network(batch_size=1)
    summary = last.run(film, out, boxes=now)
    assert summary.taken == (0 if kind == "film" else 6) and len(last.frames) == len(now) - summary.taken
    Network(batch_size=1).run(film, tmp_path / "new", boxes=now)
    assert read(out) == read(tmp_path / "new")


def test_a_second_stop_keeps_what_both_runs_have_found(tmp_path):
    film, out = tmp_path / "film.mp4", tmp_path / "out"
    write_film(film, 20)
    for end, there in ((6, 5), (6, 10)):
        network = Network(batch_size=1)
        network.end = end
        with pytest.raises(PowerCut):
            network.run(film, out, boxes="whole")
        (kept,) = (out / "unfinished").iterdir()
        assert len(frames_in(kept)) == there
    assert Network(batch_size=1).run(film, out, boxes="whole").taken == 10


def test_folders_of_frames_with_a_frame_rate(films, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(12):
        Image.fromarray(np.full((96, 128, 3), 40 + 4 * number, np.uint8)).save(frames / f"{number}.png")
    first = Network(batch_size=1)
    first.end = 8
    with pytest.raises(PowerCut):
        first.run(frames, tmp_path / "out", boxes="whole", frame_rate=25)
    assert Network(batch_size=1).run(frames, tmp_path / "out", boxes="whole", frame_rate=25).taken == 7


def test_what_other_settings_have_found_is_not_taken(films, tmp_path):
    first, out = Network(batch_size=1), tmp_path / "out"
    first.end = 20
    late = dict(tracker=Tracker(fix_sides=True))  # nothing is written yet
    with pytest.raises(PowerCut):
        first.run(films / "2.mp4", out, boxes="whole", **late)
    assert not (out / "predictions.jsonl").exists() and list((out / "unfinished").iterdir())
    summary = Network(batch_size=1).run(films / "2.mp4", out, boxes="whole", tracker=Tracker())
    assert summary.taken == 0 and not (out / "unfinished").exists()
    with pytest.raises(UserError, match="has predictions with tracker"):
        Network(batch_size=1).run(films / "2.mp4", out, boxes="whole", **late)


def test_a_detector_is_the_same_one_in_the_next_run(tmp_path):
    write_film(tmp_path / "film.mp4", 6)

    def run(seed, end=None):
        torch.manual_seed(seed)
        detector = Predictor(build_model(small_config("FasterRCNNHead")), settings={"weights": "detector.pth"})
        network = Network(detector=detector)
        network.end = end
        return network.run(tmp_path / "film.mp4", tmp_path / "out")

    with pytest.raises(PowerCut):
        run(0, 5)
    assert run(0).predicted == 6
    with pytest.raises(UserError, match="has predictions with detector"):
        run(1)


def test_a_full_disk_is_said(tmp_path):
    (tmp_path / "unfinished").write_text("")  # no folder can be made there
    unfinished = Unfinished(tmp_path / "unfinished")
    with pytest.raises(UserError, match="could not be written"):
        unfinished.take(Picture(Source("film.mp4", None, 0, 0.0), IMAGE), None)


def objects(masks=None):
    return Objects(
        boxes_xyxy=np.array([[0.1, -0.0, 1e-300, np.nan]]),
        labels=np.array([3]),
        scores=np.array([1 / 3], np.float32),
        points=np.random.default_rng(0).normal(size=(1, 2, 2)).astype(np.float32),
        point_scores=np.array([[np.float32(0.1), np.inf]], np.float32),
        masks=masks,
        areas=np.array([np.pi]),
    )


RECORDS = [
    objects(),
    objects(Masks((40, 60), [{"size": [40, 60], "counts": "1" * 4}])),
    Objects(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, 17, 2), np.float32)),
    Category(2, np.array([0.1, 0.2, 0.7], np.float32)),
]


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other


@pytest.mark.parametrize("record", RECORDS)
def test_numbers_of_every_record_are_kept_exactly(tmp_path, record):
    source = Source("film.mp4", None, 0, 0.0)
    boxes = sparse_detection.Detection(3, Boxes(np.array([[1 / 3, 2, 3, 4]]), np.array([0.7], np.float32)))
    unfinished = Unfinished(tmp_path)
    assert unfinished.take(Picture(source, IMAGE), None) is None
    unfinished.add(source, record, boxes)
    unfinished.end_line()
    unfinished.close()
    found = Unfinished(tmp_path).take(Picture(source, IMAGE), None)
    assert isinstance(found, Found) and type(found.record) is type(record) and found.detection.every == 3
    assert all(map(same, found.record, record)) and all(map(same, found.detection.boxes, boxes.boxes))
    for array in found.record:
        assert not isinstance(array, np.ndarray) or array.flags.writeable


def test_maps_of_pixels_are_not_kept(tmp_path):
    unfinished = Unfinished(tmp_path)
    unfinished.take(Picture(Source("film.mp4", None, 0, 0.0), IMAGE), None)
    unfinished.add(Source("film.mp4", None, 0, 0.0), LabelMap(np.zeros((40, 60), np.uint8)), None)
    unfinished.end_line()
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


@pytest.mark.parametrize(
    "text", [b"7\n", b"[1]\n", b'[{"kind": "array"}]\n', b'[{"kind": "Path"}]\n', b"\xff\n", b"[]"]
)
def test_lines_that_are_none_are_dropped(tmp_path, text):
    unfinished = Unfinished(tmp_path)
    picture = Picture(Source("film.mp4", None, 0, 0.0), IMAGE)
    unfinished.take(picture, None)
    unfinished.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(text)
    assert Unfinished(tmp_path).take(picture, None) is None
    assert path.read_bytes() == b""


KILLED = """
import os, signal, sys
from hrtoolkit.commands import main
from hrtoolkit.predict import Predictor
look_at, frames = Predictor.look_at, []
def look(self, inputs):
    frames.append(1)
    if len(frames) == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    return look_at(self, inputs)
Predictor.look_at = look
main(sys.argv[1:])
"""


def test_the_command_goes_on_after_a_kill(films, tmp_path, capsys):
    from hrtoolkit.commands import main

    network = Network()
    network.save_pretrained(tmp_path / "model")
    arguments = [str(tmp_path / "model"), str(films / "2.mp4"), "--boxes", "whole", "--batch-size", "1"]
    arguments += ["--device", "cpu", "--smooth", "savgol", "--save", "csv"]

    def track(out):
        with pytest.raises(SystemExit) as leaving:
            main(["track", *arguments, "--out", str(tmp_path / out)])
        assert leaving.value.code == 0
        return capsys.readouterr().out

    killed = [sys.executable, "-c", KILLED, "track", *arguments, "--out", str(tmp_path / "out")]
    assert subprocess.run(killed, capture_output=True, check=False).returncode == -signal.SIGKILL
    assert any(name.endswith(".unfinished") for name in read(tmp_path / "out"))  # its drawing
    assert "80 predicted, 29 of them by the run that was stopped" in track("out")
    track("whole")
    assert read(tmp_path / "out") == read(tmp_path / "whole")

"""`hrtoolkit track` on films with faults: one message each, and nobody loses an id who could keep it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine import Config
from PIL import Image

import hrtoolkit.tasks.pose  # noqa: F401 (registers its parts)
from hrtoolkit import build_model
from hrtoolkit.commands import main
from hrtoolkit.predict import Predictor, load
from hrtoolkit.predict.output import Output
from hrtoolkit.tracking.tracker import Tracker

from .test_video import encode, scene, spoil

av = pytest.importorskip("av")
TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)
FRAMES = 24  # a second of what `encode` writes


def make_model(scheme="coco"):
    """A network of crops that is sure of everything, whatever it sees."""
    torch.manual_seed(0)
    head = dict(type="HeatmapHead", scheme=scheme, codec=dict(type="UDPHeatmap", sigma=1.5))
    view = dict(type="TopDown", input_size=(32, 32))
    model = build_model(Config(dict(model=dict(backbone=dict(TINY), head=head, view=view))))
    with torch.no_grad():
        model.head.final_layer.bias.fill_(0.9)
        model.head.final_layer.weight.mul_(0.01)
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The network, as a folder to load."""
    path = tmp_path_factory.mktemp("model")
    Predictor(make_model()).save_pretrained(path)
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two(frame):
    """Two who walk towards each other, on two heights."""
    return [[2 + frame, 2, 14 + frame, 22], [50 - frame, 26, 62 - frame, 46]]


def write_boxes(each, name="film.mp4"):
    Path("boxes.json").write_text(json.dumps({f"{name}#{frame}": boxes for frame, boxes in enumerate(each)}))


def track(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main(["track", *map(str, arguments), "--boxes", "boxes.json", "--out", "out", "--no-pictures"])
    return leaving.value.code


def read_ids(out="out"):
    """The ids of each frame."""
    lines = [json.loads(line) for line in Path(out, "predictions.jsonl").read_text().splitlines()]
    return {line["frame"]: [thing.get("id") for thing in line["objects"]] for line in lines}


def read_gaps():
    (video,) = json.loads(Path("out/tracks.json").read_text())["videos"]
    return {one["id"]: one["gaps"] for one in video["tracks"]}


def test_a_film_without_people_is_a_result(here, folder):
    encode(here / "film.mp4")
    write_boxes([[]] * FRAMES)
    assert track(folder, "film.mp4", "--save", "csv", "coco-vid", "openpose", "posetrack") == 0
    assert len(read_ids()) == FRAMES and not any(read_ids().values()) and read_gaps() == {}
    assert len(list((here / "out/openpose").iterdir())) == FRAMES


def test_frames_without_people_are_gaps(here, folder):
    encode(here / "film.mp4")
    write_boxes([[] if 8 <= frame < 12 else two(frame) for frame in range(FRAMES)])
    assert track(folder, "film.mp4") == 0
    ids = read_ids()
    assert {tuple(some) for some in ids.values()} == {tuple(ids[0]), ()} and sorted(ids[0]) == [1, 2]
    assert read_gaps() == {1: [[8, 11]], 2: [[8, 11]]}


def test_a_frame_that_cannot_be_decoded_is_a_gap(here, folder, capsys):
    encode(here / "film.mp4", bf="0")
    spoil(here / "film.mp4", [20, 21])
    write_boxes([two(frame) for frame in range(FRAMES)])
    assert track(folder, "film.mp4") == 0
    assert capsys.readouterr().out.count("could not be decoded") == 1
    ids = read_ids()
    assert sorted(ids) == [frame for frame in range(FRAMES) if frame not in (20, 21)]
    assert len({tuple(some) for some in ids.values()}) == 1 and read_gaps() == {1: [[20, 21]], 2: [[20, 21]]}


def test_a_picture_of_a_film_that_is_cut_short_is_a_gap(here, folder, capsys):
    (here / "film").mkdir()
    for frame in range(FRAMES):
        Image.fromarray(scene(frame)).save(here / f"film/{frame:03d}.png")
    broken = here / "film/010.png"
    broken.write_bytes(broken.read_bytes()[:60])
    write_boxes([two(frame) for frame in range(FRAMES)], "film")
    assert track(folder, "film", "--fps", 24) == 3
    printed = capsys.readouterr().out
    assert "23 predicted" in printed and "1 could not be read" in printed and "010.png" in printed
    ids = read_ids()
    assert 10 not in ids and len({tuple(some) for some in ids.values()}) == 1
    assert read_gaps() == {1: [[10, 10]], 2: [[10, 10]]}


@pytest.mark.parametrize(("pause", "expected"), [(0.3, [1, 2]), (0.8, [3, 4])])
def test_at_a_varying_frame_rate_seconds_count_and_not_frames(here, folder, pause, expected):
    # Two frames without people, whatever time there is between them.
    steps = [0.02] * 10 + [pause / 2] * 3 + [0.05] * 10
    encode(here / "film.mp4", times=np.cumsum([0, *steps]).tolist())
    stand = two(0)
    write_boxes([[] if frame in (11, 12) else stand for frame in range(FRAMES)])
    assert track(folder, "film.mp4", "--keep", 0.6) == 0
    ids = read_ids()
    assert sorted(ids[0]) == [1, 2] and sorted(ids[FRAMES - 1]) == expected


def test_times_that_stand_still_are_told_once(here, folder, capsys):
    encode(here / "film.mkv", rate=10_000)  # which counts in milliseconds
    write_boxes([two(frame) for frame in range(FRAMES)], "film.mkv")
    assert track(folder, "film.mkv", "--smooth", "savgol") == 0
    assert capsys.readouterr().out.count("its time is") == 1
    assert len({tuple(some) for some in read_ids().values()}) == 1


def test_somebody_who_is_given_twice_has_one_id_and_both_are_written(here, folder):
    encode(here / "film.mp4")
    write_boxes([[*two(frame), two(frame)[0]] for frame in range(FRAMES)])
    assert track(folder, "film.mp4", "--save", "csv") == 0
    assert all(sorted(map(str, ids)) == ["1", "2", "None"] for ids in read_ids().values())
    assert len((here / "out/predictions.csv").read_text().splitlines()) == 1 + FRAMES * 3 * 17


def test_200_people_keep_their_ids(here, folder):
    encode(here / "film.mp4", range(4), size=(320, 240))
    places = np.array([[8 + 15 * (i % 20), 6 + 23 * (i // 20)] for i in range(200)], float)
    write_boxes([np.hstack([places + frame, places + frame + (12, 20)]).tolist() for frame in range(4)])
    assert track(folder, "film.mp4") == 0
    ids = read_ids()
    assert sorted(ids[0]) == list(range(1, 201)) and all(some == ids[0] for some in ids.values())


def test_one_keypoint_of_a_scheme_without_sigmas_is_followed(here):
    Predictor(make_model(dict(names=("tip",)))).save_pretrained(here / "tip")
    encode(here / "film.mp4")
    write_boxes([two(frame) for frame in range(FRAMES)])
    assert track(here / "tip", "film.mp4", "--save", "csv", "--smooth", "one-euro", "--fill", 0.2) == 0
    assert len({tuple(some) for some in read_ids().values()}) == 1 and sorted(read_ids()[0]) == [1, 2]


def test_a_box_without_area_is_told_before_anything_is_read(here, folder, capsys):
    encode(here / "film.mp4")
    write_boxes([[*two(frame), [3, 3, 3, 9]] if frame == 5 else two(frame) for frame in range(FRAMES)])
    assert track(folder, "film.mp4") == 1
    said = capsys.readouterr().err
    assert "boxes of film.mp4#5: [3.0, 3.0, 3.0, 9.0] has no extent" in said and said.count("error: ") == 1
    assert not (here / "out/predictions.jsonl").exists()


@pytest.mark.parametrize("box", [[3, 3, 3, 9], [np.nan, 3, 9, 9], [70, 3, 90, 9], [-9, 3, 0, 9]])
def test_a_detector_that_finds_nothing_in_a_box_takes_nobody_else_away(box, caplog):
    places = iter([[*two(frame), box] if frame in (5, 6) else two(frame) for frame in range(FRAMES)])
    predictor = Predictor(make_model(), detector=lambda image: np.array(next(places), float))
    frames = [scene(0) for _ in range(FRAMES)]
    ids = [one.record.ids.tolist() for one in Tracker()(predictor(frames, frame_rate=24))]
    assert len({tuple(some) for some in ids}) == 1 and sorted(ids[0]) == [1, 2] and len(ids) == FRAMES
    assert caplog.text.count("shows nothing") == 1 and "frames#5" in caplog.text


def test_keypoints_that_are_no_numbers_are_told_once_and_files_stay_valid(here, caplog):
    model = make_model()
    with torch.no_grad():
        model.head.final_layer.bias[3:5] = torch.nan  # as where half precision overflows
    encode(here / "film.mp4")
    write_boxes([two(frame) for frame in range(FRAMES)])
    save = ["csv", "json", "coco-vid", "openpose", "posetrack", "deeplabcut", "tracks", "yolo"]
    Predictor(model).run("film.mp4", "out", boxes="boxes.json", tracker=Tracker(smooth="savgol"), save=save)
    assert caplog.text.count("film.mp4#0: keypoints that are not finite") == 1 == len(caplog.records)
    assert len({tuple(some) for some in read_ids().values()}) == 1 and sorted(read_ids()[0]) == [1, 2]
    files = [path for path in (here / "out").rglob("*") if path.suffix in (".json", ".jsonl", ".csv", ".txt")]
    assert len(files) > 2 * FRAMES and not any("nan" in path.read_text().lower() for path in files)
    thing = json.loads((here / "out/predictions.jsonl").read_text().splitlines()[0])["objects"][0]
    assert thing["keypoints"]["left_ear"][2] == 0 < thing["keypoints"]["nose"][2]


def test_a_package_that_is_missing_is_told_before_anything_is_predicted(here, folder, capsys, monkeypatch):
    encode(here / "film.mp4")
    write_boxes([two(frame) for frame in range(FRAMES)])
    for package, options, message in (
        ("trackers", ("--tracker", "bytetrack"), r"'bytetrack' is a tracker of the package trackers: pip install"),
        ("pyarrow", ("--save", "parquet"), "parquet needs pyarrow: pip install 'hrtoolkit[tables]'"),
    ):
        monkeypatch.setitem(sys.modules, package, None)
        assert track(folder, "film.mp4", *options) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("error: ") == 1 and not (here / "out").exists()


def test_a_run_that_was_stopped_goes_on_with_the_same_ids(here, folder, monkeypatch):
    encode(here / "film.mp4")
    write_boxes([[] if frame == 9 else two(frame) for frame in range(FRAMES)])
    arguments = folder, "film.mp4", "--save", "csv", "openpose", "--confirm", 2, "--smooth", "savgol"
    assert track(*arguments) == 0
    (here / "out").rename(here / "whole")
    add = Output.add

    def stop(output, prediction):
        if prediction.source.frame == 11:
            raise KeyboardInterrupt
        add(output, prediction)

    monkeypatch.setattr(Output, "add", stop)
    assert track(*arguments) == 130
    lines = (here / "out/predictions.jsonl").read_text().splitlines()
    assert 0 < len(lines) <= 11 and all(json.loads(line) for line in lines)
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert track(*arguments) == 0
    files = [path.relative_to(here / "whole") for path in (here / "whole").rglob("*") if path.is_file()]
    assert len(files) > FRAMES
    assert all((here / "out" / name).read_bytes() == (here / "whole" / name).read_bytes() for name in files)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_ids_do_not_depend_on_the_batch_size_nor_on_the_order_in_a_frame(folder, batch_size):
    frames = [scene(frame) for frame in range(FRAMES)]
    rng = np.random.default_rng(0)
    boxes = [np.array([*two(frame), [30, 3 + frame % 3, 40, 24]], float) for frame in range(FRAMES)]
    order = [rng.permutation(3) for _ in range(FRAMES)]

    def follow(size, boxes):
        return list(Tracker()(load(folder, batch_size=size)(frames, boxes=boxes, frame_rate=24)))

    expected = follow(16, boxes)
    shuffled = follow(batch_size, [some[chosen] for some, chosen in zip(boxes, order, strict=True)])
    for one, other in zip(expected, shuffled, strict=True):
        rows = {tuple(box): place for place, box in enumerate(other.record.boxes_xyxy.tolist())}
        places = [rows[tuple(box)] for box in one.record.boxes_xyxy.tolist()]
        assert one.record.ids.tolist() == other.record.ids[places].tolist() and min(one.record.ids) > 0
        np.testing.assert_allclose(other.record.points[places], one.record.points, atol=1e-3)


def test_tracking_changes_no_point(here, folder):
    encode(here / "film.mp4")
    write_boxes([two(frame) for frame in range(FRAMES)])
    assert track(folder, "film.mp4") == 0
    with pytest.raises(SystemExit):
        main(["predict", str(folder), "film.mp4", "--boxes", "boxes.json", "--out", "plain", "--no-pictures"])
    tracked, plain = (
        [json.loads(line) for line in (here / name / "predictions.jsonl").open()] for name in ("out", "plain")
    )
    assert all(thing.pop("id") for one in tracked for thing in one["objects"])
    assert tracked == plain and len(plain) == FRAMES

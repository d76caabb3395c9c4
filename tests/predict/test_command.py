"""`hrtoolkit predict` from end to end: what it writes, what it says, and how it ends."""

import json
from pathlib import Path

import pytest

from hrtoolkit.commands import main
from hrtoolkit.tracking.oks_tracker import OksTracker
from tests.engine.test_run import make_config

from .test_predictor import train_briefly

av = pytest.importorskip("av")


@pytest.fixture
def checkpoint(coco_folder, tmp_path):
    config = make_config(coco_folder)
    config.custom_hooks = []
    return train_briefly(config, tmp_path / "work")


def predict(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main(["predict", *map(str, arguments)])
    return leaving.value.code


def sources(out):
    return [json.loads(line)["source"] for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_a_folder_is_predicted_drawn_and_tabled(checkpoint, coco_folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = (checkpoint, coco_folder / "images", "--out", out, "--boxes", "whole", "--save", "csv", "coco")
    assert predict(*arguments) == 0
    assert "3 predicted" in capsys.readouterr().out
    assert sources(out) == ["11.jpg", "12.jpg", "13.jpg"]
    assert sorted(path.name for path in (out / "pictures").iterdir()) == ["11.jpg", "12.jpg", "13.jpg"]
    assert (out / "predictions.csv").exists() and (out / "predictions.coco.json").exists()
    before = (out / "pictures/11.jpg").stat().st_mtime_ns
    assert predict(*arguments) == 0
    assert "0 predicted, 3 sources were there already" in capsys.readouterr().out
    assert (out / "pictures/11.jpg").stat().st_mtime_ns == before


def test_one_broken_picture_of_three_is_reported(checkpoint, coco_folder, tmp_path, capsys):
    (coco_folder / "images/12.jpg").write_bytes(b"<html>not here</html>")
    assert predict(checkpoint, coco_folder / "images", "--out", tmp_path / "out", "--boxes", "whole") == 3
    printed = capsys.readouterr().out
    assert "2 predicted" in printed and "1 could not be read" in printed and "12.jpg" in printed
    only = predict(checkpoint, coco_folder / "images/12.jpg", "--out", tmp_path / "other", "--boxes", "whole")
    assert only == 1 and "12.jpg" in capsys.readouterr().err


def test_a_config_with_foreign_weights(checkpoint, coco_folder, tmp_path, capsys):
    config = make_config(coco_folder)
    config.dump(tmp_path / "config.py")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"11.jpg": [[10, 10, 50, 100], [70, 20, 130, 110]], "12.jpg": [], "13.jpg": []}))
    arguments = ("--weights", checkpoint, "--boxes", boxes, "--out", tmp_path / "out", "--no-pictures", "--flip")
    assert predict(tmp_path / "config.py", coco_folder / "images", *arguments) == 0
    lines = [json.loads(line) for line in (tmp_path / "out/predictions.jsonl").read_text().splitlines()]
    assert [len(one["objects"]) for one in lines] == [2, 0, 0] and not (tmp_path / "out/pictures").exists()
    assert predict(tmp_path / "config.py", coco_folder, "--out", tmp_path / "out2", "--boxes", "whole") == 1
    assert "--weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        ("97", (), "no camera 97"),
        ("empty.mp4", (), "empty.mp4: no video in it"),
        ("images/11.jpg", ("--boxes", "outside.json"), "11.jpg: the box [500.0, 500.0, 600.0, 600.0] lies outside"),
        ("images/11.jpg", ("--out", "taken"), "taken is a file, not a folder"),
    ],
)
def test_what_cannot_be_predicted_or_written_is_one_sentence(
    checkpoint, coco_folder, monkeypatch, capsys, source, arguments, message
):
    monkeypatch.chdir(coco_folder)
    Path("taken").touch()
    Path("outside.json").write_text('{"11.jpg": [[500, 500, 600, 600]]}')
    with av.open("empty.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert predict(checkpoint, source, "--out", "out", "--boxes", "whole", *arguments) == 1
    said = capsys.readouterr().err
    assert message in said and said.count("error: ") == 1 and "Traceback" not in said


def test_a_checkpoint_of_another_task(checkpoint, coco_folder, tmp_path, capsys):
    arguments = ("--weights", checkpoint, "--boxes", "whole", "--out", tmp_path / "out")
    assert predict("face/hrnetv2_toy", coco_folder / "images", *arguments) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("does not fit the model") == 1
    assert (said.out + said.err).count("tensors loaded") == 2 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--boxes", "whole", "--save", "xls"), "'xls' is no format"),
        ((), "--detector"),
        (("--boxes", "nowhere.json"), "nowhere.json"),
        (("--boxes", "whole", "--batch-size", "many"), "--batch-size takes a number"),
        (("--detector", "fasterrcnn_resnet50"), "did you mean 'fasterrcnn_resnet50_fpn'"),
        (("--detector", "face.onnx"), "face.onnx: no such file"),
    ],
)
def test_one_sentence_a_mistake(checkpoint, coco_folder, tmp_path, capsys, arguments, message):
    assert predict(checkpoint, coco_folder / "images", "--out", tmp_path / "out", *arguments) == 1
    assert message in capsys.readouterr().err


def track(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main(["track", *map(str, arguments)])
    return leaving.value.code


def test_a_folder_of_frames_is_tracked_once(checkpoint, coco_folder, tmp_path, capsys, monkeypatch):
    update = OksTracker.update  # this network is sure of nothing
    monkeypatch.setattr(
        OksTracker,
        "update",
        lambda self, boxes, scores, *more, **options: update(self, boxes, scores + 1, *more, **options),
    )
    frames, out = coco_folder / "images", tmp_path / "out"
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({name: [[10, 10, 50, 100]] for name in ("11.jpg", "12.jpg", "13.jpg")}))
    arguments = (checkpoint, frames, "--fps", 10, "--out", out, "--boxes", boxes, "--save", "csv")
    assert track(*arguments) == 0
    lines = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2] and {line["source"] for line in lines} == {str(frames)}
    assert [thing["id"] for line in lines for thing in line["objects"]] == [1, 1, 1]
    assert (out / "predictions.csv").read_text().splitlines()[0].split(",")[:5] == [
        *("source", "frame", "time", "object", "id")
    ]
    assert len(list((out / "pictures").rglob("*.mp4"))) == 1
    assert json.loads((out / "tracks.json").read_text())["videos"][0]["tracks"][0]["frames"] == 3
    capsys.readouterr()
    assert track(*arguments) == 0 and "1 sources were there already" in capsys.readouterr().out
    assert predict(*arguments, "--track") == 0  # the same
    assert track(*arguments, "--smooth", "savgol") == 1 and "tracker" in capsys.readouterr().err


def test_a_frame_without_boxes_is_named(checkpoint, coco_folder, tmp_path, capsys):
    frames, boxes = coco_folder / "images", tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"11.jpg": [[10, 10, 50, 100]], f"{frames}#2": []}))
    assert track(checkpoint, frames, "--fps", 10, "--out", tmp_path / "out", "--boxes", boxes) == 3
    assert f"{frames}#1: there are no boxes for it" in capsys.readouterr().out


def test_pictures_without_a_frame_rate_have_no_ids(checkpoint, coco_folder, tmp_path, capsys):
    assert track(checkpoint, coco_folder / "images", "--out", tmp_path / "out", "--boxes", "whole") == 1
    assert "--fps 30" in capsys.readouterr().err

"""Corrections of a finished folder: everything in it has the new ids, and nothing is half."""

import json
import shutil

import numpy as np
import pytest

from hrtoolkit.commands import main
from hrtoolkit.errors import UserError
from hrtoolkit.masks import Masks
from hrtoolkit.predict import Prediction, Source
from hrtoolkit.predict.journal import to_objects
from hrtoolkit.predict.rewrite import edit_ids
from hrtoolkit.predict.sources import open_source
from hrtoolkit.predict.tables import FORMATS
from hrtoolkit.predict.video import VideoWriter
from hrtoolkit.records import Objects
from hrtoolkit.schemes.people import COCO
from hrtoolkit.visualization import write_image

from .test_output import THINGS, write

SAVE = [name for name in FORMATS if name not in ("label-studio", "parquet")]


def film(path, count=6):
    """A film of gray frames."""
    writer = VideoWriter(path)
    for number in range(count):
        writer.write(np.full((96, 128, 3), 40 + 20 * number, np.uint8), number / 10)
    writer.close()
    return path


def predictions(source, swapped_from=100, count=6):
    """Two people, one of them nameless at first; from a frame on their ids are exchanged."""
    for number, picture in enumerate(open_source(str(source), frame_rate=10 if source.is_dir() else None)):
        ids = [1, 2] if number < swapped_from else [2, 1]
        ids[1] = -1 if number == 0 else ids[1]
        boxes = np.array([[10.0 + number, 10, 40 + number, 80], [80, 10, 110, 80]])
        points = np.random.default_rng(number).uniform(10, 90, (2, 17, 2)).astype(np.float32)
        scores = np.full((2, 17), 0.75, np.float32)
        record = Objects(boxes, np.zeros(2, int), np.array([0.75, 0.5]), points, None, scores, ids=np.array(ids))
        yield Prediction(picture.source, record, COCO, picture.image)


def read(folder):
    """All files of a folder but its settings, drawings decoded."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".mp4":
            files[name] = [(one.source.time, one.image.tobytes()) for one in open_source(str(path))]
        elif path.is_file() and name != "run.json":
            files[name] = path.read_bytes()
    return files


@pytest.mark.parametrize("kind", ["film", "frames"])
def test_a_corrected_folder_is_one_that_was_right_from_the_start(tmp_path, kind):
    pytest.importorskip("av")
    source = tmp_path / "in/film.mp4"
    if kind == "film":
        film(source)
    else:
        source = tmp_path / "in/frames"
        for number in range(6):
            write_image(source / f"{number}.png", np.full((96, 128, 3), 40 + 20 * number, np.uint8))
    write(tmp_path / "right", predictions(source), COCO, save=SAVE, tail=0.3)
    write(tmp_path / "wrong", predictions(source, 3), COCO, save=SAVE, tail=0.3)
    right, wrong = read(tmp_path / "right"), read(tmp_path / "wrong")
    differ = {name.split("/")[0] for name in right if right[name] != wrong[name]}
    others = {"pictures", "openpose", "deeplabcut", "posetrack", "tracks.json"}
    # YOLO's texts and COCO's have no ids.
    assert differ == others | {f"predictions.{one}" for one in ("jsonl", "json", "csv", "coco-vid.json")}
    done = edit_ids(tmp_path / "wrong", "3:swap(1,2)")
    assert read(tmp_path / "wrong") == right and not done.old_drawings
    assert {path.name for path in done.files} >= {"predictions.jsonl", "tracks.json", "openpose", "pictures"}


def test_two_ids_of_one_person_become_one(tmp_path, capsys):
    pytest.importorskip("av")
    source = film(tmp_path / "film.mp4")
    found = [
        one if number < 4 else Prediction(one.source, one.record._replace(ids=one.record.ids + 10), COCO, one.image)
        for number, one in enumerate(predictions(source))
    ]
    write(tmp_path / "out", found, COCO, save=["tracks"])
    with pytest.raises(SystemExit) as leaving:
        main(["track", "--edit", "12=2,film.mp4:11=1", "--out", str(tmp_path / "out")])
    assert leaving.value.code == 0 and "ids corrected" in capsys.readouterr().out
    tracks = json.loads((tmp_path / "out/tracks.json").read_text())["videos"][0]["tracks"]
    assert [(one["id"], one["frames"]) for one in tracks] == [(1, 6), (2, 5)]


def test_only_the_video_that_is_corrected_is_drawn_again(tmp_path):
    pytest.importorskip("av")
    sources = [film(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    found = [one for source in sources for one in predictions(source, 3)]
    write(tmp_path / "out", found, COCO)
    drawn = sorted((tmp_path / "out/pictures").rglob("*.mp4"))
    before = [path.stat().st_mtime_ns for path in drawn]
    edit_ids(tmp_path / "out", "b.mp4:3:swap(1,2)")
    assert [path.stat().st_mtime_ns == then for path, then in zip(drawn, before, strict=True)] == [True, False]


@pytest.mark.parametrize("now", ["gone", "shorter", "of another size", "a text"])
def test_without_its_film_the_drawing_stays_and_this_is_said(tmp_path, now):
    pytest.importorskip("av")
    source, out = film(tmp_path / "film.mp4"), tmp_path / "out"
    write(out, predictions(source, 3), COCO, save=["csv"])
    drawn = read(out / "pictures")
    source.unlink()
    if now == "shorter":
        film(source, 4)
    elif now == "of another size":
        writer = VideoWriter(source)
        for number in range(6):
            writer.write(np.zeros((48, 64, 3), np.uint8), number / 10)
        writer.close()
    elif now == "a text":
        source.write_text("hello")
    done = edit_ids(out, "3:swap(1,2)")
    assert len(done.old_drawings) == 1 and str(done).count("keeps the old ids") == 1 and "film.mp4" in str(done)
    assert read(out / "pictures") == drawn
    assert [[t["id"] for t in json.loads(line)["objects"][:1]] for line in (out / "predictions.jsonl").open()] == [
        [1]
    ] * 6


def test_what_a_camera_saw_is_not_drawn_again(tmp_path):
    pytest.importorskip("av")
    seen = [
        Prediction(one.source._replace(name="camera_0", path=None), one.record, COCO, one.image)
        for one in predictions(film(tmp_path / "film.mp4"), 3)
    ]
    write(tmp_path / "out", seen, COCO)
    done = edit_ids(tmp_path / "out", "3:swap(1,2)")
    assert str(done).endswith(
        "camera_0: was not read from a file, which could be read again; its drawing keeps the old ids"
    )


def test_folders_without_drawings_get_none(tmp_path):
    pytest.importorskip("av")
    write(tmp_path / "out", predictions(film(tmp_path / "film.mp4"), 3), COCO, pictures=False)
    done = edit_ids(tmp_path / "out", "3:swap(1,2)")
    assert not (tmp_path / "out/pictures").exists() and not done.old_drawings


def test_a_stop_in_the_middle_leaves_the_ids_as_they_were_and_is_made_good(tmp_path, monkeypatch):
    pytest.importorskip("av")
    source = film(tmp_path / "film.mp4")
    write(tmp_path / "right", predictions(source), COCO, save=["csv", "tracks"])
    write(tmp_path / "wrong", predictions(source, 3), COCO, save=["csv", "tracks"])
    before = (tmp_path / "wrong/predictions.jsonl").read_text()

    def stop(writer, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoWriter, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        edit_ids(tmp_path / "wrong", "3:swap(1,2)")
    monkeypatch.undo()
    assert (tmp_path / "wrong/predictions.jsonl").read_text() == before
    edit_ids(tmp_path / "wrong", "3:swap(1,2)")
    assert read(tmp_path / "wrong") == read(tmp_path / "right")


def test_tables_of_an_earlier_run_are_corrected_too(tmp_path):
    pytest.importorskip("av")
    source = film(tmp_path / "film.mp4")
    write(tmp_path / "out", predictions(source, 3), COCO, save=["people.csv"])
    write(tmp_path / "out", predictions(source, 3), COCO, save=["tracks"])
    (tmp_path / "out/tracks.json").unlink()
    done = edit_ids(tmp_path / "out", "3:swap(1,2)")
    assert "people.csv" in {path.name for path in done.files} and not (tmp_path / "out/tracks.json").exists()
    write(tmp_path / "out", predictions(source, 3), COCO, save=["predictions.csv"])  # goes on with the new ids
    assert (tmp_path / "out/people.csv").read_text() == (tmp_path / "out/predictions.csv").read_text()


def test_objects_of_the_journal_are_those_that_were_written():
    square = [[[10, 10, 30, 10, 30, 30, 10, 30]], [[20, 20, 50, 20, 50, 35, 20, 35]]]
    boxes = np.array([[10.0, 10, 30, 30], [20, 20, 50, 35]])
    things = Objects(
        boxes, np.array([1, 0]), np.array([0.75, 0.5]), masks=Masks((40, 60), square), ids=np.array([4, -1])
    )
    one = Prediction(Source("a.mp4", None, 0, 0.0), things, THINGS, np.zeros((40, 60, 3), np.uint8))
    back = to_objects(json.loads(json.dumps(one.to_dict())), THINGS)
    assert (back.labels == [1, 0]).all() and (back.ids == [4, -1]).all() and (back.scores == [0.75, 0.5]).all()
    np.testing.assert_array_equal(back.masks.draw(), things.masks.draw())
    nobody = one.to_dict() | {"objects": []}
    assert to_objects(nobody, COCO).points.shape == (0, 17, 2) and to_objects(nobody, THINGS).boxes_xyxy.shape == (0, 4)


def run(*arguments):
    with pytest.raises(SystemExit) as leaving:
        main(["track", *map(str, arguments)])
    return leaving.value.code


def test_one_sentence_a_mistake(tmp_path, capsys):
    pytest.importorskip("av")
    out = tmp_path / "out"
    write(out, predictions(film(tmp_path / "film.mp4")), COCO, save=["csv"], pictures=False)
    before = read(out)
    for text, message in (
        ("1=2", "so they are two"),
        ("9=2", "no id 9"),
        ("60:swap(1,2)", "the frames 0 to 5"),
        ("swap", "expected corrections"),
    ):
        assert run("--edit", text, "--out", out) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("error: ") == 1
    assert read(out) == before
    assert run("--edit", "1=2", "--out", tmp_path / "nowhere") == 1
    assert "nowhere: no predictions.jsonl there" in capsys.readouterr().err
    shutil.copytree(out, tmp_path / "cut")
    (tmp_path / "cut/run.json").write_text("{")
    with pytest.raises(UserError, match=r"run\.json: cannot be read"):
        edit_ids(tmp_path / "cut", "1=2")
    assert run("--out", out) == 2 and "required: MODEL, SOURCE" in capsys.readouterr().err
    assert run("best.pth", "--fps", 25, "--out", out) == 2 and "required: SOURCE" in capsys.readouterr().err

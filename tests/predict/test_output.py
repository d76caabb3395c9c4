"""Folders of predictions: nothing collides, nothing is lost, and a second run goes on."""

import csv
import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from hrtoolkit import build_model
from hrtoolkit.errors import UserError
from hrtoolkit.masks import Masks
from hrtoolkit.predict.output import Output, safe_name
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.predictor import Predictor
from hrtoolkit.predict.sources import Source
from hrtoolkit.predict.tables import find_format
from hrtoolkit.predict.video import VideoWriter
from hrtoolkit.records import Category, LabelMap, Objects
from hrtoolkit.schemes import ClassScheme, KeypointScheme

from ..test_contracts import small_config

PEOPLE = KeypointScheme(("left_hand", "right_hand", "head"), mirrored=(("left_hand", "right_hand"),), skeleton=())
THINGS = ClassScheme(("cat", "dog"), ids=(3, 7))
IMAGE = np.full((40, 60, 3), 200, np.uint8)


def people(source, count=2):
    rng = np.random.default_rng(len(source.name))
    record = Objects(
        boxes_xyxy=np.tile([5.0, 6.0, 45.0, 36.0], (count, 1)),
        labels=np.zeros(count, np.int64),
        scores=np.linspace(0.9, 0.5, count),
        points=rng.uniform(0, 40, (count, 3, 2)).astype(np.float32),
        point_scores=rng.uniform(0, 1, (count, 3)).astype(np.float32),
    )
    return Prediction(source, record, PEOPLE, IMAGE)


def write(folder, predictions, scheme=PEOPLE, settings=None, **options):
    output = Output(folder, scheme, settings or {}, **options)
    try:
        for one in predictions:
            if not output.skip(one.source):
                output.add(one)
        return output, output.finish()
    finally:
        output.close()


def test_names_stay_inside_and_apart(tmp_path):
    names = [
        "a/1.jpg",
        "b/1.jpg",
        "1.jpg",
        "1.png",
        "1.webp",
        "../1.jpg",
        "/etc/x.tif",
        "https://me:pw@host/p?q=1",
        "é\n.png",
        "a.tif",  # whose drawing is a.tif.jpg
        "a.tif.jpg",
    ]
    output, _ = write(tmp_path / "out", [people(Source(name)) for name in names])
    written = [path for path in (tmp_path / "out/pictures").rglob("*") if path.is_file()]
    assert len(written) == len(names) and all(path.is_relative_to(tmp_path / "out") for path in written)
    assert "pw" not in "".join(map(str, written))
    assert {one["source"] for one in output.predictions()} == set(names)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_videos_keep_their_names_and_apart(tmp_path):
    pytest.importorskip("av")
    names = ["film.mp4", "film", "film.avi", "film.avi.mp4", "page.tif"]
    frames = [Source(name, frame=k, time=None if name == "page.tif" else k / 25) for name in names for k in (0, 1)]
    output, _ = write(tmp_path, map(people, frames))
    drawn = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    pages = ["page.tif_000000.jpg", "page.tif_000001.jpg"]
    assert drawn == ["film.avi.mp4", "film.avi.mp4_2.mp4", "film.mp4", "film_2.mp4", *pages]
    again = Output(tmp_path, PEOPLE, {})
    assert all(again.skip(Source(name)) for name in names) and again._names == output._names
    again.close()


@pytest.mark.parametrize(
    "name", ["a" * 300 + ".png", "..", "", "a/../../b", "C:\\x\\y.jpg", "nul\x00.png", "\udce9.jpg"]
)
def test_a_safe_name_is_a_name(name):
    safe = safe_name(name)
    assert safe and not safe.startswith("/") and ".." not in safe.split("/") and "\x00" not in safe
    assert all(len(part.encode()) <= 255 for part in safe.split("/")) and safe == safe_name(name)


def test_every_format_is_read_back(tmp_path):
    predictions = [people(Source("a.jpg")), people(Source("b.jpg"), 0)]
    _, files = write(tmp_path, predictions, save=["json", "csv", "coco", "openpose", "people.csv"])
    assert all(path.exists() for path in files)
    assert [len(one["objects"]) for one in json.loads((tmp_path / "predictions.json").read_text())] == [2, 0]
    with (tmp_path / "predictions.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 3 and float(table[0]["x"]) == predictions[0].record.points[0, 0, 0]
    assert (tmp_path / "people.csv").read_text() == (tmp_path / "predictions.csv").read_text()
    coco = COCO(str(tmp_path / "predictions.coco.json"))
    results = coco.loadRes(coco.dataset["annotations"])
    assert len(results.anns) == 2 and results.anns[1]["keypoints"][:2] == predictions[0].record.points[0, 0].tolist()
    poses = json.loads((tmp_path / "openpose" / "a.jpg_keypoints.json").read_text())["people"]
    assert len(poses) == 2 and len(poses[0]["pose_keypoints_2d"]) == 9
    assert json.loads((tmp_path / "openpose" / "b.jpg_keypoints.json").read_text())["people"] == []


def test_tables_of_other_records(tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    labels = np.zeros((40, 60), np.uint8)
    labels[:10] = 1
    write(
        tmp_path / "map",
        [Prediction(Source("a.png"), LabelMap(labels), THINGS, IMAGE)],
        THINGS,
        save=["parquet", "labels"],
    )
    table = pyarrow.read_table(tmp_path / "map/predictions.parquet").to_pylist()
    assert [(row["label"], row["pixels"]) for row in table] == [("cat", 30 * 60), ("dog", 10 * 60)]
    png = Image.open(tmp_path / "map/labels/a.png.png")
    assert png.mode == "P" and sorted(np.unique(np.asarray(png)).tolist()) == [3, 7]
    write(
        tmp_path / "class",
        [Prediction(Source("a.png"), Category(1, np.array([0.1, 0.9])), THINGS, IMAGE)],
        THINGS,
        save=["csv"],
    )
    assert (tmp_path / "class/predictions.csv").read_text().splitlines()[1].startswith("a.png,,,,,dog,0.9")
    with pytest.raises(UserError, match="objects and people"):
        write(tmp_path / "coco", [Prediction(Source("a.png"), LabelMap(labels), THINGS, IMAGE)], THINGS, save=["coco"])


def test_a_format_without_a_place_for_predictions_is_told_before_there_are_any(tmp_path):
    for name, reason in (("openpose", "has people"), ("deeplabcut", "has keypoints"), ("posetrack", "has people")):
        with pytest.raises(UserError, match=reason):
            Output(tmp_path / "out", THINGS, {}, save=["csv", name])
    assert not (tmp_path / "out").exists()


def test_what_one_format_refuses_the_others_hold(tmp_path):
    with pytest.raises(UserError, match=r"(?s)names pictures.*all else is written to .*out"):
        write(tmp_path / "out", [people(Source("a.mp4", None, 0, 0.0))], save=["label-studio", "csv"])
    assert (tmp_path / "out/predictions.csv").read_text().count("a.mp4") == 2 * 3


def test_masks_are_numbered_with_the_best_on_top(tmp_path):
    square = [[[10, 10, 30, 10, 30, 30, 10, 30]], [[20, 20, 50, 20, 50, 35, 20, 35]]]
    record = Objects(
        boxes_xyxy=np.array([[10.0, 10, 30, 30], [20, 20, 50, 35]]),
        labels=np.array([1, 0]),
        scores=np.array([0.9, 0.8]),
        masks=Masks((40, 60), square),
    )
    write(tmp_path, [Prediction(Source("a.png"), record, THINGS, IMAGE)], THINGS, save=["masks", "coco"])
    numbers = np.asarray(Image.open(tmp_path / "masks/a.png.png"))
    assert numbers[25, 25] == 1 and numbers[30, 45] == 2 and numbers[0, 0] == 0
    coco = COCO(str(tmp_path / "predictions.coco.json"))
    assert [coco.cats[one["category_id"]]["name"] for one in coco.dataset["annotations"]] == ["dog", "cat"]
    assert coco.annToMask(coco.dataset["annotations"][0]).sum() == 400


def test_a_second_run_goes_on(tmp_path):
    sources = [Source(f"{number}.jpg") for number in range(4)]
    write(tmp_path, map(people, sources[:2]), save=["csv"])
    with (tmp_path / "predictions.jsonl").open("a") as file:
        file.write('{"source": "2.jpg", "wid')  # as a killed run leaves it
    seen = []
    output = Output(tmp_path, PEOPLE, {}, save=["csv"])
    for source in sources:
        if not output.skip(source):
            seen.append(source.name)
            output.add(people(source))
    output.finish()
    output.close()
    assert seen == ["2.jpg", "3.jpg"]
    assert [one["source"] for one in output.predictions()] == [source.name for source in sources]
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 1 + 4 * 6


def test_a_full_disk_is_said_and_the_next_run_goes_on(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    sources = [Source(f"{number}.jpg") for number in range(4)]
    opened = Path.open

    class Cut(io.StringIO):  # a file that takes a part of what is written
        def write(self, text):
            with opened(tmp_path / "predictions.jsonl", "a") as file:
                file.write(text[:30])
            raise full

    def fill(path, mode="r", **options):
        is_journal = path.name == "predictions.jsonl" and mode == "a"
        return Cut() if is_journal and path.exists() and path.stat().st_size else opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", fill)
    with pytest.raises(UserError, match=r"predictions\.jsonl: could not be written: disk full"):
        write(tmp_path, map(people, sources))
    monkeypatch.undo()
    assert [json.loads(line)["source"] for line in (tmp_path / "predictions.jsonl").open()] == ["0.jpg"]
    output, _ = write(tmp_path, map(people, sources))
    assert [one["source"] for one in output.predictions()] == [source.name for source in sources]


def test_a_video_on_a_full_disk_leaves_nothing_half(tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    frames = [people(Source("film.avi", frame=number, time=number / 25)) for number in range(3)]

    start = VideoWriter._start

    class Full:
        def mux(self, packets):
            raise av.error.OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def start_on_a_full_disk(writer, image):
        start(writer, image)
        writer._container = Full()

    monkeypatch.setattr(VideoWriter, "_start", start_on_a_full_disk)
    with pytest.raises(UserError, match=r"film\.avi\.mp4: could not be written: disk full"):
        write(tmp_path, frames)
    assert not any(path.is_file() for path in (tmp_path / "pictures").rglob("*"))
    monkeypatch.undo()
    output, _ = write(tmp_path, frames)
    assert [one["frame"] for one in output.predictions()] == [0, 1, 2] and (tmp_path / "pictures/film.avi.mp4").exists()


def test_folders_of_something_else_are_left_alone(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(UserError, match="name another folder"):
        write(tmp_path, [])
    write(tmp_path / "out", [people(Source("a.jpg"))], settings={"weights": "one"})
    with pytest.raises(UserError, match="weights 'one', not 'two'"):
        write(tmp_path / "out", [], settings={"weights": "two"})


def test_a_run_that_predicted_nothing_binds_nobody(tmp_path):
    Output(tmp_path, PEOPLE, {"boxes": None}).close()
    output, _ = write(tmp_path, [people(Source("a.jpg"))], settings={"boxes": "whole"})
    assert len(list(output.predictions())) == 1


def test_outputs_are_no_sources(tmp_path):
    output, _ = write(tmp_path / "out", [people(Source("a.jpg"))])
    assert output.skip(Source("out/pictures/a.jpg", str(tmp_path / "out/pictures/a.jpg")))
    assert not output.skip(Source("b.jpg", str(tmp_path / "out/b.jpg")))


def test_formats_that_are_none(tmp_path):
    assert find_format("x.coco.json")[0] == "x.coco.json" and find_format("x.json")[1] is find_format("json")[1]
    with pytest.raises(UserError, match="'cvs' is no format"):
        Output(tmp_path, PEOPLE, {}, save=["cvs"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Output(tmp_path / "file" / "out", PEOPLE, {})


def test_labelling_tools_get_what_people_then_correct(tmp_path):
    one = people(Source("sub/a.jpg"))
    weak = one.record._replace(point_scores=one.record.point_scores * 0)
    write(tmp_path, [one, Prediction(Source("b.jpg"), weak, one.scheme, one.image)], one.scheme, save=["yolo"])
    lines = (tmp_path / "yolo" / "labels" / "sub" / "a.txt").read_text().splitlines()
    numbers = [float(number) for number in lines[0].split()]
    height, width = one.image.shape[:2]
    assert numbers[5] * width == pytest.approx(one.record.points[0, 0, 0], abs=1e-3)
    assert [float(line.split()[7]) for line in (tmp_path / "yolo/labels/b.txt").read_text().splitlines()] == [1, 1]
    assert f"kpt_shape: [{len(one.scheme.names)}, 3]" in (tmp_path / "yolo" / "data.yaml").read_text()

    write(tmp_path / "ls", [one], one.scheme, save=["label-studio"])
    (task,) = json.loads((tmp_path / "ls" / "predictions.label-studio.json").read_text())
    box, point, *_ = task["predictions"][0]["result"]
    assert point["parentID"] == box["id"] and point["value"]["keypointlabels"] == [one.scheme.names[0]]
    assert point["value"]["y"] * height / 100 == pytest.approx(one.record.points[0, 0, 1])
    assert f'value="{one.scheme.names[0]}"' in (tmp_path / "ls" / "label_config.xml").read_text()


def test_yolo_has_one_text_for_two_pictures_of_one_name(tmp_path):
    both = [people(Source("1.jpg")), people(Source("1.png"))]
    with pytest.raises(UserError, match=r"one text for 1.jpg and 1.png"):
        write(tmp_path, both, both[0].scheme, save=["yolo"])


def test_yolo_has_a_text_for_each_frame_of_a_film(tmp_path):
    frames = [people(Source("film.mp4", frame=number, time=number / 25)) for number in range(2)]
    write(tmp_path, frames, pictures=False, save=["yolo"])
    assert sorted(path.name for path in (tmp_path / "yolo/labels").iterdir()) == ["film_000000.txt", "film_000001.txt"]


def test_a_network_trained_again_does_not_go_on_in_the_folder_of_the_first(tmp_path):
    """Its file has kept its name."""
    source = np.zeros((64, 64, 3), np.uint8)
    model = build_model(small_config("HeatmapHead"))
    Predictor(model).run([source], tmp_path / "found", boxes="whole")
    with torch.no_grad():
        model.head.final_layer.bias.add_(1)
    with pytest.raises(UserError, match="found has predictions with tensors"):
        Predictor(model).run([source], tmp_path / "found", boxes="whole")

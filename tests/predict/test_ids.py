"""Ids in everything that is written: the same in each format, and nobody is lost who has none."""

import csv
import json
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO

from hrtoolkit.errors import UserError
from hrtoolkit.predict import Prediction, Source, individuals
from hrtoolkit.predict.tables import FORMATS
from hrtoolkit.schemes.people import COCO as SCHEME
from hrtoolkit.toy.films import HEIGHT, WIDTH, make_film
from hrtoolkit.tracking.posetrack_files import NAMES as NAMES_THERE
from hrtoolkit.tracking.tracker import Tracker

from ..importers.importing import Read
from ..importers.importing import write_image as write_png
from ..tracking.test_tracker import predictions
from .test_output import PEOPLE, people, write

NAMES = ("a.mp4", "more/b.mp4")
SAVE = [name for name in FORMATS if name not in ("label-studio", "parquet")]
FRAMES, RATE = 60, 15
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
OPENPOSE = {"person_id"} | {  # what OpenPose itself writes of a person
    f"{part}_keypoints_{space}" for part in ("pose", "face", "hand_left", "hand_right") for space in ("2d", "3d")
}
NOBODY = range(20, 24)  # in whom nobody is found


@pytest.fixture(scope="module")
def found():
    """Two videos, smoothed: people leave and come back, some have no id, and in some frames there is nobody."""
    results = []
    for name, seed in zip(NAMES, (3, 4), strict=True):
        film = make_film("returning", RATE, FRAMES / RATE, people=4, seed=seed)[1]
        for frame in NOBODY:
            empty = {column: getattr(film[frame], column)[:0] for column in film[frame]._fields[1:]}
            film[frame] = film[frame]._replace(**empty)
        images = (replace(one, image=IMAGE) for one in predictions(film, name))
        results += Tracker(smooth="savgol", keep=5)(images)
        frames = defaultdict(list)
        for one in results[-FRAMES:]:
            for number in one.record.ids.tolist():
                frames[number].append(one.source.frame)
        gaps = [max(np.diff(some), default=1) for number, some in frames.items() if number > 0]
        assert len(gaps) > 4 and max(gaps) > len(NOBODY) + 2  # who came back is who they were
    assert sum((one.record.ids < 0).sum() for one in results) > 5
    return results


@pytest.fixture(scope="module")
def folder(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    write(folder, found, SCHEME, pictures=False, save=SAVE)
    return folder


def expected(found):
    """Points [K, 2] of everybody by video, frame and id, and those without an id by video and frame."""
    named, nameless = {}, defaultdict(list)
    for one in found:
        for number, points in zip(one.record.ids.tolist(), one.record.points.astype(float), strict=True):
            if number > 0:
                named[one.source.name, one.source.frame, number] = points
            else:
                nameless[one.source.name, one.source.frame].append(points)
    return named, nameless


def check(found, named, nameless):
    """That these are the people who were found."""
    true_named, true_nameless = expected(found)
    assert named.keys() == true_named.keys()
    for key, points in named.items():
        np.testing.assert_array_equal(np.reshape(points, (17, -1))[:, :2], true_named[key])
    assert {key: len(some) for key, some in nameless.items() if some} == {k: len(v) for k, v in true_nameless.items()}
    for key, some in nameless.items():
        for points, true_points in zip(some, true_nameless[key], strict=True):
            np.testing.assert_array_equal(np.reshape(points, (17, -1))[:, :2], true_points)


def from_rows(rows):
    """People of a table that has a row a keypoint."""
    everybody = defaultdict(list)
    for row in rows:
        number = row["id"]
        known = number not in ("", None) and number == number
        key = (row["source"], int(row["frame"]), int(row["object"]), int(number) if known else None)
        everybody[key].append((float(row["x"]), float(row["y"])))
    named, nameless = {}, defaultdict(list)
    for (source, frame, _, number), points in everybody.items():
        if number is None:
            nameless[source, frame].append(points)
        else:
            named[source, frame, number] = points
    return named, nameless


def test_csv_has_a_row_a_keypoint_with_what_was_found_before_it_was_smoothed(found, folder):
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    check(found, *from_rows(rows))
    raw = np.array([(float(row["raw_x"]), float(row["raw_y"])) for row in rows])
    np.testing.assert_array_equal(raw, np.concatenate([one.record.raw_points.reshape(-1, 2) for one in found]))


def test_who_was_filled_is_in_the_tables(tmp_path):
    truth = make_film("crossing", seconds=1)[0]
    empty = truth[10]._replace(**{name: getattr(truth[10], name)[:0] for name in truth[10]._fields[1:]})
    results = list(Tracker(fill=0.5)(predictions([*truth[:10], empty, *truth[11:]])))
    save = ["csv", "coco-vid"]
    write(tmp_path, results, SCHEME, pictures=False, save=save)
    with (tmp_path / "predictions.csv").open() as file:
        rows = [(int(row["frame"]), row["filled"], row["raw_x"]) for row in csv.DictReader(file)]
    filled = sum(one.record.filled.sum() for one in results if one.record.filled is not None)
    assert filled > 1 and [row[1] for row in rows].count("True") == 17 * filled
    assert {told for frame, told, _ in rows if frame == 10} == {"True"}
    assert all(not raw for _, told, raw in rows if told == "True")
    content = json.loads((tmp_path / "predictions.coco-vid.json").read_text())
    assert sum("filled" in one for one in content["annotations"]) == filled


def test_pandas_reads_csv_and_deeplabcut(found, folder):
    pandas = pytest.importorskip("pandas")
    check(found, *from_rows(pandas.read_csv(folder / "predictions.csv").to_dict("records")))
    table = pandas.read_csv(folder / "deeplabcut/a.mp4.csv", header=[0, 1, 2, 3], index_col=0)
    named, _ = expected(found)
    first = min(number for name, frame, number in named if name == "a.mp4" and frame == 3)
    one = table.loc[3, ("hrtoolkit", f"individual{first}")].to_numpy().reshape(17, 3)
    np.testing.assert_array_equal(one[:, :2], named["a.mp4", 3, first])


def test_parquet(found, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write(tmp_path, found, SCHEME, pictures=False, save=["parquet"])
    check(found, *from_rows(parquet.read_table(tmp_path / "predictions.parquet").to_pylist()))


def test_json(found, folder):
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").open()]
    assert json.loads((folder / "predictions.json").read_text()) == lines
    named, nameless = {}, defaultdict(list)
    for one in lines:
        for thing in one["objects"]:
            points = np.array([*thing["keypoints"].values()])
            if "id" in thing:
                named[one["source"], one["frame"], thing["id"]] = points
            else:
                nameless[one["source"], one["frame"]].append(points)
    check(found, named, nameless)


def test_coco_and_yolo_have_everybody_and_no_ids(found, folder):
    coco = COCO(str(folder / "predictions.coco.json"))
    assert [one["file_name"] for one in coco.dataset["images"]] == [
        f"{one.source.name}#{one.source.frame}" for one in found
    ]
    for one, image in zip(found, coco.dataset["images"], strict=True):
        points = one.record.points.astype(float)
        there = [np.reshape(some["keypoints"], (17, 3))[:, :2] for some in coco.imgToAnns[image["id"]]]
        np.testing.assert_array_equal(np.reshape(there, points.shape), points)
        text = folder / f"yolo/labels/{one.source.name.removesuffix('.mp4')}_{one.source.frame:06d}.txt"
        rows = [line.split()[5:] for line in text.read_text().splitlines()]
        inside = ((points >= 0) & (points <= (WIDTH, HEIGHT))).all(axis=-1)
        there = np.array(rows, float).reshape(*points.shape[:2], 3)[..., :2] * (WIDTH, HEIGHT)
        np.testing.assert_allclose(there, np.where(inside[..., None], points, 0), atol=1e-3)


def test_label_studio_has_no_films(found, tmp_path):
    with pytest.raises(UserError, match="names pictures; write the frames"):
        write(tmp_path, found[:2], SCHEME, pictures=False, save=["label-studio"])


def test_coco_vid(found, folder):
    coco = COCO(str(folder / "predictions.coco-vid.json"))
    assert [one["name"] for one in coco.dataset["videos"]] == list(NAMES)
    assert len(coco.loadRes(coco.dataset["annotations"]).anns) == len(coco.anns)
    counts = [max(n for name, _, n in expected(found)[0] if name == video) for video in NAMES]
    instances, named, nameless = defaultdict(set), {}, defaultdict(list)
    for one in coco.dataset["annotations"]:
        image = coco.imgs[one["image_id"]]
        assert image["video_id"] == one["video_id"]
        key, instance = (NAMES[one["video_id"] - 1], image["frame_id"]), one["instance_id"]
        instances[instance].add(one["video_id"])
        if instance > sum(counts):
            nameless[key].append(np.reshape(one["keypoints"], (17, 3)))
        else:
            named[(*key, instance - sum(counts[: one["video_id"] - 1]))] = one["keypoints"]
    check(found, named, nameless)
    assert all(len(videos) == 1 for videos in instances.values())
    assert all(len(one) == 1 for one in instances.values())
    single = [one["instance_id"] for one in coco.dataset["annotations"] if one["instance_id"] > sum(counts)]
    assert len(set(single)) == len(single)


def test_openpose_has_everybody_in_the_order_of_ids(found, folder):
    named, nameless = {}, defaultdict(list)
    for name in NAMES:
        ids = sorted({number for video, _, number in expected(found)[0] if video == name})
        files = sorted((folder / "openpose").glob(f"{name}_*_keypoints.json"))
        assert len(files) == FRAMES
        for frame, file in enumerate(files):
            content = json.loads(file.read_text())
            persons = content["people"]
            assert content["version"] == 1.3
            assert [one["person_id"] for one in persons[: len(ids)]] == [[number] for number in ids]
            for one in persons:
                assert one.keys() == OPENPOSE and not any(
                    one[key] for key in OPENPOSE - {"person_id", "pose_keypoints_2d"}
                )
                points = one["pose_keypoints_2d"]
                if one["person_id"] == [-1]:
                    nameless[name, frame].append(points)
                elif any(points):
                    named[name, frame, one["person_id"][0]] = points
                else:
                    assert points == [0] * 51
    check(found, named, nameless)


def test_openpose_without_ids_is_who_was_found(found, tmp_path):
    plain = [Prediction(one.source, one.record._replace(ids=None), SCHEME, one.image) for one in found[:3]]
    write(tmp_path, plain, SCHEME, pictures=False, save=["openpose"])
    for frame, one in enumerate(plain):
        persons = json.loads((tmp_path / f"openpose/a.mp4_{frame:012d}_keypoints.json").read_text())["people"]
        assert [person["person_id"] for person in persons] == [[-1]] * len(one.record.scores)


def test_deeplabcut_tables_become_labels(found, folder, tmp_path):
    named, nameless = {}, defaultdict(list)
    for name in NAMES:
        with (folder / f"deeplabcut/{name}.csv").open() as file:
            table = list(csv.reader(file))
        assert [row[0] for row in table[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
        assert [row[0] for row in table[4:]] == [str(number) for number in range(FRAMES)]
        # Our reader leaves out what has a likelihood, because nobody has looked at it; labels have none.
        kept = [0, *(place for place, cell in enumerate(table[3]) if cell in ("x", "y"))]
        labels = tmp_path / name / "CollectedData_hrtoolkit.csv"
        labels.parent.mkdir(parents=True)
        with labels.open("w", newline="") as file:
            for line, row in enumerate(table):
                first = f"labeled-data/{name}/{row[0]}.png" if line > 3 else row[0]
                csv.writer(file).writerow([first, *(row[place] for place in kept[1:])])
                if line > 3:
                    write_png(labels.parent / f"{row[0]}.png")
        for one in Read(labels, tmp_path / f"{name}_out").objects:
            frame, track = int(one["image"].removesuffix(".png")), one["attributes"]["track"]
            points = np.array(one["points"])
            if track.startswith("unknown"):
                nameless[name, frame].append(points)
            else:
                named[name, frame, int(track.removeprefix("individual"))] = points
    check(found, named, nameless)


def test_posetrack_has_every_frame_in_its_order(found, folder):
    named, nameless = {}, defaultdict(list)
    there = [SCHEME.names.index(name) for name in SCHEME.names if name in NAMES_THERE and not name.endswith("ear")]
    for source, file in zip(NAMES, ("a.json", "b.json"), strict=True):
        content = json.loads((folder / "posetrack" / file).read_text())
        assert [one["file_name"] for one in content["images"]] == [
            f"images/{file[0]}/{n:06d}.jpg" for n in range(FRAMES)
        ]
        places = {one["id"]: place for place, one in enumerate(content["images"])}
        last = max(number for name, _, number in expected(found)[0] if name == source)
        order = [content["categories"][0]["keypoints"].index(SCHEME.names[place]) for place in there]
        for one in content["annotations"]:
            points = np.full((17, 2), np.nan)
            points[there] = np.reshape(one["keypoints"], (17, 3))[order, :2]
            if one["track_id"] > last:
                nameless[source, places[one["image_id"]]].append(points)
            else:
                named[source, places[one["image_id"]], one["track_id"]] = points
    assert len(there) == 13
    without = [place for place in range(17) if place not in there]
    cut = []
    for one in found:
        points = one.record.points.copy()
        points[:, without] = np.nan
        cut.append(Prediction(one.source, one.record._replace(points=points), SCHEME, one.image))
    check(cut, named, nameless)


def test_posetrack_names_pictures_as_they_are_called(found, tmp_path):
    source = Source("train/000342_mpii_test", "/data/train/000342_mpii_test/000007.jpg", 0, 0.0)
    one = Prediction(source, found[0].record, SCHEME, found[0].image)
    write(tmp_path, [one], SCHEME, pictures=False, save=["posetrack"])
    (image,) = json.loads((tmp_path / "posetrack/000342_mpii_test.json").read_text())["images"]
    assert image["file_name"] == "images/000342_mpii_test/000007.jpg" and image["id"] == 10003420007


def test_posetrack_has_no_keypoint_that_is_nowhere_and_one_in_the_corner(found, tmp_path):
    points, scores = found[0].record.points[:1].copy(), np.full((1, 17), 0.5)
    nose, wrist = (SCHEME.names.index(name) for name in ("nose", "left_wrist"))
    points[0, nose], points[0, wrist] = np.nan, 0.0
    record = found[0].record.select(slice(0, 1))._replace(points=points, point_scores=scores, raw_points=None)
    write(tmp_path, [replace(found[0], record=record)], SCHEME, pictures=False, save=["posetrack"])
    (one,) = json.loads((tmp_path / "posetrack/a.json").read_text())["annotations"]
    there = dict(zip(NAMES_THERE, np.reshape(one["keypoints"], (17, 3)).tolist(), strict=True))
    assert there["nose"] == [0, 0, 0] and there["left_wrist"] == [0, 0, 1]


def test_two_videos_of_one_name_have_no_posetrack_files(found, tmp_path):
    both = [
        Prediction(one.source._replace(name=name), one.record, SCHEME, one.image)
        for name in ("a.mp4", "b/a.avi")
        for one in found[:2]
    ]
    with pytest.raises(UserError, match=r"one file a\.json for a\.mp4 and b/a\.avi"):
        write(tmp_path, both, SCHEME, pictures=False, save=["posetrack"])


def test_tracks_say_when_everybody_is_there(found, folder):
    videos = json.loads((folder / "tracks.json").read_text())["videos"]
    named, nameless = expected(found)
    assert [one["source"] for one in videos] == list(NAMES) and all(one["frames"] == FRAMES for one in videos)
    for video in videos:
        assert video["without_id"] == sum(len(v) for (name, _), v in nameless.items() if name == video["source"])
        for track in video["tracks"]:
            frames = [f for name, f, number in named if (name, number) == (video["source"], track["id"])]
            assert (track["first_frame"], track["last_frame"], track["frames"]) == (frames[0], frames[-1], len(frames))
            missing = [frame for first, last in track["gaps"] for frame in range(first, last + 1)]
            assert sorted(frames + missing) == list(range(frames[0], frames[-1] + 1))
            assert track["seconds"] == pytest.approx((frames[-1] - frames[0]) / RATE, abs=1e-6)


@pytest.mark.parametrize("name", ["coco-vid", "deeplabcut", "posetrack", "tracks"])
def test_formats_of_videos_refuse_pictures(tmp_path, name):
    with pytest.raises(UserError, match=r"a\.jpg: a picture, where .* videos"):
        write(tmp_path, [people(Source("a.jpg"))], save=[name])


@pytest.mark.parametrize("name", ["openpose", "deeplabcut"])
def test_more_individuals_than_a_disk_has_room_for(found, tmp_path, monkeypatch, name):
    monkeypatch.setattr(individuals, "MOST_NUMBERS", FRAMES * 17 * 3)
    with pytest.raises(UserError, match=rf"a\.mp4: .* {FRAMES} frames for each of \d+ ids.*csv"):
        write(tmp_path, found, SCHEME, pictures=False, save=[name])


def test_a_video_without_people_is_there_in_every_format(tmp_path):
    nobody = [people(Source("a.mp4", None, frame, frame / 25), 0) for frame in range(3)]
    write(tmp_path, nobody, PEOPLE, pictures=False, save=SAVE)
    assert json.loads((tmp_path / "tracks.json").read_text())["videos"][0]["tracks"] == []
    assert len((tmp_path / "deeplabcut/a.mp4.csv").read_text().splitlines()) == 4 + 3
    assert len(json.loads((tmp_path / "predictions.coco-vid.json").read_text())["images"]) == 3
    assert len(list((tmp_path / "openpose").iterdir())) == 3

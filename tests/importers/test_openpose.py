"""OpenPose's json."""

import json

import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.importers.openpose import LAYOUTS

from .importing import Read, write, write_image


def flat(count, *points):
    return [value for point in points for value in point] + [0] * 3 * (count - len(points))


def person(count, *points, **more):
    return {"person_id": [-1], "pose_keypoints_2d": flat(count, *points), **more}


def frame(folder, name, *people, data=None):
    write(folder / f"json/{name}_keypoints.json", json.dumps({"version": 1.3, "people": list(people), **(data or {})}))


@pytest.fixture
def folder(tmp_path):
    for name in ("f_0", "f_1"):
        write_image(tmp_path / f"in/{name}.png", 101, 51)
    return tmp_path / "in"


THREE = ((10, 20, 0.9), (11.5, 22, 0.01), (0, 0, 0), (30, 40, 1))


@pytest.mark.parametrize("count", [25, 18, 15])
def test_layouts(folder, tmp_path, count):
    frame(folder, "f_0", person(count, *THREE, face_keypoints_2d=[1, 2, 3]), person(count))
    frame(folder, "f_1")
    read = Read(folder, tmp_path / "out")
    (one,) = read.of("f_0.png")
    assert one["points"][:4] == [(10, 20, 2), (11.5, 22, 2), (0, 0, 0), (30, 40, 2)] and len(read.images) == 2
    assert read.names == {"person": LAYOUTS[count]} and len(one["points"]) == count
    assert "faces and hands: 1" in read.text and "without a point of the body: 1" in read.text


def test_names_and_mirror_partners(folder, tmp_path):
    frame(folder, "f_0", person(25, *THREE))
    Read(folder, tmp_path / "out")
    names = LAYOUTS[25]
    assert (names[8], names[15], names[21], names[24], LAYOUTS[18][14]) == ("MidHip", "REye", "LHeel", "RHeel", "REye")


@pytest.mark.parametrize(
    ("points", "expected", "said"),
    [
        ([(0.1, 0.2, 1), (0.5, 0.5, 1), (1, 1, 1)], [(10, 10, 2), (50, 25, 2), (100, 50, 2)], "[0, 1] of the image"),
        ([(-1, -1, 1), (0, 0, 1), (1, 0.5, 1)], [(0, 0, 2), (50, 25, 2), (100, 37.5, 2)], "[-1, 1] of the image"),
    ],
)
def test_normalised(folder, tmp_path, points, expected, said):
    frame(folder, "f_0", person(25, *points))
    read = Read(folder, tmp_path / "out")
    assert read.objects[0]["points"][:3] == [pytest.approx(point) for point in expected] and said in read.text


def test_other_layouts_and_the_first_version(folder, tmp_path):
    frame(folder, "f_0", {"pose_keypoints": flat(4, *THREE)})
    read = Read(folder, tmp_path / "out")
    assert read.names == {"person": ["1", "2", "3", "4"]} and "a layout of 4 points" in read.text


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ([person(25, *THREE), person(18, *THREE)], "another number of points than 25: 1 .*person 1"),
        ([person(25, *THREE), person(25, (0.1, 0.1, 1), (0.2, 0.2, 1), (0.3, 0.1, 1))], "normalised points among"),
        ([{"pose_keypoints_2d": [1, 2]}], "person 0: cannot reshape"),
        ([{"pose_keypoints_2d": [1, "2", 3]}], "'2' where a number belongs"),
        ([5], "person 0: 'int' object"),
        ([], "nothing is annotated in 1 pictures"),
    ],
)
def test_faults(folder, tmp_path, people, message):
    frame(folder, "f_0", *people)
    with pytest.raises(DataError, match=message):
        Read(folder, tmp_path / "out")


def test_without_pictures(tmp_path):
    frame(tmp_path / "in", "g", person(25, *THREE))
    with pytest.raises(DataError, match="whose image is not there: 1"):
        Read(tmp_path / "in", tmp_path / "out")

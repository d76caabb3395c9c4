"""Landmarks in .pts files."""

import pytest

from hrtoolkit.errors import DataError

from .importing import Read, write, write_image


def pts(*points, count=None):
    rows = "\n".join(f"{x} {y}" for x, y in points)
    return f"version: 1\nn_points:  {len(points) if count is None else count}\n{{\n{rows}\n}}"


def test_pixels_from_1_and_several_layouts(tmp_path):
    write_image(tmp_path / "in/a.b.png")
    write_image(tmp_path / "in/c.jpg")
    write(tmp_path / "in/a.b.pts", pts((1, 2), (3.5, 4)))
    write(tmp_path / "in/c.jpg.pts", pts((1, 2), (3, 4), (5, 6)))
    read = Read(tmp_path / "in", tmp_path / "out")
    assert read.of("a.b.png")[0]["points"] == [(0, 1, 2), (2.5, 3, 2)]
    assert read.names == {"face2": ["1", "2"], "face3": ["1", "2", "3"]} and "--format pts0" in read.text
    read = Read(tmp_path / "in", tmp_path / "other", format="pts0")
    assert read.of("c.jpg")[0]["points"] == [(1, 2, 2), (3, 4, 2), (5, 6, 2)]


def test_68_points_are_those_of_ibug(tmp_path):
    write_image(tmp_path / "in/a.png")
    write(tmp_path / "in/a.pts", pts(*[(n % 60, n % 40) for n in range(1, 69)]))
    read = Read(tmp_path / "in", tmp_path / "out")
    category = read.categories["face"]
    assert category["keypoints"][0] == "right_jaw_0" and len(category["mirrored"]) == 29
    assert "68 points taken for iBUG's" in read.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pts((1, 2), (3, "x")), r"a.pts, line 5: could not convert string to float: 'x'"),
        (pts((1, 2), count=2), r"a.pts, line 5: the braces end after 1 landmarks, expected 2"),
        (pts((1, 2), count="two"), "line 2: two landmarks, expected a number"),
        ("n_points: 1\n1 2\n", "no landmarks in braces"),
    ],
)
def test_faults(tmp_path, text, message):
    write_image(tmp_path / "in/a.png")
    write(tmp_path / "in/a.pts", text)
    with pytest.raises(DataError, match=message):
        Read(tmp_path / "in", tmp_path / "out")


def test_without_the_image(tmp_path):
    write(tmp_path / "in/a.pts", pts((1, 2)))
    with pytest.raises(DataError, match=r"image is not there: 1 \(a.jpg\)"):
        Read(tmp_path / "in", tmp_path / "out")

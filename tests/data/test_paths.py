"""Files on the disk: near names of missing ones, and folders."""

import unicodedata

import pytest

from hrtoolkit.data.paths import find_files, near_path, open_file
from hrtoolkit.errors import DataError


@pytest.mark.parametrize(
    ("asked", "there"),
    [
        ("sub\\a.jpg", "sub/a.jpg"),
        ("sub/A.JPG", "sub/a.jpg"),
        ("sub/a.png", "sub/a.jpg"),
        ("sub/a", "sub/a.jpg"),
        ("b%20c.jpg", "b c.jpg"),
        (unicodedata.normalize("NFD", "é.jpg"), "é.jpg"),
        ("C:\\data\\sub\\a.jpg", "sub/a.jpg"),
        ("images/b c.jpg", "b c.jpg"),
    ],
)
def test_a_missing_file_is_told_with_the_near_name_that_exists(tmp_path, asked, there):
    (tmp_path / "sub").mkdir()
    for name in ("sub/a.jpg", "b c.jpg", "é.jpg"):
        (tmp_path / name).touch()
    assert near_path(tmp_path / asked) == tmp_path / there
    with pytest.raises(DataError, match=rf"no such file, but there is \S*{there}"), open_file(tmp_path / asked):
        pass


def test_nothing_is_near_where_nothing_is(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").touch()
    for name in ("a.png", "c.jpg", "no/c.jpg", ""):
        assert near_path(tmp_path / name) is None


def test_links_that_lead_back_are_walked_once(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.jpg").touch()
    (tmp_path / "b.jpg").touch()
    (tmp_path / "sub" / "back").symlink_to(tmp_path)
    assert find_files(tmp_path) == ["b.jpg", "sub/a.jpg"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path):
    with pytest.raises(DataError, match=r"gone: the folder cannot be read \(No such file"):
        find_files(tmp_path / "gone")

"""What people hand over becomes pictures, in order, with the names that hrtoolkit gives."""

import io
import os

import cv2
import numpy as np
import pytest

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.predict import open_source as open_in_hrtoolkit
from hrtoolkit.runtime.sources import open_source

PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
PNG = cv2.imencode(".png", PICTURE[..., ::-1])[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    for name in ("img10.png", "img2.png", "b/img1.PNG", "b/.hidden.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(PNG if name.lower().endswith("png") else b"notes")
    return tmp_path


def names(source, **options):
    return [picture.source.name for picture in open_source(source, **options)]


def test_files_come_in_the_order_and_with_the_names_of_hrtoolkit(folder):
    sources = [
        folder,
        str(folder),
        folder / "img2.png",
        f"{folder}/*.png",
        f"{folder}/**/*.png",
        [folder, PICTURE, PNG],
    ]
    for source in sources:
        found, wanted = list(open_source(source)), list(open_in_hrtoolkit(source))
        assert found
        assert [tuple(one.source) for one in found] == [tuple(one.source) for one in wanted]
        assert all((one.image == PICTURE).all() for one in found)
    assert names(folder) == ["img2.png", "img10.png", "b/img1.PNG"]
    assert names(folder, recursive=False) == ["img2.png", "img10.png"]


def test_pictures_in_memory():
    batch = np.stack([PICTURE] * 2)
    sources = (PICTURE, [PICTURE, batch], batch, PNG, io.BytesIO(PNG), (one for one in batch), PICTURE[..., 0])
    for source, count in zip(sources, (1, 3, 2, 1, 1, 2, 1), strict=True):
        assert names(source) == [f"image_{index}" for index in range(count)]
    (turned,) = open_source(PICTURE, order="bgr")
    np.testing.assert_array_equal(turned.image, PICTURE[..., ::-1])
    (light,) = open_source((PICTURE / 255).astype(np.float32))
    np.testing.assert_array_equal(light.image, PICTURE)


def test_frames_of_a_video_are_numbered(tmp_path):
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 32))
    for level in (0, 120, 240):
        writer.write(np.full((32, 32, 3), level, np.uint8))
    writer.release()
    if not os.path.exists(path):  # noqa: PTH110
        pytest.skip("this OpenCV writes no videos")
    found = list(open_source(path))
    assert [(one.source.name, one.source.frame) for one in found] == [(path, index) for index in range(3)]
    assert [round(float(one.source.time), 1) for one in found] == [0, 0.1, 0.2]
    assert np.abs(found[1].image.astype(int) - 120).max() < 5


class Camera:
    """Three frames, and no more."""

    def __init__(self, number):
        self.left, self.number = 3 if number == 0 else 0, number

    def read(self):
        self.left -= 1
        return self.left >= 0, PICTURE[..., ::-1].copy()

    def set(self, name, value):
        return True

    def release(self):
        self.number = None


@pytest.mark.parametrize("source", [0, "0"])
def test_a_camera_is_read_until_it_ends(monkeypatch, source):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    found = list(open_source(source))
    assert [(one.source.name, one.source.frame) for one in found] == [("camera_0", index) for index in range(3)]
    assert found[0].source.time <= found[2].source.time and (found[0].image == PICTURE).all()
    with pytest.raises(DataError, match="camera_1: not one frame could be read; is it plugged in"):
        list(open_source(1))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("gone.jpg", "gone.jpg: cannot be read"),
        ("gone/*.jpg", "no pictures or videos match this pattern"),
        ("https://example.org/a.jpg", "addresses are not read; download it"),
        ([0, "a.jpg"], "camera_0: a camera or stream is a source by itself"),
        (None, "was the picture read"),
        ({"a": 1}, "nothing is known to be done with a dict"),
        (io.StringIO("text"), "opened for text"),
        (np.zeros((2, 2, 2, 2, 2)), "a picture is"),
        (b"no picture", "not a readable image"),
    ],
)
def test_what_cannot_be_read_is_named(source, told):
    with pytest.raises(DataError, match=told):
        list(open_source(source))
    failed = []
    assert list(open_source(source, on_failure=lambda place, error: failed.append(str(error)))) == []
    assert failed


def test_other_mistakes(tmp_path):
    with pytest.raises(OptionError, match="order is 'gbr'"):
        list(open_source(PICTURE, order="gbr"))
    with pytest.raises(DataError, match="no pictures or videos in this folder"):
        list(open_source(tmp_path))
    for name, content, told in (
        ("empty.png", b"", "the file is empty"),
        ("page.png", b"<html>", "a web page"),
        ("film.mp4", b"\0\0\0\x20ftypmp42" + bytes(99), "not one frame could be read; it is damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=told):
            list(open_source(tmp_path / name))

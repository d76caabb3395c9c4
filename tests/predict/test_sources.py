"""What people hand to a predictor: every kind of source, in order, lazily, with one clear error a mistake."""

import http.server
import io
import itertools
import logging
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hrtoolkit import addresses
from hrtoolkit.addresses import without_secrets
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.predict import live
from hrtoolkit.predict.live import is_live
from hrtoolkit.predict.sources import count_pictures, open_source

from .test_video import encode, number_of, scene


def save(path, number, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene(number)).save(path, **options)
    return path


def numbers(source, **options):
    return [number_of(p.image) for p in open_source(source, **options)]


def names(source, **options):
    return [p.source.name for p in open_source(source, **options)]


def failures(source, **options):
    found = []
    pictures = list(open_source(source, on_failure=lambda place, error: found.append(str(error)), **options))
    return [number_of(p.image) for p in pictures], found


@pytest.fixture
def album(tmp_path):
    for number, name in enumerate(("f_1.png", "f_2.png", "f_10.png", "in/a.png", "in/deep/b.png"), start=1):
        save(tmp_path / name, number)
    return tmp_path


# ---------------------------------------------------------------------------------------------- names of files


def test_a_folder_is_read_in_natural_order_and_named_from_there(album, caplog):
    assert names(album) == ["f_1.png", "f_2.png", "f_10.png", "in/a.png", "in/deep/b.png"]
    assert numbers(str(album)) == [1, 2, 3, 4, 5] and count_pictures(album) == 5
    assert not caplog.records
    assert numbers(album, recursive=False) == [1, 2, 3] and count_pictures(album, recursive=False) == 3
    assert "1 subfolders are left out" in caplog.text


def test_skip_is_asked_before_a_file_is_read(album):
    (album / "f_2.png").write_bytes(b"broken")
    asked = []
    assert numbers(album, skip=lambda s: asked.append(s.name) or s.name in ("f_2.png", "in/a.png")) == [1, 3, 5]
    assert asked == ["f_1.png", "f_2.png", "f_10.png", "in/a.png", "in/deep/b.png"]


def test_patterns(album):
    assert names(f"{album}/*.png") == ["f_1.png", "f_2.png", "f_10.png"]
    assert numbers(f"{album}/**/*.png") == [1, 2, 3, 4, 5] == numbers(f"{album}/*") == sorted(numbers(f"{album}/**"))
    assert numbers(f"{album}/i*") == [4, 5]
    with pytest.raises(DataError, match=r"\*.bmp: no pictures or videos match"):
        numbers(f"{album}/*.bmp")


def test_a_numbered_pattern_starts_anywhere_and_tells_gaps(album, caplog):
    assert numbers(f"{album}/f_%d.png") == [1, 2, 3]
    assert "7 numbers are missing (3, 4, 5, 6, 7, 8, 9)" in caplog.text
    with pytest.raises(DataError, match="no such files"):
        numbers(f"{album}/g_%04d.png")


@pytest.mark.parametrize(
    "name", ["[1].png", "%04d.png", "what?.png", "-.png", "~.png", "a b.png", "new\nline.png", "{x}.png"]
)
def test_what_exists_is_taken_as_it_is_called(tmp_path, name):
    save(tmp_path / "run[1]" / name, 7)
    assert numbers(f"{tmp_path}/run[1]/{name}") == [7] == numbers(f"{tmp_path}/run[1]")


def test_system_and_hidden_files_are_left_out_in_silence(album, caplog):
    caplog.set_level(logging.INFO)
    for name in ("._f_1.png", ".DS_Store", "Thumbs.db", "__MACOSX/x.png", ".cache/y.png", "@eaDir/z.jpg"):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).write_bytes(b"x")
    assert numbers(album) == [1, 2, 3, 4, 5] and not caplog.records
    (album / "notes.csv").write_text("a,b")
    assert numbers(album) == [1, 2, 3, 4, 5]
    assert "1 files that are no pictures or videos are left out (1 .csv)" in caplog.text


def test_links_are_followed_once_and_dead_ones_named(album):
    (album / "loop").symlink_to(".")
    (album / "twice").symlink_to("in")
    (album / "gone.png").symlink_to("nowhere.png")
    (album / "self.png").symlink_to("self.png")
    os.mkfifo(album / "pipe.png")
    found, errors = failures(album)
    assert found == [1, 2, 3, 4, 5]
    assert len(errors) == 2 and "gone.png: a link to nowhere.png" in errors[0] and "self.png: " in errors[1]


def test_a_list_counts_paths_from_its_folder(album, monkeypatch):
    (album / "list.txt").write_bytes(b"\xef\xbb\xbf# a remark\r\nin/a.png\r\n\r\nf_2.png \r\nmissing.png\r\n")
    found, errors = failures(album / "list.txt")
    assert found == [4, 2] and len(errors) == 1 and "missing.png: no such file" in errors[0]
    (album / "list.txt").write_bytes("\ufeffin/a.png\r\n".encode("utf-16-le"))  # a Windows shell's
    monkeypatch.chdir(album)
    assert numbers("list.txt") == [4]
    (album / "list.txt").write_text("# nothing\n")
    assert "one path a line" in failures("list.txt")[1][0]
    (album / "table.csv").write_text("path\nf_1.png\n")
    assert "lists are read from a text file" in failures("table.csv")[1][0]


def test_one_broken_file_is_told_and_the_rest_is_read(album):
    (album / "f_2.png").write_bytes((album / "f_2.png").read_bytes()[:60])
    found, errors = failures(album)
    assert found == [1, 3, 4, 5] and len(errors) == 1 and "f_2.png" in errors[0]
    with pytest.raises(DataError, match=r"f_2\.png"):
        numbers(album)


def test_empty_places_say_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="no pictures or videos in this folder"):
        numbers(tmp_path)
    (tmp_path / "data.csv").write_text("a")
    with pytest.raises(DataError, match=r"there are 1 \.csv"):
        numbers(tmp_path)
    save(tmp_path / "in" / "a.png", 1)
    with pytest.raises(DataError, match="1 folders inside it, which `recursive` reads"):
        numbers(tmp_path, recursive=False)


def test_missing_names(album, monkeypatch):
    monkeypatch.chdir(album)
    with pytest.raises(DataError, match=r"F_1\.PNG: no such file or folder, but there is .*f_1\.png"):
        numbers("F_1.PNG")
    for name, reason in {"": "an empty name", "a\0b": "no such file", "x" * 300: "File name too long"}.items():
        with pytest.raises(DataError, match=reason):
            numbers(name)


def test_names_that_are_no_utf8_can_be_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        save(tmp_path / name, 3)
    except OSError:
        pytest.skip("this file system has UTF-8 names alone")
    (picture,) = open_source(tmp_path)
    assert picture.source.name == "caf\\xe9.png" and picture.source.path == str(tmp_path / name)


# ---------------------------------------------------------------------------------------------- contents


def test_files_are_read_by_their_content(tmp_path):
    save(tmp_path / "a.png", 5).rename(tmp_path / "a.jpg")
    save(tmp_path / "b.jpg", 6, quality=95).rename(tmp_path / "b.mp4")
    encode(tmp_path / "c.mp4", range(3)).rename(tmp_path / "c.jpg")
    encode(tmp_path / "d.mkv", range(3)).rename(tmp_path / "d.png")
    encode(tmp_path / "e.mkv", range(3)).rename(tmp_path / "e")
    assert [numbers(tmp_path / name) for name in ("a.jpg", "b.mp4")] == [[5], [6]]
    assert [numbers(tmp_path / name) for name in ("c.jpg", "d.png", "e")] == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello world, this is no picture", "a text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"#EXTM3U\nhttp://x/y.ts\n", "a text"),
        (bytes(range(256)) * 9, "cannot|not a|no video"),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.mp4", "a"])
def test_what_is_no_picture_is_said(tmp_path, content, reason, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}.*({reason})"):
        numbers(tmp_path / name)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_animations_and_pages_give_each_frame(tmp_path, suffix):
    frames = [Image.fromarray(scene(k)) for k in range(4)]
    options = {} if suffix == "tif" else {"duration": [40, 60, 80, 100]}
    options |= {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    pictures = list(open_source(tmp_path / f"a.{suffix}"))
    assert [number_of(p.image) for p in pictures] == [p.source.frame for p in pictures] == [0, 1, 2, 3]
    times = [None] * 4 if suffix == "tif" else pytest.approx([0, 0.04, 0.1, 0.18])
    assert [p.source.time for p in pictures] == times
    assert count_pictures(tmp_path / f"a.{suffix}") == 4


def test_the_picture_for_viewers_without_animation_is_no_frame(tmp_path):
    frames = [Image.fromarray(scene(k)) for k in range(3)]
    Image.fromarray(scene(9)).save(tmp_path / "a.png", save_all=True, append_images=frames, default_image=True)
    assert numbers(tmp_path / "a.png") == [0, 1, 2]


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_cut_short_gives_what_it_has(tmp_path, caplog, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    frames = [Image.fromarray(f) for f in noise]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    data = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(data[: len(data) // 2])
    assert 1 <= len(list(open_source(tmp_path / f"a.{suffix}"))) < 5
    assert "could be read" in caplog.text


def test_pictures_stand_upright_however_they_come(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    Image.fromarray(scene(8)).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    for source in (path, Image.open(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        (picture,) = open_source(source)
        assert (picture.image == scene(8)).all()


# ---------------------------------------------------------------------------------------------- objects


IMAGE = scene(9)
GRAY = IMAGE[..., 1].copy()


@pytest.mark.parametrize(
    "array",
    [
        IMAGE,
        IMAGE.transpose(2, 0, 1),
        IMAGE.astype(np.float32) / 255,
        IMAGE.astype(np.float64),
        (IMAGE / 255).astype(np.float16),
        IMAGE.astype(np.int64),
        IMAGE.astype(np.uint16) * 257,
        np.dstack([IMAGE, GRAY]),
        np.asfortranarray(IMAGE),
        IMAGE[..., ::-1].copy()[..., ::-1],
        torch.from_numpy(IMAGE.copy()).permute(2, 0, 1),
        torch.from_numpy(IMAGE.copy()).permute(2, 0, 1).float() / 255,
        torch.from_numpy(IMAGE.copy()),
        Image.fromarray(IMAGE),
        Image.fromarray(IMAGE).convert("RGBA"),
    ],
    ids=lambda a: f"{type(a).__name__} {getattr(a, 'dtype', '')} {getattr(a, 'shape', '')}",
)
def test_arrays_tensors_and_images_are_the_same_picture(array):
    (picture,) = open_source(array)
    assert np.abs(picture.image.astype(int) - IMAGE).max() <= 1
    assert picture.image.dtype == np.uint8 and picture.image.flags.c_contiguous and picture.image.flags.writeable
    assert picture.source == ("image_0", None, None, None)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "1", "CMYK", "YCbCr", "HSV", "LAB", "I;16"])
def test_images_of_every_mode(mode):
    image = Image.fromarray(IMAGE)
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.quantize(64).convert(mode) if mode in ("P", "PA") else image.convert(mode)
    (picture,) = open_source(image)
    gray = mode in ("L", "LA", "1", "I;16")
    expected = np.asarray(Image.fromarray(IMAGE).convert("1" if mode == "1" else "L").convert("RGB")) if gray else IMAGE
    assert np.abs(picture.image.astype(int) - expected).max() <= (0 if mode == "1" else 12)


def test_gray_and_two_values():
    for array in (GRAY, GRAY[..., None], GRAY[None], np.dstack([GRAY, GRAY])):
        (picture,) = open_source(array)
        assert (picture.image == GRAY[..., None]).all() and picture.image.shape == (48, 64, 3)
    (picture,) = open_source(GRAY > 100)
    assert set(np.unique(picture.image)) == {0, 255}


def test_order_is_of_arrays_alone(album):
    (picture,) = open_source(IMAGE[..., ::-1], order="bgr")
    assert (picture.image == IMAGE).all()
    assert numbers(album / "f_1.png", order="bgr") == [1]
    assert (next(iter(open_source(Image.fromarray(IMAGE), order="bgr"))).image == IMAGE).all()
    with pytest.raises(OptionError, match="'rgb' or 'bgr'"):
        numbers(IMAGE, order="gbr")


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (None, "None: was the picture read"),
        ({"a": 1}, "dict"),
        (2.5, "float"),
        (True, "bool"),
        (np.zeros((0, 0, 3), np.uint8), r"shape \[0, 0, 3\]"),
        (np.zeros(9), r"shape \[9\]"),
        (np.zeros((20, 30, 10)), r"shape \[20, 30, 10\]"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        ((IMAGE / 255 - 0.45) / 0.22, "before any mean is taken off"),
        (IMAGE.astype(np.int32) * 300, "int32"),
        (IMAGE.astype(complex), "complex"),
        (Image.new("F", (4, 4)), "floats"),
        (Image.new("RGB", (0, 4)), "empty picture"),
        (io.StringIO("x"), "mode 'rb'"),
        (b"", "empty"),
        ([0], "a source by itself"),
    ],
)
def test_other_objects_are_refused_in_one_sentence(thing, reason):
    with pytest.raises(DataError, match=reason):
        numbers(thing)


def test_lists_iterators_and_batches_keep_their_order(album):
    batch = np.stack([scene(k) for k in (1, 2, 3)])
    assert numbers(batch) == numbers(iter(batch)) == numbers(list(batch)) == [1, 2, 3]
    assert numbers(torch.from_numpy(batch).permute(0, 3, 1, 2)) == [1, 2, 3]
    mixed = [str(album / "f_2.png"), album / "f_10.png", scene(7), Image.fromarray(scene(8)), [scene(9)]]
    assert numbers(mixed) == [2, 3, 7, 8, 9]
    assert names(mixed) == [str(album / "f_2.png"), str(album / "f_10.png"), "image_0", "image_1", "image_2"]
    assert numbers(np.array([str(album / "f_1.png")], object)) == [1]
    assert numbers([]) == []
    assert count_pictures(mixed) == 5 and count_pictures(batch) == 3 and count_pictures(iter(batch)) is None


def test_one_buffer_that_is_filled_again_and_again():
    def frames():
        buffer = np.zeros_like(IMAGE)
        for number in range(8):
            buffer[:] = scene(number)
            yield buffer

    assert numbers(frames()) == list(range(8))


def test_the_callers_picture_is_left_alone():
    mine = IMAGE.copy()
    (picture,) = open_source(mine)
    picture.image[:] = 0
    assert (mine == IMAGE).all()


# ---------------------------------------------------------------------------------------------- reading ahead


def test_reading_is_lazy_and_ends_when_the_reader_stops():
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield scene(number % 20)

    before = threading.active_count()
    pictures = open_source(endless())
    assert threading.active_count() == before
    for _ in range(3):
        next(pictures)
    time.sleep(0.2)
    assert len(drawn) <= 12
    pictures.close()
    assert threading.active_count() == before


def test_a_mistake_in_the_callers_own_iterator_keeps_its_traceback():
    def broken():
        yield IMAGE
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        numbers(broken())
    assert caught.traceback[-1].name == "broken"


def test_failures_are_told_in_the_callers_thread_and_in_order(album):
    (album / "f_2.png").write_bytes(b"")
    seen = []
    for picture in open_source(
        album, on_failure=lambda place, error: seen.append((place.name, threading.current_thread()))
    ):
        seen.append((picture.source.name, threading.current_thread()))
    assert [name for name, _ in seen] == ["f_1.png", "f_2.png", "f_10.png", "in/a.png", "in/deep/b.png"]
    assert {thread for _, thread in seen} == {threading.current_thread()}


# ---------------------------------------------------------------------------------------------- addresses, cameras


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        body, code, headers = self.server.files.get(path, b""), 200, {}
        if path == "/moved.png":
            code, headers = 302, {"Location": "/a.png"}
        elif path == "/loop.png":
            code, headers = 302, {"Location": "/loop.png"}
        elif path == "/secret.png" and self.headers.get("Authorization") != "Basic dXNlcjpwQHNz":  # user:p@ss
            code = 401
        elif not body and path not in ("/cut.png", "/huge.png", "/slow.png"):
            code = 404
        self.send_response(code)
        size = {"/cut.png": 500, "/huge.png": 10**10, "/slow.png": 500}.get(path, len(body))
        for name, value in {"Content-Length": str(size), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        for _ in range(30 if path == "/slow.png" else 0):
            time.sleep(0.1)
            self.wfile.write(b"x")


@pytest.fixture
def server(tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    picture = save(tmp_path / "served.png", 5).read_bytes()
    server.files = {"/a.png": picture, "/photo": picture, "/secret.png": picture, "/page.png": b"<html>Sign in</html>"}
    server.files["/clip.mp4"] = encode(tmp_path / "clip.mp4", range(4)).read_bytes()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server, f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_addresses_are_read_by_content(server):
    _, host = server
    for path in ("a.png", "moved.png", "photo?id=7&size=large.jpg"):
        assert numbers(f"http://{host}/{path}") == [5]
    assert numbers(f"http://{host}/clip.mp4") == [0, 1, 2, 3]
    (picture,) = open_source(f"http://user:p%40ss@{host}/secret.png")
    assert picture.source.name == f"http://{host}/secret.png" and picture.source.path is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("loop.png", "redirects in a loop"),
        ("missing.png", "404"),
        ("page.png", "web page"),
        ("cut.png", "the connection was cut, 0 of 500 bytes"),
        ("huge.png", "too large"),
        ("slow.png", "too slow"),
    ],
)
def test_addresses_that_fail_say_why_and_show_no_password(server, monkeypatch, path, reason):
    _, host = server
    if path == "slow.png":
        monkeypatch.setattr(addresses, "LIMIT_SECONDS", 1)
    found, errors = failures(f"http://user:s3cret@{host}/{path}")
    assert not found and len(errors) == 1 and reason in errors[0] and f"{host}/{path}" in errors[0]
    assert "s3cret" not in errors[0]


def test_secrets_are_left_out_of_names():
    assert without_secrets("rtsp://admin:pa@ss@10.0.0.1:554/live?channel=1") == "rtsp://10.0.0.1:554/live?channel=1"
    assert (
        without_secrets("http://h/user=a_password=tlJ/x?token=abc&y=1")
        == "http://h/user=a_password=***/x?token=***&y=1"
    )


@pytest.mark.parametrize("address", ["https://www.youtube.com/watch?v=1", "https://youtu.be/x", "s3://bucket/a.jpg"])
def test_other_addresses_ask_for_the_file(address):
    with pytest.raises(DataError, match="download"):
        numbers(address)


def test_a_camera_that_is_not_there_is_one_error(monkeypatch, tmp_path):
    assert is_live(0) and is_live("0") and is_live("/dev/video3") and is_live("rtsp://h/1") and is_live(np.int64(1))
    assert not is_live(True) and not is_live("./0") and not is_live(Path("0")) and not is_live("http://h/1")
    for camera in (97, "97", "/dev/video97"):
        with pytest.raises(DataError, match="no camera 97"):
            numbers(camera)
    found, errors = failures("rtsp://user:s3cret@127.0.0.1:9/stream1")
    assert not found and len(errors) == 1 and "cannot be opened" in errors[0] and "s3cret" not in errors[0]
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "0.png", 4).rename(tmp_path / "0")
    assert numbers("./0") == numbers(Path("0")) == [4]
    assert count_pictures(0) is None


class Camera:
    """One that is unplugged after 40 frames."""

    def __init__(self, index):
        self.number = -1

    def isOpened(self):
        return True

    def read(self):
        self.number += 1
        time.sleep(0.005)
        return self.number < 40, scene(min(self.number, 40))[..., ::-1]

    def release(self):
        Camera.released = True


def test_a_camera_gives_its_newest_frame_and_ends_when_it_is_unplugged(monkeypatch, caplog):
    monkeypatch.setattr(live.cv2, "VideoCapture", Camera)
    monkeypatch.setattr(live.sys, "platform", "other")
    pictures = []
    for picture in open_source(0):
        pictures.append(picture)
        time.sleep(0.03)
    shown = [number_of(p.image) for p in pictures]
    assert shown == [p.source.frame for p in pictures] and shown[-1] == 39 and len(shown) < 30
    assert pictures[0].source.name == "camera_0" and 0 <= pictures[0].source.time < 5
    assert Camera.released and "ended after 40 frames" in caplog.text


def test_standard_input_is_one_picture(monkeypatch):
    file = io.BytesIO()
    Image.fromarray(scene(6)).save(file, "PNG")
    file.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
    assert numbers("-") == [6]


def test_pictures_are_frames_of_a_film_where_a_frame_rate_is_given(tmp_path):
    for name in ("a/f_2.png", "a/f_10.png", "a/f_1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / name, 3)
    (tmp_path / "a/f_2.png").write_bytes(b"")
    errors = []
    pictures = list(open_source(tmp_path, frame_rate=20, on_failure=lambda place, error: errors.append(str(error))))
    film, other = str(tmp_path / "a"), str(tmp_path / "b")
    assert [(p.source.name, p.source.frame, p.source.time) for p in pictures] == [
        (film, 0, 0.0),
        (film, 2, 0.1),
        (other, 0, 0.0),
    ]
    assert len(errors) == 1 and "f_2.png" in errors[0]
    arrays = [p.source for p in open_source([np.zeros((4, 4, 3), np.uint8)] * 2, frame_rate=10)]
    assert arrays == [("frames", None, 0, 0.0), ("frames", None, 1, 0.1)]
    assert not list(open_source(tmp_path / "a", frame_rate=5, skip=lambda place: place.name == film))
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="frame_rate"):
            list(open_source(tmp_path, frame_rate=rate))

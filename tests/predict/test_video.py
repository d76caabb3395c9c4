"""Frames of videos: order, numbers, times, the way up, and what is kept of broken ones."""

import gc
import io
import logging
import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.predict.video import VideoWriter, count_frames, import_av, read_video

av = pytest.importorskip("av")
SIZE = (64, 48)


def scene(number, size=SIZE):
    """A picture that spells its number: upper left red, upper right green, lower left blue, the rest as gray."""
    width, height = size
    image = np.full((height, width, 3), 40 + 4 * number, np.uint8)
    image[: height // 3, : width // 3] = 224, 32, 32
    image[: height // 3, -width // 3 :] = 32, 192, 32
    image[-height // 3 :, : width // 3] = 32, 32, 224
    return image


def number_of(image):
    height, width = image.shape[:2]
    return round((float(image[-height // 4 :, -width // 4 :].mean()) - 40) / 4)


def encode(
    path, numbers=range(24), codec="libx264", times=None, size=SIZE, matrix=None, pix="yuv420p", rate=24, **options
):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pix
        stream.options = {"g": "12", "bf": "2", **options} if codec == "libx264" else options
        if times:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if matrix:
            stream.set_display_matrix(matrix)
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(scene(number, size), format="rgb24")
            if times:
                frame.pts, frame.time_base = round(times[place] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read(path):
    with path.open("rb") as file:
        return list(read_video(file, path.name))


def packets(path):
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts) for p in container.demux(container.streams.video[0]) if p.size]


def spoil(path, places):
    data = bytearray(path.read_bytes())
    for position, size, _ in (packets(path)[place] for place in places):
        data[position : position + size] = bytes(size)
    path.write_bytes(data)


def test_frames_come_in_the_order_shown_each_at_its_own_time(tmp_path):
    times = [0, 0.04, 0.08, 0.58, 0.6, 0.62, 1.62, 1.63]
    frames = read(encode(tmp_path / "a.mp4", range(8), times=times))
    assert [f.number for f in frames] == [number_of(f.image) for f in frames] == list(range(8))
    assert [f.time for f in frames] == pytest.approx(times, abs=1e-3)
    assert frames[0].image.dtype == np.uint8 and frames[0].image.flags.c_contiguous and frames[0].image.flags.writeable


# A pixel (x, y) is shown at (a x + c y, b x + d y).
TURNS = {
    "as stored": (1, 0, 0, 1),
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transversed": (0, -1, -1, 0),
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_whole_display_matrix_is_obeyed(tmp_path, turn):
    a, b, c, d = TURNS[turn]
    one = 1 << 16
    path = encode(tmp_path / "a.mp4", range(2), matrix=(a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30))
    stored = scene(1)
    shown = stored.transpose(1, 0, 2) if a == 0 else stored
    right, down = (c, b) if a == 0 else (a, d)
    shown = shown[::down, ::right]
    image = read(path)[1].image
    assert image.shape == shown.shape
    assert np.abs(image[4:-4, 4:-4].astype(int) - shown[4:-4, 4:-4]).mean() < 6


@pytest.mark.parametrize(("places", "group"), [([0], 12), ([5], 1), ([22, 23], 1)])
def test_what_cannot_be_decoded_keeps_its_number_and_is_told_once(tmp_path, caplog, places, group):
    path = encode(tmp_path / "a.mp4", g=str(group))
    stamps = sorted(stamp for *_, stamp in packets(path))
    lost = {stamps.index(packets(path)[place][2]) for place in places}
    spoil(path, places)
    frames = read(path)
    assert [number_of(f.image) for f in frames] == [f.number for f in frames]
    assert len(frames) >= 12 and not lost & {f.number for f in frames}
    assert len(caplog.records) == 1 and "could not be decoded" in caplog.text and "a.mp4" in caplog.text


def test_frames_are_put_in_order_where_a_damaged_place_mixes_them(tmp_path):
    path = encode(tmp_path / "a.mp4")
    spoil(path, [12])  # the second key frame: its followers come early and wrong
    frames = read(path)
    assert [f.number for f in frames] == sorted({f.number for f in frames})
    assert [number_of(f.image) for f in frames][:12] == list(range(12))
    assert all(f.time == pytest.approx(f.number / 24, abs=1e-3) for f in frames)


def test_every_bad_frame_of_an_intra_coded_video_is_told(tmp_path, caplog):
    path = encode(tmp_path / "a.avi", codec="mjpeg", pix="yuvj420p")
    spoil(path, [0, 9, 10])
    assert [f.number for f in read(path)] == [n for n in range(24) if n not in (0, 9, 10)]
    assert "frames 0, 9 to 10 could not be decoded" in caplog.text


def test_a_file_that_ends_early_gives_what_it_has(tmp_path, caplog):
    path = encode(tmp_path / "a.avi", codec="mjpeg", pix="yuvj420p")
    position = packets(path)[14][0]
    path.write_bytes(path.read_bytes()[:position])
    assert [number_of(f.image) for f in read(path)] == list(range(14))
    assert "ends early: 14 of the 24 frames" in caplog.text


def test_times_go_on_where_recordings_were_joined(tmp_path):
    data = encode(tmp_path / "a.ts", range(12)).read_bytes()
    (tmp_path / "twice.ts").write_bytes(data + data)
    frames = read(tmp_path / "twice.ts")
    assert [number_of(f.image) for f in frames] == [*range(12)] * 2
    assert [f.time for f in frames] == pytest.approx([k / 24 for k in range(24)], abs=1e-3)


def test_the_count_of_the_header_is_a_hint_alone(tmp_path, caplog):
    path = encode(tmp_path / "a.avi", range(6), codec="mjpeg", pix="yuvj420p")
    data = bytearray(path.read_bytes())
    for place in (data.find(b"avih") + 8 + 16, data.find(b"strh") + 8 + 32):
        data[place : place + 4] = (3).to_bytes(4, "little")
    path.write_bytes(data)
    with path.open("rb") as file:
        assert count_frames(file, "a.avi") == 3
    assert len(read(path)) == 6 and not caplog.records


@pytest.mark.parametrize("kind", ["webm", "h264", "y4m", "avi", "odd"])
def test_other_containers(tmp_path, kind):
    if kind == "webm":
        path, size = encode(tmp_path / "a.webm", range(6), codec="libvpx-vp9"), SIZE
    elif kind == "odd":
        path, size = encode(tmp_path / "a.mkv", range(6), codec="ffv1", size=(63, 47)), (63, 47)
    else:
        path, size = encode(tmp_path / f"a.{kind}", range(6), codec={"y4m": "rawvideo"}.get(kind, "libx264")), SIZE
    frames = read(path)
    assert [number_of(f.image) for f in frames] == list(range(6))
    assert (
        frames[0].image.shape[1::-1] == size
        and frames[0].time == 0
        and frames[1].time == pytest.approx(1 / 24, abs=3e-3)
    )


def test_reasons_of_files_without_a_frame(tmp_path):
    path = encode(tmp_path / "whole.mp4")
    cases = {
        "moov": path.read_bytes()[: path.read_bytes().find(b"moov") - 4],
        "damaged, or of an unknown kind": os.urandom(5000),
        "no video in it, only sound": sound(),
    }
    for reason, data in cases.items():
        (tmp_path / "a.mp4").write_bytes(data)
        with pytest.raises(DataError, match=f"^a.mp4: .*{reason}"):
            read(tmp_path / "a.mp4")


def sound():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def test_files_that_a_playlist_names_are_not_opened(tmp_path):
    encode(tmp_path / "a.ts", range(3))
    for text in (
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1.0,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile a.ts\n",
    ):
        (tmp_path / "list.mp4").write_bytes(text.format(tmp_path / "a.ts").encode() + b"\0")
        with pytest.raises(DataError):
            read(tmp_path / "list.mp4")


def test_memory_stays_flat(tmp_path):
    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

    path = encode(tmp_path / "a.mp4", [k % 40 for k in range(120)], size=(640, 480), preset="ultrafast")
    gc.disable()  # a frame in a circle of references would stay until it runs: 0.9 MB each
    try:
        with path.open("rb") as file:
            marks = [resident() for frame in read_video(file, "a.mp4") if frame.number in (30, 119)]
    finally:
        gc.enable()
    assert marks[1] - marks[0] < 20


def test_without_pyav_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match=r"pip install 'hrtoolkit\[video\]'"):
        import_av()


def test_what_is_written_is_read_again(tmp_path):
    times = [0, 0.04, 0.5, 2.0]
    writer = VideoWriter(tmp_path / "out" / "%04d: ü.mp4")
    for number, time in enumerate(times):
        writer.write(scene(number, (63, 47)), time)
        assert not writer.path.exists()
    writer.close()
    frames = read(writer.path)
    assert [f.time for f in frames] == pytest.approx(times, abs=1e-3)
    assert [number_of(f.image[:47, :63]) for f in frames] == [0, 1, 2, 3]
    assert frames[0].image.shape == (48, 64, 3)
    assert np.abs(frames[0].image[4:10, 4:10].astype(int) - (224, 32, 32)).max() < 12  # colors are BT.709 as it says
    assert [p.name for p in writer.path.parent.iterdir()] == [writer.path.name]


def test_a_frame_of_another_size_is_fitted_into_the_first(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    for size in ((64, 48), (48, 64), (200, 100), (20, 20)):
        writer.write(scene(5, size))
    writer.close()
    images = [f.image for f in read(tmp_path / "a.mp4")]
    assert {i.shape for i in images} == {(48, 64, 3)}
    assert images[1][:, 40:].max() < 30 and images[2][36:].max() < 30  # black beside and below


def test_without_a_frame_no_file_is_written(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.close()
    assert not list(tmp_path.iterdir())


def test_a_discarded_video_leaves_nothing_and_no_error(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4")
    writer.write(scene(1), 0.0)
    writer.discard()
    assert not any(tmp_path.iterdir())


def test_high_dynamic_range_and_odd_pixels_are_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.color_trc, stream.sample_aspect_ratio = 18, 2
        container.mux(stream.encode(av.VideoFrame.from_ndarray(scene(1), format="rgb24")))
        container.mux(stream.encode(None))
    assert len(read(tmp_path / "a.mp4")) == 1
    assert "HDR (HLG)" in caplog.text and "pixels are not square" in caplog.text

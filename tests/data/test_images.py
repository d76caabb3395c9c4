"""The one reader of pictures: the pixels of every kind of file, and one sentence for everything that is no picture."""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from hrtoolkit.data import images
from hrtoolkit.data.images import decode_image, open_picture, read_extras, read_image, read_size
from hrtoolkit.errors import DataError


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RNG = np.random.default_rng(0)
NOISE = Image.fromarray(RNG.integers(0, 256, (15, 20, 3), dtype=np.uint8)).resize((80, 60))
CLEAR = NOISE.copy()
CLEAR.putalpha(NOISE.getchannel(0))
KINDS = {
    "JPEG": encoded(NOISE, "JPEG"),
    "progressive JPEG": encoded(NOISE, "JPEG", progressive=True, quality=95, subsampling=0),
    "grey JPEG": encoded(NOISE.convert("L"), "JPEG"),
    "CMYK JPEG": encoded(NOISE.convert("CMYK"), "JPEG"),
    "PNG": encoded(NOISE, "PNG"),
    "grey PNG": encoded(NOISE.convert("L"), "PNG"),
    "grey PNG with alpha": encoded(CLEAR.convert("LA"), "PNG"),
    "palette PNG": encoded(NOISE.quantize(64), "PNG", transparency=3),
    "palette PNG of 4 bits": encoded(NOISE.quantize(12), "PNG", bits=4),
    "PNG with alpha": encoded(CLEAR, "PNG"),
    "PNG of 1 bit": encoded(NOISE.convert("1"), "PNG"),
    "WebP": encoded(CLEAR, "WEBP"),
    "GIF": encoded(NOISE.quantize(64), "GIF"),
    "BMP": encoded(NOISE, "BMP"),
    "TIFF with alpha": encoded(CLEAR, "TIFF"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_8_bits_has_the_pixels_that_pillow_gives(kind):
    pixels = np.asarray(Image.open(io.BytesIO(KINDS[kind])).convert("RGB"))
    np.testing.assert_array_equal(decode_image(KINDS[kind], "a"), pixels)


@pytest.mark.parametrize("kind", ["JPEG", "progressive JPEG", "grey JPEG", "PNG", "grey PNG"])
def test_usual_files_have_the_pixels_that_opencv_gives(kind):
    pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(KINDS[kind], np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(decode_image(KINDS[kind], "a"), pixels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_16_bits_are_scaled_by_what_they_can_hold(kind, channels):
    values = RNG.integers(0, 256, (60, 80, channels), dtype=np.uint16)
    data = cv2.imencode(kind, (values * 257)[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(data, "a"), np.broadcast_to(values, (60, 80, 3)))


def test_12_bits_of_a_tiff_that_says_so_are_scaled_as_12():
    values = np.full((4, 6), 0x800, np.uint16)  # packed, two values are three bytes
    packed = bytes([0x80, 0x08, 0x00]) * 12
    tags = {256: 6, 257: 4, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: len(packed)}
    data = b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + struct.pack("<H", len(tags))
    for tag, value in tags.items():
        wide = tag in (273, 279)
        number = struct.pack("<I", value) if wide else struct.pack("<HH", value, 0)
        data += struct.pack("<HHI", tag, 4 if wide else 3, 1) + number
    data += struct.pack("<I", 0)
    assert (decode_image(data, "a") == values.max() >> 4).all()


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_whose_white_nobody_states_are_refused(dtype):
    for channels in ((), (3,)):
        ok, data = cv2.imencode(".tif", np.ones((6, 8, *channels), dtype))
        assert ok
        with pytest.raises(DataError, match=r"a\.tif: .*store 8 or 16 bits"):
            decode_image(data.tobytes(), "a.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_turns_nothing_unless_it_is_asked_for(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(NOISE, kind, exif=exif)
    image = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(decode_image(data, "a"), np.asarray(image.convert("RGB")))
    upright = ImageOps.exif_transpose(image).convert("RGB")
    np.testing.assert_array_equal(decode_image(data, "a", upright=True), np.asarray(upright))
    assert read_extras(data) == (orientation, 1)


def test_a_damaged_exif_block_turns_nothing():
    data = bytearray(encoded(NOISE, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"))
    assert decode_image(bytes(data), "a", upright=True).shape == (60, 80, 3)
    assert read_extras(bytes(data)) == (1, 1)


def test_of_an_animation_the_first_frame_is_read_and_the_others_are_counted():
    others = [NOISE.rotate(90 * i) for i in (1, 2)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        data = encoded(NOISE, kind, save_all=True, append_images=others)
        assert decode_image(data, "a").shape == (60, 80, 3)
        assert read_extras(data) == (1, 3)


def test_no_kind_of_file_is_slowed_down_or_refused_for_bytes_behind_its_end(monkeypatch):
    data = KINDS["JPEG"] + b"SEFT" + bytes(4000)  # as telephones write
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # a photo beyond Pillow's own limit
    np.testing.assert_array_equal(decode_image(data, "a"), decode_image(KINDS["JPEG"], "a"))


def png_of(width, height):
    """A PNG's header, and pixels for a row."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return images.PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def jpeg_of(width, height):
    data = bytearray(KINDS["JPEG"])
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("data", [png_of(30_000, 30_000), png_of(2**30, 4), jpeg_of(30_000, 30_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(data, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"^a\.png: \d+ x \d+ pixels, and the limit is 268,435,456"):
        decode_image(data, "a.png")


def test_label_maps_of_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(DataError, match=r"^a\.png: 30000 x 30000 pixels"):
        open_picture(png_of(30_000, 30_000), "a.png")


def test_too_many_pixels_of_other_formats_are_refused_too(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"^a\.tif: too many pixels"):
        decode_image(KINDS["TIFF with alpha"], "a.tif")


def test_a_picture_of_2_to_the_22_columns_is_one_error():
    with pytest.raises(DataError, match=r"^a\.png: .*(damaged|not a readable image)"):
        decode_image(png_of(2**22, 2), "a.png")  # OpenCV raises an exception of its own


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "BMP"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_what_is_cut_short_is_one_error(kind, share):
    data = KINDS[kind][: int(share * len(KINDS[kind]))]
    with pytest.raises(DataError, match=r"^a: (the image is cut short \(\d+ bytes|not a readable image \()"):
        decode_image(data, "a")


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_are_an_image_or_one_error(kind):
    rng = np.random.default_rng(1)
    for _ in range(40):
        data = bytearray(KINDS[kind])
        for place in rng.integers(0, min(len(data), 400), 3):
            data[place] ^= 1 << rng.integers(8)
        try:
            image = decode_image(bytes(data), "a")
        except DataError as error:
            assert str(error).startswith("a: ")
        else:
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty, 0 bytes"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"hello", "of no known kind"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data, said):
    with pytest.raises(DataError, match=rf"^a\.jpg: not a readable image \(.*{said}"):
        decode_image(data, "a.jpg")


def test_what_is_no_file_is_one_error(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    cases = {
        "gone.jpg": "no such image; the annotations name it",
        "folder.jpg": "a folder, no image",
        "pipe.jpg": "a pipe or a device, no image",
        "loop.jpg": "the image cannot be read",
        "folder.jpg/a.jpg": "no such image",
        "n" * 300 + ".jpg": "the image cannot be read",
        "nul\0.jpg": "a NUL",
    }
    for name, said in cases.items():
        with pytest.raises(DataError, match=said):
            read_image(tmp_path / name)
        assert read_size(tmp_path / name) is None
    with pytest.raises(DataError, match="a device, no image"):
        read_image(Path("/dev/zero"))


def test_sizes_come_from_headers(tmp_path):
    for kind, data in KINDS.items():
        (tmp_path / "a").write_bytes(data if kind == "WebP" else data[: len(data) // 2])
        assert read_size(tmp_path / "a") == (80, 60), kind

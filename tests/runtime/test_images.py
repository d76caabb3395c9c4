"""OpenCV alone reads pictures as hrtoolkit does with Pillow, or says that it does not."""

import io

import numpy as np
import pytest
from PIL import Image

from hrtoolkit.data import images
from hrtoolkit.errors import DataError
from hrtoolkit.runtime.images import ORIENTATION, decode_image, read_orientation

RNG = np.random.default_rng(0)
COLORS = np.kron(RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "I;16")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM", "GIF")


def save(picture, kind, orientation=1):
    """The bytes of a picture; None where this kind of file does not hold it."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    options = {} if kind in ("BMP", "PPM", "GIF") else {"exif": exif if kind == "TIFF" else exif.tobytes()}
    try:
        picture.save(file, kind, **options)
    except (OSError, ValueError):
        return None
    return file.getvalue()


@pytest.mark.parametrize("mode", MODES)
def test_pictures_of_all_kinds_are_read_alike(mode):
    sixteen = Image.fromarray(RNG.integers(0, 65536, (40, 56), dtype=np.uint16))
    picture = sixteen if mode == "I;16" else Image.fromarray(COLORS).convert(mode)
    files = [save(picture, kind, turn) for kind in FORMATS for turn in (1, 2, 3, 4, 5, 6, 7, 8)]
    assert sum(data is not None for data in files) >= 8
    for data in files:
        if data is not None:
            np.testing.assert_array_equal(decode_image(data, "it"), images.decode_image(data, "it", upright=True))


def test_an_orientation_in_xmp_counts_where_exif_has_none():
    file = io.BytesIO()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(COLORS).save(file, "JPEG", xmp=xmp)
    data = file.getvalue()
    assert read_orientation(data) == 6
    np.testing.assert_array_equal(decode_image(data, "it"), images.decode_image(data, "it", upright=True))


def test_a_damaged_orientation_turns_nothing():
    whole = save(Image.fromarray(COLORS), "JPEG", 6)
    place = whole.index(b"Exif\0\0") + 6
    for cut in range(place, place + 30):
        assert read_orientation(whole[:cut]) in (1, 6)
        read_orientation(whole[:cut] + b"\xff" + whole[cut + 1 :])
    assert read_orientation(whole) == 6 and read_orientation(b"") == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_was_cut_short_is_named(kind):
    data = save(Image.fromarray(COLORS), kind)
    for end in (len(data) // 2, len(data) - 10):
        with pytest.raises(DataError, match="it: the image is cut short"):
            decode_image(data[:end], "it")
    assert decode_image(data + b"\n", "it").shape == COLORS.shape


def test_a_thumbnail_does_not_end_a_picture():
    file = io.BytesIO()
    Image.fromarray(COLORS).save(
        file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0" + save(Image.fromarray(COLORS), "JPEG")
    )
    with pytest.raises(DataError, match="cut short"):
        decode_image(file.getvalue()[:-40], "it")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty, 0 bytes"),
        (b"%PDF-1.4", "a PDF document"),
        (b"hello", "damaged, or of a kind that OpenCV does not know"),
        (save(Image.fromarray(COLORS).convert("CMYK"), "JPEG"), "four channels"),
        (save(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "a TIFF of floats"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0" + bytes(40), "the limit is 268,435,456"),
    ],
)
def test_what_is_not_read_is_named(data, told):
    with pytest.raises(DataError, match=told):
        decode_image(data, "it")

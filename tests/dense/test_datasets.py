"""Pairing images and maps of numbers, and what happens when files are not as they should be."""

import io
import logging

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from hrtoolkit.data.doctor import examine
from hrtoolkit.data.loading import Collate
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import ValueScheme
from hrtoolkit.tasks.dense.datasets import ValuePairs
from hrtoolkit.tasks.dense.head import DenseHead
from hrtoolkit.tasks.segmentation.augmentation import ScaleCropFlip
from hrtoolkit.tasks.segmentation.views import WholeImage

from .conftest import DEPTH, LEFT, NORMALS, write_depth, write_png


def load(folder, options=DEPTH, scheme="depth", **changes):
    options = {name: value for name, value in {**options, **changes}.items() if name != "type"}
    return ValuePairs(data_root=folder, scheme=scheme, **options)


def test_depth_of_millimetres_is_in_metres_and_0_is_unknown(folder):
    samples = load(folder)
    assert samples.images.ids.tolist() == ["a", "b", "c", "d"] and list(samples.size_wh(0)) == [40, 32]
    values = samples.truth(1).values
    assert values.dtype == np.float32 and values.shape == (1, 32, 40)
    assert np.isnan(values[:, :2]).all() and np.unique(values[:, 2:]).tolist() == [2, 3, 5]


def test_normals_of_8_bit_are_unit_vectors(folder):
    values = load(folder, NORMALS, "normals").truth(0).values
    assert values.shape == (3, 32, 40) and np.isnan(values[:, :2]).all()
    np.testing.assert_allclose(np.linalg.norm(values[:, 2:], axis=0), 1, atol=1e-6)
    left = values[:, 16, 5]  # in the red square, wherever it begins
    np.testing.assert_allclose(left, LEFT, atol=0.01)


@pytest.mark.parametrize("layout", ["rows", "channels last", "channels first", "float16", "fortran"])
def test_arrays_of_several_layouts_are_read(folder, layout):
    values = np.random.default_rng(0).uniform(1, 9, (1, 32, 40)).astype(np.float32)
    values[0, 3, 4], values[0, 5, 6], values[0, 7, 8] = np.nan, 0, -1
    stored = {
        "rows": values[0],
        "channels last": values.transpose(1, 2, 0),
        "channels first": values,
        "float16": values[0].astype(np.float16),
        "fortran": np.asfortranarray(values[0]),
    }[layout]
    (folder / "arrays").mkdir()
    np.save(folder / "arrays" / "a.npy", stored)
    for name in "bcd":
        (folder / "images" / f"{name}.jpg").unlink()
    samples = load(folder, label_dir="arrays", label_suffix=".npy", scale=None)
    read = samples.truth(0).values
    assert list(samples.size_wh(0)) == [40, 32]
    assert np.isnan(read[0, [3, 5, 7], [4, 6, 8]]).all() and np.isnan(read).sum() == 3
    np.testing.assert_allclose(read[np.isfinite(read)], values[values > 0], rtol=1e-3 if layout == "float16" else 0)


def test_any_numbers_may_be_0_or_negative_in_an_array_but_not_0_in_a_png(folder):
    scheme = ValueScheme(("height",))
    np.save(folder / "depth" / "a.npy", np.zeros((32, 40)))
    samples = load(folder, scheme=scheme, label_suffix=".npy", scale=0.5, offset=-2, faults="drop")
    assert (samples.truth(0).values == -2).all()
    samples = load(folder, scheme=scheme, offset=-2)
    assert np.unique(samples.truth(0).values[:, 2:]).tolist() == [0, 1, 3]
    assert np.isnan(samples.truth(0).values[:, :2]).all()


def test_png_of_16_bit_colors_are_read_in_their_order(folder):
    stored = np.random.default_rng(0).integers(1, 65536, (32, 40, 3)).astype(np.uint16)
    write_png(folder / "depth" / "a.png", stored)
    values = load(folder, scheme=["r", "g", "b"], scale=1.0).truth(0).values
    np.testing.assert_array_equal(values, stored.transpose(2, 0, 1))


def png_of(array, **options):
    data = io.BytesIO()
    Image.fromarray(array, **options).save(data, "PNG")
    return data.getvalue()


def npy_of(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


GREY = png_of(np.full((32, 40), 9, np.uint8))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.png", GREY[:60], r"a\.png: not a readable PNG, or cut short"),
        ("a.png", b"", r"a\.png: neither \.npy nor PNG"),
        ("a.png", GREY.replace(b"IDAT", b"IDAX"), r"a\.png: not a readable PNG"),
        ("a.png", png_of(np.zeros((32, 40, 4), np.uint8)), r"a\.png: a PNG of RGBA, expected grey values or RGB"),
        ("a.png", png_of(np.zeros((32, 40, 3), np.uint8)), r"an array of 32 x 40 x 3, expected 1 numbers a pixel"),
        ("a.png", png_of(np.ones((30, 40), np.uint8)), r"the label is 40 x 30, its image .*a\.jpg is 40 x 32"),
        ("a.npy", npy_of(np.ones((32, 40)))[:900], r"a\.npy: not a readable \.npy file, or cut short"),
        ("a.npy", npy_of(np.ones((32, 40), bool)), r"a\.npy: an array of bool, expected numbers"),
        ("a.npy", npy_of(np.ones(40)), r"a\.npy: an array of 40, expected 1 numbers a pixel"),
        ("a.npy", npy_of(np.ones((2, 32, 40))), r"a\.npy: an array of 2 x 32 x 40, expected 1 numbers a pixel"),
    ],
)
def test_a_file_that_cannot_be_used_has_one_clear_error(folder, name, data, message):
    (folder / "depth" / name).write_bytes(data)
    samples = load(folder, label_suffix=name[1:], faults="drop")
    with pytest.raises(DataError, match=message):
        samples.truth(0)
    (finding,) = (one for one in samples.check_labels("train", whole=True) if one.level == "stop")
    assert finding.what == "maps that cannot be used" and finding.count == 1


def test_an_array_of_objects_is_never_unpickled(folder):
    np.save(folder / "depth" / "a.npy", np.array([[print]]), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy: not a readable \.npy file"):
        load(folder, label_suffix=".npy", faults="drop").truth(0)


def test_a_missing_map_stops_a_run_or_is_dropped(folder):
    (folder / "depth" / "b.png").unlink()
    with pytest.raises(DataError, match=r"labels that are not there: 1 \(.*b\.png\)"):
        load(folder).findings.raise_stops()
    assert load(folder, faults="drop").images.ids.tolist() == ["a", "c", "d"]


def test_a_png_whose_steps_have_no_size_is_refused(folder):
    with pytest.raises(DataError, match=r"nobody says what a step of a PNG is worth; set the dataset's scale"):
        load(folder, scale=None).truth(0)


def test_vectors_of_a_wrong_scale_are_refused(folder):
    with pytest.raises(DataError, match=r"half of the vectors are longer than \d+, and unit vectors have the length 1"):
        load(folder, NORMALS, "normals", scale=1.0, offset=0.0).truth(0)


def test_the_doctor_tells_ranges_and_maps_in_which_nothing_is_known(folder, caplog):
    write_depth(folder / "depth" / "c.png", np.zeros((32, 40)))
    samples = load(folder)
    with caplog.at_level(logging.INFO):
        (finding,) = examine({"train": samples}, {}, sees_crops=False)
    assert (finding.level, finding.what) == ("warning", "maps in which nothing is known") and "c.png" in finding.ids[0]
    # Two of 32 rows of three files, and all of the fourth.
    assert "train data: looked at 4 of 4 maps: depth 2 to 5 m, nothing is known of 29.7 % of the pixels" in caplog.text
    for name in "abd":
        write_depth(folder / "depth" / f"{name}.png", np.zeros((32, 40)))
    (finding,) = samples.check_labels("train", whole=False)
    assert finding.level == "stop" and finding.count == 4


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_training_looks_at_numbers_where_it_looks_at_pixels(folder, flip):
    samples = load(folder, NORMALS, "normals")
    head = DenseHead([4], [4], scheme="normals")
    augmentation = ScaleCropFlip(crop_size=(24, 20), base_size=40, flip=flip)
    inputs = Inputs(samples, WholeImage(), head.scheme, head.targets, augmentation)
    seen = 0
    for number in range(12):
        one = inputs[SampleKey(number % 4, number, 0)]
        values = one.targets["values"]
        assert values.shape == (3, 20, 24)
        for color, x in ((0, -0.6), (2, 0.6)):  # red looks to the left, blue to the right: mirrored, to the other side
            pure = (one.pixels[..., color] > 225) & (one.pixels[..., 2 - color] < 90)
            inside = cv2.erode(pure.astype(np.uint8), np.ones((5, 5))) > 0  # colors are mixed at the edges
            np.testing.assert_allclose(values[0, inside], -x if flip else x, atol=0.01)
            seen += inside.sum()
    assert seen > 100


def test_batches_of_several_sizes_are_padded_with_unknown(folder):
    head = DenseHead([4], [4], scheme="depth")
    several = [{"values": np.ones((1, h, w), np.float32)} for h, w in ((8, 12), (16, 8))]
    targets = Collate(multiple=16).join_targets(several)
    (picture, _) = head.draw_targets(torch.zeros(2, 3, 16, 16), targets, None)
    assert picture.shape == (16, 16, 3)

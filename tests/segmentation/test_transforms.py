"""Scaling, cropping and mirroring in one warp, against OpenCV's resizing of the whole image."""

import cv2
import numpy as np
import pytest
import torch
from hrtoolkit.tasks.segmentation.classes import CAMVID, IGNORED, LIP
from hrtoolkit.tasks.segmentation.transforms import ScaleCropFlip, WholeImage, scale_size

from hrtoolkit import build_model

from ..conftest import REPOSITORY

RNG = np.random.default_rng(0)
IMAGE = cv2.GaussianBlur(RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8), (0, 0), 2)
LABEL = RNG.integers(0, 11, (90, 120), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "base", "expected"),
    [
        ((2048, 1024), 2048, {0.5: (1024, 512), 0.7: (1434, 717), 1: (2048, 1024), 1.3: (2662, 1331)}),
        ((2048, 1024), 2048, {1.75: (3584, 1792), 2.1: (4301, 2151)}),
        ((500, 375), 520, {0.5: (260, 195), 0.75: (390, 293), 1: (520, 390), 1.25: (650, 488), 1.5: (780, 585)}),
        ((500, 375), 520, {1.75: (910, 683), 2: (1040, 780), 2.1: (1092, 819)}),
        ((333, 500), 520, {0.5: (173, 260), 1: (346, 520), 1.3: (450, 676)}),
    ],
)
def test_scaled_sizes_are_the_official_ones(size, base, expected):
    assert {scale: scale_size(size, base * scale) for scale in expected} == expected


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
def test_a_crop_is_a_part_of_the_resized_image(scale, flip):
    transform = ScaleCropFlip((50, 40), 120, (scale, scale), flip)
    sample = transform(IMAGE, LABEL, CAMVID, np.random.default_rng(3))
    size = scale_size((120, 90), 120 * scale)
    image = cv2.resize(IMAGE, size, interpolation=cv2.INTER_LINEAR)
    label = cv2.resize(LABEL, size, interpolation=cv2.INTER_NEAREST)
    rng = np.random.default_rng(3)  # the offsets, drawn again
    rng.integers(1)
    left, top = rng.integers(size[0] - 50 + 1), rng.integers(size[1] - 40 + 1)
    step = -1 if flip else 1
    np.testing.assert_array_equal(sample["label"], label[top : top + 40, left : left + 50][:, ::step])
    difference = sample["image"].astype(int) - image[top : top + 40, left : left + 50][:, ::step]
    assert np.abs(difference).max() <= 2  # both round their weights


def test_a_window_beyond_the_image_is_black_and_ignored():
    transform = ScaleCropFlip((520, 520), 520, (0.5, 0.5), flip=0)
    sample = transform(np.full((375, 500, 3), 9, np.uint8), np.ones((375, 500), np.uint8), CAMVID, RNG)
    inside = np.zeros((520, 520), bool)
    inside[:195, :260] = True
    np.testing.assert_array_equal(sample["label"], np.where(inside, 1, IGNORED))
    np.testing.assert_array_equal(sample["image"], np.where(inside, 9, 0)[..., None].repeat(3, 2))


def test_mirrored_classes_change_places():
    label = np.zeros((10, 10), np.uint8)
    label[:, 0], label[:, 1] = LIP.names.index("Left-arm"), IGNORED
    transform = ScaleCropFlip((10, 10), 10, (1, 1), flip=1)
    mirrored = transform(np.zeros((10, 10, 3), np.uint8), label, LIP, RNG)["label"]
    assert (mirrored[:, 9] == LIP.names.index("Right-arm")).all()
    assert (mirrored[:, 8] == IGNORED).all() and (mirrored[:, :8] == 0).all()


def test_squashed_images_fill_the_square_whatever_their_aspect():
    sample = ScaleCropFlip((47, 47), 47, (1, 1), flip=0, squash=(47, 47))(IMAGE, LABEL, CAMVID, RNG)
    reference = cv2.resize(IMAGE, (47, 47), interpolation=cv2.INTER_LINEAR)
    assert np.abs(sample["image"].astype(int) - reference).max() <= 2
    np.testing.assert_array_equal(sample["label"], cv2.resize(LABEL, (47, 47), interpolation=cv2.INTER_NEAREST))


def test_scales_come_in_tenths_with_both_ends():
    transform = ScaleCropFlip((400, 400), 100, (0.5, 2.1), flip=0)
    rng = np.random.default_rng(0)
    widths = {int((transform(IMAGE, LABEL, CAMVID, rng)["label"][0] != IGNORED).sum()) for _ in range(300)}
    assert widths == {50 + 10 * step for step in range(17)}


def test_colours_change_by_saturation_contrast_and_brightness():
    transform = ScaleCropFlip((120, 90), 120, (1, 1), 0, brightness=0.1, contrast=0.3, saturation=0.5)
    sample = transform(IMAGE, LABEL, CAMVID, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    rng.integers(1), rng.integers(1), rng.integers(1), rng.random()
    shift, contrast, saturation = rng.uniform(-1, 1, 3) * (25.5, 0.3, 0.5)
    grey = (IMAGE @ (0.299, 0.587, 0.114))[..., None]
    expected = (1 + contrast) * (grey + (1 + saturation) * (IMAGE - grey)) + shift
    assert np.abs(sample["image"] - np.clip(expected, 0, 255)).max() <= 1
    np.testing.assert_array_equal(sample["label"], LABEL)


@pytest.mark.parametrize(
    ("size", "resized", "padded"),
    [
        ((500, 375), (693, 520), (696, 520)),
        ((333, 500), (520, 781), (520, 784)),
        ((683, 512), (694, 520), (696, 520)),
        ((256, 256), (520, 520), (520, 520)),
    ],
)
def test_whole_images_get_the_official_sizes_and_padding(size, resized, padded):
    image = np.full((size[1], size[0], 3), 7, np.uint8)
    sample = WholeImage(short_side=520, multiple=8)(image, None, CAMVID)
    assert sample["image"].shape == (padded[1], padded[0], 3)
    assert sample["padding"] == (padded[1] - resized[1], padded[0] - resized[0])
    assert (sample["image"][: resized[1], : resized[0]] == 7).all()
    assert (sample["image"][resized[1] :] == (124, 116, 104)).all()
    squeezed = WholeImage(short_side=520, multiple=8, crop_padding=False)(image, None, CAMVID)
    assert squeezed["padding"] == (0, 0) and squeezed["image"].shape == sample["image"].shape


def test_without_a_generator_the_image_stays_whole():
    sample = ScaleCropFlip((10, 10), 2048)(IMAGE, LABEL, CAMVID)
    np.testing.assert_array_equal(sample["image"], IMAGE)
    assert sample["padding"] == (0, 0)
    assert ScaleCropFlip((10, 10), 473, squash=(30, 20))(IMAGE, LABEL, CAMVID)["image"].shape == (20, 30, 3)


def test_contradictory_arguments_are_refused():
    with pytest.raises(ValueError, match="short_side or squash, not both"):
        WholeImage(short_side=520, squash=(473, 473))
    with pytest.raises(ValueError, match="smallest, largest"):
        ScaleCropFlip((10, 10), 100, scale=(2, 0.5))


def test_pixels_are_normalised_as_in_the_original():
    pixels = torch.tensor([[0, 0, 0], [124, 116, 104], [255, 255, 255]], dtype=torch.uint8)
    model = build_model(REPOSITORY / "configs/segmentation/hrnetv2_w18_small_v2_cityscapes.py")
    normalised = model.data_preprocessor({"images": pixels.T[None, :, None]})["images"][0, :, 0].T
    expected = [[-2.117904, -2.035714, -1.804444], [0.005566, -0.004902, 0.008192], [2.248908, 2.428571, 2.640000]]
    torch.testing.assert_close(normalised, torch.tensor(expected), rtol=0, atol=1e-6)

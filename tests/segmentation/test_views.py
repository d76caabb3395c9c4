"""Scaling, cutting and mirroring in one warp, against OpenCV's resizing of the whole image."""

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit import build_model
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Resized, to_input
from hrtoolkit.records import LabelMap
from hrtoolkit.schemes import IGNORED
from hrtoolkit.schemes.classes import CAMVID, LIP
from hrtoolkit.tasks.segmentation.augmentation import ScaleCropFlip
from hrtoolkit.tasks.segmentation.views import WholeImage, scale_size
from hrtoolkit.views import replace_transform

from ..conftest import REPOSITORY

RNG = np.random.default_rng(0)
IMAGE = cv2.GaussianBlur(RNG.integers(0, 256, (90, 120, 3), dtype=np.uint8), (0, 0), 2)
LABEL = RNG.integers(0, 11, (90, 120), dtype=np.uint8)


def draw_tile(augmentation, image, label, rng, scheme=CAMVID, view=None):
    """A training input and its label map."""
    view, truth = view or WholeImage(), LabelMap(label)
    pixels, frame = view(image, augmentation.ask(view, image.shape[:2], truth, None, scheme, rng))
    return augmentation.retouch(pixels, frame, rng), to_input(truth, frame, scheme).label_map


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
def test_a_tile_is_a_part_of_the_resized_image(scale, flip):
    augmentation = ScaleCropFlip(crop_size=(50, 40), base_size=120, scale=(scale, scale), flip=flip)
    pixels, found = draw_tile(augmentation, IMAGE, LABEL, np.random.default_rng(3))
    size = scale_size((120, 90), 120 * scale)
    image = cv2.resize(IMAGE, size, interpolation=cv2.INTER_LINEAR)
    label = cv2.resize(LABEL, size, interpolation=cv2.INTER_NEAREST)
    rng = np.random.default_rng(3)  # the offsets, drawn again
    rng.integers(1)
    left, top = rng.integers(size[0] - 50 + 1), rng.integers(size[1] - 40 + 1)
    step = -1 if flip else 1
    np.testing.assert_array_equal(found, label[top : top + 40, left : left + 50][:, ::step])
    difference = pixels.astype(int) - image[top : top + 40, left : left + 50][:, ::step]
    assert np.abs(difference).max() <= 2  # both round their weights


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_pixel_of_a_tile_lies_where_its_frame_says(flip):
    ramp = np.stack([*np.meshgrid(np.arange(120.0), np.arange(90.0)), np.zeros((90, 120))], axis=2).astype(np.uint8)
    augmentation = ScaleCropFlip(crop_size=(50, 40), base_size=120, scale=(2.0, 2.0), flip=flip)
    view = WholeImage()
    pixels, frame = view(ramp, augmentation.ask(view, (90, 120), None, None, CAMVID, np.random.default_rng(3)))
    inputs = np.array([[10.0, 20.0], [33.0, 7.0]])
    there = frame.points_to_image(inputs)
    np.testing.assert_allclose(frame.points_to_input(there), inputs, atol=1e-4)
    for (x, y), expected in zip(inputs.astype(int), there, strict=True):
        assert np.abs(pixels[y, x, :2] - expected).max() <= 0.5  # bytes are rounded


def test_a_tile_beyond_the_image_is_black_and_ignored():
    augmentation = ScaleCropFlip(
        crop_size=(520, 520), base_size=520, scale=(0.5, 0.5), flip=0, brightness=0.3, contrast=0.3
    )
    image, label = np.full((375, 500, 3), 9, np.uint8), np.ones((375, 500), np.uint8)
    pixels, found = draw_tile(augmentation, image, label, np.random.default_rng(1))
    inside = np.zeros((520, 520), bool)
    inside[:195, :260] = True
    np.testing.assert_array_equal(found, np.where(inside, 1, IGNORED))
    assert (pixels[inside] == pixels[0, 0]).all() and (pixels[0, 0] != 9).any()
    assert not pixels[~inside].any()


def test_mirrored_classes_change_places():
    label = np.zeros((10, 10), np.uint8)
    label[:, 0], label[:, 1] = LIP.names.index("Left-arm"), IGNORED
    augmentation = ScaleCropFlip(crop_size=(10, 10), base_size=10, scale=(1, 1), flip=1)
    mirrored = draw_tile(augmentation, np.zeros((10, 10, 3), np.uint8), label, RNG, LIP)[1]
    assert (mirrored[:, 9] == LIP.names.index("Right-arm")).all()
    assert (mirrored[:, 8] == IGNORED).all() and (mirrored[:, :8] == 0).all()


def test_squashed_images_fill_the_square_whatever_their_aspect():
    augmentation = ScaleCropFlip(crop_size=(47, 47), base_size=47, scale=(1, 1), flip=0)
    pixels, found = draw_tile(augmentation, IMAGE, LABEL, RNG, view=WholeImage(squash=(47, 47)))
    reference = cv2.resize(IMAGE, (47, 47), interpolation=cv2.INTER_LINEAR)
    assert np.abs(pixels.astype(int) - reference).max() <= 2
    np.testing.assert_array_equal(found, cv2.resize(LABEL, (47, 47), interpolation=cv2.INTER_NEAREST))


def test_scales_come_in_tenths_with_both_ends():
    augmentation = ScaleCropFlip(crop_size=(400, 400), base_size=100, scale=(0.5, 2.1), flip=0)
    rng = np.random.default_rng(0)
    widths = {int((draw_tile(augmentation, IMAGE, LABEL, rng)[1][0] != IGNORED).sum()) for _ in range(300)}
    assert widths == {50 + 10 * step for step in range(17)}


def test_colors_change_by_saturation_contrast_and_brightness():
    colors = dict(brightness=0.1, contrast=0.3, saturation=0.5)
    augmentation = ScaleCropFlip(crop_size=(120, 90), base_size=120, scale=(1, 1), flip=0, **colors)
    pixels, found = draw_tile(augmentation, IMAGE, LABEL, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    rng.integers(1), rng.integers(1), rng.integers(1), rng.random()
    shift, contrast, saturation = rng.uniform(-1, 1, 3) * (25.5, 0.3, 0.5)
    grey = (IMAGE @ (0.299, 0.587, 0.114))[..., None]
    expected = (1 + contrast) * (grey + (1 + saturation) * (IMAGE - grey)) + shift
    assert np.abs(pixels - np.clip(expected, 0, 255)).max() <= 1
    np.testing.assert_array_equal(found, LABEL)


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
    pixels, frame = WholeImage(short_side=520, pad_to=8)(image)
    assert pixels.shape == (padded[1], padded[0], 3)
    assert frame == Resized(
        image_hw=size[::-1],
        input_hw=padded[::-1],
        mirror=False,
        scaled_hw=resized[::-1],
        window=(0, 0, *resized),
        content=resized[::-1],
    )
    assert (pixels[: resized[1], : resized[0]] == 7).all()
    assert (pixels[resized[1] :] == (124, 116, 104)).all()
    squeezed, frame = WholeImage(short_side=520, pad_to=8, crop_padding=False)(image)
    assert frame.content_hw == frame.input_hw == padded[::-1] and squeezed.shape == pixels.shape


def test_unless_something_is_asked_the_image_stays_whole():
    pixels, frame = WholeImage()(IMAGE)
    np.testing.assert_array_equal(pixels, IMAGE)
    assert frame.content_hw == frame.input_hw == frame.image_hw == (90, 120)
    assert WholeImage(squash=(30, 20))(IMAGE)[0].shape == (20, 30, 3)


def test_contradictory_arguments_are_refused():
    with pytest.raises(OptionError, match="give one of short_side, fit and squash"):
        WholeImage(short_side=520, squash=(473, 473))
    with pytest.raises(OptionError, match="smallest, largest"):
        ScaleCropFlip(crop_size=(10, 10), base_size=100, scale=(2, 0.5))


def test_earlier_transforms_are_answered_with_what_replaces_them():
    earlier = dict(type="ScaleCropFlip", crop_size=(473, 473), base_size=473, squash=(473, 473))
    assert replace_transform(earlier) == (
        "write model.view=dict(type='WholeImage', squash=(473, 473)) and train_dataloader.augmentation="
        "dict(type='ScaleCropFlip', crop_size=(473, 473), base_size=473)"
    )
    assert replace_transform(dict(type="WholeImage", short_side=520, multiple=8)) == (
        "write model.view=dict(type='WholeImage', short_side=520, pad_to=8)"
    )


def test_pixels_are_normalised_as_in_the_original():
    pixels = torch.tensor([[0, 0, 0], [124, 116, 104], [255, 255, 255]], dtype=torch.uint8)
    model = build_model(REPOSITORY / "configs/segmentation/hrnetv2_w18_small_v2_cityscapes.py")
    frames = Resized.stack([WholeImage()(np.zeros((1, 3, 3), np.uint8))[1]])
    batch = model.data_preprocessor({"images": pixels.T[None, :, None], "frames": frames})
    normalised = batch["images"][0, :, 0].T
    expected = [[-2.117904, -2.035714, -1.804444], [0.005566, -0.004902, 0.008192], [2.248908, 2.428571, 2.640000]]
    torch.testing.assert_close(normalised, torch.tensor(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("shape", "size"), [((40, 100), (26, 64)), ((100, 40), (64, 26)), ((40, 50), (32, 40))])
def test_an_image_fits_into_two_sides_as_in_mmsegmentation(shape, size):
    pixels, frame = WholeImage(fit=(32, 64))(np.zeros((*shape, 3), np.uint8))
    assert pixels.shape[:2] == size and tuple(frame.content_hw) == size

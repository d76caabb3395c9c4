"""The runtime's views give the pixels of hrtoolkit's, byte for byte, and the same way back."""

import numpy as np
import pytest

from hrtoolkit.errors import CheckpointError
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.runtime.views import make_view
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.tasks.classification.views import ResizeCenterCrop
from hrtoolkit.tasks.detection.conventions import CONVENTIONS
from hrtoolkit.tasks.detection.views import FitInside
from hrtoolkit.tasks.face.views import OfficialFaceCrop
from hrtoolkit.tasks.segmentation.views import WholeImage

CROPS = (
    TopDown(),
    TopDown(input_size=(64, 96), unbiased=True),
    TopDown(input_size=(96, 96), padding=1.5, contrast_stretch=True),
    OfficialFaceCrop(input_size=(64, 64)),
    OfficialFaceCrop(input_size=(128, 128), contrast_stretch=False),
)
WHOLE = (
    *(FitInside(size=(160, 120), convention=name) for name in CONVENTIONS),
    WholeImage(),
    WholeImage(short_side=100, pad_to=32),
    WholeImage(fit=(200, 90), pad_to=16, crop_padding=False),
    WholeImage(squash=(70, 110)),
    *(ResizeCenterCrop(input_size=(64, 64), interpolation=name) for name in ("bilinear", "bicubic", "nearest")),
    ResizeCenterCrop(input_size=(64, 96), crop=0.9, interpolation="lanczos"),
    ResizeCenterCrop(input_size=(65, 65), crop=1.0, interpolation="box"),
    ShortSide(size=128),
)


def runtime_view(view):
    return make_view({name: list(v) if isinstance(v, tuple) else v for name, v in view.portable().items()}, view.mean)


@pytest.mark.parametrize("view", CROPS, ids=lambda view: f"{type(view).__name__}-{view.input_size}")
def test_crops_are_those_of_training_and_testing(view, photos):
    mine, rng = runtime_view(view), np.random.default_rng(0)
    for image in photos:
        corners = np.sort(rng.uniform(-0.1, 1.1, (6, 2, 2)) * image.shape[1::-1], axis=1).reshape(6, 4)
        boxes, scores = np.concatenate([corners, [[0, 0, *image.shape[1::-1]]]]), rng.random(7).astype(np.float32)
        crops = view.crops(to_xywh(boxes), boxes, scores)
        for crop, box, score in zip(crops, boxes, scores.tolist(), strict=True):
            pixels, frame = view(image, crop)
            look = mine.look(image, box, score)
            np.testing.assert_array_equal(look.pixels, pixels)
            np.testing.assert_array_equal(look.matrix, frame.matrix)
            assert (look.image_hw, look.score, look.area) == (frame.image_hw, frame.score, frame.area)


@pytest.mark.parametrize("view", WHOLE, ids=lambda view: str(list(view.portable().values())))
def test_whole_images_are_seen_as_in_testing(view, photos):
    mine = runtime_view(view)
    for image in photos:
        pixels, frame = view(image)
        look = mine.look(image)
        assert look.pixels.dtype == pixels.dtype and look.pixels.shape == pixels.shape
        if pixels.dtype == np.uint8:
            np.testing.assert_array_equal(look.pixels, pixels)
        else:  # torchvision's do not round: the last bit of a float depends on the order of a sum
            np.testing.assert_allclose(look.pixels, pixels, rtol=0, atol=1e-4)
        assert (look.image_hw, look.content_hw) == (frame.image_hw, frame.content_hw)
        if isinstance(view, ShortSide):
            np.testing.assert_array_equal(look.matrix, frame.matrix)


def test_views_that_are_not_known_are_named():
    with pytest.raises(CheckpointError, match="the view 'Fisheye' is not one of TopDown"):
        make_view({"type": "Fisheye"}, (0, 0, 0))
    with pytest.raises(CheckpointError, match="TopDown has other options"):
        make_view({"type": "TopDown", "zoom": 2}, (0, 0, 0))

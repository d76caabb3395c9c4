"""Windows, scales and mirror images: numbers of the official code, and a slow version written with loops."""

import math

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit import build_model
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Resized, Warp
from hrtoolkit.model import Branch
from hrtoolkit.registry import INFERENCES
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.classes import LIP
from hrtoolkit.tasks.segmentation import postprocess
from hrtoolkit.tasks.segmentation.head import LabelHead, SegmentationHead
from hrtoolkit.tasks.segmentation.inference import MultiScale
from hrtoolkit.tasks.segmentation.postprocess import (
    ScaleScores,
    Window,
    WindowScores,
    best_labels,
    sum_scores,
    whole_image,
)

from .conftest import SCHEME, TINY


def make_frames(count, input_hw, content_hw=None, image_hw=None):
    """Frames of a batch of whole images."""
    content_hw = content_hw or input_hw
    window = (0, 0, *content_hw[::-1])
    return Resized.stack([Resized(image_hw or input_hw, input_hw, False, content_hw, window, content_hw)] * count)


class ScoresHead(LabelHead):
    """Keeps the summed scores of the last image, and predicts from given logits."""

    def __init__(self, scheme, align_corners, function):
        super().__init__((1,), scheme, align_corners)
        self.function = function

    def logits(self, maps):
        return self.function(maps[0])

    def read_labels(self, scores, frames):
        (scales,) = scores
        self.scores = sum_scores(scales, slice(None), frames[0].input_hw, self.align_corners)
        return super().read_labels(scores, frames)


class Network(torch.nn.Module):
    """A model whose network hands images on as they are."""

    def __init__(self, flip_test=False):
        super().__init__()
        self.flip_test = flip_test
        self.data_preprocessor = torch.nn.Module()
        self.data_preprocessor.mean, self.data_preprocessor.std = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)

    def extract(self, images, branch):
        return [images]


def run(head, images, flip_test=False, **options):
    frames = make_frames(1, tuple(images.shape[-2:]))
    (prediction,) = MultiScale(**options)(Network(flip_test), Branch(None, head), images, frames)
    return head.scores.numpy(), prediction.label_map


def test_mirrored_logits_are_averaged_and_exponentiated():
    images = torch.tensor([[[[0, 1, 2, 3], [1, 1, 0, 0]], [[1, 1, 1, 1], [0, 2, 0, 2]]]], dtype=torch.float32)
    slope = torch.stack([0.1 * torch.arange(4.0).expand(2, 4), torch.zeros(2, 4)])
    head = ScoresHead(ClassScheme(["a", "b"]), False, lambda x: x + slope)
    second = [[math.e] * 4, [1, 7.389056, 1, 7.389056]]
    plain = [[1, 3.004166, 9.025014, 27.112638], [2.718282, 3.004166, 1.221403, 1.349859]]
    np.testing.assert_allclose(run(head, images)[0], [plain, second], rtol=1e-6)
    mirrored = [[1.161834, 3.158193, 8.584859, 23.336067], [3.158193, 3.158193, 1.161834, 1.161834]]
    np.testing.assert_allclose(run(head, images, flip_test=True)[0], [mirrored, second], rtol=1e-6)


def test_mirrored_classes_exchange_their_logits():
    def logits(x):
        slope = 0.01 * torch.arange(20.0).view(1, 20, 1, 1).repeat(1, 1, 1, 4)
        slope[:, 14] += x[:, 0]
        return slope

    scores, _ = run(ScoresHead(LIP, False, logits), torch.tensor([[[[1.0, 0, 0, 0]]]]), flip_test=True)
    for partner in (14, 15):
        np.testing.assert_allclose(np.log(scores[partner, 0]), [0.645, 0.145, 0.145, 0.145], rtol=1e-5)
    np.testing.assert_allclose(np.log(scores[13, 0]), 0.13, rtol=1e-5)


def test_scales_add_up():
    images = torch.stack([torch.arange(4.0).expand(4, 4), torch.ones(4, 4)])[None]
    head = ScoresHead(ClassScheme(["a", "b"]), True, lambda x: x)
    scores, _ = run(head, images, scales=(0.5, 1.0), base_size=4, window=(4, 4), stride=(2, 2), edge="pad")
    np.testing.assert_allclose(scores[0], [[2.648721, 7.878261, 16.060293, 32.268032]] * 4, rtol=1e-6)
    np.testing.assert_allclose(scores[1], np.full((4, 4), 5.436563), rtol=1e-6)


CITYSCAPES = MultiScale(base_size=2048, window=(2048, 1024), whole_up_to=1.0)
BASE_480 = MultiScale(base_size=520, window=(480, 480), stride=(320, 320), edge="pad")
BASE_520 = MultiScale(base_size=520, window=(520, 520), stride=(346, 346), edge="pad")


@pytest.mark.parametrize(
    ("plan", "scale", "size_hw", "rows", "columns"),
    [
        (CITYSCAPES, 0.5, (512, 1024), ["0-512"], ["0-1024"]),
        (CITYSCAPES, 1.0, (1024, 2048), ["0-1024"], ["0-2048"]),
        (CITYSCAPES, 1.0, (1536, 2048), ["0-1536"], ["0-2048"]),  # 4:3, as in nobody's Cityscapes
        (CITYSCAPES, 1.25, (1280, 2560), ["0-1024", "256-1280"], ["0-2048", "512-2560"]),
        (CITYSCAPES, 1.5, (1536, 3072), ["0-1024", "512-1536"], ["0-2048", "1024-3072"]),
        (CITYSCAPES, 1.75, (1792, 3584), ["0-1024", "768-1792"], ["0-2048", "1536-3584"]),
        (BASE_480, 0.5, (195, 260), ["0-195"], ["0-260"]),
        (BASE_480, 1.0, (390, 520), ["0-390"], ["0-480", "320-520"]),
        (BASE_480, 1.25, (488, 650), ["0-480", "320-488"], ["0-480", "320-650"]),
        (BASE_480, 2.0, (780, 1040), ["0-480", "320-780"], ["0-480", "320-800", "640-1040"]),
        (BASE_520, 0.5, (194, 260), ["0-194"], ["0-260"]),
        (BASE_520, 1.0, (389, 520), ["0-389"], ["0-520"]),
        (BASE_520, 1.25, (486, 650), ["0-486"], ["0-520", "346-650"]),
        (BASE_520, 1.5, (583, 780), ["0-520", "346-583"], ["0-520", "346-780"]),
        (BASE_520, 1.75, (680, 910), ["0-520", "346-680"], ["0-520", "346-866", "692-910"]),
        (BASE_520, 2.0, (777, 1040), ["0-520", "346-777"], ["0-520", "346-866", "692-1040"]),
        (MultiScale(window=(473, 473), stride=(315, 315), edge="pad"), 1.0, (473, 473), ["0-473"], ["0-473"]),
    ],
)
def test_windows_lie_where_the_official_ones_do(plan, scale, size_hw, rows, columns):
    windows = plan.plan_windows(*size_hw, scale)
    found = [(f"{top}-{top + height}", f"{left}-{left + width}") for (top, left, height, width), _ in windows]
    assert found == [(row, column) for row in rows for column in columns]
    expected = plan.window[::-1] if plan.edge == "pad" else size_hw if scale <= 1 else (1024, 2048)
    assert {padded_hw for _, padded_hw in windows} == {expected}


def resize_with_loops(maps, height, width, align_corners):
    """Bilinear, pixel by pixel, [C, H, W]."""
    rows, columns = maps.shape[1:]

    def source(position, size, new_size):
        if align_corners:
            return position * (size - 1) / (new_size - 1) if new_size > 1 else 0.0
        return min(max((position + 0.5) * size / new_size - 0.5, 0), size - 1)

    out = np.zeros((len(maps), height, width))
    for y, x in np.ndindex(height, width):
        sy, sx = source(y, rows, height), source(x, columns, width)
        top, left = int(sy), int(sx)
        bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        fy, fx = sy - top, sx - left
        upper = (1 - fx) * maps[:, top, left] + fx * maps[:, top, right]
        lower = (1 - fx) * maps[:, bottom, left] + fx * maps[:, bottom, right]
        out[:, y, x] = (1 - fy) * upper + fy * lower
    return out


def scores_with_loops(model, image, scales, base, crop, stride, cityscapes, align_corners):
    """The official multi-scale evaluation with flipping, written down step by step; image [3, H, W].

    Base class, or that of Cityscapes: the whole image up to scale 1, then windows moved back inside.
    """

    def logits(view):
        with torch.no_grad():
            return model(torch.from_numpy(view.copy())[None].float())[0].double().numpy()

    black = (-model.data_preprocessor.mean / model.data_preprocessor.std).numpy().reshape(3)
    height, width = image.shape[1:]
    total = 0
    for scale in scales:
        long_side = int(base * scale + 0.5)
        size = (int(height * long_side / width + 0.5), long_side)  # the tests' images are wide
        scaled = cv2.resize(image.transpose(1, 2, 0), size[::-1], interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
        preds, count = np.zeros((3, *size)), np.zeros(size)
        crop_h, crop_w = size if cityscapes and scale <= 1 else (crop, crop)
        for row in range(max(math.ceil((size[0] - crop_h) / stride), 0) + 1):
            for column in range(max(math.ceil((size[1] - crop_w) / stride), 0) + 1):
                y0, x0 = row * stride, column * stride
                y1, x1 = min(y0 + crop_h, size[0]), min(x0 + crop_w, size[1])
                if cityscapes:
                    y0, x0 = max(y1 - crop_h, 0), max(x1 - crop_w, 0)
                view = scaled[:, y0:y1, x0:x1]
                if not cityscapes:
                    padded = np.repeat(black, crop * crop).reshape(3, crop, crop).astype(np.float32)
                    padded[:, : y1 - y0, : x1 - x0] = view
                    view = padded
                seen = view.shape[1:]
                straight = resize_with_loops(logits(view), *seen, align_corners)
                mirrored = resize_with_loops(logits(view[:, :, ::-1]), *seen, align_corners)[:, :, ::-1]
                mirrored = mirrored[[0, 2, 1]]  # left and right change places
                average = np.exp((straight + mirrored) / 2)
                preds[:, y0:y1, x0:x1] += average[:, : y1 - y0, : x1 - x0]
                count[y0:y1, x0:x1] += 1
        total = total + resize_with_loops(preds / count, height, width, align_corners)
    return total


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("cityscapes", [True, False])
def test_windows_scales_and_mirroring_equal_the_loops(cityscapes, align_corners):
    torch.manual_seed(0)
    backbone = {**TINY, "align_corners": align_corners}
    head = dict(type="SegmentationHead", scheme=SCHEME, align_corners=align_corners)
    plan = dict(edge="shift", whole_up_to=1.0) if cityscapes else dict(edge="pad", stride=(32, 32))
    inference = dict(type="MultiScale", scales=[0.7, 1.0, 1.5], base_size=60, window=(48, 48), **plan)
    model = build_model(dict_config(backbone=backbone, head=head, inference=inference, flip_test=True)).eval()
    randomise(model)
    image = np.random.default_rng(1).normal(size=(3, 44, 60)).astype(np.float32)
    expected = scores_with_loops(
        model, image, [0.7, 1.0, 1.5], 60, 48, 48 if cityscapes else 32, cityscapes, align_corners
    )
    found = {}
    original = model.head.read_labels
    model.head.read_labels = lambda scores, frames: found.update(scales=scores[0]) or original(scores, frames)
    frames = make_frames(1, (44, 60), (40, 60), (30, 41))
    with torch.no_grad():
        (prediction,) = model(torch.from_numpy(image)[None], frames=frames, mode="predict")
    scores = sum_scores(found["scales"], slice(None), (44, 60), align_corners)
    np.testing.assert_allclose(scores.log(), np.log(expected), atol=2e-4)  # logits reach 20, in single precision
    # Without its padding, at the size of the original image.
    final = resize_with_loops(expected[:, :40], 30, 41, align_corners)
    clear = np.diff(np.sort(final, axis=0)[-2:], axis=0)[0] > 1e-4 * final.max(0)
    assert clear.mean() > 0.99 and len(np.unique(final.argmax(0))) > 1
    np.testing.assert_array_equal(prediction.label_map[clear], final.argmax(0)[clear])


def randomise(model):
    """Weights with which classes differ from place to place."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)


def dict_config(**model):
    from mmengine import Config

    return Config(dict(custom_imports=dict(imports=["hrtoolkit.tasks.segmentation"]), model=model))


def test_one_window_of_one_scale_is_the_plain_prediction():
    torch.manual_seed(0)
    head = dict(type="SegmentationHead", scheme=SCHEME)
    model = build_model(dict_config(backbone=TINY, head=head, flip_test=True)).eval()
    randomise(model)
    images = torch.randn(2, 3, 37, 50)
    frames = make_frames(2, (37, 50), (34, 48), (20, 31))
    with torch.no_grad():
        plain = model(images, frames=frames, mode="predict")
        model.branch().inference = MultiScale()
        windowed = model(images, frames=frames, mode="predict")
    assert plain[0].label_map.shape == (20, 31) and plain[0].label_map.dtype == np.uint8
    for a, b in zip(plain, windowed, strict=True):
        np.testing.assert_array_equal(a.label_map, b.label_map)


def test_classes_are_compared_a_few_at_a_time_with_the_same_result(monkeypatch):
    logits = torch.randn(7, 5, 6, generator=torch.Generator().manual_seed(0))
    scales = whole_image(logits, (20, 24), (20, 24))
    arguments = (scales, (20, 24), (20, 24), (33, 40), False)
    expected = sum_scores(scales, slice(None), (20, 24), False)
    expected = torch.nn.functional.interpolate(expected[None], (33, 40), mode="bilinear")[0].argmax(0)
    for values in (1, 3 * 33 * 40, 2**23):
        monkeypatch.setattr(postprocess, "CHUNK_VALUES", values)
        assert torch.equal(best_labels(*arguments).long(), expected)


@pytest.mark.parametrize(
    "options",
    [
        *(dict(scales=[]), dict(scales=[0]), dict(window=(0, 5)), dict(base_size=-1)),
        *(dict(stride=(4, 4)), dict(window=(8, 8), stride=(8, 9))),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options):
    with pytest.raises(OptionError, match=r"must be above 0|at most the window"):
        INFERENCES.get("MultiScale")(**options)
    with pytest.raises(OptionError, match="'pad' or 'shift', got 'wrap'"):
        MultiScale(edge="wrap")


def test_windows_average_logits_where_asked():
    left, right = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[4.0, 0.0]]])
    windows = [WindowScores(left, Window(0, 0, 1, 2), (1, 2)), WindowScores(right, Window(0, 1, 1, 2), (1, 2))]
    logits = sum_scores([ScaleScores((1, 3), windows, exponential=False)], slice(0, 1), (1, 3), False)
    assert logits.flatten().tolist() == [1.0, 3.0, 0.0]
    exponential = sum_scores([ScaleScores((1, 3), windows)], slice(0, 1), (1, 3), False)
    assert exponential[0, 0, 1] == (left[0, 0, 1].exp() + right[0, 0, 0].exp()) / 2
    assert not MultiScale(scores="logits").exponential


def test_what_runs_once_can_be_exported():
    assert MultiScale().runs_once
    for options in (dict(scales=(1.0, 2.0)), dict(base_size=64), dict(window=(32, 32)), dict(scores="logits")):
        assert not MultiScale(**options).runs_once


def test_what_a_matrix_shows_is_led_back_through_it():
    """Labels of rectangles, seen smaller and shifted, come back where they were."""
    truth = np.zeros((60, 90), np.uint8)
    truth[12:44, 20:50], truth[30:55, 60:85] = 1, 2
    matrix = np.array([[0.5, 0, 3.0], [0, 0.5, 5.0]])
    seen = Warp((60, 90), (48, 64), False, matrix).labels_to_input(truth, [0, 1, 2])
    seen[seen == 255] = 0
    logits = torch.nn.functional.one_hot(torch.from_numpy(seen).long(), 3).permute(2, 0, 1).float()
    head = SegmentationHead([4], [1], scheme=["back", "one", "two"])
    padded = torch.nn.functional.pad(logits, (0, 16, 0, 4), value=5.0)  # as a batch pads it
    frames = Warp.stack([Warp((60, 90), (48, 64), False, matrix)])
    found = head._read_whole(padded[None], frames)[0].label_map
    agreement = (found == truth).mean()
    assert agreement > 0.96
    moved = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    assert all((np.roll(found, by, (0, 1)) == truth).mean() < agreement for by in moved)


def test_labels_of_several_sizes_are_padded_with_what_does_not_count():
    head = SegmentationHead([4], [4], scheme=["back", "one"])
    targets = [{"label": torch.zeros(8, 12, dtype=torch.uint8)}, {"label": torch.ones(16, 8, dtype=torch.uint8)}]
    labels = head.labels([torch.zeros(2, 4, 4, 3)], targets)
    assert labels.shape == (2, 16, 12) and (labels[0, 8:] == 255).all() and (labels[1, :, 8:] == 255).all()
    losses = head.loss([torch.zeros(2, 4, 4, 3)], targets, None)
    assert losses["count_seg"] == 8 * 12 + 16 * 8 and losses["loss_seg"].item() == pytest.approx(np.log(2), rel=0.05)

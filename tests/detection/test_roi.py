"""RoIAlign, levels and the stages against slow or published numbers."""

import math

import pytest
import torch
from torchvision.models.detection import _utils
from torchvision.ops import roi_align

from hrtoolkit.tasks.detection.conventions import CONVENTIONS
from hrtoolkit.tasks.detection.roi import PyramidRoIAlign, RoIStage, join_images

from .conftest import make_target

STRIDES = (4, 8, 16, 32)
RAMP = torch.arange(64.0).view(1, 1, 8, 8)


@pytest.mark.parametrize(
    ("convention", "box", "squared", "expected"),
    [
        ("mmdet", (4, 8, 20, 24), False, (21.5, 23.5, 37.5, 39.5)),
        ("torchvision", (4, 8, 20, 24), False, (26, 28, 42, 44)),
        ("authors", (4, 8, 21, 25), False, (26.5625, 28.6875, 43.5625, 45.6875)),  # ends a pixel later
        ("mmdet", (0, 0, 31, 23), True, (123.7409, 208.4913, 1070.3297, 1332.7205)),
        ("torchvision", (0, 0, 31, 23), True, (225.3125, 344.5625, 1370.4375, 1667.9375)),
        ("mmdet", (2, 2, 4, 4), False, (1.125, 1.375, 3.125, 3.375)),
        ("torchvision", (2, 2, 4, 4), False, (6.75, 7.25, 10.75, 11.25)),
    ],
)
def test_roi_align_of_the_published_codes(convention, box, squared, expected):
    pool = PyramidRoIAlign(2, STRIDES[:1], CONVENTIONS[convention])
    pooled = pool([RAMP**2 if squared else RAMP], *join_images([torch.tensor([box], dtype=torch.float32)]))
    torch.testing.assert_close(pooled.flatten(), torch.tensor(expected, dtype=torch.float32), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("aligned", "samples", "expected"),
    [(True, 2, (126.8125, 211.0625, 1064.9375, 1327.4375)), (False, 0, (236.8455, 353.4470, 1381.9703, 1673.7672))],
)
def test_roi_align_of_other_samplings(aligned, samples, expected):
    pooled = roi_align(RAMP**2, torch.tensor([[0.0, 0, 0, 31, 23]]), (2, 2), 0.25, samples, aligned)
    torch.testing.assert_close(pooled.flatten(), torch.tensor(expected, dtype=torch.float32), atol=1e-3, rtol=0)


def test_levels_of_boxes():
    pool = PyramidRoIAlign(7, STRIDES, CONVENTIONS["mmdet"])
    sides = [(111, 111), (112, 112), (111.5, 112.5), (224, 224), (300, 150), (448, 448), (447, 447), (8, 8)]
    boxes = torch.tensor([(0.0, 0, w, h) for w, h in sides])
    assert pool.map_levels([boxes]).tolist() == [0, 1, 0, 2, 1, 3, 2, 0]
    assert pool.map_levels([boxes + torch.tensor([0.0, 0, 1, 1])]).tolist() == [1, 1, 1, 2, 1, 3, 3, 0]  # authors'


def test_rois_come_from_their_image_and_level_whatever_the_first_image_was():
    pool = PyramidRoIAlign(7, STRIDES, CONVENTIONS["mmdet"])
    small = [torch.zeros(1, 2, -(-64 // s), -(-64 // s)) for s in STRIDES]
    pool(small, *join_images([torch.tensor([[0.0, 0, 20, 20]])]))  # torchvision would remember its size
    maps = [torch.randn(2, 2, 512 // s, 512 // s, generator=torch.Generator().manual_seed(s)) for s in STRIDES]
    boxes = [torch.tensor([(3.0, 4, 40, 50), (10, 10, 300, 310)]), torch.tensor([(0.0, 0, 512, 500), (8, 8, 150, 130)])]
    pooled = pool(maps, *join_images(boxes))
    expected = []
    for image, of_image in enumerate(boxes):
        for box in of_image:
            side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
            level = min(max(math.floor(math.log2(side / 56)), 0), 3)
            roi = torch.cat([torch.tensor([float(image)]), box])[None]
            expected.append(roi_align(maps[level], roi, (7, 7), 1 / STRIDES[level], 0, True)[0])
    torch.testing.assert_close(pooled, torch.stack(expected))


def make_stage(**options):
    torch.manual_seed(0)
    stage = RoIStage(channels=8, strides=STRIDES, num_classes=3, convention=CONVENTIONS["mmdet"], **options).train()
    stage.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(10**6, 0.5)  # takes all of them
    return stage


def test_a_cascade_stage_hands_on_refined_boxes_without_the_annotated_ones():
    stage = make_stage(class_agnostic=True)
    torch.nn.init.normal_(stage.box_predictor.bbox_pred.weight, std=0.1)
    maps = [torch.randn(1, 8, 128 // s, 128 // s) for s in STRIDES]
    target = make_target([(10, 10, 60, 60), (50, 40, 120, 100)], [1, 2], (128, 128))
    proposals = torch.tensor([(12.0, 8, 58, 66), (0, 0, 30, 30), (55, 45, 110, 105)])
    _, (refined,) = stage.loss(maps, [proposals], [(128, 128)], [target])
    with torch.no_grad():
        _, codes = stage.boxes(maps, *join_images([proposals]))
    expected = stage.box_coder.decode_single(codes, proposals).clamp(0, 128)
    torch.testing.assert_close(refined, expected)


def test_losses_of_every_proposal_equal_a_plain_computation():
    stage = make_stage()
    maps = [torch.randn(1, 8, 128 // s, 128 // s) for s in STRIDES]
    target = make_target([(10, 10, 60, 60), (50, 40, 120, 100)], [1, 3], (128, 128))
    proposals = torch.tensor([(12.0, 8, 58, 66), (0, 0, 30, 30)])  # an object, and background
    losses, _ = stage.loss(maps, [proposals], [(128, 128)], [target])
    boxes = torch.cat([proposals, target["boxes"]])
    logits, codes = stage.boxes(maps, *join_images([boxes]))
    labels = torch.tensor([1, 0, 1, 3])
    expected = -logits.log_softmax(1)[torch.arange(4), labels].mean()
    torch.testing.assert_close(losses["loss_classifier"], expected)
    true_codes = stage.box_coder.encode_single(target["boxes"][[0, 0, 1]], boxes[[0, 2, 3]])
    ours = torch.stack([codes[row].view(4, 4)[label] for row, label in ((0, 1), (2, 1), (3, 3))])
    torch.testing.assert_close(losses["loss_box_reg"], (ours - true_codes).abs().sum() / 4)

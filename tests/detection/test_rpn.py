"""Anchors, box codes and matches against the numbers of mmdetection, torchvision and the authors' codes."""

import pytest
import torch
from torchvision.models.detection import _utils
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image, nms

from hrtoolkit.tasks.detection.conventions import CASCADE_CONVENTIONS, CONVENTIONS
from hrtoolkit.tasks.detection.rpn import BoxCoder, Matcher, ProposalNetwork, PyramidAnchors, base_anchors

from .conftest import make_target

STRIDES = (4, 8, 16, 32, 64)
PYRAMID_800 = [(200, 336), (100, 168), (50, 84), (25, 42), (12, 21)]  # of an input of 800 x 1344


def maps_of(sizes):
    return [torch.empty(1, 8, *size, device="meta") for size in sizes]


def anchors_of(convention, sizes):
    anchors = PyramidAnchors(STRIDES, CONVENTIONS[convention])
    return anchors([torch.zeros(1, 1, *size) for size in sizes])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "exact",
            [
                (-22.627417, -11.313708, 22.627417, 11.313708),
                (-16, -16, 16, 16),
                (-11.313708, -22.627417, 11.313708, 22.627417),
            ],
        ),
        ("rounded", [(-23, -11, 23, 11), (-16, -16, 16, 16), (-11, -23, 11, 23)]),
        ("authors", [(-21, -9, 24, 12), (-14, -14, 17, 17), (-9, -21, 12, 24)]),
        ("detectron", [(-22, -10, 25, 13), (-14, -14, 17, 17), (-10, -22, 13, 25)]),
    ],
)  # fmt: skip
def test_base_anchors_of_the_published_codes(kind, expected):
    expected = torch.tensor(expected, dtype=torch.float32)
    if kind in ("authors", "detectron"):  # their last pixel is inside
        expected[:, 2:] += 1
    torch.testing.assert_close(base_anchors(4, kind), expected, atol=1e-5, rtol=0)


def test_anchors_go_row_by_row_with_three_in_each_cell():
    finest = anchors_of("mmdet", [(2, 2)] * 5)[0].view(2, 2, 3, 4)
    torch.testing.assert_close(finest[0, 1, 1], torch.tensor([-12.0, -16.0, 20.0, 16.0]))
    torch.testing.assert_close(finest[1, 0, 1], torch.tensor([-16.0, -12.0, 16.0, 20.0]))


@pytest.mark.parametrize(
    ("convention", "last"),
    [
        ("mmdet", (1098.980713, 341.961334, 1461.019287, 1066.038696)),
        ("torchvision", (1099.0, 364.0, 1461.0, 1088.0)),
    ],
)
def test_the_coarsest_anchors_keep_their_stride_or_stretch_as_torchvisions(convention, last):
    coarsest = anchors_of(convention, PYRAMID_800)[-1]
    assert coarsest.shape == (12 * 21 * 3, 4)
    torch.testing.assert_close(coarsest[-1], torch.tensor(last), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("finest", "coarsest", "strides"),
    [((200, 336), (12, 21), (66, 64)), ((152, 336), (9, 21), (67, 64)), ((72, 104), (4, 6), (72, 69))],
)
def test_strides_that_torchvision_infers(finest, coarsest, strides):
    grid = anchors_of("torchvision", [finest, finest, finest, finest, coarsest])[-1].view(*coarsest, 3, 4)
    assert tuple((grid[1, 1, 0] - grid[0, 0, 0])[:2].tolist()) == strides[::-1]


def test_the_number_of_anchors_at_800_x_1344():
    assert sum(h * w * 3 for h, w in PYRAMID_800) == 268_506
    assert sum(map(len, anchors_of("mmdet", PYRAMID_800))) == 268_506


PROPOSALS = torch.tensor([(10.0, 20, 50, 100), (0, 0, 32, 32), (100, 40, 140, 60)])
TRUTHS = torch.tensor([(12.0, 24, 60, 90), (4, -2, 40, 30), (90, 30, 170, 75)])
LAST_PIXEL = torch.tensor([0.0, 0, 1, 1])


def test_codes_of_boxes():
    expected = [(0.15, -0.0375, 0.182322, -0.192372), (0.1875, -0.0625, 0.117783, 0), (0.25, 0.125, 0.693147, 0.810930)]
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0), clamp_shrinking=True)
    torch.testing.assert_close(coder.encode_single(TRUTHS, PROPOSALS), torch.tensor(expected), atol=1e-6, rtol=0)
    scaled = BoxCoder((10.0, 10.0, 5.0, 5.0), clamp_shrinking=True).encode_single(TRUTHS, PROPOSALS)
    torch.testing.assert_close(scaled[0], torch.tensor([1.5, -0.375, 0.911608, -0.961860]), atol=1e-5, rtol=0)


def test_codes_of_the_authors_are_those_of_boxes_that_end_a_pixel_later():
    expected = [
        (0.146341, -0.037037, 0.178248, -0.189757),
        (0.181818, -0.060606, 0.114410, 0),
        (0.243902, 0.119048, 0.680877, 0.784119),
    ]
    coder = BoxCoder((1.0, 1.0, 1.0, 1.0), clamp_shrinking=True)
    codes = coder.encode_single(TRUTHS + LAST_PIXEL, PROPOSALS + LAST_PIXEL)
    torch.testing.assert_close(codes, torch.tensor(expected), atol=1e-6, rtol=0)
    decoded = coder.decode_single(
        torch.tensor([(0.1, -0.2, 0.3, -0.4), (0, 0, 0, 0), (1, 1, 0, 0)]), PROPOSALS + LAST_PIXEL
    )
    expected = torch.tensor([(6.927891, 17.152039, 61.272106, 70.447960), (141, 61, 181, 81)])
    torch.testing.assert_close(decoded[[0, 2]] - LAST_PIXEL, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("clamp_shrinking", "second"),
    [(True, (-968, 31.743999, 1032, 32.256001)), (False, (-968, 31.998026, 1032, 32.001976))],
)
def test_decoded_boxes(clamp_shrinking, second):
    codes = torch.tensor([(0.1, -0.2, 0.3, -0.4), (0.5, 0.5, 9, -9), (1, 1, 0, 0)])
    decoded = BoxCoder((1.0, 1.0, 1.0, 1.0), clamp_shrinking).decode_single(codes, PROPOSALS)
    expected = [(7.002823, 17.187199, 60.997177, 70.812805), second, (140, 60, 180, 80)]
    torch.testing.assert_close(decoded, torch.tensor(expected), atol=1e-3, rtol=0)
    # Cut at the edges of 200 x 300; where the last pixel is counted in, 300 is their 299.
    assert clip_boxes_to_image(decoded, (200, 300))[1, [0, 2]].tolist() == [0, 300]


def test_limits_hold_for_each_class_and_for_scaled_codes():
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0), clamp_shrinking=True)
    codes = torch.tensor([[0.0, 0, -100, -100, 0, 0, 100, 0]])
    first, second = coder.decode_single(codes, torch.tensor([[0.0, 0, 32, 32]])).view(2, 4)
    assert (first[2:] - first[:2]).tolist() == pytest.approx([32 * 16 / 1000] * 2, rel=1e-4)
    assert (second[2:] - second[:2]).tolist() == pytest.approx([2000.0, 32.0], rel=1e-4)


def test_overlaps_and_suppression():
    boxes = torch.tensor([(0.0, 0, 10, 10), (5, 5, 15, 15), (10, 0, 20, 10)])
    torch.testing.assert_close(box_iou(boxes[:1], boxes[1:]), torch.tensor([[0.142857, 0.0]]), atol=1e-6, rtol=0)
    ends_later = boxes + LAST_PIXEL
    torch.testing.assert_close(
        box_iou(ends_later[:1], ends_later[1:]), torch.tensor([[0.174757, 0.047619]]), atol=1e-6, rtol=0
    )
    boxes = torch.tensor(
        [(0.0, 0, 10, 10), (1, 1, 11, 11), (0, 0, 10, 5), (20, 20, 30, 30), (0, 0, 10, 10), (21, 20, 31, 30)]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    for threshold, kept in ((0.45, [0, 3]), (0.5, [0, 2, 3]), (0.7, [0, 1, 2, 3]), (0.82, [0, 1, 2, 3, 5])):
        assert nms(boxes, scores, threshold).tolist() == kept
    assert batched_nms(boxes, scores, torch.tensor([0, 1, 0, 0, 1, 1]), 0.5).tolist() == [0, 1, 2, 3, 5]


OVERLAPS = torch.tensor([(0.8, 0.75, 0.2, 0.1, 0.28), (0.75, 0.72, 0.1, 0.35, 0), (0, 0, 0.25, 0, 0.2)])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # mmdetection's numbers less one: it counts objects from 1, 0 is background there and -1 in between.
        (dict(positive=0.7, negative=0.3, best=True, best_iou=0.3, own=True), [1, 0, -1, -2, -1]),
        (dict(positive=0.7, negative=0.3, best=True, best_iou=0.0, own=False), [0, 0, 2, -2, -1]),
        (dict(positive=0.5, negative=0.5, best=False, best_iou=0.5, own=True), [0, 0, -1, -1, -1]),
        (dict(positive=0.5, negative=0.5, best=True, best_iou=0.5, own=True), [1, 0, -1, -1, -1]),
    ],
    ids=["mmdet rpn", "torchvision rpn", "mmdet and torchvision roi", "authors roi"],
)
def test_matches(arguments, expected):
    assert Matcher(**arguments)(OVERLAPS.clone()).tolist() == expected


def test_matches_equal_a_loop_over_objects():
    overlaps = torch.rand(6, 40, generator=torch.Generator().manual_seed(0)).mul(10).round() / 10  # with many ties
    best_values, best_objects = overlaps.max(dim=0)
    expected = [
        int(obj) if value >= 0.7 else -1 if value < 0.3 else -2
        for value, obj in zip(best_values, best_objects, strict=True)
    ]
    for obj in range(6):
        for box in range(40):
            if overlaps[obj, box] == overlaps[obj].max() and overlaps[obj, box] >= torch.tensor(0.3):
                expected[box] = obj
    assert Matcher(positive=0.7, negative=0.3, best=True, best_iou=0.3, own=True)(overlaps.clone()).tolist() == expected


def test_anchors_of_cells_in_the_padding_are_not_trained():
    rpn = ProposalNetwork(8, STRIDES, CONVENTIONS["mmdet"])
    anchors = torch.cat(rpn.anchor_generator([torch.zeros(1, 1, 96 // s, 128 // s) for s in STRIDES]))
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    used = rpn.usable(anchors, (60, 90))  # itself padded to 64 x 96
    assert (centers[used] < torch.tensor([96.0, 64.0])).all()
    assert len(used) == sum(-(-64 // s) * -(-96 // s) * 3 for s in STRIDES[:4]) + 1 * 2 * 3
    assert len(rpn.usable(anchors, (96, 128))) == len(anchors)


def test_inner_anchors_lie_inside_the_image():
    rpn = ProposalNetwork(8, STRIDES, CASCADE_CONVENTIONS["mmdet"])
    anchors = torch.cat(rpn.anchor_generator([torch.zeros(1, 1, 96 // s, 128 // s) for s in STRIDES]))
    inside = [i for i, (x1, y1, x2, y2) in enumerate(anchors.tolist()) if x1 >= 0 and y1 >= 0 and x2 < 120 and y2 < 96]
    assert rpn.usable(anchors, (96, 120)).tolist() == inside and inside


def test_losses_of_every_anchor_equal_a_plain_computation():
    torch.manual_seed(0)
    rpn = ProposalNetwork(8, STRIDES, CONVENTIONS["mmdet"]).train()
    rpn.fg_bg_sampler = _utils.BalancedPositiveNegativeSampler(10**6, 0.5)  # takes all of them
    maps = [torch.randn(2, 8, 64 // s, 64 // s) for s in STRIDES]
    targets = [
        make_target([(4, 6, 40, 50), (30, 10, 60, 30)], [0, 1], (64, 64)),
        make_target([(10, 10, 26, 30)], [0], (64, 64)),
    ]
    _, losses = rpn(maps, [(64, 64)] * 2, targets)

    anchors = torch.cat(rpn.anchor_generator(maps))
    logits, deltas = rpn.head(maps)
    logits = torch.cat([x.permute(0, 2, 3, 1).reshape(2, -1) for x in logits], 1)
    deltas = torch.cat([x.view(2, 3, 4, *x.shape[-2:]).permute(0, 3, 4, 1, 2).reshape(2, -1, 4) for x in deltas], 1)
    classification = regression = count = 0
    for i, target in enumerate(targets):
        states = rpn.proposal_matcher(box_iou(target["boxes"], anchors))
        used = states != -2
        positive = states >= 0
        p = logits[i].sigmoid()
        classification -= (positive * p.log() + ~positive * (1 - p).log())[used].sum()
        codes = rpn.box_coder.encode_single(target["boxes"][states[positive]], anchors[positive])
        regression += (deltas[i][positive] - codes).abs().sum()
        count += used.sum()
    torch.testing.assert_close(losses["loss_objectness"], classification / count)
    torch.testing.assert_close(losses["loss_rpn_box_reg"], regression / count)


def test_proposals_equal_decoding_everything_first():
    torch.manual_seed(1)
    rpn = ProposalNetwork(8, STRIDES, CONVENTIONS["mmdet"]).eval()
    torch.nn.init.normal_(rpn.head.cls_logits.weight, std=1.0)
    maps = [torch.randn(2, 8, 96 // s, 128 // s) for s in STRIDES]
    with torch.no_grad():
        ours, losses = rpn(maps, [(96, 128), (80, 100)])
        anchors = torch.cat(rpn.anchor_generator(maps))
        logits, deltas = rpn.head(maps)
        counts = [x[0].numel() for x in logits]
        logits = torch.cat([x.permute(0, 2, 3, 1).reshape(2, -1) for x in logits], 1)
        deltas = torch.cat([x.view(2, 3, 4, *x.shape[-2:]).permute(0, 3, 4, 1, 2).reshape(2, -1, 4) for x in deltas], 1)
        everything = rpn.box_coder.decode_single(deltas.flatten(0, 1), anchors.repeat(2, 1)).view(2, -1, 4)
        theirs, _ = rpn.filter_proposals(everything, logits, [(96, 128), (80, 100)], counts)
    assert not losses
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) > 100
        torch.testing.assert_close(a, b)

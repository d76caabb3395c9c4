"""Detection as one graph: the same numbers as `predict`."""

import numpy as np
import pytest
import torch
from torchvision.ops import nms

from hrtoolkit.data.loading import Collate
from hrtoolkit.samples import Input
from hrtoolkit.suppression import suppress
from hrtoolkit.tasks.detection.views import FitInside

from .conftest import make_frames, tiny_model

FOUND = 5

KINDS = {
    "faster": dict(),
    "cascade mask": dict(type="CascadeRCNNHead", masks=True),
    "torchvision": dict(convention="torchvision", masks=True),
    "authors": dict(convention="authors", masks=True),
    "maskrcnn-benchmark": dict(convention="maskrcnn-benchmark"),
    "authors cascade": dict(type="CascadeRCNNHead", convention="authors"),
}
SIZES = [(96, 128), (70, 90)]
BATCHES = [SIZES, [(64, 64)], [(40, 60), (60, 30), (200, 250)]]


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def lively_model(head):
    """A detector with random weights that finds objects, few of them to save time."""
    model = tiny_model(head).eval()
    model.head.rpn._pre_nms_top_n["testing"], model.head.rpn._post_nms_top_n["testing"] = 60, 50
    rpn, stages = model.head.rpn.head, model.head.stages
    spreads = {rpn.cls_logits: 2.0, rpn.bbox_pred: 0.3}
    for stage in stages:
        stage.detections_per_img = FOUND
        spreads |= {stage.box_predictor.cls_score: 2.0, stage.box_predictor.bbox_pred: 1.0}
        spreads |= {stage.mask_predictor.mask_fcn_logits: 2.0} if stage.has_mask() else {}

    def spread(layer, inputs, output):
        factor = spreads[layer] / output.std()
        layer.weight.data *= factor
        return output * factor

    for layer in spreads:
        torch.nn.init.zeros_(layer.bias)
    hooks = [layer.register_forward_hook(spread) for layer in spreads]
    run(model, SIZES)
    for hook in hooks:
        hook.remove()
    for stage in stages:
        stage.box_predictor.cls_score.bias[0] = -1e3  # everything is an object
    return model


def make_maps(model, sizes):
    """What the head reads, and frames of images twice as large as the inputs."""
    rng = np.random.default_rng(0)
    last_pixel = model.head.rules.last_pixel
    frames = [make_frames([size], (2 * size[0], 2 * size[1]), last_pixel)[0] for size in sizes]
    pixels = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    inputs = [Input(i, one, frame) for i, (one, frame) in enumerate(zip(pixels, frames, strict=True))]
    batch = model.data_preprocessor(Collate(FitInside.multiple, FitInside.smallest)(inputs))
    return model.extract(batch["images"]), batch["frames"]


def run(model, sizes):
    maps, frames = make_maps(model, sizes)
    return model.head.predict(maps, frames)


def decode(model, maps, frames):
    return model.head.decode(maps, None, torch.from_numpy(np.asarray(frames.input_hw, np.int64)))


def read(model, outputs, frames):
    return model.head.read({name: np.asarray(values) for name, values in outputs.items()}, frames)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_and_reading_give_what_predict_gives(kind):
    model = lively_model(KINDS[kind])
    for sizes in BATCHES:
        maps, frames = make_maps(model, sizes)
        expected, outputs = model.head.predict(maps, frames), decode(model, maps, frames)
        assert outputs["boxes"].shape == (len(sizes), FOUND, 4)
        for want, got in zip(expected, read(model, outputs, frames), strict=True):
            assert len(want.labels) > 1 and want.scores[-1] < want.scores[0]
            for name in ("boxes_xyxy", "labels", "scores", "masks"):
                np.testing.assert_equal(getattr(got, name), getattr(want, name))
                assert getattr(got, name) is None or type(getattr(got, name)) is type(getattr(want, name))
            assert got.boxes_xyxy.dtype == want.boxes_xyxy.dtype and got.scores.dtype == want.scores.dtype


@pytest.mark.parametrize("nothing", ["no object", "no proposal", "nan in a head", "nan in the proposals", "infinite"])
def test_where_nothing_is(nothing):
    model = lively_model(KINDS["cascade mask"])
    if nothing == "no object":
        torch.nn.init.constant_(model.head.stages[0].box_predictor.cls_score.bias[:1], 1e4)
    elif nothing == "no proposal":
        model.head.rpn.min_size = 1e9
    elif nothing == "infinite":
        model.head.rpn.head.bbox_pred.bias.data[:] = torch.inf
    else:
        layer = model.head.stages[1].box_predictor.bbox_pred if "head" in nothing else model.head.rpn.head.cls_logits
        layer.bias.data[:] = torch.nan
    maps, frames = make_maps(model, SIZES)
    outputs = decode(model, maps, frames)
    assert (outputs["labels"] == -1).all()
    for name in ("boxes", "scores", "masks"):
        assert (outputs[name] == 0).all()
    for one, want in zip(read(model, outputs, frames), model.head.predict(maps, frames), strict=True):
        assert len(one.labels) == len(want.labels) == 0 and one.masks == want.masks


def test_what_a_runtime_has_to_know():
    told = {
        kind: tiny_model(KINDS[kind]).head.reading() for kind in ("faster", "cascade mask", "torchvision", "authors")
    }
    masks = {kind: one["masks"] for kind, one in told.items()}
    assert masks == {"faster": None, "cascade mask": "exact", "torchvision": "soft", "authors": "whole"}
    assert [one["last_pixel"] for one in told.values()] == [False, False, False, True]
    assert {one["kind"] for one in told.values()} == {"objects"}


def some_groups(seed=0):
    """Boxes of 6 groups that overlap, with scores of which many are equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 40, (6, 50, 2), generator=generator).float()
    boxes = torch.cat([corners, corners + torch.randint(10, 30, (6, 50, 2), generator=generator)], dim=2)
    return boxes, torch.randint(0, 20, (6, 50), generator=generator) / 20


def expected_groups(boxes, scores):
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for group, (some, values) in enumerate(zip(boxes, scores, strict=True)):
        places = torch.where(values > 0.25)[0]
        kept[group, places[nms(some[places], values[places], 0.5)]] = True
    return kept


def test_groups_are_suppressed_apart():
    boxes, scores = some_groups()
    expected = expected_groups(boxes, scores)
    assert 20 < expected.sum() < 200
    assert torch.equal(suppress(boxes, scores, 0.5, 0.25, 50), expected)
    many = boxes.repeat(40, 1, 1), scores.repeat(40, 1)
    assert torch.equal(suppress(*many, 0.5, 0.25, 50), expected.repeat(40, 1))
    assert not suppress(boxes, scores, 0.5, 1.0, 50).any()

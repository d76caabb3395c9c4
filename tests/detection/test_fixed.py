"""Detection as one graph: the same numbers as `predict`, in torch and in what it is exported to."""

import numpy as np
import pytest
import torch
from torch.export import Dim
from torchvision.ops import nms

from hrtoolkit.data.loading import Collate
from hrtoolkit.necks import Pyramid
from hrtoolkit.samples import Input
from hrtoolkit.suppression import ONNX_OPERATORS, suppress
from hrtoolkit.tasks.detection import fixed
from hrtoolkit.tasks.detection.views import FitInside

from .conftest import make_frames, tiny_model

FOUND = 5
LEVELS = 2  # of exported detectors: five take five times as long

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


def lively_model(head, **options):
    """A detector with random weights that finds objects, few of them to save time."""
    model = tiny_model(head, **options).eval()
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


def test_sure_proposals_keep_the_order_of_their_logits(monkeypatch):
    model, given = lively_model(KINDS["faster"]), []
    model.head.rpn.head.cls_logits.bias.fill_(30.0)  # all probabilities are 1 in float32
    monkeypatch.setattr(fixed, "suppress", lambda *args: given.append(args) or suppress(*args))
    maps, frames = make_maps(model, SIZES)
    model.head.decode(maps, None, torch.from_numpy(np.asarray(frames.input_hw, np.int64)))
    levels = [scores[scores > fixed.NOT_THERE / 2] for scores in given[0][1]]  # of both images
    assert sum(len(scores.unique()) for scores in levels) > 100
    assert all((scores.diff() <= 0).all() for scores in levels)


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


class Detector(torch.nn.Module):
    """The pyramid and the head alone, from a map of stride 4."""

    def __init__(self, head):
        super().__init__()
        torch.manual_seed(0)
        self.pyramid = Pyramid([8], [4], channels=8, levels=LEVELS)
        self.head = head

    def forward(self, fine, sizes_hw):
        return self.head.decode(self.pyramid([fine]), None, sizes_hw)


def some_inputs(batch, height, width):
    fine = torch.randn(batch, 8, height // 4, width // 4, generator=torch.Generator().manual_seed(height))
    return fine, torch.tensor([[height - 5 * i, width - 3 * i] for i in range(batch)])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A detector and its file."""
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    with torch.no_grad():
        neck = dict(type="Pyramid", channels=8, levels=LEVELS)
        detector = Detector(lively_model(KINDS["torchvision"], neck=neck).head).eval()
        # Larger than the inputs of the tests: a map of one row in the example would stay one.
        batch, height, width = Dim("batch", min=1, max=64), Dim("height", min=2, max=64), Dim("width", min=2, max=64)
        program = torch.onnx.export(
            detector,
            some_inputs(2, 160, 224),
            dynamo=True,
            dynamic_shapes=({0: batch, 2: 8 * height, 3: 8 * width}, {0: batch}),
            custom_translation_table=ONNX_OPERATORS,
            opset_version=20,
            verbose=False,
        )
    program.save(path)
    return detector, path


def open_onnxruntime(path):
    session = pytest.importorskip("onnxruntime").InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda *inputs: session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})


def open_openvino(path):
    openvino = pytest.importorskip("openvino")
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.convert_model(path), "CPU", hints)
    return lambda *inputs: list(compiled([x.numpy() for x in inputs]).values())


@pytest.mark.parametrize("backend", [open_onnxruntime, open_openvino])
def test_other_runtimes_find_the_same(exported, backend):
    detector, path = exported
    run_file = backend(path)
    for inputs in (some_inputs(2, 96, 128), some_inputs(1, 64, 64), some_inputs(3, 160, 96)):
        expected = detector(*inputs)
        assert (expected["labels"] >= 0).any()
        for (name, want), got in zip(expected.items(), run_file(*inputs), strict=True):
            tolerance = {"boxes": 1e-2, "labels": 0, "scores": 1e-5, "masks": 1e-4}[name]
            np.testing.assert_allclose(got, want.numpy(), atol=tolerance, rtol=0, err_msg=name)
    if backend is open_openvino:  # its ReLU makes 0 of NaN
        return
    found = dict(zip(expected, run_file(torch.full_like(inputs[0], torch.nan), inputs[1]), strict=True))
    assert (found["labels"] == -1).all() and not found["scores"].any() and not found["masks"].any()

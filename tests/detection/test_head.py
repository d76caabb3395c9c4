"""The heads as a whole: what they give, what they refuse, and that nothing breaks without objects."""

import pickle

import numpy as np
import pytest
import torch

from hrtoolkit.config import ConfigError
from hrtoolkit.data.loading import Collate
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.samples import Input
from hrtoolkit.schemes import ClassScheme, check_same
from hrtoolkit.tasks.detection.head import CascadeRCNNHead
from hrtoolkit.tasks.detection.views import FitInside

from .conftest import CLASSES, DETECTIONS, make_frames, make_target, tiny_model

SIZES = [(96, 128), (70, 90)]
HEADS = {
    "faster": dict(),
    "mask": dict(masks=True),
    "cascade": dict(type="CascadeRCNNHead"),
    "cascade mask": dict(type="CascadeRCNNHead", masks=True),
    "authors": dict(convention="authors", masks=True),
    "torchvision": dict(convention="torchvision", masks=True),
}


def make_batch(targets=None, sizes=SIZES):
    rng = np.random.default_rng(0)
    frames = make_frames(sizes, (200, 300))
    pixels = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    batch = Collate(FitInside.multiple, FitInside.smallest)([Input(i, one, frames[i]) for i, one in enumerate(pixels)])
    return batch | ({} if targets is None else {"targets": targets})


def some_objects():
    return [
        make_target([(10, 10, 60, 80), (40, 30, 120, 90)], [0, 2], SIZES[0], masks=True),
        make_target([(20, 20, 64, 60)], [1], SIZES[1], masks=True),
    ]


@pytest.mark.parametrize("kind", HEADS)
def test_every_part_learns_and_predictions_lie_in_the_image(kind):
    model = tiny_model(HEADS[kind]).train()
    losses = model(**model.data_preprocessor(make_batch(some_objects()), training=True), mode="loss")
    stages = ["_1", "_2", "_3"] if "cascade" in kind else [""]
    assert {name for name in losses if "classifier" in name} == {f"loss_classifier{s}" for s in stages}
    sum(losses.values()).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not idle
    model.eval()
    for stage in model.head.stages:
        torch.nn.init.constant_(stage.box_predictor.cls_score.bias[:1], -1e3)  # everything is an object
        torch.nn.init.zeros_(stage.box_predictor.bbox_pred.weight)
    torch.nn.init.zeros_(model.head.rpn.head.bbox_pred.weight)
    with torch.no_grad():
        found = model(**model.data_preprocessor(make_batch()), mode="predict")
    for one in found:
        assert one.boxes_xyxy.dtype == np.float64 and 0 < len(one.boxes_xyxy) <= DETECTIONS
        assert (one.boxes_xyxy >= 0).all() and (one.boxes_xyxy <= np.array([300, 200, 300, 200]) + 1e-3).all()
        assert set(one.labels) <= {0, 1, 2} and (np.diff(one.scores) <= 0).all()
        if model.head.stages[0].has_mask():
            assert one.masks.size_hw == (200, 300) and len(one.masks.segmentations) == len(one.labels)
            assert one.masks.segmentations[0]["size"] == [200, 300]
        else:
            assert one.masks is None


@pytest.mark.parametrize("kind", HEADS)
def test_batches_without_any_object_train(kind):
    model = tiny_model(HEADS[kind]).train()
    empty = [make_target([], [], size, masks=True) for size in SIZES]
    losses = model(**model.data_preprocessor(make_batch(empty), training=True), mode="loss")
    assert all(torch.isfinite(value) for value in losses.values())
    assert all(value == 0 for name, value in losses.items() if "box" in name or "mask" in name)
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    one_empty = [some_objects()[0], empty[1]]
    losses = model(**model.data_preprocessor(make_batch(one_empty), training=True), mode="loss")
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("convention", ["mmdet", "authors", "maskrcnn-benchmark"])
def test_boxes_return_to_the_image_as_they_were_resized(convention):
    """At twice the size and back an annotated box is the same, whether its last pixel or its edge was moved."""
    image, box = np.zeros((48, 64, 3), np.uint8), np.array([[10.0, 6, 40, 30]])
    model = tiny_model(dict(convention=convention), view=dict(type="FitInside", size=(128, 96))).eval()
    pixels, frame = model.branch().view(image)
    boxes = frame.boxes_to_input(box)
    end = 0 if convention == "mmdet" else 1
    assert boxes.tolist() == [[20, 12, 80 - end, 60 - end]]
    batch = model.data_preprocessor(Collate(32, 64)([Input(0, pixels, frame)]))
    model.head.stages[0].detect = lambda *_: ([torch.from_numpy(boxes)], [torch.ones(1)], [torch.ones(1)])
    with torch.no_grad():
        (found,) = model(**batch, mode="predict")
    assert found.boxes_xyxy.tolist() == box.tolist()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["mask", "cascade"])
@pytest.mark.parametrize("layer", ["cls_score", "bbox_pred"])
def test_outputs_that_are_not_finite_are_told_and_find_nothing_wrong(kind, layer, bad, caplog):
    model = tiny_model(HEADS[kind]).eval()
    getattr(model.head.stages[0].box_predictor, layer).bias.data[:] = bad
    with torch.no_grad():
        for _ in range(2):
            found = model(**model.data_preprocessor(make_batch()), mode="predict")
    assert all(np.isfinite(one.boxes_xyxy).all() and np.isfinite(one.scores).all() for one in found)
    assert caplog.text.count("outputs of the detector are not finite") == 1


def test_images_in_which_nothing_is_found():
    model = tiny_model(dict(masks=True)).eval()
    torch.nn.init.constant_(model.head.stages[0].box_predictor.cls_score.bias[:1], 20.0)
    with torch.no_grad():
        found = model(**model.data_preprocessor(make_batch()), mode="predict")
    for one in found:
        assert one.boxes_xyxy.shape == (0, 4) and one.labels.shape == (0,) and one.masks.segmentations == []


@pytest.mark.parametrize("kind", ["faster", "cascade mask", "authors"])
@pytest.mark.parametrize("proposals", [True, False], ids=["some proposals", "none"])
def test_images_too_small_for_an_anchor_or_a_pyramid(kind, proposals):
    """In the authors' convention no anchor lies inside 20 x 256; 1 x 1 has no cell of the coarsest map."""
    sizes = [(20, 256), (1, 1)]
    model = tiny_model({"masks": True, **HEADS[kind]}).train()
    if not proposals:
        model.head.rpn.min_size = 1e9
    for boxes in ([(2, 2, 100, 18)], []):
        objects = (boxes, []), ([0] * len(boxes), [])
        targets = [make_target(*one, masks=True) for one in zip(*objects, sizes, strict=True)]
        losses = model(**model.data_preprocessor(make_batch(targets, sizes), training=True), mode="loss")
        assert all(torch.isfinite(value) for value in losses.values())
        sum(losses.values()).backward()
    model.eval()
    with torch.no_grad():
        found = model(**model.data_preprocessor(make_batch(sizes=sizes)), mode="predict")
    assert [len(one.labels) > 0 for one in found] == [proposals] * 2
    assert all(len(one.labels) == len(one.masks.segmentations) for one in found)


def test_tensor_mode_gives_the_pyramid():
    model = tiny_model().eval()
    for size, expected in (
        ((224, 352), [(56, 88), (28, 44), (14, 22), (7, 11), (3, 5)]),
        ((256, 320), [(64, 80), (32, 40), (16, 20), (8, 10), (4, 5)]),
        ((96, 64), [(24, 16), (12, 8), (6, 4), (3, 2), (1, 1)]),
    ):
        with torch.no_grad():
            maps = model(torch.zeros(1, 3, *size))
        assert [tuple(x.shape[-2:]) for x in maps] == expected


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_are_no_class_are_refused(label):
    model = tiny_model().train()
    targets = [make_target([(10, 10, 60, 80)], [label], SIZES[0]), make_target([], [], SIZES[1])]
    with pytest.raises(RuntimeError, match="labels must be 0 to 2, as the 3 classes of the head are counted"):
        model(**model.data_preprocessor(make_batch(targets), training=True), mode="loss")


def test_class_0_is_learned_as_an_object():
    model = tiny_model().train()
    stage = model.head.stages[0]
    seen = []
    stage.box_predictor.register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    targets = [make_target([(10, 10, 60, 80)], [0], SIZES[0]), make_target([], [], SIZES[1])]
    losses = model(**model.data_preprocessor(make_batch(targets), training=True), mode="loss")
    assert losses["loss_box_reg"] > 0
    (gradient,) = torch.autograd.grad(losses["loss_classifier"], seen[0], retain_graph=True)
    assert (gradient[:, 1] < 0).any() and not (gradient[:, 2:] < 0).any()


def test_heads_compute_in_float32_under_mixed_precision():
    model = tiny_model(dict(masks=True)).train()
    dtypes = set()
    for module in model.head.modules():
        module.register_forward_hook(
            lambda module, inputs, output: dtypes.add(output.dtype) if isinstance(output, torch.Tensor) else None
        )
    batch = model.data_preprocessor(make_batch(some_objects()), training=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert model.extract(batch["images"])[0].dtype == torch.bfloat16
        losses = model(**batch, mode="loss")
    assert dtypes == {torch.float32} and {value.dtype for value in losses.values()} == {torch.float32}


def test_padding_changes_nothing_but_what_is_near_it():
    """The padded rows are blank after normalising, and no prediction comes from them."""
    model = tiny_model().eval()
    batch = model.data_preprocessor(make_batch())
    image = batch["images"][1]
    assert not image[:, 70:].any() and not image[:, :, 90:].any() and (image[:, :70, :90] != 0).all()
    assert batch["images"].shape[-2:] == (96, 128)


def test_a_flip_test_is_refused_before_anything_runs():
    with pytest.raises(ConfigError, match="flip_test: FasterRCNNHead has no flip test"):
        tiny_model(flip_test=True)


def test_what_heads_refuse():
    with pytest.raises(ConfigError, match=r"scheme must be one of .*; None is only possible where training data has"):
        tiny_model(dict(scheme=None))
    with pytest.raises(ConfigError, match=r"'authors', 'maskrcnn-benchmark'.*, got 'detectron3'"):
        tiny_model(dict(convention="detectron3"))
    with pytest.raises(ConfigError, match=r"'mmdet', 'authors'.*, got 'torchvision'"):
        tiny_model(dict(type="CascadeRCNNHead", convention="torchvision"))
    with pytest.raises(OptionError, match="one of mmdet, authors, got 'torchvision'"):
        CascadeRCNNHead(in_channels=[8] * 5, in_strides=[4, 8, 16, 32, 64], scheme=CLASSES, convention="torchvision")
    with pytest.raises(ConfigError, match=r"model.view.convention: the model's head decides 'convention'"):
        tiny_model(view=dict(type="FitInside", convention="authors"))
    with pytest.raises(ConfigError, match=r"no 'classes' any more; write model.head.scheme=\['cat'\]"):
        tiny_model(dict(classes=["cat"]))


def test_a_head_tells_its_view_the_convention_and_is_told_classes():
    model = tiny_model(dict(convention="authors", masks=True))
    assert model.branch().view.convention == "authors" and type(model.head).reads == ("masks",)
    check_same(ClassScheme(CLASSES, ids=(9, 3, 7)), model.head.scheme)
    with pytest.raises(DataError, match=r"has 2 classes \(dog, cat\), the head has 3 classes \(cat, dog, cow\)"):
        check_same(ClassScheme(("dog", "cat")), model.head.scheme)


def test_targets_carry_no_network_to_the_loader_processes():
    assert len(pickle.dumps(tiny_model().head.targets)) < 200


@pytest.mark.parametrize("argument", ["norm_eval", "norm_frozen"])
def test_batchnorm_keeps_statistics_and_if_asked_for_its_weights(argument):
    model = tiny_model(**{argument: ["backbone"]}).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model(**model.data_preprocessor(make_batch(some_objects()), training=True), mode="loss")
    sum(losses.values()).backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert not [name for name in changed if "running_" in name]
    assert {"backbone.conv1.weight", "backbone.layer1.0.downsample.0.weight"} <= changed
    norms = {"backbone.bn1.weight", "backbone.bn1.bias", "backbone.layer1.0.downsample.1.weight"}
    assert norms & changed == (norms if argument == "norm_eval" else set())
    with pytest.raises(ConfigError, match=f"{argument}: the model has no module 'spine'"):
        tiny_model(**{argument: ["spine"]})

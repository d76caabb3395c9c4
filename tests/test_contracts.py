"""Every registered class through the contract of its role: a new one is tested by existing."""

import functools
import inspect
import json
import pickle

import numpy as np
import pytest
import torch
from mmengine import Config

import hrtoolkit.tasks.classification
import hrtoolkit.tasks.dense
import hrtoolkit.tasks.detection
import hrtoolkit.tasks.face
import hrtoolkit.tasks.pose
import hrtoolkit.tasks.segmentation
from hrtoolkit import build_model, registry
from hrtoolkit.balance import BaseBalance
from hrtoolkit.build import find_part, iterate_parts, plan_model
from hrtoolkit.config import load_config
from hrtoolkit.config.values import find_parameters
from hrtoolkit.data.loading import Collate
from hrtoolkit.data.seeding import global_seed
from hrtoolkit.findings import Findings
from hrtoolkit.frames import Frame, to_input
from hrtoolkit.masks import Masks
from hrtoolkit.metric import BaseMetric
from hrtoolkit.parts import BaseBackbone, BaseHead, BaseNeck
from hrtoolkit.records import Category, LabelMap, Objects, ValueMap
from hrtoolkit.samples import BaseSamples, Input
from hrtoolkit.schemes import ClassScheme, KeypointScheme, ValueScheme, resolve_scheme
from hrtoolkit.tracking.keypoints import People, VideoFrame
from hrtoolkit.views import BaseAugmentation, BaseView, Crop

from .test_configs import FROM_THE_DATA, SINGLE

ROLES = {
    # role: (registry, base class, what has to be there, one that must have been found)
    "backbone": (registry.BACKBONES, BaseBackbone, ("forward",), "HRNet"),
    "neck": (registry.NECKS, BaseNeck, ("forward",), "Concat"),
    "head": (registry.HEADS, BaseHead, ("forward", "loss", "predict", "targets"), "HeatmapHead"),
    "codec": (registry.CODECS, object, ("encode", "decode", "flip"), "UDPHeatmap"),
    "loss": (registry.LOSSES, torch.nn.Module, ("forward",), "KeypointMSE"),
    "view": (registry.VIEWS, BaseView, ("__call__",), "TopDown"),
    "augmentation": (registry.AUGMENTATIONS, BaseAugmentation, ("ask",), "PoseAugmentation"),
    "data set": (registry.DATASETS, BaseSamples, ("truth",), "CocoKeypoints"),
    "metric": (registry.METRICS, BaseMetric, ("headline", "measure", "score"), "CocoKeypointMetric"),
    "finish": (registry.FINISHES, object, ("__call__",), "PoseFinish"),
    "inference": (registry.INFERENCES, object, ("__call__",), "MultiScale"),
    "balance": (registry.BALANCES, BaseBalance, ("forward",), "RelativeLosses"),
    "batch augmentation": (registry.BATCH_AUGMENTATIONS, object, ("__call__",), "MixAndErase"),
}
OURS = {
    role: {n: c for n, c in book.module_dict.items() if c.__module__.startswith("hrtoolkit.")}
    for role, (book, *_) in ROLES.items()
}
TINY = dict(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)
IMAGE = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def of(*roles):
    return [pytest.param(role, name, id=name) for role in roles for name in OURS[role]]


def make_crop(**changes):
    return Crop(np.array([60.0, 50.0]), np.array([64.0, 64.0]), np.array([28.0, 18, 92, 82]), 1.0, 4096.0, **changes)


def make_records(scheme):
    """Truth of IMAGE in every form that fits the scheme."""
    rng = np.random.default_rng(1)
    boxes, labels = np.array([[30.0, 20, 90, 80]]), np.zeros(1, np.int64)
    if isinstance(scheme, KeypointScheme):
        points = rng.uniform(30, 80, (1, len(scheme.names), 2)).astype(np.float32)
        visible = np.full((1, len(scheme.names)), 2, np.uint8)
        return [
            Objects(boxes, labels, points=points, visible=visible, areas=np.full(1, 3600.0), sizes=np.full(1, 60.0))
        ]
    if isinstance(scheme, ValueScheme):
        values = rng.uniform(0.5, 2, (len(scheme.names), *IMAGE.shape[:2])).astype(np.float32)
        if scheme.values == "unit_vector":
            values /= np.linalg.norm(values, axis=0)
        values[:, :9] = np.nan
        return [ValueMap(values)]
    masks = Masks(IMAGE.shape[:2], [[[30, 20, 90, 20, 90, 80, 30, 80]]])
    label_map = rng.integers(0, min(len(scheme.names), 250), IMAGE.shape[:2]).astype(np.uint8)
    return [Objects(boxes, labels, masks=masks, areas=np.full(1, 3600.0)), LabelMap(label_map), Category(0)]


def make_inputs(view, count=2):
    """Inputs of IMAGE as they are tested, of views of crops a crop each."""
    try:
        crops = view.crops(np.array([[28.0, 18, 64, 64]] * count), np.zeros((count, 4)), np.ones(count))
        asks = [crops[i] for i in range(count)]
    except TypeError:
        asks = [None] * count
    return [Input(i, *view(IMAGE, ask)) for i, ask in enumerate(asks)], asks


def make_targets(head, inputs):
    """The kind of record that a head learns from, and the targets of such a one in each input."""
    for record in make_records(head.scheme):
        try:
            return type(record), [head.targets(to_input(record, one.frame, head.scheme), one.frame) for one in inputs]
        except AttributeError:  # this head is for another kind of record
            continue


@pytest.mark.parametrize("role", ROLES)
def test_registered_classes_were_found(role):
    assert ROLES[role][3] in OURS[role]


@pytest.mark.parametrize(("role", "name"), of(*ROLES))
def test_a_class_is_of_its_role_and_says_what_it_is_told(role, name):
    _, base, members, _ = ROLES[role]
    cls = OURS[role][name]
    assert issubclass(cls, base) and inspect.getdoc(cls) and all(hasattr(cls, member) for member in members)
    parameters = inspect.signature(cls).parameters
    named = find_parameters(cls)[0]
    told = set(getattr(cls, "told", ())) | set(getattr(cls, "reads", ()))
    assert told <= named.keys() and not set(getattr(cls, "moved", {})) & named.keys()
    wired = {"in_channels", "in_strides"} if role in ("neck", "head") else set()
    free = [p for n, p in parameters.items() if n not in wired]
    if len(free) > 3 and role not in ("backbone",):
        assert all(p.kind is not p.POSITIONAL_OR_KEYWORD for p in free), "more than three arguments go by name"


@pytest.mark.parametrize(("role", "name"), of("codec"))
def test_a_codec_reads_what_it_draws_and_flips_back(role, name):
    codec = OURS[role][name]()
    points = torch.tensor([[[30.0, 40.0], [49.0, 61.0]]])
    maps, weights = codec.encode(points, torch.ones(1, 2), (24, 20), 4)
    assert maps.shape == (1, 2, 24, 20) and weights.shape == (1, 2)
    read, scores = codec.decode(maps, 4)
    assert (read - points).abs().max() <= 4.0 and scores.shape == (1, 2)  # a cell is 4 input pixels
    mirrored = torch.stack([19 * 4 - points[..., 0], points[..., 1]], -1)
    again = codec.flip(codec.encode(mirrored, torch.ones(1, 2), (24, 20), 4)[0], [0, 1])
    assert (
        codec.decode(again, 4)[0] - points
    ).abs().max() <= 10.0  # the official flip shifts by a cell, faces cut one off
    assert isinstance(codec.needs, dict) or not codec.needs


@pytest.mark.parametrize(("role", "name"), of("backbone"))
def test_a_backbone_gives_the_maps_that_it_announces(role, name):
    options = dict(HRNet=TINY, TimmBackbone=dict(name="resnet18", pretrained=False)).get(name, {})
    options = {k: v for k, v in options.items() if k in find_parameters(OURS[role][name])[0]}
    net = OURS[role][name](**options).eval()
    check_maps(net, net(torch.zeros(1, 3, 64, 96)))
    assert isinstance(net.describe(), dict) and isinstance(net.optional_parts, tuple)


@pytest.mark.parametrize(("role", "name"), of("neck"))
def test_a_neck_gives_the_maps_that_it_announces(role, name):
    net = OURS[role][name](in_channels=[4, 8, 16, 32], in_strides=[4, 8, 16, 32]).eval()
    maps = [torch.zeros(1, 2 * s // 2, 64 * 2 // s, 96 * 2 // s) for s in (4, 8, 16, 32)]
    check_maps(net, net([x.repeat(1, 1, 1, 1) for x in maps]), scale=2)
    assert isinstance(net.describe(), dict)


def check_maps(net, maps, scale=1):
    assert [x.shape[1] for x in maps] == list(net.out_channels)
    assert list(net.out_strides) == sorted(net.out_strides)
    assert [64 * scale // x.shape[2] for x in maps] == list(net.out_strides)


@pytest.mark.parametrize(("role", "name"), of("view"))
def test_a_view_makes_an_input_and_a_frame_that_leads_back(role, name):
    view = pickle.loads(pickle.dumps(OURS[role][name]()))
    inputs, asks = make_inputs(view)
    one, ask = inputs[0], asks[0]
    assert one.pixels.shape == (*one.frame.input_hw, 3) and one.frame.image_hw == IMAGE.shape[:2]
    assert one.pixels.dtype in (np.uint8, np.float32) and len(view.mean) == len(view.std) == 3
    json.dumps(view.describe())
    points = np.array([[40.5, 60.0], [70.0, 33.0]], np.float32)
    np.testing.assert_allclose(one.frame.points_to_image(one.frame.points_to_input(points)), points, atol=2e-3)
    boxes = np.array([[35.0, 30, 80, 70]])
    np.testing.assert_allclose(one.frame.boxes_to_image(one.frame.boxes_to_input(boxes)), boxes, atol=2e-3)
    both = Frame.stack([one.frame, one.frame])
    assert len(both) == 2 and both[1].image_hw == one.frame.image_hw
    np.testing.assert_allclose(both[0].points_to_input(points), one.frame.points_to_input(points))
    np.testing.assert_array_equal(view(IMAGE, ask)[0], one.pixels)
    batch = Collate(view.multiple, view.smallest)(inputs)
    assert batch["images"].shape[:2] == (2, 3) and (batch["frames"].input_hw == one.frame.input_hw).all()
    if view.multiple is not None:
        assert all(side % view.multiple == 0 for side in batch["images"].shape[2:])


@pytest.mark.parametrize(("role", "name"), of("augmentation"))
def test_an_augmentation_asks_a_view_and_all_of_it_follows_from_the_seed(role, name):
    cls = OURS[role][name]
    config = configs_by_part().get(name)
    given = {} if config is None else config.train_dataloader.augmentation  # as the first config that uses it has it
    options = {key: value for key, value in given.items() if key != "type"}
    augmentation = cls(**options)
    assert augmentation.views
    for view_class in augmentation.views:
        view = view_class(**({"size": (64, 48)} if view_class.__name__ == "FitInside" else {}))
        crop = make_inputs(view)[1][0]
        scheme = resolve_scheme("coco", KeypointScheme if crop is not None else ClassScheme)
        truth = make_records(scheme)[0]
        outcomes = []
        for seed in (3, 3, 4):
            before = np.random.get_state()[1].copy(), torch.get_rng_state()
            rng = np.random.default_rng(seed)
            with global_seed(seed) if augmentation.borrows else np.errstate():
                ask = augmentation.ask(view, IMAGE.shape[:2], truth, crop, scheme, rng)
                pixels, frame = view(IMAGE, ask)
                outcomes.append(augmentation.retouch(pixels, frame, rng))
            assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.get_rng_state(), before[1])
        assert outcomes[0].shape == (*frame.input_hw, 3) or outcomes[0].shape == outcomes[1].shape
        np.testing.assert_array_equal(outcomes[0], outcomes[1])
        assert outcomes[0].shape != outcomes[2].shape or (outcomes[0] != outcomes[2]).any()


@functools.cache
def configs_by_part():
    """The first shipped config with each part of a model, and with each augmentation, by the names of their classes."""
    found = {}
    for path in SINGLE:
        config = load_config(path, FROM_THE_DATA.get(path.stem, ()))
        plan = plan_model(config.model, [])
        parts = [*plan.branches[""].values(), *plan.options.parts.values()]
        names = [one.target.__name__ for part in parts for one in iterate_parts(part)]
        names.append((config.train_dataloader.get("augmentation") or {}).get("type"))
        for name in names:
            found.setdefault(name, config)
    return found


def small_config(name):
    """The model section of a shipped config with a part of this name, with a tiny backbone and small images."""
    if name not in configs_by_part():  # no shipped config uses it: behind a backbone of its own
        backbone, view = dict(type="HRNet", **TINY), dict(type="ResizeCenterCrop", input_size=(64, 64))
        scheme = ["a", "b"] if registry.HEADS.get(name).kind is ValueScheme else 3
        return Config(dict(model=dict(backbone=backbone, head=dict(type=name, scheme=scheme), view=view)))
    return shrink(load_config(configs_by_part()[name]))


def shrink(config):
    """Give a config a tiny backbone and small images."""
    config.model.backbone.update(TINY)
    config.model.backbone.pop("variant", None)
    if config.model.view.type == "FitInside":
        config.model.view["size"] = (64, 48)
    if config.model.head.type == "OCRHead":
        config.model.head.update(channels=16, key_channels=8)
    return config


@pytest.mark.parametrize(("role", "name"), of("head", "finish", "inference", "batch augmentation"))
def test_a_part_learns_and_predicts_in_a_model(role, name):
    torch.manual_seed(0)
    model = build_model(small_config(name))
    branch = model.branch()
    head, view = branch.head, branch.view
    assert len(pickle.dumps(head.targets)) < 10_000  # the network does not travel with them
    inputs, _ = make_inputs(view)
    kind, targets = make_targets(head, inputs)
    batch = Collate(view.multiple, view.smallest)([a._replace(targets=b) for a, b in zip(inputs, targets, strict=True)])
    total, _ = model.train().parse_losses(model(**model.data_preprocessor(batch, training=True), mode="loss"))
    total.backward()
    assert torch.isfinite(total) and any(p.grad is not None for p in head.parameters())
    pictures = head.draw_targets(batch["images"], batch["targets"], batch["frames"])
    assert len(pictures) == 2 and all(picture.dtype == np.uint8 for picture in pictures)
    model.eval().flip_test = head.flips
    batch = Collate(view.multiple, view.smallest)(inputs)
    with torch.no_grad():
        records = model(**model.data_preprocessor(batch), mode="predict")
    assert len(records) == 2 and all(isinstance(one, kind) for one in records)
    assert isinstance(branch.finish([records[0]]), kind)
    json.dumps(model.describe())


@pytest.mark.parametrize(("role", "name"), of("loss"))
def test_a_loss_is_a_number_to_learn_from(role, name):
    loss = OURS[role][name]()
    raw = torch.randn(2, 3, 16, 16, requires_grad=True)
    labels = torch.randint(3, (2, 16, 16))
    # Of classes, of heatmaps, which takes weights, and of numbers.
    for truth in ((labels,), (torch.rand(2, 3, 16, 16), torch.ones(2, 3)), (torch.rand(2, 3, 16, 16),)):
        try:
            value = loss(raw, *truth)
            break
        except (TypeError, RuntimeError):
            continue
    value.backward()
    assert value.ndim == 0 and torch.isfinite(value) and raw.grad.abs().sum() > 0


@pytest.mark.parametrize(("role", "name"), of("metric"))
def test_a_metric_finds_the_truth_perfect_and_survives_what_is_missing(role, name):
    metric = OURS[role][name]()
    tried = 0
    kinds = dict.fromkeys(("coco", "mpii", "300w", "coco_wholebody"), KeypointScheme)
    values = ("depth", ValueScheme), ("normals", ValueScheme)
    for known, kind in (*kinds.items(), ("camvid", ClassScheme), *values):
        scheme = resolve_scheme(known, kind)
        for truth in make_records(scheme):
            best = truth.as_prediction()
            if isinstance(best, Category):
                best = best._replace(class_scores=np.eye(len(scheme.names))[best.label])
            try:
                measures = [measure(metric, best, truth, scheme)] * 2
                numbers = metric.score(measures, scheme)
            except (AttributeError, TypeError, ValueError, LookupError, hrtoolkit.errors.DataError):
                continue  # of another kind of record or scheme
            tried += 1
            assert metric.headline in numbers
            if metric.perfect is not None:
                assert numbers[metric.headline] == pytest.approx(metric.perfect)
            assert len(pickle.dumps(measures[0])) < 20_000
            assert all(p.dtype == np.uint8 for p in metric.draw({"all": measures}, scheme).values())
    assert tried


def measure(metric, best, truth, scheme):
    """The measure of a sample; for metrics of videos it is a frame of one."""
    if not metric.videos:
        return metric.measure(best, truth, scheme)
    ids, ones = np.arange(1, len(truth.labels) + 1), np.ones(truth.visible.shape)
    people = People(ids - 1, truth.points, truth.visible > 0, head_sizes=truth.sizes)  # records count from 1
    with pytest.raises(hrtoolkit.errors.DataError, match="samples are pictures by themselves"):
        metric.measure_frame(best, truth, scheme, None)
    best = best._replace(ids=ids, point_scores=ones)
    return metric.measure_frame(best, truth._replace(ids=ids), scheme, VideoFrame("film", 0, True, people, []))


def test_contradictions_between_roles_are_found():
    problems = []
    assert find_part("model.head", {"type": "UDPHeatmap"}, registry.HEADS, problems) is None
    assert "there is no head 'UDPHeatmap'" in problems[0].text
    assert Findings("x") == []

"""The head: what outputs stand for, the way back to the image, mirrored images, and the certificate of an export."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.data.loading import Collate
from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Resized
from hrtoolkit.samples import Input
from hrtoolkit.tasks.bottom_up.views import ShortSide
from hrtoolkit.tasks.dense.head import DenseHead
from hrtoolkit.tasks.dense.loss import AbsoluteError, CosineError
from hrtoolkit.tasks.segmentation.views import WholeImage

from ..runtime.exporting import assert_same, both
from .conftest import TINY

IMAGE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
VIEWS = {
    "whole": dict(type="WholeImage"),
    "short side": dict(type="WholeImage", short_side=64, pad_to=32),
    "warped": dict(type="ShortSide", size=64),
}


def tiny(scheme, view="whole", **head):
    torch.manual_seed(0)
    config = dict(backbone=TINY, head=dict(type="DenseHead", scheme=scheme, **head), view=VIEWS[view])
    model = build_model(Config(dict(model=config))).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            if parameter.ndim == 4:
                parameter.normal_(std=0.05)
    return model


def predict(model, image=IMAGE, flip=False):
    view = model.branch().view
    batch = Collate(view.multiple, view.smallest)([Input(0, *view(image))])
    model.flip_test = flip
    with torch.inference_mode():
        return model(**model.data_preprocessor(batch), mode="predict")[0]


@pytest.mark.parametrize(
    ("scheme", "loss", "logarithm"),
    [("depth", AbsoluteError, True), ("normals", CosineError, None), (["height"], AbsoluteError, False)],
)
def test_the_scheme_says_what_is_compared_and_predicted(scheme, loss, logarithm):
    head = DenseHead([4, 8], [4, 8], scheme=scheme, typical=3.0)
    assert type(head.criterion) is loss and getattr(head.criterion, "logarithm", None) is logarithm
    outputs = torch.randn(2, len(head.scheme.names), 4, 5)
    values = head.to_values(outputs)
    if scheme == "depth":
        assert torch.allclose(values, 3 * outputs.exp())
    elif scheme == "normals":
        assert torch.allclose(values.norm(dim=1), torch.ones(2, 4, 5)) and torch.allclose(F.normalize(outputs), values)
    else:
        assert torch.equal(values, 3 * outputs)


def test_logarithms_of_any_numbers_are_refused():
    with pytest.raises(OptionError, match="for values that the scheme says are 'positive'"):
        DenseHead([4], [4], scheme=["height"], loss=AbsoluteError(logarithm=True))


def test_the_loss_is_that_of_the_enlarged_outputs_with_its_count():
    head = DenseHead([4, 8], [4, 8], scheme="depth").eval()
    maps = [torch.randn(2, 4, 8, 6), torch.randn(2, 8, 4, 3)]
    truth = torch.rand(2, 1, 32, 24) + 0.5
    truth[0, :, :8] = torch.nan
    got = head.loss(maps, {"values": truth}, None)
    enlarged = F.interpolate(head(maps), size=(32, 24), mode="bilinear").exp()
    errors = (enlarged.log() - truth.log()).abs()
    assert torch.allclose(got["loss_values"], errors[truth.isfinite()].mean())
    assert got["count_values"] == truth.isfinite().sum() and got.keys() == {"loss_values", "count_values"}
    listed = [{"values": truth[0, :, :20]}, {"values": truth[1, :, :, :16]}]
    assert head.loss(maps, listed, None)["count_values"] == 12 * 24 + 32 * 16


@pytest.mark.parametrize("view", [WholeImage(), WholeImage(short_side=50, pad_to=32), ShortSide(size=64)])
def test_a_prediction_lies_where_its_image_is(view):
    """Outputs that are a ramp over the input come back as the same ramp over the image."""
    head = DenseHead([1], [1], scheme=["x", "y"])
    frame = view(IMAGE)[1]
    rows, columns = np.mgrid[: frame.input_hw[0], : frame.input_hw[1]].astype(np.float32)
    record = head.read({"values": np.stack([columns, rows])[None]}, Frame.stack([frame]))[0]
    assert record.values.shape == (2, *IMAGE.shape[:2]) and record.values.dtype == np.float32
    y, x = np.mgrid[: IMAGE.shape[0], : IMAGE.shape[1]]
    wanted = frame.points_to_input(np.stack([x, y], -1)).transpose(2, 0, 1)
    inner = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(record.values[inner], wanted[inner], atol=1e-3)


def test_a_batch_of_several_sizes_gives_each_image_its_own():
    head = DenseHead([1], [4], scheme=["x"])
    frames = [Resized((h, w), (h, w), False, (h, w), (0, 0, w, h), (h, w)) for h, w in ((20, 32), (32, 16))]
    ramp = torch.arange(8.0).expand(2, 1, 8, 8) * 4 + 1.5
    records = head.read({"values": ramp.numpy()}, Frame.stack(frames))
    for record, (h, w) in zip(records, ((20, 32), (32, 16)), strict=True):
        assert record.values.shape == (1, h, w)
        np.testing.assert_allclose(record.values[0, 5, 2 : w - 2], np.arange(2, w - 2), atol=1e-5)


@pytest.mark.parametrize("scheme", ["depth", "normals", dict(names=["left", "right"], mirrored=[["left", "right"]])])
def test_with_mirrored_images_a_mirrored_image_has_the_mirrored_prediction(scheme):
    model = tiny(scheme)
    wide = IMAGE[:64, :64]
    plain, mirrored = (predict(model, image, flip=True).values for image in (wide, wide[:, ::-1].copy()))
    turned = mirrored[model.head.flip_order][..., ::-1].copy()
    turned *= model.head.flip_signs.numpy()
    np.testing.assert_allclose(plain, turned, atol=2e-4)
    assert np.abs(plain - predict(model, wide).values).max() > 1e-3
    if scheme == "normals":
        assert (model.head.flip_signs.flatten() == torch.tensor([-1.0, 1, 1])).all()
        np.testing.assert_allclose(np.linalg.norm(plain, axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["depth", "normals", ["height"]])
def test_the_runtime_gives_the_same(scheme, view):
    model = tiny(scheme, view, typical=2.0)
    mine, theirs = both(model)
    for image in (IMAGE, IMAGE.transpose(1, 0, 2).copy()):
        one, other = next(iter(mine([image]))), next(iter(theirs([image])))
        assert_same(other.record, one.record)
        np.testing.assert_array_equal(other[model.head.scheme.names[0]], other.record.values[0])
        summed, told = other.to_dict()["values"], one.to_dict()["values"]
        assert all(summed[name] == pytest.approx(told[name], abs=1e-3) for name in model.head.scheme.names)
        assert other.draw().shape == one.draw().shape == image.shape


def test_a_network_that_has_learnt_nothing_gives_finite_depth():
    head = DenseHead([4], [4], scheme="depth", typical=10.0)
    values = head.to_values(torch.tensor([[-500.0, 500.0]]))
    assert values.isfinite().all() and (values > 0).all()

"""Networks of exported folders: what runs, and what is refused in one sentence."""

import json
import sys

import numpy as np
import pytest

from hrtoolkit.errors import CheckpointError, DataError, OptionError, UserError
from hrtoolkit.runtime import load, open_network
from hrtoolkit.runtime.network import SETTINGS

from .exporting import assert_same, both, settings_of, small_model, write_folder

SHAPE = ["batch", 3, "height", "width"]


@pytest.fixture
def folder(tmp_path):
    """A folder whose network doubles its images, as ONNX."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = onnx.helper.make_tensor_value_info
    given, found = value("images", 1, SHAPE), value("scores", 1, SHAPE)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["images"] * 2, ["scores"])], "twice", [given], [found]
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    model = small_model("classification/hrnet_toy", scheme=["ant", "bee"])
    write_folder(tmp_path / "made", settings_of(model, ["scores"]), model.head.scheme, made.SerializeToString())
    return tmp_path / "made"


def rewrite(folder, **changes):
    settings = json.loads((folder / SETTINGS).read_text())
    settings["input"].update(changes.pop("input", {}))
    (folder / SETTINGS).write_text(json.dumps(settings | changes))


def test_arrays_come_back_by_name(folder):
    images = np.random.default_rng(0).random((2, 3, 5, 7)).astype(np.float32)
    found = open_network(folder, threads=1).run(images)
    assert list(found) == ["scores"]
    np.testing.assert_array_equal(found["scores"], 2 * images)


def test_openvino_runs_it_too(folder):
    openvino = pytest.importorskip("openvino")
    openvino.save_model(
        openvino.convert_model(str(folder / "model.onnx")), folder / "model.xml", compress_to_fp16=False
    )
    images = np.random.default_rng(0).random((2, 3, 5, 7)).astype(np.float32)
    found = open_network(folder, "openvino", threads=1).run(images)
    np.testing.assert_array_equal(found["scores"], 2 * images)
    model = small_model("classification/hrnet_toy", scheme=["ant", "bee"])
    settings = settings_of(model, ["scores"]) | dict(format="openvino", model="model.xml")
    write_folder(folder, settings, model.head.scheme)
    np.testing.assert_array_equal(open_network(folder).run(images)["scores"], found["scores"])
    weights = folder / "model.bin"
    weights.write_bytes(weights.read_bytes() + b"0")
    with pytest.raises(CheckpointError, match=r"model\.xml: not the file that was exported"):
        open_network(folder)


@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.zeros((1, 3, 8, 8)), "takes float32, got float64"),
        (np.zeros((1, 1, 8, 8), np.float32), r"takes images \[batch, 3, height, width\], got \[1, 1, 8, 8\]"),
        (np.zeros((3, 8, 8), np.float32), r"got \[3, 8, 8\]"),
        (np.zeros((0, 3, 8, 8), np.float32), r"got \[0, 3, 8, 8\]"),
        (np.zeros((1, 3, 33, 64), np.float32), "multiples of 32 and 64 at least"),
        (np.zeros((1, 3, 32, 64), np.float32), "multiples of 32 and 64 at least"),
    ],
)
def test_images_that_it_cannot_take_are_named(folder, images, told):
    rewrite(folder, input=dict(multiple=32, smallest=64))
    with pytest.raises(DataError, match=told):
        open_network(folder).run(images)


def test_a_graph_of_fewer_sizes_than_it_says_is_one_error(folder):
    rewrite(folder, input=dict(name="pictures"))
    with pytest.raises(DataError, match="the model failed on images of shape"):
        open_network(folder).run(np.zeros((1, 3, 8, 8), np.float32))


def test_a_folder_of_another_version_says_what_to_do(folder):
    rewrite(folder, layout=2)
    with pytest.raises(CheckpointError, match=r"layout 2, written by hrtoolkit 0\.1\.0; this runtime reads layout 1"):
        load(folder)


def test_a_file_that_was_cut_short_is_named(folder):
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match=r"model\.onnx: not the file that was exported"):
        load(folder)


def test_what_is_no_model_is_told_by_who_runs_it(folder):
    model = small_model("classification/hrnet_toy", scheme=["ant", "bee"])
    write_folder(folder, settings_of(model, ["scores"]), model.head.scheme, b"no model")
    with pytest.raises(CheckpointError, match=r"onnxruntime .* cannot read this model"):
        load(folder)


def test_outputs_that_are_not_there_are_named(folder):
    rewrite(folder, outputs=["boxes"])
    with pytest.raises(CheckpointError, match="no outputs boxes, but scores"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file; give a folder"),
        ("{", "cannot be read"),
        ("[]", "expected an object"),
        ('{"layout": 1}', "lacks model, format"),
    ],
)
def test_settings_that_are_damaged_are_named(folder, content, told):
    (folder / SETTINGS).unlink()
    if content is not None:
        (folder / SETTINGS).write_text(content)
    with pytest.raises(CheckpointError, match=told):
        load(folder)


def test_odd_settings_are_named(folder):
    for changes, told in (
        (dict(model="../model.onnx"), "expected the name of a file beside it"),
        (dict(model="gone.onnx"), r"gone\.onnx: cannot be read"),
        (dict(format="pt2"), "runs with PyTorch alone"),
    ):
        rewrite(folder, model="model.onnx", format="onnx")
        rewrite(folder, **changes)
        with pytest.raises((CheckpointError, OptionError), match=told):
            open_network(folder)
    rewrite(folder, model="model.onnx", format="onnx", input=dict(color_order="grb"))
    with pytest.raises(CheckpointError, match="color_order is 'grb'"):
        open_network(folder)
    for odd in (dict(shape=[1, 3]), dict(std=[0, 1, 1]), dict(mean="grey"), dict(multiple=0)):
        rewrite(folder, input=dict(color_order="rgb", shape=SHAPE, std=[1, 1, 1], mean=[0, 0, 0]) | odd)
        with pytest.raises(CheckpointError, match="its input makes no sense"):
            open_network(folder)
    rewrite(folder, input=dict(mean=[0, 0, 0], multiple=None))
    with pytest.raises(OptionError, match="threads is 1 or more"):
        open_network(folder, threads=0)
    (folder / "scheme.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"scheme\.json: not the names .* \('names'\)"):
        load(folder)


def test_a_package_that_is_missing_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="pip install onnxruntime"):
        open_network(folder)


def test_a_network_that_was_exported_gives_what_the_model_gives(tmp_path, photos):
    torch = pytest.importorskip("torch")
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    model = small_model("pose/hrnet_w32_coco")

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, images):
            return tuple(self.model.head.decode(self.model.extract(images)).values())

    images = torch.zeros(2, 3, *model.branch().view.input_hw)
    names = ["heatmaps", "points", "scores"]
    program = torch.onnx.export(
        Graph().eval(),
        (images,),
        dynamic_shapes=({0: "batch"},),
        output_names=names,
        input_names=["images"],
        dynamo=True,
    )
    (tmp_path / "made").mkdir()
    program.save(tmp_path / "made" / "model.onnx")
    write_folder(tmp_path / "made", settings_of(model, names), model.head.scheme)
    mine, theirs = both(model)[0], load(tmp_path / "made", threads=1)
    assert theirs.scheme.names == mine.scheme.names
    for found, wanted in zip(theirs(photos, boxes="whole"), mine(photos, boxes="whole"), strict=True):
        assert_same(found.record, wanted.record)

"""Exported folders of all tasks: whole, certified, and used in place of a checkpoint; sabotage is found out."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hrtoolkit import load, runtime
from hrtoolkit.commands import main
from hrtoolkit.engine import test, train
from hrtoolkit.errors import CheckpointError, OptionError, UserError
from hrtoolkit.export.certificate import adopt, certify
from hrtoolkit.export.data import load_with_data
from hrtoolkit.export.run import export_model
from hrtoolkit.runtime.errors import UserError as RuntimeUserError
from hrtoolkit.runtime.network import hash_files, model_files
from tests.classification.conftest import class_folder  # noqa: F401 (a fixture)
from tests.conftest import coco_folder
from tests.detection.conftest import objects_folder  # noqa: F401 (a fixture)
from tests.engine.test_run import make_config
from tests.predict.test_predictor import assert_same, trained  # noqa: F401 (a fixture)
from tests.segmentation.conftest import label_folder  # noqa: F401 (a fixture)

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)
test.__test__ = False


def sharpen(checkpoint):
    """Let a detector that has learnt nothing yet tell boxes apart: else their order is a matter of rounding."""
    content = torch.load(checkpoint)
    for name, tensor in content["state_dict"].items():
        if name.endswith(("rpn.head.cls_logits.weight", "box_predictor.cls_score.weight")):
            tensor *= 300
    torch.save(content, checkpoint)


def test_an_export_holds_and_takes_the_place_of_a_checkpoint(trained, tmp_path):  # noqa: F811
    config, checkpoint = trained
    sharpen(checkpoint)
    predictor, examples, _ = load_with_data(checkpoint)
    folder = tmp_path / "export"
    certificate = export_model(predictor, folder, examples, timed=False)
    assert certificate.passed, certificate.reasons
    assert certificate.metric["name"] and certificate.metric["loss"] == 0
    names = {"model.onnx", "preprocess.json", "scheme.json", "config.json", "certificate.json", "certificate.md"}
    assert {path.name for path in folder.iterdir()} == names | {"predict.py", "hrtoolkit_runtime"}
    assert json.loads((folder / "certificate.json").read_text())["passed"] is True

    alone, inside = runtime.load(folder), load(folder)
    for image, boxes in examples:
        expected = predictor.find(image, boxes)
        assert_same(inside.find(image, boxes), expected)
        assert_same(adopt(alone.find(image, boxes)), expected)
    numbers = test(config, checkpoint)
    assert test(config, folder) == pytest.approx(numbers, abs=1e-6)


def people_model(folder, **head):
    """A small network of people with heatmaps that have peaks, and its data."""
    config = make_config(coco_folder.__wrapped__(folder))
    config.custom_hooks = []
    config.model.backbone.init = "kaiming"  # or all heatmaps are nearly flat, and their peaks a matter of rounding
    config.model.head.update(head)
    config.train_cfg = dict(max_epochs=1, val_interval=1)
    train(config, folder / "work")
    predictor, examples, _ = load_with_data(folder / "work/last.pth", flip=True)
    with torch.no_grad():
        predictor.model.head.final_layer.weight.mul_(300)
    return predictor, examples


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Such a network, its data, and a sound export of it."""
    folder = tmp_path_factory.mktemp("people")
    predictor, examples = people_model(folder)
    certificate = export_model(predictor, folder / "export", examples, timed=False)
    assert certificate.passed, (certificate.reasons, certificate.decoded, certificate.raw)
    return predictor, examples, folder / "export"


@pytest.fixture
def copied(people, tmp_path):
    """A copy of the export, to be spoilt."""
    return shutil.copytree(people[2], tmp_path / "copy")


def change_settings(folder, change):
    path = folder / "preprocess.json"
    settings = json.loads(path.read_text())
    change(settings)
    path.write_text(json.dumps(settings))


def spoil_bias(folder):
    import onnx

    model = onnx.load(folder / "model.onnx")
    (final,) = (node for node in model.graph.node if node.name == "head.final_layer/Conv")
    (bias,) = (one for one in model.graph.initializer if one.name == final.input[2])
    values = onnx.numpy_helper.to_array(bias).copy()
    values[3] += 0.01 + 0.01 * abs(values).max()
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(model, folder / "model.onnx")
    change_settings(folder, lambda s: s.update(sha256=hash_files(model_files(folder, "model.onnx"))))


def spoil_colors(folder):
    change_settings(folder, lambda s: s["input"].update(color_order="bgr"))


def spoil_mean(folder):
    change_settings(folder, lambda s: s["input"].update(mean=[103.53, 116.28, 123.675]))


@pytest.mark.parametrize("spoil", [spoil_bias, spoil_colors, spoil_mean])
def test_sabotage_is_found_out(people, copied, spoil):
    predictor, examples, _ = people
    assert certify(copied, predictor, examples, timed=False).passed
    spoil(copied)
    certificate = certify(copied, predictor, examples, timed=False)
    assert not certificate.passed
    assert "HOLD" in certificate.to_markdown()


def test_a_wrong_flip_order_is_found_out_and_the_folder_is_marked(people, tmp_path):
    predictor, examples, _ = people
    head, right = predictor.branch.head, predictor.branch.head.flip_order
    try:
        head.flip_order = list(range(17))
        export_model(predictor, tmp_path / "wrong", examples, timed=False)
    finally:
        head.flip_order = right
    certificate = certify(tmp_path / "wrong", predictor, examples, timed=False)
    assert not certificate.passed


def test_what_loses_more_than_its_budget_leaves_with_2_and_is_marked(people, tmp_path, monkeypatch, capsys):
    predictor, examples, _ = people
    monkeypatch.setattr("hrtoolkit.export.certificate.RAW_LIMIT", 0.0)
    config = SimpleNamespace(model={})
    monkeypatch.setattr("hrtoolkit.export.data.read_model", lambda *args, **kwargs: (config, None))
    monkeypatch.setattr("hrtoolkit.export.data.load_with_data", lambda *args, **kwargs: (predictor, examples, None))
    with pytest.raises(SystemExit) as ended:
        main(["export", "best.pth", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "DOES NOT HOLD" in capsys.readouterr().out
    assert "heatmaps" in (tmp_path / "out/FAILED").read_text()
    assert json.loads((tmp_path / "out/certificate.json").read_text())["passed"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_network_that_normalises_bytes_by_itself(people, tmp_path):
    predictor, examples, _ = people
    assert export_model(predictor, tmp_path / "out", examples, uint8=True, timed=False).passed
    settings = json.loads((tmp_path / "out/preprocess.json").read_text())
    assert settings["input"]["dtype"] == "uint8"
    image, boxes = next(iter(examples))
    assert_same(load(tmp_path / "out").find(image, boxes), predictor.find(image, boxes))


def test_another_backend_runs_a_checkpoint_and_a_folder(people):
    pytest.importorskip("openvino")
    predictor, examples, folder = people
    image, boxes = next(iter(examples))
    assert_same(load(folder, backend="openvino").find(image, boxes), predictor.find(image, boxes))


def test_weights_are_read_by_backend_too(trained, tmp_path):  # noqa: F811
    config, checkpoint = trained
    if config.val_evaluator.type != "ClassificationMetric":
        pytest.skip("one task will do")
    predictor, examples, _ = load_with_data(checkpoint)
    image, boxes = next(iter(examples))
    assert_same(load(checkpoint, backend="onnxruntime").find(image, boxes), predictor.find(image, boxes))


@pytest.mark.skipif(shutil.which("g++") is None, reason="it is compiled")
def test_a_compiled_package_is_a_program_and_has_to_be_asked_for(people, tmp_path):
    predictor, examples, _ = people
    certificate = export_model(predictor, tmp_path / "out", examples, format="pt2", timed=False)
    assert certificate.passed, certificate.reasons
    image, boxes = next(iter(examples))
    assert_same(load(tmp_path / "out", backend="pt2").find(image, boxes), predictor.find(image, boxes))
    with pytest.raises(OptionError, match="is a program"):
        load(tmp_path / "out")
    with pytest.raises(RuntimeUserError, match="PyTorch"):
        runtime.load(tmp_path / "out")


def test_int8_is_calibrated_and_what_it_keeps_is_told(people, tmp_path):
    predictor, examples, _ = people
    certificate = export_model(predictor, tmp_path / "out", examples, precision="int8", budget=100, timed=False)
    assert certificate.passed and certificate.kept == [] and certificate.calibration == 3
    assert "left in float32: nothing" in (tmp_path / "out/certificate.md").read_text()
    alone = runtime.load(tmp_path / "out")
    image, boxes = next(iter(examples))
    expected = predictor.find(image, boxes)
    assert np.median(np.abs(adopt(alone.find(image, boxes)).points - expected.points)) < 4  # an input is 64 wide


def cut_model(folder):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (cut_model, "cut short or changed"),
        (lambda folder: change_settings(folder, lambda s: s.update(layout=99)), "layout 99"),
        (lambda folder: (folder / "scheme.json").unlink(), "scheme.json: no such file"),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx"),
    ],
)
def test_a_folder_that_is_not_whole_is_named(copied, spoil, text):
    spoil(copied)
    with pytest.raises(RuntimeUserError, match=text):
        runtime.load(copied)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (dict(format="tflite"), OptionError, "onnx, openvino, pt2"),
        (dict(precision="int4"), OptionError, "fp32, fp16, bf16, int8"),
        (dict(format="pt2", precision="int8"), OptionError, "onnx and openvino"),
        (dict(format="onnx", precision="bf16"), OptionError, "no bfloat16"),
    ],
)
def test_what_cannot_be_exported_is_refused_before_anything_is_written(people, tmp_path, options, error, text):
    predictor, examples, _ = people
    with pytest.raises(error, match=text):
        export_model(predictor, tmp_path / "out", examples, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_kept(people, tmp_path):
    predictor, examples, _ = people
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is no export"):
        export_model(predictor, tmp_path / "photos", examples)


def test_a_missing_package_is_named_with_its_extra(people, tmp_path, monkeypatch):
    predictor, examples, _ = people
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"pip install 'hrtoolkit\[onnx\]'"):
        export_model(predictor, tmp_path / "out", examples)


def test_an_export_is_not_exported_again(people):
    with pytest.raises(OptionError, match="is an export already"):
        load_with_data(people[2])


def test_an_export_is_not_changed_by_options(people):
    with pytest.raises(OptionError, match="as it was made; leave out flip"):
        load(people[2], flip=True)


def test_an_image_that_the_graph_cannot_take_is_named(people):
    network = runtime.open_network(people[2])
    with pytest.raises(RuntimeUserError, match=r"takes images \[batch, 3, \d+, \d+\]"):
        network.run(np.zeros((1, 3, 40, 40), np.float32))


def test_without_any_image_there_is_no_export(trained, tmp_path):  # noqa: F811
    config, checkpoint = trained
    if config.val_evaluator.type != "CocoKeypointMetric":
        pytest.skip("one task will do")
    with pytest.raises(UserError, match=r"(?s)--data-root .*--images"):
        load_with_data(checkpoint, data_root=tmp_path / "nowhere")
    with pytest.raises(CheckpointError):
        load_with_data(tmp_path / "nothing.pth")

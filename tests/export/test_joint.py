"""An export of several branches: a network a view, certified by branch, and used in place of a checkpoint."""

import json
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from hrtoolkit import load, runtime
from hrtoolkit.commands import main
from hrtoolkit.engine import test, train
from hrtoolkit.errors import OptionError
from hrtoolkit.export.certificate import adopt, certify, compare_records
from hrtoolkit.export.data import load_joint_with_data, load_with_data
from hrtoolkit.export.keeping import relative_error
from hrtoolkit.export.run import export_joint, export_model
from hrtoolkit.norms import ViewBatchNorm2d
from hrtoolkit.predict import load_joint
from hrtoolkit.runtime.errors import UserError as RuntimeUserError
from hrtoolkit.runtime.network import hash_files
from hrtoolkit.toy import write_coco
from tests.joint import small_config

onnx = pytest.importorskip("onnx")
for package in ("onnxscript", "onnxruntime"):
    pytest.importorskip(package)
test.__test__ = False

BRANCHES = ["boxes", "people", "parts", "pose"]
BOXES = [[20, 30, 120, 200], [60, 10, 200, 220]]


def tell_apart(checkpoint, seed=1):
    """Let a network that has learnt nothing give clear answers, and other statistics in each view."""
    predictor = load_joint(checkpoint, device="cpu")
    model, generator = predictor.model, torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, ViewBatchNorm2d):
            spread = module.running_var.sqrt()
            module.running_mean += 0.3 * spread * torch.randn(spread.shape, generator=generator)
            module.running_var *= 0.7 + 0.6 * torch.rand(spread.shape, generator=generator)
    rpn, (stage,) = model.branches["boxes"].head.rpn.head, model.branches["boxes"].head.stages
    spreads = {rpn.cls_logits: 2.0, rpn.bbox_pred: 0.3, model.branches["pose"].head.final_layer: 1.0}
    spreads |= {stage.box_predictor.cls_score: 2.0, stage.box_predictor.bbox_pred: 1.0}
    spreads |= {model.branches["people"].head.final_layers[0]: 1.0}

    def spread_outputs(layer, inputs, output):
        factor = spreads[layer] / output.std()
        layer.weight.data *= factor
        return output * factor

    hooks = [layer.register_forward_hook(spread_outputs) for layer in spreads]
    next(predictor([np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)], boxes=BOXES))
    for hook in hooks:
        hook.remove()
    stage.box_predictor.cls_score.bias.data[0] += 4.0  # few objects
    content = torch.load(checkpoint)
    torch.save(content | {"state_dict": model.state_dict()}, checkpoint)


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """A config of four branches in two views, a checkpoint, and an export of it with its certificate."""
    folder = tmp_path_factory.mktemp("joint")
    write_coco(folder / "toy", 8, 3)
    make = partial(small_config, folder / "toy")
    config = make({"train_cfg.max_epochs": 1, "optim_wrapper.optimizer.lr": 1e-9}, keep=BRANCHES)
    train(config, folder / "work")
    tell_apart(folder / "work/best.pth")
    predictor, examples, _ = load_joint_with_data(folder / "work/best.pth")
    certificate = export_joint(predictor, folder / "export", examples, timed=False)
    return make({"train_cfg.max_epochs": 1}, keep=BRANCHES), folder, certificate


@pytest.fixture
def pictures(joint):
    return sorted((joint[1] / "toy/val2017").iterdir())


def assert_near(record, expected, moving=False):
    """Records are the same but for the last digits.

    Random heatmaps have equal peaks here and there, and crops of boxes that move by a digit other pixels (`moving`).
    """
    found = compare_records([expected], [adopt(record)])
    assert found.get("compared", 1) and not found.get("found_by_one_alone")
    assert found.get("largest_change_of_a_score", 0) < (0.1 if moving else 1e-3)
    if not moving:
        assert found.get("moved", 0) < 0.1 and found.get("changed_pixels", 0) == 0
        assert found.get("changed_masks", 0) < 0.002


def run(*words):
    """A command, and its exit status."""
    with pytest.raises(SystemExit) as leaving:
        main([str(word) for word in words])
    return leaving.value.code


def test_it_holds_and_has_the_backbone_once_a_view(joint):
    _, folder, certificate = joint
    assert certificate.passed, certificate.reasons
    assert list(certificate.branches) == BRANCHES
    assert all(one.metric["loss"] == 0 for one in certificate.branches.values())
    export = folder / "export"
    told = json.loads((export / "joint.json").read_text())
    assert told["views"] == {"whole": ["boxes", "people", "parts"], "pose": ["pose"]} and told["detector"] == "boxes"
    convolutions = {}
    for view in told["views"]:
        graph = onnx.load(export / view / "model.onnx").graph
        names = [node.name for node in graph.node if node.op_type == "Conv"]
        convolutions[view] = [name for name in names if name.startswith("backbone.")]
        assert all(name.endswith("/Conv") for name in convolutions[view])  # a second run would be Conv_2
    assert set(convolutions["pose"]) < set(convolutions["whole"])  # pose reads the finest map alone
    text = (export / "certificate.md").read_text()
    assert "The backbone exists once for each view: whole (boxes, people, parts); pose (pose)." in text
    size = (export / "pose/model.onnx").stat().st_size
    assert f"| pose/model.onnx | {size / 2**20:.2f} |" in text and "| together | " in text


@pytest.mark.parametrize("boxes", [BOXES, None], ids=["given", "found"])
def test_all_ways_to_read_it_give_what_pytorch_gives(joint, pictures, boxes):
    folder = joint[1]
    mine = load_joint(folder / "work/best.pth", device="cpu")
    folded = load_joint(folder / "work/best.pth", device="cpu", folded=True)
    assert not any(isinstance(module, ViewBatchNorm2d) for module in folded.model.modules())
    inside, alone = load_joint(folder / "export"), runtime.load_joint(folder / "export")
    looked_into = 0
    for picture in pictures:
        (expected,) = mine(picture, boxes=boxes)
        assert list(expected) == BRANCHES
        looked_into += len(expected["pose"].record.labels)
        for predictor in (folded, inside, alone):
            (found,) = predictor(picture, boxes=boxes)
            assert list(found) == BRANCHES
            for name in BRANCHES:
                assert_near(found[name].record, expected[name].record, moving=name == "pose" and boxes is None)
    assert looked_into


def test_each_branch_is_read_by_itself(joint, pictures):
    folder = joint[1]
    for name in BRANCHES:
        boxes = BOXES if name == "pose" else None
        expected = load(folder / "work/best.pth", branch=name, device="cpu")
        inside, alone = (one(folder / "export", branch=name) for one in (load, runtime.load))
        record = next(expected(pictures[0], boxes=boxes)).record
        assert_near(next(inside(pictures[0], boxes=boxes)).record, record)
        assert_near(next(alone(pictures[0], boxes=boxes)).record, record)


def test_commands_take_it_in_place_of_the_checkpoint(joint, pictures, tmp_path):
    config, folder, _ = joint
    for name, model in (("mine", folder / "work/best.pth"), ("theirs", folder / "export")):
        assert run("predict", model, pictures[0].parent, "--out", tmp_path / name) == 0
    for name in BRANCHES:
        mine, theirs = (
            [json.loads(line) for line in (tmp_path / one / name / "predictions.jsonl").read_text().splitlines()]
            for one in ("mine", "theirs")
        )
        assert len(mine) == 3 and [one["source"] for one in mine] == [one["source"] for one in theirs]
        assert len(list((tmp_path / "theirs" / name / "pictures").iterdir())) == 3
    numbers = test(config, folder / "work/best.pth")
    assert test(config, folder / "export") == pytest.approx(numbers, abs=1e-6)


def test_its_example_prints_what_each_branch_found(joint, pictures, tmp_path):
    words = ["predict.py", str(pictures[0]), "--out", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, *words], cwd=joint[1] / "export", env={}, capture_output=True, text=True, check=True
    )
    assert list(json.loads(ran.stdout)) == BRANCHES
    for name in BRANCHES:
        assert len(list((tmp_path / name).glob("*.png"))) == 1


def test_a_branch_that_does_not_hold_is_named_and_fails_the_export(joint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hrtoolkit.export.certificate.SPEED_SECONDS", 0)
    monkeypatch.setattr("hrtoolkit.export.certificate.RAW_LIMIT", 0.0)
    assert run("export", joint[1] / "work/best.pth", "--out", tmp_path / "out", "--branch", "parts", "pose") == 2
    printed = capsys.readouterr().out
    assert "# Certificate: onnx, fp32, DOES NOT HOLD" in printed and "network of whole, batch 1" in printed
    assert "parts: parts.logits differs by" in (tmp_path / "out/FAILED").read_text()
    assert json.loads((tmp_path / "out/certificate.json").read_text())["passed"] is False


@pytest.mark.parametrize("spoilt", ["parts", "people"])
def test_a_spoilt_branch_is_found_out_and_the_others_hold(joint, tmp_path, spoilt):
    copied = shutil.copytree(joint[1] / "export/whole", tmp_path / "whole")
    model = onnx.load(copied / "model.onnx")
    final = [n for n in model.graph.node if n.op_type == "Conv" and n.name.startswith(f"branches.{spoilt}.")][-1]
    (bias,) = (one for one in model.graph.initializer if one.name == final.input[2])
    values = onnx.numpy_helper.to_array(bias).copy()
    values[-1] += 3  # the tags of the last joint, or the last class
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    onnx.save(model, copied / "model.onnx")
    settings = json.loads((copied / "preprocess.json").read_text())
    settings["sha256"] = hash_files([copied / "model.onnx"])
    (copied / "preprocess.json").write_text(json.dumps(settings))
    predictor, examples, _ = load_joint_with_data(joint[1] / "work/best.pth")
    passed = {
        name: certify(copied, predictor.branches[name], examples[name], timed=False).passed
        for name in ("boxes", "people", "parts")
    }
    assert passed == {name: name != spoilt for name in passed}


def test_int8_is_calibrated_on_what_all_branches_see(joint, pictures, tmp_path):
    predictor, examples, others = load_joint_with_data(
        joint[1] / "work/best.pth", branches=["parts", "pose"], calibration=6
    )
    certificate = export_joint(
        predictor, tmp_path / "out", examples, precision="int8", calibration=others, budget=100, timed=False
    )
    assert certificate.passed, certificate.reasons
    assert certificate.branches["parts"].calibration == 6
    assert sum(certificate.files.values()) < sum(size for name, size in joint[2].files.items())
    found = next(runtime.load_joint(tmp_path / "out")(pictures[0], boxes=BOXES))
    assert found["pose"].record.points.shape == (2, 17, 2)


def test_openvino_reads_several_branches_of_one_graph(joint, tmp_path):
    pytest.importorskip("openvino")
    predictor, examples, _ = load_joint_with_data(joint[1] / "work/best.pth", branches=["parts", "pose"])
    certificate = export_joint(predictor, tmp_path / "out", examples, format="openvino", uint8=True, timed=False)
    assert certificate.passed, certificate.reasons
    assert {"whole/model.xml", "whole/model.bin"} <= set(certificate.files)


def test_another_backend_runs_all_branches_of_a_checkpoint(joint, pictures, tmp_path):
    words = ["--backend", "onnxruntime", "--no-pictures"]
    assert run("predict", joint[1] / "work/best.pth", pictures[0], "--out", tmp_path / "out", *words) == 0
    assert all((tmp_path / "out" / name / "predictions.jsonl").read_text() for name in BRANCHES)


def test_what_cannot_be_exported_is_named_with_its_branch(joint, tmp_path):
    predictor, examples, _ = load_joint_with_data(joint[1] / "work/best.pth")

    class Tiles(nn.Module):
        pass

    def nothing():
        raise NotImplementedError("Head has no reading, which exporting needs")

    predictor.model.branches["parts"].inference = Tiles()
    predictor.model.branches["pose"].head.reading = nothing
    text = r"(?s)parts: Tiles runs .*model.branches.parts.inference=None.*pose: Head has no.*: --branch boxes people$"
    with pytest.raises(OptionError, match=text):
        export_joint(predictor, tmp_path / "out", examples)
    with pytest.raises(OptionError, match="format is 'tflite'"):
        export_joint(predictor, tmp_path / "out", examples, format="tflite")
    assert not list(tmp_path.iterdir())


def test_views_that_are_no_names_of_folders_are_refused(joint, tmp_path):
    predictor, examples, _ = load_joint_with_data(joint[1] / "work/best.pth")
    predictor.model.looks["parts"] = "../parts"
    with pytest.raises(OptionError, match=r"'../parts' is to be a folder's name"):
        export_joint(predictor, tmp_path / "out", examples)


def test_who_asks_for_the_wrong_branch_is_told_which_there_are(joint, tmp_path):
    config, folder, _ = joint
    export = folder / "export"
    for loading in (load, runtime.load):
        with pytest.raises(RuntimeUserError, match=r"name one of .*branches \(boxes, people, parts, pose\) by branch="):
            loading(export)
    with pytest.raises(RuntimeUserError, match=r"\(boxes, people, parts, pose\), got 'depth'"):
        runtime.load(export, branch="depth")
    with pytest.raises(RuntimeUserError, match=r"looks at whole pictures \(boxes, people, parts\), got 'pose'"):
        runtime.load_joint(export, detector="pose")
    with pytest.raises(OptionError, match=r"name one of the model's branches .* got 'depth'"):
        load_joint_with_data(folder / "work/best.pth", branches=["depth", "boxes"])
    shutil.copytree(export, tmp_path / "less")
    told = json.loads((export / "joint.json").read_text())
    (tmp_path / "less/joint.json").write_text(json.dumps(told | {"views": {"whole": ["boxes", "people", "parts"]}}))
    with pytest.raises(OptionError, match=r"is an export of boxes, people, parts, and the model also has pose"):
        test(config, tmp_path / "less")
    assert list(load_joint(tmp_path / "less").branches) == ["boxes", "people", "parts"]
    for views in ({"../whole": ["boxes"]}, {"whole": []}, ["whole"]):
        (tmp_path / "less/joint.json").write_text(json.dumps(told | {"views": views}))
        with pytest.raises(RuntimeUserError, match="its views make no sense"):
            runtime.load_joint(tmp_path / "less")


def test_an_export_of_one_branch_needs_no_name(joint, pictures, tmp_path):
    predictor, examples, _ = load_with_data(joint[1] / "work/best.pth", branch="parts")
    assert export_model(predictor, tmp_path / "out", examples, timed=False).passed
    expected = predictor.find(next(iter(examples))[0])
    assert_near(load(tmp_path / "out").find(next(iter(examples))[0]), expected)
    assert run("predict", tmp_path / "out", pictures[0], "--out", tmp_path / "found") == 0
    with pytest.raises(RuntimeUserError, match="an export of one branch: use load"):
        runtime.load_joint(tmp_path / "out")


def test_the_worst_branch_tells_the_error_of_a_network():
    expected = [{"a.logits": np.ones(4), "a.labels": np.ones(4), "b.points": np.ones(4), "b.heatmaps": np.ones(4)}]
    outputs = [expected[0] | {"a.labels": np.zeros(4), "b.heatmaps": np.full(4, 1.5)}]
    assert relative_error(outputs, expected) == 0.5

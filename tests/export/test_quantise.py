from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from hrtoolkit.errors import UserError
from hrtoolkit.export.extras import errors_only, import_extra, without_telemetry
from hrtoolkit.export.keeping import relative_error
from hrtoolkit.export.quantise import Int8, OnnxInt8, OpenVinoInt8, group_of

onnx = pytest.importorskip("onnx")
for name in ("onnxruntime", "openvino", "nncf"):
    pytest.importorskip(name)

from tests.export.networks import network_inputs, write_network  # noqa: E402  (reads onnx)

INPUTS = network_inputs(12)


@pytest.fixture(scope="module", params=[OnnxInt8, OpenVinoInt8])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Int8:
    return request.param(write_network(tmp_path_factory.mktemp("int8") / "model.onnx"), INPUTS)


def int8_weights(path: Path) -> list[np.ndarray]:
    if path.suffix == ".onnx":
        tensors = [onnx.numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer]
    else:
        import openvino

        model = openvino.Core().read_model(path)
        tensors = [op.get_data() for op in model.get_ops() if op.get_type_name() == "Constant"]
    return [one for one in tensors if one.dtype == np.int8 and one.ndim == 4]


@pytest.mark.parametrize(
    ("node", "group"),
    [
        ("backbone.conv1/Conv", "backbone.stem"),
        ("backbone.relu/Relu_1", "backbone.stem"),
        ("backbone.layer1.0.downsample.0/Conv", "backbone.layer1"),
        ("backbone.transition2.2.0.0/Conv", "backbone.transition2"),
        ("backbone.stage3.1.branches.0.2.conv1/Conv/WithoutBiases", "backbone.stage3.1.branches"),
        ("backbone.stage3.1.fuse_layers.0.1.0/Conv", "backbone.stage3.1.exchange"),
        ("backbone.stage3.1.upsample/Resize", "backbone.stage3.1.exchange"),
        ("backbone.stage3.1/Add", "backbone.stage3.1.exchange"),
        ("backbone.net.stage4.2/Add_3", "backbone.net.stage4.2.exchange"),
        ("neck.reduction_conv.0/Conv", "neck"),
        ("neck/Concat", "neck"),
        ("head.final_layer/Conv", "head"),
        ("branches.pose.head.final_layer/Conv", "branches.pose.head"),
        ("decode/Mul", None),
        ("heads/Mul", None),
        ("Multiply_4711", None),
        ("", None),
    ],
)
def test_nodes_belong_to_parts_of_the_network(node, group):
    assert group_of(node) == group


def test_int8_stays_near_float32(network, tmp_path):
    path = tmp_path / f"model{network.suffix}"
    network.write(path)
    error = relative_error(network.run(path, INPUTS), network.run(network.model, INPUTS))
    assert 1e-4 < error < 0.03
    weights = int8_weights(path)
    # Of the convolutions but the last: heatmaps are not rounded. Seven bits, so that no CPU overflows.
    assert sorted(one.shape[1] for one in weights) == [3, 8]
    assert all(np.abs(one.astype(int)).max() in (63, 64) for one in weights)


def test_what_decodes_is_not_quantised(network, tmp_path):
    path = tmp_path / f"model{network.suffix}"
    network.write(path)
    for outputs in network.run(path, INPUTS):
        np.testing.assert_allclose(outputs["points"], outputs["heatmaps"] ** 2, rtol=1e-5)


def test_groups_go_back_to_float32(network, tmp_path):
    assert network.groups == ["backbone.stem", "backbone.stage2.0.branches"]
    path, expected = tmp_path / f"model{network.suffix}", network.run(network.model, INPUTS)
    network.write(path, ["backbone.stage2.0.branches"])
    assert [one.shape[1] for one in int8_weights(path)] == [3]
    some = relative_error(network.run(path, INPUTS), expected)
    network.write(path, network.groups)
    assert int8_weights(path) == []
    assert relative_error(network.run(path, INPUTS), expected) < 1e-6 < some
    network.write(path)  # what was written before is forgotten
    assert len(int8_weights(path)) == 2


def test_what_takes_long_tells_how_far_it_is(tmp_path, caplog):
    with caplog.at_level("INFO", logger="hrtoolkit"):
        OnnxInt8(write_network(tmp_path / "model.onnx"), network_inputs(41))
    assert caplog.messages[-3:] == ["taking the ranges for int8 from 41 inputs", "20 of 41 inputs", "40 of 41 inputs"]


@pytest.mark.parametrize("kind", [OnnxInt8, OpenVinoInt8])
def test_ranges_need_inputs(kind, tmp_path):
    with pytest.raises(UserError, match=r"there are none: give --data-root"):
        kind(tmp_path / "model.onnx", [])


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UserError, match=r"nncf cannot be imported .*pip install 'hrtoolkit\[openvino\]'"):
        import_extra("nncf", "openvino")


def test_nobody_is_told(monkeypatch):
    telemetry = pytest.importorskip("openvino_telemetry.utils.opt_in_checker")
    monkeypatch.setenv("CI", "false")
    monkeypatch.delenv("NNCF_CI", raising=False)
    asked = telemetry.OptInChecker()
    assert not asked._run_in_ci()
    with without_telemetry():
        assert asked._run_in_ci() and os.environ["NNCF_CI"]
    assert os.environ["CI"] == "false" and "NNCF_CI" not in os.environ


def test_others_talk_as_before():
    logger = logging.getLogger("nncf")
    logger.setLevel(logging.INFO)
    with errors_only("nncf"):
        assert not logger.isEnabledFor(logging.WARNING)
    assert logger.level == logging.INFO

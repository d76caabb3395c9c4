"""rtmlib's class for heatmaps (ViTPose) runs our files of UDP networks: the raw output stands first."""

import json

import cv2
import numpy as np
import pytest
import torch

from hrtoolkit.keypoints.codecs import UDPHeatmap
from hrtoolkit.runtime import load

from .exporting import settings_of, small_model, write_folder

COLORS = (("red", (90, 60)), ("green", (150, 110)), ("blue", (60, 160)))  # and where they are, x and y


@pytest.fixture
def folder(tmp_path):
    """A network whose heatmaps are the red, the green and the blue of its input, on UDP's grid."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    scheme = dict(names=[name for name, _ in COLORS], sigmas=[0.1] * 3)
    model = small_model("pose/hrnet_w32_coco_udp", scheme=scheme)
    settings = settings_of(model, ["heatmaps"])
    settings["input"] |= dict(mean=[0, 0, 0], std=[255, 255, 255])
    width, height = settings["view"]["input_size"]
    sizes = onnx.numpy_helper.from_array(np.array([1, 3, height // 4, width // 4], np.int64), "sizes")
    node = onnx.helper.make_node(
        *("Resize", ["images", "", "", "sizes"], ["heatmaps"]),
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )
    given = onnx.helper.make_tensor_value_info("images", 1, [1, 3, height, width])
    found = onnx.helper.make_tensor_value_info("heatmaps", 1, None)
    graph = onnx.helper.make_graph([node], "colors", [given], [found], [sizes])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    write_folder(tmp_path / "made", settings, model.head.scheme, made.SerializeToString())
    return tmp_path / "made"


@pytest.fixture
def picture():
    """Three blobs, each of one color; RGB."""
    y, x = np.mgrid[:220, :200]
    blobs = [np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 9**2)) for _, at in COLORS]
    return np.rint(255 * np.stack(blobs, axis=2)).astype(np.uint8)


def test_points_lie_where_they_are_by_rtmlib_and_by_us(folder, picture):
    rtmlib = pytest.importorskip("rtmlib")
    settings = json.loads((folder / "preprocess.json").read_text())
    given, box = settings["input"], [20.0, 10.0, 180.0, 210.0]
    network = rtmlib.ViTPose(
        str(folder / "model.onnx"),
        model_input_size=tuple(settings["view"]["input_size"]),
        mean=given["mean"],
        std=given["std"],
        backend="onnxruntime",
    )
    true = np.array([at for _, at in COLORS])
    points, scores = network(picture, [box])
    # Its crops are cut by another convention than UDP's: a part in a few hundred is lost towards the border.
    assert np.abs(points[0] - true).max() < 1 and scores.min() > 0.9
    predictor = load(folder)
    look = predictor.view.look(picture, np.array(box), 1.0)
    heatmaps = predictor.network.run(np.float32(look.pixels / 255).transpose(2, 0, 1)[None])["heatmaps"]
    cells, _ = UDPHeatmap().decode(torch.from_numpy(heatmaps), 4)
    back = cv2.invertAffineTransform(look.matrix)
    ours = cells[0].numpy() @ back[:, :2].T + back[:, 2]
    assert np.abs(ours - true).max() < 0.2
    # With its colors the other way round, red is taken for blue.
    exchanged = network(np.ascontiguousarray(picture[..., ::-1]), [box])[0][0]
    assert np.linalg.norm(exchanged - true, axis=1)[[0, 2]].min() > 50

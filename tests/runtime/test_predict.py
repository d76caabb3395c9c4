"""The example that lies in every exported folder, run where there is nothing of hrtoolkit but the copy beside it."""

import json
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from .exporting import settings_of, small_model, write_folder
from .test_alone import EXAMPLE, FOLDER, REFUSE

PICTURE = np.full((40, 60, 3), (10, 200, 30), np.uint8)


def write_graph(folder, model, outputs, nodes, shape):
    """A folder whose network is a few nodes from images to its outputs, with the runtime's copy and the example."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    given = onnx.helper.make_tensor_value_info("images", 1, shape)
    found = [onnx.helper.make_tensor_value_info(name, 1, None) for name in outputs]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(*one[:-1], **one[-1]) for one in nodes], "few", [given], found
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    write_folder(folder, settings_of(model, outputs), model.head.scheme, made.SerializeToString())
    shutil.copytree(FOLDER, folder / "hrtoolkit_runtime", ignore=shutil.ignore_patterns("__pycache__", EXAMPLE))
    shutil.copy(FOLDER / EXAMPLE, folder / EXAMPLE)


def run(folder, *arguments):
    code = f"{REFUSE}\nsys.argv[0] = {EXAMPLE!r}\nimport runpy\nrunpy.run_path({EXAMPLE!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_classes_of_pictures(tmp_path):
    model = small_model("classification/hrnet_toy", scheme=["red", "green", "blue"])
    nodes = [
        (*("ReduceMean", ["images"], ["means"]), dict(axes=[2, 3], keepdims=0)),
        (*("Softmax", ["means"], ["scores"]), dict(axis=1)),
    ]
    write_graph(tmp_path / "made", model, ["scores"], nodes, ["batch", 3, "height", "width"])
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE[..., ::-1])
    (tmp_path / "b.png").write_bytes(b"nothing")
    code, found, told = run(tmp_path / "made", tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "drawn")
    assert code == 1 and "b.png: not a readable image" in told
    assert len(found) == 1 and next(iter(found[0]["classes"])) == "green"
    (drawn,) = (tmp_path / "drawn").iterdir()
    assert drawn.name.endswith("a.png.png") and cv2.imread(str(drawn)) is not None
    code, found, told = run(tmp_path / "made", tmp_path / "a.png", "--boxes", "whole")
    assert code == 1 and not found and "this one looks at whole pictures" in told


def test_points_of_people(tmp_path):
    model = small_model("pose/hrnet_toy")
    width, height = model.branch().view.input_size
    nodes = [
        (*("Constant", [], ["at"]), dict(value_floats=[width / 2 - 0.5, height / 2 - 0.5] * 17)),
        (*("Constant", [], ["shape"]), dict(value_ints=[1, 17, 2])),
        (*("Reshape", ["at", "shape"], ["points"]), {}),
        (*("ReduceMax", ["points"], ["scores"]), dict(axes=[2], keepdims=0)),
    ]
    write_graph(tmp_path / "made", model, ["points", "scores"], nodes, ["batch", 3, height, width])
    cv2.imwrite(str(tmp_path / "a.png"), PICTURE)
    code, found, told = run(tmp_path / "made", tmp_path / "a.png")
    assert code == 0 and "looking at whole pictures: --boxes or --detector" in told
    (person,) = found[0]["objects"]
    assert person["box_xyxy"] == [0, 0, 60, 40] and person["keypoints"]["nose"][:2] == pytest.approx([30, 20], abs=0.6)
    (tmp_path / "boxes.json").write_text('{"a.png": [[10, 10, 30, 30]]}')
    code, found, told = run(tmp_path / "made", tmp_path / "a.png", "--boxes", tmp_path / "boxes.json")
    assert code == 0 and not told and found[0]["objects"][0]["box_xyxy"] == [10, 10, 30, 30]
    code, found, told = run(tmp_path / "made", tmp_path / "a.png", "--detector", "gone.onnx")
    assert code == 1 and "gone.onnx: no such file; YuNet's" in told

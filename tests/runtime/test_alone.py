"""The runtime is by itself: it imports NumPy, OpenCV and what runs the model, and a copy of it works elsewhere."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hrtoolkit import runtime

FOLDER = Path(runtime.__file__).parent
EXAMPLE = "predict.py"  # stands beside the copy, and imports it by its name
FILES = [path for path in sorted(FOLDER.glob("*.py")) if path.name != EXAMPLE]
FOREIGN = ("torch", "hrtoolkit", "scipy", "PIL", "pycocotools", "matplotlib", "mmengine", "rich", "timm", "onnx")
REFUSE = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {FOREIGN!r}:
            raise ImportError(f"the runtime imports {{name}}")

sys.meta_path.insert(0, Refuse())
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_import_little(path):
    allowed = {*sys.stdlib_module_names, "numpy", "cv2"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        assert {name.split(".")[0] for name in names} <= allowed, path


def test_a_copy_works_under_another_name_and_imports_nothing_else(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "hrtoolkit_runtime")
    modules = [f"hrtoolkit_runtime.{path.stem}" for path in FILES]
    code = f"{REFUSE}\nimport importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    code += "from hrtoolkit_runtime import Network, Prediction, Predictor, Source, load, open_network"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_errors_come_without_numpy():
    code = "import sys, hrtoolkit.errors; print(sorted({'numpy', 'cv2', 'torch'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_names_that_are_not_there_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        runtime.lod  # noqa: B018

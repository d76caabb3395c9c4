"""Real exports, compared with what was read from them by hand, where HRTOOLKIT_TEST_DATA has them."""

import importlib.util
import json
import os
import shutil
from pathlib import Path

import pytest

from hrtoolkit.errors import DataError
from hrtoolkit.importers import import_annotations

ROOT = Path(os.environ.get("HRTOOLKIT_TEST_DATA", "nowhere"), "imports")
EXAMPLES = sorted(path.parent for path in ROOT.glob("*/*/expected.json"))


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("check_imports", ROOT / "check_imports.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not EXAMPLES, reason="HRTOOLKIT_TEST_DATA has no exports")
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_real_exports_are_read_as_by_hand(folder, checker, tmp_path):
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    source = shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("expected.json"))
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    try:
        import_annotations(source, tmp_path / "out")
    except DataError:
        assert expected.get("clear_error_is_right")
    else:
        assert checker.compare(tmp_path / "out", expected, 1e-3) == []
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before, "sources stay as they are"

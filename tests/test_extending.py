"""docs/extending.md is run as it stands."""

import contextlib
import csv
import io
import re
import sys

import cv2
import numpy as np
import pytest

from hrtoolkit.config import load_config
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.browse import browse
from hrtoolkit.engine.check_data import check_data

from .conftest import REPOSITORY

BLOCKS = re.findall(r"```(\w*)\n(.*?)```", (REPOSITORY / "docs" / "extending.md").read_text(), re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The two files of the page, and pictures of leaves."""
    parts, config, _ = PYTHON
    (tmp_path / "leaves.py").write_text(parts)
    (tmp_path / "leaves_config.py").write_text(config)
    (tmp_path / "leaves").mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        with (tmp_path / "leaves" / f"{split}.csv").open("w", newline="") as file:
            for number in range(8):
                name, image = f"{split}{number}.png", np.full((80, 100, 3), 240, np.uint8)
                tip, stem = rng.integers(20, 60, (2, 2)).tolist()
                cv2.line(image, tip, stem, (40, 160, 40), 3)
                cv2.imwrite(str(tmp_path / "leaves" / name), image)
                csv.writer(file).writerow([name, *tip, *stem])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("leaves", None)


def test_the_parts_of_the_page_train_are_tested_checked_and_drawn(folder):
    metrics = train(load_config("leaves_config.py"), folder / "work")
    assert (folder / "work" / "pictures" / "epoch_002.jpg").exists()
    tested = run_test(load_config("leaves_config.py"), folder / "work" / "best.pth")
    assert tested["distance"] == metrics["distance"] > 0
    assert {finding.level for finding in check_data(load_config("leaves_config.py"))[1]} <= {"note"}
    sheet, shown, total = browse(load_config("leaves_config.py"), count=4)
    assert (shown, total) == (4, 8) and sheet.ndim == 3
    namespace, printed = {"torch": __import__("torch")}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(PYTHON[2], namespace)
    expected = next(code for language, code in BLOCKS if not language and code.startswith("{"))
    assert printed.getvalue() == expected

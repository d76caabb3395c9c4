"""Exports of labelling tools, written into a temporary folder."""

import json

import cv2
import numpy as np
import pytest


@pytest.fixture
def export(tmp_path):
    """A folder, and a function that puts pictures and files into it."""

    class Export:
        folder = tmp_path / "export"
        out = tmp_path / "out"

        def picture(self, name, width=64, height=48):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((height, width, 3), 128, np.uint8))
            return path

        def write(self, name, content):
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
            return path

        def read(self, name="annotations"):
            return json.loads((self.out / f"{name}.json").read_text())

    Export.folder.mkdir()
    return Export()

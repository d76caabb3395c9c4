"""Predictions on a screen, where there is one."""

import cv2
import numpy as np
import pytest

from hrtoolkit.errors import UserError
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source
from hrtoolkit.predict.window import TITLE, open_window
from hrtoolkit.records import Category
from hrtoolkit.schemes import ClassScheme

IMAGE = np.full((20, 30, 3), (200, 10, 10), np.uint8)


def test_a_prediction_is_shown_and_a_key_stops(monkeypatch):
    shown, keys = [], [-1, ord("q")]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: shown.append(title))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: keys.pop(0))
    one = Prediction(Source("a.jpg"), Category(1, np.array([0.1, 0.9])), ClassScheme(("cat", "dog")), IMAGE)
    show = open_window()
    show(one)
    assert shown[0] == TITLE and (shown[1][..., ::-1] == one.draw()).all()  # OpenCV shows BGR
    with pytest.raises(KeyboardInterrupt):
        show(one)


def test_without_a_screen_it_is_one_sentence(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(UserError, match="needs a screen"):
        open_window()

    def refuse(*_):
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", refuse)
    with pytest.raises(UserError, match="an OpenCV with windows"):
        open_window()

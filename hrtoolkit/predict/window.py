"""A window that shows what is predicted, as it comes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import cv2

from hrtoolkit.errors import UserError
from hrtoolkit.predict.prediction import Prediction

TITLE = "hrtoolkit"
STOP_KEYS = (ord("q"), 27)  # 27 is Escape


def open_window() -> Callable[[Prediction], None]:
    """Open a window, and give the function that shows a prediction in it; q or Escape stop the run as Ctrl-C does.

    Raises:
        UserError: there is no screen, or this OpenCV cannot open windows.
    """
    # Without a screen OpenCV's Qt ends the process, and nothing can be caught.
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--show needs a screen, and there is none here; leave it out and look at what --out has")
    try:
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    except cv2.error:
        raise UserError("--show needs an OpenCV with windows: pip install opencv-python (not -headless)") from None

    def show(prediction: Prediction) -> None:
        cv2.imshow(TITLE, cv2.cvtColor(prediction.draw(), cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) & 0xFF in STOP_KEYS:
            raise KeyboardInterrupt

    return show

"""What several tests of bottom-up pose need."""

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def pictures():
    """RGB pictures of several sizes."""
    rng = np.random.default_rng(0)
    sizes = [(120, 160), (160, 120), (90, 91), (64, 200)]
    return [cv2.GaussianBlur(rng.integers(0, 256, (*size, 3), dtype=np.uint8), (0, 0), 2) for size in sizes]

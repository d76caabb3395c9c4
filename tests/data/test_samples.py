"""Reading the images of any data set."""

import numpy as np
import pytest
from PIL import Image

from hrtoolkit.errors import DataError
from hrtoolkit.samples import BaseSamples, Images, Inputs
from hrtoolkit.views import BaseView


class Pictures(BaseSamples):
    """One image whose annotated size is given."""

    def __init__(self, path, size):
        self.images = Images(np.array([str(path).encode()]), np.array([7]), np.array([size]))


@pytest.mark.parametrize("size", [(60, 40), (0, 0), (np.nan, 40), (60.0, 40.0)])
def test_an_image_of_the_annotated_size_is_read(tmp_path, size):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    assert Inputs(Pictures(tmp_path / "a.png", size), BaseView(), None).read(0).shape == (40, 60, 3)


@pytest.mark.parametrize("size", [(40, 60), (120, 80), (60, 41)])
def test_an_image_of_another_size_than_annotated_is_one_error_with_both(tmp_path, size):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    said = rf"a\.png: the image is of another size .*: 60 x 40, annotated {size[0]} x {size[1]}\)"
    with pytest.raises(DataError, match=said):
        Inputs(Pictures(tmp_path / "a.png", size), BaseView(), None).read(0)


def test_a_caption_names_the_file_without_its_folders():
    images = Images(np.array([b"/data/faces/a b.png", b""]), np.array([3, 7]), np.zeros((2, 2)))
    assert [images.caption(0), images.caption(1)] == ["a b.png", "image 7"]

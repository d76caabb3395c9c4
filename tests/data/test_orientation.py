"""Images whose EXIF orientation turns them are read as they were annotated, in every task whose annotations tell."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hrtoolkit.tasks.segmentation  # noqa: F401 (registers its parts)
from hrtoolkit.data.images import read_image
from hrtoolkit.engine.assembly import tell_samples
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.check_data import check_data
from tests.detection.conftest import objects_folder  # noqa: F401 (a fixture)
from tests.detection.test_run import make_config as objects_config
from tests.engine.test_run import make_config as people_config
from tests.segmentation.conftest import label_folder  # noqa: F401 (a fixture)
from tests.segmentation.test_run import make_config as labels_config

# By which tag a viewer shows the original again of what numpy has turned.
TURNS = {6: lambda image: np.rot90(image), 8: lambda image: np.rot90(image, -1), 5: lambda image: image.swapaxes(0, 1)}


@pytest.fixture(params=["pose", "detection", "segmentation"])
def config(request):
    if request.param == "pose":
        return people_config(request.getfixturevalue("coco_folder"))
    if request.param == "detection":
        return objects_config(request.getfixturevalue("objects_folder"))
    return labels_config(request.getfixturevalue("label_folder"))


def turn(path: Path, orientation: int) -> None:
    """Store an image turned, without a loss, so that by its orientation a viewer shows it as before."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(TURNS[orientation](read_image(path))).save(path, format="PNG", exif=exif)


def read_all(config):
    samples = tell_samples(check_config(config), "train", None)
    paths = [Path(path.decode()) for path in samples.images.paths.tolist()]
    for number in range(len(samples)):
        samples.truth(number)  # alone: a label map of another size than its image is refused
    return paths, [samples.read(number) for number in range(len(samples))]


def notes(config):
    return [str(one) for one in check_data(config)[1] if "orientation" in str(one)]


@pytest.mark.parametrize("orientation", TURNS)
def test_training_sees_what_was_annotated(config, orientation):
    paths, images = read_all(config)
    assert not notes(config) and images[0].shape[0] != images[0].shape[1]
    for path in paths:
        turn(path, orientation)
    assert read_image(paths[0]).shape[:2] == images[0].shape[1::-1] and len(set(paths)) == len(paths)
    _, again = read_all(config)
    for image, other in zip(images, again, strict=True):
        np.testing.assert_array_equal(image, other)
    found = notes(config)
    assert found and all(one.startswith("note") and f"orientation {orientation}" in one for one in found)
    stops = [one for one in check_data(config)[1] if one.level == "stop"]
    assert not any("size" in one.what or "labels" in one.what for one in stops)

"""What the check accepts is built, and what cannot work together is refused before a run."""

import subprocess
import sys

import pytest

from hrtoolkit import build_model
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import UserError
from hrtoolkit.keypoints.head import HeatmapHead

from .engine.test_run import make_config


def build(config, names=("val",)):
    load_config(config)  # imports what the config names
    return Run.build(config, check_config(config), names)


def test_building_leaves_the_config_as_it_was_and_gives_a_resolved_one(coco_folder):
    config = make_config(coco_folder)
    config.model.head.scheme = None
    run = build(config)
    assert config.model.head.scheme is None
    assert list(run.config.model.head.scheme["names"]) == list(run.model.head.scheme.names)
    assert run.samples["val"].scheme.classes.names == ("person",)


def test_people_are_not_for_a_head_of_label_maps(coco_folder):
    config = make_config(coco_folder)
    config.custom_imports.imports.append("hrtoolkit.tasks.segmentation")
    config.model.head = dict(type="SegmentationHead", scheme="camvid")
    with pytest.raises(UserError, match=r"people.json: .*there are classes \(sky, .*\), but this is for keypoints"):
        build(config)


def test_a_codec_says_to_its_view_how_to_crop_and_a_view_that_cannot_is_refused(coco_folder):
    config = make_config(coco_folder)
    assert not build(config).model.branch().view.unbiased
    config.model.head.codec = dict(type="UDPHeatmap")
    assert build(config).model.branch().view.unbiased
    config.custom_imports.imports.append("hrtoolkit.tasks.segmentation")
    config.model.view = dict(type="WholeImage")
    config.train_dataloader.augmentation = None
    with pytest.raises(ConfigError, match="the head needs a view with unbiased=True; WholeImage has no such"):
        build(config)


def test_a_flip_test_that_a_head_does_not_have_is_refused_before_the_run():
    config = load_config("detection/faster_rcnn_toy", ["model.flip_test=True"])
    with pytest.raises(ConfigError, match=r"FasterRCNNHead has no flip test.*leave out --flip"):
        build_model(config)


def test_schemes_do_not_depend_on_what_was_imported_first():
    code = (
        "from hrtoolkit.schemes import KeypointScheme, resolve_scheme\n"
        "names = resolve_scheme('coco', KeypointScheme).names\n"
        "assert 'hrtoolkit.tasks' not in __import__('sys').modules\n"
        "print(len(resolve_scheme(names, KeypointScheme).sigmas), len(resolve_scheme('300w', KeypointScheme).names))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.split() == ["17", "68"], ran.stderr


def test_a_bug_keeps_its_traceback(coco_folder, monkeypatch):
    def broken(self, in_channels, in_strides, scheme=None):
        raise ValueError("operands could not be broadcast together")

    config = make_config(coco_folder)
    monkeypatch.setattr(HeatmapHead, "__init__", broken)
    config.model.head = dict(type="HeatmapHead")
    with pytest.raises(ValueError, match="broadcast") as caught:
        build(config)
    assert not isinstance(caught.value, UserError)

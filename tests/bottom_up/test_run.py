"""Whole images from the files to the numbers: training, checking, testing and predicting by one network of its own."""

import json

import numpy as np
import pytest

import hrtoolkit
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.browse import browse
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.errors import UserError

from ..conftest import edit_json

TINY = dict(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)
METHODS = pytest.mark.parametrize("method", ["cid", "dekr", "higher_hrnet"])


def make_config(
    folder, image_dir=("images", "images"), ann_file=("people.json", "people.json"), method="cid", **options
):
    """The config of a method with a tiny backbone and other data."""
    config = load_config(f"pose/{method}_w32_coco_512")
    config.model.backbone.update(TINY)
    config.model.view.size = 64
    for i, name in enumerate(("train_dataloader", "val_dataloader")):
        loader = config[name]
        loader.update(batch_size=2, num_workers=0)
        loader.dataset.update(data_root=str(folder), ann_file=ann_file[i], image_dir=image_dir[i])
    config.train_dataloader.dataset.update(options)
    config.train_cfg = dict(max_epochs=1, val_interval=1)
    config.param_scheduler = None
    return config


def add_regions(content):
    crowd, person = content["annotations"][3:]
    crowd["segmentation"] = {"size": [120, 160], "counts": [0, 120 * 80, 120 * 80]}
    person["segmentation"] = [[100, 20, 150, 20, 150, 70, 100, 70]]


@pytest.mark.parametrize("keep_empty", [False, True])
def test_a_run_with_and_without_images_of_nobody(coco_folder, tmp_path, keep_empty):
    edit_json(coco_folder / "people.json", add_regions)
    config = make_config(coco_folder, keep_empty=keep_empty)
    metrics = train(config, tmp_path / "work")
    said = f"training on {3 if keep_empty else 2} samples, validating on 3"
    assert said in (tmp_path / "work" / "train.log").read_text()
    assert {"AP", "AR", "loss"} <= metrics.keys() and np.isfinite(metrics["loss"])
    weights = tmp_path / "work" / "best.pth"
    tested = run_test(make_config(coco_folder), weights, out=tmp_path / "found.json")
    assert tested["AP"] == metrics["AP"]
    assert {one["image_id"] for one in json.loads((tmp_path / "found.json").read_text())} <= {11, 12, 13}
    predictor = hrtoolkit.load(weights)
    assert not predictor.sees_crops
    (prediction,) = predictor(coco_folder / "images" / "11.jpg")
    assert prediction.record.points.shape[1:] == (17, 2)


def test_training_data_of_nobody_alone_is_refused(coco_folder, tmp_path):
    edit_json(coco_folder / "people.json", lambda c: c.update(annotations=c["annotations"][3:]))
    with pytest.raises(UserError, match="none of 2 annotations is usable"):
        train(make_config(coco_folder), tmp_path / "work")


def test_data_is_checked_and_shown_as_the_network_looks_at_it(coco_folder):
    edit_json(coco_folder / "people.json", add_regions)
    config = make_config(coco_folder, keep_empty=True)
    samples, findings, sees_crops = check_data(config)
    assert not sees_crops and not [one for one in findings if one.level == "stop"]
    assert [len(one) for one in samples.values()] == [3, 3]
    for split in ("train", "val"):
        sheet, shown, count = browse(config, split)
        assert (shown, count) == (3, 3) and sheet.any()


@METHODS
def test_every_method_is_told_where_nothing_is_compared(coco_folder, method):
    edit_json(coco_folder / "people.json", add_regions)
    config = make_config(coco_folder, method=method)
    learnt = [check_data(config)[0]["train"].to_learn(place) for place in range(2)]
    assert all(one.masks is not None for one in learnt)


def test_boxes_are_refused_where_whole_images_are_tested(coco_folder, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.view ShortSide looks at whole images: leave boxes out"):
        run_test(make_config(coco_folder), tmp_path / "any.pth", boxes=coco_folder / "people.json")


@METHODS
def test_real_images_are_trained_on(test_data, tmp_path, method):
    files = [f"annotations/person_keypoints_{split}2017.json" for split in ("train", "val")]
    config = make_config(test_data / "coco", ("train2017", "val2017"), files, method)
    config.train_dataloader.batch_size = 8
    metrics = train(config, tmp_path / "work")
    assert np.isfinite(metrics["loss"]) and 0 <= metrics["AP"] <= 1

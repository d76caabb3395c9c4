"""Training on data of one's own: what is chosen for it."""

import json
import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hrtoolkit.commands import options
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine import train
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.loop import TrainLoop
from hrtoolkit.engine.own_data import use_own_data
from hrtoolkit.errors import CheckpointError, DataError
from tests.test_commands import parse

PEOPLE = ["left_eye", "right_eye", "nose"]


@pytest.fixture
def own(tmp_path):
    """Writes pictures with one or more objects each, in COCO's format."""

    def write(count, categories=None, keypoints=(10, 10, 2, 30, 12, 2, 20, 20, 1)):
        categories = categories or [{"id": 1, "name": "cat", "keypoints": PEOPLE}]
        images = [{"id": n, "file_name": f"{n}.png", "width": 64, "height": 48} for n in range(1, count + 1)]
        annotations = [
            {"id": 10 * image["id"] + one["id"], "image_id": image["id"], "category_id": one["id"]}
            | {"keypoints": list(keypoints)[: 3 * len(one["keypoints"])]}
            for image in images
            for one in categories
        ]
        for image in images:
            cv2.imwrite(str(tmp_path / image["file_name"]), np.full((48, 64, 3), image["id"], np.uint8))
        path = tmp_path / "own.json"
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        return path

    return write


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO)
    return lambda: caplog.text


def test_data_scheme_and_recipe(own, tmp_path, said):
    config = load_config("pose/hrnet_w32_custom", ["load_from=none"])
    config.recipes[0].up_to = 7
    config = use_own_data(config, own(10), tmp_path / "data")
    assert config.train_dataloader.dataset.ann_file == "train.json"
    assert config.val_dataloader.dataset.data_root == str(tmp_path / "data")
    assert config.train_dataloader.dataset.category == ["cat"] and config.model.head.scheme is None
    assert "recipes" not in config and config.train_cfg.max_epochs == 100, "of eight to train on"
    assert "left_eye - right_eye" in said() and "train_cfg.max_epochs=100" in said()
    check_config(config)


def test_the_first_stages_are_frozen_where_they_have_learnt_something(own, tmp_path, said):
    config = load_config("pose/hrnet_w32_custom", ["load_from=nowhere.pth"])
    config.recipes[0].model = dict(frozen=["backbone.layer1"])
    config = use_own_data(config, own(10), tmp_path / "data")
    assert config.load_from is None and "frozen" not in config.model
    assert "nowhere.pth" in said() and "--weights" in said()


def test_weights_that_were_asked_for_are_had_or_nothing_is_trained(own, tmp_path):
    args = parse("train", "pose/hrnet_w32_custom", "--data", str(own(10)), "--weights", "nowhere.pth")
    args.work_dir = str(tmp_path / "work")
    with pytest.raises(CheckpointError, match=r"nowhere\.pth: no such checkpoint file"):
        options.read_config(args, training=True)


def test_keypoints_without_partners_are_not_mirrored(own, tmp_path, said):
    corners = [{"id": 1, "name": "sign", "keypoints": ["1", "2", "3"]}]
    config = use_own_data(load_config("pose/hrnet_toy"), own(5, corners), tmp_path / "data")
    assert config.train_dataloader.augmentation.flip == 0
    assert "no mirrored images" in said() and "the config's own schedule for 4 objects" in said()


def test_of_classes_with_different_keypoints_most_are_trained(own, tmp_path, said):
    kinds = [{"id": 1, "name": "cat", "keypoints": PEOPLE}, {"id": 2, "name": "pole", "keypoints": ["tip"]}]
    config = use_own_data(load_config("pose/hrnet_toy"), own(5, kinds), tmp_path / "data")
    assert config.train_dataloader.dataset.category == ["cat"]
    assert "cat, not pole with other keypoints" in said()


def test_one_picture_is_trained_on_without_validation(own, tmp_path):
    config = use_own_data(load_config("pose/hrnet_toy"), own(1), tmp_path / "data")
    assert "val_dataloader" not in config
    config.train_cfg.max_epochs = 1
    assert train(config, tmp_path / "run") == {}


def test_what_cannot_be(own, tmp_path):
    with pytest.raises(ConfigError, match=r"does not read COCO.s format, .* give its folder by --data-root"):
        use_own_data(load_config("segmentation/hrnetv2_toy"), own(2), tmp_path / "data")
    config = load_config("pose/hrnet_toy")
    config.train_dataloader.dataset.type = "Qqqq"
    with pytest.raises(ConfigError, match=r"dataset.type=Qqqq is not known; is its package in custom_imports\?"):
        use_own_data(config, own(2), tmp_path / "data")
    boxes = json.loads(own(2).read_text())
    for one in boxes["annotations"]:
        one |= {"bbox": [1, 1, 9, 9], "keypoints": None}
    (tmp_path / "own.json").write_text(json.dumps(boxes))
    with pytest.raises(DataError, match="nothing has keypoints; a config of detection"):
        use_own_data(load_config("pose/hrnet_toy"), tmp_path / "own.json", tmp_path / "data")


def test_boxes_train_a_detector(own, tmp_path):
    config = use_own_data(load_config("detection/faster_rcnn_toy"), own(4), tmp_path / "data")
    config.train_cfg.max_epochs = 1
    numbers = train(config, tmp_path / "run")
    assert "AP" in " ".join(numbers)


@pytest.mark.parametrize(
    ("scores", "stalled"),
    [
        ([0.1, 0.3, 0.2, 0.3], True),
        ([0.1, 0.3, 0.2], False),
        ([0.3, 0.1, 0.2, 0.4], False),
        ([0.0, 0.0, 0.0, 0.0], False),  # nothing learnt yet
        ([0.3, float("nan"), float("nan")], False),  # a run that has gone wrong ends by itself
        ([], False),
    ],
)
def test_training_ends_early_when_nothing_gets_better(scores, stalled):
    loop = TrainLoop.__new__(TrainLoop)
    loop.patience = 2
    loop._runner = SimpleNamespace(headline="AP", best=max, history=[{"loss": 1.0}, *({"AP": s} for s in scores)])
    assert loop.has_stalled() == stalled

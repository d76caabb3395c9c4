"""Mistakes that only the data or the model show: each ends with one sentence, and nobody's own words are lost."""

from types import SimpleNamespace

import pytest
import torch

from hrtoolkit.build import build_model
from hrtoolkit.config import ConfigError
from hrtoolkit.data.doctor import _check_category_ids
from hrtoolkit.engine import test as evaluate
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.engine.distributed import freeze_unread
from hrtoolkit.engine.run import explaining_errors
from hrtoolkit.errors import DataError, TrainingError
from hrtoolkit.findings import Findings
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

from ..conftest import edit_json
from .test_run import make_config


def test_a_model_of_which_nothing_is_left_to_train_is_refused(coco_folder, tmp_path):
    config = make_config(coco_folder)
    config.model.frozen = ["backbone", "neck", "head"]
    with pytest.raises(ConfigError, match=r"model\.frozen: backbone, neck, head leaves nothing to train"):
        train(config, tmp_path)


def test_rates_of_parameters_that_are_not_there_are_refused(coco_folder, tmp_path):
    config = make_config(coco_folder)
    config.optim_wrapper.paramwise_cfg = dict(custom_keys={"backbone.stage22": dict(lr_mult=0.1)})
    with pytest.raises(ConfigError, match=r"no parameter has .backbone\.stage22. in its name"):
        train(config, tmp_path)


def test_a_single_sample_over_maps_of_one_pixel_is_explained(coco_folder, tmp_path):
    config = make_config(coco_folder)
    config.train_dataloader.batch_size = 1
    config.model.view.input_size = (32, 32)  # 1x1 at stride 32
    with pytest.raises(TrainingError, match=r"BatchNorm cannot learn from a single sample over maps of 1x1"):
        train(config, tmp_path)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_ones_own_code_keeps_its_words_and_its_traceback(workers, coco_folder, tmp_path, monkeypatch):
    def read(self, sample):
        raise RuntimeError("my own code: connection of peer a and b must match")

    monkeypatch.setattr(CocoKeypoints, "read", read)
    monkeypatch.setattr("hrtoolkit.engine.run.is_distributed", lambda: True)
    config = make_config(coco_folder)
    config.train_dataloader.num_workers = workers
    with pytest.raises(RuntimeError, match="my own code: connection of peer a and b must match"), explaining_errors():
        run = Run.build(config, check_config(config), ("train",))
        next(iter(run.loader("train")))


def test_what_a_head_does_not_read_is_frozen_where_processes_would_wait_for_it():
    backbone = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=4)
    config = dict(backbone=backbone, head=dict(type="PooledHead", scheme=3), view=dict(type="ResizeCenterCrop"))
    imports = dict(imports=["hrtoolkit.tasks.classification"])
    model = build_model(type(make_config("x"))(dict(model=config, custom_imports=imports)))
    unread = freeze_unread(model)
    assert unread and all(name.startswith("backbone.stage4") for name in unread)
    model(images=torch.randn(2, 3, 64, 64)).sum().backward()
    assert all((p.grad is None) == (name in unread) for name, p in model.named_parameters())


def test_testing_tells_and_refuses_what_training_does(coco_folder, tmp_path, capsys):
    config = make_config(coco_folder, train_cfg=dict(max_epochs=1))
    train(config, tmp_path)
    capsys.readouterr()
    evaluate(config, tmp_path / "best.pth")

    def flatten(content):
        for annotation in content["annotations"]:
            annotation["area"] = 0

    edit_json(coco_folder / "people.json", flatten)
    with pytest.raises(DataError):
        evaluate(config, tmp_path / "best.pth")


def test_check_data_finds_what_the_head_refuses(coco_folder):
    config = make_config(coco_folder)
    config.model.head.scheme = ["nose", "tail"]
    findings = check_data(config)[1]
    stops = [finding.what for finding in findings if finding.level == "stop"]
    assert any("the train data has 17" in text and "the head has 2" in text for text in stops), stops


def test_files_whose_categories_have_exchanged_ids_are_told():
    def data(names, ids):
        return SimpleNamespace(scheme=ClassScheme(names, ids=ids), findings=Findings("file"))

    train_data = data(("apple", "pear"), (1, 2))
    (finding,) = _check_category_ids(train_data, data(("apple", "pear"), (2, 1)), "val")
    assert finding.level == "stop" and finding.ids == ("apple: 2, in train 1", "pear: 1, in train 2")
    for fine in (data(("pear", "apple"), (2, 1)), data(("apple", "pear"), (1, 3)), data(("apple",), (2,))):
        assert not _check_category_ids(train_data, fine, "val")

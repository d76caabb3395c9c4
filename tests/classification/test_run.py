"""Whole runs on a tiny network: numbers and pictures, resuming with everything random on, other starts, mistakes."""

import json

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.hooks import Progress
from hrtoolkit.errors import DataError
from hrtoolkit.tasks.classification.mixing import MixAndErase

from ..engine.test_run import assert_same
from ..engine.test_run import make_config as make_pose_config

TINY = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)


def make_config(folder, augment=None, **changes):
    def loader(split):
        dataset = dict(type="ImageFolder", data_root=str(folder), image_dir=split)
        return dict(batch_size=3, num_workers=0, dataset=dataset)

    parts = dict(
        custom_imports=dict(imports=["hrtoolkit.tasks.classification"]),
        model=dict(
            backbone=TINY,
            head=dict(type="PooledHead"),
            view=dict(type="ResizeCenterCrop", input_size=(32, 32)),
            augment=augment,
        ),
        train_dataloader=dict(**loader("train"), augmentation=dict(type="RandomResizedCrop", color_jitter=0.4)),
        val_dataloader=loader("val"),
        val_evaluator=dict(type="ClassificationMetric"),
        train_cfg=dict(max_epochs=2, val_interval=1),
        optim_wrapper=dict(
            optimizer=dict(type="Lamb", lr=0.01, weight_decay=0.02),
            paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0.1)}, norm_decay_mult=0.0),
        ),
        custom_hooks=[dict(type="EMAHook", momentum=0.1)],
        seed=0,
    )
    return Config({**parts, **changes})


def test_a_run_leaves_weights_with_class_names_and_a_confusion_picture(class_folder, tmp_path, capfd):
    config = make_config(class_folder)
    config.model.frozen = ["backbone.conv1"]
    metrics = train(config, tmp_path / "work")
    assert "is skipped since" not in "".join(capfd.readouterr())  # as mmengine says of every frozen tensor
    assert {"top1", "top5", "mean_class_accuracy", "accuracy_red", "loss", "accuracy"} <= metrics.keys()
    pictures = {path.name for path in (tmp_path / "work" / "pictures").iterdir()}
    assert {"epoch_002.jpg", "epoch_002_confusion.png"} <= pictures
    meta = read_checkpoint(tmp_path / "work" / "best.pth")["meta"]
    assert meta["output_names"] == ["blue", "green", "red"]
    out = tmp_path / "out.json"
    tested = run_test(make_config(class_folder), tmp_path / "work" / "best.pth", flip=True, out=out)
    images = json.loads(out.read_text())["images"]
    assert len(images) == 7 and tested["top1"] == np.mean([i["image_id"].startswith(i["class"]) for i in images])
    numbered = make_config(class_folder)
    numbered.model.head.scheme = 3  # as in the published configs; the folders have the names
    train(numbered, tmp_path / "numbered")
    meta = read_checkpoint(tmp_path / "numbered" / "last.pth")["meta"]
    assert meta["output_names"] == ["blue", "green", "red"]


def test_a_resumed_run_with_mixup_and_erasing_equals_an_uninterrupted_one_bit_for_bit(
    class_folder, tmp_path, monkeypatch
):
    def config():
        augment = dict(type="MixAndErase", mixup=0.8, cutmix=1.0, erase=0.5)
        made = make_config(class_folder, augment, train_cfg=dict(max_epochs=2, save_minutes=0.0))
        made.model.head.update(dropout=0.2, label_smoothing=0.1)
        return made

    def die_in_the_middle_of_epoch_2(self, runner, batch_idx, data_batch=None, outputs=None):
        if (runner.epoch, batch_idx) == (1, 2):
            np.random.rand(), torch.rand(())  # a resumed run must not go by the state of these
            raise KeyboardInterrupt
        after_train_iter(self, runner, batch_idx, data_batch, outputs)

    after_train_iter = Progress.after_train_iter
    metrics = train(config(), tmp_path / "whole")
    monkeypatch.setattr(Progress, "after_train_iter", die_in_the_middle_of_epoch_2)
    with pytest.raises(KeyboardInterrupt):
        train(config(), tmp_path / "parts")
    monkeypatch.undo()
    meta = read_checkpoint(tmp_path / "parts" / "last.pth")["meta"]
    assert (meta["epoch"], meta["samples"]) == (1, 6)
    train(config(), tmp_path / "parts", resume=True)
    whole, parts = (read_checkpoint(tmp_path / name / "last.pth") for name in ("whole", "parts"))
    for part in ("state_dict", "ema_state_dict", "optimizer"):
        assert_same(whole[part], parts[part], part)
    assert "accuracy" not in metrics  # of mixed images there is none


def test_a_batch_is_mixed_as_its_shares_say():
    originals = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images, targets = MixAndErase(mixup=0.8)(originals.clone(), {"label": torch.arange(5)}, seed=3)
    mixing = targets["mixing"]
    torch.testing.assert_close(images, torch.einsum("ij,jchw->ichw", mixing, originals))
    torch.testing.assert_close(mixing.sum(1), torch.ones(5))
    assert 0 < mixing[0, 3] < 1 and mixing[4, 4] == 1  # the odd one stays
    assert targets["label"].tolist() == [0, 1, 2, 3, 4]
    again, _ = MixAndErase(mixup=0.8)(originals.clone(), {"label": torch.arange(5)}, seed=3)
    assert torch.equal(again, images)
    cut, targets = MixAndErase(cutmix=1.0)(originals.clone(), {"label": torch.arange(5)}, seed=3)
    kept = (cut == originals).all(1).float().mean((1, 2))
    torch.testing.assert_close(kept, targets["mixing"].diagonal())
    erased, targets = MixAndErase(erase=1.0)(originals.clone(), {"label": torch.arange(5)}, seed=3)
    assert ((erased != originals).flatten(1).any(1)).all() and "mixing" not in targets
    alone, targets = MixAndErase(mixup=0.8)(originals[:1].clone(), {"label": torch.arange(1)}, seed=3)
    assert torch.equal(alone, originals[:1]) and targets["mixing"].tolist() == [[1.0]]


def test_the_backbone_of_a_pose_checkpoint_starts_it(coco_folder, class_folder, tmp_path, capsys):
    pose = make_pose_config(coco_folder, train_cfg=dict(max_epochs=1))
    train(pose, tmp_path / "pose")
    config = make_config(class_folder, load_from=str(tmp_path / "pose" / "best.pth"), train_cfg=dict(max_epochs=1))
    config.optim_wrapper.optimizer = dict(type="SGD", lr=1e-30, weight_decay=0.0)
    train(config, tmp_path / "work")
    said = capsys.readouterr().out
    assert "best.pth (hrtoolkit)" in said and "not used: head.final_layer (2)" in said
    started, source = (read_checkpoint(tmp_path / run / "best.pth")["state_dict"] for run in ("work", "pose"))
    assert torch.equal(
        started["backbone.stage3.0.branches.0.0.conv1.weight"], source["backbone.stage3.0.branches.0.0.conv1.weight"]
    )


def test_classes_that_do_not_fit_are_named(class_folder, tmp_path):
    config = make_config(class_folder)
    config.model.head.scheme = 2
    with pytest.raises(DataError, match=r"has 3 classes \(blue, green, red\), the head has 2 classes"):
        train(config, tmp_path / "work")
    config.model.head = dict(type="PooledHead", num_classes=2)
    with pytest.raises(ConfigError, match=r"no 'num_classes' any more; write model\.head\.scheme=2"):
        train(config, tmp_path / "work")
    (class_folder / "val" / "red").rename(class_folder / "val" / "rot")
    with pytest.raises(DataError, match=r"classes without a folder: 1 \(red\); there are folders for blue, green, rot"):
        train(make_config(class_folder), tmp_path / "work")

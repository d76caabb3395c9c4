"""A whole run on a tiny network: training, resuming, testing, and what stops it."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError, read_stored_config
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.hooks import Progress
from hrtoolkit.engine.optim import prefer_fused
from hrtoolkit.engine.run import start_from
from hrtoolkit.engine.runner import Runner
from hrtoolkit.errors import CheckpointError, DataError, TrainingError, UserError
from hrtoolkit.files import FolderLock
from hrtoolkit.model import Model
from hrtoolkit.registry import METRICS

from ..conftest import REPOSITORY, edit_json
from ..test_files import forked


def make_config(folder, **changes) -> Config:
    dataset = dict(type="CocoKeypoints", data_root=str(folder), ann_file="people.json", image_dir="images")
    augmentation = dict(type="PoseAugmentation", flip=0.5, rotation=30.0, scale=0.3)
    tiny = dict(type="HRNet", width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8, num_outputs=1)
    return Config(
        {
            **dict(
                custom_imports=dict(imports=["hrtoolkit.tasks.pose"]),
                model=dict(
                    backbone=tiny,
                    neck=dict(type="HighestResolution"),
                    head=dict(type="HeatmapHead", scheme="coco"),
                    view=dict(type="TopDown", input_size=(48, 64)),
                    finish=dict(type="PoseFinish"),
                ),
                train_dataloader=dict(batch_size=2, num_workers=0, dataset=dataset, augmentation=augmentation),
                val_dataloader=dict(batch_size=2, num_workers=0, dataset=dict(dataset)),
                val_evaluator=dict(type="CocoKeypointMetric"),
                train_cfg=dict(max_epochs=2, val_interval=1),
                optim_wrapper=dict(
                    optimizer=dict(type="Adam", lr=1e-3), clip_grad=dict(max_norm=1.0), accumulative_counts=2
                ),
                param_scheduler=[
                    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=3),
                    dict(type="ExponentialLR", by_epoch=True, gamma=0.5),
                ],
                custom_hooks=[dict(type="EMAHook", momentum=0.1)],
                seed=0,
            ),
            **changes,
        }
    )


def assert_same(a, b, where=""):
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}[{i}]")
    else:
        assert a == b or a != a, where


def test_a_run_leaves_weights_pictures_curves_and_a_config(coco_folder, tmp_path):
    work = tmp_path / "work"
    metrics = train(make_config(coco_folder), work)
    assert {"AP", "AR", "loss", "accuracy"} <= metrics.keys()
    for name in ("last.pth", "best.pth", "config.py", "curves.png", "train.log", "pictures/epoch_002.jpg"):
        assert (work / name).stat().st_size > 0, name
    meta = read_checkpoint(work / "best.pth")["meta"]
    assert meta["head"]["codec"] == {"type": "GaussianHeatmap", "sigma": 2.0, "flip_shift": True}
    assert meta["output_names"][0] == "nose"
    assert meta["view"]["input_size"] == (48, 64)
    stored = read_stored_config(meta["config"])
    assert stored.train_cfg.max_epochs == 2 and stored.model.head.scheme["names"][0] == "nose"
    tested = run_test(make_config(coco_folder), work / "best.pth")
    assert tested["AP"] == metrics["AP"]  # the averaged weights are the ones that were validated and saved


@pytest.mark.parametrize("how", ["killed in epoch 3", "extended after epoch 2"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(how, coco_folder, tmp_path, monkeypatch):
    def config(epochs):
        return make_config(coco_folder, train_cfg=dict(max_epochs=epochs, val_interval=1))

    train(config(4), tmp_path / "whole")
    if how == "killed in epoch 3":
        monkeypatch.setattr(Progress, "after_train_iter", kill_in_epoch_3)
        with pytest.raises(KeyboardInterrupt):
            train(config(4), tmp_path / "parts")
        monkeypatch.undo()
    else:
        train(config(2), tmp_path / "parts")
    train(config(4), tmp_path / "parts", resume=True)
    whole, parts = (read_checkpoint(tmp_path / name / "last.pth") for name in ("whole", "parts"))
    for part in ("state_dict", "ema_state_dict", "optimizer"):
        assert_same(whole[part], parts[part], part)
    assert_same(whole["meta"]["history"], parts["meta"]["history"])


def test_the_number_of_workers_changes_nothing(coco_folder, tmp_path):
    for workers in (0, 2):
        config = make_config(coco_folder)
        config.train_dataloader.num_workers = config.val_dataloader.num_workers = workers
        train(config, tmp_path / str(workers))
    none, two = (read_checkpoint(tmp_path / name / "last.pth") for name in ("0", "2"))
    assert_same(none["state_dict"], two["state_dict"])
    assert_same(none["meta"]["history"], two["meta"]["history"])


def kill_in_epoch_3(self, runner, batch_idx, data_batch=None, outputs=None):
    if runner.epoch == 2:
        raise KeyboardInterrupt
    real_after_train_iter(self, runner, batch_idx, data_batch, outputs)


real_after_train_iter = Progress.after_train_iter


def test_an_earlier_run_is_moved_aside_not_overwritten(coco_folder, tmp_path):
    for seed in (0, 1):
        train(make_config(coco_folder, seed=seed, train_cfg=dict(max_epochs=1)), tmp_path / "work")
    (aside,) = (tmp_path / "work").glob("earlier_*")
    assert read_checkpoint(aside / "last.pth")["meta"]["seed"] == 0
    assert read_checkpoint(tmp_path / "work" / "last.pth")["meta"]["seed"] == 1


def test_a_nan_loss_stops_training_and_keeps_the_last_good_checkpoint(coco_folder, tmp_path, monkeypatch):
    from hrtoolkit.keypoints.loss import KeypointMSE

    steps = []

    def poisoned(self, heatmaps, targets, weights):
        steps.append(1)
        return heatmaps.float().mean() * (float("nan") if len(steps) > 1 else 1.0)

    monkeypatch.setattr(KeypointMSE, "forward", poisoned)
    with pytest.raises(TrainingError, match=r"NaN or infinite in epoch 2.*last good checkpoint is .*last\.pth"):
        train(make_config(coco_folder), tmp_path / "work")
    checkpoint = read_checkpoint(tmp_path / "work" / "last.pth")
    assert checkpoint["meta"]["epoch"] == 1
    assert all(t.isfinite().all() for t in checkpoint["state_dict"].values())


@pytest.mark.parametrize("part", ["weights", "optimiser"])
def test_what_is_not_finite_is_not_saved_even_where_the_loss_is(part, coco_folder, tmp_path, monkeypatch):
    def spoil(self, runner):
        end_epoch(self, runner)
        if runner.epoch == 1:
            state = next(iter(runner.optim_wrapper.state_dict()["state"].values()))
            where = state["exp_avg_sq"] if part == "optimiser" else runner.plain_model.backbone.conv1.weight.data
            where.fill_(float("inf"))

    end_epoch = Progress.after_train_epoch
    monkeypatch.setattr(Progress, "after_train_epoch", spoil)
    named = r"optimizer\.state\.\d+\.exp_avg_sq" if part == "optimiser" else r"backbone\.conv1\.weight"
    with pytest.raises(TrainingError, match=rf"{named}.*became NaN or infinite in epoch 2.*last good checkpoint is"):
        train(make_config(coco_folder), tmp_path)
    assert read_checkpoint(tmp_path / "last.pth")["meta"]["epoch"] == 1
    monkeypatch.undo()
    # A file of an earlier version may hold what this one would not write.
    checkpoint = read_checkpoint(tmp_path / "last.pth")
    checkpoint["state_dict"]["backbone.conv1.weight"].fill_(float("nan"))
    torch.save(checkpoint, tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match=r"last\.pth: 1 of its tensors are NaN .*backbone\.conv1\.weight"):
        train(make_config(coco_folder), tmp_path, resume=True)


def test_a_second_run_in_the_folder_of_one_that_lives_is_refused_and_changes_nothing(coco_folder, tmp_path):
    config = make_config(coco_folder, train_cfg=dict(max_epochs=1))
    train(config, tmp_path / "work")

    def hold(tell):
        with FolderLock(tmp_path / "work"):
            tell()
            time.sleep(300)

    with forked(hold):
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
        for resume in (False, True):
            with pytest.raises(UserError, match=r"work: another run \(process \d+ on .*--work-dir"):
                train(config, tmp_path / "work", resume=resume)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == before
    train(config, tmp_path / "work")


def test_starting_weights_must_fit_the_backbone(coco_folder, tmp_path):
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1)), tmp_path / "first")
    best = str(tmp_path / "first" / "best.pth")
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1), load_from=best), tmp_path / "second")
    wider = make_config(coco_folder, load_from=best)
    wider.model.backbone.width = 6
    with pytest.raises(CheckpointError, match=r"belongs to another backbone(.|\n)*backbone: \d+ of \d+ tensors"):
        train(wider, tmp_path / "third")
    wider = make_config(coco_folder)
    wider.model.backbone.width = 6
    with pytest.raises(CheckpointError, match="does not fit the model"):
        run_test(wider, best)


def test_weights_of_one_output_start_a_network_that_gives_four(coco_folder, tmp_path, capsys):
    one = make_config(coco_folder)
    train(one, tmp_path / "one")
    four = make_config(coco_folder, load_from=str(tmp_path / "one" / "best.pth"))
    four.model.backbone.num_outputs = 4
    four.model.neck = dict(type="Concat")
    model = build_model(four)
    report = start_from(model, four.load_from)
    said = capsys.readouterr().out
    new = [name for name in report.missing if name.startswith("backbone.")]
    assert new and all(name.startswith("backbone.stage4.0.fuse_layers.") for name in new)
    assert f"has no weights for the coarser outputs: {len(new)} tensors of the backbone start anew" in said
    assert "backbone.stage4.0.fuse_layers.0.1.0.weight" in report.loaded


def test_testing_in_another_way_is_said_aloud(coco_folder, tmp_path, capsys):
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1)), tmp_path / "work")
    config = make_config(coco_folder)
    config.model.head.codec = dict(type="UDPHeatmap")
    run_test(config, tmp_path / "work" / "best.pth")
    assert "another codec than the checkpoint was trained for" in capsys.readouterr().out


def test_keypoints_are_taken_from_the_data_where_the_head_leaves_them_open(coco_folder, tmp_path):
    def own(content):
        content["categories"] = [{"id": 1, "name": "cat", "keypoints": ["left_ear", "right_ear", "tail"]}]
        for annotation in content["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:9]
            annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])

    edit_json(coco_folder / "people.json", own)
    config = make_config(coco_folder)
    config.model.head.scheme = None
    assert "AP" in train(config, tmp_path / "work")
    assert read_checkpoint(tmp_path / "work" / "best.pth")["meta"]["output_names"] == ["left_ear", "right_ear", "tail"]
    with pytest.raises(DataError, match=r"the train data has 3 keypoints .* the head has 17"):
        train(make_config(coco_folder), tmp_path / "other")


def test_all_mistakes_of_a_config_come_together(tmp_path):
    config = make_config(tmp_path / "nowhere", optim_wraper=dict())
    config.model.backbone.widht = 3
    with pytest.raises(ConfigError) as error:
        train(config, tmp_path / "work")
    text = str(error.value)
    assert "model.backbone.widht" in text and "'width'" in text
    assert "optim_wraper" in text
    assert "nowhere" in text and "cocodataset.org" in text and "make_toy_data" in text
    assert not (tmp_path / "work").exists()


def run_tool(*arguments, processes=0):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes else []
    command = [sys.executable, *launcher, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)


def test_the_tools_give_the_same_numbers_with_one_process_and_two(coco_folder, tmp_path):
    from hrtoolkit.config import config_text

    path = tmp_path / "tiny.py"
    path.write_text(config_text(make_config(coco_folder, train_cfg=dict(max_epochs=1))))
    trained = run_tool("tools/train.py", path, "--work-dir", tmp_path / "work", processes=2)
    assert trained.returncode == 0, trained.stderr
    assert "best.pth" in trained.stderr + trained.stdout
    lines = []
    for processes in (0, 2):
        out = tmp_path / f"results{processes}.json"
        tested = run_tool(
            "tools/test.py", path, tmp_path / "work" / "best.pth", "--flip", "--out", out, processes=processes
        )
        assert tested.returncode == 0, tested.stderr
        lines.append(json.loads(tested.stdout.splitlines()[-1]))
        assert len(json.loads(out.read_text())) == 3
    assert lines[0] == lines[1]
    assert (tmp_path / "work" / "pictures" / "test.jpg").exists()


def test_a_mistake_at_the_command_line_is_one_sentence_without_a_traceback(tmp_path):
    result = run_tool("tools/train.py", "configs/pose/hrnet_w32_coco.py", "--data-root", tmp_path / "nowhere")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "error: " in result.stderr and "cocodataset.org" in result.stderr


def test_sections_that_are_none_count_as_missing(coco_folder, tmp_path):
    without = dict.fromkeys(["val_dataloader", "custom_hooks", "param_scheduler", "load_from", "seed"])
    assert train(make_config(coco_folder, train_cfg=dict(max_epochs=1), **without), tmp_path / "work") == {}
    assert not (tmp_path / "work" / "best.pth").exists()
    with pytest.raises(UserError, match="nothing to test on"):
        run_test(make_config(coco_folder, **without), tmp_path / "work" / "last.pth", boxes="boxes.json")


def test_what_a_metric_draws_lies_beside_the_pictures(coco_folder, tmp_path):
    @METRICS.register_module(force=True)
    class DrawingMetric(METRICS.get("CocoKeypointMetric")):
        def draw(self, measures, scheme):
            assert len(measures["all"]) == 3 and len(scheme.names) == 17
            return {"bars": np.zeros((4, 6, 3), np.uint8)}

    train(make_config(coco_folder, val_evaluator=dict(type="DrawingMetric")), tmp_path)
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"epoch_002.jpg", "epoch_002_bars.png"} <= names


def test_a_failed_start_leaves_the_earlier_run_where_it_is(coco_folder, tmp_path):
    config = make_config(coco_folder, train_cfg=dict(max_epochs=1))
    train(config, tmp_path / "work")
    before = sorted(path.name for path in (tmp_path / "work").iterdir())
    edit_json(coco_folder / "people.json", lambda content: content["annotations"].clear())
    with pytest.raises(DataError):
        train(config, tmp_path / "work")
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == before


def test_weights_of_the_earlier_run_in_the_same_folder_can_be_started_from(coco_folder, tmp_path):
    best = tmp_path / "work" / "best.pth"
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1)), tmp_path / "work")
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1), load_from=str(best)), tmp_path / "work")
    assert best.exists()


@pytest.mark.parametrize("place", ["validation", "best"])
def test_a_run_that_ended_in_validation_is_validated_when_it_is_resumed(place, coco_folder, tmp_path, monkeypatch):
    train(make_config(coco_folder), tmp_path / "whole")

    def killed(*_, **__):
        raise KeyboardInterrupt

    target = {"validation": (Model, "val_step"), "best": (Runner, "save_best")}[place]
    monkeypatch.setattr(*target, killed)
    with pytest.raises(KeyboardInterrupt):
        train(make_config(coco_folder), tmp_path / "parts")
    monkeypatch.undo()
    train(make_config(coco_folder), tmp_path / "parts", resume=True)
    for name in ("last.pth", "best.pth"):
        whole, parts = (read_checkpoint(tmp_path / run / name) for run in ("whole", "parts"))
        assert_same(whole["state_dict"], parts["state_dict"])
        assert_same(whole["meta"]["history"], parts["meta"]["history"])


def test_an_unwritable_place_is_said_before_anything_starts(coco_folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/work/last\.pth: cannot be written"):
        train(make_config(coco_folder), tmp_path / "file" / "work")
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1)), tmp_path / "work")
    best = tmp_path / "work" / "best.pth"
    with pytest.raises(UserError, match=r"file/out\.json: cannot be written"):
        run_test(make_config(coco_folder), best, out=tmp_path / "file" / "out.json")
    assert "AP" in run_test(make_config(coco_folder), best, pictures=tmp_path / "file" / "pictures")


def test_optimisers_that_can_update_all_weights_at_once():
    adam = {"type": "Adam", "lr": 1e-3}
    assert prefer_fused(adam) == {**adam, "fused": True}
    assert prefer_fused({**adam, "fused": False}) == {**adam, "fused": False}
    assert prefer_fused({"type": "Rprop"}) == {"type": "Rprop"}


def test_the_learning_rate_follows_the_global_batch(coco_folder, tmp_path, capsys):
    config = make_config(coco_folder, base_batch_size=16, param_scheduler=None, train_cfg=dict(max_epochs=1))
    train(config, tmp_path / "work")
    assert read_checkpoint(tmp_path / "work" / "last.pth")["meta"]["history"][0]["lr"] == 1e-3 * 4 / 16
    said = "global batch 4 (2 a process and step, 1 processes, 2 steps accumulated); learning rate 0.00025, from 0.001"
    assert said in capsys.readouterr().out
    # The written config says what it was given: trained again, it is scaled once, not twice.
    assert Config.fromfile(tmp_path / "work" / "config.py").optim_wrapper.optimizer.lr == 1e-3

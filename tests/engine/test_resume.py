"""A run may be killed or asked to stop at any moment: resumed, it ends with the same weights, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.hooks import Hook

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import config_text
from hrtoolkit.data.loading import TrainSampler
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.engine import train
from hrtoolkit.engine.hooks import EvaluationProgress
from hrtoolkit.engine.loop import StopRequest
from hrtoolkit.errors import TrainingStopped, UserError
from hrtoolkit.registry import HOOKS

from ..conftest import REPOSITORY
from .test_run import assert_same, make_config


@HOOKS.register_module()
class SignalAtStep(Hook):
    """Sends this process a signal in one step of the run, and draws random numbers that training then depends on."""

    def __init__(self, step=None, number=signal.SIGTERM, rank=0):
        self.step = step
        self.number = number
        self.rank = rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        data_batch["targets"]["keypoints"] += torch.randn(2)
        if runner.iter + 1 == self.step and runner.rank == self.rank:
            os.kill(os.getpid(), self.number)


def make_long_config(folder, workers=0, **signal_options):
    """Three steps an epoch, three epochs, gradients of two steps added up, a validation after two epochs."""
    hooks = [dict(type="EMAHook", momentum=0.1), dict(type="SignalAtStep", **signal_options)]
    schedules = [  # the second changes what the first leaves, in every step
        dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=7),
        dict(type="CosineAnnealingLR", by_epoch=True, T_max=3, eta_min=1e-5, convert_to_iter_based=True),
    ]
    config = make_config(
        folder,
        custom_hooks=hooks,
        param_scheduler=schedules,
        train_cfg=dict(max_epochs=3, val_interval=2, save_minutes=0.0),
    )
    config.train_dataloader.batch_size, config.train_dataloader.num_workers = 1, workers
    return config


def assert_same_runs(*folders):
    whole, parts = (read_checkpoint(folder / "last.pth") for folder in folders)
    for part in ("state_dict", "ema_state_dict", "optimizer", "progress"):
        assert_same(whole[part], parts[part], part)
    assert_same(whole["meta"]["history"], parts["meta"]["history"])


@pytest.mark.parametrize(
    ("step", "number", "workers", "last_step"),
    [(2, "SIGTERM", 0, 2), (4, "SIGINT", 2, 5), (6, "SIGTERM", 2, 6), (9, "SIGTERM", 0, 9)],
)
def test_a_stopped_run_saves_between_two_updates_and_goes_on_there(
    step, number, workers, last_step, coco_folder, tmp_path
):
    train(make_long_config(coco_folder), tmp_path / "whole")
    stopping = make_long_config(coco_folder, workers, step=step, number=int(signal.Signals[number]))
    with pytest.raises(TrainingStopped, match="--resume goes on there"):
        train(stopping, tmp_path / "parts")
    meta = read_checkpoint(tmp_path / "parts" / "last.pth")["meta"]
    assert 3 * meta["epoch"] + meta["samples"] == last_step
    train(make_long_config(coco_folder, workers), tmp_path / "parts", resume=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def test_a_run_goes_on_with_batches_that_leave_no_step_of_its_epoch(coco_folder, tmp_path):
    with pytest.raises(TrainingStopped):
        train(make_long_config(coco_folder, step=2, number=int(signal.SIGTERM)), tmp_path)
    config = make_long_config(coco_folder)
    config.train_dataloader.batch_size = 2  # the third image of an epoch would be alone
    train(config, tmp_path, resume=True)
    assert [record["epoch"] for record in read_checkpoint(tmp_path / "last.pth")["meta"]["history"]] == [1, 2, 3]


def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(coco_folder, tmp_path):
    config = make_config(coco_folder, train_cfg=dict(max_epochs=40, val_interval=20, save_minutes=0.0))
    train(config, tmp_path / "whole")
    (tmp_path / "tiny.py").write_text(config_text(config))
    command = [sys.executable, "tools/train.py", tmp_path / "tiny.py", "--work-dir", tmp_path / "parts", "--resume"]
    rng, kills = random.Random(0), 0
    for _ in range(20):
        before = _last_change(tmp_path / "parts")
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as run:
            while run.poll() is None and (kills == 2 or _last_change(tmp_path / "parts") == before):
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.3))  # it saves every few milliseconds now: some kills hit a file half written
            if run.poll() is None:
                run.kill()
                kills += 1
        if run.returncode == 0:
            break
    assert run.returncode == 0 and kills  # one may come too late on a busy machine
    assert_same_runs(tmp_path / "whole", tmp_path / "parts")


def _last_change(folder):
    file = folder / "last.pth"
    return file.stat().st_mtime_ns if file.exists() else None


def test_the_sampler_seeks_instead_of_reading_again():
    sampler = TrainSampler(10, seed=3, batch_size=2)
    sampler.set_epoch(2)
    everything = list(sampler)
    sampler.start = 2
    assert list(sampler) == everything[4:]
    assert len(sampler) == 10 and isinstance(everything[0], SampleKey)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGHUP"])
def test_other_signals_of_schedulers_and_of_a_closed_terminal_save_and_stop(name, coco_folder, tmp_path):
    number = signal.Signals[name]
    earlier = signal.signal(number, signal.SIG_DFL)  # tests may be run under nohup
    try:
        with pytest.raises(TrainingStopped, match="step 2 of epoch 1; the same command with --resume goes on there"):
            train(make_long_config(coco_folder, step=2, number=int(number)), tmp_path)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, earlier)
    assert read_checkpoint(tmp_path / "last.pth")["meta"]["samples"] == 2
    assert f"{name}: stopping after step 2 of epoch 1" in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize("place", ["in a batch", "in a picture", "where exceptions are swallowed"])
def test_a_signal_in_validation_is_never_lost(place, coco_folder, tmp_path, monkeypatch):
    def send(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)

    def send_and_fail(*_, **__):
        send()
        raise UserError("no picture")

    if place == "in a batch":
        monkeypatch.setattr(EvaluationProgress, "after_val_iter", send)
    elif place == "in a picture":
        monkeypatch.setattr("hrtoolkit.engine.hooks.make_sheet", send_and_fail)
    else:  # as callbacks at a fork are, and what Python calls when it removes an object
        monkeypatch.setattr(EvaluationProgress, "after_val_iter", lambda *_, **__: Swallowing(send))
    config = make_config(coco_folder, train_cfg=dict(max_epochs=3, val_interval=1))
    with pytest.raises(TrainingStopped, match=r"stopped after epoch \d"):
        train(config, tmp_path)
    checkpoint = read_checkpoint(tmp_path / "last.pth")
    assert checkpoint["meta"]["validated_epoch"] == (1 if place == "in a picture" else 0)


class Swallowing:
    def __init__(self, act):
        self.act = act

    def __del__(self):
        self.act()


def test_a_second_ctrl_c_stops_at_once_and_the_first_says_so(capfd):
    with StopRequest() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.made and "Ctrl-C again stops at once" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_nohup_keeps_its_meaning():
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not request.made
    finally:
        signal.signal(signal.SIGHUP, earlier)

"""A full disk costs what is written to it meanwhile, never the run; what is kept for later is written later."""

import errno
import json
import logging
import os
import re

import pytest
import torch

from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.engine import hooks, runner, train
from hrtoolkit.engine import test as run_test
from hrtoolkit.errors import CheckpointError, UserError
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, CocoKeypointWriter

from .test_run import make_config


class Disk:
    """Full while `full(name, epoch)`, asked for every checkpoint."""

    def __init__(self, monkeypatch, full):
        save = torch.save

        def save_on_full_disk(checkpoint, file):
            name = "last" if "optimizer" in checkpoint else "best"
            if full(name, self.epoch):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            save(checkpoint, file)

        def compute(metric, *arguments, **options):
            self.epoch += 1
            return {**score(metric, *arguments, **options), "AP": self.scores[self.epoch - 1]}

        self.epoch = 0
        self.scores = [0.1, 0.5, 0.2]
        score = CocoKeypointMetric.score
        monkeypatch.setattr(torch, "save", save_on_full_disk)
        monkeypatch.setattr(CocoKeypointMetric, "score", compute)


def config(folder):
    return make_config(folder, train_cfg=dict(max_epochs=3, val_interval=1))


def test_training_goes_on_and_the_best_weights_are_kept_until_they_are_written(
    coco_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("hrtoolkit.engine.assembly.check_before_run", lambda *_: None)  # it scores the truth
    Disk(monkeypatch, lambda name, epoch: epoch == 2)
    train(config(coco_folder), tmp_path)
    said = capsys.readouterr().out
    assert re.search(r"best\.pth: could not be written: disk full \(.* free, 3\d\d kB needed\)", said)
    best = read_checkpoint(tmp_path / "best.pth")["meta"]
    assert best["epoch"] == 2 and best["metrics"] == {"AP": 0.5}
    assert "AP 0.500 in epoch 2" in said and f"hrtoolkit test CONFIG {tmp_path}/best.pth" in said


def test_a_run_whose_best_weights_could_not_be_written_says_so(coco_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("hrtoolkit.engine.assembly.check_before_run", lambda *_: None)
    Disk(monkeypatch, lambda name, epoch: epoch >= 2 and name == "best")
    with pytest.raises(CheckpointError, match=r"best\.pth: could not be written: disk full"):
        train(config(coco_folder), tmp_path)
    assert read_checkpoint(tmp_path / "best.pth")["meta"]["epoch"] == 1
    monkeypatch.undo()
    train(config(coco_folder), tmp_path, resume=True)  # nothing is left to do
    said = capsys.readouterr().out
    assert f"lost: they could not be written; {tmp_path}/best.pth is of epoch 1" in said
    assert "tools/test.py" not in said


def test_curves_numbers_pictures_and_log_that_cannot_be_written_are_said(coco_folder, tmp_path, capsys):
    for name in ("curves.png", "train.log"):
        (tmp_path / name).mkdir()
    for name in ("pictures", "tensorboard"):
        (tmp_path / name).touch()
    train(config(coco_folder), tmp_path)
    said = capsys.readouterr().out
    for name in ("curves.png", "train.log", "pictures", "tensorboard"):
        assert re.search(rf"{name}\b.*: .*(Is a directory|is a file, not a folder)", said), name
    assert f"{tmp_path}/curves.png" not in said.split("\ndone\n")[1]


def test_half_a_record_for_tensorboard_is_taken_back(tmp_path):
    records = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    scalars = hooks.ScalarFile()
    scalars.add(tmp_path, {"epoch": 1, "loss": 0.5})
    file = scalars.file

    class Full:
        def write(self, data):
            if len(data) < 30:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file.write(data[:10])

        def __getattr__(self, name):
            return getattr(file, name)

    scalars.file = Full()
    scalars.add(tmp_path, {"epoch": 2, "loss": 0.4})
    scalars.file = file
    scalars.add(tmp_path, {"epoch": 3, "loss": 0.3})
    (path,) = tmp_path.iterdir()
    assert [event.step for event in records.EventFileLoader(str(path)).Load()] == [0, 1, 3]


def test_a_log_on_a_full_disk_is_no_traceback_a_line(tmp_path, capsys):
    runner.start_logging()
    runner.log_to_file(tmp_path / "train.log")
    handler = logging.getLogger("hrtoolkit").handlers[1]

    class Full:
        def write(self, text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file, handler.stream = handler.stream, Full()
    hooks.log.info("lost")
    hooks.log.info("lost too")
    handler.stream = file
    hooks.log.info("there")
    said = capsys.readouterr()
    assert said.out.count("train.log: lines are missing: disk full") == 1 and not said.err
    assert "there" in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize("place", ["pack", "write"])
def test_predictions_that_cannot_be_written_do_not_cost_the_numbers(place, coco_folder, tmp_path, monkeypatch):
    train(make_config(coco_folder, train_cfg=dict(max_epochs=1)), tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CocoKeypointWriter, place, full)
    printed = []
    with pytest.raises(UserError, match=r"out\.json: could not be written: disk full .*; the numbers are ") as error:
        run_test(
            make_config(coco_folder), tmp_path / "best.pth", out=tmp_path / "out.json", report_numbers=printed.append
        )
    assert json.loads(str(error.value).split("the numbers are ")[1]) == printed[0]

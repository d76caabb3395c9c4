"""The whole way: from files of 300W through training to numbers and pictures."""

import json
import subprocess
import sys

import torch
from mmengine import Config

from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.toy.faces import write_faces

from ..conftest import REPOSITORY


def make_config(root):
    config = Config.fromfile(REPOSITORY / "configs/face/hrnetv2_toy.py")
    config.model.backbone.update(width=4, blocks=1, layer1_planes=8)
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.num_workers = 0
        loader.batch_size = 4
        loader.dataset.data_root = str(root)
    config.train_cfg.update(max_epochs=3, val_interval=1)
    return config


def test_less_error_is_better_and_curves_are_drawn(tmp_path):
    torch.set_num_threads(1)
    write_faces(tmp_path / "faces", train=8, test=4)
    config = make_config(tmp_path / "faces")
    best = train(config, tmp_path / "work")
    history = torch.load(tmp_path / "work/last.pth", weights_only=True)["meta"]["history"]
    errors = [record["NME"] for record in history]
    assert len(errors) == 3 and best["NME"] == min(errors)
    assert (tmp_path / "work/pictures/epoch_003_cumulative_error.png").is_file()
    config.train_dataloader.dataset.folders = "gone"  # testing needs no training data
    metrics = run_test(config, tmp_path / "work/best.pth", out=tmp_path / "faces.json")
    assert abs(metrics["NME"] - min(errors)) < 1e-6
    assert len(json.loads((tmp_path / "faces.json").read_text())) == 4


def test_a_mistake_in_the_folder_is_one_sentence(tmp_path):
    write_faces(tmp_path, train=1, test=1)
    command = [sys.executable, "tools/train.py", "configs/face/hrnetv2_w18_300w.py", "--data-root", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env={"PYTHONPATH": "."}, check=False)
    assert done.returncode != 0
    assert "has no folder afw, helen/trainset, lfpw/trainset; it holds testset, trainset" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr

"""The `hrtoolkit` command: help at once, verbs, near names, and the options that people try first."""

import argparse
import os
import shlex
import subprocess
import sys

import pytest

from hrtoolkit.commands import VERBS, main, options, run_verb
from hrtoolkit.config import load_config
from hrtoolkit.errors import UserError
from hrtoolkit.files import list_shipped


def leave(capsys, *arguments):
    """Run a command; its exit status and all that it printed."""
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    printed = capsys.readouterr()
    return leaving.value.code or 0, printed.out + printed.err


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_needs_nothing_heavy(verb):
    code = (
        f"import sys; sys.argv = ['hrtoolkit', {verb!r}, '--help'] if {verb!r} else ['hrtoolkit']\n"
        "from hrtoolkit.commands import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mmengine', 'timm', 'cv2', 'numpy'} & sys.modules.keys(); assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0 and "usage" in result.stdout, result.stderr


def test_verbs_that_are_none(capsys):
    code, printed = leave(capsys, "trian")
    assert code == 2 and "did you mean 'train'" in printed
    assert leave(capsys, "--version") == (0, "hrtoolkit 0.1.0\n")


def parse(verb, *arguments):
    parser = argparse.ArgumentParser()
    parser.set_defaults(tool=False)
    __import__(f"hrtoolkit.commands.{verb}")
    sys.modules[f"hrtoolkit.commands.{verb}"].add_arguments(parser)
    return parser.parse_args(arguments)


def test_shorthands_are_overrides():
    args = parse("train", "pose/hrnet_toy", "--epochs", "3", "--batch-size", "5", "--lr", "1e-4", "--set", "seed=7")
    config = options.read_config(args)
    assert config.train_cfg.max_epochs == 3 and config.train_dataloader.batch_size == 5
    assert config.optim_wrapper.optimizer.lr == 1e-4 and config.seed == 7


def test_the_next_command_can_be_pasted():
    args = parse("train", "my configs/a.py", "--data-root", "/my data", "--epochs", "3", "--set", "a.b=[1, 2]", "c='x'")
    words = shlex.split(options.command(args, "test", "best.pth"))
    assert parse("test", *words[2:]).checkpoint == "best.pth"
    assert words == [
        *("hrtoolkit", "test", "my configs/a.py", "best.pth", "--data-root", "/my data", "--set"),
        *("train_cfg.max_epochs=3", "a.b=[1, 2]", "c='x'"),
    ]
    args.tool = True
    assert options.command(args, "test").startswith("python tools/test.py")


def test_two_tasks_never_share_a_folder(tmp_path):
    names = [name for name in list_shipped() if not name.startswith("_")]
    assert len({options.work_folder(load_config(name)) for name in names}) == len(names) > 70
    (tmp_path / "mine.py").write_text("model = dict()")
    assert str(options.work_folder(load_config(tmp_path / "mine.py"))) == "work_dirs/mine"


def test_a_checkpoint_in_place_of_the_config():
    with pytest.raises(UserError, match=r"best\.pth is a checkpoint; the config comes first"):
        options.read_config(parse("test", "best.pth", "pose/hrnet_toy"))


def test_devices(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    options.use_device("cuda:1")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    options.use_device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    code, printed = leave(capsys, "test", "pose/hrnet_toy", "x.pth", "--device", "gpu")
    assert code == 2 and "--device takes cpu, cuda" in printed


def test_configs_are_listed(capsys):
    code, printed = leave(capsys, "configs", "pose", "W48", "MPII")
    _, row = printed.splitlines()
    assert code == 0 and row.split() == [
        *("pose/hrnet_w48_mpii", "256x256", "63.6", "M", "20.9", "G", "PCKh", "90.1", "[openmmlab]")
    ]
    code, printed = leave(capsys, "configs", "hourglass")
    assert code == 1 and "no shipped config has hourglass" in printed


def test_info(capsys):
    code, printed = leave(capsys, "info")
    assert code == 0 and "hrtoolkit 0.1.0" in printed and "torch" in printed and "missing" not in printed


def test_a_tool_is_the_verb(capsys):
    with pytest.raises(SystemExit) as leaving:
        run_verb("check", ["--config-only", "--no-files", "pose/hrnet_toy", "--set", "model.backbone.widht=3"])
    assert leaving.value.code == 1 and "did you mean 'width'?" in capsys.readouterr().out


def test_a_reader_that_leaves_is_no_mistake():
    command = f"{sys.executable} -m hrtoolkit configs | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ)
    assert len(result.stdout.splitlines()) == 1 and not result.stderr

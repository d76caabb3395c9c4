"""Two processes do what one process does with the whole batch, and the death of one ends the run in good order."""

import multiprocessing
import os
import signal

import pytest
import torch
from torch.utils.data import get_worker_info

from hrtoolkit import build_model
from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import config_text
from hrtoolkit.engine import train
from hrtoolkit.engine.distributed import CpuSyncBatchNorm, synchronise_batchnorm
from hrtoolkit.engine.run import explaining_errors
from hrtoolkit.errors import TrainingError
from hrtoolkit.tasks.pose.datasets import CocoKeypoints

from ..conftest import edit_json
from .test_run import assert_same, make_config, run_tool


@pytest.fixture
def four_people(coco_folder):
    """The folder with every annotation but the crowd labelled."""

    def label(content):
        content["annotations"][-1]["keypoints"] = [value for k in range(17) for value in (22 + 2 * k, 24 + 2 * k, 2)]

    edit_json(coco_folder / "people.json", label)
    return coco_folder


def make_batch():
    generator = torch.Generator().manual_seed(0)
    targets = {
        "keypoints": torch.rand(4, 17, 2, generator=generator) * torch.tensor([47.0, 63.0]),
        "visible": (torch.rand(4, 17, generator=generator) > 0.3).float(),
    }
    return torch.randn(4, 3, 64, 48, generator=generator), targets


def loss_and_gradients(model, batch):
    images, targets = batch
    loss = model(images, targets, mode="loss")["loss_heatmap"]
    loss.backward()
    return loss.detach(), {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}


def build(folder, seed=0):
    torch.manual_seed(seed)
    config = make_config(folder)
    config.model.backbone.init = "kaiming"  # gradients worth comparing in every layer
    return build_model(config)


def half_a_batch(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    model = torch.nn.parallel.DistributedDataParallel(synchronise_batchnorm(build(folder)))
    images, targets = make_batch()
    half = slice(2 * rank, 2 * rank + 2)
    batch = images[half], {name: values[half] for name, values in targets.items()}
    loss, gradients = loss_and_gradients(model, batch)
    torch.save({"loss": loss, "gradients": gradients, "state": model.module.state_dict()}, folder / f"{rank}.pth")
    torch.distributed.destroy_process_group()


def test_two_halves_of_a_batch_give_the_gradients_of_the_whole(tmp_path):
    model = build(tmp_path)
    loss, gradients = loss_and_gradients(model, make_batch())
    torch.multiprocessing.spawn(half_a_batch, args=(tmp_path,), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pth") for rank in range(2))
    torch.testing.assert_close((first["loss"] + second["loss"]) / 2, loss)
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            first["gradients"][name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max())
        )
        assert torch.equal(first["gradients"][name], second["gradients"][name])
    for name, value in model.state_dict().items():  # running statistics too
        torch.testing.assert_close(first["state"][name], value)


def test_synchronised_batchnorm_keeps_names_weights_and_evaluation(tmp_path):
    model = build(tmp_path).eval()
    images, _ = make_batch()
    before, names = model(images), list(model.state_dict())
    model.backbone.bn1.requires_grad_(False)
    synchronise_batchnorm(model)
    assert not model.backbone.bn1.weight.requires_grad and model.backbone.bn2.weight.requires_grad
    assert any(isinstance(module, CpuSyncBatchNorm) for module in model.modules())
    assert list(model.state_dict()) == names
    assert torch.equal(model(images), before)


def test_torchrun_trains_as_one_process_with_the_whole_batch(four_people, tmp_path):
    histories = []
    for processes, batch_size in ((0, 4), (2, 2)):
        config = make_config(
            four_people,
            custom_hooks=None,
            param_scheduler=None,
            sync_batchnorm=True,
            optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
            train_cfg=dict(max_epochs=3, val_interval=3),
        )
        config.train_dataloader.batch_size = batch_size
        path, work = tmp_path / f"{processes}.py", tmp_path / f"work{processes}"
        path.write_text(config_text(config))
        trained = run_tool("tools/train.py", path, "--work-dir", work, processes=processes)
        assert trained.returncode == 0, trained.stderr
        histories.append(read_checkpoint(work / "last.pth")["meta"]["history"])
    assert [record["loss"] for record in histories[1]] == pytest.approx([r["loss"] for r in histories[0]], rel=1e-4)
    assert histories[1][-1]["AP"] == histories[0][-1]["AP"]


def test_the_death_of_one_process_ends_the_run_with_one_sentence_and_a_checkpoint(four_people, tmp_path):
    kill = dict(type="SignalAtStep", step=4, number=int(signal.SIGKILL), rank=1)
    config = make_config(four_people, custom_hooks=[kill], train_cfg=dict(max_epochs=4, save_minutes=0.0))
    config.custom_imports.imports.append("tests.engine.test_resume")
    config.train_dataloader.batch_size = 1
    config.optim_wrapper.accumulative_counts = 1
    path, work = tmp_path / "tiny.py", tmp_path / "work"
    path.write_text(config_text(config))
    killed = run_tool("tools/train.py", path, "--work-dir", work, processes=2)
    assert killed.returncode != 0
    assert "error: another process of this run died" in killed.stderr and "--resume goes on from it" in killed.stderr
    assert read_checkpoint(work / "last.pth")["meta"]["epoch"] == 1
    config.custom_hooks = []
    path.write_text(config_text(config))
    resumed = run_tool("tools/train.py", path, "--work-dir", work, "--resume", processes=2)
    assert resumed.returncode == 0, resumed.stderr
    assert read_checkpoint(work / "last.pth")["meta"]["epoch"] == 4


def test_two_processes_stop_after_the_same_step_and_go_on_as_if_they_had_not(four_people, tmp_path):
    config = make_config(four_people, custom_hooks=[dict(type="SignalAtStep")], train_cfg=dict(max_epochs=3))
    config.custom_imports.imports.append("tests.engine.test_resume")
    config.train_dataloader.batch_size = config.optim_wrapper.accumulative_counts = 1
    path = tmp_path / "tiny.py"
    path.write_text(config_text(config))
    stop_one = ["--set", "custom_hooks.0.step=3", "custom_hooks.0.rank=1"]
    runs = [("whole", [], 0), ("parts", stop_one, 1), ("parts", ["--resume"], 0)]
    for work, options, code in runs:
        ended = run_tool("tools/train.py", path, "--work-dir", tmp_path / work, *options, processes=2)
        assert bool(ended.returncode) == code, ended.stderr
        if code:
            assert "stopped after epoch 2" in ended.stderr or "stopped after step" in ended.stderr
    whole, parts = (read_checkpoint(tmp_path / work / "last.pth") for work in ("whole", "parts"))
    assert_same(whole["state_dict"], parts["state_dict"])
    assert_same(whole["optimizer"], parts["optimizer"])


def test_the_death_of_a_process_that_reads_data_is_explained(four_people, tmp_path, monkeypatch):
    read = CocoKeypoints.read

    def killed(self, sample):
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self, sample)

    monkeypatch.setattr(CocoKeypoints, "read", killed)
    config = make_config(four_people)
    config.train_dataloader.num_workers = 1
    with pytest.raises(TrainingError, match=r"a process that reads data died.*lower num_workers"):
        train(config, tmp_path / "work")


def test_a_process_that_dies_while_it_hands_a_batch_over_is_explained(tmp_path):
    (tmp_path / "last.pth").touch()
    said = r"a process that reads data died.*last.pth is whole: --resume goes on from it \(EOFError\)"
    with pytest.raises(TrainingError, match=said), explaining_errors(tmp_path / "last.pth"):
        reader, writer = multiprocessing.Pipe()
        writer.close()
        reader.recv()
    with pytest.raises(ConnectionError, match="my own"), explaining_errors():
        raise ConnectionError("my own")


@pytest.mark.parametrize(
    "text", ["unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)", "my own words"]
)
def test_too_little_shared_memory_is_explained_and_other_errors_of_a_worker_keep_their_words(
    text, four_people, tmp_path, monkeypatch
):
    def refuse(self, sample):
        raise RuntimeError(text)

    monkeypatch.setattr(CocoKeypoints, "read", refuse)
    config = make_config(four_people)
    config.train_dataloader.num_workers = 1
    expected, said = (TrainingError, "--shm-size.*num_workers=0") if "shm" in text else (RuntimeError, text)
    with pytest.raises(expected, match=said):
        train(config, tmp_path / "work")

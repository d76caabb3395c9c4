"""The schedule follows the length of the training: to its end, however long it is and however often it is resumed."""

import json
import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine import train
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.schedules import find_length_problems, fit_schedule
from hrtoolkit.errors import CheckpointError

from ..conftest import REPOSITORY, edit_json
from .test_run import make_config

TOYS = sorted(REPOSITORY.glob("configs/*/*_toy.py"))
STEPS = 40  # of an epoch


def rates_of(config, epochs, steps=STEPS):
    """The learning rate of every step, and the one that is left at the end."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.optim_wrapper.optimizer.lr)
    schedules = []
    for options in config.param_scheduler:
        options = {**fit_schedule(options, epochs, steps)[0], "optimizer": optimizer, "epoch_length": steps}
        schedules.append(PARAM_SCHEDULERS.build(options))
    rates = []
    for _ in range(epochs):
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for schedule in schedules:
                if not schedule.by_epoch:
                    schedule.step()
        for schedule in schedules:
            if schedule.by_epoch:
                schedule.step()
    return rates, optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("factor", [0.5, 1, 2])
@pytest.mark.parametrize("path", TOYS, ids=lambda path: path.stem)
def test_toy_configs_of_any_length_end_at_the_end_of_their_schedule(path, factor):
    assert len(TOYS) == 8
    epochs = int(load_config(path).train_cfg.max_epochs * factor)
    config = load_config(path, [f"train_cfg.max_epochs={epochs}"])
    check_config(config, files=False)
    rates, left = rates_of(config, epochs, steps=200)
    top = rates.index(max(rates))
    # The last step is the one before the end, where the rate would be the smallest.
    assert left == pytest.approx(config.param_scheduler[-1].get("eta_min", 0), abs=max(rates) / 500)
    assert top <= 100 and all(a >= b for a, b in zip(rates[top:], rates[top + 1 :], strict=False))


@pytest.mark.parametrize(
    ("name", "epochs", "drops"),
    [
        ("pose/hrnet_w32_coco", 210, [170, 200]),
        ("pose/hrnet_w32_coco", 20, [16.2, 19.05]),
        ("pose/hrnet_w32_coco", 1, [0.8, 0.95]),
        ("face/hrnetv2_w18_wflw_dark", 60, [40, 55]),
        ("classification/hrnet_w18_imagenet", 100, [30, 60, 90]),
        ("classification/hrnet_w18_imagenet", 200, [60, 120, 180]),
    ],
)
def test_steps_come_at_their_share_of_the_training(name, epochs, drops):
    config = load_config(name)
    config.param_scheduler = config.param_scheduler[-1:]
    rates, _ = rates_of(config, epochs)
    lower = [i / STEPS for i in range(1, len(rates)) if rates[i] < rates[i - 1]]
    assert lower == pytest.approx(drops, abs=1 / STEPS)


def test_whole_numbers_beyond_the_end_are_shortened_and_said():
    cosine = dict(type="CosineAnnealingLR", by_epoch=True, T_max=10, convert_to_iter_based=True)
    fitted, remark = fit_schedule(cosine, 1, STEPS)
    assert fitted["T_max"] == fitted["end"] == 1 and remark.startswith("T_max=10, but the training has 1 epochs")
    warmup = dict(type="LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=500)
    fitted, remark = fit_schedule(warmup, 2, STEPS)
    assert fitted["end"] == 500 and "until step 500, but the training has 80 steps" in remark
    assert fit_schedule({**warmup, "end": 0.05}, 2, STEPS) == ({**warmup, "end": 4}, None)


@pytest.mark.parametrize(
    ("options", "where", "text"),
    [
        (dict(type="CosineAnnealingLR", T_max=14), "T_max", "climbs again after 14 epochs"),
        (dict(type="MultiStepLR", milestones=[170, 200]), "milestones", "170, 200 never comes"),
        (dict(type="MultiStepLR", milestones=[10, 30]), "milestones", "30 never comes"),
        (dict(type="MultiStepLR", milestones=[]), "milestones", "expected a list"),
        (dict(type="MultiStepLR", milestones=["10"]), "milestones", "'10'"),
        (dict(type="MultiStepLR", milestones=[1.5]), "milestones", "a share of the training up to 1.0, got 1.5"),
        (dict(type="StepLR", step_size=30), "step_size", "30 never comes"),
        (dict(type="StepLR", step_size=0), "step_size", "from 1 on"),
        (dict(type="PolynomialLR", end=12), "end", "the rate is 0 after 12 of max_epochs=30"),
        (dict(type="LinearLR", begin=30, end=31), "begin", "30 is not before the end"),
        (dict(type="LinearLR", begin=5, end=5), "end", "5 is not beyond begin=5"),
        (dict(type="LinearLR", end=float("nan")), "end", "got nan"),
        (dict(type="OneCycleLR", total_steps=12), "total_steps", "leave it out"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, where, text):
    ((key, found),) = find_length_problems(options, 30)
    assert key == where and text in found


def test_what_mmengine_and_torch_refuse_is_said_by_the_check(coco_folder):
    def problems(**changes):
        with pytest.raises(ConfigError) as caught:
            check_config(make_config(coco_folder, **changes))
        return "\n".join(caught.value.problems)

    adam = dict(type="Adam", lr=1e-3)
    for wrapper, text in (
        (dict(optimizer=dict(type="Adam", lr=-1.0)), "optim_wrapper.optimizer.lr: expected a number above 0, got -1"),
        (dict(optimizer=dict(type="SGD", lr=float("nan"))), "optim_wrapper.optimizer.lr: expected a number, got nan"),
        (dict(optimizer=dict(type="Adam", lr=0.0)), "optim_wrapper.optimizer.lr: expected a number above 0, got 0"),
        (dict(optimizer=dict(type="Adam", lr="0.1x")), "optim_wrapper.optimizer"),
        (dict(optimizer=dict(type="Adam", lr=1e-3, betas=(1.5, 0.9))), "Invalid beta"),
        (dict(optimizer={**adam, "weight_decay": -1.0}), "weight_decay: expected a number from 0 on, got -1"),
        (dict(optimizer=adam, accumulative_counts=0), "accumulative_counts: expected a whole number from 1 on, got 0"),
        (dict(optimizer=adam, clip_grad=dict(max_norm=-1)), "clip_grad.max_norm: expected a number above 0, got -1"),
        (dict(optimizer=adam, clip_grad=dict(max_nrm=1)), "clip_grad: clip_grad_norm_() got an unexpected"),
        (dict(optimizer=adam, clip_grad=1.0), "clip_grad: expected"),
        (dict(optimizer=adam, paramwise_cfg=dict(custom_key={})), "did you mean 'custom_keys'?"),
        (dict(optimizer=adam, paramwise_cfg=dict(bias_lr_mult=-1)), "bias_lr_mult: expected a number from 0 on"),
    ):
        assert text in problems(optim_wrapper=wrapper)
    cosine = dict(type="CosineAnnealingLR", eta_min=1.0)
    assert "eta_min: 1.0 is no less than optim_wrapper.optimizer.lr=0.001" in problems(param_scheduler=[cosine])
    negative = dict(type="ExponentialLR", gamma=-0.5)
    assert "param_scheduler.gamma: expected a number above 0, got -0.5" in problems(param_scheduler=negative)
    late = dict(type="EMAHook", begin_epoch=2, momentum=1.5)
    found = problems(custom_hooks=[late], val_evaluator=[])
    assert "custom_hooks.0.begin_epoch: 2 is not before the end" in found and "val_evaluator: has no metric" in found
    assert "custom_hooks.0.momentum: expected a number between 0 and 1, got 1.5" in found
    linear = dict(type="LinearLR", start_factor=2.0, by_epoch=False, end=3)
    assert "param_scheduler.0: Starting multiplicative factor" in problems(param_scheduler=[linear])
    assert "a resumed run does not know" in problems(param_scheduler=dict(type="ReduceOnPlateauLR"))


def test_a_run_resumed_for_longer_ends_at_the_end_with_the_options_of_now(coco_folder, tmp_path, capsys):
    cosine = dict(type="CosineAnnealingLR", by_epoch=True, eta_min=1e-5, convert_to_iter_based=True)

    def config(epochs, **optimizer):
        wrapper = dict(optimizer={**dict(type="Adam", lr=1e-3), **optimizer})
        config = make_config(coco_folder, train_cfg=dict(max_epochs=epochs), param_scheduler=[cosine])
        config.train_dataloader.batch_size = 1  # three steps an epoch
        return type(config)({**config.to_dict(), "optim_wrapper": wrapper})

    train(config(1), tmp_path)
    group = read_checkpoint(tmp_path / "last.pth")["optimizer"]["param_groups"][0]
    assert group["lr"] == pytest.approx(1e-5 + 99e-5 * (1 + math.cos(2 / 3 * math.pi)) / 2)
    train(config(3, lr=1e-4, weight_decay=0.1), tmp_path, resume=True)
    content = read_checkpoint(tmp_path / "last.pth")
    group = content["optimizer"]["param_groups"][0]
    assert (group["initial_lr"], group["weight_decay"]) == (1e-4, 0.1)
    assert group["lr"] == pytest.approx(1e-5 + 9e-5 * (1 + math.cos(8 / 9 * math.pi)) / 2)
    assert content["meta"]["history"][2]["lr"] == group["lr"]
    assert json.loads(content["meta"]["config"])["param_scheduler"][0]["eta_min"] == 1e-5
    said = capsys.readouterr().out
    assert "resuming with other options than before" in said and "optim_wrapper.optimizer.lr 0.001 -> 0.0001" in said
    with pytest.raises(CheckpointError, match="was trained by Adam, but the config has SGD; to start another"):
        train(config(4, type="SGD"), tmp_path, resume=True)
    assert "Adam" in (tmp_path / "config.py").read_text()  # it goes with the checkpoint


def test_a_run_is_not_resumed_for_outputs_of_other_names(coco_folder, tmp_path):
    def rename(name):
        def edit(content):
            content["categories"] = [{"id": 1, "name": "cat", "keypoints": ["left_ear", "right_ear", name]}]
            for annotation in content["annotations"]:
                annotation["keypoints"] = annotation["keypoints"][:9]
                annotation["num_keypoints"] = sum(v > 0 for v in annotation["keypoints"][2::3])

        edit_json(coco_folder / "people.json", edit)

    config = make_config(coco_folder, train_cfg=dict(max_epochs=2))
    config.model.head.scheme = None
    rename("tail")
    train(config, tmp_path)
    config.train_cfg.max_epochs = 3
    rename("nose")
    with pytest.raises(CheckpointError, match="stand for other names: tail, now nose; to start another"):
        train(config, tmp_path, resume=True)


def test_the_rate_that_is_shown_is_that_of_the_optimiser_and_not_of_one_group(coco_folder, tmp_path):
    config = make_config(coco_folder, train_cfg=dict(max_epochs=1), param_scheduler=None)
    config.optim_wrapper.paramwise_cfg = dict(custom_keys={"backbone": dict(lr_mult=0.0)})
    train(config, tmp_path)
    assert read_checkpoint(tmp_path / "last.pth")["meta"]["history"][0]["lr"] == 1e-3


@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_a_warm_up_of_a_share_of_a_short_training_ends(steps):
    config = load_config("pose/hrnet_w32_custom")
    rates, _ = rates_of(config, 3, steps)
    assert rates[0] < 2e-5 and max(rates) > 0.3 * config.optim_wrapper.optimizer.lr

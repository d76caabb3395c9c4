"""What the losses of branches are weighed by, in one process and in two."""

import copy
import re

import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.balance import LEAST, FixedWeights, RelativeLosses, Uncertainties
from hrtoolkit.config import ConfigError
from hrtoolkit.totals import divide

from .test_model import TINY, make_batch, make_branches

NAMES = ("boxes", "pose")


def make_losses(boxes, pose=None):
    losses = {"boxes": torch.tensor(boxes, requires_grad=True)}
    return losses | ({} if pose is None else {"pose": torch.tensor(pose, requires_grad=True)})


def total_of(balance, losses):
    _, values = divide({name: {"loss": one} for name, one in losses.items()}, {}, NAMES, torch.device("cpu"))
    total = sum(balance(losses, values).values())
    total.backward()
    return total.item(), [one.grad.item() for one in losses.values()]


def test_fixed_weights_multiply():
    total, gradients = total_of(FixedWeights(NAMES, {"pose": 100}), make_losses(2.0, 0.03))
    assert total == pytest.approx(5) and gradients == [1, 100]


def test_relative_losses_are_their_weights_and_pull_alike():
    balance = RelativeLosses(NAMES, {"pose": 4.0})
    total, gradients = total_of(balance, make_losses(2.0, 0.01))
    assert total == pytest.approx(5) and gradients == pytest.approx([0.5, 400])
    total, gradients = total_of(balance, make_losses(0.5, 0.02))  # each time by the loss of the step
    assert total == pytest.approx(5) and gradients == pytest.approx([2, 200])


def test_relative_losses_are_not_divided_by_next_to_nothing_and_a_resumed_run_knows_the_first():
    balance = RelativeLosses(NAMES)
    total_of(balance, make_losses(2.0, 0.01))
    resumed = RelativeLosses(NAMES)
    resumed.load_state_dict(balance.state_dict())
    _, gradients = total_of(resumed, make_losses(1e-9, 1e-9))
    assert gradients == pytest.approx([1 / (2 * LEAST), 1 / (0.01 * LEAST)])


def test_a_branch_that_comes_later_has_its_own_first_loss():
    balance = RelativeLosses(NAMES)
    total, gradients = total_of(balance, make_losses(2.0))
    assert total == 1 and gradients == [0.5] and balance.first[1].isnan()
    total_of(balance, make_losses(4.0, 8.0))
    assert balance.first.tolist() == [2, 8]


def test_uncertainties_start_at_the_first_losses_and_learn():
    balance = Uncertainties(NAMES)
    losses = make_losses(2.0, 0.01)
    total, gradients = total_of(balance, losses)
    assert total == pytest.approx(2 + torch.tensor([2.0, 0.01]).log().sum().item(), abs=1e-6)
    assert gradients == pytest.approx([0.5, 100])
    assert balance.log_variances.grad.tolist() == pytest.approx([0, 0], abs=1e-6)  # 1 - loss / variance
    balance.log_variances.grad = None
    total_of(balance, make_losses(1.0, 0.03))
    assert balance.log_variances.grad.tolist() == pytest.approx([0.5, -2])


def weigh_unevenly(rank, folder):
    """The first process has a box loss of one image alone, the second one of three, and both losses of pose."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    balance = RelativeLosses(NAMES)
    plain = make_losses(3.0) if rank == 0 else make_losses(1.0, 0.5)
    given = {name: {"loss_all": loss} for name, loss in plain.items()}
    settled, values = divide(given, {"boxes": 1 if rank == 0 else 3, "pose": 2}, NAMES, torch.device("cpu"))
    losses = {name: some["loss_all"] for name, some in settled.items()}
    balanced = {name: one.item() for name, one in balance(losses, values).items()}
    torch.save((balanced, values, balance.first), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_divide_by_the_same_numbers(tmp_path):
    torch.multiprocessing.spawn(weigh_unevenly, args=(tmp_path,), nprocs=2)
    (first, values, kept), (second, same, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert values.tolist() == same.tolist() == kept.tolist() == [1.5, 0.5]  # (3 + 3 * 1) / 4
    assert first == pytest.approx({"boxes": 2 * 3 / 4 / 1.5})  # and averaged with what the other process has: 1 each
    assert second == pytest.approx({"boxes": 2 * 3 * 1 / 4 / 1.5, "pose": 2})


def test_a_model_sums_balanced_losses_and_tells_the_others():
    torch.manual_seed(0)
    model = make_branches(balance=dict(type="RelativeLosses", weights=dict(body=4.0))).train()
    batch = model.data_preprocessor(make_batch() | {"targets": {"body": make_batch()["targets"]}}, training=True)
    plain = copy.deepcopy(model)
    plain.balance = None
    losses = model(**batch, mode="loss")
    assert losses.keys() == {"body/heatmap", "body/accuracy", "body/raw", "body/loss", "loss_untaught"}
    assert losses["body/raw"] == losses["body/heatmap"]
    assert losses["body/heatmap"] == plain(**batch, mode="loss")["body/loss_heatmap"]
    total, logged = model.parse_losses(losses)
    assert total.item() == pytest.approx(4) and not losses["body/heatmap"].requires_grad
    assert "balance.first" in model.state_dict() and logged["loss"].item() == pytest.approx(4)


def test_a_model_of_one_branch_divides_its_loss_too():
    parts = dict(backbone=TINY, neck=dict(type="HighestResolution"), head=dict(type="HeatmapHead", scheme="coco"))
    imports = dict(imports=["hrtoolkit.tasks.pose"])
    model = build_model(Config(dict(custom_imports=imports, model=parts | dict(balance=dict(type="RelativeLosses")))))
    losses = model(**model.data_preprocessor(make_batch(), training=True), mode="loss")
    assert losses.keys() == {"heatmap", "accuracy", "loss"} and losses["loss"].item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("balance", "message"),
    [
        (dict(type="RelativeLosses", weights=dict(bodi=2)), "the model has no branch 'bodi'; did you mean 'body'?"),
        (
            dict(type="RelativeLosses", weights=dict(body=-1)),
            "expected dict(NAME=a number from 0 on) or None, got {'body': -1}",
        ),
        (dict(type="Relative"), "there is no balance 'Relative'"),
        (dict(type="FixedWeights", branches=["a"]), "FixedWeights has no argument 'branches'"),
    ],
)
def test_a_wrong_balance_is_said(balance, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        make_branches(balance=balance)

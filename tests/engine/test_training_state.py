"""Checkpoints that a run must not go on from."""

import copy

import pytest
import torch

from hrtoolkit.engine.training_state import check_training_state
from hrtoolkit.errors import CheckpointError


@pytest.fixture(params=["AdamW", "SGD", "RMSprop"])
def optimizer(request):
    net = torch.nn.Linear(3, 4)
    options = {"momentum": 0.9} if request.param != "AdamW" else {}
    optimizer = getattr(torch.optim, request.param)(net.parameters(), lr=0.1, **options)
    net(torch.rand(2, 3)).sum().backward()
    optimizer.step()
    return optimizer


def checkpoint_of(optimizer):
    meta = {"hrtoolkit_version": "0.1", "epoch": 1, "samples": 0, "validated_epoch": 1, "history": [{"epoch": 1}]}
    progress = {"sums": {"loss": torch.zeros(())}, "summed": 0}
    state = copy.deepcopy(optimizer.state_dict())
    return {"meta": meta, "progress": progress, "state_dict": {"w": torch.zeros(1)}, "optimizer": state}


def test_a_state_of_another_shape_is_refused_by_name(optimizer):
    check_training_state(checkpoint_of(optimizer), optimizer, "last.pth")
    checked = 0
    for name, value in optimizer.state_dict()["state"][0].items():
        for wrong in (torch.zeros(2), torch.zeros(4, 3, 1), "text"):
            if value is None or (name == "step" and wrong == "text"):
                continue
            checkpoint = checkpoint_of(optimizer)
            checkpoint["optimizer"]["state"][0][name] = wrong
            with pytest.raises(CheckpointError, match=rf"last\.pth: .* not fit .*{name} of parameter 0"):
                check_training_state(checkpoint, optimizer, "last.pth")
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    "path",
    [
        *[("meta", name) for name in ("epoch", "samples", "validated_epoch", "history")],
        *[("progress", "sums"), ("optimizer", "state"), ("optimizer", "param_groups"), ("state_dict",), ("progress",)],
    ],
)
@pytest.mark.parametrize("value", ["text", None, -1, [3], {0: [1]}])
def test_parts_of_another_type_are_named(optimizer, path, value):
    checkpoint = checkpoint_of(optimizer)
    place = checkpoint
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(CheckpointError, match=rf"training state is not whole \(({path[0]}|{path[-1]})\)"):
        check_training_state(checkpoint, optimizer, "last.pth")


@pytest.mark.parametrize("change", [{"optimizer": None}, {"meta": None}, {"meta": [1]}, {"meta": {}}])
def test_weights_alone_are_no_training_state(optimizer, change):
    with pytest.raises(CheckpointError, match=r"holds no training state; resume from the last\.pth"):
        check_training_state({**checkpoint_of(optimizer), **change}, optimizer, "best.pth")

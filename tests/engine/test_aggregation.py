"""Gradients of branches that are combined, not added."""

import sys

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError
from hrtoolkit.engine import train
from hrtoolkit.engine.aggregation import AGGREGATORS, Aggregation, build_aggregator, project
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import UserError


@pytest.fixture
def step(make_config):
    """A model, and the losses of a step."""
    config = make_config()
    torch.manual_seed(0)
    run = Run.build(config, check_config(config), ("train",))
    model = run.model.train()
    batches = model.data_preprocessor(next(iter(run.training_loader(0))), training=True)["batches"]
    return model, model(batches=batches, mode="loss")


def gradients(model, total):
    model.zero_grad(set_to_none=True)
    total.backward(retain_graph=True)
    return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def test_torchjds_sum_trains_as_the_sum_of_the_losses(step):
    """Bit for bit as torchjd's own way to it, and as close to one backward pass as adding in another order is."""
    autojac = pytest.importorskip("torchjd.autojac")
    model, losses = step
    ours = gradients(model, Aggregation(model, build_aggregator("Sum"))(losses))
    shared = dict(model.backbone.named_parameters())
    by_branch = [losses[f"{name}/loss"] for name in model.branches]
    autojac.backward(by_branch, inputs=list(shared.values()), parallel_chunk_size=1, retain_graph=True)
    model.zero_grad()
    autojac.jac_to_grad(shared.values(), build_aggregator("Sum"))
    for name, one in shared.items():
        assert torch.equal(ours[f"backbone.{name}"], one.grad), name
    for name, expected in gradients(model, model.parse_losses(losses)[0]).items():
        if name.startswith("backbone."):
            difference = float((ours[name] - expected).abs().max())
            assert difference <= 1e-5 * max(float(expected.abs().max()), 1e-3), name
        else:
            assert torch.equal(ours[name], expected), name


def test_a_branch_without_truth_has_no_say(step):
    pytest.importorskip("torchjd")
    model, losses = step
    rest = {name: loss for name, loss in losses.items() if not name.startswith("parts/")}
    rest["loss_untaught"] = 0 * sum(one.sum() for one in model.parameters())
    seen = []
    total = Aggregation(model, lambda rows: seen.append(rows.shape) or rows[0])(rest)
    found = gradients(model, total)
    expected = gradients(model, losses["boxes/loss"])
    assert seen[0][0] == 3
    assert not any(one.any() for name, one in found.items() if name.startswith("branches.parts."))
    for name, one in found.items():
        if name.startswith("backbone."):
            assert torch.equal(one, expected[name]) if name in expected else not one.any()


def test_gradients_are_projected_as_the_paper_asks():
    """The least v'Gv over v >= u, found by a general solver."""
    rng = np.random.default_rng(0)
    for count in (2, 3, 5):
        rows = rng.normal(size=(count, 20))
        rows[0] = rows[0] - 2 * rows[-1]  # they point apart
        gramian = torch.from_numpy(rows @ rows.T)
        weights = torch.eye(count, dtype=torch.float64) / count
        found = project(weights, gramian).numpy()
        scaled = gramian.numpy() / np.trace(gramian) + 1e-4 * np.eye(count)
        for u, v in zip(weights.numpy(), found, strict=True):
            slow = minimize(
                lambda x, g=scaled: x @ g @ x,
                u + 1,
                jac=lambda x, g=scaled: 2 * g @ x,
                bounds=[(low, None) for low in u],
            )
            np.testing.assert_allclose(v @ scaled @ v, slow.fun, rtol=1e-5)
            assert (v >= u - 1e-12).all()


def test_a_run_is_trained_by_an_aggregator(make_config, tmp_path):
    """Another one than without, that gets somewhere: the losses of the second epoch are below those of the first."""
    pytest.importorskip("torchjd")
    config = make_config({"optim_wrapper.aggregator": "AlignedMTL"})
    train(config, tmp_path / "combined")
    train(make_config(), tmp_path / "added")
    combined, added = (
        read_checkpoint(tmp_path / name / "last.pth")["meta"]["history"] for name in ("combined", "added")
    )
    for name in ("boxes/classifier", "parts/seg", "pose/heatmap"):
        assert combined[1][name] < combined[0][name], name
    assert combined[1]["parts/seg"] != added[1]["parts/seg"]


def test_aggregators_of_the_list_are_there():
    pytest.importorskip("torchjd")
    rows = torch.tensor([[1.0, 0.0], [-0.5, 1.0]])
    for name in AGGREGATORS:
        assert build_aggregator(name)(rows).isfinite().all()


def test_an_aggregator_that_cannot_be_is_told_before_training(make_config, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"optim_wrapper.aggregator: there is no aggregator 'UPGrads'; did you mean"):
        check_config(make_config({"optim_wrapper.aggregator": "UPGrads"}))
    with pytest.raises(ConfigError, match=r"combines the gradients of several model.branches; leave it out"):
        check_config(make_config({"optim_wrapper.aggregator": "Sum"}, keep=["pose"]))
    monkeypatch.setitem(sys.modules, "torchjd.aggregation", None)
    monkeypatch.setitem(sys.modules, "torchjd", None)
    with pytest.raises(ConfigError, match=r"install it: pip install 'hrtoolkit\[aggregators\]'"):
        check_config(make_config({"optim_wrapper.aggregator": "UPGrad"}))
    monkeypatch.undo()
    pytest.importorskip("torchjd")
    with pytest.raises(UserError, match="float16 has no room"):
        train(make_config({"optim_wrapper.aggregator": "Sum"}), tmp_path, amp="float16")

"""A whole run of one network with several tasks, on toy data: training, resuming, testing, and what stops it."""

import json
import re
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine import Config

from hrtoolkit import build_model
from hrtoolkit.checkpoints import load_checkpoint, read_checkpoint
from hrtoolkit.config import ConfigError
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.aggregation import Aggregation, build_aggregator
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.engine.combination import Combination
from hrtoolkit.engine.gradients import measure_gradients
from hrtoolkit.engine.hooks import Progress

from .test_run import assert_same


def test_a_run_trains_measures_and_draws_every_branch(make_config, tmp_path):
    work = tmp_path / "work"
    numbers = train(make_config(), work)
    headlines = {"boxes/AP", "people/AP", "parts/mIoU", "pose/AP"}
    gains = {f"{name.partition('/')[0]}/gain" for name in headlines}
    assert headlines | gains | {"delta_MTL", "boxes/mask_AP", "boxes/objectness", "pose/heatmap"} <= numbers.keys()
    assert numbers["delta_MTL"] == pytest.approx(sum(numbers[name] for name in gains) / 4)
    for branch in ("boxes", "people", "parts", "pose"):
        assert (work / f"pictures/epoch_002_{branch}.jpg").stat().st_size > 0
    log = (work / "train.log").read_text()
    assert (
        "gradients on the backbone" in log
        and "against single tasks" in log
        and "the worst is" in log
        and "global batch 5" in log
    )
    # The line of an epoch has one number a branch, its loss before it is divided by itself.
    assert re.search(r"boxes \d\S*  people \d\S*  parts \d\S*  pose \d\S*  (boxes|delta|lr)", log)
    assert "objectness" not in log and {"boxes/raw", "pose/raw"} <= numbers.keys()
    results = tmp_path / "results"
    tested = run_test(make_config(), work / "best.pth", out=results)
    assert {name: tested[name] for name in headlines} == {name: numbers[name] for name in headlines}
    assert json.loads((results / "boxes.json").read_text()) is not None
    assert len([*(results / "parts").rglob("*.png")]) == 3


def kill_in_step_5(hook, runner, batch_idx, data_batch, outputs=None):
    original(hook, runner, batch_idx, data_batch, outputs)
    if runner.epoch == 1 and batch_idx == 1:
        runner.train_loop.step += 1
        runner.save_last()
        raise KeyboardInterrupt


original = Progress.after_train_iter


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(workers, make_config, toy, tmp_path, monkeypatch):
    """Also where a branch has no truth in some steps: of 8 images, 2 have label maps here."""
    fewer = tmp_path / "labels"
    fewer.mkdir()
    for path in sorted((toy / "labels/train2017").iterdir())[:2]:
        (fewer / path.name).symlink_to(path)

    def config():
        made = make_config({"train_dataloader.sources.scenes.batch_size": 1, "train_dataloader.num_workers": workers})
        made.train_dataloader.sources.scenes.datasets.parts.update(label_dir=str(fewer), faults="drop")
        made.pop("val_dataloader"), made.pop("val_evaluator"), made.pop("best")
        return made

    train(config(), tmp_path / "whole")
    monkeypatch.setattr(Progress, "after_train_iter", kill_in_step_5)
    with pytest.raises(KeyboardInterrupt):
        train(config(), tmp_path / "parts")
    monkeypatch.undo()
    train(config(), tmp_path / "parts", resume=True)
    whole, parts = (read_checkpoint(tmp_path / name / "last.pth") for name in ("whole", "parts"))
    for key in ("state_dict", "optimizer"):
        assert_same(whole[key], parts[key], key)


@pytest.mark.parametrize("branch", ["boxes", "pose"])
def test_a_branch_that_is_trained_alone_has_the_weights_of_its_own_run(branch, make_config, tmp_path):
    loaders = ("val_dataloader", "val_evaluator", "best")
    alone, among = make_config(keep=[branch]), make_config()
    for config in (alone, among):
        for name in loaders:
            config.pop(name)
        config.model.norm = "shared"
        config.model.balance = dict(type="FixedWeights")
        config.optim_wrapper.clip_grad = None
        config.optim_wrapper.optimizer.weight_decay = 0.0  # it shrinks what a branch does not read
    others = [name for name in among.model.branches if name != branch]
    among.model.frozen = [f"branches.{name}" for name in others]
    among.model.balance.weights = dict.fromkeys(others, 0.0)
    if branch == "pose":  # the crops of a step are another batch: their BatchNorm is their own
        among.model.norm = "per_view"
    train(alone, tmp_path / "alone")
    train(among, tmp_path / "among")
    states = [read_checkpoint(tmp_path / name / "last.pth")["state_dict"] for name in ("alone", "among")]
    names = [name for name in states[0] if "running" not in name and "num_batches" not in name]
    for name in names:
        assert torch.equal(states[0][name], states[1][name]), name


def problems_of(config):
    with pytest.raises(ConfigError) as caught:
        check_config(config, files=False)
    return caught.value.problems


SOURCE = "train_dataloader.sources.scenes"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({f"{SOURCE}.datasets": {}}, f"{SOURCE}.datasets: has truth of no branch; leave this source out"),
        ({f"{SOURCE}.batch_size": 0}, f"{SOURCE}.batch_size: expected a whole number from 1 on, got 0"),
        (
            {"sync_batchnorm": True},
            "sync_batchnorm: layers that one branch reads alone would wait for processes without",
        ),
        ({"train_dataloader.steps": 0}, "train_dataloader.steps: expected a whole number from 1 on or None, got 0"),
        ({f"{SOURCE}.dataset": {}}, f"{SOURCE}.dataset: {SOURCE} has no argument 'dataset'; did you mean 'datasets'?"),
        ({"best": None}, "best: missing; name the branch whose weights are kept as best, or say what each reaches"),
        ({"best": "box"}, "best: val_evaluator has no 'box'; did you mean 'boxes'?"),
        ({"best.boxes": 0}, "best.boxes: a branch that reaches 0 alone has no relative gain; give another"),
        ({"val_evaluator.boxes": None}, "val_evaluator.boxes: expected dict(type=...), got None"),
        ({"val_dataloader.box": {}}, "val_dataloader.box: the model has no branch 'box'; did you mean 'boxes'?"),
        (
            {f"{SOURCE}.augmentation": dict(type="PoseAugmentation")},
            f"{SOURCE}.augmentation: PoseAugmentation speaks to TopDown, but model.views.whole is ShortSide",
        ),
    ],
)
def test_what_a_config_says_wrongly_is_told_before_training(change, problem, make_config):
    config = make_config()
    for path, value in change.items():
        *parts, last = path.split(".")
        section = config
        for part in parts:
            section = section[part]
        section[last] = value
    assert any(one.startswith(problem) for one in problems_of(config)), problems_of(config)


def test_sources_and_branches_that_do_not_fit_are_told(make_config):
    config = make_config()
    del config.train_dataloader.sources.scenes.datasets["parts"]
    assert "model.branches.parts: no source of train_dataloader has truth of it; leave it out" in problems_of(config)
    config = make_config()
    config.train_dataloader.sources.scenes.datasets.pose = config.train_dataloader.sources.crops.datasets.pose
    text = "boxes, people, parts, pose look in different ways: make a source of each, or let them share model.views"
    assert f"{SOURCE}.datasets: {text}" in problems_of(config)
    config = make_config()
    del config.train_dataloader.sources.scenes.datasets.boxes["keep_empty"]
    assert any(one.startswith(f"{SOURCE}.datasets.boxes.keep_empty: missing") for one in problems_of(config))
    config = make_config()
    del config.val_evaluator["parts"]
    assert "val_evaluator.parts: missing; val_dataloader.parts needs it" in problems_of(config)


def test_the_data_of_every_branch_is_checked(make_config):
    samples, findings, cropped = check_data(make_config(), read_images=False)
    assert list(samples)[:4] == [
        *(f"train scenes {branch}" for branch in ("boxes", "people", "parts")),
        "train crops pose",
    ]
    assert cropped == {"train crops pose", "val pose"} and not [one for one in findings if one.level == "stop"]


class Judge:
    def __init__(self, headline, best=max):
        self.headline, self.best = headline, best


def test_gains_are_turned_round_where_less_is_better():
    metrics = {"boxes": [Judge("AP")], "face": [Judge("NME", min)]}
    combination = Combination(metrics, {"boxes": 0.4, "face": 0.05})
    gains = combination.gains({"boxes/AP": 0.5, "face/NME": 0.06})
    assert gains == pytest.approx({"boxes/gain": 0.25, "face/gain": -0.2, "delta_MTL": 0.025})
    assert (combination.headline, combination.best) == ("delta_MTL", max)
    one = Combination(metrics, "face")
    assert (one.headline, one.best, one.gains({})) == ("face/NME", min, {})


def part_of(batches, rows):
    """Some images of each batch, with the truth that there is of them."""
    parts = {}
    for view, batch in batches.items():
        chosen = range(*rows.indices(len(batch["images"])))
        part = {"images": batch["images"][rows], "frames": batch["frames"][np.array(chosen)], "targets": {}, "rows": {}}
        for name, known in batch["rows"].items():
            places = [place for place, row in enumerate(known.tolist()) if row in chosen]
            targets = batch["targets"][name]
            if places:
                part["rows"][name] = known[places] - chosen.start
                part["targets"][name] = (
                    [targets[place] for place in places]
                    if isinstance(targets, list)
                    else {key: value[places] for key, value in targets.items()}
                )
        parts[view] = part
    return parts


WAYS = [("RelativeLosses", None), ("FixedWeights", None), ("Uncertainties", None), ("FixedWeights", "AlignedMTL")]


def build_joint(config, balance, aggregator):
    torch.manual_seed(0)
    config.model.norm_eval = ["backbone", "branches"]
    config.model.balance = dict(type=balance)
    model = build_model(config).train().double()
    if aggregator is not None:
        model.combine_losses = Aggregation(model, build_aggregator(aggregator))
    return model


def gradients_of(model, batches):
    """Of a step of doubles in which no proposal is chosen by lot."""
    in_order = mock.patch("torch.randperm", lambda count, **_: torch.arange(count))
    with in_order, mock.patch.object(torch.Tensor, "float", torch.Tensor.double):
        total, _ = getattr(model, "module", model).parse_losses(model(batches=batches, mode="loss"))
    total.backward()
    return {name.removeprefix("module."): parameter.grad for name, parameter in model.named_parameters()}


def run_half(rank, folder, config):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    batches = part_of(torch.load(folder / "batches.pt", weights_only=False), slice(2 * rank, 2 * rank + 2))
    for index, way in enumerate(WAYS):
        model = torch.nn.parallel.DistributedDataParallel(build_joint(config, *way))
        torch.save(gradients_of(model, batches), folder / f"{index}_{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("labelled", [[0, 1, 2, 3], [0, 1, 2], [0, 1], []], ids=["all", "uneven", "one", "none"])
def test_two_processes_train_as_one_with_the_whole_batch(labelled, make_config, tmp_path):
    """When all images have label maps, and when one process or both lack some or all of them."""
    config = make_config()
    config.train_dataloader.sources.scenes.batch_size = config.train_dataloader.sources.crops.batch_size = 4
    run = Run.build(config, check_config(config), ("train",))
    batches = run.model.data_preprocessor(next(iter(run.training_loader(0))))["batches"]
    known = batches["whole"]
    if labelled:
        known["rows"]["parts"] = np.array(labelled)
        known["targets"]["parts"] = [known["targets"]["parts"][row] for row in labelled]
    else:
        del known["rows"]["parts"], known["targets"]["parts"]
    for batch in batches.values():
        batch["images"] = batch["images"].double()
    torch.save(batches, tmp_path / "batches.pt")
    torch.multiprocessing.spawn(run_half, args=(tmp_path, config), nprocs=2)
    for index, way in enumerate(WAYS):
        first, second = (torch.load(tmp_path / f"{index}_{rank}.pt") for rank in range(2))
        for name, gradient in gradients_of(build_joint(config, *way), batches).items():
            assert torch.equal(first[name], second[name])
            scale = 1.0 if name.startswith("balance") else max(float(gradient.abs().max()), 1e-3)
            difference = float((first[name] - gradient).abs().max()) / scale
            assert difference < 1e-6, (way, name)


def test_gradients_of_branches_on_the_backbone_are_measured(make_config):
    config = make_config()
    torch.manual_seed(0)
    run = Run.build(config, check_config(config), ("train",))
    model = run.model.train()
    batches = model.data_preprocessor(next(iter(run.training_loader(0))), training=True)["batches"]
    losses = model(batches=batches, mode="loss")
    measured = measure_gradients(model, losses)
    weights = [one for one in model.backbone.parameters() if one.requires_grad]
    rows = []
    for name in model.branches:
        found = torch.autograd.grad(losses[f"{name}/loss"], weights, retain_graph=True, allow_unused=True)
        rows.append(
            torch.cat(
                [(torch.zeros_like(w) if g is None else g).flatten() for w, g in zip(weights, found, strict=True)]
            )
        )
    cosines = torch.nn.functional.cosine_similarity(torch.stack(rows)[:, None], torch.stack(rows)[None], dim=-1)
    torch.testing.assert_close(measured[0], torch.stack([row.norm() for row in rows]))
    torch.testing.assert_close(measured[1], (cosines.sum(1) - 1) / 3, rtol=1e-4, atol=1e-5)
    total, _ = model.parse_losses(losses)
    total.backward()  # the graph is still there


def test_training_data_comes_first_wherever_it_stands(make_config):
    config = make_config()
    sections = {"model": config.model, "val_dataloader": config.val_dataloader, **config}
    plan = check_config(Config(sections, filename=config.filename), files=False)
    assert [one.split for one in plan.data.values()] == ["train"] * 4 + ["val"] * 4


def test_losses_are_divided_by_themselves_unless_the_config_says_otherwise(make_config, tmp_path):
    config = make_config({"model.balance": None, "train_cfg.max_epochs": 1})
    numbers = train(config, tmp_path / "work")
    assert {name: numbers[f"{name}/loss"] for name in config.model.branches} == pytest.approx(
        dict.fromkeys(config.model.branches, 1.0)
    )
    # What the losses of this training began at is no part of its weights.
    report = load_checkpoint(build_model(make_config()), tmp_path / "work/best.pth")
    assert report.ok and "balance.first" not in report.loaded
    assert run_test(config, tmp_path / "work/best.pth")["parts/mIoU"] >= 0

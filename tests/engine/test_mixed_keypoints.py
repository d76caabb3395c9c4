"""One branch that learns from, and is scored on, data sets with different keypoints."""

import copy
import json

import numpy as np
import pytest

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.errors import DataError
from hrtoolkit.schemes.people import COCO


@pytest.fixture(scope="module")
def other(toy, tmp_path_factory):
    """The toy data as a set with 12 of COCO's points and a neck, by split."""
    folder = tmp_path_factory.mktemp("other")
    files = {}
    for split in ("train", "val"):
        content = json.loads((toy / f"annotations/person_keypoints_{split}2017.json").read_text())
        content["categories"][0].update(keypoints=[*COCO.names[5:], "neck"], skeleton=[])
        for one in content["annotations"]:
            one["keypoints"] = [*one["keypoints"][15:], *one["keypoints"][15:18]]
            one["num_keypoints"] = sum(flag > 0 for flag in one["keypoints"][2::3])
        files[split] = folder / f"{split}.json"
        files[split].write_text(json.dumps(content))
    return files


@pytest.fixture
def mixed(make_config, other):
    """A config of one branch, two sources, and two sets that it is validated on."""
    config = make_config(keep=["pose"])
    config.model.branches.pose.head.scheme = None
    sources, loaders = config.train_dataloader.sources, config.val_dataloader
    sources.other = copy.deepcopy(sources.crops)
    sources.other.datasets.pose.ann_file = str(other["train"])
    loaders.other = dict(copy.deepcopy(loaders.pose), branch="pose")
    loaders.other.dataset.ann_file = str(other["val"])
    config.val_evaluator.other = dict(type="CocoKeypointMetric")
    config.best = dict(pose=0.5, other=0.4)
    return config


def test_a_branch_learns_from_data_with_other_keypoints_by_name(mixed):
    """Absent points have no truth, shared ones learn from both."""
    run = Run.build(mixed, check_config(mixed), ("train", "val"))
    scheme = run.model.branches["pose"].head.scheme
    assert scheme.names == (*COCO.names, "neck") and len(run.samples["train other pose"].scheme.names) == 13
    batch = run.model.data_preprocessor(next(iter(run.training_loader(0))), training=True)["batches"]["pose"]
    visible = batch["targets"]["pose"]["visible"]
    assert visible.shape == (6, 18) and not visible[3:, :5].any() and not visible[:3, 17].any()
    assert visible[:3, :5].any() and visible[3:, 17].any()
    losses = run.model(batches={"pose": batch}, mode="loss")
    run.model.parse_losses(losses)[0].backward()
    gradient = run.model.branches["pose"].head.final_layer.weight.grad.flatten(1).abs().sum(1)
    assert (gradient > 0).all()


def test_each_set_is_scored_in_its_own_scheme(mixed, tmp_path):
    numbers = train(mixed, tmp_path / "work")
    assert {"pose/AP", "other/AP", "pose/gain", "other/gain", "delta_MTL"} <= numbers.keys()
    assert read_checkpoint(tmp_path / "work/best.pth")["meta"]["output_names"]["pose"][-1] == "neck"
    for name in ("pose", "other"):
        assert (tmp_path / f"work/pictures/epoch_002_{name}.jpg").stat().st_size > 0
    results = tmp_path / "results"
    tested = run_test(mixed, tmp_path / "work/best.pth", out=results)
    assert tested["other/AP"] == numbers["other/AP"]
    for name, count in (("pose", 17), ("other", 13)):
        found = json.loads((results / f"{name}.json").read_text())
        assert found and all(len(one["keypoints"]) == 3 * count for one in found)


def test_a_head_may_have_the_points_that_all_sets_share(mixed, caplog):
    """Where the config states both schemes; what the head does not have is not scored."""
    shared = COCO.names[5:]
    mixed.model.branches.pose.head.scheme = dict(
        names=shared, mirrored=[pair for pair in COCO.mirrored if set(pair) <= set(shared)], sigmas=COCO.sigmas[5:]
    )
    other_names = [*shared, "neck"]
    mixed.train_dataloader.sources.crops.datasets.pose.scheme = "coco"
    mixed.val_dataloader.pose.dataset.scheme = "coco"
    for data in (mixed.train_dataloader.sources.other.datasets.pose, mixed.val_dataloader.other.dataset):
        data.scheme = dict(names=other_names, mirrored=mixed.model.branches.pose.head.scheme.mirrored)
    run = Run.build(mixed, check_config(mixed), ("train", "val"))
    assert run.model.branches["pose"].head.scheme.names == shared
    _, findings, _ = check_data(mixed)
    assert not [one for one in findings if one.level == "stop"]
    batch = run.model.data_preprocessor(next(iter(run.training_loader(0))), training=True)["batches"]["pose"]
    assert batch["targets"]["pose"]["visible"].shape == (6, 12)
    with caplog.at_level("INFO"):
        evaluation = run.evaluation("val pose")
    assert "pose: not scored, for the head does not have them: nose, left_eye" in caplog.text
    # Whoever finds the shared points has a perfect score, though five of COCO's are missing.
    for index in range(len(evaluation.inputs)):
        truth = evaluation.inputs.truth(index)
        ones = np.ones(len(truth.labels))
        scores = np.ones((len(truth.labels), len(shared)))
        evaluation.add([index], [truth.as_prediction()._replace(scores=ones, point_scores=scores)])
    evaluation.finish_samples(range(len(run.samples["val pose"])))
    assert evaluation.score()["AP"] == 1


def test_a_smaller_head_is_refused_where_the_data_does_not_state_its_scheme(mixed):
    mixed.model.branches.pose.head.scheme = dict(names=COCO.names[5:])
    with pytest.raises(DataError, match="keypoints"):
        Run.build(mixed, check_config(mixed), ("train", "val"))


def test_a_set_of_no_branch_is_told(mixed):
    mixed.val_dataloader.other.branch = "pos"
    with pytest.raises(ConfigError, match=r"val_dataloader.other: the model has no branch 'pos'; did you mean 'pose'"):
        check_config(mixed)
    mixed.val_dataloader.other.branch = "pose"
    mixed.val_evaluator.others = mixed.val_evaluator.pop("other")
    with pytest.raises(
        ConfigError, match=r"val_evaluator.others: val_dataloader has no 'others'; did you mean 'other'"
    ):
        check_config(mixed)

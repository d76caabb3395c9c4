"""Shipped configs of several public keypoint sets at once, on samples of these sets: learnt, finished, scored."""

import json

import numpy as np
import pytest
import torch

from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import load_config
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.schemes import convert
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.schemes.people import COCO

# Loader and source: file below the folder of samples, and folder of its images.
FILES = {
    "coco": ("coco_wholebody/test_coco_wholebody.json", "coco_wholebody"),
    "aic": ("aic/test_aic.json", "aic"),
    "crowdpose": ("crowdpose/test_crowdpose.json", "crowdpose"),
    "halpe": ("halpe/test_halpe.json", "coco_wholebody"),
    "ap10k": ("ap10k/test_ap10k.json", "ap10k"),
    "animalpose": ("animalpose/test_animalpose.json", "animalpose"),
}
MIXES = {
    # config: channels, and numbers that its sets alone have
    "multitask/hrnet_w32_coco_aic": (19, {"coco/AP", "coco/AP_M", "aic/AP"}),
    "multitask/hrnet_w32_coco_aic_shared": (12, {"coco/AP", "coco/AP_M", "aic/AP"}),
    "multitask/hrnet_w32_coco_crowdpose_halpe26": (26, {"coco/AP", "crowdpose/AP medium", "halpe/AP_L"}),
    "multitask/hrnet_w32_ap10k_animalpose": (29, {"ap10k/AP", "animalpose/AP"}),
}


def load(name, folder):
    """A shipped config of a small network on the samples."""
    config = load_config(name)
    backbone = dict(width=4, modules=(1, 1, 1), blocks=1, layer1_blocks=1, layer1_planes=8)
    config.model.backbone.update(backbone)
    config.model.branches.pose.view.input_size = (64, 64)
    config.train_dataloader.num_workers = 0
    files = {name: dict(ann_file=file, image_dir=images) for name, (file, images) in FILES.items()}
    for name, source in config.train_dataloader.sources.items():
        source.datasets.pose.update(data_root=str(folder / "keypoint_sets"), **files[name])
        source.batch_size = 4
    for name, loader in config.val_dataloader.items():
        loader.dataset.update(data_root=str(folder / "keypoint_sets"), **files[name])
        loader.update(batch_size=4, num_workers=0)
    config.train_cfg = dict(max_epochs=1, val_interval=1)
    return config


def build(config):
    return Run.build(config, check_config(config), ("train", "val"))


@pytest.mark.parametrize("name", MIXES)
def test_each_mix_trains_an_epoch_and_scores_each_set(test_data, tmp_path, name):
    channels, numbers = MIXES[name]
    found = train(load(name, test_data), tmp_path / "run")
    assert numbers <= found.keys() and all(np.isfinite(list(found.values())))
    state = read_checkpoint(tmp_path / "run/last.pth")["state_dict"]
    assert len(state["branches.pose.head.final_layer.weight"]) == channels


def learn(run, batch, rows):
    """The loss of some inputs of a batch, and the length of its gradient on each channel of the head."""
    some = dict(batch, images=batch["images"][rows], rows={"pose": np.arange(len(rows))}, frames=None)
    some["targets"] = {"pose": {name: value[rows] for name, value in batch["targets"]["pose"].items()}}
    run.model.zero_grad()
    loss, _ = run.model.parse_losses(run.model(batches={"pose": some}, mode="loss"))
    loss.backward()
    gradient = run.model.branches["pose"].head.final_layer.weight.grad
    return loss.item(), gradient.flatten(1).norm(dim=1)


@pytest.mark.parametrize(
    ("name", "first_lacks", "second_lacks"),
    [
        ("multitask/hrnet_w32_coco_aic", slice(17, 19), slice(0, 5)),
        ("multitask/hrnet_w32_ap10k_animalpose", slice(17, 29), [3, 5, 6, 8, 9, 11, 12, 14, 15]),
    ],
)
def test_absent_points_cost_nothing_and_shared_ones_learn_from_both(test_data, name, first_lacks, second_lacks):
    run = build(load(name, test_data))
    run.model.eval()  # inputs of one set leave the statistics of the other alone
    batch = run.model.data_preprocessor(next(iter(run.training_loader(0))), training=True)["batches"]["pose"]
    visible, head = batch["targets"]["pose"]["visible"], run.model.branches["pose"].head
    rows = {"first": slice(0, 4), "second": slice(4, 8)}
    lacks = {"first": first_lacks, "second": second_lacks}
    reached = {}
    for which in rows:
        some = np.arange(8)[rows[which]]
        before, gradient = learn(run, batch, some)
        assert before > 0 and (visible[some][:, lacks[which]] == 0).all()
        assert (gradient[lacks[which]] == 0).all()
        # Whatever the network says of them.
        weight = head.final_layer.bias.detach().clone()
        with torch.no_grad():
            head.final_layer.bias[lacks[which]] += 100
        assert learn(run, batch, some)[0] == before
        with torch.no_grad():
            head.final_layer.bias.copy_(weight)
        reached[which] = gradient > 0
        assert torch.equal(reached[which], (visible[some] > 0).any(dim=0))
    both = reached["first"] & reached["second"]
    assert both.sum() >= 4  # what the few people of the samples have labelled


def as_the_head_says(run, name, index):
    """The truth of an input as the head's record: 0.5 sure of what the set has, and 0.9 of what it lacks, far away."""
    inputs, head = run.inputs(name), run.model.branches["pose"].head.scheme
    place = int(inputs.objects[index])
    truth = inputs.samples.truth(inputs.sample_of(index)).select(slice(place, place + 1))
    found = truth.as_prediction()._replace(areas=np.full(1, 1e3), point_scores=np.full(truth.visible.shape, 0.5))
    record = convert(found, inputs.samples.scheme, head)
    absent = ~np.isin(head.names, inputs.samples.scheme.common().names)
    record.point_scores[:, absent], record.points[:, absent] = 0.9, 1e4
    return record


@pytest.mark.parametrize("name", MIXES)
def test_each_set_is_finished_and_scored_by_its_own_keypoints_and_metric(test_data, name):
    run = build(load(name, test_data))
    _, findings, _ = check_data(load(name, test_data))
    assert not [one for one in findings if one.level == "stop"]
    for split in [one for one in run.samples if one.startswith("val")]:
        shown = {}
        evaluation = run.evaluation(split)
        evaluation.watch = lambda sample, record, truth, shown=shown: shown.update({sample: record})
        for index in range(len(evaluation.inputs)):
            evaluation.add([index], [as_the_head_says(run, split, index)])
        evaluation.finish_samples(range(len(run.samples[split])))
        assert evaluation.score()["AP"] == pytest.approx(1), split
        own = run.samples[split].scheme
        for record in shown.values():
            assert record.points.shape[1] == len(own.names)
            np.testing.assert_allclose(record.scores, 0.5)


def test_second_poses_are_told_by_the_fall_offs_of_the_set(test_data):
    """And not by those of the head, which are COCO's where it has the point."""
    run = build(load("multitask/hrnet_w32_coco_aic_shared", test_data))
    aic = LAYOUTS["aic"]
    np.testing.assert_array_equal(run.evaluation("val aic").finish.sigmas, aic.sigmas[:12])
    np.testing.assert_array_equal(run.evaluation("val coco").finish.sigmas, COCO.sigmas[5:])
    assert run.samples["val aic"].scheme.sigmas == aic.sigmas


def test_whoever_has_no_point_that_the_head_has_does_not_count(test_data, tmp_path):
    """Nobody could find them; and a prediction of them is in the region of somebody who is ignored."""
    config = load("multitask/hrnet_w32_coco_aic_shared", test_data)
    folder = test_data / "keypoint_sets"
    content = json.loads((folder / FILES["coco"][0]).read_text())
    people = [one for one in content["annotations"] if one["num_keypoints"] > 8]
    people[0]["keypoints"][15:] = [0] * 36
    people[0]["num_keypoints"] = 3
    (tmp_path / "people.json").write_text(json.dumps(content))
    config.val_dataloader.coco.dataset.ann_file = str(tmp_path / "people.json")
    run = build(config)
    evaluation = run.evaluation("val coco")
    for index in range(len(evaluation.inputs)):
        evaluation.add([index], [as_the_head_says(run, "val coco", index)])
    evaluation.finish_samples(range(len(run.samples["val coco"])))
    numbers = evaluation.score()
    assert numbers["AP"] == numbers["AR"] == pytest.approx(1)

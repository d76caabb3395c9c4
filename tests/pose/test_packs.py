"""Shipped configs of public keypoint sets on samples of these sets: read, scored, trained."""

import numpy as np
import pytest

from hrtoolkit.build import find_part
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine import train
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import DataError
from hrtoolkit.metric import score_subsets, score_truth
from hrtoolkit.records import Objects, join
from hrtoolkit.registry import DATASETS, METRICS
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.schemes.people import KNOWN_SIGMAS
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric, CrowdPoseMetric

from .test_whole_body import grid

# Config: file below the folder of samples, folder of its images, headline of the truth itself.
PACKS = {
    "pose/hrnet_w32_coco_wholebody": ("coco_wholebody/test_coco_wholebody.json", "coco_wholebody", 1.0),
    "pose/hrnetv2_w18_coco_wholebody_hand": ("coco_wholebody/test_coco_wholebody.json", "coco_wholebody", 0.95),
    "face/hrnetv2_w18_coco_wholebody_face": ("coco_wholebody/test_coco_wholebody.json", "coco_wholebody", 0.0),
    "pose/hrnetv2_w18_onehand10k": ("onehand10k/test_onehand10k.json", "onehand10k", 0.95),
    "pose/hrnetv2_w18_rhd2d": ("rhd2d/test_rhd.json", "rhd2d", 0.95),
    "pose/hrnetv2_w18_freihand": ("freihand/test_freihand.json", "freihand", 0.95),
    "pose/hrnet_w32_ap10k": ("ap10k/test_ap10k.json", "ap10k", 1.0),
    "pose/hrnet_w32_animalpose": ("animalpose/test_animalpose.json", "animalpose", 1.0),
    "pose/hrnet_w32_crowdpose": ("crowdpose/test_crowdpose.json", "crowdpose", 1.0),
    "pose/hrnet_w32_aic": ("aic/test_aic.json", "aic", 1.0),
    "pose/hrnet_w32_posetrack18": ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18", 100.0),
    "pose/hrnet_w32_halpe136": ("halpe/test_halpe.json", "coco_wholebody", 1.0),
    "pose/hrnet_w32_halpe26": ("halpe/test_halpe.json", "coco_wholebody", 1.0),
    "pose/hrnet_w32_humanart": ("humanart/test_humanart.json", "humanart", 1.0),
    "pose/hrnet_w32_jhmdb": ("jhmdb/test_jhmdb_sub1.json", "jhmdb", 1.0),
}


def load(name, folder, sets=()):
    file, images, _ = PACKS[name]
    config = load_config(name, list(sets))
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.update(data_root=str(folder / "keypoint_sets"), ann_file=file, image_dir=images)
    return config


@pytest.mark.parametrize("name", PACKS)
def test_the_truth_itself_has_the_best_score(test_data, name):
    config, problems = load(name, test_data), []
    scheme = resolve_scheme(config.model.head.scheme, KeypointScheme)
    samples = find_part("data", config.val_dataloader.dataset, DATASETS, problems).build(scheme=scheme)
    first = config.val_evaluator[0] if isinstance(config.val_evaluator, list) else config.val_evaluator
    metric = find_part("metric", first, METRICS, problems).build()
    assert not problems and not samples.findings.stops()
    assert score_truth(metric, samples, join)[0] == pytest.approx(PACKS[name][2])


TINY = [
    "model.backbone.width=4",
    "model.backbone.modules=(1, 1, 1)",
    "model.backbone.blocks=1",
    "model.backbone.layer1_blocks=1",
    "model.backbone.layer1_planes=8",
    "model.view.input_size=(64, 64)",
    *(f"{loader}_dataloader.{key}" for loader in ("train", "val") for key in ("batch_size=4", "num_workers=0")),
    "train_cfg.max_epochs=1",
    "train_cfg.val_interval=1",
]


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("pose/hrnet_w32_coco_wholebody", {"AP", "AP foot", "AR left_hand"}),
        ("pose/hrnetv2_w18_freihand", {"PCK", "AUC", "EPE"}),
        ("pose/hrnet_w32_jhmdb", {"PCK", "tPCK"}),
        ("pose/hrnet_w32_ap10k", {"AP", "AP_L"}),
        ("pose/hrnet_w32_aic", {"AP", "AR75", "mAP"}),
    ],
)
def test_an_epoch_trains_and_is_scored(test_data, tmp_path, name, numbers):
    found = train(load(name, test_data, TINY), tmp_path / "run")
    assert numbers <= found.keys() and all(np.isfinite(list(found.values())))


# Areas and fall-offs of AI Challenger, whose files have none and whose people are scored by 0.53 of the box


def test_ai_challenger_is_scored_by_its_own_fall_offs(tmp_path):
    scheme = resolve_scheme("aic", KeypointScheme)
    points = grid(14, 100, 100, 25)
    visible = np.array([2, 2, 1, 2, 0, 2, 2, 2, 1, 2, 2, 2, 2, 2], np.uint8)
    box = np.array([[90.0, 90, 240, 210]])
    truth = Objects(
        box, np.zeros(1, int), points=points[None], visible=visible[None], ignored=np.zeros(1, bool), areas=np.ones(1)
    )
    moved = points[None] + np.array([2, 1])
    found = Objects(box, np.zeros(1, int), np.ones(1), moved, point_scores=np.ones((1, 14)))
    metric = CrowdPoseMetric()
    numbers = metric.score([metric.measure(found, truth, scheme)], scheme)
    assert (numbers["AP"], numbers["AP50"], numbers["AP75"]) == pytest.approx((0.6, 1, 1))
    area = np.array([0.53 * 150 * 120])
    of = (moved, points[None], area)
    assert oks_between(*of, np.array(scheme.sigmas), visible > 0) == pytest.approx(0.7952508718348277, rel=1e-12)
    wide = np.array([KNOWN_SIGMAS.get(name, 0.079) for name in scheme.names])
    assert oks_between(*of, wide, visible > 0) == pytest.approx(0.9897502554792046, rel=1e-12)
    # By COCO's fall-offs the same prediction is nearly perfect, and by the whole box it is better too.
    tight = np.array(scheme.sigmas)
    loose = KeypointScheme(scheme.names, sigmas=tuple(np.maximum(tight, 0.062)))
    assert metric.score([metric.measure(found, truth, loose)], loose)["AP"] > 0.9
    whole = CocoKeypointMetric()
    areas = truth._replace(areas=np.array([150.0 * 120]))
    assert whole.score([whole.measure(found, areas, scheme)], scheme)["AP"] > 0.6


def test_species_that_nobody_shows_do_not_lower_the_mean(test_data):
    folder = test_data / "keypoint_sets"
    samples = CocoKeypoints(data_root=folder, ann_file="ap10k/test_ap10k.json", image_dir="ap10k", scheme="ap10k")
    assert len(samples.scheme.classes.names) == 54
    metric = CocoKeypointMetric()
    truths = [samples.truth(sample) for sample in range(len(samples))]
    right = {i: metric.measure(one.as_prediction(), one, samples.scheme) for i, one in enumerate(truths)}
    assert score_subsets(metric, samples, right)[0]["AP"] == pytest.approx(1.0)
    first = np.zeros(1, int)
    wrong = {
        i: metric.measure(t.as_prediction()._replace(labels=first), t, samples.scheme) for i, t in enumerate(truths)
    }
    assert score_subsets(metric, samples, wrong)[0]["AP"] < 1  # all of category 1


# What cannot be: one error with its place and the next move


AIC = list(resolve_scheme("aic", KeypointScheme).names)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            dict(mirrored=[["right_shoulder", "left_shoulder"], ["right_shoulder", "left_elbow"]]),
            r"\['right_shoulder'\] stand in more than one mirrored pair; each has one partner, so leave a pair out",
        ),
        (dict(sigmas=[0.1] * 13), "13 sigmas for 14 keypoints; give one for each name, in their order"),
        (
            dict(mirrored=[["right_sholder", "left_shoulder"]]),
            r"mirrored names \['right_sholder'\], which are not among its names \(.*; did you mean 'right_shoulder'",
        ),
        (
            dict(common_names=[["neck", "top"], ["head_top", "top"]]),
            r"common_names makes one keypoint, 'top', of \['head_top', 'neck'\]; give each a name of its own",
        ),
        (
            dict(common_names=[["nekc", "top"]]),
            r"common_names names \['nekc'\], which are not among its names \(.*; did you mean 'neck'",
        ),
    ],
)
@pytest.mark.parametrize("where", ["the head", "the data"])
def test_a_layout_that_cannot_be_is_one_error(test_data, where, fields, message):
    config = load("pose/hrnet_w32_aic", test_data)
    scheme = dict(names=AIC, **fields)
    if where == "the head":
        config.model.head.scheme = scheme
        kind, place = ConfigError, "hrnet_w32_aic.py: 1 problem\n.*model.head.scheme: a keypoint scheme: "
    else:
        config.train_dataloader.dataset.scheme = scheme
        kind, place = DataError, "test_aic.json: the dataset's `scheme`: a keypoint scheme: "
    with pytest.raises(kind, match=place + message):
        Run.build(config, check_config(config, files=False), ("train", "val"))


def test_a_config_on_the_file_of_another_set_is_refused(test_data):
    config = load("pose/hrnet_w32_crowdpose", test_data)
    config.train_dataloader.dataset.update(ann_file="aic/test_aic.json", image_dir="aic")
    message = "aic/test_aic.json: these are the 14 keypoints of AI Challenger, not the 14 of CrowdPose; take the config"
    with pytest.raises(DataError, match=message):
        Run.build(config, check_config(config, files=False), ("train", "val"))

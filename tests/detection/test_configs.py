"""The configs have the published sizes and recipes."""

import pytest
import timm
import torch

from hrtoolkit import build_model
from hrtoolkit.config import load_config
from hrtoolkit.engine.schedules import fit_schedule
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "configs" / "detection"
BACKGROUND_BOXES = 4 * 1025  # torchvision's regressor has rows for the background, which mmdetection has not
BACKGROUND_MASK = 257


def test_every_published_config_is_there():
    names = {path.stem for path in FOLDER.glob("*.py")}
    sizes = {
        f"{kind}_rcnn_hrnetv2p_w{width}_coco{schedule}"
        for kind in ("faster", "mask")
        for width in (18, 32, 40, 48)
        for schedule in ("", "_2x")
    }
    cascades = {"cascade_rcnn_hrnetv2p_w32_coco", "cascade_mask_rcnn_hrnetv2p_w32_coco"}
    own = {
        "faster_rcnn_hrnetv2p_w18_custom",
        "faster_rcnn_hrnetv2p_w18_small_v2_custom",
        "mask_rcnn_hrnetv2p_w18_custom",
    }
    assert names == sizes | cascades | own | {"faster_rcnn_toy"}


def test_all_start_from_the_weights_that_the_originals_started_from():
    """Those of the authors' classification code; timm has better ones of W18, trained with more augmentation."""
    names = sorted(path.stem for path in FOLDER.glob("*_coco*.py"))
    assert len(names) == 18
    for name in names:
        width = name.split("_w")[1][:2]
        assert f"load_from=timm/hrnet_w{width}.ms_in1k" in (FOLDER / f"{name}.py").read_text()
        assert timm.is_model_pretrained(f"hrnet_w{width}.ms_in1k")


@pytest.mark.parametrize(
    ("name", "millions", "background"),
    [
        ("faster_rcnn_hrnetv2p_w18_coco", 27.483, BACKGROUND_BOXES),
        ("faster_rcnn_hrnetv2p_w32_coco", 47.280, BACKGROUND_BOXES),
        ("faster_rcnn_hrnetv2p_w40_coco", 63.526, BACKGROUND_BOXES),
        ("faster_rcnn_hrnetv2p_w48_coco", 83.361, BACKGROUND_BOXES),
        ("mask_rcnn_hrnetv2p_w32_coco_2x", 49.923, BACKGROUND_BOXES + BACKGROUND_MASK),
        ("cascade_rcnn_hrnetv2p_w32_coco", 74.921, 0),
        ("cascade_mask_rcnn_hrnetv2p_w32_coco", 82.851, 3 * BACKGROUND_MASK),
    ],
)
def test_detectors_have_the_size_of_mmdetections(name, millions, background):
    with torch.device("meta"):
        model = build_model(FOLDER / f"{name}.py")
    parameters = sum(p.numel() for p in model.parameters()) - background
    assert parameters / 1e6 == pytest.approx(millions, abs=0.0006)


@pytest.mark.parametrize(
    ("name", "epochs", "milestones"),
    [("faster_rcnn_hrnetv2p_w18_coco", 12, [8, 11]), ("faster_rcnn_hrnetv2p_w18_coco_2x", 24, [16, 22]),
     ("cascade_rcnn_hrnetv2p_w32_coco", 20, [16, 19])],
)  # fmt: skip
def test_schedules(name, epochs, milestones):
    config = load_config(FOLDER / f"{name}.py")
    assert config.train_cfg.max_epochs == epochs
    assert fit_schedule(config.param_scheduler[1], epochs, steps=1)[0]["milestones"] == milestones
    assert config.optim_wrapper.optimizer.lr == 0.02 and config.base_batch_size == 16
    assert config.model.norm_eval == ["backbone"] and not config.model.get("frozen")

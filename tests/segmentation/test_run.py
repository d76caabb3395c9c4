"""A whole run on a tiny folder: training, pictures, testing with windows and mirror images."""

import numpy as np
import pytest
import torch
from mmengine import Config
from PIL import Image

from hrtoolkit import build_model
from hrtoolkit.checkpoints import read_checkpoint
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine import test as run_test
from hrtoolkit.engine import train
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.schedules import PolynomialLR
from hrtoolkit.schemes import ClassScheme, resolve_scheme

from ..conftest import REPOSITORY
from .conftest import SCHEME, TINY


def make_config(folder, **changes) -> Config:
    dataset = dict(type="SegmentationPairs", data_root=str(folder), image_dir="images", label_dir="labels")
    loader = dict(batch_size=2, num_workers=0, dataset=dataset)
    scheme = {**SCHEME, "mirrored": []}  # told apart by color here
    tiles = dict(type="ScaleCropFlip", crop_size=(40, 32), base_size=40, scale=(0.8, 1.2))
    config = dict(
        custom_imports=dict(imports=["hrtoolkit.tasks.segmentation"]),
        model=dict(
            backbone={**TINY, "init": "kaiming"},
            head=dict(type="SegmentationHead", scheme=scheme, bn_momentum=0.3),
            view=dict(type="WholeImage"),
        ),
        train_dataloader=dict(**loader, augmentation=tiles),
        val_dataloader=loader,
        val_evaluator=dict(type="SegmentationMetric"),
        train_cfg=dict(max_epochs=12, val_interval=12),
        optim_wrapper=dict(optimizer=dict(type="Adam", lr=2e-2)),
        param_scheduler=[
            dict(type="PolynomialLR", power=0.9, by_epoch=True, begin=0, end=12, convert_to_iter_based=True)
        ],
        seed=0,
    )
    return Config({**config, **changes})


def test_a_run_learns_and_is_tested_in_windows_with_mirroring(label_folder, tmp_path):
    work = tmp_path / "work"
    metrics = train(make_config(label_folder), work)
    # Ground everywhere would be a third of its share: about 0.25.
    assert metrics["mIoU"] > 0.45
    for name in ("best.pth", "pictures/epoch_012.jpg", "pictures/epoch_012_legend.png"):
        assert (work / name).stat().st_size > 0, name
    meta = read_checkpoint(work / "best.pth")["meta"]
    assert meta["head"]["align_corners"] is False and meta["output_names"] == ["ground", "left", "right"]
    assert run_test(make_config(label_folder), work / "best.pth")["mIoU"] == pytest.approx(metrics["mIoU"])
    windows = make_config(label_folder)
    windows.model.inference = dict(type="MultiScale", scales=[0.8, 1.0, 1.3], window=(32, 32), stride=(16, 16))
    (tmp_path / "predicted").mkdir()  # of an earlier test, say
    scores = run_test(windows, work / "best.pth", flip=True, out=tmp_path / "predicted")
    assert scores["mIoU"] > 0.45
    files = sorted((tmp_path / "predicted").iterdir())
    assert [path.name for path in files] == ["a.png", "b.png", "c.png", "d.png"]
    pairs = [[np.asarray(Image.open(one)) for one in (path, label_folder / "labels" / path.name)] for path in files]
    right = [predicted == true for predicted, true in pairs]
    assert np.mean(right) > 0.6  # ignored pixels are never right


def test_a_mistake_inside_inference_is_found_before_anything_is_built(label_folder):
    config = make_config(label_folder)
    config.model.inference = dict(type="MultiScale", scale=[1.0], edges="pad")
    with pytest.raises(ConfigError) as error:
        check_config(config)
    assert "model.inference.scale: MultiScale has no argument 'scale'; did you mean 'scales'" in str(error.value)
    assert "model.inference.edges" in str(error.value)


def test_the_schedule_is_the_official_polynomial():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.1})
    schedule = PolynomialLR(optimizer, power=0.9, by_epoch=False, end=119548)
    expected = {0: 0.01, 1: 0.0099999247, 100: 0.0099924713, 59774: 0.0053588673, 119547: 2.692848e-7}
    optimizer.step()
    for step in range(119548):
        if step in expected:
            rates = [group["lr"] for group in optimizer.param_groups]
            assert rates == pytest.approx([expected[step], 10 * expected[step]], rel=1e-6)
        schedule.step()


CONFIGS = sorted((REPOSITORY / "configs" / "segmentation").glob("*.py"))


def test_configs_were_found():
    datasets = ("cityscapes", "pascal_context", "lip", "ade20k", "coco_stuff")
    models = ("w48", "w18_small_v2", "w48_ocr")
    assert {path.stem for path in CONFIGS} >= {f"hrnetv2_{model}_{data}" for model in models for data in datasets}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_can_be_tested_at_several_scales(path):
    config = load_config(path, ["model.inference.scales=[0.75,1.0,1.25]"])
    inference = check_config(config, files=False).model.branches[""]["inference"].build()
    assert inference.scales == (0.75, 1.0, 1.25)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs_enlarge_alike_everywhere_and_score_every_class(path):
    config = load_config(path, ["model.head.scheme=3"] if path.stem.endswith("_custom") else ())
    backbone, neck, head = config.model.backbone, config.model.get("neck"), config.model.head
    corners = head.get("align_corners", head.type == "OCRHead")
    assert backbone.get("align_corners", False) == corners and backbone.fuse_upsample == "bilinear"
    assert neck is None or neck.align_corners == corners
    with torch.device("meta"):
        model = build_model(config).eval()
    with torch.no_grad():
        outputs = model(torch.empty(1, 3, 60, 100, device="meta"))
    classes = resolve_scheme(head.scheme, ClassScheme)
    for output in outputs if isinstance(outputs, list) else [outputs]:
        assert output.shape == (1, len(classes.names), 15, 25)

"""What each task makes of the configs of its kind, and the official outputs of what is built from them."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from hrtoolkit import build_model, load_checkpoint
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine.check_config import check_config

from .conftest import (
    MMDET,
    MMPRETRAIN,
    MMSEG,
    OFFICIAL_CLASSES,
    OFFICIAL_FACE,
    OFFICIAL_OCR,
    OFFICIAL_POSE,
    edit,
)
from .test_convert import assert_same_when_written, plain

GOLDEN = Path(os.environ.get("HRTOOLKIT_TEST_DATA", "nowhere")).parent / "golden"
FILES = {
    "official_face.yaml": OFFICIAL_FACE,
    "official_classes.yaml": OFFICIAL_CLASSES,
    "official_ocr.yaml": OFFICIAL_OCR,
    "mmdet.py": MMDET,
    "mmseg.py": MMSEG,
    "mmpretrain.py": MMPRETRAIN,
}


@pytest.mark.parametrize("name", FILES)
def test_the_model_is_built_and_written(name, write, tmp_path):
    path = write(name, FILES[name])
    config = load_config(path)
    check_config(config, files=False)
    with torch.device("meta"):
        build_model(config)
    assert "_base_ = " in assert_same_when_written(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "shipped"),
    [
        (OFFICIAL_FACE, "face/hrnetv2_w18_wflw"),
        (OFFICIAL_CLASSES, "classification/hrnet_w18_imagenet"),
        (OFFICIAL_OCR, "segmentation/hrnetv2_w48_ocr_cityscapes"),
    ],
)
def test_official_files_give_the_shipped_configs(text, shipped, write):
    assert plain(load_config(write("a.yaml", text))) == plain(load_config(shipped))


def test_mmdetection_gives_the_shipped_network(write):
    config, shipped = load_config(write("mmdet.py", MMDET)), load_config("detection/faster_rcnn_hrnetv2p_w18_coco")
    assert plain(config)["model"] == plain(shipped)["model"]
    assert config.val_dataloader == shipped.val_dataloader and config.val_evaluator == shipped.val_evaluator


def test_mmpretrain_gives_the_shipped_network(write):
    config, shipped = load_config(write("a.py", MMPRETRAIN)), load_config("classification/hrnet_w18_imagenet")
    assert plain(config)["model"] == plain(shipped)["model"] and config.val_dataloader == shipped.val_dataloader


def test_mmsegmentation_is_tested_in_its_own_way(write):
    model = load_config(write("mmseg.py", MMSEG)).model
    assert model.view == {"type": "WholeImage", "fit": (2048, 512)}
    assert model.inference == {"type": "MultiScale", "scores": "logits", "window": (480, 512), "stride": (320, 341)}
    assert model.head.scheme == "ade20k" and model.backbone.fuse_upsample == "bilinear"


@pytest.mark.parametrize(
    ("text", "old", "new", "key"),
    [
        (MMDET, "score_thr=0.05", "score_thr=0.01", "model.test_cfg.rcnn.score_thr"),
        (MMDET, "dict(type='nms', iou_threshold=0.5)", "dict(type='soft_nms')", "model.test_cfg.rcnn.nms.type"),
        (MMDET, "scales=[8]", "scales=[4]", "model.rpn_head.anchor_generator.scales"),
        (MMDET, "sampling_ratio=0", "sampling_ratio=2", "model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio"),
        (MMDET, "'HRFPN'", "'FPN'", "model.neck.type"),
        (MMDET, "'FasterRCNN'", "'FCOS'", "model.type"),
        (MMDET, "'StandardRoIHead'", "'HybridTaskCascadeRoIHead'", "model.roi_head.type"),
        (MMDET, "keep_ratio=True", "keep_ratio=False", "test_dataloader.dataset.pipeline.1.keep_ratio"),
        (MMSEG, "kernel_size=1", "kernel_size=3", "model.decode_head.kernel_size"),
        (MMSEG, "'FCNHead'", "'UPerHead'", "model.decode_head.type"),
        (MMSEG, "iou_metrics=['mIoU']", "iou_metrics=['other']", "val_evaluator.iou_metrics"),
        (MMSEG, "norm_cfg=norm_cfg", "norm_cfg=dict(type='GN')", "model.decode_head.norm_cfg.type"),
        (MMDET, "use_sigmoid=False", "use_sigmoid=True", "model.roi_head.bbox_head.loss_cls"),
        (MMSEG, "label=True", "label=False", "test_dataloader.dataset.pipeline.2.reduce_zero_label"),
        (MMSEG, "mode='slide'", "mode='other'", "model.test_cfg.mode"),
        (MMPRETRAIN, "backend='pillow'", "backend='cv2'", "test_dataloader.dataset.pipeline.1.backend"),
        (MMPRETRAIN, "arch='w18'", "arch='w19'", "model.backbone.arch"),
        (MMPRETRAIN, "'LinearClsHead'", "'ArcFaceClsHead'", "model.head.type"),
        (OFFICIAL_FACE, "HEATMAP_SIZE: [64, 64]", "HEATMAP_SIZE: [32, 32]", "MODEL.HEATMAP_SIZE"),
        (OFFICIAL_OCR, "IGNORE_LABEL: 255", "IGNORE_LABEL: 0", "TRAIN.IGNORE_LABEL"),
        (OFFICIAL_OCR, "NUM_OUTPUTS: 2", "NUM_OUTPUTS: 3", "MODEL.NUM_OUTPUTS"),
        (OFFICIAL_CLASSES, "IMAGE_SIZE: [224, 224]", "IMAGE_SIZE: [224, 192]", "MODEL.IMAGE_SIZE"),
    ],
)
def test_what_is_not_had_is_refused_by_its_key(text, old, new, key, write):
    path = edit(write("a.py" if text.startswith(("model", "norm")) else "a.yaml", text), old, new)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert any(problem.startswith(f"{key}: ") for problem in error.value.problems)


def test_classes_and_sizes_of_ones_own(write):
    path = edit(write("a.py", MMDET), "num_classes=80", "num_classes=2")
    edit(path, "type='CocoDataset',", "type='CocoDataset', metainfo=dict(classes=('cat', 'dog')),")
    config = load_config(edit(path, "scale=(1333, 800)", "scale=(640, 480)"))
    assert config.model.head.scheme == ["cat", "dog"] and config.model.view.size == (640, 480)


@pytest.mark.parametrize(
    ("entry", "name", "text"),
    [
        ("pose_w32_256x192", "pose.yaml", OFFICIAL_POSE),
        ("face_300w_w18", "face.yaml", OFFICIAL_FACE.replace("WFLW", "300W").replace("98", "68")),
        ("cls_hrnet_w18", "classes.yaml", OFFICIAL_CLASSES),
        ("det_hrnetv2p_w18", "mmdet.py", MMDET),
        ("seg_hrnet_ocr_w48_cityscapes", "ocr.yaml", OFFICIAL_OCR),
    ],
)
def test_official_outputs(entry, name, text, write, tmp_path):
    if not GOLDEN.is_dir():
        pytest.skip("no official outputs here")
    spec = importlib.util.spec_from_file_location("weights", GOLDEN / "weights.py")
    weights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(weights)
    known = json.loads((GOLDEN / "golden.json").read_text())[entry]
    model = build_model(write(name, text)).eval()
    state = weights.fill({key: torch.empty(shape) for key, shape in known["keys"]})
    torch.save(state, tmp_path / "official.pth")
    report = load_checkpoint(model, tmp_path / "official.pth")
    assert not report.unexpected and all(one.startswith("head.") for one in report.missing)
    with torch.no_grad():
        outputs = model(weights.make_input(entry, known["input"]))
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    assert len(outputs) == len(known["outputs"])
    for output, told in zip(outputs, known["outputs"], strict=True):
        assert list(output.shape) == told["shape"]
        values = output.flatten()[told["index"]].numpy()
        assert np.abs(values - told["values"]).max() < 1e-4 * told["std"]

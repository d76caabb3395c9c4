"""Configs of the official pose code and of mmpose, as configs of ours."""

from __future__ import annotations

from typing import Any

from hrtoolkit.foreign import Dialect, openmmlab, register_dialect
from hrtoolkit.foreign.hrnet import OFFICIAL, read_stages
from hrtoolkit.foreign.official import count_gpus, read_schedule
from hrtoolkit.foreign.settings import NO_EFFECT, REPEATED, Outputs, Settings, unusual
from hrtoolkit.keypoints.foreign import (
    dataset_name,
    is_mmpose,
    joins_maps,
    old_data_options,
    read_augmentation,
    read_model,
)
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.known import KNOWN

IMPORTS = {"imports": ["hrtoolkit.tasks.pose"]}
COUNTS = {"coco": 17, "mpii": 16}
NO_BOXES = "tests take annotated boxes, which gives higher numbers; --boxes FILE names detections"
SCORES = {"bbox_keypoint": "box_keypoint", "bbox": "box", "keypoint": "keypoint"}
FINISH = {"keypoint_threshold": 0.2, "nms": "oks", "nms_threshold": 0.9, "score": "box_keypoint"}  # usual values
SUPPRESSION = {"oks_nms": "oks", "soft_oks_nms": "soft", "none": None}


def _from_official(settings: Settings) -> dict[str, Any]:
    model, test, data = (settings.section(name) for name in ("MODEL", "TEST", "DATASET"))
    name = str(data.get("DATASET", "coco")).lower()
    count = model.get("NUM_JOINTS", 17, Outputs)
    known = COUNTS.get(name) == count
    named = name in KNOWN[KeypointScheme] and len(KNOWN[KeypointScheme][name].names) == count
    scheme: Any = name if named else [f"keypoint {i}" for i in range(count)]
    size = model.get("IMAGE_SIZE", [256, 256], tuple[int, int])
    heatmap = model.get("HEATMAP_SIZE", [64, 64], tuple[int, int])
    if [4 * one for one in heatmap] != list(size):
        model.refuse("HEATMAP_SIZE", f"{list(heatmap)} is not a quarter of IMAGE_SIZE, as HRNet's maps are")
    model.only("TARGET_TYPE", "gaussian", why="coordinates without heatmaps are not supported")
    extra = model.section("EXTRA")
    extra.only("FINAL_CONV_KERNEL", 1)
    extra.only("SIGMA", 2)
    backbone = {**read_stages(extra, OFFICIAL, first="STAGE1" in extra), "num_outputs": 1}
    data.only("COLOR_RGB", True, default=False, why="weights that were trained on BGR want their first layer turned")
    codec: dict[str, Any] = {"type": "GaussianHeatmap", "sigma": float(model.get("SIGMA", 2.0, float))}
    test.only("POST_PROCESS", True, default=False, why="peaks are read with a quarter step")
    flip = test.get("FLIP_TEST", False, bool)
    if not test.get("SHIFT_HEATMAP", False, bool):
        codec["flip_shift"] = False
    config: dict[str, Any] = {
        "custom_imports": IMPORTS,
        "model": {
            "backbone": backbone,
            "neck": {"type": "HighestResolution"},
            "head": {"type": "HeatmapHead", "scheme": scheme, "codec": codec},
            "view": {"type": "TopDown", "input_size": tuple(size)},
        },
    }
    if flip and named:
        config["model"]["flip_test"] = True
    elif flip:
        test.leave_out("FLIP_TEST", why="nobody knows which keypoints are mirror partners")
    _read_official_data(settings, config, name if known else "")
    return config


def _read_official_data(settings: Settings, config: dict[str, Any], name: str) -> None:
    """Data, training and metric of the official code, where we have the data set."""
    data, test, train = (settings.section(key) for key in ("DATASET", "TEST", "TRAIN"))
    finish = {
        "type": "PoseFinish",
        "keypoint_threshold": float(test.get("IN_VIS_THRE", 0.0, float)),
        "nms_threshold": float(test.get("OKS_THRE", 0.5, float)),
    }
    if test.get("SOFT_NMS", False, bool):
        finish["nms"] = "soft"
    test.leave_out("BBOX_THRE", "NMS_THRE", why="no official code reads it")
    test.only("IMAGE_THRE", 0.0, why="boxes of all scores are looked at")
    own_boxes, boxes = test.get("USE_GT_BBOX", False, bool), test.get("COCO_BBOX_FILE", "", str)
    sets = {"train": data.get("TRAIN_SET"), "val": data.get("TEST_SET")}
    augmentation = {
        "type": "PoseAugmentation",
        "half_body": max(float(data.get("PROB_HALF_BODY", 0.0, float)), 0.0),
        "half_body_keypoints": data.get("NUM_JOINTS_HALF_BODY", 8, int),
        "scale": float(data.get("SCALE_FACTOR", 0.25, float)),
        "rotation": float(data.get("ROT_FACTOR", 30, float)),
        "flip": 0.5 if data.get("FLIP", True, bool) else 0.0,
    }
    data.leave_out("SELECT_DATA", "HYBRID_JOINTS_TYPE")
    settings.leave_out("LOSS")
    root = str(data.get("ROOT") or f"data/{name}").rstrip("/")
    batch = train.get("BATCH_SIZE_PER_GPU", 32, int)
    schedule = read_schedule(train)
    if not name:
        data.leave_out("DATASET", why="for predicting only: there is no such data set here")
        return
    found = {key: _official_samples(name, root, str(value)) for key, value in sets.items() if value}
    if name == "coco":
        config["model"]["finish"] = unusual(finish, FINISH)
        if not own_boxes and boxes and "val" in found:
            found["val"] = _with_boxes(settings, "val", found["val"], boxes)
    for key, dataset in found.items():
        config[f"{key}_dataloader"] = {"batch_size": batch, "num_workers": 4, "dataset": dataset}
    if "train" in found:
        augmentation = unusual(augmentation, {"half_body": 0.0, "half_body_keypoints": 8})
        config["train_dataloader"]["augmentation"] = augmentation
        config |= schedule | {"base_batch_size": batch * count_gpus(settings)}
    config["val_evaluator"] = {"type": "CocoKeypointMetric" if name == "coco" else "MpiiPckMetric"}


def _with_boxes(settings: Settings, name: str, samples: dict[str, Any], boxes: str) -> dict[str, Any]:
    """Data with a detector's boxes, for which annotated ones stand where the file is missing."""
    file = openmmlab.below(boxes, samples["data_root"])
    found = samples | {"box_file": file}
    settings.told.choices[f"{name}_dataloader.dataset"] = [(found, ""), (samples, f"no {file}: {NO_BOXES}")]
    return found


def _official_samples(name: str, root: str, split: str) -> dict[str, Any]:
    if name == "mpii":
        samples = {"type": "MpiiPose", "data_root": root, "ann_file": f"annot/{split}.json", "image_dir": "images"}
        return samples | ({"gt_file": f"annot/gt_{split}.mat"} if split != "train" else {})
    file = f"annotations/person_keypoints_{split}.json"
    return {"type": "CocoKeypoints", "data_root": root, "ann_file": file, "image_dir": split}


def _from_mmpose(settings: Settings) -> dict[str, Any]:
    count = settings.peek("model", "head", "out_channels") or settings.peek("model", "keypoint_head", "out_channels")
    numbered = [f"keypoint {i}" for i in range(count)] if isinstance(count, int) and 0 < count < 10_000 else None
    model = read_model(settings, numbered)
    model["neck"] = {"type": "HighestResolution"}
    model["head"] = {"type": "HeatmapHead", **model["head"]}
    config: dict[str, Any] = {"custom_imports": IMPORTS, "model": model}
    scheme = model["head"]["scheme"]
    known = scheme if isinstance(scheme, str) and scheme in COUNTS else ""
    for name in ("train", "val", "test"):
        _read_data(settings, config, name, known)
    for name in ("val", "test"):
        if f"{name}_dataloader" not in config:
            openmmlab.leave_metric(settings, name, config)
    if not known:
        return config
    if "train_dataloader" in config:
        config["train_dataloader"]["augmentation"] = read_augmentation(settings, "PoseAugmentation")
        schedule = openmmlab.read_schedule(settings)
        config |= schedule
        if not schedule:
            config.pop("train_dataloader")
    return config


def _read_data(settings: Settings, config: dict[str, Any], name: str, known: str) -> None:
    """Data and metric of "train", "val" or "test"; test data that are the validation's are left out."""
    data = openmmlab.dataset(settings, name)
    if name == "test" and dict(data.values) == dict(openmmlab.dataset(settings, "val").values):
        data.leave_rest(REPEATED)
    elif not known or dataset_name(data) != known:
        data.leave_rest(f"for predicting only: the data set {openmmlab.kind(data)} is not supported")
    else:
        root = openmmlab.find_root(settings, data, f"data/{known}")
        prefix = data.section("data_prefix").get("img") if "data_prefix" in data else data.get("img_prefix")
        samples = {
            "type": {"coco": "CocoKeypoints", "mpii": "MpiiPose"}[known],
            "data_root": root,
            "ann_file": openmmlab.below(data.get("ann_file", ""), root),
            "image_dir": openmmlab.below(prefix or "images", root),
        }
        batch = openmmlab.batch_size(settings, name, 32)
        config[f"{name}_dataloader"] = {"batch_size": batch, "num_workers": 4, "dataset": samples}
        _read_truth(settings, config, data, name, known)
        if name == "val" and "data_cfg" in data:
            data.section("data_cfg").leave_rest(REPEATED)  # that of the test data is taken
        openmmlab.leave_data(data, name)


def _read_truth(settings: Settings, config: dict[str, Any], data: Settings, name: str, known: str) -> None:
    """Boxes, head sizes and the metric of the data that are tested."""
    if name == "train":
        return
    samples = config[f"{name}_dataloader"]["dataset"]
    root = samples["data_root"]
    old = old_data_options(settings)
    if known == "mpii":
        sizes = data.get("headbox_file") or f"{samples['ann_file'].rpartition('/')[0]}/mpii_gt_val.mat"
        samples["gt_file"] = openmmlab.below(sizes, root)
        config[f"{name}_evaluator"] = {"type": "MpiiPckMetric"}
        settings.section(f"{name}_evaluator").leave_rest(NO_EFFECT)
        return
    own_boxes, file = old.get("use_gt_bbox"), old.get("bbox_file")
    boxes = data.get("bbox_file") or (file if own_boxes is False else None)
    if isinstance(boxes, str) and boxes:
        config[f"{name}_dataloader"]["dataset"] = _with_boxes(settings, name, samples, boxes)
    metric = settings.section(f"{name}_evaluator")
    finish: dict[str, Any] = {"type": "PoseFinish"}
    if "data" in settings:
        finish |= {
            "keypoint_threshold": float(old.peek("vis_thr") or 0.2),
            "nms": "soft" if old.peek("soft_nms") else "oks",
        }
        finish["nms_threshold"] = float(old.peek("oks_thr") or 0.9)
        if old.peek("det_bbox_thr"):
            old.refuse("det_bbox_thr", "boxes of all scores are looked at")
    else:
        metric.only("type", "CocoMetric")
        finish["keypoint_threshold"] = float(metric.get("keypoint_score_thr", 0.2, float))
        finish["nms_threshold"] = float(metric.get("nms_thr", 0.9, float))
        finish["score"] = SCORES[metric.only("score_mode", *SCORES)]
        finish["nms"] = SUPPRESSION[metric.only("nms_mode", *SUPPRESSION)]
        metric.only("use_area", True)
        metric.only("iou_type", "keypoints")
        metric.only("format_only", False)
        metric.leave_out("ann_file", "outfile_prefix", "collect_device", "collect_dir", "prefix", why=NO_EFFECT)
    config["model"]["finish"] = unusual(finish, FINISH)
    config[f"{name}_evaluator"] = {"type": "CocoKeypointMetric"} | ({} if "data" in settings else {"write_bbox": True})


register_dialect(
    Dialect("official pose", "official", ("pose_hrnet", "pose_high_resolution_net"), lambda _: True, _from_official),
    Dialect(
        "mmpose",
        "openmmlab",
        ("TopDown", "TopdownPoseEstimator"),
        lambda settings: is_mmpose(settings) and not joins_maps(settings),
        _from_mmpose,
    ),
)

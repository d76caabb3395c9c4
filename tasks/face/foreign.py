"""Configs of the official face code and of mmpose's networks on joined maps, as configs of ours."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from hrtoolkit.config.load import load_config
from hrtoolkit.foreign import Dialect, openmmlab, register_dialect
from hrtoolkit.foreign.hrnet import OFFICIAL, read_stages
from hrtoolkit.foreign.official import count_gpus, read_schedule
from hrtoolkit.foreign.python_file import merge
from hrtoolkit.foreign.settings import NO_EFFECT, REPEATED, Outputs, Settings
from hrtoolkit.keypoints.foreign import dataset_name, is_mmpose, joins_maps, read_augmentation, read_model

IMPORTS = {"imports": ["hrtoolkit.tasks.face"]}
COUNTS = {"300w": 68, "wflw": 98, "cofw": 29, "aflw": 19}
SPLITS = {"common": "common", "challenge": "challenge", "_test": "test"}  # of 300W, by what their files are called
RELEASE = "the release's own files are read"


def _from_official(settings: Settings) -> dict[str, Any]:
    model, data, train = (settings.section(name) for name in ("MODEL", "DATASET", "TRAIN"))
    name, count = str(data.get("DATASET", "300W")).lower(), model.get("NUM_JOINTS", 68, Outputs)
    known = COUNTS.get(name) == count
    size = model.get("IMAGE_SIZE", [256, 256], tuple[int, int])
    heatmap = model.get("HEATMAP_SIZE", [64, 64], tuple[int, int])
    if [4 * one for one in heatmap] != list(size):
        model.refuse("HEATMAP_SIZE", f"{list(heatmap)} is not a quarter of IMAGE_SIZE, as HRNet's maps are")
    model.only("TARGET_TYPE", "Gaussian", "gaussian")
    extra = model.section("EXTRA")
    extra.only("FINAL_CONV_KERNEL", 1)
    backbone = {**read_stages(extra, OFFICIAL, first="STAGE1" in extra), "fuse_upsample": "bilinear"}
    codec = {"type": "TruncatedHeatmap", "sigma": float(model.get("SIGMA", 1.5, float))}
    scheme: Any = name if known else [f"landmark {i}" for i in range(count)]
    parts = {
        "backbone": backbone | {"bn_momentum": 0.01},
        "head": {"type": "FaceHead", "scheme": scheme, "codec": codec, "integer_points": True},
        "view": {"type": "OfficialFaceCrop", "input_size": tuple(size)},
    }
    base = load_config(f"_base_/face_{name}").to_dict() if known else {}
    config = merge({"custom_imports": IMPORTS, "model": parts}, base, "config")
    augmentation = {
        "type": "FaceAugmentation",
        "scale": float(data.get("SCALE_FACTOR", 0.25, float)),
        "rotation": float(data.get("ROT_FACTOR", 30, float)),
        "flip": 0.5 if data.get("FLIP", True, bool) else 0.0,
    }
    batch, tested = (
        train.get("BATCH_SIZE_PER_GPU", 16, int),
        settings.section("TEST").get("BATCH_SIZE_PER_GPU", 16, int),
    )
    schedule = read_schedule(train)
    files = {"train": data.get("TRAINSET"), "val": data.get("TESTSET")}
    if not known:
        data.leave_out("DATASET", why="for predicting only: there is no such data set here")
        return config
    config["train_dataloader"] |= {"batch_size": batch, "augmentation": augmentation}
    config["val_dataloader"]["batch_size"] = tested
    for split, file in files.items():
        _offer_files(settings, config[f"{split}_dataloader"]["dataset"], split, str(file), name)
    return config | schedule | {"base_batch_size": batch * count_gpus(settings)}


def _offer_files(settings: Settings, release: dict[str, Any], split: str, file: str, name: str) -> None:
    """The official csv file, where it is there, and else the release that it was made from.

    Args:
        settings: the config.
        release: the data set of the release, changed.
        split: "train" or "val".
        file: that the config names.
        name: of the data set.
    """
    if name == "cofw":
        release["ann_file"] = PurePosixPath(file).name
        return
    if name == "300w" and split == "val":
        release["folders"] = next((ours for theirs, ours in SPLITS.items() if theirs in file), "full")
    table = {
        "type": "FaceCsv",
        "scheme": name,
        "data_root": release["data_root"],
        "ann_file": PurePosixPath(file).name,
        "image_dir": "images",
    }
    settings.told.choices[f"{split}_dataloader.dataset"] = [(table, ""), (dict(release), RELEASE)]


def _from_mmpose(settings: Settings) -> dict[str, Any]:
    model = settings.section("model")
    count = model.peek("head", "out_channels") or model.peek("keypoint_head", "out_channels")
    numbered = [f"landmark {i}" for i in range(count)] if isinstance(count, int) and 0 < count < 10_000 else None
    parts = read_model(settings, numbered)
    parts["head"] = {"type": "FaceHead", **parts["head"], "bn_momentum": 0.1}
    scheme = parts["head"]["scheme"]
    name = scheme if isinstance(scheme, str) and scheme in COUNTS else ""
    base = load_config(f"_base_/face_{name}").to_dict() if name else {}
    view = parts.pop("view")
    config = merge({"custom_imports": IMPORTS, "model": parts}, base, "config")
    config["model"]["view"] = view
    for split in ("train", "val", "test"):
        if not _read_data(settings, config, split, name):
            config.pop(f"{split}_dataloader", None)
    if "val_dataloader" not in config:
        config.pop("val_evaluator", None)
        openmmlab.leave_metric(settings, "val", config)
    else:
        _check_metric(settings, "keypoint_distance" if name != "aflw" else "use_norm_item")
    openmmlab.leave_metric(settings, "test", config)
    if "train_dataloader" in config:
        config["train_dataloader"]["augmentation"] = read_augmentation(settings, "FaceAugmentation")
        config |= openmmlab.read_schedule(settings)
    return config


def _read_data(settings: Settings, config: dict[str, Any], split: str, name: str) -> bool:
    """Take our reader of the release for a data set of mmpose, which reads a file of its own; whether there is one."""
    data = openmmlab.dataset(settings, split)
    if not data.values:
        return False
    if split == "test" and dict(data.values) == dict(openmmlab.dataset(settings, "val").values):
        data.leave_rest(REPEATED)
        return False
    if split == "test" or not name or dataset_name(data) != name:
        data.leave_rest(f"for predicting only: the data set {openmmlab.kind(data)} is not supported")
        return False
    own = config[f"{split}_dataloader"]
    own["batch_size"] = openmmlab.batch_size(settings, split, 64)
    root = openmmlab.find_root(settings, data, f"data/{name}")
    own["dataset"]["data_root"] = root
    if name == "300w":
        own["dataset"]["first_pixel"] = 1
        file = str(data.peek("ann_file"))
        if split == "val":
            own["dataset"]["folders"] = next((ours for theirs, ours in SPLITS.items() if theirs in file), "full")
    data.leave_out("ann_file", "data_prefix", "img_prefix", why=RELEASE)
    if "data_cfg" in data and split == "val":
        data.section("data_cfg").leave_rest(REPEATED)
    openmmlab.leave_data(data, split)
    return True


def _check_metric(settings: Settings, mode: str) -> None:
    for metric in settings.sections("val_evaluator"):
        metric.only("type", "NME")
        metric.only("norm_mode", mode, why="what errors are divided by goes by the data set")
        metric.get("norm_item")
        metric.only("keypoint_indices", None)
        metric.leave_rest(NO_EFFECT)


register_dialect(
    Dialect(
        "official face",
        "official",
        ("hrnet", "hrnetv2"),
        lambda settings: "TRAINSET" in settings.section("DATASET") or "NUM_JOINTS" in settings.section("MODEL"),
        _from_official,
    ),
    Dialect(
        "mmpose (joined maps)",
        "openmmlab",
        ("TopDown", "TopdownPoseEstimator"),
        lambda settings: is_mmpose(settings) and joins_maps(settings),
        _from_mmpose,
    ),
)

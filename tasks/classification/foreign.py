"""Configs of the official classification code and of mmpretrain (mmcls), as configs of ours."""

from __future__ import annotations

from typing import Any

from hrtoolkit.config.load import load_config
from hrtoolkit.foreign import Dialect, openmmlab, register_dialect
from hrtoolkit.foreign.hrnet import OFFICIAL, read_openmmlab, read_stages
from hrtoolkit.foreign.official import count_gpus, read_schedule
from hrtoolkit.foreign.python_file import merge
from hrtoolkit.foreign.settings import NO_EFFECT, Outputs, Settings, unusual

IMPORTS = {"imports": ["hrtoolkit.tasks.classification"]}
IMAGENET = 1000  # classes
RESIZING = ("Resize", "ResizeEdge")


def _from_official(settings: Settings) -> dict[str, Any]:
    model, data, train = (settings.section(name) for name in ("MODEL", "DATASET", "TRAIN"))
    count = model.get("NUM_CLASSES", IMAGENET, Outputs)
    size = tuple(model.get("IMAGE_SIZE", [224, 224], tuple[int, int]))
    extra = model.section("EXTRA")
    extra.only("WITH_HEAD", True, False)
    extra.get("FINAL_CONV_KERNEL")
    parts = {
        "backbone": {**read_stages(extra, OFFICIAL), "init": "kaiming"},
        "head": {"type": "ClassificationHead", "scheme": count},
        "view": {"type": "ResizeCenterCrop", **unusual({"input_size": size}, {"input_size": (224, 224)})},
    }
    if size[0] != size[1]:
        model.refuse("IMAGE_SIZE", "the official code looks at squares")
    config = _on_imagenet(parts)
    if str(data.get("DATASET", "imagenet")).lower() != "imagenet":
        data.leave_out("DATASET", why="folders of classes are read")
    root = str(data.get("ROOT") or "data/imagenet").rstrip("/")
    batch = train.get("BATCH_SIZE_PER_GPU", 32, int)
    tested = settings.section("TEST").get("BATCH_SIZE_PER_GPU", 32, int)
    for name, key, number in (("train", "TRAIN_SET", batch), ("val", "TEST_SET", tested)):
        loader = config[f"{name}_dataloader"]
        loader["batch_size"] = number
        loader["dataset"] |= {"data_root": root, "image_dir": str(data.get(key) or name)}
    return config | read_schedule(train) | {"base_batch_size": batch * count_gpus(settings)}


def _on_imagenet(model: dict[str, Any]) -> dict[str, Any]:
    """A config of a model, with data, view and metric of ImageNet."""
    base = load_config("_base_/classification_imagenet").to_dict()
    return merge({"custom_imports": IMPORTS, "model": model}, base, "config")


def _from_openmmlab(settings: Settings) -> dict[str, Any]:
    model = settings.section("model")
    model.get("type")
    model.leave_out("pretrained", "init_cfg", "train_cfg")
    backbone = {**read_openmmlab(model.section("backbone"), 4), "init": "kaiming"}
    necks = model.sections("neck")
    kinds = [openmmlab.kind(neck) for neck in necks]
    if kinds != ["HRFuseScales", "GlobalAveragePooling"]:
        model.refuse("neck", f"{kinds} is not supported here, only HRFuseScales and GlobalAveragePooling")
    for neck in necks:
        neck.get("in_channels")
        neck.only("out_channels", 2048)
        neck.only("dim", 2)
        for key in ("type", "norm_cfg", "init_cfg"):
            neck.get(key)
    head = model.section("head")
    if openmmlab.kind(head) != "LinearClsHead":
        head.refuse_part("of the heads of mmpretrain there is LinearClsHead here")
    count = head.get("num_classes", IMAGENET, Outputs)
    for key in ("type", "in_channels", "topk", "cal_acc"):
        head.get(key)
    smoothing = _read_smoothing(head)
    head.leave_out("loss", "init_cfg")
    head_of_ours = {"type": "ClassificationHead", "scheme": count, **smoothing}
    parts = {"backbone": backbone, "head": head_of_ours, "view": _read_view(settings)}
    config = _on_imagenet(parts)
    for name in ("train", "val", "test"):
        _read_data(settings, config, name)
    openmmlab.leave_metric(settings, "test", config)
    for metric in settings.sections("val_evaluator"):
        metric.only("type", "Accuracy", why="other metrics are not supported")
        metric.only("thrs", None, 0.0, [0.0])
        metric.leave_rest(NO_EFFECT)
    if "train_dataloader" in config:
        config["train_dataloader"]["augmentation"] = _read_augmentation(settings)
        config |= openmmlab.read_schedule(settings)
    return config


def _read_smoothing(head: Settings) -> dict[str, Any]:
    """Label smoothing of the loss, which is all that is kept of it."""
    loss = head.section("loss")
    if loss.peek("use_sigmoid"):
        head.refuse("loss", "pictures have one class each here, not several")
    value = loss.peek("label_smooth_val")
    return {"label_smoothing": value} if isinstance(value, float) else {}


def _read_view(settings: Settings) -> dict[str, Any]:
    """Sizes, resampling and normalisation of the pictures that are tested."""
    view: dict[str, Any] = {"type": "ResizeCenterCrop"}
    edge = crop = None

    def read_step(kind: str, step: Settings) -> bool:
        nonlocal edge, crop
        if kind in RESIZING:
            edge = step.get("scale") or step.get("size")
            edge = edge[0] if isinstance(edge, list | tuple) and len(edge) == 2 and edge[1] in (-1, edge[0]) else edge
            step.only("edge", "short")
            step.only("backend", "pillow", default="cv2", why="Pillow averages where it shrinks, OpenCV does not")
            view["interpolation"] = step.get("interpolation", "bilinear", str)
        elif kind == "CenterCrop":
            crop = step.get("crop_size")
            step.get("backend")
        return kind in (*RESIZING, "CenterCrop")

    normalisation, _ = openmmlab.read_tested(settings, read_step)
    if not (isinstance(edge, int) and isinstance(crop, int) and 0 < crop <= edge):
        data = openmmlab.dataset(settings, openmmlab.tested_name(settings))
        data.refuse("pipeline", "expected a resized short side, and a crop from its middle")
        edge = crop = 224
    view |= {"input_size": (crop, crop), "crop": crop / edge, **normalisation}
    return unusual(view, {"input_size": (224, 224), "crop": 0.875, "interpolation": "bilinear"})


def _read_data(settings: Settings, config: dict[str, Any], name: str) -> None:
    """Images in folders of classes; lists of images are left out where they say no more than the folders."""
    data = openmmlab.dataset(settings, name)
    if name == "test":
        openmmlab.leave_test_data(settings)
        return
    if not data.values:
        config.pop(f"{name}_dataloader", None)
        return
    prefix = data.get("data_prefix") or data.get("split") or name
    prefix = prefix.get("img_path") if isinstance(prefix, dict) else prefix
    root = openmmlab.find_root(settings, data, str(prefix).rstrip("/").rpartition("/")[0] or "data/imagenet")
    loader = config[f"{name}_dataloader"]
    loader["batch_size"] = openmmlab.batch_size(settings, name, 32)
    loader["dataset"] |= {"data_root": root, "image_dir": openmmlab.below(prefix, root)}
    data.leave_out("ann_file", why="folders of classes are read; for a flat folder take the dataset ImageList")
    openmmlab.leave_data(data, name)


def _read_augmentation(settings: Settings) -> dict[str, Any]:
    """Crop and mirroring of the training."""
    found: dict[str, Any] = {"type": "RandomResizedCrop"}
    for step in openmmlab.pipeline(settings, "train"):
        kind = openmmlab.kind(step)
        if kind == "RandomResizedCrop":
            area = step.peek("crop_ratio_range")
            if isinstance(area, list | tuple) and len(area) == 2:
                found["scale"] = tuple(area)
            if isinstance(step.peek("interpolation"), str):
                found["interpolation"] = step.peek("interpolation")
        elif kind == "RandomFlip":
            found["flip"] = step.peek("prob") or step.peek("flip_prob") or 0.5
    return unusual(found, {"flip": 0.5, "interpolation": "bilinear", "scale": (0.08, 1.0)})


register_dialect(
    Dialect("official classification", "official", ("cls_hrnet", "cls_hrnet_v2"), lambda _: True, _from_official),
    Dialect("mmpretrain", "openmmlab", ("ImageClassifier",), lambda _: True, _from_openmmlab),
)

"""Configs of the official segmentation code and of mmsegmentation, as configs of ours."""

from __future__ import annotations

from typing import Any

from hrtoolkit.config.load import load_config
from hrtoolkit.foreign import Dialect, openmmlab, register_dialect
from hrtoolkit.foreign.hrnet import OFFICIAL, check_norm, read_openmmlab, read_stages
from hrtoolkit.foreign.official import count_gpus, read_schedule
from hrtoolkit.foreign.python_file import merge
from hrtoolkit.foreign.settings import NO_EFFECT, REPEATED, Outputs, Settings, unusual
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.known import KNOWN

IMPORTS = {"imports": ["hrtoolkit.tasks.segmentation"]}
PLAIN_STEPS = (*openmmlab.COMMON_STEPS, "PackSegInputs")
OFFICIAL_DATA = {
    ("cityscapes", 19): "cityscapes",
    ("lip", 20): "lip",
    ("ade20k", 150): "ade20k",
    ("pascal_ctx", 59): "pascal_context",
    ("pascal_ctx", 60): "pascal_context",
    ("cocostuff", 171): "coco_stuff",
}
# Data sets of mmsegmentation: our scheme, and training images.
DATA: dict[str, tuple[Any, int]] = {
    "CityscapesDataset": ("cityscapes", 2975),
    "ADE20KDataset": ("ade20k", 20210),
    "PascalContextDataset": ("pascal_context_60", 4998),
    "PascalContextDataset59": ("pascal_context_59", 4998),
    "COCOStuffDataset": ("coco_stuff_164k", 118287),
    "PascalVOCDataset": (["background", *KNOWN[ClassScheme]["voc"].names], 10582),
    "LoveDADataset": (["background", "building", "road", "water", "barren", "forest", "agricultural"], 0),
    "PotsdamDataset": (["impervious_surface", "building", "low_vegetation", "tree", "car", "clutter"], 0),
    "ISPRSDataset": (["impervious_surface", "building", "low_vegetation", "tree", "car", "clutter"], 0),
}
SUFFIXES = {"CityscapesDataset": {"image_suffix": "_leftImg8bit.png", "label_suffix": "_gtFine_labelIds.png"}}


def _from_official(settings: Settings) -> dict[str, Any]:
    model, data = settings.section("MODEL"), settings.section("DATASET")
    count, ocr = data.get("NUM_CLASSES", 19, Outputs), model.peek("NAME") == "seg_hrnet_ocr"
    name = OFFICIAL_DATA.get((str(data.get("DATASET", "cityscapes")).lower(), count))
    # The branch HRNet-OCR has keys that the others lack, and aligns corners where a file does not say.
    newer = ocr or "NUM_OUTPUTS" in model or "ALIGN_CORNERS" in model
    corners = model.get("ALIGN_CORNERS", newer, bool)
    model.only("NUM_OUTPUTS", 2 if ocr else 1, why="as many as the network has")
    extra = model.section("EXTRA")
    extra.only("FINAL_CONV_KERNEL", 1)
    model.section("OCR").only("MID_CHANNELS", 512)
    model.section("OCR").only("KEY_CHANNELS", 256)
    for key in ("DROPOUT", "SCALE"):
        model.section("OCR").leave_out(key, why="the official code does not read it")
    backbone = {**read_stages(extra, OFFICIAL), "fuse_upsample": "bilinear"}
    backbone |= {"align_corners": True} if corners else {}
    backbone |= {} if corners else {"bn_momentum": 0.1 if newer else 0.01}
    scheme: Any = {"pascal_context": f"pascal_context_{count}"}.get(str(name), name or count)
    head: dict[str, Any] = {"type": "OCRHead" if ocr else "SegmentationHead", "scheme": scheme}
    head |= {"align_corners": corners} if corners != ocr else {}
    head |= {"bn_momentum": 0.1} if newer and not ocr else {}
    parts: dict[str, Any] = {"backbone": backbone, "head": head}
    if ocr:
        parts["neck"] = {"type": "Concat", **({"align_corners": True} if corners else {})}
    base = load_config(f"_base_/segmentation_{name}").to_dict() if name else {}
    loss, auxiliary = _read_official_loss(settings, base)
    if loss != {"type": "CrossEntropy"} or "loss" in base.get("model", {}).get("head", {}):
        head["loss"] = loss
    if ocr:
        head |= auxiliary
    config = merge({"custom_imports": IMPORTS, "model": parts}, base, "config")
    config["model"]["head"] = head
    _read_official_test(settings, config, str(name), newer)
    _read_official_training(settings, config, bool(name))
    return config


def _read_official_loss(settings: Settings, base: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The loss, and of the auxiliary output what is not the usual one."""
    loss = settings.section("LOSS")
    weights = (base.get("model", {}).get("head", {}).get("loss") or {}).get("class_weights")
    weighted = {"class_weights": weights} if weights else {}
    loss.leave_out("CLASS_BALANCE", why="the official code does not read it")
    balance = loss.get("BALANCE_WEIGHTS", [0.4, 1])
    auxiliary: dict[str, Any] = {} if balance in ([0.4, 1], [1]) else {"aux_weight": balance[0]}
    if not loss.get("USE_OHEM", False, bool):
        loss.leave_out("OHEMTHRES", "OHEMKEEP")
        return {"type": "CrossEntropy", **weighted}, auxiliary
    hard = {"threshold": loss.get("OHEMTHRES", 0.9, float), "min_kept": loss.get("OHEMKEEP", 100000, int)}
    hard = unusual(hard, {"threshold": 0.9, "min_kept": 131072})
    auxiliary["aux_loss"] = {"type": "CrossEntropy", **weighted, "average": "all"}
    return {"type": "OhemCrossEntropy", **hard, **weighted}, auxiliary


def _read_official_test(settings: Settings, config: dict[str, Any], name: str, newer: bool) -> None:
    """How the data set's images are tested, which the official code has in its data sets."""
    test, train = settings.section("TEST"), settings.section("TRAIN")
    window = tuple(test.get("IMAGE_SIZE", [2048, 1024], tuple[int, int]))
    base_size = test.get("BASE_SIZE", 2048, int)
    test.only("MULTI_SCALE", False, True)
    scales = test.get("SCALE_LIST", [1])
    test.leave_out("CENTER_CROP_TEST", why="the official code does not read it")
    if test.get("FLIP_TEST", False, bool):
        config["model"]["flip_test"] = True
    crop = tuple(train.get("IMAGE_SIZE", [1024, 512], tuple[int, int]))
    view: dict[str, Any] = config["model"].setdefault("view", {"type": "WholeImage"})
    inference: dict[str, Any] = {"type": "MultiScale", "base_size": base_size, "window": window}
    if name in ("None", "cityscapes"):
        inference["whole_up_to"] = 1.0
    else:
        inference |= {"stride": tuple(side * 2 // 3 for side in window), "edge": "pad"}
    if name == "lip":
        view["squash"] = window
    elif "short_side" in view or (name == "pascal_context" and newer):
        view |= {"short_side": base_size, "pad_to": 8}
    if test.peek("MULTI_SCALE") and isinstance(scales, list) and scales != [1]:
        inference["scales"] = tuple(float(one) for one in scales)
    config["model"]["inference"] = inference
    if config.get("train_dataloader"):
        config["train_dataloader"]["augmentation"]["crop_size"] = crop


def _read_official_training(settings: Settings, config: dict[str, Any], known: bool) -> None:
    """Data, augmentation and schedule, on top of those of the data set."""
    train, data = settings.section("TRAIN"), settings.section("DATASET")
    factor, batch = train.get("SCALE_FACTOR", 16, int), train.get("BATCH_SIZE_PER_GPU", 4, int)
    flip, several = train.get("FLIP", True, bool), train.get("MULTI_SCALE", True, bool)
    base_size = train.get("BASE_SIZE", 2048, int)
    if train.get("IGNORE_LABEL", 255, int) not in (255, -1):
        train.refuse("IGNORE_LABEL", "pixels that do not count are 255 here")
    rate = train.get("NONBACKBONE_MULT")
    keywords = train.get("NONBACKBONE_KEYWORDS")
    train.leave_out("DOWNSAMPLERATE", "EXTRA_EPOCH", "EXTRA_LR", "RANDOM_BRIGHTNESS", "RANDOM_BRIGHTNESS_SHIFT_VALUE")
    train.leave_out("NUM_SAMPLES")
    data.leave_out("TRAIN_SET", "TEST_SET", "EXTRA_TRAIN_SET", why="the release's own folders are read, not its lists")
    schedule = read_schedule(train)
    if not known:
        data.leave_out("DATASET", why="for predicting only: there is no such data set here")
        return
    largest = 0.5 + factor / 10
    augmentation = config["train_dataloader"]["augmentation"] | {"base_size": base_size}
    augmentation["scale"] = (0.5, round(largest, 1)) if several else (1.0, 1.0)
    augmentation["flip"] = 0.5 if flip else 0.0
    config["train_dataloader"]["augmentation"] = unusual(augmentation, {"scale": (0.5, 2.1), "flip": 0.5})
    config["train_dataloader"]["batch_size"] = batch
    config["base_batch_size"] = batch * count_gpus(settings)
    config["train_cfg"]["max_epochs"] = schedule["train_cfg"]["max_epochs"]
    config["optim_wrapper"] = schedule["optim_wrapper"]
    if keywords and rate:
        config["optim_wrapper"]["paramwise_cfg"] = {"custom_keys": {"head": {"lr_mult": float(rate)}}}


def _from_mmseg(settings: Settings) -> dict[str, Any]:
    model = settings.section("model")
    model.get("type")
    model.leave_out("pretrained", "train_cfg", "init_cfg", "auxiliary_head")
    model.get("num_stages")
    backbone = read_openmmlab(model.section("backbone"), 4, mode="bilinear")
    parts = {"backbone": backbone, **_read_heads(settings), **_read_test(settings)}
    _check_zero(settings, parts["head"]["scheme"])
    config: dict[str, Any] = {"custom_imports": IMPORTS, "model": parts}
    sizes = [_read_data(settings, config, name) for name in ("train", "val", "test")]
    if "val_dataloader" in config:
        config["val_evaluator"] = {"type": "SegmentationMetric", "absent": "skip"}
        for metric in settings.sections("val_evaluator"):
            metric.only("type", "IoUMetric")
            metric.only("iou_metrics", ["mIoU"], ["mIoU", "mFscore"], ["mDice"])
            metric.leave_rest(NO_EFFECT)
    for name in ("val", "test"):
        if f"{name}_dataloader" not in config:
            openmmlab.leave_metric(settings, name, config)
    if "train_dataloader" in config:
        batch = settings.peek("auto_scale_lr", "base_batch_size") or config["train_dataloader"]["batch_size"] * 4
        schedule = openmmlab.read_schedule(settings, sizes[0] / batch if sizes[0] else None)
        config |= schedule | {"sync_batchnorm": True} if schedule else {}
        if not schedule:
            config.pop("train_dataloader")
    return config


def _read_heads(settings: Settings) -> dict[str, Any]:
    """The head, and the neck of OCR."""
    heads = settings.section("model").sections("decode_head")
    for head in heads:
        if openmmlab.kind(head) not in ("FCNHead", "OCRHead"):
            head.refuse_part("of the heads of mmsegmentation there are FCNHead, and FCNHead with OCRHead, here")
    kinds = [openmmlab.kind(head) for head in heads]
    if kinds not in (["FCNHead"], ["FCNHead", "OCRHead"]):
        settings.section("model").refuse(
            "decode_head", f"{kinds} is not supported here, only FCNHead, or FCNHead and OCRHead"
        )
        return {"head": {"type": "SegmentationHead", "scheme": 2}}
    ours: dict[str, Any] = {}
    for head in heads:
        count, corners = head.get("num_classes", 19, Outputs), head.get("align_corners", False, bool)
        for key in ("type", "in_channels", "dropout_ratio"):
            head.get(key)
        check_norm(head)
        head.section("act_cfg").only("type", "ReLU")
        head.only("in_index", [0, 1, 2, 3])
        head.only("input_transform", "resize_concat")
        head.only("out_channels", count)
        head.leave_out("loss_decode", "sampler", "ignore_index", "init_cfg")
        if openmmlab.kind(head) == "FCNHead":
            head.only("kernel_size", 1, default=3, why="the head of HRNet is a 1x1 convolution")
            head.only("num_convs", 1, default=2)
            head.only("concat_input", False, default=True)
            maps = head.peek("in_channels")
            if not isinstance(maps, list | tuple) or head.get("channels") != sum(maps):
                head.refuse("channels", "as many as the joined maps have, as in HRNet")
        else:
            ours["channels"] = head.get("channels", 512, Outputs)
            ours["key_channels"] = head.get("ocr_channels", 256, Outputs)
            head.only("scale", 1)
    scheme = _read_scheme(settings, count)
    if len(heads) == 1:
        head_of_ours = {"type": "SegmentationHead", "scheme": scheme, "bn_momentum": 0.1}
        return {"head": head_of_ours | ({"align_corners": True} if corners else {})}
    ours = unusual(ours, {"channels": 512, "key_channels": 256}) | ({} if corners else {"align_corners": False})
    neck = {"type": "Concat", **({"align_corners": True} if corners else {})}
    return {"neck": neck, "head": {"type": "OCRHead", "scheme": scheme, **ours}}


def _read_scheme(settings: Settings, count: int) -> Any:
    """The classes: as the config names them, or as those of its data set are called, or their number."""
    for name in ("test", "val", "train"):
        data = openmmlab.dataset(settings, name)
        names = data.peek("metainfo", "classes") or data.peek("classes")
        if isinstance(names, list | tuple) and len(names) == count and all(isinstance(one, str) for one in names):
            ids = {"ids": list(range(1, count + 1)), "ignored": [0]} if _drops_zero(settings, name) else {}
            return {"names": list(names), **ids}
        known = DATA.get(openmmlab.kind(data), (None, 0))[0]
        if known is not None and count == len(KNOWN[ClassScheme][known].names if isinstance(known, str) else known):
            return known
    return count


def _check_zero(settings: Settings, scheme: Any) -> None:
    """That label files are read as those of the scheme are: with 0 for what does not count, or as the first class."""
    expected = scheme in ("ade20k", "pascal_context_59")
    for name in ("val", "test"):
        data = openmmlab.dataset(settings, name)
        for one in (data, *openmmlab.pipeline(settings, name)):
            told = one.peek("reduce_zero_label")
            if isinstance(scheme, str) and told is not None and told is not expected:
                one.refuse("reduce_zero_label", f"label files of {scheme} are read with {expected} here")


def _drops_zero(settings: Settings, name: str) -> bool:
    data = openmmlab.dataset(settings, name)
    steps = openmmlab.pipeline(settings, name)
    return bool(data.peek("reduce_zero_label") or any(step.peek("reduce_zero_label") for step in steps))


def _read_test(settings: Settings) -> dict[str, Any]:
    """View and inference, of the pictures that are tested."""
    view: dict[str, Any] = {"type": "WholeImage"}
    flip: dict[str, Any] = {}

    def read_step(kind: str, step: Settings) -> bool:
        if kind not in ("MultiScaleFlipAug", "Resize"):
            return False
        step.only("img_ratios", None, [1.0], why="give model.inference.scales")
        step.only("scale_factor", None, 1.0)
        if kind == "MultiScaleFlipAug" and step.get("flip", False, bool):
            flip["flip_test"] = True
        if kind == "Resize":
            step.only("keep_ratio", True, default=False, why="images keep their shape")
        if size := openmmlab.read_size(step):
            view["fit"] = size
        return True

    normalisation, preprocessor = openmmlab.read_tested(settings, read_step, PLAIN_STEPS)
    view |= normalisation
    padded = preprocessor.section("test_cfg")
    padded.only("size", None, why="pictures are tested at their own sizes")
    if padded.get("size_divisor", 1, Outputs) > 1:
        view["pad_to"] = padded.peek("size_divisor")
    test = settings.section("model").section("test_cfg")
    inference: dict[str, Any] = {"type": "MultiScale", "scores": "logits"}
    if test.only("mode", "whole", "slide") == "slide":
        inference["window"] = tuple(test.get("crop_size", [512, 512], tuple[int, int]))[::-1]
        inference["stride"] = tuple(test.get("stride", [341, 341], tuple[int, int]))[::-1]
    return {"view": view, "inference": inference, **flip}


def _read_data(settings: Settings, config: dict[str, Any], name: str) -> int:
    """The data of "train", "val" or "test", where they lie in folders; how many images the training has."""
    data = openmmlab.dataset(settings, name)
    kind = openmmlab.kind(data)
    if name == "test" and dict(data.values) == dict(openmmlab.dataset(settings, "val").values):
        data.leave_rest(REPEATED)
        return 0
    prefix = data.section("data_prefix")
    images = prefix.get("img_path") or data.get("img_dir")
    labels = prefix.get("seg_map_path") or data.get("ann_dir")
    scheme, size = DATA.get(kind, (None, 0))
    listed = data.peek("ann_file") or data.peek("split")
    root = openmmlab.find_root(settings, data, "data")
    samples: dict[str, Any] = {"type": "SegmentationPairs", "data_root": root}
    if isinstance(scheme, str) and scheme.startswith("pascal_context"):
        samples["list_file"] = f"{name if name == 'train' else 'val'}.lst"
        data.leave_out("ann_file", "split", why="lists as tools/convert_labels.py writes them are read")
    elif isinstance(images, str) and isinstance(labels, str) and not listed:
        samples |= {"image_dir": openmmlab.below(images, root), "label_dir": openmmlab.below(labels, root)}
        samples |= SUFFIXES.get(kind, {})
    else:
        data.leave_rest(f"for predicting only: the data set {kind} is not supported")
        return 0
    batch = openmmlab.batch_size(settings, name, 4 if name == "train" else 1)
    config[f"{name}_dataloader"] = {"batch_size": batch, "num_workers": 4, "dataset": samples}
    if name == "train":
        config["train_dataloader"]["augmentation"] = _read_augmentation(settings)
    data.leave_out("reduce_zero_label", "img_suffix", "seg_map_suffix", why=NO_EFFECT)
    openmmlab.leave_data(data, name)
    return size


def _read_augmentation(settings: Settings) -> dict[str, Any]:
    """Scales, crop and mirroring of mmsegmentation; its changes of color are left out."""
    found: dict[str, Any] = {"type": "ScaleCropFlip", "crop_size": (512, 512), "base_size": 2048, "scale": (0.5, 2.0)}
    for step in openmmlab.pipeline(settings, "train"):
        kind = openmmlab.kind(step)
        if kind in ("RandomResize", "Resize"):
            size = step.peek("scale") or step.peek("img_scale") or (2048, 512)
            longest, shortest = max(size), min(size)
            # Scales are factors of the long side here, and most pictures are 4 : 3.
            found["base_size"] = longest if longest <= 2 * shortest else round(shortest * 4 / 3)
            found["scale"] = tuple(step.peek("ratio_range") or (1.0, 1.0))
        elif kind == "RandomCrop":
            size = step.peek("crop_size")
            found["crop_size"] = (size[1], size[0]) if isinstance(size, list | tuple) else (size, size)
        elif kind == "RandomFlip":
            found["flip"] = step.peek("prob") or step.peek("flip_ratio") or 0.5
    return unusual(found, {"flip": 0.5})


register_dialect(
    Dialect("official segmentation", "official", ("seg_hrnet", "seg_hrnet_ocr"), lambda _: True, _from_official),
    Dialect("mmsegmentation", "openmmlab", ("EncoderDecoder", "CascadeEncoderDecoder"), lambda _: True, _from_mmseg),
)

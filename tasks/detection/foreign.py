"""Configs of mmdetection's Faster, Mask and Cascade R-CNN on HRNetV2p, of 2.x and 3.x, as configs of ours."""

from __future__ import annotations

from typing import Any

from hrtoolkit.foreign import Dialect, openmmlab, register_dialect
from hrtoolkit.foreign.hrnet import read_openmmlab
from hrtoolkit.foreign.settings import NO_EFFECT, Outputs, Settings, unusual
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.schemes.known import KNOWN

IMPORTS = {"imports": ["hrtoolkit.tasks.detection"]}
MODELS = ("FasterRCNN", "MaskRCNN", "CascadeRCNN")
DEVIATIONS = ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])  # of the stages' box codes
PLAIN_STEPS = (*openmmlab.COMMON_STEPS, "PackDetInputs")
CLASSES = {"CocoDataset": "coco", "VOCDataset": "voc"}


def _from_mmdet(settings: Settings) -> dict[str, Any]:
    model = settings.section("model")
    kind = str(model.get("type")).rsplit(".", 1)[-1]
    model.leave_out("pretrained", "train_cfg", "init_cfg")
    backbone = read_openmmlab(model.section("backbone"), 4)
    neck = _read_neck(model.section("neck"))
    _check_proposals(model)
    head = _read_roi_head(settings, cascade=kind == "CascadeRCNN")
    parts: dict[str, Any] = {"backbone": backbone, "neck": neck, "head": head, "view": _read_view(settings)}
    if model.peek("backbone", "norm_eval") or model.peek("backbone", "norm_eval") is None:
        parts["norm_eval"] = ["backbone"]
    config: dict[str, Any] = {"custom_imports": IMPORTS, "model": parts}
    for name in ("train", "val", "test"):
        _read_data(settings, config, name)
        if name != "train" and f"{name}_dataloader" not in config:
            openmmlab.leave_metric(settings, name, config)
    if "val_dataloader" in config:
        config["val_evaluator"] = {"type": "CocoDetectionMetric"}
        _check_metric(settings)
    if "train_dataloader" in config:
        config["train_dataloader"]["augmentation"] = _read_augmentation(settings, parts["view"])
        schedule = openmmlab.read_schedule(settings)
        config |= schedule
        if not schedule:
            config.pop("train_dataloader")
    return config


def _read_neck(neck: Settings) -> dict[str, Any]:
    if openmmlab.kind(neck) != "HRFPN":
        neck.refuse_part("of the necks of mmdetection there is HRFPN here")
        return {"type": "Pyramid"}
    for key in ("type", "in_channels", "with_cp"):
        neck.get(key)
    pool = neck.only("pooling_type", "AVG", "MAX")
    neck.only("stride", 1)
    neck.only("norm_cfg", None)
    neck.only("conv_cfg", None)
    neck.leave_out("init_cfg")
    size = {"channels": neck.get("out_channels", 256, Outputs), "levels": neck.get("num_outs", 5, Outputs)}
    if size["levels"] != 5:
        neck.refuse("num_outs", "proposals are made on five levels here")
    own = unusual(size, {"channels": 256, "levels": 5})
    return {"type": "Pyramid", **own, **({"pool": "max"} if pool == "MAX" else {})}


def _check_proposals(model: Settings) -> None:
    """That proposals are made as ours are."""
    rpn = model.section("rpn_head")
    if openmmlab.kind(rpn) != "RPNHead":
        rpn.refuse_part("of the proposal networks of mmdetection there is RPNHead here")
        return
    channels = model.peek("neck", "out_channels") or 256
    rpn.get("type")
    for key in ("in_channels", "feat_channels"):
        rpn.only(key, channels)
    rpn.only("num_convs", 1)
    anchors = rpn.section("anchor_generator")
    anchors.only("type", "AnchorGenerator")
    anchors.only("scales", [8])
    anchors.only("ratios", [0.5, 1.0, 2.0])
    anchors.only("strides", [4, 8, 16, 32, 64])
    anchors.only("center_offset", 0.0)
    _check_coder(rpn.section("bbox_coder"), [1.0, 1.0, 1.0, 1.0])
    rpn.leave_out("loss_cls", "loss_bbox", "init_cfg")
    rpn.section("loss_cls")
    test = model.section("test_cfg").section("rpn")
    test.only("nms_pre", 1000, why="as many proposals are kept here")
    test.only("max_per_img", 1000, why="as many proposals are kept here")
    _check_nms(test, 0.7)
    test.only("min_bbox_size", 0)
    for old in ("nms_across_levels", "nms_post", "max_num"):
        test.get(old)


def _check_coder(coder: Settings, deviations: list[float]) -> None:
    coder.only("type", "DeltaXYWHBBoxCoder")
    coder.only("target_means", [0.0, 0.0, 0.0, 0.0])
    coder.only("target_stds", deviations)
    coder.only("clip_border", True)
    coder.only("add_ctr_clamp", False)


def _check_nms(test: Settings, threshold: float) -> None:
    nms = test.section("nms")
    nms.only("type", "nms", why="soft suppression is not supported")
    if nms.values:
        nms.only("iou_threshold", threshold)
    else:
        test.only("nms_thr", threshold)


def _read_roi_head(settings: Settings, cascade: bool) -> dict[str, Any]:
    """The head of boxes and masks, which has to be ours but for its classes."""
    model = settings.section("model")
    roi = model.section("roi_head")
    wanted = "CascadeRoIHead" if cascade else "StandardRoIHead"
    if openmmlab.kind(roi) != wanted:
        roi.refuse_part(f"of the heads of mmdetection's {model.peek('type')} there is {wanted} here")
        return {"type": "FasterRCNNHead", "scheme": 1}
    roi.get("type")
    channels = model.peek("neck", "out_channels") or 256
    if cascade:
        roi.only("num_stages", 3)
        roi.only("stage_loss_weights", [1, 0.5, 0.25])
    _check_extractor(roi.section("bbox_roi_extractor"), 7, channels)
    boxes = roi.sections("bbox_head")
    if len(boxes) != (3 if cascade else 1):
        roi.refuse("bbox_head", f"{len(boxes)} stages are not supported here")
    counts = {_check_box_head(one, channels, *pair) for one, pair in zip(boxes, _stages(cascade), strict=False)}
    masks = "mask_head" in roi
    if masks:
        _check_extractor(roi.section("mask_roi_extractor"), 14, channels)
        for one in roi.sections("mask_head"):
            counts.add(_check_mask_head(one, channels))
    if len(counts) > 1:
        roi.refuse("bbox_head", f"all parts have as many classes here, got {sorted(counts)}")
    roi.only("shared_head", None)
    test = model.section("test_cfg").section("rcnn")
    test.only("score_thr", 0.05, why="boxes of higher scores are kept here")
    test.only("max_per_img", 100, why="as many boxes are kept here")
    _check_nms(test, 0.5)
    test.only("mask_thr_binary", 0.5)
    scheme = _read_scheme(settings, min(counts, default=1))
    return {
        "type": "CascadeRCNNHead" if cascade else "FasterRCNNHead",
        "scheme": scheme,
        **({"masks": True} if masks else {}),
    }


def _stages(cascade: bool) -> list[tuple[list[float], bool]]:
    """Deviations of each stage's box codes, and whether one box stands for all classes."""
    return [(one, True) for one in DEVIATIONS] if cascade else [(DEVIATIONS[0], False)]


def _check_extractor(extractor: Settings, size: int, channels: int) -> None:
    extractor.only("type", "SingleRoIExtractor")
    layer = extractor.section("roi_layer")
    layer.only("type", "RoIAlign")
    layer.only("output_size", size)
    layer.only("sampling_ratio", 0, why="as many samples as a bin has cells are taken here")
    layer.only("aligned", True)
    extractor.only("out_channels", channels)
    extractor.only("featmap_strides", [4, 8, 16, 32])
    extractor.only("finest_scale", 56)


def _check_box_head(head: Settings, channels: int, deviations: list[float], agnostic: bool) -> int:
    if openmmlab.kind(head) not in ("Shared2FCBBoxHead", "ConvFCBBoxHead"):
        head.refuse_part("of the box heads of mmdetection there is Shared2FCBBoxHead here")
        return 1
    if openmmlab.kind(head) == "ConvFCBBoxHead":
        head.only("num_shared_fcs", 2, default=0)
    head.get("type")
    head.only("in_channels", channels)
    head.only("fc_out_channels", 1024)
    head.only("roi_feat_size", 7)
    head.only("reg_class_agnostic", agnostic, default=False)
    head.only("reg_decoded_bbox", False)
    head.only("with_avg_pool", False)
    _check_coder(head.section("bbox_coder"), deviations)
    head.leave_out("loss_cls", "loss_bbox", "init_cfg", "norm_cfg")
    if head.peek("loss_cls", "use_sigmoid") or head.peek("loss_cls", "type") not in (None, "CrossEntropyLoss"):
        head.refuse("loss_cls", "scores come of a softmax here, as CrossEntropyLoss has it")
    return head.get("num_classes", 80, Outputs)


def _check_mask_head(head: Settings, channels: int) -> int:
    if openmmlab.kind(head) != "FCNMaskHead":
        head.refuse_part("of the mask heads of mmdetection there is FCNMaskHead here")
        return 1
    head.get("type")
    head.only("num_convs", 4)
    head.only("in_channels", channels)
    head.only("conv_out_channels", 256)
    head.only("class_agnostic", False)
    head.only("roi_feat_size", 14)
    head.leave_out("loss_mask", "init_cfg")
    return head.get("num_classes", 80, Outputs)


def _read_scheme(settings: Settings, count: int) -> Any:
    """The classes: as the config names them, or as those of its data set are called, or their number."""
    for name in ("test", "val", "train"):
        data = openmmlab.dataset(settings, name)
        info = data.peek("metainfo")
        info = info if isinstance(info, dict) else {}
        names = info.get("classes") or info.get("CLASSES") or data.peek("classes")
        names = [names] if isinstance(names, str) else names
        if isinstance(names, list | tuple) and len(names) == count and all(isinstance(one, str) for one in names):
            return list(names)
        known = CLASSES.get(openmmlab.kind(data))
        if known is not None and len(KNOWN[ClassScheme][known].names) == count:
            return known
    return count


def _read_view(settings: Settings) -> dict[str, Any]:
    """Size and normalisation of the pictures that are tested."""
    view: dict[str, Any] = {"type": "FitInside", "size": (1333, 800)}

    def read_step(kind: str, step: Settings) -> bool:
        if kind == "Pad":
            step.only("size_divisor", 32)
            return True
        if kind == "MultiScaleFlipAug":
            step.only("flip", False, why="no detector here averages with mirrored images")
        elif kind == "Resize":
            step.only("keep_ratio", True, default=False, why="images keep their shape")
            step.only("backend", "cv2")
            step.only("interpolation", "bilinear")
        else:
            return False
        view["size"] = openmmlab.read_size(step) or view["size"]
        return True

    normalisation, preprocessor = openmmlab.read_tested(settings, read_step, PLAIN_STEPS)
    preprocessor.only("pad_size_divisor", 32, default=32)
    return view | normalisation


def _read_data(settings: Settings, config: dict[str, Any], name: str) -> None:
    """The data of "train" or "val", where they are in COCO's format."""
    data = openmmlab.dataset(settings, name)
    if not data.values:
        return
    if name == "test":
        openmmlab.leave_test_data(settings)
        return
    if openmmlab.kind(data) != "CocoDataset":
        data.leave_rest(f"for predicting only: the data set {openmmlab.kind(data)} is not supported")
        return
    root = openmmlab.find_root(settings, data, "data/coco")
    images = data.section("data_prefix").get("img") or data.get("img_prefix") or ""
    samples: dict[str, Any] = {
        "type": "CocoDetection",
        "data_root": root,
        "ann_file": openmmlab.below(data.get("ann_file", ""), root),
        "image_dir": openmmlab.below(images, root) if images else "",
    }
    if name == "train":
        keeps = data.peek("filter_cfg", "filter_empty_gt") is False or data.peek("filter_empty_gt") is False
        samples["keep_empty"] = keeps
    batch = openmmlab.batch_size(settings, name, 2) if name == "train" else 1
    config[f"{name}_dataloader"] = {"batch_size": batch, "num_workers": 4, "dataset": samples}
    data.leave_out("filter_cfg", "filter_empty_gt", why="training only")
    openmmlab.leave_data(data, name)


def _check_metric(settings: Settings) -> None:
    for metric in settings.sections("val_evaluator"):
        metric.only("type", "CocoMetric")
        metric.only("metric", "bbox", "segm", ["bbox", "segm"], ["bbox"])
        metric.only("format_only", False)
        metric.only("proposal_nums", None, [100, 300, 1000])
        metric.only("iou_thrs", None)
        metric.leave_rest(NO_EFFECT)


def _read_augmentation(settings: Settings, view: dict[str, Any]) -> dict[str, Any]:
    """Sizes and mirroring of the training."""
    found: dict[str, Any] = {"type": "ResizeAugmentation"}
    for step in openmmlab.pipeline(settings, "train"):
        kind = openmmlab.kind(step)
        if kind in ("Resize", "RandomChoiceResize"):
            sizes = step.peek("scale") or step.peek("img_scale") or step.peek("scales")
            several = sizes if isinstance(sizes, list) and sizes and isinstance(sizes[0], list | tuple) else [sizes]
            pairs = [tuple(one) for one in several if isinstance(one, list | tuple) and len(one) == 2]
            if pairs and {(max(one), min(one)) for one in pairs} != {(max(view["size"]), min(view["size"]))}:
                found["sizes"] = pairs
        elif kind == "RandomFlip":
            flip = step.peek("prob") if "prob" in step else step.peek("flip_ratio")
            found["flip"] = 0.5 if flip is None else float(flip)
    return found


register_dialect(Dialect("mmdetection", "openmmlab", MODELS, lambda _: True, _from_mmdet))

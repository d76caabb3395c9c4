"""The shipped configs as a table: size and cost of their networks, published numbers, where weights are, and terms."""

from __future__ import annotations

import ast
import functools
import json
from pathlib import Path
from typing import Any

from hrtoolkit.files import list_shipped, shipped_configs
from hrtoolkit.published import numbers_of, read_published
from hrtoolkit.schemes.layouts import LAYOUTS
from hrtoolkit.schemes.people import CROWDPOSE

ZOO = "model_zoo.json"  # in the folder of the configs
# For configs that leave their outputs to the data.
STAND_INS = {"pose": "coco", "face": "300w", "detection": "coco", "segmentation": 19, "classification": 1000}
ROIS = {"box_head": 1000, "mask_head": 100}  # of two-stage detectors, an image
WEIGHT_TERMS = {
    "official": "MIT, the licence of the authors' code for pose, faces, classification and segmentation; that of their "
    "detection code was not looked up; nothing separate is stated for the files",
    "timm": "MIT, as timm's own entries say",
    "openmmlab": "Apache 2.0, the licence of OpenMMLab's packages; nothing separate is stated for the files",
}
UNKNOWN = "not looked up here: read the data set's own page"
# By what names of configs hold; a longer one comes before a part of it.
DATA = {
    **{name: (LAYOUTS[name].title, LAYOUTS[name].terms) for name in sorted(LAYOUTS, key=len, reverse=True)},
    "coco_stuff": ("COCO-Stuff 10k", UNKNOWN),
    "coco": (
        "COCO 2017",
        "annotations CC BY 4.0; images belong to their authors on Flickr, by terms of their own",
    ),
    "crowdpose": (CROWDPOSE.title, CROWDPOSE.terms),
    "mpii": ("MPII Human Pose", UNKNOWN),
    "300w": ("300W", UNKNOWN),
    "aflw": ("AFLW", "images on request from TU Graz; otherwise " + UNKNOWN),
    "cofw": ("COFW", UNKNOWN),
    "wflw": ("WFLW", UNKNOWN),
    "imagenet": ("ImageNet-1k", UNKNOWN),
    "cityscapes": ("Cityscapes", UNKNOWN),
    "ade20k": ("ADE20K", UNKNOWN),
    "lip": ("LIP", UNKNOWN),
    "pascal_context": ("PASCAL-Context", UNKNOWN),
    "camvid": ("CamVid", UNKNOWN),
}

INTRODUCTION = f"""`python tools/make_model_zoo.py` writes this page and `configs/{ZOO}`; `hrtoolkit configs`
prints the same in short.

Parameters are those of the network here. MACs are multiply-adds of convolutions and linear layers, in 10^9, for one
input of the height and width given: for segmentation the crop that it is trained on, for detection the largest image,
padded, with {ROIS["box_head"]} proposals in every stage and {ROIS["mask_head"]} masks, for bottom-up pose the square
that it is trained on, without the 0.04 that CID takes for each person and the 1 to 2 that DEKR's adaptive convolutions
take, and for a network of several tasks one input of each view. Configs for data of your own are counted with COCO's 17
keypoints or 80 classes, 300W's 68 landmarks, 19 classes of segmentation or 1000 of pictures.

Two things differ from published figures. Those of the authors are divided by 2^30: 7.65 here is their 7.1. And faces,
and segmentation without OCR, take 6 to 8 % less here, because a 1x1 convolution comes before the enlargement that it
follows there, with equal results. Detectors have some 4000 parameters more than OpenMMLab's (boxes of the background).

Published numbers are those of the source, by its protocol, which the config's own text tells. *official*, *timm* and
*openmmlab* are words for weights that load: `hrtoolkit test CONFIG official` ([checkpoints.md](checkpoints.md))."""


def read_zoo() -> dict[str, Any]:
    """The table as it is shipped."""
    return json.loads((shipped_configs() / ZOO).read_text(encoding="utf-8"))


def make_zoo() -> dict[str, Any]:
    """The table, made anew from the configs."""
    names = [name for name in list_shipped() if not name.startswith("_")]
    data = {key: {"name": name, "terms": terms} for key, (name, terms) in DATA.items()}
    return {"weights": WEIGHT_TERMS, "data": data, "configs": [describe(name) for name in names]}


def describe(name: str) -> dict[str, Any]:
    """A config's row, in plain values.

    Args:
        name: of a shipped config.
    """
    path = list_shipped()[name]
    parameters, macs, input_hw = measure(name)
    return {
        "name": name,
        "title": (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n")[0],
        "data": next((key for key in DATA if f"_{key}" in name), None),
        "input_hw": input_hw,
        "parameters": parameters,
        "macs": macs,
        "published": read_published(path),
    }


def measure(name: str) -> tuple[int, int, list[int]]:
    """Parameters of a config's network, its multiply-adds for one input, and that input's height and width."""
    from hrtoolkit.config import config_json, load_config  # not for `hrtoolkit configs`: it prints what is shipped

    config = load_config(name)
    if "branches" in config.model:
        looks = {name: one.view for name, one in config.model.branches.items()}
        shared = config.model.get("views") or {}
        sizes = {name: _input_hw(shared[v] if isinstance(v, str) else v) for name, v in looks.items()}
    else:
        if config.model.head.get("scheme") is None:
            config.model.head.scheme = STAND_INS[name.partition("/")[0]]
        augmentation = config.train_dataloader.augmentation
        sizes = {"": _input_hw(config.model.view, augmentation.get("crop_size"))}
    for key in [key for key in config if key not in ("model", "custom_imports")]:
        config.pop(key)
    parameters, macs = _count(config_json(config), tuple(sizes.items()))
    return parameters, macs, list(next(iter(sizes.values())))


@functools.cache  # many configs have the same network
def _count(config: str, sizes: tuple[tuple[str, tuple[int, int]], ...]) -> tuple[int, int]:
    """Parameters and multiply-adds: of convolutions and linear layers, without biases, as published figures have them.

    torch's counter counts two operations each. Branches of one view share a run of the backbone.

    Args:
        config: of the model.
        sizes: height and width of the input of each branch.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from hrtoolkit.build import build_model
    from hrtoolkit.config import read_stored_config

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = build_model(read_stored_config(config)).eval()
        batches = {model.looks[name]: {"images": torch.empty(1, 3, *size)} for name, size in sizes}
        outputs = model(batches=batches)
        for name, branch in model.branches.items():
            if hasattr(branch.head, "rpn"):
                _run_detector(branch.head, outputs[name] if name else outputs)
    operations = counter.get_flop_counts()["Global"]
    macs = sum(count for kind, count in operations.items() if "bmm" not in str(kind)) // 2
    return sum(parameter.numel() for parameter in model.parameters()), macs


def _input_hw(view: Any, crop_size: Any = None) -> tuple[int, int]:
    """The input that the cost is told for: what the view makes, or the crop that segmentation trains on."""
    size = crop_size or view.get("input_size") or view.get("size") or 224
    width, height = (size, size) if isinstance(size, int) else size
    return (-(-height // 32) * 32, -(-width // 32) * 32) if "size" in view else (height, width)  # as batches are padded


def _run_detector(head: Any, maps: Any) -> None:
    """Run what a two-stage detector has after its maps, without choosing among boxes: that needs numbers."""
    import torch

    head.rpn.head(maps)
    channels = head.rpn.head.cls_logits.in_channels
    for stage in head.stages:
        stage.box_predictor(stage.box_head(torch.empty(ROIS["box_head"], channels, 7, 7)))
        if stage.has_mask():
            stage.mask_predictor(stage.mask_head(torch.empty(ROIS["mask_head"], channels, 14, 14)))


def write_markdown(zoo: dict[str, Any]) -> str:
    """The table for people."""
    rows = zoo["configs"]
    lines = ["# Model zoo", "", f"{len(rows)} configs. {INTRODUCTION}"]
    for task in dict.fromkeys(row["name"].partition("/")[0] for row in rows):
        lines += ["", f"## {task.capitalize()}", "", "| config | input | parameters | MACs | published | weights |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [_markdown_row(row) for row in rows if row["name"].startswith(f"{task}/")]
    lines += ["", "## Terms", "", "| weights | licence, as far as it is stated |", "|---|---|"]
    lines += [f"| {source} | {terms} |" for source, terms in zoo["weights"].items()]
    lines += ["", "| data | terms |", "|---|---|"]
    lines += [f"| {one['name']} | {one['terms']} |" for one in zoo["data"].values()]
    lines += ["", "Terms of the data may reach weights that were trained on it: for commercial use, read both."]
    return "\n".join(lines) + "\n"


def _markdown_row(row: dict[str, Any]) -> str:
    height, width = row["input_hw"]
    published = []
    for source, entry in row["published"].items():
        about = "; ".join(entry[key] for key in ("source", "note") if key in entry)
        if numbers := numbers_of(entry):
            published.append(f"{source}: {numbers}{f' ({about})' if about else ''}")
    weights = [f"{source}: {_link(entry['file'])}" for source, entry in row["published"].items() if "file" in entry]
    cells = [f"`{row['name'].partition('/')[2]}`", f"{height}x{width}", f"{row['parameters'] / 1e6:.1f} M"]
    cells += [f"{row['macs'] / 1e9:.2f}", "<br>".join(published) or "-", "<br>".join(weights) or "-"]
    return f"| {' | '.join(cells)} |"


def _link(file: str) -> str:
    return f"[{Path(file).name}]({file})" if "://" in file else f"`{file}`"

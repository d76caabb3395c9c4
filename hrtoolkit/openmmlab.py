"""What files of OpenMMLab's code, and of timm's, tell of the training that they come from.

A config that lies in a file is a program: here it is read as text, and only what is written out in it counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hrtoolkit.foreign.python_file import read_text

CODECS = {"MSRAHeatmap": "GaussianHeatmap", "UDPHeatmap": "UDPHeatmap"}


def read_config(checkpoint: Mapping) -> dict[str, Any]:
    """The config that a file was trained with, as far as it is plain values; empty where there is none."""
    meta = checkpoint.get("meta")
    text = (meta.get("cfg") or meta.get("config")) if isinstance(meta, Mapping) else None
    return read_text(text) if isinstance(text, str) else {}


def find(config: Any, *path: str) -> Any:
    """What stands at a path of keys; of a list of dictionaries the last one counts. None where nothing does."""
    for key in path:
        while isinstance(config, list) and config:
            config = config[-1]
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def steps(config: Mapping, *types: str) -> Iterator[Mapping]:
    """The steps of these types in the pipelines of a config."""
    for key, value in config.items():
        if key.endswith("pipeline") and isinstance(value, list):
            yield from (one for one in value if isinstance(one, Mapping) and one.get("type") in types)


def read_normalisation(config: Mapping) -> dict[str, Any]:
    """Settings of a view: mean and std of RGB from 0 to 255, and `channels="BGR"` where the network wants that."""
    known = find(config, "model", "data_preprocessor") or config.get("data_preprocessor") or config.get("img_norm_cfg")
    known = known or next(steps(config, "Normalize", "NormalizeTensor"), None)
    mean, std = (find(known, name) for name in ("mean", "std"))
    if not _are_numbers(mean) or not _are_numbers(std):
        return {}
    if max(mean) <= 1:
        mean, std = ([255 * value for value in values] for values in (mean, std))
    turned = {find(known, "bgr_to_rgb"), find(known, "to_rgb")}
    # With the mean of RGB the images were read as RGB.
    if False not in turned or mean[0] > mean[-1]:
        return {"mean": mean, "std": std}
    return {"mean": mean[::-1], "std": std[::-1], "channels": "BGR"}


def _are_numbers(values: Any, count: int = 3) -> bool:
    return isinstance(values, list | tuple) and len(values) == count and all(isinstance(v, int | float) for v in values)


def read_keypoints(checkpoint: Mapping) -> dict[str, dict]:
    """Settings of a heatmap network of mmpose 0.x or 1.x: codec, input size, normalisation, enlarging."""
    config = read_config(checkpoint)
    if not config:
        return {}
    model = config.get("model")
    codec = find(config, "codec") or find(model, "head", "decoder")
    if codec:
        kind = "DarkHeatmap" if find(codec, "unbiased") else CODECS.get(str(find(codec, "type")))
        size, sigma, kernel = (find(codec, name) for name in ("input_size", "sigma", "blur_kernel_size"))
    else:
        plain = "DarkHeatmap" if find(model, "test_cfg", "post_process") == "unbiased" else "GaussianHeatmap"
        kind = "UDPHeatmap" if find(model, "test_cfg", "use_udp") else plain
        size, kernel = find(config, "data_cfg", "image_size"), find(model, "test_cfg", "modulate_kernel")
        sigma = find(list(steps(config, "TopDownGenerateTarget")), "sigma")
    shift = find(model, "test_cfg", "shift_heatmap")
    told = _known({"type": kind, "sigma": sigma, "blur_kernel": kernel, "flip_shift": shift})
    enlarging = find(model, "backbone", "extra", "upsample") or find(model, "backbone", "upsample")
    mode, corners = find(enlarging, "mode") or "nearest", find(enlarging, "align_corners")
    return {
        "head": {"codec": told} if kind else {},
        "view": read_normalisation(config) | _known({"input_size": size}),
        "backbone": {"fuse_upsample": mode, "align_corners": corners},
    }


def read_classification(checkpoint: Mapping) -> dict[str, dict]:
    """Settings of a classifier of mmcls, mmpretrain, or timm's training script."""
    args = checkpoint.get("args")
    args = args if isinstance(args, Mapping) else getattr(args, "__dict__", {})
    if args:
        view = read_normalisation({"img_norm_cfg": args})
        size = args.get("input_size") or (args.get("img_size") and [3, args["img_size"], args["img_size"]])
        size = size[:0:-1] if isinstance(size, list) and _are_numbers(size) else None
        method = args.get("interpolation") or None
        return {"view": view | _known({"crop": args.get("crop_pct"), "interpolation": method, "input_size": size})}
    config = read_config(checkpoint)
    tested = {"test_pipeline": config.get("test_pipeline")}
    crop = next((one.get("crop_size") for one in steps(tested, "CenterCrop")), None)
    scaled = next(steps(tested, "ResizeEdge", "Resize"), {})
    edge = scaled.get("scale", scaled.get("size"))
    edge = edge[0] if isinstance(edge, list) and edge else edge
    view = read_normalisation(config)
    if isinstance(crop, int) and isinstance(edge, int) and edge:
        view |= {"crop": crop / edge, "input_size": [crop, crop]}
    return {"view": view | _known({"interpolation": scaled.get("interpolation")})}


def _known(settings: Mapping) -> dict:
    return {name: value for name, value in settings.items() if value is not None}

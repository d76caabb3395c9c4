"""What the configs of mmpose's heatmap networks say, of 0.x and of 1.x, for pose and faces alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hrtoolkit.config.values import is_sequence
from hrtoolkit.foreign import openmmlab
from hrtoolkit.foreign.hrnet import read_openmmlab
from hrtoolkit.foreign.python_file import ForeignError, read_python
from hrtoolkit.foreign.settings import Outputs, Settings
from hrtoolkit.schemes import KeypointScheme, scheme_fields
from hrtoolkit.schemes.known import KNOWN

WINDOWS = ("GetBBoxCenterScale", "TopDownGetBboxCenterScale")
WARPS = ("TopdownAffine", "TopDownAffine")
NORMALISING = ("NormalizeTensor", "Normalize")
SIZE = tuple[int, int]


def is_mmpose(settings: Settings) -> bool:
    """Whether a config is of a top-down network of mmpose.

    Args:
        settings: the config.
    """
    return openmmlab.kind(settings.section("model")) in ("TopDown", "TopdownPoseEstimator")


def joins_maps(settings: Settings) -> bool:
    """Whether the head reads all maps, joined, as in HRNetV2.

    Args:
        settings: the config.
    """
    old = settings.peek("model", "keypoint_head", "input_transform") == "resize_concat"
    return old or str(settings.peek("model", "neck", "type")).endswith("FeatureMapProcessor")


def read_model(settings: Settings, default_scheme: Any = None) -> dict[str, Any]:
    """The model of mmpose as ours, but for the type of its head.

    Args:
        settings: the config.
        default_scheme: where nobody knows the keypoints of the data.
    """
    model = settings.section("model")
    model.get("type")
    model.leave_out("pretrained", "train_cfg", "init_cfg")
    old = "keypoint_head" in model
    codec, size, flip = _read_old_codec(settings) if old else _read_codec(settings)
    head = model.section("keypoint_head" if old else "head")
    count = head.get("out_channels", 17, Outputs)
    scheme = read_scheme(settings, count) or default_scheme
    _check_head(head, old, joins_maps(settings))
    if not old and "neck" in model:
        neck = model.section("neck")
        neck.only("type", "FeatureMapProcessor", why="the neck of HRNetV2")
        neck.only("concat", True)
        neck.only("apply_relu", False)
        neck.only("scale_factor", 1.0)
        neck.only("align_corners", False)
        neck.only("select_index", None, [0, 1, 2, 3])
    backbone = read_openmmlab(model.section("backbone"), 4 if joins_maps(settings) else 1, several=False)
    view = {"type": "TopDown", "input_size": size, **_read_view(settings, old, codec["type"] == "UDPHeatmap", size)}
    found: dict[str, Any] = {
        "backbone": backbone,
        "head": {"scheme": scheme, "codec": codec},
        "view": view,
    }
    if flip and isinstance(scheme, list):
        model.section("test_cfg").leave_out("flip_test", why="nobody knows which keypoints are mirror partners")
    elif flip:
        found["flip_test"] = True
    return found


def _read_codec(settings: Settings) -> tuple[dict[str, Any], SIZE, bool]:
    """Codec, input size and flip test of 1.x."""
    model = settings.section("model")
    head, test = model.section("head"), model.section("test_cfg")
    decoder = head.section("decoder")
    kind = decoder.only("type", "MSRAHeatmap", "UDPHeatmap", why="other codecs are not supported")
    size = _read_sizes(decoder, "input_size", "heatmap_size")
    sigma = _read_sigma(decoder, "sigma")
    unbiased = decoder.get("unbiased", False, bool)
    kernel = decoder.get("blur_kernel_size", 11, int)
    decoder.only("heatmap_type", "gaussian", why="combined heatmaps and offsets are not supported")
    flip = test.get("flip_test", False, bool)
    test.only("flip_mode", "heatmap")
    test.only("output_heatmaps", False, True)
    test.only("use_multiscale_features", False)
    shift = test.get("shift_heatmap", False, bool)
    name = "UDPHeatmap" if kind == "UDPHeatmap" else "DarkHeatmap" if unbiased else "GaussianHeatmap"
    if name == "UDPHeatmap" and shift and flip:
        test.refuse("shift_heatmap", "mirrored maps of UDPHeatmap are aligned without a shift")
    return _make_codec(name, sigma, kernel, shift), size, flip


def _read_old_codec(settings: Settings) -> tuple[dict[str, Any], SIZE, bool]:
    """Codec, input size and flip test of 0.x."""
    test = settings.section("model").section("test_cfg")
    target = next(
        (s for s in openmmlab.pipeline(settings, "train") if openmmlab.kind(s) == "TopDownGenerateTarget"), None
    )
    size = _read_sizes(old_data_options(settings), "image_size", "heatmap_size")
    sigma = 2.0 if target is None else _read_sigma(target, "sigma")
    flip = test.get("flip_test", True, bool)
    shift = test.get("shift_heatmap", True, bool)
    kernel = test.get("modulate_kernel", 11, int)
    way = test.only("post_process", "default", "unbiased", True, why="other ways of reading heatmaps are not supported")
    test.only("unbiased_decoding", False, True)
    udp = test.get("use_udp", False, bool)
    test.only(
        "target_type", "GaussianHeatmap", "GaussianHeatMap", why="combined heatmaps and offsets are not supported"
    )
    unbiased = way == "unbiased" or test.peek("unbiased_decoding") is True
    name = "UDPHeatmap" if udp else "DarkHeatmap" if unbiased else "GaussianHeatmap"
    if udp and shift and flip:
        test.refuse("shift_heatmap", "mirrored maps of UDPHeatmap are aligned without a shift")
    return _make_codec(name, sigma, kernel, shift), size, flip


def old_data_options(settings: Settings) -> Settings:
    """What mmpose 0.x says of data, `data_cfg`: of the test data, else of the validation data.

    Args:
        settings: the config.
    """
    found = [openmmlab.dataset(settings, name).section("data_cfg") for name in ("test", "val")]
    options = next((one for one in found if one.values), settings.section("data_cfg"))
    # Channels are picked where several people are looked for at once, and never here.
    for key in ("num_output_channels", "num_joints", "dataset_channel", "inference_channel", "max_num_joints"):
        options.get(key)
    return options


def _make_codec(name: str, sigma: float, kernel: int, shift: bool) -> dict[str, Any]:
    codec: dict[str, Any] = {"type": name, "sigma": sigma}
    if name != "GaussianHeatmap" and kernel != 11:
        codec["blur_kernel"] = kernel
    if name != "UDPHeatmap" and not shift:
        codec["flip_shift"] = False
    return codec


def _read_sigma(section: Settings, key: str) -> float:
    value = section.get(key, 2.0)
    value = value[0] if is_sequence(value) and len(set(value)) == 1 else value
    if not isinstance(value, int | float) or isinstance(value, bool):
        section.refuse(key, f"expected one number, got {value!r}")
        return 2.0
    return float(value)


def _read_sizes(section: Settings, of_input: str, of_heatmap: str) -> SIZE:
    """The input's size, of which the heatmaps have a quarter."""
    sizes = [section.get(key) for key in (of_input, of_heatmap)]
    for key, value in zip((of_input, of_heatmap), sizes, strict=True):
        if not (is_sequence(value) and len(value) == 2 and all(isinstance(one, int) and one > 0 for one in value)):
            section.refuse(key, f"expected width and height, got {value!r}")
            return 192, 256
    if [4 * one for one in sizes[1]] != list(sizes[0]):
        section.refuse(of_heatmap, f"{list(sizes[1])} is not a quarter of {of_input}, as HRNet's maps are")
    return sizes[0][0], sizes[0][1]


def _check_head(head: Settings, old: bool, joined: bool) -> None:
    """That the head is a 1x1 convolution on the finest map, or two of them on the joined maps."""
    kinds = ("TopdownHeatmapSimpleHead", "TopDownSimpleHead") if old else ("HeatmapHead",)
    if openmmlab.kind(head) not in kinds:
        head.refuse_part(f"of the heads of mmpose there is {kinds[0]} here")
        return
    for key in ("type", "in_channels"):
        head.get(key)
    head.leave_out("loss", "loss_keypoint", "init_cfg", "train_cfg", "test_cfg")
    head.only("align_corners", False)
    if old:
        if head.get("num_deconv_layers", 3) != 0:
            head.refuse("num_deconv_layers", "layers that enlarge maps are not supported here")
        head.only("input_transform", None, "resize_concat")
        head.only("in_index", 0, [0, 1, 2, 3])
        extra = head.section("extra")
        extra.only("final_conv_kernel", 1)
        extra.only("num_conv_layers", 1 if joined else 0)
        extra.only("num_conv_kernels", [1] if joined else [], [1])
        return
    if "deconv_out_channels" not in head.values or head.get("deconv_out_channels"):
        head.refuse("deconv_out_channels", "layers that enlarge maps are not supported here; HRNet has None")
    head.told.understood.add(head.path_of("deconv_out_channels"))
    head.get("deconv_kernel_sizes")
    head.get("in_index")
    convolutions = head.get("conv_out_channels") or ()
    kernels = head.get("conv_kernel_sizes") or ()
    if len(convolutions) != int(joined) or list(kernels) != [1] * int(joined):
        head.refuse(
            "conv_out_channels", "convolutions before the last one are supported on joined maps alone, one of 1x1"
        )
    final = head.section("final_layer")
    final.only("kernel_size", 1)
    final.only("padding", 0)


def _read_view(settings: Settings, old: bool, udp: bool, size: SIZE) -> dict[str, Any]:
    """Padding and normalisation of the pictures that are tested."""
    view: dict[str, Any] = {}

    def read_step(kind: str, step: Settings) -> bool:
        if kind in WINDOWS:
            padding = step.get("padding", 1.25, float)
            if padding != 1.25:
                view["padding"] = padding
        elif kind in WARPS:
            step.only("input_size", list(size), why="the size of the heatmaps' codec")
            if step.get("use_udp", False, bool) != udp:
                step.refuse("use_udp", "crops and codec go by the same convention here")
        return kind in (*WINDOWS, *WARPS)

    return view | openmmlab.read_tested(settings, read_step, normalising=NORMALISING, rgb=old)[0]


def read_scheme(settings: Settings, count: int) -> Any:
    """What the outputs stand for: a known name, or the fields of a scheme; None where nobody knows.

    Args:
        settings: the config.
        count: of the outputs.
    """
    for name in ("test", "val", "train"):
        data = openmmlab.dataset(settings, name)
        if not data.values:
            continue
        info = _find_file(data.peek("dataset_info") or data.peek("metainfo"), settings)
        known = _known_scheme(data, count)
        if known and (info is None or info.get("dataset_name") == known):
            return known
        info = info or _find_file({"from_file": f"configs/_base_/datasets/{dataset_name(data)}.py"}, settings)
        found = _read_info(info)
        if found is not None and _count(found) == count:
            return found
    return None


def dataset_name(data: Settings) -> str:
    """What a data set of mmpose is called, as its files of keypoints are: "coco", "crowdpose", "wflw".

    Args:
        data: its section.
    """
    plain = re.sub(r"^(TopDown|Face|Hand|Animal)(?=[A-Z0-9])|2D|Dataset$", "", openmmlab.kind(data)).lower()
    return {"300w": "300w", "": "300w"}.get(plain, plain)


def _count(scheme: Any) -> int:
    return len(KNOWN[KeypointScheme][scheme].names if isinstance(scheme, str) else scheme["names"])


def _known_scheme(data: Settings, count: int) -> str | None:
    name = dataset_name(data)
    known = KNOWN[KeypointScheme].get(name)
    return name if known is not None and len(known.names) == count else None


def _find_file(info: Any, settings: Settings) -> dict[str, Any] | None:
    """What mmpose says of the keypoints of a data set, which may lie in a file beside the config or above it."""
    name = info.get("from_file") if isinstance(info, dict) else None
    if not isinstance(name, str):
        return info if isinstance(info, dict) and "keypoint_info" in info else None
    folders = settings.told.file.resolve().parents if settings.told.file else ()
    tails = [Path(name), Path(name.removeprefix("configs/"))]
    file = next((folder / tail for folder in folders for tail in tails if (folder / tail).is_file()), None)
    try:
        found = read_python(file)[0].get("dataset_info") if file else None
    except ForeignError:
        return None
    return found if isinstance(found, dict) else None


def _read_info(info: dict[str, Any] | None) -> Any:
    """The scheme of mmpose's `dataset_info`."""
    info = info or {}
    points = info.get("keypoint_info")
    if not isinstance(points, dict) or not points:
        return None
    try:
        rows = [points[key] for key in sorted(points, key=int)]
        names = [str(row["name"]) for row in rows]
        pairs = {tuple(sorted((row["name"], row["swap"]))) for row in rows if row.get("swap") in names}
        mirrored = [(a, b) for a, b in sorted(pairs, key=lambda p: names.index(p[0])) if a != b]
        links = [(str(one["link"][0]), str(one["link"][1])) for one in (info.get("skeleton_info") or {}).values()]
        scheme = KeypointScheme(
            names=tuple(names),
            mirrored=tuple(mirrored),
            skeleton=tuple(link for link in links if set(link) <= set(names)),
            sigmas=info.get("sigmas") or (),
            upper_body=tuple(row["name"] for row in rows if row.get("type") == "upper"),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    known = next((k for k, one in KNOWN[KeypointScheme].items() if one.names == scheme.names), None)
    if known:
        return known
    fields = scheme_fields(scheme)
    return {key: fields[key] for key in ("names", "mirrored", "skeleton", "sigmas", "upper_body") if fields[key]}


def read_augmentation(settings: Settings, name: str) -> dict[str, Any]:
    """What training changes of a crop, as far as we have it; the rest is left out.

    Args:
        settings: the config.
        name: of our augmentation.
    """
    found: dict[str, Any] = {"type": name}
    # What stands here is the deviation of a normal clipped at two, of faces the largest angle of a uniform draw; theirs
    # is such a normal in 0.x, and in 1.x one that is cut off at the angle that the config names.
    widest = 2.0 if name == "FaceAugmentation" else 1.0
    for step in openmmlab.pipeline(settings, "train"):
        kind = openmmlab.kind(step)
        if kind in ("TopDownRandomFlip", "RandomFlip"):
            found["flip"] = step.get("flip_prob") or step.get("prob") or 0.5
        elif kind == "TopDownGetRandomScaleRotation":
            found["scale"] = float(step.get("scale_factor", 0.5))
            found["rotation"] = float(step.get("rot_factor", 40)) * widest
        elif kind == "RandomBBoxTransform":
            low, high = step.get("scale_factor") or (0.5, 1.5)
            found |= {"scale": (high - low) / 2, "rotation": float(step.get("rotate_factor", 80)) / 2 * widest}
        elif kind in ("RandomHalfBody", "TopDownHalfBodyTransform") and name == "PoseAugmentation":
            found["half_body"] = step.get("prob_half_body") or step.get("prob") or 0.3
        elif kind not in (
            *openmmlab.PLAIN_STEPS,
            *WINDOWS,
            *WARPS,
            *NORMALISING,
            "GenerateTarget",
            "TopDownGenerateTarget",
        ):
            step.leave_out("type", why=f"training only: no {kind} here")
    return found

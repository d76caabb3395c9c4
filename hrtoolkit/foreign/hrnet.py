"""The HRNet of a foreign config: its stages, as every code base writes them, as arguments of ours."""

from __future__ import annotations

from typing import Any, NamedTuple

from hrtoolkit.config.values import is_sequence
from hrtoolkit.foreign.settings import NO_EFFECT, Outputs, Settings


class Keys(NamedTuple):
    """How a code base writes a stage."""

    stage: str  # with the number for {}
    modules: str
    branches: str
    block: str
    blocks: str
    channels: str
    fuse: str


OFFICIAL = Keys("STAGE{}", "NUM_MODULES", "NUM_BRANCHES", "BLOCK", "NUM_BLOCKS", "NUM_CHANNELS", "FUSE_METHOD")
OPENMMLAB = Keys("stage{}", "num_modules", "num_branches", "block", "num_blocks", "num_channels", "fuse_method")
BLOCKS = {1: "BOTTLENECK", 2: "BASIC", 3: "BASIC", 4: "BASIC"}


def read_stages(extra: Settings, keys: Keys, first: bool = True) -> dict[str, Any]:
    """The size of an HRNet as arguments of ours; what no HRNet of ours has is refused.

    Args:
        extra: holds the stages.
        keys: how they are written.
        first: whether the first stage is written; the official pose and face code does not.
    """
    modules, blocks, width = [], set(), None
    for number in (2, 3, 4):
        stage = _read_stage(extra, keys, number)
        if stage is None:
            continue
        modules.append(stage["modules"])
        blocks |= set(stage["blocks"])
        width = width or stage["channels"][0]
        if stage["channels"] != [width * 2**i for i in range(number)]:
            wanted = [width * 2**i for i in range(number)]
            extra.section(keys.stage.format(number)).refuse(
                keys.channels,
                f"{stage['channels']} are not supported here: each coarser map has twice as many, as {wanted}",
            )
    if len(blocks) > 1:
        extra.refuse(keys.stage.format(4), f"all branches have as many blocks here, got {sorted(blocks)}")
    if len(modules) < 3 or not blocks or width is None:
        return {"type": "HRNet"}
    size: dict[str, Any] = {"type": "HRNet", "width": width}
    if modules != [1, 4, 3]:
        size["modules"] = tuple(modules)
    if blocks != {4}:
        size["blocks"] = min(blocks)
    if first and (stage := _read_stage(extra, keys, 1)) is not None:
        if stage["modules"] != 1:
            extra.section(keys.stage.format(1)).refuse(keys.modules, "the first stage has one module here")
        if stage["blocks"] != [4]:
            size["layer1_blocks"] = stage["blocks"][0]
        if stage["channels"] != [64]:
            size["layer1_planes"] = stage["channels"][0]
    return size


def _read_stage(extra: Settings, keys: Keys, number: int) -> dict[str, Any] | None:
    """Modules, blocks and channels of a stage; None where it is missing or no stage."""
    name = keys.stage.format(number)
    if name not in extra:
        extra.refuse(name, "missing; an HRNet has four stages")
        return None
    stage = extra.section(name)
    stage.only(keys.block, BLOCKS[number], why="the block of this stage")
    stage.only(keys.fuse, "SUM", "sum")
    stage.get("NUM_RANCHES")  # as the official files of three tasks spell it; nobody reads it
    branches = stage.only(keys.branches, number)
    found: dict[str, Any] = {"modules": stage.get(keys.modules, 1, Outputs)}
    for key in (keys.blocks, keys.channels):
        values = stage.get(key)
        if not is_sequence(values) or len(values) != branches or not all(_is_count(one) for one in values):
            stage.refuse(key, f"expected {branches} whole numbers, got {values!r}")
            return None
        found["blocks" if key == keys.blocks else "channels"] = list(values)
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 5_000


def read_openmmlab(backbone: Settings, maps: int, several: bool = True, mode: str = "nearest") -> dict[str, Any]:
    """The backbone of mmpose, mmdet, mmseg or mmpretrain as arguments of ours.

    Args:
        backbone: its section.
        maps: that the head reads, 1 or 4; another number in the config is refused.
        several: whether the last module gives all four maps, where the config does not say.
        mode: of enlarging, where the config does not say.
    """
    if str(backbone.get("type")).rsplit(".", 1)[-1] != "HRNet":
        backbone.refuse_part("there is HRNet here, as mmpose, mmdet, mmseg and mmpretrain have it")
        return {"type": "HRNet"}
    extra = backbone.section("extra")
    if "arch" in backbone:
        return {"type": "HRNet", **_read_arch(backbone)}
    size = read_stages(extra, OPENMMLAB)
    several = extra.section("stage4").get("multiscale_output", several, bool)
    if "multiscale_output" in backbone:
        several = backbone.get("multiscale_output", several, bool)
    if several != (maps == 4):
        extra.section("stage4").refuse(
            "multiscale_output", f"{several} is not supported here: the head reads {maps} of the maps"
        )
    if maps == 1:
        size["num_outputs"] = 1
    upsample = extra.section("upsample")
    mode = upsample.only("mode", mode, "nearest", "bilinear")
    corners = upsample.get("align_corners", False, bool)
    if mode == "bilinear":
        size["fuse_upsample"] = "bilinear"
        if corners:
            size["align_corners"] = True
    read_plain_options(backbone)
    return size


def read_plain_options(backbone: Settings) -> None:
    """What every OpenMMLab backbone has besides its stages."""
    backbone.only("in_channels", 3, why="images are RGB")
    backbone.only("zero_init_residual", False, True)
    check_norm(backbone)
    if "conv_cfg" in backbone:
        backbone.refuse("conv_cfg", "other convolutions than plain ones are not supported here")
    if "plugins" in backbone:
        backbone.refuse("plugins", "plugins are not supported here")
    backbone.leave_out("frozen_stages", "norm_eval", "with_cp", "init_cfg", "pretrained")
    backbone.leave_out("_scope_", why=NO_EFFECT)


def check_norm(part: Settings) -> None:
    """That a part normalises as ours do.

    Args:
        part: with `norm_cfg`, where it does not leave that out.
    """
    norm = part.section("norm_cfg")
    norm.only("type", "BN", "SyncBN", "BN2d", "MMSyncBN", why="networks here have BatchNorm")
    norm.only("eps", 1e-5)
    norm.get("requires_grad")
    norm.get("momentum")


def _read_arch(backbone: Settings) -> dict[str, Any]:
    """A backbone of mmcls or mmpretrain by its name, such as w18."""
    width = str(backbone.get("arch")).removeprefix("w")
    read_plain_options(backbone)
    if width not in ("18", "30", "32", "40", "44", "48", "64"):
        backbone.refuse("arch", "no such HRNet here; there are w18, w30, w32, w40, w44, w48 and w64")
        width = "18"
    return {"width": int(width)}

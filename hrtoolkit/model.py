"""The one model class, preprocess -> backbone -> neck -> head, and how a config becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from mmengine import Config
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map_only

from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.registry import MODELS


class Model(BaseModel):
    """Backbone, neck and head in a row; mmengine's `train_step` and `val_step` call it by its modes.

    Args:
        backbone: `forward(images) -> maps`, with `out_channels` and `out_strides`.
        neck: `forward(maps) -> maps`, or None to hand the backbone's maps to the head.
        head: `forward(maps)`, `loss(maps, targets)`, `predict(maps, meta, flipped)`.
        mean: of each RGB channel, 0..255; ImageNet's by default.
        std: of each RGB channel.
        flip_test: in mode "predict", also run the mirrored images and let the head average both results.
        augment: `augment(images, targets, meta) -> images, targets`, changes training batches on the device after
            normalisation, such as mixup; what is random in it must follow from `meta`.
        inference: `inference(model, images, meta) -> list with one dict each`, takes over in mode "predict" where the
            network has to see an image several times, such as in windows; it calls `extract` and the head itself, and
            honours `flip_test`. None runs the network once.
        frozen: names of modules that are not trained ("backbone.layer1"): their weights get no gradients and their
            BatchNorm keeps its statistics.
        norm_eval: names of modules whose BatchNorm keeps its statistics while all weights are trained, as in detection,
            where a batch holds few images.
        norm_frozen: names of modules whose BatchNorm keeps its statistics and its weights, as torchvision's detectors
            have it.

    Raises:
        ValueError: a name in `frozen`, `norm_eval` or `norm_frozen` is no module of the model.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module | None,
        head: nn.Module,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        flip_test: bool = False,
        augment: Callable | None = None,
        inference: Callable | None = None,
        frozen: Sequence[str] = (),
        norm_eval: Sequence[str] = (),
        norm_frozen: Sequence[str] = (),
    ):
        super().__init__(data_preprocessor=BatchPreprocessor(mean, std, augment))
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.flip_test = flip_test
        self.inference = inference
        self.frozen = tuple(frozen)
        self.norm_eval = (*norm_eval, *norm_frozen)
        for argument, names in (("frozen", frozen), ("norm_eval", norm_eval), ("norm_frozen", norm_frozen)):
            if isinstance(names, str):
                raise ValueError(f"{argument} takes a list of module names, got {names!r}")
            for name in names:
                try:
                    module = self.get_submodule(name)
                except AttributeError:
                    parts = [f"{a}.{b}" for a, part in self.named_children() for b, _ in part.named_children()]
                    raise ValueError(f"{argument}: the model has no module {name!r}, but {', '.join(parts)}") from None
                if argument == "frozen":
                    module.requires_grad_(False)
                elif argument == "norm_frozen":
                    for norm in _batchnorms(module):
                        norm.requires_grad_(False)

    def train(self, mode: bool = True) -> Model:
        """Switch to training, but for what is frozen, or to evaluation."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        for name in self.norm_eval:
            for norm in _batchnorms(self.get_submodule(name)):
                norm.eval()
        return self

    def forward(
        self,
        images: Tensor,
        targets: Any = None,
        meta: list[dict] | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
    ):
        """Run the model.

        Args:
            images: float [B, 3, H, W], already normalised.
            targets: what the head's `loss` asks for, in mode "loss".
            meta: one dict an image, what the head's `predict` asks for, in mode "predict".
            mode: "tensor" gives the head's raw output, "loss" named losses, "predict" a list with one dict each.
        """
        if mode == "tensor":
            return self.head(self.extract(images))
        if mode == "loss":
            return self.head.loss(self.extract(images), targets)
        if mode == "predict" and self.inference is not None:
            return self.inference(self, images, meta)
        if mode == "predict":
            flipped = self.extract(images.flip(-1)) if self.flip_test else None
            return self.head.predict(self.extract(images), meta, flipped)
        raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")

    def extract(self, images: Tensor) -> list[Tensor]:
        """Maps that the head reads, from normalised images [B, 3, H, W] and of their dtype.

        Backbone and neck compute in the precision of the backbone's weights; `hrtoolkit.inference.fold` can lower it.
        """
        dtype = next(self.backbone.parameters()).dtype
        maps = self.backbone(images.to(dtype))
        maps = maps if self.neck is None else self.neck(maps)
        return maps if dtype == images.dtype else [x.to(images.dtype) for x in maps]

    def describe(self) -> dict[str, dict]:
        """What predictions depend on besides the weights, of each part that tells; it is kept in every checkpoint."""
        parts = {"backbone": self.backbone, "neck": self.neck, "head": self.head}
        return {name: part.describe() for name, part in parts.items() if hasattr(part, "describe")}


class BatchPreprocessor(nn.Module):
    """Move a batch to the model's device and normalise its images there: uint8 travels at a quarter of the bytes.

    Args:
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.
        augment: of training batches, see `Model`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], augment: Callable | None = None):
        super().__init__()
        self.augment = augment
        # Not persistent: the published weights hold no such entries.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, batch: dict, training: bool = False) -> dict:
        """Take `{'images': [B, 3, H, W], 'targets', 'meta'}` and give the same with normalised images, all on device.

        Images come as uint8, or as float32 where grey levels were not rounded after resizing.

        Where `meta` tells the size of each image, `input_hw`, what is padded beyond it becomes 0.

        Args:
            batch: as collated.
            training: augment the batch, where the model has something for that.
        """
        device = self.mean.device
        images = batch["images"].to(device, non_blocking=True, memory_format=torch.channels_last)
        # In place and by whole rows, in which channels alternate: a CPU takes 0.1 ms a person for it, where arithmetic
        # between bytes and floats, channel by channel, takes 1.4.
        width = images.shape[-1]
        rows = images.permute(0, 2, 3, 1).to(self.mean.dtype, copy=True).flatten(2)  # [B, H, W * 3]
        rows.sub_(self.mean.flatten().repeat(width)).div_(self.std.flatten().repeat(width))
        images = rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)
        targets = tree_map_only(Tensor, lambda t: t.to(device, non_blocking=True), batch.get("targets"))
        meta = batch.get("meta")
        if meta and "input_hw" in meta[0]:
            for image, one in zip(images, meta, strict=True):
                height, width = one["input_hw"]
                image[:, height:] = 0
                image[:, :, width:] = 0
        if training and self.augment is not None:
            images, targets = self.augment(images, targets, meta)
        return {"images": images, "targets": targets, "meta": meta}


def _batchnorms(module: nn.Module) -> list[nn.Module]:
    return [one for one in module.modules() if isinstance(one, _BatchNorm)]  # SyncBatchNorm too


def build_model(config: str | Path | Config) -> Model:
    """Build the model of a config on the CPU, with random weights.

    Args:
        config: path of a config file, or a Config; only its `model` is read.

    Raises:
        ConfigError: the file cannot be read, or a part refuses its arguments.
    """
    config = load_config(config)
    options = dict(config.model)
    try:
        backbone = last = _build_part(options.pop("backbone"))
        neck = options.pop("neck", None)
        if neck is not None:
            neck = last = _build_part(neck, backbone)
        head = _build_part(options.pop("head"), last)
        return Model(backbone, neck, head, **_build_inner(options))
    except ValueError as error:
        raise ConfigError(config.filename or "config", [f"model: {error}"]) from error


def _build_part(options: dict, source: nn.Module | None = None):
    """Build a part after the parts inside it, telling it the channels and strides of the part before it."""
    inner = _build_inner(options)
    if source is not None:
        inner |= {"in_channels": source.out_channels, "in_strides": source.out_strides}
    return MODELS.build(inner)


def _build_inner(options: dict) -> dict:
    return {k: _build_part(v) if isinstance(v, dict) and "type" in v else v for k, v in options.items()}

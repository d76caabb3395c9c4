"""The one model class: a backbone, and branches that each ask its maps for one task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypedDict

import torch
from mmengine.model import BaseModel
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map_only

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Frame, Settings
from hrtoolkit.norms import NORMS, Norm, split_by_view_
from hrtoolkit.parts import BaseBackbone, BatchTargets, Head, Neck, Output, Targets
from hrtoolkit.records import Record, join
from hrtoolkit.totals import Losses, divide, sum_losses
from hrtoolkit.views import IMAGENET_MEAN, IMAGENET_STD, View

UNNAMED = ""  # the name of a model's only branch
RAW = "raw"  # what the log calls the loss of one of several branches before it is balanced
Answer = Output | dict[str, Tensor] | Sequence[Record]  # what a model says of one task: outputs, losses or records
Finish = Callable[[Sequence[Record]], Record]  # the records of one sample, as the inputs gave them, to its record
Inference = Callable[
    ["Model", "Branch", Tensor, Frame], Sequence[Record]
]  # where a network sees an image several times
Augment = Callable[[Tensor, Targets, int], tuple[Tensor, Targets]]  # of normalised images, see `Model`


Backend = Literal["onnxruntime", "openvino", "pt2"]  # what runs an exported network


class ExportedNetwork(Protocol):
    """What runs in place of a model's backbone and necks and the decoding of its heads."""

    @property
    def sha256(self) -> str:
        """Of its files."""
        ...

    def __call__(self, images: Tensor, frames: Frame, branches: Sequence[str]) -> Mapping[str, Mapping[str, ndarray]]:
        """What `decode` of the heads of some branches gives, by branch.

        Args:
            images: [B, 3, H, W] as the model's preprocessor leaves them.
            frames: of the inputs.
            branches: names of those that are asked.
        """
        ...


class Balance(Protocol):
    """Weighs losses of branches against each other: an nn.Module built with the names of all `branches`."""

    def __call__(self, losses: Mapping[str, Tensor], values: Tensor) -> Mapping[str, Tensor]:
        """What is summed and minimised, by branch.

        Args:
            losses: of those that have truth in this process.
            values: [N] of all branches, over all processes; NaN where none has truth.
        """
        ...


class Batch(TypedDict, total=False):
    """Inputs of one view, ready for the network."""

    images: Tensor  # float [B, 3, H, W], normalised
    frames: Frame | None  # None where no head reads them
    targets: Mapping[str, BatchTargets | None]  # by branch, in mode "loss"
    rows: Mapping[str, ndarray]  # by branch, int64 [R]: which inputs the targets are of; without it, of all


class Branch(nn.Module):
    """What one task asks of shared maps.

    Args:
        neck: `forward(maps) -> maps`, or None to hand the backbone's maps to the head.
        head: see `Head`.
        view: how it looks at images; None for a network that is only called on ready inputs.
        finish: joins, rescores, suppresses the records of a sample, so that a predictor gives what the metric scores.
        inference: takes over in mode "predict" where the network has to see an image several times, such as in tiles;
            it calls `model.extract` and the head itself, and honours `model.flip_test`. None runs the network once.
    """

    def __init__(
        self,
        neck: Neck | None,
        head: Head,
        view: View | None = None,
        finish: Finish | None = None,
        inference: Inference | None = None,
    ):
        super().__init__()
        self.neck = neck
        self.head = head
        self.view = view
        self.finish = finish or join
        self.inference = inference

    def read(self, maps: list[Tensor]) -> list[Tensor]:
        """The maps that the head reads, from those of the backbone."""
        return maps if self.neck is None else self.neck(maps)

    def describe(self) -> dict[str, Settings]:
        """What predictions depend on besides the weights, by part."""
        parts = {"neck": self.neck, "head": self.head, "view": self.view}
        return {name: part.describe() for name, part in parts.items() if part is not None}


class Model(BaseModel):
    """A backbone and its branches; mmengine's `train_step` and `val_step` call it by its modes.

    Args:
        backbone: see `Backbone`.
        branches: one without a name, whose tensors are `neck.*` and `head.*`, or several by name, `branches.NAME.*`.
            Those that have views share their mean and std.
        flip_test: in mode "predict", also run the mirrored images and let the heads average both results.
        augment: `augment(images, targets, seed) -> images, targets`, changes training batches on the device after
            normalisation, such as mixup; what is random in it follows from the seed.
        frozen: names of modules that are not trained ("backbone.layer1"): their weights get no gradients and their
            BatchNorm keeps its statistics.
        norm_eval: names of modules whose BatchNorm keeps its statistics while all weights are trained, as in detection,
            where a batch holds few images.
        norm_frozen: names of modules whose BatchNorm keeps its statistics and its weights, as torchvision's detectors
            have it.
        views: those that several branches have, by name; any other is called as its branch is.
        balance: weighs the losses of the branches; without it they count as the heads give them.
        norm: what of the backbone's BatchNorm each view has for itself: nothing ("shared"), its running statistics
            ("per_view", the default where there are several views), or scale and shift too ("per_view_affine").

    Raises:
        OptionError: a name in `frozen`, `norm_eval` or `norm_frozen` is no module of the model, the views normalise in
            different ways, a head cannot average with mirrored images, or the backbone's BatchNorm cannot be split.
    """

    branches: Mapping[str, Branch]
    looks: dict[str, str]  # the name of each branch's view

    def __init__(
        self,
        backbone: BaseBackbone,
        branches: Branch | Mapping[str, Branch],
        flip_test: bool = False,
        augment: Augment | None = None,
        frozen: Sequence[str] = (),
        norm_eval: Sequence[str] = (),
        norm_frozen: Sequence[str] = (),
        views: Mapping[str, View] | None = None,
        norm: Norm | None = None,
        balance: Balance | None = None,
    ):
        several = {UNNAMED: branches} if isinstance(branches, Branch) else dict(branches)
        norms = {(v.mean, v.std) for b in several.values() if (v := b.view) is not None}
        if len(norms) > 1:
            raise OptionError(f"the views of a model's branches normalise alike, got mean and std {sorted(norms)}")
        mean, std = norms.pop() if norms else (IMAGENET_MEAN, IMAGENET_STD)
        super().__init__(data_preprocessor=BatchPreprocessor(mean, std, augment))
        shared = {id(view): name for name, view in (views or {}).items()}
        self.looks = {name: shared.get(id(b.view), name if b.view else UNNAMED) for name, b in several.items()}
        self.views = tuple(dict.fromkeys(self.looks.values()))
        self.norm: Norm = norm or ("per_view" if len(self.views) > 1 else "shared")
        if self.norm not in NORMS:
            raise OptionError(f"norm is one of {', '.join(map(repr, NORMS))}, got {self.norm!r}")
        self.backbone = backbone
        split = self.norm != "shared" and len(self.views) > 1
        # Says of which view the next images are, where views have BatchNorms of their own.
        self.seen = split_by_view_(backbone, len(self.views), self.norm == "per_view_affine") if split else None
        self._named = not isinstance(branches, Branch)
        if isinstance(branches, Branch):
            # Registered by its parts, so that their tensors have the names of single-task weights.
            self.__dict__["branches"] = several
            self.neck, self.head = branches.neck, branches.head
        else:
            self.add_module("branches", nn.ModuleDict(several))
        if flip_test and (stiff := [type(b.head).__name__ for b in several.values() if not b.head.flips]):
            raise OptionError(
                f"flip_test: {', '.join(stiff)} has no flip test, as no published model of its kind has; leave out "
                "--flip, and model.flip_test=True"
            )
        self.flip_test = flip_test
        self.config: str | None = None  # that it was built from, as json; `build_model` sets it
        # Runs an exported network in place of the backbone, and of what the heads decode (`hrtoolkit.export`).
        self.exported: ExportedNetwork | None = None
        self.balance = balance
        # Is shown the losses of a training step before they are summed, such as to measure gradients.
        self.watch_losses: Callable[[Mapping[str, Tensor]], None] | None = None
        # Gives the losses of a step as one number with the step's gradient, instead of their sum.
        self.combine_losses: Callable[[Mapping[str, Tensor]], Tensor] | None = None
        self.frozen = tuple(frozen)
        self.norm_eval = (*norm_eval, *norm_frozen)
        for argument, names in (("frozen", frozen), ("norm_eval", norm_eval), ("norm_frozen", norm_frozen)):
            if isinstance(names, str):
                raise OptionError(f"{argument} takes a list of module names, got {names!r}")
            for name in names:
                try:
                    module = self.get_submodule(name)
                except AttributeError:
                    parts = [f"{a}.{b}" for a, part in self.named_children() for b, _ in part.named_children()]
                    raise OptionError(f"{argument}: the model has no module {name!r}, but {', '.join(parts)}") from None
                if argument == "frozen":
                    module.requires_grad_(False)
                elif argument == "norm_frozen":
                    for one in _batchnorms(module):
                        one.requires_grad_(False)

    def train(self, mode: bool = True) -> Model:
        """Switch to training, but for what is frozen, or to evaluation."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        for name in self.norm_eval:
            for norm in _batchnorms(self.get_submodule(name)):
                norm.eval()
        return self

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum what is minimised; see mmengine's BaseModel."""
        if self.watch_losses is not None:
            self.watch_losses(losses)
        total, told = super().parse_losses(losses)
        return total if self.combine_losses is None else self.combine_losses(losses), told

    def branch(self, name: str | None = None) -> Branch:
        """A branch by its name, or the only one.

        Raises:
            OptionError: there is none of that name, or no name is given and there are several.
        """
        if name is None and len(self.branches) == 1:
            return next(iter(self.branches.values()))
        if name is None or name not in self.branches:
            known = ", ".join(self.branches) or "one without a name"
            raise OptionError(f"name one of the model's branches ({known}), got {name!r}")
        return self.branches[name]

    def prefix(self, name: str) -> str:
        """What the names of a branch's tensors begin with."""
        return f"branches.{name}." if self._named else ""

    def forward(
        self,
        images: Tensor | None = None,
        targets: BatchTargets | Mapping[str, BatchTargets] | None = None,
        frames: Frame | None = None,
        mode: Literal["tensor", "loss", "predict"] = "tensor",
        branches: Sequence[str] | None = None,
        batches: Mapping[str, Batch] | None = None,
    ) -> Answer | Mapping[str, Answer]:
        """Run the model: on one batch, or on one for each view.

        Args:
            images: float [B, 3, H, W], already normalised.
            targets: what the head's `loss` asks for, in mode "loss"; of named branches by their names, and one without
                targets has no loss.
            frames: of the inputs, in modes "loss" and "predict".
            mode: "tensor" gives the heads' raw outputs, "loss" named losses, "predict" a record an input.
            branches: which of the named ones run; None for all.
            batches: instead of images, targets and frames: those of each view, by its name. A branch without targets
                has no truth there, which is not the same as truth without anything in it.

        Returns:
            what the mode says; of named branches by their names, and losses named "BRANCH/loss_...". With a balance
            "BRANCH/loss" counts, and what the head gave is told without "loss" in its name, its sum as "BRANCH/raw".
            Where a branch has no loss, "loss_untaught" is 0 and reaches all weights, so that processes and optimizers
            find a gradient.
        """
        if mode not in ("tensor", "loss", "predict"):
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict', got {mode!r}")
        chosen = {name: self.branch(name) for name in (self.branches if branches is None else branches)}
        if batches is None:
            assert images is not None, "images, or batches"
            by_name: Any = (targets or {}) if self._named else {UNNAMED: targets}
            one: Batch = {"images": images, "frames": frames, "targets": by_name}
            batches = dict.fromkeys(self.views, one) if self.seen else {self.views[0]: one}
        answers: dict[str, Any] = {}
        for view, batch in batches.items():
            looking = {n: b for n, b in chosen.items() if len(batches) == 1 or self.looks[n] == view}
            if not looking:
                continue
            self._see(view)
            if mode == "tensor":
                answers |= self._output(looking, batch["images"])
            elif mode == "loss":
                answers |= self._compare(looking, batch)
            else:
                answers |= self._predict(looking, batch["images"], batch["frames"])
        if mode != "loss":
            return {name: answers[name] for name in chosen if name in answers} if self._named else answers[UNNAMED]
        rows = {}
        for name in answers:
            batch = next(iter(batches.values())) if len(batches) == 1 else batches[self.looks[name]]
            rows[name] = len(batch["rows"][name]) if "rows" in batch else len(batch["images"])
        losses = self._weigh(*divide(answers, rows, list(self.branches), self.data_preprocessor.mean.device))
        if answers.keys() != chosen.keys():
            losses["loss_untaught"] = 0 * sum(p.sum() for p in self.parameters() if p.requires_grad)
        return losses

    def _output(self, branches: Mapping[str, Branch], images: Tensor) -> dict[str, Output]:
        maps = self.backbone_maps(images)
        return {name: branch.head(self._read(branch, maps, images.dtype)) for name, branch in branches.items()}

    def _compare(self, branches: Mapping[str, Branch], batch: Batch) -> dict[str, Losses]:
        """The losses of the branches that have truth."""
        images, frames, rows = batch["images"], batch["frames"], batch.get("rows")
        maps = self.backbone_maps(images)
        losses: dict[str, Losses] = {}
        for name, branch in branches.items():
            targets: Any = batch["targets"].get(name)
            if targets is None:
                continue
            own, seen = maps, frames
            if rows is not None and len(rows[name]) < len(images):
                chosen = torch.from_numpy(rows[name]).to(images.device, non_blocking=True)
                own, seen = [x[chosen] for x in maps], None if frames is None else frames[rows[name]]
            read: Any = seen  # a head that does not read frames goes without
            losses[name] = branch.head.loss(self._read(branch, own, images.dtype), targets, read)
        return losses

    def _weigh(self, losses: Mapping[str, Mapping[str, Tensor]], values: Tensor) -> dict[str, Tensor]:
        """Losses by the names that a log has: those of heads as they are, without "loss" where balanced ones count."""
        lead = {name: f"{name}/" if self._named else "" for name in losses}
        raw = {f"{lead[name]}{key}": loss for name, some in losses.items() for key, loss in some.items()}
        if self.balance is None:
            return raw
        sums = {name: sum_losses(some) for name, some in losses.items()}
        told = {key.replace("loss_", ""): loss.detach() for key, loss in raw.items()}
        told |= {f"{name}/{RAW}": loss.detach() for name, loss in sums.items() if name}
        return told | {f"{name}/loss" if name else "loss": loss for name, loss in self.balance(sums, values).items()}

    def _predict(self, branches: Mapping[str, Branch], images: Tensor, frames: Any) -> dict[str, Sequence[Record]]:
        if self.exported is not None:
            outputs = self.exported(images, frames, list(branches))
            return {name: branch.head.read(outputs[name], frames) for name, branch in branches.items()}
        once = any(branch.inference is None for branch in branches.values())
        shifts = {b.head.flip_shift for b in branches.values() if b.inference is None} if self.flip_test else set()
        flipped = {shift: self.backbone_maps(mirror(images, shift)) for shift in shifts}
        maps = self.backbone_maps(images) if once else []
        results = {}
        for name, branch in branches.items():
            if branch.inference is not None:
                results[name] = branch.inference(self, branch, images, frames)
                continue
            turned = flipped.get(branch.head.flip_shift)
            mirrored = None if turned is None else self._read(branch, turned, images.dtype)
            results[name] = branch.head.predict(self._read(branch, maps, images.dtype), frames, mirrored)
        return results

    def _see(self, view: str) -> None:
        """Say of which view the next images are."""
        if self.seen is not None:
            self.seen.view = self.views.index(view)

    def backbone_maps(self, images: Tensor) -> list[Tensor]:
        """Maps of the backbone, in the precision of its weights; `hrtoolkit.speed.fold` can lower it."""
        return self.backbone(images.to(next(self.backbone.parameters()).dtype))

    def _read(self, branch: Branch, maps: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """Maps that a branch's head reads, in the precision of the images; as they are under autocast."""
        maps = branch.read(maps)
        return maps if next(self.backbone.parameters()).dtype == dtype else [x.to(dtype) for x in maps]

    def extract(self, images: Tensor, branch: Branch | None = None) -> list[Tensor]:
        """Maps that the head of a branch reads, from normalised images [B, 3, H, W] and of their dtype."""
        branch = self.branch() if branch is None else branch
        (name,) = (name for name, one in self.branches.items() if one is branch)
        return self.extract_each(images, [name])[name]

    def extract_each(self, images: Tensor, branches: Sequence[str]) -> dict[str, list[Tensor]]:
        """Maps that the heads of branches of one view read, by their names, of one forward of the backbone."""
        self._see(self.looks[branches[0]])
        maps = self.backbone_maps(images)
        return {name: self._read(self.branches[name], maps, images.dtype) for name in branches}

    def describe(self) -> dict[str, Settings]:
        """What predictions depend on besides the weights, by part, of named branches "NAME.part"."""
        parts = {"backbone": self.backbone.describe()}
        if self.seen is not None:
            parts["backbone"] = {**parts["backbone"], "norm": self.norm, "views": list(self.views)}
        for name, branch in self.branches.items():
            lead = f"{name}." if name else ""
            parts |= {f"{lead}{part}": settings for part, settings in branch.describe().items()}
        return parts


def mirror(images: Tensor, shift: int) -> Tensor:
    """Images [B, 3, H, W] as a flip test shows them to a network, see `Head.flip_shift`; the last columns are kept."""
    mirrored = images.flip(-1)
    return torch.cat([mirrored[..., shift:], mirrored[..., -shift:]], dim=-1) if shift else mirrored


class BatchPreprocessor(nn.Module):
    """Move a batch to the model's device and normalise its images there: uint8 travels at a quarter of the bytes.

    Args:
        mean: of each RGB channel, 0..255.
        std: of each RGB channel.
        augment: of training batches, see `Model`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        augment: Augment | None = None,
    ):
        super().__init__()
        self.augment = augment
        # Not persistent: the published weights hold no such entries.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, batch: dict, training: bool = False) -> dict:
        """Take a batch as collated and give `images`, `targets` and `frames`, normalised and on the device.

        Images come as uint8, or as float32 where grey levels were not rounded after resizing. What is padded beyond the
        inputs of the frames becomes 0.

        Args:
            batch: with `images` [B, 3, H, W] and `frames`, and for training `targets` and `seed`, and `rows` where not
                all inputs have truth; or `batches`, such ones by view. `branches` is handed on.
            training: augment the batch, where the model has something for that.
        """
        if "batches" in batch:
            return {"batches": {view: self(one, training) for view, one in batch["batches"].items()}}
        device = self.mean.device
        images = batch["images"].to(device, non_blocking=True, memory_format=torch.channels_last)
        # In place on [B, H, W * 3] rows: 0.1 ms a crop on a CPU, against 1.4 ms channel by channel.
        width = images.shape[-1]
        rows = images.permute(0, 2, 3, 1).to(self.mean.dtype, copy=True).flatten(2)  # [B, H, W * 3]
        rows.sub_(self.mean.flatten().repeat(width)).div_(self.std.flatten().repeat(width))
        images = rows.unflatten(2, (width, 3)).permute(0, 3, 1, 2)
        targets = tree_map_only(Tensor, lambda t: t.to(device, non_blocking=True), batch.get("targets"))
        frames = batch["frames"]
        for index in (frames.input_hw < images.shape[-2:]).any(axis=1).nonzero()[0].tolist():
            height, width = frames.input_hw[index].tolist()
            images[index, :, height:] = 0
            images[index, :, :, width:] = 0
        if training and self.augment is not None:
            images, targets = self.augment(images, targets, batch["seed"])
        told = {name: batch[name] for name in ("rows", "branches") if name in batch}
        return {"images": images, "targets": targets, "frames": frames, **told}


def _batchnorms(module: nn.Module) -> list[nn.Module]:
    return [one for one in module.modules() if isinstance(one, _BatchNorm)]  # SyncBatchNorm too

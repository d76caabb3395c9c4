"""Weights from anywhere into a model, and a report of what became of them.

Our own files are known by what they say of themselves, foreign ones by the names of their tensors, with or without
`module.`: each task registers the formats of its kind.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.errors import CheckpointError, shorten
from hrtoolkit.model import UNNAMED, Model
from hrtoolkit.norms import spread_over_views
from hrtoolkit.openmmlab import find
from hrtoolkit.parts import Head
from hrtoolkit.published import NAME
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme, SchemeLike, resolve_scheme
from hrtoolkit.schemes.known import KNOWN
from hrtoolkit.weights import forget

log = logging.getLogger(__name__)

# What names of tensors may begin with: DataParallel, torch.compile, the official segmentation code, Lightning modules.
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
PARTS = ("backbone", "neck", "head", "branches")
BALANCE = "balance."  # what the names of its tensors begin with
# Keys under which files keep weights averaged over the training, and weights.
AVERAGED = ("state_dict_ema", "ema_state_dict", "model_ema", "params_ema", "ema", "shadow")
WEIGHTS = (
    *("state_dict", "model_state_dict", "model_state", "model_weights", "model", "params", "net", "network"),
    *("weights", "module", "best_state_dict"),
)
NO_WEIGHTS = re.compile("optim|sched|scaler|momentum|grad", re.IGNORECASE)  # keys beside them


@dataclass
class LoadReport:
    """What became of every tensor of a checkpoint and of the model.

    `str(report)` sums it up in a few lines; `report.details()` has every name.
    """

    source: str
    kind: str  # what the keys look like, such as "official pose"
    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the model, not in the file: keep their initial values
    unexpected: list[str] = field(default_factory=list)  # in the file, not in the model: left unused
    mis_shaped: dict[str, tuple[tuple, tuple]] = field(default_factory=dict)  # name -> shapes in file and model
    adopted: dict[str, list[str]] = field(default_factory=dict)  # name -> the outputs found by name, where not all are
    unusable: dict[str, str] = field(default_factory=dict)  # name -> why it was not loaded
    not_finite: dict[str, str] = field(default_factory=dict)  # name -> what is wrong in what was loaded
    cut: list[str] = field(default_factory=list)  # of the unexpected, those of layers that the model has in part only
    notes: list[str] = field(default_factory=list)  # what was converted on the way
    differences: list[str] = field(default_factory=list)  # settings that it was trained with and the model lacks

    @property
    def ok(self) -> bool:
        """Every tensor of the model was in the file, and the other way round, in the same shape."""
        return self.fits and not self.unexpected

    @property
    def fits(self) -> bool:
        """The model computes what the file was trained for; the file may hold more, such as another head."""
        incomplete = self.missing, self.mis_shaped, self.adopted, self.unusable, self.not_finite, self.cut
        return not any(incomplete)

    def part_fits(self, part: str, but: Collection[str] = ()) -> bool:
        """Whether one part of the model, such as "backbone", was all in the file, but for the names in `but`."""
        incomplete = {*self.missing, *self.mis_shaped, *self.adopted, *self.unusable, *self.not_finite} - set(but)
        return not any(name.startswith(f"{part}.") for name in incomplete)

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.kind})", *(f"  {note}" for note in self.notes)]
        parts = Counter(name.split(".")[0] for name in self.loaded)
        names = [*self.loaded, *self.missing, *self.mis_shaped, *self.adopted, *self.unusable]
        for part, total in Counter(name.split(".")[0] for name in names).items():
            if parts[part] == total:
                lines.append(f"  {part}: all {total} tensors loaded")
            else:
                lines.append(f"  {part}: {parts[part]} of {total} tensors loaded")
        lines += [f"  {name}: {what}" for name, what in self.not_finite.items()]
        lines += [f"  {name}: keeps its initial values, {why}" for name, why in self.unusable.items()]
        for name, (in_file, in_model) in self.mis_shaped.items():
            lines.append(f"  {name}: keeps its initial values, shape {in_file} in the file, {in_model} in the model")
        for name, channels in self.adopted.items():
            lines.append(f"  {name}: {len(channels)} channels taken over by name ({', '.join(channels)})")
        if self.missing:
            lines.append(f"  not in the file: {_summary(self.missing)}")
        if self.unexpected:
            lines.append(f"  not used: {_summary(self.unexpected)}")
        if self.cut:
            lines.append(f"  the network of the file is larger: it has {_summary(self.cut)} besides")
        differences = [f"  {line}" for line in self.differences]  # never among the lines that are left out
        return "\n".join([*_shorten(lines), *differences])

    def details(self) -> str:
        """Every name under its heading."""
        groups = {
            "loaded": self.loaded,
            "missing": self.missing,
            "unexpected": self.unexpected,
            "not finite": [f"{n}: {what}" for n, what in self.not_finite.items()],
            "unusable": [f"{n}: {why}" for n, why in self.unusable.items()],
            "of a larger network": self.cut,
            "other settings": self.differences,
            "mis-shaped": [f"{n}: {a} in the file, {b} in the model" for n, (a, b) in self.mis_shaped.items()],
            "adopted by name": [f"{n}: {', '.join(channels)}" for n, channels in self.adopted.items()],
        }
        return "\n".join(
            f"{title} ({len(names)}):\n  " + "\n  ".join(names) for title, names in groups.items() if names
        )


class Format(NamedTuple):
    """How foreign files are known by the names of their tensors, and given ours; a task registers those of its kind.

    Args:
        name: what reports call it.
        recognises: `recognises(names) -> bool`, of all tensors of a file, without wrappers such as `module.`.
        convert: `convert(tensors) -> tensors, notes`, of a whole file, to the names `backbone.*`, `neck.*`, `head.*`.
        settings: `settings(checkpoint, names) -> settings`, what the weights were trained with, as far as the file or
            its kind tells, by part and name as `Model.describe` has them: `{"neck": {"align_corners": False}}`; and
            `{"view": {"channels": "BGR"}}` of a network that wants that.
    """

    name: str
    recognises: Callable[[Collection[str]], bool]
    convert: Callable[[dict[str, Tensor]], tuple[dict[str, Tensor], list[str]]]
    settings: Callable[[Mapping, Collection[str]], Mapping[str, Any]] = lambda checkpoint, names: {}


FORMATS: list[Format] = []


def register_format(*formats: Format) -> None:
    """Make foreign formats known; of several that recognise a file the first counts."""
    known = {one.name for one in FORMATS}
    FORMATS.extend(one for one in formats if one.name not in known)


def load_checkpoint(
    model: nn.Module,
    source: str | Path | Mapping,
    branch: str | None = None,
    scheme: SchemeLike | None = None,
    label: str | None = None,
) -> LoadReport:
    """Load what fits from a checkpoint of any known format, and tell what became of the rest.

    Where the file's outputs have other names than the model's (keypoints of another layout), the channels whose names
    agree are taken over and the others keep their initial values.

    Args:
        model: a model of ours, or a backbone alone.
        source: a file (.pth, .pt, .safetensors), its URL, "timm/NAME" for weights that timm downloads, or a loaded
            checkpoint.
        branch: which of a model's named branches a file with one task is for; files of several branches fill them all.
        scheme: what the outputs of the file stand for, where it does not say: "coco", names, or a scheme.
        label: what the report calls the source; by default its path.

    Raises:
        CheckpointError: the file is missing, damaged, holds code, or holds no tensors.
    """
    checkpoint = source if isinstance(source, Mapping) else read_checkpoint(source)
    label = label or ("checkpoint" if isinstance(source, Mapping) else str(source))
    # What losses are compared with belongs to one training: `--resume` takes it, and nobody else does.
    target: dict[str, Tensor] = {n: one for n, one in model.state_dict().items() if not n.startswith(BALANCE)}
    values: dict[str, Tensor] = {}
    tensors, notes = _find_tensors(checkpoint, label)
    tensors = _unwrap(tensors, {*PARTS, *(name.split(".")[0] for name in target)}, notes)
    form = _recognise(checkpoint, tensors)
    settings = form.settings(checkpoint, tensors.keys())
    tensors, more = form.convert(tensors)
    report = LoadReport(label, form.name, notes=[*notes, *more])
    if isinstance(model, Model):
        tensors = _place(tensors, model.backbone)
        if find(settings, "view", "channels") == "BGR":
            tensors = _want_rgb(tensors, report)
        tensors = _to_branch(model, tensors, form.name, branch, report)
    else:
        tensors = {name.removeprefix("backbone."): tensor for name, tensor in tensors.items()}
    told = _output_names(checkpoint, scheme)
    tensors = {n: one for n, one in spread_over_views(model, tensors).items() if not n.startswith(BALANCE)}
    for name, tensor in tensors.items():
        if name not in target:
            report.unexpected.append(name)
        else:
            _take(model, name, tensor, target[name], told, values, report)
    # Files of torch 0.4 lack the batch counters, which only matter for cumulative averages.
    report.missing = [n for n in target if n not in tensors and not n.endswith("num_batches_tracked")]
    if isinstance(model, Model):
        report.cut = [name for name in report.unexpected if _is_cut(model, name)]
        if branch is not None:
            others = tuple(model.prefix(name) for name in model.branches if name != branch)
            report.missing = [name for name in report.missing if not name.startswith(others)]
        report.differences += _compare_settings(model, settings, branch, report)
    model.load_state_dict(values, strict=False)
    return report


def load_fitting(model: nn.Module, source: str | Path | Mapping, label: str | None = None) -> LoadReport:
    """Load a checkpoint whose every weight is asked for, and log the report.

    Args:
        model: see `load_checkpoint`.
        source: see `load_checkpoint`.
        label: see `load_checkpoint`.

    Raises:
        CheckpointError: it cannot be read, does not fit the model, or holds what is not finite.
    """
    report = load_checkpoint(model, source, label=label)
    if report.not_finite:
        raise CheckpointError(f"this checkpoint is of a training that went wrong, so take an earlier one:\n{report}")
    if not report.fits:
        if NAME.fullmatch(report.source):  # published for this model: what was fetched is something else
            forget(report.source)
        raise CheckpointError(
            f"this checkpoint does not fit the model, so what it predicts would mean nothing:\n{report}"
        )
    log.info("%s", report)
    return report


def _take(
    model: nn.Module,
    name: str,
    tensor: Tensor,
    ours: Tensor,
    told: _Names,
    values: dict[str, Tensor],
    report: LoadReport,
) -> None:
    """Put a tensor of the file, or the rows of it that the model has, among the values to load, and report it."""
    why = _why_unusable(tensor, ours)
    rows = None if why else _shared_outputs(model, name, told, tensor, ours, report)
    if why:
        report.unusable[name] = why
        return
    if rows is not None:
        theirs, own = rows
        values[name] = ours.clone()
        values[name][own] = tensor[theirs].to(ours)
    elif tensor.shape != ours.shape:
        report.mis_shaped[name] = (tuple(tensor.shape), tuple(ours.shape))
        return
    else:
        values[name] = tensor.detach().to(ours.dtype)
    if name not in report.adopted:
        report.loaded.append(name)
    if wrong := describe_not_finite(name, values[name]):
        report.not_finite[name] = wrong


def _why_unusable(tensor: Tensor, ours: Tensor) -> str | None:
    if tensor.is_meta and not ours.is_meta:
        return "the file has its shape without values"
    if tensor.is_quantized or (ours.is_floating_point() and not tensor.is_floating_point()):
        return f"{str(tensor.dtype).removeprefix('torch.')} in the file, perhaps quantised: save the weights as floats"
    return None if tensor.layout == torch.strided else "sparse in the file"


def describe_not_finite(name: str, tensor: Tensor) -> str | None:
    """What no sound network has in a tensor of this name: numbers that are not finite, variances below 0."""
    if not tensor.is_floating_point() or tensor.is_meta:
        return None
    bad = tensor.numel() - int(tensor.isfinite().sum())
    if bad:
        return f"{bad} of {tensor.numel()} values are NaN or infinite"
    below = int((tensor < 0).sum()) if name.endswith("running_var") else 0
    return f"{below} of {tensor.numel()} variances are below 0" if below else None


def _is_cut(model: Model, name: str) -> bool:
    """Whether a tensor that was not used belongs to a layer or backbone that the model has, and would change it."""
    if name.endswith("num_batches_tracked"):
        return False
    if name.startswith("backbone."):
        return not name.removeprefix("backbone.").startswith(tuple(model.backbone.optional_parts))
    layer = dict(model.named_modules()).get(name.rpartition(".")[0])
    return layer is not None and not any(layer.children()) and any(layer.parameters())


def _to_branch(
    model: Model, tensors: dict[str, Tensor], kind: str, branch: str | None, report: LoadReport
) -> dict[str, Tensor]:
    """Put the tensors of a file with one task under the branch that they are for, as its head wants them."""
    if any(name.startswith("branches.") for name in tensors):
        return tensors
    if branch is None and len(model.branches) > 1:
        branches = ", ".join(model.branches)
        report.notes.append(f"only the backbone is taken over: say by `branch` which of {branches} the rest is for")
        return tensors
    name = next(iter(model.branches)) if branch is None else branch
    prefix = model.prefix(name)
    own = {key.removeprefix("head."): tensor for key, tensor in tensors.items() if key.startswith("head.")}
    own, notes = model.branch(name).head.adapt(own, kind)
    report.notes += notes
    placed = {}
    for key, tensor in tensors.items():
        if not key.startswith("head."):
            placed[f"{prefix}{key}" if key.startswith("neck.") else key] = tensor
    return placed | {f"{prefix}head.{key}": tensor for key, tensor in own.items()}


def _find_tensors(checkpoint: Mapping, label: str) -> tuple[dict[str, Tensor], list[str]]:
    """The weights of a file by name, wherever in it they lie, and notes."""
    found, notes = checkpoint, []
    for _ in range(5):  # a malicious file may hold itself
        inside = [key for key, value in found.items() if isinstance(value, Mapping) and _holds_tensors(value)]
        # Files of OpenMMLab, and ours, keep averaged weights as their state_dict, and the other ones aside.
        averaged = [] if isinstance(checkpoint.get("meta"), Mapping) else [k for k in AVERAGED if k in inside]
        known = [*averaged, *(key for key in WEIGHTS if key in inside)]
        if not known and not any(isinstance(value, Tensor) for value in found.values()):
            known = [key for key in inside if not NO_WEIGHTS.search(str(key))]
            if len(known) > 1:
                keys = shorten(sorted(map(str, known)))
                raise CheckpointError(f"{label}: several networks ({keys}); save the one that you mean by itself")
        if not known:
            break
        if averaged and len(known) > len(averaged):
            notes.append(f"took the weights averaged over the training, {known[0]}, and not {known[-1]}")
        found = found[known[0]]
    tensors = {name: value for name, value in found.items() if isinstance(value, Tensor) and isinstance(name, str)}
    if not tensors:
        raise CheckpointError(f"{label}: no tensors found; its keys are {shorten([str(key) for key in found])}")
    return tensors, notes


def _holds_tensors(content: Mapping, depth: int = 3) -> bool:
    return any(
        isinstance(value, Tensor) or (depth and isinstance(value, Mapping) and _holds_tensors(value, depth - 1))
        for value in content.values()
    )


def _unwrap(tensors: dict[str, Tensor], parts: Collection[str], notes: list[str]) -> dict[str, Tensor]:
    """Take off the names what all sorts of code put around a network, but for the parts of the model itself."""
    shared, first = list(tensors), set()
    while all("." in name for name in shared):
        first = {name.split(".")[0] for name in shared}
        if len(first) > 1 or first & set(parts):
            tensors = dict(zip(shared, tensors.values(), strict=True))
            break
        shared = [name.split(".", 1)[1] for name in shared]
    unwrapped = {}
    for name, tensor in tensors.items():
        while name.startswith(WRAPPERS) and name.split(".")[0] not in parts:
            name = name.split(".", 1)[1]
        if name in unwrapped:
            notes += [] if notes else [f"two networks in one: took the first tensor of each name, such as {name}"]
        elif not name.startswith("data_preprocessor."):
            unwrapped[name] = tensor
    return unwrapped


def _recognise(checkpoint: Mapping, tensors: Mapping[str, Tensor]) -> Format:
    """The format of a file; of one that nobody registered, one that leaves it as it is."""
    meta = checkpoint.get("meta")
    if isinstance(meta, Mapping) and "hrtoolkit_version" in meta:
        return Format("hrtoolkit", lambda _: True, lambda tensors: (tensors, []), lambda *_: meta)
    for one in FORMATS:
        if one.recognises(tensors.keys()):
            return one
    name = "OpenMMLab" if any(name.startswith("backbone.") for name in tensors) else "bare weights"
    return Format(name, lambda _: True, lambda tensors: (tensors, []))


def _want_rgb(tensors: dict[str, Tensor], report: LoadReport) -> dict[str, Tensor]:
    """Turn round what the first convolution reads of BGR images: images are RGB here."""
    first = "backbone.conv1.weight"
    if first not in tensors or tensors[first].ndim != 4 or tensors[first].shape[1] != 3:
        report.differences.append("trained on BGR images, and the network gets RGB")
        return tensors
    report.notes.append("trained on BGR images: what its first convolution reads was turned round for RGB")
    return {**tensors, first: tensors[first].flip(1)}


def _compare_settings(
    model: Model, settings: Mapping[str, Mapping], branch: str | None, report: LoadReport
) -> list[str]:
    """A line for each setting that the weights were trained with and the model has not."""
    has_head = any("head." in name for name in [*report.loaded, *report.adopted])
    lines = []
    for part, own in model.describe().items():
        # A file of one task says of "head" what a model of several calls "NAME.head".
        theirs = settings.get(part) or settings.get(part.removeprefix(f"{branch}."))
        for name, value in own.items():
            # Files of earlier versions lack what they did not know. One that only starts a backbone shares the pixels.
            if not isinstance(theirs, Mapping) or name not in theirs or not (has_head or name in ("mean", "std")):
                continue
            if pair := _differing(value, theirs[name]):
                said = f"another {name} than the checkpoint was trained for: {pair[0]}, not {pair[1]}"
                lines.append(f"{said} (model.{part}.{name})")
    return lines


def _differing(ours: Any, theirs: Any) -> tuple[str, str] | None:
    """Both as texts where they differ, of dictionaries only what differs; numbers up to rounding."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        names = [name for name in ours if name in theirs and _differing(ours[name], theirs[name])]
        ours, theirs = ({name: one[name] for name in names} for one in (ours, theirs))
        return (_brief(ours), _brief(theirs)) if names else None
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        pairs = zip(ours, theirs, strict=True) if len(ours) == len(theirs) else [(ours, None)]
        same = all(_differing(a, b) is None for a, b in pairs)
    elif isinstance(ours, int | float) and isinstance(theirs, int | float):
        same = abs(ours - theirs) <= 1e-3 * max(abs(ours), abs(theirs))
    else:
        same = ours == theirs
    return None if same else (_brief(ours), _brief(theirs))


def _brief(value: Any, most: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


def _place(tensors: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Give bare names, as backbones by themselves have them, to the backbone or else to the head."""
    if any(name.startswith(("backbone.", "branches.")) for name in tensors):
        return tensors
    parts = {name.split(".")[0] for name in backbone.state_dict()}

    def place(name: str) -> str:
        if name.startswith("head."):
            return name
        return f"{'backbone' if name.split('.')[0] in parts else 'head'}.{name}"

    return {place(name): tensor for name, tensor in tensors.items()}


class _Names(NamedTuple):
    """What a file or its user says of its outputs."""

    by_branch: Mapping[str, tuple[str, ...]] | None  # as the file tells
    scheme: SchemeLike | None  # as the user tells
    foreign: bool  # of another code base, which may spell classes in another way


def _shared_outputs(
    model: nn.Module, name: str, told: _Names, theirs: Tensor, ours: Tensor, report: LoadReport
) -> tuple[list[int], list[int]] | None:
    """Rows of equal name, in the file and in the model; None where a plain copy is right or nothing fits."""
    branch, head = _head_of(model, name)
    if head is None:
        return None
    layer = f".{name.rpartition('.')[0]}"
    more = next((rows for one, rows in head.more_outputs.items() if layer.endswith(f".{one}")), ())
    names = (*_row_names(head), *more)
    each = _rows_each(head, name, ours, len(names))
    if not each or not theirs.ndim or theirs.shape[1:] != ours.shape[1:]:
        return None
    known = told.by_branch.get(branch, told.by_branch.get(UNNAMED)) if told.by_branch else None
    if known is None and told.scheme is not None:
        known = _row_names(head, resolve_scheme(told.scheme, type(head.scheme)))
    elif known is not None and told.foreign:
        known = (*head.extra_outputs, *known)
    if known:
        known = (*known, *more)
    if known is None and len(theirs) != len(ours):
        _note(report, "it does not say what its outputs stand for: give `scheme` to take over those of equal name")
    # A file that does not tell its names is trusted where the counts agree: there is nothing to match by.
    if not known or len(theirs) != each * len(known) or known == names:
        return None
    keys, own_keys = _keys(known), _keys(names)
    # By the names that all data sets have, too: CrowdPose's head is the head_top of others.
    common, own_common = (_keys(_in_common(head, some)) for some in (known, names))
    pairs = [
        (keys.index(key) if key in keys else common.index(other), i)
        for i, (key, other) in enumerate(zip(own_keys, own_common, strict=True))
        if key in keys or other in common
    ]
    if told.foreign and len(keys) == len(own_keys) and all(a == b for a, b in pairs):
        others = [f"{a} ({b} there)" for a, b in zip(names, known, strict=True) if a != b]
        _note(report, f"its outputs are taken in their order, though named otherwise: {shorten(others, 3)}")
        return None
    if len(pairs) < len(names):
        report.adopted[name] = [names[i] for _, i in pairs]
    else:
        _note(report, f"its {len(known)} outputs have another order or number: all {len(names)} were found by name")
    return _rows([there for there, _ in pairs], each), _rows([here for _, here in pairs], each)


def _rows(outputs: list[int], each: int) -> list[int]:
    return [output * each + i for output in outputs for i in range(each)]


def _note(report: LoadReport, note: str) -> None:
    report.notes += [note] if note not in report.notes else []


def _keys(names: tuple[str, ...]) -> list[str]:
    """Names as they are compared: "Traffic light" is "traffic_light", unless two would become one."""
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in names]
    return plain if len(set(plain)) == len(names) else list(names)


def _rows_each(head: Head, name: str, tensor: Tensor, names: int) -> int:
    """How many rows of a tensor belong to each output; 0 where none do."""
    layer = name.rpartition(".")[0]
    layers = {layer: 1} if head.output_layers is None else head.output_layers
    each = next((each for one, each in layers.items() if f".{layer}".endswith(f".{one}")), 0)
    return each if names and tensor.shape[:1] == (each * names,) else 0


def _head_of(model: nn.Module, name: str) -> tuple[str, Head | None]:
    """The branch and head that a tensor of this name belongs to."""
    if isinstance(model, Model):
        for branch in model.branches:
            if name.startswith(f"{model.prefix(branch)}head."):
                return branch, model.branches[branch].head
    return UNNAMED, None


def _row_names(head: Head, scheme: Scheme | None = None) -> tuple[str, ...]:
    """Names of the rows of a head's last layers, or of such a head with another scheme; none if nobody knows."""
    scheme = scheme or head.scheme
    if isinstance(scheme, ClassScheme) and scheme.numbered:
        return ()
    return (*head.extra_outputs, *scheme.names)


def _in_common(head: Head, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of rows as all data sets have them, where they begin with those of the head or of a known scheme."""
    first = len(head.extra_outputs)
    schemes = (head.scheme, *KNOWN[KeypointScheme].values())
    known = next((one for one in schemes if one.names == names[first : first + len(one.names)]), None)
    return names if known is None else (*names[:first], *known.common().names, *names[first + len(known.names) :])


def output_names(model: Model) -> list[str] | dict[str, list[str]]:
    """What the outputs stand for, as checkpoints keep it; by branch where branches have names."""
    names = {name: list(_row_names(branch.head)) for name, branch in model.branches.items()}
    return names[UNNAMED] if list(names) == [UNNAMED] else names


def _output_names(checkpoint: Mapping, scheme: SchemeLike | None) -> _Names:
    """What the outputs stand for where the file tells: ours do, and OpenMMLab's."""
    meta = checkpoint.get("meta")
    if not isinstance(meta, Mapping):
        return _Names(None, scheme, False)
    ours = meta.get("output_names")
    if isinstance(ours, Mapping):
        return _Names({name: tuple(map(str, names)) for name, names in ours.items()}, scheme, False)
    if isinstance(ours, list | tuple):
        return _Names({UNNAMED: tuple(map(str, ours))} if ours else None, scheme, False)
    data = meta.get("dataset_meta")
    data = data if isinstance(data, Mapping) else {}
    by_id = data.get("keypoint_id2name")
    if isinstance(by_id, Mapping) and by_id:
        return _Names({UNNAMED: tuple(str(by_id[i]) for i in sorted(by_id))}, scheme, False)
    classes = data.get("classes") or data.get("CLASSES") or meta.get("CLASSES")
    # In early releases of mmsegmentation the names of PASCAL-Context have another order than the weights.
    misnamed = isinstance(classes, list | tuple) and len(classes) in (59, 60) and classes[-58] == "bicycle"
    if not isinstance(classes, list | tuple) or not classes or misnamed:
        return _Names(None, scheme, True)
    return _Names({UNNAMED: tuple(map(str, classes))}, scheme, True)


def _summary(names: list[str]) -> str:
    """Names grouped by their first two components, with counts."""
    groups = Counter(".".join(name.split(".")[:2]) for name in names)
    return ", ".join(f"{group} ({count})" if count > 1 else group for group, count in groups.items())


def _shorten(lines: list[str], most: int = 16) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"  ... and {len(lines) - most} more lines; see details()"]

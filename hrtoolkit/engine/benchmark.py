"""Time every stage of a config beside a baseline, interleaved in one run: what `tools/benchmark.py` calls."""

from __future__ import annotations

import copy
import math
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import timm
import torch
from mmengine import Config
from mmengine.device import get_device
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import Dataset

from hrtoolkit.backbones.hrnet import VARIANTS
from hrtoolkit.backbones.timm import TimmBackbone
from hrtoolkit.data.loading import collate
from hrtoolkit.data.reading import read_image
from hrtoolkit.engine.optim import DeviceOptimWrapper, prefer_fused
from hrtoolkit.engine.run import build_dataset, build_evaluator, build_model_for
from hrtoolkit.inference import compile_blocks, fold
from hrtoolkit.model import Model

STAGES = ("read", "crop", "forward", "network", "train", "decode", "evaluate")
Form = Callable[[], object]


class Workload(Protocol):
    """What a task brings to its benchmark: data to work on, and plain loops to be compared with."""

    def write_data(self, options: dict, folder: Path) -> dict:
        """Make up images and annotations in a folder; from a dataset's options those of one that reads them."""

    def read(self, path: Path) -> np.ndarray:
        """Read an image as RGB uint8 [H, W, 3]."""

    def crop(self, dataset: Dataset, index: int, mean: list[float], std: list[float]) -> Tensor:
        """Network input [3, H, W] of one sample."""

    def original(self, config: Config) -> Config:
        """The same network, tensor names included, with the published code's order of operations."""

    def decode(self, outputs: Tensor, meta: list[dict]) -> list[dict]:
        """What the head's `predict` makes of its raw outputs."""

    def make_results(self, ann_file: Path, count: int) -> tuple[dict, list[dict]]:
        """Make up predictions and annotations; the metric's `dataset_meta`, and what it processes."""

    def evaluate(self, meta: dict, results: list[dict]) -> dict[str, float]:
        """Score them."""


@dataclass(frozen=True)
class Timing:
    """How long one form of a stage takes.

    Args:
        stage: one of `STAGES`.
        form: what was run; the first form of a stage is the baseline of the others.
        items: images or people that one call treats.
        seconds: of one call, median of the rounds.
        ratio: seconds of the baseline over seconds of this form, median of the rounds.
        first_seconds: of the first call, in which compiled forms are compiled.
        memory_mib: of training steps, see `training_memory`.
    """

    stage: str
    form: str
    items: int
    seconds: float
    ratio: float
    first_seconds: float
    memory_mib: float | None = None


def benchmark(
    config: Config,
    workload: Workload,
    stages: Sequence[str] = STAGES,
    batches: Sequence[int] = (1, 8),
    rounds: int = 5,
    decoded: int = 256,
    evaluated: int = 100_000,
) -> dict:
    """Time stages of a config and print a table.

    Args:
        config: its validation data are read where they exist; else data are made up.
        workload: of the config's task.
        stages: some of `STAGES`.
        batches: batch sizes of the forward and network stages; the largest is also that of the training step.
        rounds: how often each form is timed; forms take turns.
        decoded: people in the decode stage.
        evaluated: predictions in the evaluate stage, which runs once.

    Returns:
        `machine`, a description, `data`, what was read, and `results`, one dict a timing.
    """
    machine = describe_machine()
    console = Console(stderr=True, soft_wrap=True)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    device = torch.device(get_device())
    # One core's work, as in a loader's process.
    cv2.setNumThreads(0)
    timings: list[Timing] = []
    with tempfile.TemporaryDirectory() as scratch:
        dataset, data = open_dataset(config, workload, Path(scratch))
        console.print(f"data: {data}")
        model = build_model_for(config, dataset).to(device).eval()

        def add(stage: str, forms: dict[str, Form], items: int, rounds: int = rounds) -> None:
            timings.extend(time_stage(stage, forms, items, rounds, device))

        if "read" in stages and len(dataset.image_files().paths):  # images may lie in the annotation file
            add("read", *read_forms(dataset, workload))
        if "crop" in stages:
            add("crop", *crop_forms(dataset, model, workload))
        for batch in batches if "forward" in stages else ():
            add("forward", *forward_forms(config, dataset, batch, device))
        for batch in batches if "network" in stages else ():
            add("network", *network_forms(config, dataset, workload, batch, device))
        if "train" in stages:
            add("train", *train_forms(config, dataset, max(batches), device))
        if "decode" in stages:
            add("decode", *decode_forms(dataset, model, workload, decoded, device))
        if "evaluate" in stages:
            add("evaluate", *evaluate_forms(config, workload, Path(scratch), evaluated), rounds=1)
    # Where the output goes into a file rich takes it for 80 columns wide and would cut names off.
    Console(width=max(Console().width, 100)).print(make_table(timings))
    return {"machine": machine, "data": data, "results": [asdict(timing) for timing in timings]}


def open_dataset(config: Config, workload: Workload, folder: Path) -> tuple[Dataset, str]:
    """Open a config's validation data, or make up data where there are none.

    Args:
        config: of the run.
        workload: makes up data.
        folder: for them.

    Returns:
        the dataset, and a description of it.
    """
    options = config.val_dataloader.dataset
    described = options.data_root
    if not Path(options.data_root).is_dir():
        described = f"made up ({options.data_root} does not exist)"
        options = workload.write_data(options, folder)
    dataset = build_dataset(options)
    return dataset, f"{described}: {len(dataset)} samples in {len(dataset.image_paths)} images"


# Stages: a dict of forms each, the baseline first


def read_forms(dataset: Dataset, workload: Workload) -> tuple[dict[str, Form], int]:
    """Decode image files."""
    files = [Path(path.decode()) for path in dataset.image_files().paths[:20]]
    forms = {
        "plain": lambda: [workload.read(path) for path in files],
        "hrtoolkit": lambda: [read_image(path) for path in files],
    }
    return forms, len(files)


def crop_forms(dataset: Dataset, model: Model, workload: Workload) -> tuple[dict[str, Form], int]:
    """From files to normalised network input on the CPU, for neighbouring samples as at test time."""
    batches = [range(first, first + 32) for first in range(0, min(len(dataset), 96) - 31, 32)]
    preprocess = copy.deepcopy(model.data_preprocessor).cpu()
    mean, std = preprocess.mean.flatten().tolist(), preprocess.std.flatten().tolist()
    forms = {
        "plain": lambda: [torch.stack([workload.crop(dataset, i, mean, std) for i in batch]) for batch in batches],
        "hrtoolkit": lambda: [preprocess(collate([dataset[i] for i in batch])) for batch in batches],
    }
    return forms, 32 * len(batches)


def forward_forms(config: Config, dataset: Dataset, batch: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """The backbone alone, from normalised images to all of its maps."""
    model, timms_net = build_pair(config, dataset, device)
    model.eval()
    images = _normalised(model, dataset, batch, device)["images"]
    images_nchw = images.contiguous()

    def run(net: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32) -> Form:
        return _inferring(net, images.to(dtype))

    def compiled(model: Model) -> nn.Module:
        net = copy.deepcopy(model.backbone)
        compile_blocks(net)
        return net

    forms = {}
    if timms_net is not None:
        forms["timm, float32"] = run(timms_net.eval(), images_nchw)
    forms["float32"] = run(model.backbone, images_nchw)
    forms["float32, channels_last"] = run(copy.deepcopy(model.backbone).to(memory_format=torch.channels_last), images)
    for precision in ("float32", *half_precisions(device)):
        dtype = getattr(torch, precision)
        folded = fold(model, dtype)
        forms[f"{precision}, folded"] = run(folded.backbone, images, dtype)
        forms[f"{precision}, folded, compiled"] = run(compiled(folded), images, dtype)
    return forms, batch


def network_forms(
    config: Config, dataset: Dataset, workload: Workload, batch: int, device: torch.device
) -> tuple[dict[str, Form], int]:
    """Backbone, neck and head, from normalised images to the head's raw outputs."""
    model = build_model_for(config, dataset).to(device).eval()
    original = build_model_for(workload.original(copy.deepcopy(config)), dataset).to(device).eval()
    original.load_state_dict(model.state_dict())
    images = _normalised(model, dataset, batch, device)["images"]
    forms = {
        "original": _inferring(copy.deepcopy(original), images.contiguous()),
        "original, channels_last": _inferring(original.to(memory_format=torch.channels_last), images),
        "float32, channels_last": _inferring(copy.deepcopy(model).to(memory_format=torch.channels_last), images),
    }
    for precision in ("float32", *half_precisions(device)):
        folded = fold(model, getattr(torch, precision))
        forms[f"{precision}, folded"] = _inferring(folded, images)
        compiled = copy.deepcopy(folded)
        compile_blocks(compiled.backbone)
        forms[f"{precision}, folded, compiled"] = _inferring(compiled, images)
    return forms, batch


def train_forms(config: Config, dataset: Dataset, batch: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """A training step: forward, loss, backward, and the config's optimiser."""
    model, timms_net = build_pair(config, dataset, device)
    inputs = _normalised(model, dataset, batch, device)
    plain = dict(config.optim_wrapper.optimizer)
    fused = prefer_fused(plain)

    def run(model: Model, images: Tensor, options: dict, precision: str = "float32") -> Form:
        model.train()
        options = dict(options)
        optimizer = getattr(torch.optim, options.pop("type"))(model.parameters(), **options)
        wrapper = DeviceOptimWrapper(optimizer, precision=precision)

        def step():
            with wrapper.optim_context(model):
                losses = model(images, inputs["targets"], mode="loss")
            wrapper.update_params(model.parse_losses(losses)[0])

        return step

    forms = {}
    if timms_net is not None:
        theirs = Model(timms_net, copy.deepcopy(model.neck), copy.deepcopy(model.head))
        forms["timm, float32"] = run(theirs, inputs["images"].contiguous(), plain)
    for precision in ("float32", *half_precisions(device)):
        ours = copy.deepcopy(model).to(memory_format=torch.channels_last)
        forms[precision] = run(ours, inputs["images"], fused, precision)
        compiled = copy.deepcopy(ours)
        compile_blocks(compiled.backbone)
        forms[f"{precision}, compiled"] = run(compiled, inputs["images"], fused, precision)
    return forms, batch


def decode_forms(
    dataset: Dataset, model: Model, workload: Workload, count: int, device: torch.device
) -> tuple[dict[str, Form], int]:
    """From the head's raw outputs to predictions in image pixels."""
    inputs = _normalised(model, dataset, 1, device)
    with torch.inference_mode():
        outputs = model(inputs["images"])
    outputs = torch.rand((count, *outputs.shape[1:]), generator=torch.Generator().manual_seed(0)).to(device)
    head, meta = copy.deepcopy(model.head), inputs["meta"] * count
    head.forward = lambda maps: outputs  # `predict` calls it: what is timed is all the rest

    @torch.inference_mode()
    def predict():
        return head.predict([outputs], meta)

    return {"plain": lambda: workload.decode(outputs, meta), "hrtoolkit": predict}, count


def evaluate_forms(config: Config, workload: Workload, folder: Path, count: int) -> tuple[dict[str, Form], int]:
    """All that follows the last forward pass: the config's metric, annotations read anew."""
    meta, results = workload.make_results(folder / "results.json", count)

    def evaluate():
        evaluator = build_evaluator(config.val_evaluator)
        evaluator.dataset_meta = meta
        evaluator.process(results)
        return evaluator.evaluate(len(results))

    return {"plain": lambda: workload.evaluate(meta, results), "hrtoolkit": evaluate}, count


# Parts of them


def build_pair(config: Config, dataset: Dataset, device: torch.device) -> tuple[Model, nn.Module | None]:
    """Build a config's model and, for an HRNet of a published size, timm's with the same weights.

    timm's gives four maps, so here ours does too: both do the same work.
    """
    config = copy.deepcopy(config)
    if config.model.backbone.type != "HRNet":
        return build_model_for(config, dataset).to(device), None
    config.model.backbone.num_outputs = 4
    model = build_model_for(config, dataset)
    name = next((name for name, spec in VARIANTS.items() if spec == model.backbone.spec), None)
    if name is None:
        return model.to(device), None
    name = f"hrnet_{name.removesuffix('_v1')}"
    theirs = TimmBackbone(name, feature_location="", out_indices=(1, 2, 3, 4))
    theirs.net.load_state_dict(model.backbone.state_dict())
    return model.to(device), theirs.to(device)


def half_precisions(device: torch.device) -> tuple[str, ...]:
    """Half precisions that a device has instructions for: imitated ones would take minutes and tell nothing."""
    if device.type == "cuda":
        return ("bfloat16", "float16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("float16",)
    return () if torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2") else ("bfloat16",)


def describe_machine() -> dict[str, str]:
    """What the numbers of a benchmark depend on besides the code."""
    cuda = torch.cuda.is_available()
    return {
        "GPU": torch.cuda.get_device_name() if cuda else "none",
        "CPU": _cpu_name(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "Python": platform.python_version(),
    }


def measure(
    forms: dict[str, Form], rounds: int, device: torch.device, title: str
) -> dict[str, tuple[float, list[float]]]:
    """Time forms in turns, A B C A B C ..., so that whatever else the machine does falls on all of them alike.

    Args:
        forms: what to call.
        rounds: calls of each that count, after a first one that does not; short ones are repeated to fill 0.1 s.
        device: to wait for.
        title: of the progress bar.

    Returns:
        for each form the seconds of the first call, and of a call in each round.
    """

    def seconds(call: Form, repeats: int = 1) -> float:
        _wait_for(device)
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        _wait_for(device)
        return (time.perf_counter() - start) / repeats

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=len(forms) * (rounds + 1))
        first, repeats = {}, {}
        for name, call in forms.items():
            bar.update(task, description=f"{title}: {name}, first call")
            first[name] = seconds(call)
            repeats[name] = math.ceil(0.1 / seconds(call)) if first[name] < 0.1 else 1
            bar.advance(task)
        times = {name: [] for name in forms}
        for _ in range(rounds):
            for name, call in forms.items():
                bar.update(task, description=f"{title}: {name}")
                times[name].append(seconds(call, repeats[name]))
                bar.advance(task)
    return {name: (first[name], times[name]) for name in forms}


def training_memory(step: Form, device: torch.device) -> float:
    """MiB that a training step takes on top of what was there: its peak on CUDA, else what its backward pass needs.

    The resident set of a CPU process would tell less: what was freed before is taken again without growing it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    return sum(kept.values()) / 2**20


def time_stage(stage: str, forms: dict[str, Form], items: int, rounds: int, device: torch.device) -> list[Timing]:
    """Time the forms of a stage in turns, and the memory of training steps.

    Args:
        stage: one of `STAGES`.
        forms: what to call; the first is the baseline.
        items: images or people that one call treats.
        rounds: how often each form is timed.
        device: to wait for.
    """
    measured = measure(forms, rounds, device, f"{stage} {items}")
    baseline = next(iter(measured.values()))[1]
    return [
        Timing(
            stage,
            name,
            items,
            seconds=statistics.median(times),
            ratio=statistics.median(b / t for b, t in zip(baseline, times, strict=True)),
            first_seconds=first,
            memory_mib=training_memory(forms[name], device) if stage == "train" else None,
        )
        for name, (first, times) in measured.items()
    ]


def make_table(timings: Sequence[Timing]) -> Table:
    """Lay timings out for the screen."""
    table = Table("stage", "form", "items", "ms", "items/s", "ratio", "first s", "MiB", box=SIMPLE, padding=(0, 1))
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[2:]:
        column.justify = "right"
    previous = None
    for t in timings:
        if previous not in (None, (t.stage, t.items)):
            table.add_section()
        memory = "" if t.memory_mib is None else f"{t.memory_mib:.0f}"
        numbers = (f"{1e3 * t.seconds:.1f}", f"{t.items / t.seconds:.1f}", f"{t.ratio:.2f}", f"{t.first_seconds:.1f}")
        table.add_row(t.stage, t.form, str(t.items), *numbers, memory)
        previous = (t.stage, t.items)
    return table


def _inferring(net: nn.Module, images: Tensor) -> Form:
    @torch.inference_mode()
    def call():
        return net(images)

    return call


def _normalised(model: Model, dataset: Dataset, batch: int, device: torch.device) -> dict:
    """A batch on the device; small datasets are repeated."""
    samples = [dataset[index % len(dataset)] for index in range(batch)]
    preprocess = model.data_preprocessor.to(device)
    return preprocess(collate(samples))


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return f"{found[1] if found else platform.processor() or platform.machine()}, {os.cpu_count()} cores"

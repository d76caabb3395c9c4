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
from types import ModuleType

import cv2
import timm
import torch
from mmengine import Config
from mmengine.device import get_device
from mmengine.registry import OPTIMIZERS
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor, nn

from benchmarks.made_up import make_up
from benchmarks.reference import face, pose
from benchmarks.reference.images import look, read
from hrtoolkit.backbones.hrnet import VARIANTS
from hrtoolkit.backbones.timm import TimmBackbone
from hrtoolkit.build import build_model
from hrtoolkit.commands.benchmark import STAGES
from hrtoolkit.data.loading import Collate
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.engine.assembly import Run, stated_scheme
from hrtoolkit.engine.check_config import Plan, check_config
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.engine.optim import DeviceOptimWrapper, Precision, prefer_fused
from hrtoolkit.errors import UserError
from hrtoolkit.frames import Frame
from hrtoolkit.keypoints.head import HeatmapHead
from hrtoolkit.model import UNNAMED, Model
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import KeypointScheme, resolve_scheme
from hrtoolkit.speed import compile_blocks, fold
from hrtoolkit.tasks.face.head import FaceHead
from hrtoolkit.tasks.face.metric import NME
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric
from hrtoolkit.tasks.segmentation.head import SegmentationHead

DECODERS: dict[type, ModuleType] = {HeatmapHead: pose, FaceHead: face}  # plain loops in place of a head's `predict`
EVALUATORS: dict[type, ModuleType] = {CocoKeypointMetric: pose, NME: face}  # and in place of a metric
JOINING = (FaceHead, SegmentationHead)  # without a neck they do what the published code does with joined maps
Form = Callable[[], object]


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
    stages: Sequence[str] | None = None,
    batches: Sequence[int] = (1, 8),
    rounds: int = 5,
    decoded: int = 256,
    evaluated: int = 100_000,
) -> dict:
    """Time stages of a config and print a table.

    Args:
        config: its validation data are read where they exist; else data are made up.
        stages: some of `STAGES`; None for those that have a baseline.
        batches: batch sizes of the forward and network stages; the largest is also that of the training step.
        rounds: how often each form is timed; forms take turns.
        decoded: people in the decode stage.
        evaluated: predictions in the evaluate stage, which runs once.

    Returns:
        `machine`, a description, `data`, what was read, and `results`, one dict a timing.

    Raises:
        UserError: a stage has no baseline, or there are no data.
    """
    stages = choose_stages(check_config(config, files=False), stages)
    machine = describe_machine()
    console = Console(stderr=True, soft_wrap=True)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()))
    device = torch.device(get_device())
    # One core's work, as in a loader's process.
    cv2.setNumThreads(0)
    timings: list[Timing] = []
    with tempfile.TemporaryDirectory() as scratch:
        run, data = open_run(config, Path(scratch) / "data")
        console.print(f"data: {data}")
        model = run.model.to(device).eval()

        def add(stage: str, forms: dict[str, Form], items: int, rounds: int = rounds) -> None:
            timings.extend(time_stage(stage, forms, items, rounds, device))

        if "read" in stages and run.samples["val"].images.paths[0]:  # images may lie in the annotation file
            add("read", *read_forms(run))
        if "crop" in stages:
            add("crop", *crop_forms(run))
        for batch in batches if "forward" in stages else ():
            add("forward", *forward_forms(run, batch, device))
        for batch in batches if "network" in stages else ():
            add("network", *network_forms(run, batch, device))
        if "train" in stages:
            add("train", *train_forms(run, max(batches), device))
        if "decode" in stages:
            add("decode", *decode_forms(run, model, decoded, device))
        if "evaluate" in stages:
            add("evaluate", *evaluate_forms(run, Path(scratch), evaluated), rounds=1)
    # Where the output goes into a file rich takes it for 80 columns wide and would cut names off.
    Console(width=max(Console().width, 100)).print(make_table(timings))
    return {"machine": machine, "data": data, "results": [asdict(timing) for timing in timings]}


def choose_stages(plan: Plan, stages: Sequence[str] | None) -> Sequence[str]:
    """The stages to time: those asked for, or all that there is a baseline for.

    Args:
        plan: of the config.
        stages: some of `STAGES`, or None.

    Raises:
        UserError: there is no validation data, or a stage has no baseline.
    """
    if "val" not in plan.data:
        raise UserError("the benchmark works on validation data of one task, and this config has none")
    metrics = plan.metrics["val_evaluator"][UNNAMED]
    judged = {"decode": (plan.model.head(), DECODERS), "evaluate": (metrics[0], EVALUATORS)}
    lacking = {stage: part.target.__name__ for stage, (part, known) in judged.items() if part.target not in known}
    if stages is None:
        return [stage for stage in STAGES if stage not in lacking]
    if missing := [f"{stage} (of {lacking[stage]})" for stage in stages if stage in lacking]:
        others = " ".join(stage for stage in STAGES if stage not in lacking)
        raise UserError(f"there is no baseline yet for {', '.join(missing)}; --stages may name {others}")
    return stages


def open_run(config: Config, folder: Path) -> tuple[Run, str]:
    """Build a config's model on its validation data, or on made-up data where there are none.

    Args:
        config: stays as it is.
        folder: for made-up data; it does not exist yet.

    Returns:
        the run, and a description of its data.
    """
    config = copy.deepcopy(config)
    plan = check_config(config, files=False)
    options = config.val_dataloader.dataset
    described = options.data_root
    if not Path(options.data_root).is_dir():
        described = f"made up ({options.data_root} does not exist)"
        kind = plan.model.head().target.kind
        scheme = stated_scheme(plan, UNNAMED) or resolve_scheme("coco" if kind is KeypointScheme else 10, kind)
        config.val_dataloader.dataset = make_up(plan.data["val"].dataset.target, scheme, folder)
        plan = check_config(config, files=False)
    run = Run.build(config, plan, ("val",))
    inputs = run.inputs("val")
    return run, f"{described}: {len(inputs)} inputs of {len(set(inputs.samples.images.paths.tolist()))} images"


# Stages: a dict of forms each, the baseline first


def read_forms(run: Run) -> tuple[dict[str, Form], int]:
    """Decode image files."""
    samples = run.samples["val"]
    places = {path: place for place, path in enumerate(samples.images.paths.tolist())}
    places = dict(list(places.items())[:20])
    forms: dict[str, Form] = {
        "plain": lambda: [read(Path(os.fsdecode(path))) for path in places],
        "hrtoolkit": lambda: [samples.read(place) for place in places.values()],
    }
    return forms, len(places)


def crop_forms(run: Run) -> tuple[dict[str, Form], int]:
    """From files to normalised network input on the CPU, for neighbouring inputs as at test time."""
    inputs = run.inputs("val")
    size, count = run.config.val_dataloader.get("batch_size", 32), min(len(inputs), 96)
    batches = [range(first, min(first + size, count)) for first in range(0, count, size)]
    preprocess = copy.deepcopy(run.model.data_preprocessor).cpu()
    collate = Collate(inputs.view.multiple, inputs.view.smallest)

    def one_by_one(batch: range) -> Tensor | list[Tensor]:
        images = [look(inputs, i) for i in batch]
        if inputs.samples.truth_files:  # which are read with the images
            for i in batch:
                inputs.samples.truth(inputs.sample_of(i))
        return torch.stack(images) if inputs.view.multiple is None else images

    forms: dict[str, Form] = {
        "plain": lambda: [one_by_one(batch) for batch in batches],
        "hrtoolkit": lambda: [preprocess(collate([inputs[i] for i in batch])) for batch in batches],
    }
    return forms, count


def forward_forms(run: Run, batch: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """Only the backbone, from normalised images to all of its maps."""
    model, timms_net = build_pair(run.config, device)
    model.eval()
    images = tested_batch(run, batch, device)["images"]
    images_nchw = images.contiguous()

    def infer(net: nn.Module, images: Tensor, dtype: torch.dtype = torch.float32) -> Form:
        return _inferring(net, images.to(dtype))

    def compiled(model: Model) -> nn.Module:
        net = copy.deepcopy(model.backbone)
        compile_blocks(net)
        return net

    forms = {}
    if timms_net is not None and not any(side % 32 for side in images.shape[-2:]):  # timm's refuses other sizes
        forms["timm, float32"] = infer(timms_net.eval(), images_nchw)
    forms["float32"] = infer(model.backbone, images_nchw)
    forms["float32, channels_last"] = infer(copy.deepcopy(model.backbone).to(memory_format=torch.channels_last), images)
    for precision in ("float32", *half_precisions(device)):
        dtype = getattr(torch, precision)
        folded = fold(model, dtype)
        forms[f"{precision}, folded"] = infer(folded.backbone, images, dtype)
        forms[f"{precision}, folded, compiled"] = infer(compiled(folded), images, dtype)
    return forms, batch


def network_forms(run: Run, batch: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """Backbone, neck and head, from normalised images to the head's raw outputs."""
    model = build_model(run.config).to(device).eval()
    original = build_model(published_order(run.config)).to(device).eval()
    original.load_state_dict(model.state_dict())
    images = tested_batch(run, batch, device)["images"]
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


def train_forms(run: Run, batch: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """A training step: forward, loss, backward, and the config's optimiser."""
    if run.config.get("optim_wrapper") is None:
        raise UserError("this config trains nothing: leave out the stage train")
    model, timms_net = build_pair(run.config, device)
    inputs = training_batch(run, batch, device)
    plain = dict(run.config.optim_wrapper.optimizer)
    fused = prefer_fused(plain)

    def train(model: Model, images: Tensor, options: dict, precision: Precision = "float32") -> Form:
        model.train()
        optimizer = OPTIMIZERS.build({**options, "params": model.parameters()})
        wrapper = DeviceOptimWrapper(optimizer, precision=precision)

        def step() -> None:
            with wrapper.optim_context(model):
                losses = model(images, inputs["targets"], inputs["frames"], mode="loss")
            wrapper.update_params(model.parse_losses(losses)[0])

        return step

    forms = {}
    sides = inputs["images"].shape[-2:]
    if timms_net is not None and not model.frozen and not any(side % 32 for side in sides):
        theirs = Model(timms_net, copy.deepcopy(model.branch()), norm_eval=model.norm_eval)
        forms["timm, float32"] = train(theirs, inputs["images"].contiguous(), plain)
    for precision in ("float32", *half_precisions(device)):
        ours = copy.deepcopy(model).to(memory_format=torch.channels_last)
        forms[precision] = train(ours, inputs["images"], fused, precision)
        compiled = copy.deepcopy(ours)
        compile_blocks(compiled.backbone)
        forms[f"{precision}, compiled"] = train(compiled, inputs["images"], fused, precision)
    return forms, batch


def decode_forms(run: Run, model: Model, count: int, device: torch.device) -> tuple[dict[str, Form], int]:
    """From the head's raw outputs to predictions in image pixels."""
    inputs = tested_batch(run, 1, device)
    with torch.inference_mode():
        outputs = model(inputs["images"])
    outputs = torch.rand((count, *outputs.shape[1:]), generator=torch.Generator().manual_seed(0)).to(device)
    head, frames = copy.deepcopy(model.branch().head), Frame.stack([inputs["frames"][0]] * count)
    vars(head)["forward"] = lambda maps: outputs  # `predict` calls it: what is timed is all the rest

    @torch.inference_mode()
    def predict() -> object:
        return head.predict([outputs], frames)

    return {"plain": lambda: DECODERS[type(head)].decode(outputs, frames), "hrtoolkit": predict}, count


def evaluate_forms(run: Run, folder: Path, count: int) -> tuple[dict[str, Form], int]:
    """All that becomes of predictions: the config's finish and its metric."""
    metric, branch = run.metrics[UNNAMED][0], run.model.branch()
    plain = EVALUATORS[type(metric)]
    samples, records = plain.make_results(branch.head.scheme, folder, count)
    assert branch.view is not None
    inputs = Inputs(samples, branch.view, samples.scheme)

    def evaluate() -> object:
        evaluation = Evaluation(inputs, [metric], branch.finish)
        evaluation.add(range(count), records)
        evaluation.finish_samples(range(len(samples)))
        return evaluation.score()

    return {"plain": lambda: plain.evaluate(samples, records), "hrtoolkit": evaluate}, count


# Parts of them


def published_order(config: Config) -> Config:
    """The same network, tensor names included, with the published code's order of operations."""
    config = copy.deepcopy(config)
    head = check_config(config, files=False).model.head()
    if head.target in JOINING and config.model.get("neck") is None:
        # It enlarges all maps to the finest one, joins them, and convolves what it gets.
        config.model.neck = {"type": "Concat", "align_corners": head.options.get("align_corners", False)}
    return config


def tested_batch(run: Run, batch: int, device: torch.device) -> dict:
    """The first input as it is tested, as often as a batch is large: others may be of another size."""
    inputs = run.inputs("val")
    collate = Collate(inputs.view.multiple, inputs.view.smallest)
    return run.model.data_preprocessor.to(device)(collate([inputs[0]] * batch))


def training_batch(run: Run, batch: int, device: torch.device) -> dict:
    """Inputs with targets, augmented as in training; small data sets are repeated."""
    head, view = run.model.branch().head, run.model.branch().view
    assert view is not None
    inputs = Inputs(run.samples["val"], view, head.scheme, head.targets, run.augmentations[UNNAMED])
    if inputs.objects is not None and (inputs.objects < 0).any():
        raise UserError("detected boxes cannot be trained on: leave out val_dataloader.dataset.box_file")
    some = [inputs[SampleKey(index % len(inputs), 1, 0)] for index in range(batch)]
    return run.model.data_preprocessor.to(device)(Collate(view.multiple, view.smallest)(some), training=True)


def build_pair(config: Config, device: torch.device) -> tuple[Model, TimmBackbone | None]:
    """Build a config's model and, for an HRNet of a published size, timm's with the same weights.

    timm's gives four maps, so here ours does too: both do the same work.
    """
    config = copy.deepcopy(config)
    if config.model.backbone.type != "HRNet":
        return build_model(config).to(device), None
    config.model.backbone.num_outputs = 4
    model = build_model(config)
    name = next((name for name, spec in VARIANTS.items() if spec == model.backbone.spec), None)
    if name is None:
        return model.to(device), None
    name = f"hrnet_{name.removesuffix('_v1')}"
    theirs = TimmBackbone(name, feature_location="", out_indices=(1, 2, 3, 4))
    theirs.net.load_state_dict(model.backbone.state_dict())
    return model.to(device), theirs.to(device)


def half_precisions(device: torch.device) -> tuple[Precision, ...]:
    """Half precisions that a device has instructions for: imitated ones would take minutes and mean nothing."""
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
        times: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(rounds):
            for name, call in forms.items():
                bar.update(task, description=f"{title}: {name}")
                times[name].append(seconds(call, repeats[name]))
                bar.advance(task)
    return {name: (first[name], times[name]) for name in forms}


def training_memory(step: Form, device: torch.device) -> float:
    """MiB that a training step takes on top of what was there: its peak on CUDA, else what its backward pass needs.

    The resident set of a CPU process would show less: what was freed before is taken again without growing it.
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
    def call() -> object:
        return net(images)

    return call


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return f"{found[1] if found else platform.processor() or platform.machine()}, {os.cpu_count()} cores"

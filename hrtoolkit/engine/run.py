"""Train and test a config from start to end: what `tools/train.py` and `tools/test.py` call."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine import Config
from mmengine.dist import get_world_size, is_distributed, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import set_random_seed
from torch.utils.data import Dataset

from hrtoolkit.checkpoints import LoadReport, load_checkpoint, read_checkpoint
from hrtoolkit.config import TRAINING, check_config, load_config
from hrtoolkit.data.doctor import check_before_training
from hrtoolkit.data.loading import build_dataloader, stopping_workers
from hrtoolkit.engine.distributed import start_distributed, synchronise_batchnorm
from hrtoolkit.engine.hooks import EvaluationProgress, Pictures, Progress, StopOnNaN
from hrtoolkit.engine.loop import TrainLoop
from hrtoolkit.engine.optim import DeviceOptimWrapper, Precision, choose_mixed_precision, prefer_fused
from hrtoolkit.engine.runner import Runner, log_to_file, set_aside, start_logging
from hrtoolkit.errors import CheckpointError, TrainingError, UserError
from hrtoolkit.files import check_writable, remove_unfinished
from hrtoolkit.inference import compile_blocks, fold
from hrtoolkit.model import Model, build_model
from hrtoolkit.registry import DATASETS, HOOKS, METRICS, TRANSFORMS

log = logging.getLogger(__name__)


def train(
    config: str | Path | Config,
    work_dir: str | Path,
    resume: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
    test_command: str = "python tools/test.py CONFIG",
) -> dict[str, float]:
    """Train a model, validate it as it goes, keep its last and its best weights, and sum up what came out.

    Args:
        config: a file or what was loaded from it; it is checked whole before anything is built.
        work_dir: for checkpoints, log, curves and pictures. Results of an earlier run in it are moved aside.
        resume: continue the run in `work_dir` where its `last.pth` was written, or start it if there is none.
        amp: mixed precision, of the given kind or of the one that suits the device.
        compile: compile the backbone's blocks (needs a C++ compiler on the CPU).
        test_command: what the summary suggests for testing, without the checkpoint.

    Returns:
        the metrics of the best validation; empty without validation.

    Raises:
        UserError: anything that the person who started it can mend.
    """
    work_dir = Path(work_dir)
    start_distributed()
    start_logging()
    config = load_config(config)
    check_config(config)
    check_writable(work_dir / "last.pth")
    last = work_dir / "last.pth"
    resume = resume and last.exists()

    # A section that is None is as good as missing.
    seed = config.get("seed") or 0
    set_random_seed(seed)
    datasets = {"train": build_dataset(config.train_dataloader.dataset)}
    if config.get("val_dataloader"):
        datasets["val"] = build_dataset(config.val_dataloader.dataset)
    evaluator = build_evaluator(config.val_evaluator) if "val" in datasets else None
    check_before_training(datasets, evaluator)
    model = build_model_for(config, *datasets.values())
    if config.get("load_from") and not resume:
        start_from(model, config.load_from)
    if config.get("sync_batchnorm") and is_distributed():
        model = synchronise_batchnorm(model)
    if compile:
        compile_blocks(model.backbone)

    # From here on it is this run's folder.
    if is_main_process():
        remove_unfinished(work_dir)
        if not resume:
            set_aside(work_dir)
        log_to_file(work_dir / "train.log")
    metric = evaluator.metrics[0] if evaluator else None
    headline = metric.full_name(metric.headline) if metric else None
    pictures = Pictures(work_dir / "pictures")
    loaders = {"train": build_loader(config.train_dataloader, datasets["train"], training=True, seed=seed)}
    if evaluator:
        loaders["val"] = build_loader(config.val_dataloader, datasets["val"], training=False)
    precision = choose_precision(amp)
    runner = Runner(
        config,
        model,
        work_dir,
        headline,
        metric.best if metric else max,
        train_dataloader=loaders["train"],
        train_cfg={"type": TrainLoop, **config.train_cfg},
        optim_wrapper={
            "type": DeviceOptimWrapper,
            **config.optim_wrapper,
            "optimizer": prefer_fused(scale_learning_rate(config, loaders["train"].batch_size)),
            "precision": precision,
        },
        param_scheduler=config.get("param_scheduler"),
        val_dataloader=loaders.get("val"),
        val_cfg={} if evaluator else None,
        val_evaluator=evaluator,
        custom_hooks=[
            *(Progress(), EvaluationProgress(), StopOnNaN(), pictures),
            *(HOOKS.build(hook) for hook in config.get("custom_hooks") or ()),
        ],
        load_from=str(last) if resume else None,
        resume=resume,
    )
    log.info(
        "training on %d samples, validating on %d, in %s; all goes to %s",
        len(datasets["train"]),
        len(datasets.get("val", ())),
        precision,
        work_dir,
    )
    with explaining_lost_processes(last), stopping_workers(*loaders.values()):
        runner.train()

    scored = [record for record in runner.history if headline in record]
    best = runner.best(scored, key=lambda record: record[headline]) if scored else {}
    if is_main_process():
        _print_summary(best, headline, work_dir, pictures.latest, f"{test_command} {work_dir / 'best.pth'}")
    return {name: best[name] for name in best if name not in ("epoch", "lr")}


def test(
    config: str | Path | Config,
    checkpoint: str | Path,
    flip: bool = False,
    pictures: str | Path | None = None,
    boxes: str | Path | None = None,
    out: str | Path | None = None,
    folded: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
) -> dict[str, float]:
    """Evaluate a checkpoint on the test data, or on the validation data where a config has no other.

    Args:
        config: a file or what was loaded from it; it is checked whole before anything is built.
        checkpoint: a file of any known format that fits the model.
        flip: average with the mirrored images.
        pictures: folder for a few images with predictions beside the truth.
        boxes: detections to use instead of annotated boxes, the dataset's `box_file`.
        out: file for the predictions, the (first) metric's `out_file`.
        folded: put BatchNorm into the convolutions, which is faster and the same up to rounding.
        amp: fold, and compute backbone and neck in half precision: of the given kind, or what suits the device.
        compile: compile the backbone's blocks (needs a C++ compiler on the CPU).

    Returns:
        the metrics by name.

    Raises:
        UserError: anything that the person who started it can mend.
    """
    start_distributed()
    start_logging()
    config = load_config(config)
    for name in (*TRAINING, "load_from"):  # who tests may have no training data
        config.pop(name, None)
    if flip:
        config.model.flip_test = True
    loader = config.get("test_dataloader") or config.get("val_dataloader")
    metrics = config.get("test_evaluator") or config.get("val_evaluator")
    if loader is None or metrics is None:
        raise UserError(f"{config.filename}: nothing to test on; add val_dataloader and val_evaluator")
    if boxes is not None:
        loader.dataset.box_file = str(Path(boxes).absolute())
    if out is not None:
        check_writable(out)
        (metrics[0] if isinstance(metrics, list | tuple) else metrics).out_file = str(out)
    check_config(config)
    dataset = build_dataset(loader.dataset)
    model = build_model_for(config, dataset)
    content = read_checkpoint(checkpoint)
    report = load_checkpoint(model, content, label=str(checkpoint))
    log.info("%s", report)
    if not report.fits:
        raise CheckpointError(f"this checkpoint does not fit the model, so its numbers would mean nothing:\n{report}")
    warn_of_other_settings(model, content)
    if folded or amp:
        model = fold(model, getattr(torch, choose_precision(amp)))
    if compile:
        compile_blocks(model.backbone.eval())

    loader = build_loader(loader, dataset, training=False)
    hooks = [EvaluationProgress(), *([Pictures(Path(pictures))] if pictures else [])]
    with tempfile.TemporaryDirectory() as scratch:  # mmengine's own log; nothing in it is worth keeping
        runner = Runner(
            config,
            model,
            scratch,
            test_dataloader=loader,
            test_cfg={},
            test_evaluator=build_evaluator(metrics),
            custom_hooks=hooks,
        )
        with explaining_lost_processes(), stopping_workers(loader):
            return runner.test()


def choose_precision(amp: bool | Precision) -> Precision:
    """What `--amp` means here: the precision that it names, or the one that suits the device."""
    return amp if isinstance(amp, str) else choose_mixed_precision() if amp else "float32"


def build_dataset(options: dict) -> Dataset:
    """Build a dataset around its transform.

    Raises:
        UserError: either refuses its arguments, or the data is not as it should be.
    """
    options = dict(options)
    try:
        if options.get("transform") is not None:
            options["transform"] = TRANSFORMS.build(options["transform"])
        return DATASETS.build(options)
    except ValueError as error:
        raise UserError(f"dataset: {error}") from error


def build_loader(options: dict, dataset: Dataset, **runtime):
    """Build the batches of a dataset as its dataloader's config says."""
    return build_dataloader(dataset, **{k: v for k, v in options.items() if k != "dataset"}, **runtime)


def build_model_for(config: Config, *datasets: Dataset) -> Model:
    """Build the model of a config, whose head takes what it leaves open (keypoint names, classes) from the data.

    Raises:
        DataError: data and head do not agree, in the number of keypoints for example.
    """
    for name, value in datasets[0].head_arguments().items():
        if config.model.head.get(name) is None:
            config.model.head[name] = value
    model = build_model(config)
    for dataset in datasets:
        model.head.check_data(**dataset.head_arguments())
    return model


def build_evaluator(options: dict | list) -> Evaluator:
    """Build one metric, or several."""
    several = options if isinstance(options, list | tuple) else [options]
    return Evaluator([METRICS.build(metric) for metric in several])


def start_from(model: Model, source: str) -> LoadReport:
    """Load weights to start from; the head may be another one, the backbone must fit.

    Weights of a backbone that gives its finest map alone start one that gives all of them, and the log says so.

    Raises:
        CheckpointError: the backbone's tensors are not all there in the right shape.
    """
    report = load_checkpoint(model, source)
    extra = tuple(f"backbone.{name}" for name in getattr(model.backbone, "coarse_output_parts", ()))
    new = [name for name in report.missing if name.startswith(extra)]
    if new:
        log.warning(
            "%s has no weights for the coarser outputs: %d tensors of the backbone start anew", source, len(new)
        )
    if not report.part_fits("backbone", but=new):
        raise CheckpointError(f"this checkpoint belongs to another backbone:\n{report}")
    log.info("starting from %s", report)
    return report


def warn_of_other_settings(model: Model, checkpoint: dict) -> None:
    """Say aloud where a model is tested in another way than its checkpoint was trained for."""
    meta = checkpoint.get("meta")
    for part, settings in model.describe().items():
        stored = meta.get(part) if isinstance(meta, dict) else None
        for name, value in settings.items():
            if isinstance(stored, dict) and stored.get(name) != value:
                log.warning(
                    "testing with another %s than the checkpoint was trained for: %s, not %s (model.%s)",
                    *(name, value, stored.get(name), part),
                )


def scale_learning_rate(config: Config, batch_size: int) -> dict:
    """Fit the learning rate to the global batch by the linear rule (Goyal et al., arXiv:1706.02677), and log both.

    Only configs that say by `base_batch_size` which global batch their learning rate is meant for are scaled.

    Args:
        config: holds the optimiser's options.
        batch_size: samples a process and step.

    Returns:
        options of the optimiser.
    """
    optimizer, base = dict(config.optim_wrapper.optimizer), config.get("base_batch_size")
    accumulated = config.optim_wrapper.get("accumulative_counts", 1)
    global_batch = batch_size * get_world_size() * accumulated
    scaling = ""
    if base is not None:
        scaling = f", from {optimizer['lr']:g} for {base}"
        optimizer["lr"] = optimizer["lr"] * global_batch / base
    log.info(
        "global batch %d (%d a process and step, %d processes, %d steps accumulated); learning rate %s%s",
        *(global_batch, batch_size, get_world_size(), accumulated, optimizer.get("lr", "the optimiser's own"), scaling),
    )
    return optimizer


@contextmanager
def explaining_lost_processes(checkpoint: Path | None = None) -> Iterator[None]:
    """Turn what torch says when a process of the run has died into one sentence.

    Args:
        checkpoint: to resume from.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error).strip()
        resume = f"; {checkpoint} is whole: --resume goes on from it" if checkpoint and checkpoint.exists() else ""
        if "DataLoader worker" in text:
            raise TrainingError(
                f"a process that reads data died, most often for want of memory: lower num_workers{resume} ({text})"
            ) from error
        if is_distributed() and re.search("gloo|nccl|connection|peer", text, re.IGNORECASE):
            raise TrainingError(f"another process of this run died; its own message tells why{resume}") from error
        raise


def _print_summary(best: dict, headline: str | None, work_dir: Path, pictures: Path | None, command: str) -> None:
    lines = {"to resume": work_dir / "last.pth"}
    if pictures is not None:
        lines["pictures"] = f"{pictures} and {work_dir / 'curves.png'}"
    if best:
        best_line = f"{headline} {best[headline]:.3f} in epoch {best['epoch']}"
        lines = {"best": best_line, "weights": work_dir / "best.pth", **lines, "next": command}
    log.info("\ndone\n%s", "\n".join(f"  {name:10} {value}" for name, value in lines.items()))

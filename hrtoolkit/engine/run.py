"""Train and test a config from start to end: what `tools/train.py` and `tools/test.py` call."""

from __future__ import annotations

import json
import logging
import multiprocessing
import re
import shlex
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from mmengine import Config
from mmengine.dist import get_world_size, is_distributed, is_main_process
from mmengine.runner import set_random_seed

from hrtoolkit.balance import RelativeLosses
from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.checkpoints import LoadReport, load_checkpoint, load_fitting
from hrtoolkit.config import ConfigError, config_name, load_config
from hrtoolkit.data.loading import stopping_workers
from hrtoolkit.engine.aggregation import Aggregation, build_aggregator
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import TRAINING, check_config
from hrtoolkit.engine.combination import Combination
from hrtoolkit.engine.distributed import start_distributed, synchronise_batchnorm
from hrtoolkit.engine.gradients import Gradients
from hrtoolkit.engine.hooks import EvaluationProgress, Pictures, Progress, StopOnNaN
from hrtoolkit.engine.loop import EvaluationLoop, TrainLoop
from hrtoolkit.engine.optim import DeviceOptimWrapper, Precision, choose_mixed_precision, prefer_fused
from hrtoolkit.engine.runner import Runner, log_to_file, set_aside, start_logging
from hrtoolkit.engine.schedules import fit_schedule
from hrtoolkit.errors import CheckpointError, OptionError, TrainingError, UserError, suggest
from hrtoolkit.files import FolderLock, check_writable, expand_path, is_checkpoint, is_exported, remove_unfinished
from hrtoolkit.model import Backend, Model
from hrtoolkit.published import name_weights
from hrtoolkit.records import Record
from hrtoolkit.registry import HOOKS
from hrtoolkit.samples import Samples
from hrtoolkit.speed import compile_blocks, fold
from hrtoolkit.terms import tell_terms_of_data

log = logging.getLogger(__name__)
# In torch's words and in the system's, where there is no room for a semaphore: what is written says its own.
NO_SHARED_MEMORY = re.compile(r"shared memory|Bus error|^\[Errno 28\] No space left on device$")


def train(
    config: str | Path | Config,
    work_dir: str | Path,
    resume: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
    test_command: str = "hrtoolkit test CONFIG CHECKPOINT",
) -> dict[str, float]:
    """Train a model, validate it as it goes, keep its last and its best weights, and sum up what came out.

    Args:
        config: a file or what was loaded from it; it is checked whole before anything is built.
        work_dir: for checkpoints, log, curves and pictures. Results of an earlier run in it are moved aside.
        resume: continue the run in `work_dir` where its `last.pth` was written, or start it if there is none.
        amp: mixed precision, of the given kind or of the one that suits the device.
        compile: compile the backbone's blocks (needs a C++ compiler on the CPU).
        test_command: what the summary suggests for testing; CHECKPOINT in it stands for the best weights.

    Returns:
        the metrics of the best validation; empty without validation.

    Raises:
        UserError: anything that the person who started it can mend.
    """
    work_dir = Path(expand_path(work_dir))
    start_distributed()
    start_logging()
    config = load_config(config)
    plan = check_config(config)
    precision = choose_precision(amp)
    optim_wrapper = dict(config.optim_wrapper)
    if (aggregator := optim_wrapper.pop("aggregator", None)) is not None and precision == "float16":
        raise UserError("optim_wrapper.aggregator: float16 has no room for gradients of single branches; take bfloat16")
    check_writable(work_dir / "last.pth")
    last = work_dir / "last.pth"
    resume = resume and last.exists()

    # A section that is None is as good as missing.
    seed = config.get("seed") or 0
    set_random_seed(seed)
    run = Run.build(config, plan, ("train", "val"))
    model = run.model
    if model.balance is None and len(model.branches) > 1:  # in a plain sum, branches of small losses learn nothing
        model.balance = RelativeLosses(tuple(model.branches))
    check_parameters(config, model)
    tell_terms_of_data(run.stated_schemes())
    run.check_data()
    if config.get("load_from") and not resume:
        start_from(model, config.load_from)
    if config.get("sync_batchnorm") and is_distributed():
        synchronise_batchnorm(model)
    if compile:
        compile_blocks(model.backbone)

    # From here on it is this run's folder.
    lock: AbstractContextManager = nullcontext()
    if is_main_process():
        lock = FolderLock(work_dir)
        remove_unfinished(work_dir)
        if not resume:
            set_aside(work_dir)
        log_to_file(work_dir / "train.log")
    validated = run.names("val")
    metrics = {loader: run.metrics[loader] for name in validated for loader in [run.plan.data[name].name]}
    combination = Combination(metrics, config.get("best")) if validated else None
    headline = None if combination is None else combination.headline
    pictures = Pictures(work_dir / "pictures")
    training, validation = run.training_loader(seed), [run.loader(name) for name in validated]
    batch_size: int = training.sampler.batch_size  # type: ignore[attr-defined]  # our samplers know it
    evaluations = [run.evaluation(name) for name in validated]
    precision = choose_precision(amp)
    optim_wrapper = dict(config.optim_wrapper)
    if (aggregator := optim_wrapper.pop("aggregator", None)) is not None:
        if precision == "float16":
            raise UserError(
                "optim_wrapper.aggregator: float16 has no room for gradients that are not scaled; take bfloat16"
            )
        model.combine_losses = Aggregation(model, build_aggregator(aggregator))
    runner = Runner(
        run.config,
        model,
        work_dir,
        headline,
        max if combination is None else combination.best,
        train_dataloader=training,
        train_cfg={"type": TrainLoop, **config.train_cfg},
        optim_wrapper={
            "type": DeviceOptimWrapper,
            **optim_wrapper,
            "optimizer": prefer_fused(scale_learning_rate(config, batch_size)),
            "precision": precision,
        },
        param_scheduler=fit_schedules(config, len(training)),
        val_dataloader=validation or None,
        val_cfg=None if combination is None else {"type": EvaluationLoop, "combination": combination},
        val_evaluator=evaluations or None,
        custom_hooks=[
            *(Progress(), EvaluationProgress(), StopOnNaN(), pictures),
            *([Gradients()] if len(model.branches) > 1 else ()),
            *(HOOKS.build(hook) for hook in config.get("custom_hooks") or ()),
        ],
        load_from=str(last) if resume else None,
        resume=resume,
    )
    # torch's `Dataset` says nothing of a length.
    log.info(
        "training on %d samples, validating on %d, in %s; all goes to %s",
        len(training.dataset),  # type: ignore[arg-type]
        sum(len(evaluation.inputs) for evaluation in evaluations),
        precision,
        work_dir,
    )
    with lock, explaining_errors(last), stopping_workers(training, *validation):
        runner.train()

    scored = [record for record in runner.history if headline in record]
    best = runner.best(scored, key=lambda record: record[headline]) if scored else {}
    if is_main_process():
        where = " --boxes whole (or --detector NAME)" if run.sees_crops else ""
        _print_summary(best, headline, work_dir, pictures.latest, test_command, where)
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
    backend: Backend | None = None,
    report_numbers: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, float]:
    """Evaluate a checkpoint or finished predictions, on the test data, or on the validation data without them.

    Args:
        config: a file or what was loaded from it; it is checked whole before anything is built.
        checkpoint: a file of any known format that fits the model, or "official", "timm" or "openmmlab" for one
            that the config publishes; a folder that `hrtoolkit export` wrote; or a folder of result files of the
            first metric's benchmark, which are scored as they are.
        flip: average with the mirrored images.
        pictures: folder for a few images with predictions beside the truth.
        boxes: detections to use instead of annotated boxes, the dataset's `box_file`.
        out: file (of label maps a folder) for the predictions, in the result format of the (first) metric's benchmark.
        folded: put BatchNorm into the convolutions, which is faster and the same up to rounding.
        amp: fold, and compute backbone and neck in half precision: of the given kind, or what suits the device.
        compile: compile the backbone's blocks (needs a C++ compiler on the CPU).
        backend: what runs an exported folder, see `hrtoolkit.load`.
        report_numbers: is called with the metrics before the predictions are written.

    Returns:
        the metrics by name.

    Raises:
        UserError: anything that the person who started it can mend.
    """
    start_distributed()
    start_logging()
    checkpoint = expand_path(checkpoint)
    out, pictures, boxes = (None if p is None else expand_path(p) for p in (out, pictures, boxes))
    config = configure_test(load_config(config), flip, boxes)
    run = Run.build(config, check_config(config), ("test",))
    model = run.model
    read = _find_reader(run, checkpoint)
    # The truth of label maps is read with the images: to score it first would take as long as testing.
    read_late = any(samples.truth_files for samples in run.samples.values())
    run.check_data(truth=not read_late, needs_images=read is None)
    if read is not None:
        results = run.evaluation(run.names("test")[0])
        results.add_results(read(checkpoint, results.inputs.samples))
        numbers = results.score()
        if report_numbers is not None:
            report_numbers(numbers)
        return numbers
    if is_exported(checkpoint):
        from hrtoolkit.export.exported import check_as_made, use_exported

        check_as_made(checkpoint, flip=flip, folded=folded, amp=amp, compile=compile)
        use_exported(model, Path(checkpoint), backend)
    elif backend is not None:
        raise OptionError(f"{checkpoint}: backend is for folders that `hrtoolkit export` wrote")
    else:
        load_fitting(model, name_weights(checkpoint, run.config.filename))
    if folded or amp:
        model = fold(model, getattr(torch, choose_precision(amp)))
    if compile:
        compile_blocks(model.backbone.eval())

    names = run.names("test")
    loaders = [run.loader(name) for name in names]
    evaluations = [run.evaluation(name, _place_results(run, name, out)) for name in names]
    hooks = [EvaluationProgress(), *([Pictures(Path(pictures))] if pictures else [])]
    with tempfile.TemporaryDirectory() as scratch:  # mmengine's own log; nothing in it is worth keeping
        runner = Runner(
            run.config,
            model,
            scratch,
            test_dataloader=loaders,
            test_cfg={"type": EvaluationLoop, "stage": "test"},
            test_evaluator=evaluations,
            custom_hooks=hooks,
        )
        with explaining_errors(), stopping_workers(*loaders):
            numbers = runner.test()
    if report_numbers is not None:
        report_numbers(numbers)
    try:
        for evaluation in evaluations:
            evaluation.write()
    except UserError as error:
        raise UserError(f"{error}; the numbers are {json.dumps(numbers)}") from error
    return numbers


def _find_reader(run: Run, path: str) -> Callable[[str, Samples], Mapping[int, Record]] | None:
    """What reads a folder of finished predictions of the test data; None where it holds a model.

    Args:
        run: the data and their metrics.
        path: of the folder, or of a checkpoint.
    """
    names = run.names("test")
    if len(names) != 1 or not Path(path).is_dir() or is_exported(path) or is_checkpoint(path):
        return None
    return run.evaluation(names[0]).metrics[0].read


def _place_results(run: Run, name: str, out: str | Path | None) -> str | None:
    """Where the results of a loader go: `out`, or, where it has a name, a file or a folder of that name in it."""
    loader = run.plan.data[name].name
    if out is None or not loader:
        return None if out is None else str(out)
    writer = run.metrics[loader][0].writer
    if writer is None:
        log.info("%s: %s writes no result files", loader, type(run.metrics[loader][0]).__name__)
        return None
    Path(out).mkdir(parents=True, exist_ok=True)
    return str(Path(out) / (loader if writer.folder else f"{loader}.json"))


def configure_test(config: Config, flip: bool = False, boxes: str | Path | None = None) -> Config:
    """Turn a config into one that tests: on its test data, or on the validation data where it has no other.

    Args:
        config: changed and given back.
        flip: average with the mirrored images.
        boxes: detections to use instead of annotated boxes.

    Raises:
        UserError: there is nothing to test on.
    """
    for name in (*TRAINING, "load_from", "best"):  # who tests may have no training data
        config.pop(name, None)
    if flip:
        config.model.flip_test = True
    val = config.pop("val_dataloader", None), config.pop("val_evaluator", None)
    config.test_dataloader = config.get("test_dataloader") or val[0]
    config.test_evaluator = config.get("test_evaluator") or val[1]
    if config.test_dataloader is None or config.test_evaluator is None:
        raise UserError(f"{config.filename}: nothing to test on; add val_dataloader and val_evaluator")
    if boxes is not None:
        if "dataset" not in config.test_dataloader:
            raise OptionError("--boxes is for one task; set test_dataloader.NAME.dataset.box_file of this config")
        config.test_dataloader.dataset.box_file = str(Path(boxes).absolute())
    return config


def choose_precision(amp: bool | Precision) -> Precision:
    """What `--amp` means here: the precision that it names, or the one that suits the device."""
    return amp if isinstance(amp, str) else choose_mixed_precision() if amp else "float32"


def start_from(model: Model, source: str | Mapping) -> LoadReport:
    """Load weights to start from; the head may be another one, the backbone must fit.

    Weights of a backbone that gives only its finest map start one that gives all of them, and the log says so.

    Args:
        model: gets the weights.
        source: a checkpoint, or `checkpoint` and `scheme`, what its outputs stand for where the file does not say.

    Raises:
        CheckpointError: the backbone's tensors are not all there in the right shape.
    """
    options = {"checkpoint": source} if isinstance(source, str) else dict(source)
    report = load_checkpoint(model, options["checkpoint"], scheme=options.get("scheme"))
    extra = tuple(f"backbone.{name}" for name in model.backbone.optional_parts)
    new = [name for name in report.missing if name.startswith(extra)]
    if new:
        log.warning(
            "%s has no weights for the coarser outputs: %d tensors of the backbone start anew",
            options["checkpoint"],
            len(new),
        )
    if report.not_finite:
        raise CheckpointError(f"this checkpoint is of a training that went wrong, so take an earlier one:\n{report}")
    if not report.part_fits("backbone", but=new):
        raise CheckpointError(f"this checkpoint belongs to another backbone:\n{report}")
    log.info("starting from %s", report)
    return report


def fit_schedules(config: Config, steps: int) -> list[dict]:
    """The schedules of a config for the length of its training, and log what does not fit.

    Args:
        config: checked.
        steps: of an epoch.
    """
    schedules, fitted = config.get("param_scheduler") or [], []
    for index, one in enumerate([schedules] if isinstance(schedules, Mapping) else schedules):
        options, remark = fit_schedule(one, config.train_cfg.max_epochs, steps)
        if remark:
            log.warning("param_scheduler.%d: %s %s", index, one["type"], remark)
        fitted.append(options)
    return fitted


def check_parameters(config: Config, model: Model) -> None:
    """Make sure that training has something to train, and that what a config says of some parameters reaches them.

    Raises:
        ConfigError: all is frozen, or a name in `paramwise_cfg.custom_keys` is in that of no parameter.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    problems = [] if names else [f"model.frozen: {', '.join(model.frozen)} leaves nothing to train"]
    paramwise = config.optim_wrapper.get("paramwise_cfg") or {}
    for key in paramwise.get("custom_keys") or {}:
        if names and not any(key in name for name, _ in model.named_parameters()):
            parts = [f"{a}.{b}" for a, part in model.named_children() for b, _ in part.named_children()]
            near = suggest(key, parts) or f"; the model has {', '.join(parts)}"
            problems.append(f"optim_wrapper.paramwise_cfg.custom_keys: no parameter has {key!r} in its name{near}")
    if problems:
        raise ConfigError(config_name(config), problems)


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
def explaining_errors(checkpoint: Path | None = None) -> Iterator[None]:
    """Turn what torch says of a process that has died, or of a batch too small for BatchNorm, into one sentence.

    Args:
        checkpoint: to resume from.
    """
    try:
        yield
    except (RuntimeError, ValueError, OSError, EOFError) as error:
        text = str(error).strip() or type(error).__name__
        resume = f"; {checkpoint} is whole: --resume goes on from it" if checkpoint and checkpoint.exists() else ""
        if NO_SHARED_MEMORY.search(text):
            raise TrainingError(
                "there is too little shared memory (/dev/shm) for the batches that processes read ahead: start the "
                "container with a larger one (docker run --shm-size=8g, or --ipc=host), or set num_workers=0 in both "
                f"dataloaders{resume}"
            ) from error
        # One that dies while it hands a batch over is not missed by torch, but by Python's own connection to it.
        lost = isinstance(error, ConnectionError | EOFError) and _raised_in(
            error, Path(multiprocessing.__file__).parent
        )
        if lost and not is_distributed():
            raise _dead_reader(resume, text) from error
        if not _raised_by_torch(error):  # somebody's own code keeps its words and its traceback
            raise
        if re.search(r"DataLoader worker \(pid\(?s?\)? [\d, ]+\) (is killed|exited unexpectedly)", text):
            raise _dead_reader(resume, text) from error
        if is_distributed() and re.search("gloo|nccl|connection|peer", text, re.IGNORECASE):
            raise TrainingError(f"another process of this run died; its own message tells why{resume}") from error
        if "Expected more than 1 value per channel" in text:
            raise TrainingError(
                "BatchNorm cannot learn from a single sample over maps of 1x1 pixels: train with more samples a batch "
                f"(train_dataloader.batch_size, or more data) or with larger inputs{resume} ({text})"
            ) from error
        raise


def _dead_reader(resume: str, text: str) -> TrainingError:
    return TrainingError(
        f"a process that reads data died, most often for want of memory: lower num_workers{resume} ({text})"
    )


def _raised_by_torch(error: BaseException) -> bool:
    """Whether an error comes from torch, or from this engine's waiting for it, and not from a part's own code."""
    if str(error).startswith("Caught "):  # in a process that reads data, and carried here by torch
        return False
    return _raised_in(error, Path(torch.__file__).parent, Path(__file__).parent)


def _raised_in(error: BaseException, *folders: Path) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return any(Path(frame.f_code.co_filename).is_relative_to(folder) for folder in folders)


def _print_summary(
    best: dict, headline: str | None, work_dir: Path, pictures: Path | None, command: str, where: str
) -> None:
    """Say what came out and where it is, as far as it is there, and how to go on.

    Args:
        best: numbers of the best epoch; empty without validation.
        headline: that it is best by.
        work_dir: of the run.
        pictures: the latest.
        command: that tests.
        where: what predicting needs besides, in the words of the command.
    """
    lines: dict[str, str | Path] = {"to resume": work_dir / "last.pth"}
    weights = work_dir / "best.pth"
    drawn = [str(path) for path in (pictures, work_dir / "curves.png") if path is not None and path.is_file()]
    if drawn:
        lines["pictures"] = " and ".join(drawn)
    if best:
        found = read_checkpoint(weights)["meta"]["epoch"] if weights.exists() else None
        lines = {"best": f"{headline} {best[headline]:.3f} in epoch {best['epoch']}", "weights": weights, **lines}
        if found == best["epoch"]:
            lines["next"] = command.replace("CHECKPOINT", shlex.quote(str(weights)))
        else:  # the run was ended before the disk had room again
            lines["weights"] = "lost: they could not be written" + (f"; {weights} is of epoch {found}" if found else "")
    usable = weights if weights.exists() else work_dir / "last.pth"
    lines["to predict"] = (
        f"hrtoolkit predict {shlex.quote(str(usable))} PICTURES --out {shlex.quote(str(work_dir / 'found'))}{where}"
    )
    log.info("\ndone\n%s", "\n".join(f"  {name:10} {value}" for name, value in lines.items()))

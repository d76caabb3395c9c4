"""What happens around the steps of a run: the progress line, pictures, and stopping on NaN."""

from __future__ import annotations

import atexit
import importlib.util
import io
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, all_reduce_dict, is_main_process
from mmengine.hooks import Hook
from rich.console import Console
from rich.live import Live
from rich.text import Text

from hrtoolkit.checkpoint_files import find_tensors
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.engine.loop import EvaluationLoop
from hrtoolkit.errors import CheckpointError, TrainingError, UserError, shorten
from hrtoolkit.files import explain
from hrtoolkit.model import RAW
from hrtoolkit.records import Record
from hrtoolkit.runtime.drawing import draw, make_sheet
from hrtoolkit.visualization import plot_curves, write_image

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

    from hrtoolkit.engine.runner import Runner

log = logging.getLogger(__name__)


class Progress(Hook):
    """Tells how training goes: loss, metric so far, images/s, share of time waiting for data, time left.

    Losses are summed on the device and read only when a line is due. Each epoch's numbers are kept in `runner.history`
    and written for TensorBoard; what an unfinished epoch has summed up travels in its checkpoint.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self.line = Line()
        self.scalars = ScalarFile()
        self.val_seconds: list[float] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.summed = 0  # steps in `sums`
        self.plotted = time.perf_counter()

    def before_train_epoch(self, runner: Runner) -> None:
        self.steps = self.images = 0  # of this process, since it started or since the epoch began
        self.waiting = 0.0
        self.started = self.step_ended = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        self.waiting += time.perf_counter() - self.step_ended

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Any = None) -> None:
        losses = [name for name in outputs if name.rpartition("/")[2].startswith("loss_")]
        for name, value in outputs.items():
            if losses != [name]:  # a single loss is the sum itself: one name is enough
                self.sums[name] = self.sums.get(name, 0) + value.detach()
        self.summed += 1
        self.steps += 1
        batches = data_batch.get("batches", {"": data_batch})
        self.images += sum(len(batch["images"]) for batch in batches.values()) * runner.world_size
        self.line.show(lambda: self._text(runner))
        self.step_ended = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        means = {name: (total / self.summed).item() for name, total in self._sums_of_all().items()}
        record = {"epoch": runner.epoch + 1, "lr": learning_rate(runner), **means}
        runner.history.append(record)
        self.line.end()
        self.scalars.add(Path(runner.work_dir) / "tensorboard", record)
        log.info(self._text(runner))
        self.sums, self.summed = {}, 0

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint["progress"] = {"sums": self._sums_of_all(), "summed": self.summed}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.sums, self.summed = checkpoint["progress"]["sums"], checkpoint["progress"]["summed"]

    def _sums_of_all(self) -> dict[str, torch.Tensor]:
        """Sums of the losses, averaged over the processes."""
        sums = {name: total.clone() for name, total in self.sums.items()}
        if sums:
            # A process may have had no truth of a branch so far.
            names = dict.fromkeys(name for some in all_gather_object(list(sums)) for name in some)
            zero = torch.zeros_like(next(iter(sums.values())))
            sums = {name: sums.get(name, zero).float().clone() for name in names}
            all_reduce_dict(sums, "mean")
        return sums

    def before_val_epoch(self, runner: Runner) -> None:
        self.val_started = time.perf_counter()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        self.val_seconds.append(time.perf_counter() - self.val_started)
        runner.history[-1].update(metrics)
        self.scalars.add(Path(runner.work_dir) / "tensorboard", {"epoch": runner.epoch, **metrics})
        took = format_seconds(self.val_seconds[-1])
        log.info("epoch %d  validated in %s%s", runner.epoch, took, "".join(_by_branch(metrics)))
        if time.perf_counter() - self.plotted > 30:  # plotting takes a second: not after every quick epoch
            self._plot(runner)

    def after_train(self, runner: Runner) -> None:
        self._plot(runner)

    def _plot(self, runner: Runner) -> None:
        self.plotted = time.perf_counter()
        if is_main_process() and runner.history:
            headline = runner.headline or ""
            scored = [record for record in runner.history if headline in record]
            best = runner.best(scored, key=lambda record: record[headline])["epoch"] if scored else None
            try:
                plot_curves(
                    history_curves(runner.history),
                    Path(runner.work_dir) / "curves.png",
                    xlabel="epoch",
                    first=("loss", headline),
                    best=None if best is None else (headline, best),
                )
            except UserError as error:
                log.warning("no curves: %s", error)

    def _text(self, runner: Runner) -> str:
        total = len(runner.train_dataloader)
        seconds = time.perf_counter() - self.started
        parts = [f"epoch {runner.epoch + 1}/{runner.max_epochs}", f"step {self.summed}/{total}"]
        # Of several branches the line has room for one number each.
        branches = {name[: -len(RAW) - 1]: value for name, value in self.sums.items() if name.endswith(f"/{RAW}")}
        sums = branches or self.sums
        parts += [f"{name} {_number(value.item() / self.summed)}" for name, value in sums.items()]
        scores = [r[runner.headline] for r in runner.history if runner.headline in r]
        if scores:
            parts.append(f"{runner.headline} {scores[-1]:.3f} (best {runner.best(scores):.3f})")
        parts.append(f"lr {learning_rate(runner):.1e}")
        parts.append(f"{self.images / seconds:.0f} images/s")
        parts.append(f"waiting for data {self.waiting / seconds:.0%}")
        # An epoch's time from this epoch's pace; what validation adds from its mean so far.
        epochs_left = runner.max_epochs - runner.epoch - self.summed / total
        validating = sum(self.val_seconds) / max(len(self.val_seconds), 1) / runner.val_interval
        left = epochs_left * (seconds * total / self.steps + validating)
        parts.append(f"{format_seconds(left)} left")
        return "  ".join(parts)


def learning_rate(runner: Runner) -> float:
    """The rate of the step at hand, before what a config multiplies it by for some of the parameters."""
    rates = runner.optim_wrapper.get_lr()
    return rates.get("base_lr", rates["lr"])[0]


class ScalarFile:
    """Numbers for TensorBoard, where that is installed.

    torch's own writer has a thread, which loses the last minutes of a run and dies where the disk is full.
    """

    def __init__(self) -> None:
        self.file: IO | None = None

    def add(self, folder: Path, numbers: dict[str, float]) -> None:
        """Add the numbers of an epoch; where they cannot be written, that is said and no more.

        Args:
            folder: of the run's event files; it is made if needed.
            numbers: by name, with "epoch".
        """
        if not is_main_process() or importlib.util.find_spec("tensorboard") is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers.items() if name != "epoch"]
        try:
            if self.file is None:
                folder.mkdir(parents=True, exist_ok=True)
                name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
                self.file = (folder / name).open("wb", buffering=0)
                self._write(self.file, Event(wall_time=time.time(), file_version="brain.Event:2"))
            summary = Summary(value=values)
            self._write(self.file, Event(wall_time=time.time(), step=numbers["epoch"], summary=summary))
        except OSError as error:
            log.warning("%s: an epoch's numbers could not be written: %s", folder, explain(error, folder))
            if self.file is not None and self.file.tell() == 0:
                self.file = None  # it has not even a first line

    def _write(self, file: IO, event: Event) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        whole, rest = file.tell(), record.getvalue()
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:  # readers stop at half a record
            file.truncate(whole)
            file.seek(whole)
            raise


class EvaluationProgress(Hook):
    """Tells how far validation or testing is, and how fast it goes."""

    def __init__(self) -> None:
        self.line = Line()

    def before_val_epoch(self, runner: Runner) -> None:
        self.started = time.perf_counter()
        self.images = 0

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Any = None) -> None:
        self._count(data_batch, batch_idx + 1, sum(map(len, runner.val_dataloader)))

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Any = None) -> None:
        self._count(data_batch, batch_idx + 1, sum(map(len, runner.test_dataloader)))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.line.end()

    before_test_epoch, after_test_epoch = before_val_epoch, after_val_epoch

    def _count(self, batch: dict, steps: int, total: int) -> None:
        self.images += len(batch["images"])
        seconds = time.perf_counter() - self.started
        left = format_seconds(seconds * (total - steps) / steps)
        self.line.show(lambda: f"evaluating {steps}/{total}  {self.images / seconds:.0f} images/s  {left} left")


class Line:
    """One line of progress: rewritten in place on a terminal, logged now and then elsewhere.

    Args:
        seconds: between two lines where there is no terminal.
    """

    def __init__(self, seconds: float = 10.0):
        console = Console()
        self.live = None
        if console.is_terminal and is_main_process():
            self.live = Live(console=console, auto_refresh=False, transient=True)
            atexit.register(self.live.stop)  # it hides the cursor, and a run may end in the middle of an epoch
        self.seconds = seconds if self.live is None else 0.5
        self.shown = time.perf_counter()

    def show(self, text: Callable[[], str]) -> None:
        """Show what `text` gives, if it is time for it; it is not called otherwise."""
        if time.perf_counter() - self.shown < self.seconds:
            return
        if self.live is None:
            log.info(text())
        else:
            self.live.start()
            self.live.update(Text(text(), no_wrap=True, overflow="ellipsis"), refresh=True)
        self.shown = time.perf_counter()

    def end(self) -> None:
        """Clear the way for other output."""
        if self.live is not None:
            self.live.stop()


class StopOnNaN(Hook):
    """Stops training when a loss, a weight or the optimiser's state is no longer a number, before it is saved.

    The flag of the losses stays on the device and is read every `interval` steps and before each checkpoint; all that a
    checkpoint holds is looked at before it is written. After other hooks, which may change what it holds.

    Args:
        interval: steps between two looks at the flag.
    """

    priority = "LOWEST"

    def __init__(self, interval: int = 50):
        self.interval = interval
        self.finite: torch.Tensor | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Any = None) -> None:
        finite = torch.isfinite(outputs["loss"].detach())
        self.finite = finite if self.finite is None else self.finite & finite
        if (batch_idx + 1) % self.interval == 0:
            self._check(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        self._check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._check(runner)
        if bad := find_not_finite(checkpoint):
            what = f"{len(bad)} tensors of the weights and of the optimiser ({shorten(bad, 3)})"
            self._stop(runner, what, runner.epoch + (runner.train_loop.step > 0))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if bad := find_not_finite(checkpoint):
            raise CheckpointError(
                f"{runner.work_dir}/last.pth: {len(bad)} of its tensors are NaN or infinite ({shorten(bad, 3)}): no "
                "run can go on from it; start a new one, from best.pth by `load_from` if that is sound"
            )

    def _check(self, runner: Runner) -> None:
        if self.finite is None:  # nothing was trained since the last look
            return
        finite = self.finite.to(torch.uint8)
        all_reduce(finite, "min")
        self.finite = None
        if not finite:
            self._stop(runner, "the loss", runner.epoch + 1)

    def _stop(self, runner: Runner, what: str, epoch: int) -> NoReturn:
        last = Path(runner.work_dir) / "last.pth"
        kept = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint had been saved yet"
        raise TrainingError(
            f"{what} became NaN or infinite in epoch {epoch}, at or before step {runner.iter + 1} of the run; "
            f"training stopped, {kept}. Usual causes: a learning rate that is too high (now "
            f"{learning_rate(runner):.1e}; add warm-up or optim_wrapper.clip_grad), float16, broken "
            "labels"
        )


def find_not_finite(checkpoint: Mapping) -> list[str]:
    """Names of a checkpoint's tensors, at any depth, that hold NaN or infinite values in any of the processes."""
    tensors = dict(find_tensors(checkpoint))
    if not tensors:
        return []
    flags = [tensor.isfinite().all() for tensor in tensors.values()]
    # Together: to ask the device for each by itself would wait 900 times.
    finite = torch.stack([flag.to(flags[0].device) for flag in flags]).to(torch.uint8)
    all_reduce(finite, "min")
    return [name for name, good in zip(tensors, finite.tolist(), strict=True) if not good]


class Pictures(Hook):
    """Draws the predictions of a few of the evaluated samples, beside the truth, and what the metrics draw.

    Args:
        folder: where the pictures go.
        count: how many.
    """

    priority = "LOW"

    def __init__(self, folder: Path, count: int = 8):
        self.folder = folder
        self.count = count
        self.latest: Path | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        self._start(runner.val_loop)

    def before_test_epoch(self, runner: Runner) -> None:
        self._start(runner.test_loop)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self._write_all(runner.val_evaluator, f"epoch_{runner.epoch:03d}")

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self._write_all(runner.test_evaluator, "test")

    def _start(self, loop: EvaluationLoop) -> None:
        self.kept: dict[str, list[tuple[int, Record, Record | None]]] = {}
        for loader, evaluation in zip(loop.dataloader, loop.evaluator, strict=True):
            kept = self.kept.setdefault(evaluation.name, [])
            watch = partial(self._watch, kept, loader.sampler.samples)
            evaluation.watch = watch if is_main_process() else None

    def _watch(self, kept: list, share: range, sample: int, record: Record, truth: Record | None) -> None:
        """Keep samples that are spread evenly over those of the main process."""
        if len(kept) < self.count and sample - share.start >= len(kept) * len(share) / self.count:
            kept.append((sample, record, truth))

    def _write_all(self, evaluations: Sequence[Evaluation], name: str) -> None:
        for evaluation in evaluations:
            own = evaluation.name
            if is_main_process() and self.kept[own]:
                self._write(evaluation, self.kept.pop(own), f"{name}_{own}" if own else name)

    def _write(self, evaluation: Evaluation, kept: list[tuple[int, Record, Record | None]], name: str) -> None:
        samples = evaluation.inputs.samples
        try:
            tiles = []
            for sample, record, truth in kept:
                image = samples.read(sample)
                pair = (
                    image if truth is None else draw(image, truth, samples.scheme),
                    draw(image, record, samples.scheme),
                )
                tiles.append(np.hstack(pair))
            captions = [f"{samples.images.caption(sample)}: truth, prediction" for sample, *_ in kept]
            sheet = make_sheet(tiles, columns=2, tile_hw=(320, 640), captions=captions)
            write_image(self.folder / f"{name}.jpg", sheet)
            for title, picture in evaluation.draw().items():
                write_image(self.folder / f"{name}_{title}.png", picture)
        except UserError as error:  # numbers matter more than pictures
            log.warning("no pictures: %s", error)
        else:
            self.latest = self.folder / f"{name}.jpg"


def _by_branch(metrics: dict[str, float]) -> Iterator[str]:
    """Numbers in words: in a line, or in one for each branch where branches have names."""
    branches: dict[str, list[str]] = {}
    for name, value in metrics.items():
        branch, _, key = name.rpartition("/")
        branches.setdefault(branch, []).append(f"  {key} {value:.3f}")
    for branch, numbers in branches.items():
        yield f"\n  {branch:10}" if branch else "\n" if len(branches) > 1 else ""
        yield "".join(numbers)


def history_curves(history: list[dict]) -> dict[str, list[tuple[float, float]]]:
    """Turn the records of a run into one curve a number, without the ones that never were a number."""
    names = dict.fromkeys(name for record in history for name in record if name != "epoch")
    curves = {name: [(r["epoch"], r[name]) for r in history if math.isfinite(r.get(name, math.nan))] for name in names}
    return {name: points for name, points in curves.items() if points}


def format_seconds(seconds: float) -> str:
    """Say a duration in the two units that matter: 42 s, 3 min 5 s, 2 h 10 min, 4 d 7 h."""
    units = [("d", 86400), ("h", 3600), ("min", 60), ("s", 1)]
    for (large, size), (small, smaller) in pairwise(units):
        if seconds >= size:
            return f"{int(seconds // size)} {large} {int(seconds % size // smaller)} {small}"
    return f"{seconds:.0f} s"


def _number(value: float) -> str:
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else f"{value:.2e}"

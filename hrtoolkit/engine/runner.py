"""mmengine's Runner with its rough edges smoothed: our checkpoints, our log, several processes on CPU or CUDA."""

from __future__ import annotations

import copy
import json
import logging
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import mmengine.runner
import torch
import torch.distributed as dist
from mmengine import Config
from mmengine.device import get_device
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import DistSamplerSeedHook, ParamSchedulerHook, SyncBuffersHook
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from torch import Tensor, nn

from hrtoolkit.checkpoint_files import read_checkpoint, write_checkpoint
from hrtoolkit.checkpoints import output_names
from hrtoolkit.config import config_json, config_text, read_stored_config
from hrtoolkit.engine.distributed import freeze_unread
from hrtoolkit.engine.training_state import check_training_state
from hrtoolkit.errors import CheckpointError, UserError, shorten
from hrtoolkit.files import explain, write_atomically
from hrtoolkit.model import Model
from hrtoolkit.version import __version__

log = logging.getLogger(__name__)


class Runner(mmengine.runner.Runner):
    """mmengine's Runner around finished parts: what it builds itself is the loop, the optimiser and its schedules.

    Args:
        config: resolved; it is written to `work_dir/config.py` and into every checkpoint.
        model: on any device; it is moved to the GPU where there is one.
        work_dir: for checkpoints, pictures and logs.
        headline: the metric that decides which weights are best.
        best: chooses the best among its values, `max` or `min`.
        **options: of mmengine's Runner: dataloaders, loops, evaluators, `optim_wrapper`, `param_scheduler`, hooks.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        work_dir: str | Path,
        headline: str | None = None,
        best: Callable = max,
        **options: Any,
    ):
        self.config = config
        self.headline = headline
        self.best = best
        # Kept over resumes: one record an epoch, and how many epochs had been trained at the last validation.
        self.history: list[dict] = []
        self.validated_epoch = 0
        self.unsaved: dict[str, CheckpointError] = {}  # why the latest checkpoint of a name could not be written
        self.unsaved_best: dict | None = None  # the best weights, until they are written
        super().__init__(
            model=model,
            work_dir=str(work_dir),
            default_scope=None,  # our parts come finished; a scope set here would outlive the run
            randomness={"seed": config.get("seed") or 0},
            launcher="pytorch" if dist.is_initialized() else "none",
            experiment_name=Path(config.filename).stem if config.filename else "run",
            visualizer={"type": "Visualizer"},  # mmengine builds one; numbers and pictures are written by our hooks
            **options,
        )
        if is_main_process():
            Path(self._log_dir).rmdir()  # made for mmengine's log, which is ours here

    @property
    def plain_model(self) -> Model:
        """The model without what distributed training wraps around it."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    # Checkpoints

    def save_last(self) -> None:
        """Write `last.pth`, from which training goes on with the next step."""
        samples = self.train_loop.step * self._global_batch
        self._save("last.pth", {"optimizer": self.optim_wrapper.state_dict()}, samples=samples)

    def save_best(self, metrics: dict[str, float]) -> None:
        """Write `best.pth`, the weights alone, with the metrics that they reached."""
        self._save("best.pth", {}, metrics=metrics)

    def _save(self, name: str, state: dict, **meta: object) -> None:
        """Every process comes here: hooks put together what the processes know; the first one writes."""
        model = self.plain_model
        checkpoint = {
            "meta": {
                "hrtoolkit_version": __version__,
                "torch_version": str(torch.__version__),
                "config": config_json(self.config),
                **model.describe(),
                "output_names": output_names(model),
                "flip_test": model.flip_test,
                "epoch": self.epoch,
                "seed": self.seed,
                "history": self.history,
                "validated_epoch": self.validated_epoch,
                **meta,
            },
            "state_dict": model.state_dict(),
            **state,
        }
        # Averaged weights take the place of the trained ones here.
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        if not state:
            checkpoint.pop("ema_state_dict", None)
        if not is_main_process():
            return
        self._write(name, checkpoint)
        if name in self.unsaved and not state:  # not by reference: training goes on
            self.unsaved_best = copy.deepcopy({**checkpoint, "state_dict": _on_cpu(checkpoint["state_dict"])})
        elif state and self.unsaved_best is not None:
            self._write("best.pth", self.unsaved_best)

    def _write(self, name: str, checkpoint: dict) -> None:
        try:
            write_checkpoint(checkpoint, Path(self.work_dir) / name)
        except CheckpointError as error:  # a full disk may be cleared while training goes on
            self.unsaved[name] = error
            log.error("%s", error)
            return
        self.unsaved.pop(name, None)
        if name == "best.pth":
            self.unsaved_best = None

    def write_unsaved(self) -> None:
        """Try once more to write the best weights, before a run ends.

        Raises:
            CheckpointError: a checkpoint could not be written.
        """
        if self.unsaved_best is not None:
            self._write("best.pth", self.unsaved_best)
        for error in self.unsaved.values():
            raise error

    def resume(self, filename: str, **_: object) -> None:
        """Go on after the last step of a run that is in its checkpoint.

        Args:
            filename: its `last.pth`.

        Raises:
            CheckpointError: the file cannot be read, or is not a checkpoint to resume this model from.
        """
        checkpoint = dict(read_checkpoint(filename))
        check_training_state(checkpoint, self.optim_wrapper.optimizer, filename)
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        meta = checkpoint["meta"]
        self._compare(filename, meta)
        # Counted in samples: batch size and number of processes may be others than before. One step at least is left.
        epoch, step = meta["epoch"], min(meta["samples"] // self._global_batch, len(self.train_dataloader) - 1)
        self._replay_schedules(epoch, step)
        # What the config says now holds, also where the stored optimiser had something else.
        options = [{k: v for k, v in g.items() if k != "params"} for g in self.optim_wrapper.param_groups]
        try:
            self.plain_model.load_state_dict(checkpoint["state_dict"])
            self.optim_wrapper.load_state_dict(checkpoint["optimizer"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{filename}: belongs to another model or optimiser: {error}") from None
        for group, values in zip(self.optim_wrapper.param_groups, options, strict=True):
            group.update(values)
        self.train_loop.start_at(epoch, step)
        self.history, self.validated_epoch = meta["history"], meta["validated_epoch"]
        self._has_loaded = True
        log.info("resumed after %d epochs and %d steps of %s", epoch, step, filename)

    def _compare(self, filename: str, meta: dict) -> None:
        """Log with which other options a run goes on, and refuse what its weights or its optimiser are not for.

        Raises:
            CheckpointError: the outputs had other names, or the weights another optimiser.
        """
        anew = "to start another training from its weights, set load_from to it and leave out --resume"
        names = output_names(self.plain_model)
        if meta.get("output_names", names) != names:
            before, now = _first_difference(meta["output_names"], names)
            raise CheckpointError(f"{filename}: its outputs stand for other names: {before}, now {now}; {anew}")
        before, now = (_flatten(json.loads(config_json(c))) for c in (read_stored_config(meta["config"]), self.config))
        kinds = [str(one.get("optim_wrapper.optimizer.type")).rpartition(".")[2] for one in (before, now)]
        if kinds[0] != kinds[1]:
            raise CheckpointError(f"{filename}: was trained by {kinds[0]}, but the config has {kinds[1]}; {anew}")
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            texts = [f"{key} {before.get(key)} -> {now.get(key)}" for key in changed]
            log.info("resuming with other options than before: %s", shorten(texts))

    @property
    def _global_batch(self) -> int:
        return self.train_dataloader.sampler.batch_size * self.world_size

    def _replay_schedules(self, epochs: int, steps: int) -> None:
        """Step the schedules through epochs and steps, to the learning rate (and more) that each group then has.

        A stored position would carry the old schedule's length along: this way a run can be resumed for longer.
        """
        schedulers = self.param_schedulers or []
        every_step = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
        every_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
        # Side by side, as in training: each changes the value that the one before it has left.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch expects a step of the optimiser before one of a schedule
            for epoch in range(epochs + 1):
                for _ in range((len(self.train_dataloader) if epoch < epochs else steps) if every_step else 0):
                    for scheduler in every_step:
                        scheduler.step()
                for scheduler in every_epoch if epoch < epochs else ():
                    scheduler.step()

    # What mmengine does in its own way

    def wrap_model(self, _: object, model: Model) -> nn.Module:
        model = model.to(get_device()).to(memory_format=torch.channels_last)
        if not self.distributed:
            return model
        if unread := freeze_unread(model):
            log.info(
                "the head reads nothing of %d tensors before it, such as %s: they stay as they are",
                len(unread),
                unread[0],
            )
        devices = [int(os.environ["LOCAL_RANK"])] if torch.cuda.is_available() else None
        # Before each step it copies the first process's BatchNorm statistics to all, as resuming does.
        return MMDistributedDataParallel(module=model, device_ids=devices)

    def _init_model_weights(self) -> None:
        """Modules initialise themselves; mmengine would do it again, over loaded weights."""

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        self.register_hook(DistSamplerSeedHook())
        self.register_hook(ParamSchedulerHook())
        if self.distributed:
            self.register_hook(SyncBuffersHook())  # validation shall find the same statistics in every process

    def build_logger(self, **_: object) -> MMLogger:
        # mmengine's own remarks matter only when something is wrong; ours go to the `hrtoolkit` logger.
        logger = MMLogger.get_instance(self.experiment_name, log_level="WARNING")
        # A line for every frozen tensor: what is frozen stands in the config.
        logger.addFilter(lambda record: "is skipped since its requires_grad" not in record.getMessage())
        return logger

    def _log_env(self, _: dict) -> None:
        """Log what is needed to repeat the run; mmengine's report needs `distutils`, gone from Python 3.12."""
        device = (
            torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
        )
        log.info(
            "hrtoolkit %s, torch %s, Python %s, %s%s, seed %d",
            __version__,
            torch.__version__,
            platform.python_version(),
            device,
            f" x {self.world_size} processes" if self.distributed else "",
            self.seed,
        )

    def load_or_resume(self) -> None:
        super().load_or_resume()
        self.write_config()

    def dump_config(self) -> None:
        """Written once the run goes on: a refused --resume leaves the config of the checkpoint where it is."""

    @master_only
    def write_config(self) -> None:
        with write_atomically(Path(self.work_dir) / "config.py") as file:
            file.write(config_text(self.config))


def _flatten(value: Any, path: str = "") -> dict[str, Any]:
    """The values of a config by their paths."""
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for key, one in value.items() for k, v in _flatten(one, f"{path}.{key}" if path else key).items()}


def _first_difference(before: Any, now: Any) -> tuple[Any, Any]:
    """Where two nestings of names first differ."""
    if isinstance(before, dict) and isinstance(now, dict) and before.keys() == now.keys():
        return next(_first_difference(before[key], now[key]) for key in now if before[key] != now[key])
    if isinstance(before, list | tuple) and isinstance(now, list | tuple) and len(before) == len(now):
        return next((one, other) for one, other in zip(before, now, strict=True) if one != other)
    return before, now


def start_logging() -> None:
    """Send what the toolkit and the tasks log to the screen, and keep it for `log_to_file`."""
    screen = ScreenHandler(sys.stdout)
    screen.setFormatter(logging.Formatter("%(message)s"))
    _set_handlers([screen, MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)])


def log_to_file(file: Path) -> None:
    """Append to a file, with the time, what was logged since `start_logging` and what is to come."""
    try:
        to_file = FileHandler(file, encoding="utf-8")
    except OSError as error:
        log.warning("%s: no log: %s", file, explain(error, file.parent))
        return
    to_file.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    handlers = []
    for handler in logging.getLogger("hrtoolkit").handlers:
        if isinstance(handler, MemoryHandler):
            handler.setTarget(to_file)
            handler.flush()
            handler = to_file
        handlers.append(handler)
    _set_handlers(handlers)


class ScreenHandler(logging.StreamHandler):
    """Leaves out what cannot be written: a closed pipe is no reason for a traceback a line."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class FileHandler(logging.FileHandler):
    """Says once that the log cannot be written, and writes on when it can be again."""

    told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self.told:
            self.told = True
            path = Path(self.baseFilename)
            log.warning("%s: lines are missing: %s", path, explain(error, path.parent))


def _set_handlers(handlers: list[logging.Handler]) -> None:
    logger = logging.getLogger("hrtoolkit")
    logger.handlers = handlers if is_main_process() else []
    logger.propagate = False
    logger.setLevel(logging.INFO if is_main_process() else logging.ERROR)


def set_aside(work_dir: Path) -> None:
    """Move the results of an earlier run in this folder to a folder of their own, so that nothing is overwritten."""
    names = ("last.pth", "best.pth", "config.py", "curves.png", "pictures", "tensorboard", "train.log")
    earlier = [work_dir / name for name in names]
    if not any(path.suffix == ".pth" and path.exists() for path in earlier):
        return
    aside = work_dir / f"earlier_{time.strftime('%Y%m%d_%H%M%S')}"
    try:
        aside.mkdir(parents=True)
        for path in earlier:
            if path.exists():
                path.rename(aside / path.name)
    except OSError as error:
        reason = explain(error, work_dir)
        raise UserError(f"{work_dir}: its earlier results could not be moved to {aside.name} ({reason})") from error


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to("cpu") for name, tensor in tensors.items()}

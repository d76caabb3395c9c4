"""The training loop: steps, checkpoints, validation, and leaving in good order when asked to.

A run can end at any moment and go on at the step of its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Literal, NoReturn

import numpy as np
import torch
import torch.distributed as dist
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from hrtoolkit.data.loading import STOP_SIGNALS
from hrtoolkit.engine.combination import Combination, tell
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.errors import TrainingStopped
from hrtoolkit.ranges import Count, NotNegative

log = logging.getLogger(__name__)


class TrainLoop(EpochBasedTrainLoop):
    """Train for whole epochs, validating and saving in between.

    `last.pth` is written after every epoch, after every validation, every `save_minutes`, and when the run is asked to
    stop (SIGTERM, SIGUSR1, SIGHUP, Ctrl-C); `best.pth` when a validation beats all earlier ones.

    Args:
        runner: an engine `Runner`.
        dataloader: of training batches.
        max_epochs: how long.
        val_interval: epochs between two validations; the last epoch is always validated.
        save_minutes: minutes between two checkpoints within an epoch.
        patience: validations in a row that do not beat the best one, after which training ends early; None never.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader,
        max_epochs: Count,
        val_interval: Count = 1,
        save_minutes: NotNegative = 10.0,
        patience: Count | None = None,
    ):
        vars(dataloader.dataset)["metainfo"] = None  # mmengine warns where there is none
        super().__init__(runner, dataloader, max_epochs, val_interval=val_interval)
        self.save_minutes = save_minutes
        self.patience = patience
        self.step = 0  # steps done in this epoch

    def start_at(self, epoch: int, step: int) -> None:
        """Go on after whole epochs and some steps of the next one."""
        self._epoch, self.step = epoch, step
        self._iter = epoch * len(self.dataloader) + step

    def run(self) -> nn.Module:
        self.runner.call_hook("before_train")
        self.saved = time.monotonic()
        with StopRequest() as self.request:
            # The run may have ended between an epoch and its validation.
            if self.step == 0 and self.runner.validated_epoch < self._epoch:
                self.validate_if_due()
            self.stop_training = self.has_stalled()
            while self._epoch < self._max_epochs and not self.stop_training:
                self.run_epoch()
                self.runner.save_last()
                self.validate_if_due()
                self.stop_training = self.has_stalled()
            self.runner.call_hook("after_train")
        self.runner.write_unsaved()
        return self.runner.model

    def run_epoch(self) -> None:
        steps = len(self.dataloader)
        self.dataloader.sampler.start = self.step
        # Gradients are accumulated within an epoch: nothing of them is left over at its end.
        self.runner.optim_wrapper.initialize_count_status(nn.Identity(), self.step, steps)
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        for batch in self.dataloader:
            # What is random in a step follows from its number: no random state has to be stored.
            seeds = np.random.SeedSequence((self.runner.seed, self._iter, self.runner.rank))
            torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))
            self.run_iter(self.step, batch)
            self.step += 1
            # Not between two steps of one accumulation: its gradients are in no checkpoint.
            if self.step < steps and self.runner.optim_wrapper.should_update():
                self.save_or_stop()
        self.dataloader.sampler.start = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch, self.step = self._epoch + 1, 0

    def save_or_stop(self) -> None:
        """Save if it is time to; save and leave if somebody asks for it."""
        save = time.monotonic() - self.saved > 60 * self.save_minutes
        save, stop = self.request.agree(save, self.request.made)
        if save or stop:
            self.runner.save_last()
            self.saved = time.monotonic()
        if stop:
            self.leave(f"step {self.step} of epoch {self._epoch + 1}")

    def leave(self, where: str) -> NoReturn:
        """End the run early.

        Args:
            where: what has been done.

        Raises:
            TrainingStopped: always, but for a `CheckpointError` where something could not be written.
        """
        log.warning("%s: stopping after %s", self.request.reason, where)
        self.runner.write_unsaved()
        raise TrainingStopped(f"stopped after {where}; the same command with --resume goes on there")

    def validate_if_due(self) -> None:
        """Validate, keep the weights if they are the best so far, and save with the new score."""
        if self.request.made_anywhere():
            self.leave(f"epoch {self._epoch}")
        last = self._epoch == self._max_epochs
        if self.runner.val_loop is None or not (last or self._epoch % self.val_interval == 0):
            return
        metrics = self.runner.val_loop.run(self.request)
        if metrics is None:  # the checkpoint is written, and validation can be repeated
            self.leave(f"epoch {self._epoch}, before its validation was done")
        self.runner.validated_epoch = self._epoch
        headline, best = self.runner.headline, self.runner.best
        earlier = [record[headline] for record in self.runner.history[:-1] if headline in record]
        score = metrics.get(headline, math.nan)
        if math.isfinite(score) and score not in earlier and best([*earlier, score]) == score:
            self.runner.save_best({headline: score})
        self.runner.save_last()

    def has_stalled(self) -> bool:
        """Whether the last validations brought nothing better, as many as patience lasts.

        As long as all of them give the same, such as 0, nothing has been learnt yet that could get better.
        """
        headline = self.runner.headline
        scores = [record[headline] for record in self.runner.history if headline in record]
        finite = [score for score in scores if math.isfinite(score)]
        if self.patience is None or len(set(finite)) < 2:
            return False
        waited = len(scores) - 1 - scores.index(self.runner.best(finite))
        stalled = waited >= self.patience
        if stalled:
            log.info("no better %s in %d validations: training ends early", headline, waited)
        return stalled


class EvaluationLoop(BaseLoop):
    """Validate or test: every input of each branch once, then the numbers.

    Args:
        runner: an engine `Runner`.
        dataloader: of test batches, one for each evaluation.
        evaluator: an engine `Evaluation` for each branch.
        stage: "val" or "test", by which hooks are called.
        combination: adds what the numbers of several branches come to.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Sequence[DataLoader],
        evaluator: Sequence[Evaluation],
        stage: Literal["val", "test"] = "val",
        combination: Combination | None = None,
    ):
        super().__init__(runner, dataloader)
        self.evaluator = evaluator
        self.stage = stage
        self.combination = combination

    def run(self, request: StopRequest | None = None) -> dict[str, float] | None:
        """Evaluate, and give the numbers; None if somebody asked to stop before the last input.

        Args:
            request: looked at between batches.
        """
        call, stage = self.runner.call_hook, self.stage
        call(f"before_{stage}")
        call(f"before_{stage}_epoch")
        self.runner.model.eval()
        number = 0
        metrics: dict[str, float] = {}
        for loader, evaluation in zip(self.dataloader, self.evaluator, strict=True):
            evaluation.start()
            branches = {"branches": [evaluation.branch]} if evaluation.branch else {}
            for batch in loader:
                call(f"before_{stage}_iter", batch_idx=number, data_batch=batch)
                with torch.no_grad():
                    answer = self.runner.model.val_step(batch | branches)
                records = answer[evaluation.branch] if branches else answer
                evaluation.add(batch["indices"], records, batch.get("truths"))
                call(f"after_{stage}_iter", batch_idx=number, data_batch=batch, outputs=records)
                number += 1
                if request is not None and request.made:
                    break
            if request is not None and request.made_anywhere():
                return None
            evaluation.finish_samples(loader.sampler.samples)
            metrics |= {tell(evaluation.name, key): value for key, value in evaluation.score().items()}
        if self.combination is not None:
            metrics |= self.combination.gains(metrics)
        call(f"after_{stage}_epoch", metrics=metrics)
        call(f"after_{stage}")
        return metrics


class StopRequest:
    """Notes what asks a run to stop (SIGTERM and SIGUSR1 of schedulers, SIGHUP, Ctrl-C), to be looked at between steps.

    A second Ctrl-C stops at once.
    """

    def __enter__(self) -> StopRequest:
        self.made = False
        self.reason = "another process was asked to stop"
        self.earlier = {}
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            for number in STOP_SIGNALS:
                # `nohup` has a run ignore SIGHUP, and it goes on doing so.
                if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                    self.earlier[number] = signal.signal(number, self._note)
        # Beside the gradients' way: asking must not wait for the GPU.
        self.group: Any = dist.new_group(backend="gloo") if dist.is_initialized() else None
        self.answer: tuple[Any, torch.Tensor] | None = None  # the work that gathers it, and where to
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.earlier.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # It comes at any place, in other people's code and in the middle of a line of the log: nothing is raised or
        # logged here that somebody there could swallow or stumble over.
        if number == signal.SIGINT:
            if self.made:
                raise KeyboardInterrupt
            with suppress(OSError):
                os.write(2, b"\nstopping after this step; Ctrl-C again stops at once\n")
        self.made, self.reason = True, signal.Signals(number).name

    def made_anywhere(self) -> bool:
        """Whether any process was asked to stop; waits for the others."""
        if self.group is None:
            return self.made
        made = torch.tensor(self.made, dtype=torch.uint8)
        dist.all_reduce(made, dist.ReduceOp.MAX, group=self.group)
        return bool(made)

    def agree(self, *wishes: bool) -> list[bool]:
        """What any process wished for, the same in all of them.

        With several processes the answer is that to the call before, which by now is there without waiting.
        """
        if self.group is None:
            return list(wishes)
        answered = [False] * len(wishes)
        if self.answer is not None:
            work, gathered = self.answer
            work.wait()
            answered = gathered.bool().tolist()
        if any(answered):
            self.answer = None  # the wishes of this call are already granted
        else:
            gathered = torch.tensor(wishes, dtype=torch.uint8)
            self.answer = dist.all_reduce(gathered, dist.ReduceOp.MAX, group=self.group, async_op=True), gathered
        return answered

"""From inputs to batches: who gets which sample, in which order."""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.queues import Queue
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, Sampler
from torch.utils.data._utils import signal_handling

from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError
from hrtoolkit.frames import Frame, Size
from hrtoolkit.parts import BatchTargets
from hrtoolkit.ranges import Count, CountFrom0
from hrtoolkit.samples import Input, Inputs

log = logging.getLogger(__name__)
# What asks a run to save and leave: schedulers and closed terminals send them, some to all processes of a run.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP") if hasattr(signal, name)]
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>: the signal that a process gets when its parent dies


class TrainSampler(Sampler[SampleKey]):
    """Every sample once an epoch in a shuffled order, dealt to the processes in turn.

    Where the number of samples is no multiple of the number of processes, the last ones are filled up from the start:
    processes that train together take the same number of steps.

    Args:
        length: number of samples.
        seed: of the order and of the augmentation.
        groups: [length] a number for each sample; batches hold one group alone. None mixes all samples.
        batch_size: samples a process and step.
    """

    def __init__(self, length: int, seed: int, groups: np.ndarray | None = None, *, batch_size: int):
        self.length = length
        self.seed = seed
        self.groups = groups
        self.batch_size = batch_size
        self.epoch = 0
        self.start = 0  # steps to leave out, because they were done before a resumed run was stopped
        self.rank, self.world_size = get_dist_info()

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.length // self.world_size)

    def __iter__(self) -> Iterator[SampleKey]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        order = np.resize(order, len(self) * self.world_size)[self.rank :: self.world_size]
        if self.groups is not None:
            order = order[batch_by_group(self.groups[order], self.batch_size)]
        for index in order[self.start * self.batch_size :]:
            yield SampleKey(int(index), self.epoch, self.seed)


def batch_by_group(groups: np.ndarray, batch_size: int) -> np.ndarray:
    """Reorder samples so that each run of `batch_size` holds one group, in the order in which such batches fill up.

    What is left over of the groups comes last, mixed: every sample appears once.

    Args:
        groups: [N] a number for each sample, in their present order.
        batch_size: samples a batch.

    Returns:
        [N] positions in the present order.
    """
    full, left_over = [], []
    for group in np.unique(groups):
        positions = np.flatnonzero(groups == group)
        whole = len(positions) // batch_size * batch_size
        full.append(positions[:whole].reshape(-1, batch_size))
        left_over.append(positions[whole:])
    batches = np.concatenate(full)
    filled_first = batches[np.argsort(batches[:, -1])]
    return np.concatenate([filled_first.ravel(), np.sort(np.concatenate(left_over))])


class TestSampler(Sampler[int]):
    """One run of neighbouring samples a process, nothing twice: what is finished together stays together.

    Args:
        inputs: what is tested.
    """

    __test__ = False  # not a test case, whatever its name looks like to pytest

    def __init__(self, inputs: Inputs):
        rank, world_size = get_dist_info()
        count = len(inputs.samples)
        self.samples = range(count * rank // world_size, count * (rank + 1) // world_size)
        self.indices = self.samples
        if inputs.owners is not None:
            ends = (self.samples.start, self.samples.stop)
            self.indices = range(*np.searchsorted(inputs.owners, ends).tolist())

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def build_dataloader(
    inputs: Inputs, batch_size: Count = 32, num_workers: CountFrom0 = 4, *, training: bool, seed: int = 0
) -> DataLoader:
    """Batch inputs for this process.

    Args:
        inputs: give an `Input` for a `SampleKey` (training) or an int. Where their view pads batches, training batches
            hold images that are all upright or all lying, to waste little.
        batch_size: inputs a process and step.
        num_workers: processes that read ahead; no more than there are CPU cores.
        training: shuffle and augment, and leave out a last batch of a single input; else every input once, in order.
        seed: of order and augmentation.
    """
    num_workers = count_workers(num_workers)
    if training:
        groups = None
        if inputs.view.multiple is not None and inputs.owners is None:
            width, height = inputs.samples.images.sizes_wh.T
            groups = (width >= height).astype(np.int8)
        sampler: TrainSampler | TestSampler = TrainSampler(len(inputs), seed, groups, batch_size=batch_size)
    else:
        sampler = TestSampler(inputs)
    # Of one input BatchNorm has no statistics: over 1x1 maps it fails, elsewhere it learns from that image alone.
    lone_last = training and 1 < batch_size < len(sampler) and len(sampler) % batch_size == 1
    if lone_last:
        log.info("one of each process's %d training samples is left out of an epoch: a batch by itself", len(sampler))
    return DataLoader(
        inputs,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=lone_last,
        num_workers=num_workers,
        collate_fn=Collate(inputs.view.multiple, inputs.view.smallest),
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=init_worker,
    )


def count_workers(asked: int) -> int:
    """How many processes read ahead: as many as were asked for, but no more than there are CPU cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked > cores:
        log.info("num_workers=%d, but this machine has %d cores: using %d", asked, cores, cores)
    return min(asked, cores)


@contextmanager
def stopping_workers(*loaders: DataLoader) -> Iterator[None]:
    """End the loaders' processes afterwards, whatever state they and their queues are in."""
    try:
        yield
    finally:
        for loader in loaders:
            # Where a loader with persistent workers keeps them; torch has no public way.
            if loader._iterator is not None:
                end_workers(loader._iterator)
                loader._iterator = None


def end_workers(iterator: Any) -> None:
    """End the processes of a loader at once.

    They only read, so there is nothing to wait for. torch's own way waits for them, and for ever where one died while
    it held a lock or was in the middle of a batch.

    Args:
        iterator: torch's, over a loader with persistent workers.
    """
    signal_handling._remove_worker_pids(id(iterator))  # their death is no error from here on
    iterator._worker_pids_set = False
    iterator._shutdown = True
    if hasattr(iterator, "_pin_memory_thread"):  # first: it stumbles over half a batch
        iterator._pin_memory_thread_done_event.set()
        iterator._worker_result_queue.put((None, None))  # wakes it
        iterator._pin_memory_thread.join(timeout=5)
    for worker in iterator._workers:
        worker.kill()
    for worker in iterator._workers:
        worker.join()
    for queue in (*iterator._index_queues, iterator._worker_result_queue):
        queue.cancel_join_thread()
        queue.close()


class Collate:
    """Joins inputs into a batch.

    Args:
        multiple: images are padded at the right and the bottom until the sides of the batch are multiples of this, and
            targets stay a list; None stacks images and targets, which are of one size.
        smallest: the sides of a padded batch are not below this.
    """

    def __init__(self, multiple: int | None = None, smallest: int = 1):
        self.multiple = multiple
        self.smallest = smallest

    def __call__(self, inputs: list[Input]) -> dict[str, Any]:
        """Make the batch.

        Args:
            inputs: one at least.

        Returns:
            `images` [B, 3, H, W] of the inputs' type, in channels_last order; `frames` of all; `indices` int64 [B]; for
            training also `targets`, stacked tensors by name or a list of such for each image, and `seed`; for testing
            `truths`, a list, where truths are files of their own.

        Raises:
            DataError: images are of several sizes where they cannot be padded.
        """
        stack = self.multiple is None
        images = torch.from_numpy(np.stack(self._same_size(inputs))) if stack else self._padded(inputs)
        batch = {
            "images": images.permute(0, 3, 1, 2),
            "frames": Frame.stack([one.frame for one in inputs]),
            "indices": np.array([one.index for one in inputs]),
        }
        targets = [one.targets for one in inputs if one.targets is not None]
        if not targets:
            if inputs[0].truth is not None:
                batch["truths"] = [one.truth for one in inputs]
            return batch
        return batch | {"seed": inputs[0].seed, "targets": self.join_targets(targets)}

    def join_targets(self, targets: Sequence[dict[str, np.ndarray]]) -> BatchTargets:
        """The targets of inputs: stacked tensors by name, or, of a padded batch, a list of such for each input."""
        if self.multiple is None:
            return {name: torch.from_numpy(np.stack([one[name] for one in targets])) for name in targets[0]}
        return [{name: torch.from_numpy(value) for name, value in one.items()} for one in targets]

    @staticmethod
    def _same_size(inputs: list[Input]) -> list[np.ndarray]:
        sizes = sorted({one.pixels.shape[1::-1] for one in inputs})
        if len(sizes) > 1:
            raise DataError(
                f"images of several sizes in one batch (width x height): "
                f"{', '.join(f'{w} x {h}' for w, h in sizes[:5])}; set the dataloader's batch_size to 1, or give the "
                "model a view of one size"
            )
        return [one.pixels for one in inputs]

    def batch_hw(self, sizes: Sequence[Size]) -> Size:
        """Height and width of a batch of inputs of these sizes, which are all the same where nothing is padded."""
        if self.multiple is None:
            return sizes[0]
        height, width = (
            -(-max(*sides, self.smallest) // self.multiple) * self.multiple for sides in zip(*sizes, strict=True)
        )
        return height, width

    def _padded(self, inputs: list[Input]) -> torch.Tensor:
        sizes = [one.pixels.shape[:2] for one in inputs]
        height, width = self.batch_hw(sizes)
        pictures = [torch.from_numpy(one.pixels) for one in inputs]
        images = torch.zeros(len(inputs), height, width, 3, dtype=pictures[0].dtype)
        for padded, picture, (h, w) in zip(images, pictures, sizes, strict=True):
            padded[:h, :w] = picture
        return images


def init_worker(worker: int) -> None:
    """Make a process of a loader one that reads and ends as it is told."""
    # One worker is one core's work: OpenCV's own threads would fight over the others.
    cv2.setNumThreads(0)
    # A batch that cannot be sent, for want of shared memory or open files, would be dropped, and waited for for ever.
    Queue._on_queue_feeder_error = _send_error  # type: ignore[attr-defined]  # Python's own, without a public way
    # The process that reads the batches decides when to stop: a signal to all must leave it its workers until then.
    for number in STOP_SIGNALS:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    process = multiprocessing.parent_process()
    assert process is not None and process.pid is not None, "workers have a parent"
    parent = process.pid
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it died before this worker was bound to it
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_told, args=(parent,), daemon=True).start()


def _end_when_told(parent: int) -> None:
    """Wait for SIGTERM: from the parent it ends this worker at once, from others once the parent has had its time."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        signal.alarm(60)
    os._exit(1)


def _send_error(queue: Queue, error: Exception, unsent: tuple) -> None:
    number, _ = unsent
    queue.put((number, ExceptionWrapper((type(error), error, error.__traceback__), "in DataLoader worker process")))

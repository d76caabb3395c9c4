"""From a dataset to batches: who gets which sample, in which order, and with which random numbers."""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Dataset, Sampler

from hrtoolkit.errors import DataError

log = logging.getLogger(__name__)


class Draw(NamedTuple):
    """Asks a dataset for one sample with augmentation: everything random follows from these three numbers alone.

    The same sample is the same whatever the number of workers or processes, and a resumed run stores no random state.
    """

    index: int
    epoch: int
    seed: int

    def generator(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.epoch, self.index))


@contextmanager
def global_seed(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed Python's, NumPy's and torch's own generators for a while, and put them back afterwards.

    For borrowed transforms that draw from them: inside, they follow from the seed alone.

    Args:
        seed: below 2 ** 32.
        device: whose torch generator is seeded besides the CPU's.
    """
    states = random.getstate(), np.random.get_bit_generator()
    gpus = [] if device is None or device.type != "cuda" else [device]
    with torch.random.fork_rng(devices=gpus):
        random.seed(seed)
        np.random.set_bit_generator(np.random.PCG64(seed))  # copying the state of NumPy's own takes ten times as long
        torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed would reach for all GPUs
        for gpu in gpus:
            torch.cuda.default_generators[gpu.index].manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_bit_generator(states[1])


class TrainSampler(Sampler[Draw]):
    """Every sample once an epoch in a shuffled order, dealt to the processes in turn.

    Where the number of samples is no multiple of the number of processes, the last ones are filled up from the start:
    processes that train together take the same number of steps.

    Args:
        length: number of samples.
        seed: of the order and of the augmentation.
        groups: [length] a number for each sample; batches hold one group alone. None mixes all samples.
        batch_size: samples a process and step, for `groups`.
    """

    def __init__(self, length: int, seed: int, groups: np.ndarray | None = None, batch_size: int = 1):
        self.length = length
        self.seed = seed
        self.groups = groups
        self.batch_size = batch_size
        self.epoch = 0
        self.start = 0  # samples of this process to leave out, because they were seen before a resumed run was stopped
        self.rank, self.world_size = get_dist_info()

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.length // self.world_size)

    def __iter__(self) -> Iterator[Draw]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.length)
        order = np.resize(order, len(self) * self.world_size)[self.rank :: self.world_size]
        if self.groups is not None:
            order = order[batch_by_group(self.groups[order], self.batch_size)]
        for index in order[self.start :]:
            yield Draw(int(index), self.epoch, self.seed)


def batch_by_group(groups: np.ndarray, batch_size: int) -> np.ndarray:
    """Reorder samples so that each run of `batch_size` holds one group, in the order in which such batches fill up.

    What is left over of the groups comes last, mixed: every sample appears once.

    Args:
        groups: [N] a number for each sample, in their present order.
        batch_size: samples a batch.

    Returns:
        [N] positions in the present order.
    """
    batches, left_over = [], []
    for group in np.unique(groups):
        positions = np.flatnonzero(groups == group)
        whole = len(positions) // batch_size * batch_size
        batches.append(positions[:whole].reshape(-1, batch_size))
        left_over.append(positions[whole:])
    batches = np.concatenate(batches)
    filled_first = batches[np.argsort(batches[:, -1])]
    return np.concatenate([filled_first.ravel(), np.sort(np.concatenate(left_over))])


class TestSampler(Sampler[int]):
    """One run of neighbouring samples a process, nothing twice: people of one image stay together.

    Args:
        length: number of samples.
    """

    __test__ = False  # not a test case, whatever its name looks like to pytest

    def __init__(self, length: int):
        rank, world_size = get_dist_info()
        self.indices = range(length * rank // world_size, length * (rank + 1) // world_size)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def build_dataloader(
    dataset: Dataset, batch_size: int = 32, num_workers: int = 4, *, training: bool, seed: int = 0
) -> DataLoader:
    """Batch a dataset for this process.

    Args:
        dataset: gives `{'image', 'targets', 'meta'}` for a `Draw` (training) or an int. It may bring its own `collate`,
            and `groups` [N], a number for each sample: training batches then hold samples of one group.
        batch_size: samples a process and step.
        num_workers: processes that read ahead; no more than there are CPU cores.
        training: shuffle and augment, and leave out a last batch of a single sample; else every sample once, in order.
        seed: of order and augmentation.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if num_workers > cores:
        log.info("num_workers=%d, but this machine has %d cores: using %d", num_workers, cores, cores)
        num_workers = cores
    if training:
        sampler = TrainSampler(len(dataset), seed, getattr(dataset, "groups", None), batch_size)
    else:
        sampler = TestSampler(len(dataset))
    # Of one sample BatchNorm has no statistics: over 1x1 maps it fails, elsewhere it learns from that image alone.
    lone_last = training and 1 < batch_size < len(sampler) and len(sampler) % batch_size == 1
    if lone_last:
        log.info("one of each process's %d training samples is left out of an epoch: a batch by itself", len(sampler))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=lone_last,
        num_workers=num_workers,
        collate_fn=getattr(dataset, "collate", collate),
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=_init_worker,
    )


@contextmanager
def stopping_workers(*loaders: DataLoader) -> Iterator[None]:
    """End the loaders' processes afterwards: those still there when Python exits die with a traceback."""
    try:
        yield
    finally:
        for loader in loaders:
            if (
                loader._iterator is not None
            ):  # where a loader with persistent workers keeps them; torch has no public way
                loader._iterator._shutdown_workers()


def collate(samples: list[dict]) -> dict:
    """Join samples into a batch.

    Args:
        samples: each with `image` uint8 [H, W, 3], `targets` (a dict of arrays, the same shapes in every sample; may be
            missing) and `meta` (a dict).

    Returns:
        `images` uint8 [B, 3, H, W], in channels_last order without a copy, `targets` stacked, `meta` a list of dicts.

    Raises:
        DataError: the images are of several sizes.
    """
    sizes = sorted({sample["image"].shape[1::-1] for sample in samples})
    if len(sizes) > 1:
        raise DataError(
            f"images of several sizes in one batch (width x height): {', '.join(f'{w} x {h}' for w, h in sizes[:5])}; "
            "set the dataloader's batch_size to 1, or give the dataset a transform to one size"
        )
    images = torch.from_numpy(np.stack([sample["image"] for sample in samples]))
    batch = {"images": images.permute(0, 3, 1, 2), "meta": [sample["meta"] for sample in samples]}
    if "targets" in samples[0]:
        batch["targets"] = {
            name: torch.from_numpy(np.stack([sample["targets"][name] for sample in samples]))
            for name in samples[0]["targets"]
        }
    return batch


def collate_padded(samples: list[dict], multiple: int = 32, smallest: int = 64) -> dict:
    """Join samples of several sizes and with any number of objects into a batch.

    Images are padded on the right and at the bottom; the model blanks what lies beyond `input_hw` after normalising.

    Args:
        samples: each with `image` [H, W, 3], uint8 or float32, `targets` (a dict of arrays of any shape; may be
            missing) and `meta` (a dict).
        multiple: the padded height and width are multiples of this.
        smallest: they are not below this either: the coarsest map of a pyramid, of stride 64, needs a cell.

    Returns:
        `images` [B, 3, H, W] in channels_last order and of the samples' type, `targets` and `meta` lists with one dict
        an image, each with `input_hw`, its height and width before padding.
    """
    sizes = [sample["image"].shape[:2] for sample in samples]
    height, width = (-(-max(*sides, smallest) // multiple) * multiple for sides in zip(*sizes, strict=True))
    pictures = [torch.from_numpy(sample["image"]) for sample in samples]
    images = torch.zeros(len(samples), height, width, 3, dtype=pictures[0].dtype)
    for padded, picture, (h, w) in zip(images, pictures, sizes, strict=True):
        padded[:h, :w] = picture
    batch = {
        "images": images.permute(0, 3, 1, 2),
        "meta": [{**sample["meta"], "input_hw": size} for sample, size in zip(samples, sizes, strict=True)],
    }
    if "targets" in samples[0]:
        batch["targets"] = [
            {**{name: torch.from_numpy(value) for name, value in sample["targets"].items()}, "input_hw": size}
            for sample, size in zip(samples, sizes, strict=True)
        ]
    return batch


def _init_worker(worker: int) -> None:
    # One worker is one core's work: OpenCV's own threads would fight over the others.
    cv2.setNumThreads(0)
    # The process that reads the batches decides when to stop: a signal to all of them must not take its workers away.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(300))  # should it fail to end this worker, that does

"""Random numbers that follow from which sample is asked for, and from nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import mtrand


class SampleKey(NamedTuple):
    """Asks for one input with augmentation: everything random follows from these three numbers only.

    The same input is the same whatever the number of workers or processes, and a resumed run stores no random state.
    """

    index: int  # type: ignore[assignment]  # hides `tuple.index`, which nobody asks for
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
    states = random.getstate(), mtrand.get_bit_generator()
    gpus = [] if device is None or device.type != "cuda" else [device]
    with torch.random.fork_rng(devices=gpus):
        random.seed(seed)
        mtrand.set_bit_generator(np.random.PCG64(seed))  # copying the state of NumPy's own takes ten times as long
        torch.default_generator.manual_seed(seed)  # the CPU's alone: torch.manual_seed would reach for all GPUs
        for gpu in gpus:
            torch.cuda.default_generators[gpu.index].manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            mtrand.set_bit_generator(states[1])

"""Batches for several branches, from sources that each have truth of some of them.

A step takes a fixed number of inputs of each source in every process, so that a branch without truth is the exception.
Everything random follows from the seed and the number of the step: a resumed run seeks.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import get_dist_info
from numpy import ndarray
from torch.utils.data import DataLoader, Dataset, Sampler

from hrtoolkit.data.loading import Collate, count_workers, init_worker
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError
from hrtoolkit.frames import Frame
from hrtoolkit.ranges import Count, CountFrom0
from hrtoolkit.samples import Input, Inputs


class SourceKey(NamedTuple):
    """Asks for one training input of a source."""

    source: str
    key: SampleKey


class SharedInput(NamedTuple):
    """One input of a network with the targets of those branches that have truth of it."""

    pixels: ndarray  # RGB [h, w, 3]
    frame: Frame
    targets: dict[str, dict[str, ndarray]]  # by branch
    seed: int


class SharedInputs:
    """The inputs of a source as branches of one view look at them: read, warped and passed once for all.

    Branches may have their truth from different data sets of whole images, which are joined by the paths of the images;
    the first branch that knows an image says how it is augmented.

    Args:
        inputs: of each branch, by its name, with targets.

    Raises:
        DataError: data sets cannot be joined, because they show crops, or one has an image twice.
    """

    def __init__(self, inputs: Mapping[str, Inputs]):
        self.inputs = dict(inputs)
        self.view = next(iter(inputs.values())).view
        # Which input of each branch shows an image, -1 for none: [branches, N].
        self.places = np.stack(_join([_names(one, inputs.values()) for one in inputs.values()]))

    def __len__(self) -> int:
        return self.places.shape[1]

    def __getitem__(self, key: SampleKey) -> SharedInput:
        known = {
            name: (one, int(place))
            for (name, one), place in zip(self.inputs.items(), self.places[:, key.index], strict=True)
            if place >= 0
        }
        leader, place = next(iter(known.values()))
        image = leader.read(leader.sample_of(place))
        truths = {name: one.truth(place) for name, (one, place) in known.items()}
        own = key._replace(index=place)
        pixels, frame, seed = leader.look(own, image, next(iter(truths.values())))
        targets = {name: one.learn(truths[name], frame) for name, (one, _) in known.items()}
        return SharedInput(pixels, frame, targets, seed)


def _names(inputs: Inputs, others: Iterable[Inputs]) -> Sequence[Any]:
    """By what the inputs of one branch are found among those of others."""
    if all(one.samples is inputs.samples for one in others):
        return range(len(inputs))
    if inputs.owners is not None:
        where = inputs.samples.findings.where
        raise DataError(f"{where}: crops are not joined with those of another data set; make it a source of its own")
    paths = [os.path.abspath(path) for path in inputs.samples.images.paths.tolist()]  # noqa: PTH100 (bytes)
    if len(set(paths)) < len(paths):
        twice = next(path for path, count in Counter(paths).items() if count > 1)
        raise DataError(
            f"{inputs.samples.findings.where}: {os.fsdecode(twice)} stands there twice, so its truth cannot be joined "
            "with that of another data set; make it a source of its own"
        )
    return paths


def _join(names: Sequence[Sequence[Any]]) -> list[ndarray]:
    """Positions of the union of several lists of names in each of them, -1 where it lacks one."""
    union = dict.fromkeys(name for one in names for name in one)
    places = []
    for one in names:
        at = {name: i for i, name in enumerate(one)}
        places.append(np.array([at.get(name, -1) for name in union], np.int64))
    return places


class Sources(Dataset[list[SharedInput]]):
    """Several sources; it is asked for all inputs of a step at once.

    Args:
        sources: by name.
    """

    def __init__(self, sources: Mapping[str, SharedInputs]):
        self.sources = dict(sources)

    def __len__(self) -> int:
        return sum(map(len, self.sources.values()))

    def __getitem__(self, keys: Sequence[SourceKey]) -> list[tuple[str, SharedInput]]:  # type: ignore[override]
        return [(name, self.sources[name][key]) for name, key in keys]


class StepSampler(Sampler[list[SourceKey]]):
    """What each step of this process is made of: a fixed number of inputs of every source.

    A source is walked through again and again, each time in another order; processes are dealt its inputs in turn.

    Args:
        lengths: inputs of each source.
        batch_sizes: inputs of each source a process and step.
        seed: of order and augmentation.
        steps: of an epoch; None for those that the longest source takes.
    """

    def __init__(
        self, lengths: Mapping[str, int], batch_sizes: Mapping[str, Count], seed: int, steps: Count | None = None
    ):
        self.lengths, self.batch_sizes, self.seed = dict(lengths), dict(batch_sizes), seed
        self.batch_size = sum(batch_sizes.values())
        self.rank, self.world_size = get_dist_info()
        longest = max(-(-length // (batch_sizes[name] * self.world_size)) for name, length in lengths.items())
        self.steps = longest if steps is None else steps
        self.epoch = 0
        self.start = 0  # steps to leave out, because they were done before a resumed run was stopped
        self._orders: dict[str, tuple[int, ndarray]] = {}  # the last one of each source

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[SourceKey]]:
        for step in range(self.epoch * self.steps + self.start, (self.epoch + 1) * self.steps):
            yield [SourceKey(name, key) for name in self.lengths for key in self._of_source(name, step)]

    def _of_source(self, name: str, step: int) -> Iterator[SampleKey]:
        count, length = self.batch_sizes[name], self.lengths[name]
        first = step * count * self.world_size + self.rank
        for place in range(first, first + count * self.world_size, self.world_size):
            walk, place = divmod(place, length)
            if self._orders.get(name, (None,))[0] != walk:
                # By its name, so that what a branch sees does not depend on what others learn from.
                order = np.random.default_rng((self.seed, walk, zlib.crc32(name.encode()))).permutation(length)
                self._orders[name] = walk, order
            yield SampleKey(int(self._orders[name][1][place]), walk, self.seed)


class JointCollate:
    """Joins the inputs of a step into a batch for each view, whatever source they are of.

    Args:
        views: the name of the view that each source is looked at through.
        collates: of each view, by its name.
    """

    def __init__(self, views: Mapping[str, str], collates: Mapping[str, Collate]):
        self.views = dict(views)
        self.collates = dict(collates)

    def __call__(self, inputs: Sequence[tuple[str, SharedInput]]) -> dict[str, Any]:
        """Make the batches: `batches` by view, with `images`, `frames`, `seed`, and `targets` and `rows` by branch."""
        batches = {}
        for view, collate in self.collates.items():
            own = [one for source, one in inputs if self.views[source] == view]
            if not own:
                continue
            plain = [Input(i, one.pixels, one.frame) for i, one in enumerate(own)]
            batch = collate(plain) | {"targets": {}, "rows": {}, "seed": own[0].seed}
            for branch in dict.fromkeys(name for one in own for name in one.targets):
                rows = [row for row, one in enumerate(own) if branch in one.targets]
                batch["rows"][branch] = np.array(rows)
                batch["targets"][branch] = collate.join_targets([own[row].targets[branch] for row in rows])
            del batch["indices"]
            batches[view] = batch
        return {"batches": batches}


def build_joint_dataloader(
    sources: Mapping[str, SharedInputs],
    views: Mapping[str, str],
    batch_sizes: Mapping[str, Count],
    num_workers: CountFrom0 = 4,
    steps: Count | None = None,
    *,
    seed: int = 0,
) -> DataLoader:
    """Batch several sources for this process.

    Args:
        sources: training inputs by name.
        views: the name of the view that each source is looked at through.
        batch_sizes: inputs of each source a process and step.
        num_workers: processes that read ahead; no more than there are CPU cores.
        steps: of an epoch; None for those that the longest source takes.
        seed: of order and augmentation.
    """
    looks = {views[name]: one.view for name, one in sources.items()}
    collates = {name: Collate(view.multiple, view.smallest) for name, view in looks.items()}
    num_workers = count_workers(num_workers)
    return DataLoader(
        Sources(sources),
        batch_size=None,
        sampler=StepSampler({name: len(one) for name, one in sources.items()}, batch_sizes, seed, steps),
        num_workers=num_workers,
        collate_fn=JointCollate(views, collates),
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=init_worker,
    )

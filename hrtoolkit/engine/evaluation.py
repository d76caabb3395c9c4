"""Scoring: finish the records of each sample, measure them where they were predicted, and score all measures once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process

from hrtoolkit.errors import DataError, UserError, shorten
from hrtoolkit.files import check_writable, explain
from hrtoolkit.metric import Metric, Writer, finish_of, measure_sample, score_subsets
from hrtoolkit.records import Objects, Record
from hrtoolkit.samples import Inputs, Samples
from hrtoolkit.schemes import KeypointScheme, convert

log = logging.getLogger(__name__)


class Measured(NamedTuple):
    """What is kept of a sample."""

    sample: int
    measures: dict[int, Any]  # by the places of the metrics; without those that the sample does not count for
    packed: list | None  # for the result file


class Evaluation:
    """Takes the records of a model input by input, and gives the numbers of all samples.

    Records of a sample come side by side, from one process. Its measures are gathered from all processes and scored in
    the main one, in the order of the samples' ids; every process gets the numbers.

    Args:
        inputs: what is tested.
        metrics: their numbers go into one dict; the first one has the headline.
        finish: of the branch.
        out: where the first metric's writer puts finished records; None for nowhere.
        watch: called with each sample, its record and its truth, in the scheme of the data; for pictures.
        branch: name of the one that predicts, where branches have names.
        name: what the numbers are told by.
    """

    def __init__(
        self,
        inputs: Inputs,
        metrics: Sequence[Metric],
        finish: Callable[[Sequence[Record]], Record],
        out: str | None = None,
        watch: Callable[[int, Record, Record | None], None] | None = None,
        branch: str = "",
        name: str = "",
    ):
        self.inputs = inputs
        self.metrics = list(metrics)
        self.finish = finish
        self.out = out
        self.watch = watch
        self.branch = branch
        self.name = name
        self.writer: Writer | None = self.metrics[0].writer if out is not None else None
        if out is not None:
            if self.writer is None:
                raise UserError(f"{type(self.metrics[0]).__name__} writes no result files; leave out --out")
            _check_apart(out, self.writer.folder, inputs.samples)
            check_writable(out, self.writer.folder)
        # Which keypoints of the data the head does not have, bool [K]; None where it has all.
        self.unknown: np.ndarray | None = None
        self.scored = inputs.scheme  # what is finished: keypoints that both have, by what is known of them in the data
        own, heads = inputs.samples.scheme, inputs.scheme.common().names
        if isinstance(own, KeypointScheme) and set(own.common().names) != set(heads):
            known = np.isin(own.common().names, heads)
            self.scored = own.take([one for one, is_known in zip(own.names, known, strict=True) if is_known])
            self.finish = finish_of(finish, self.scored)
            if not known.all():
                self.unknown = ~known
                absent = [one for one, is_known in zip(own.names, known, strict=True) if not is_known]
                log.info("%s: not scored, for the head does not have them: %s", name, shorten(absent))
        self.unwritten: Exception | None = None  # why records could not be written
        self.measures: dict[str, dict[str, list]] = {}  # of the last evaluation, by metric and subset
        self.start()

    def start(self) -> None:
        """Forget what was measured."""
        self.measured: list[Measured] = []
        self._waiting: list[Record] = []  # of one sample
        self._sample: int | None = None
        self._truth: Record | None = None

    def add(self, indices: Sequence[int], records: Sequence[Record], truths: Sequence[Record] | None = None) -> None:
        """Take the records of a batch.

        Args:
            indices: of the inputs.
            records: as the head predicts them, one an input.
            truths: of the inputs, where the batch brings them.
        """
        for row, (index, record) in enumerate(zip(indices, records, strict=True)):
            sample = self.inputs.sample_of(int(index))
            if sample != self._sample:
                self._measure()
                self._sample = sample
            labels = self.inputs.labels
            if labels is not None:
                assert isinstance(record, Objects), "crops show objects"
                record = record._replace(labels=labels[[int(index)]])
            self._waiting.append(record)
            self._truth = None if truths is None else truths[row]

    def _measure(self) -> None:
        """Measure the sample whose records are all there."""
        if self._sample is None:
            return
        sample, samples = self._sample, self.inputs.samples
        truth = self._known(self._truth if samples.truth_files else samples.truth(sample))
        waiting = [convert(one, self.inputs.scheme, self.scored) for one in self._waiting]
        record = self._fill(convert(self.finish(waiting), self.scored, samples.scheme))
        self._waiting, self._sample = [], None
        if self.watch is not None:
            self.watch(sample, record, truth)
        packed = None
        if self.writer is not None and self.out is not None and self.unwritten is None:
            try:
                packed = self.writer.pack(self.out, samples.images.ids[sample].item(), record, samples.scheme)
            except (UserError, OSError) as error:  # the numbers matter more, and come first
                log.error("%s; going on without writing", error)
                self.unwritten = error
        self.measured.append(Measured(sample, self._compare(sample, record, truth), packed))

    def _compare(self, sample: int, record: Record | None, truth: Record | None) -> dict[int, Any]:
        return {
            place: measure_sample(metric, self.inputs.samples, sample, record, truth)
            for place, metric in enumerate(self.metrics)
            if truth is not None or metric.videos
        }

    def add_results(self, records: Mapping[int, Record]) -> None:
        """Take finished records of samples that were predicted before, in the scheme of the data.

        Args:
            records: by sample.
        """
        samples = self.inputs.samples
        for sample, record in records.items():
            truth = samples.truth(sample)
            if self.watch is not None:
                self.watch(sample, record, truth)
            self.measured.append(Measured(sample, self._compare(sample, record, truth), None))

    def _fill(self, record: Record) -> Record:
        """A record whose keypoints that the head does not have lie in the middle of the others.

        In the image's corner they would make people larger, and take them out of regions that are ignored.
        """
        if self.unknown is None or not isinstance(record, Objects) or record.points is None:
            return record
        middle = record.points[:, ~self.unknown].mean(axis=1, keepdims=True)
        return record._replace(points=np.where(self.unknown[:, None], middle, record.points))

    def _known(self, truth: Record | None) -> Record | None:
        """Truth without keypoints that the head does not have: nobody could find them."""
        if self.unknown is None or not isinstance(truth, Objects) or truth.visible is None:
            return truth
        visible = truth.visible * ~self.unknown
        nothing_left: np.ndarray = (truth.visible > 0).any(axis=1) & ~(visible > 0).any(axis=1)
        ignored = nothing_left if truth.ignored is None else truth.ignored | nothing_left
        return truth._replace(visible=visible, ignored=ignored)

    def finish_samples(self, share: Sequence[int]) -> None:
        """Measure the last sample, and those of this process's share that have no input.

        Args:
            share: all samples that this process is to score.
        """
        self._measure()
        samples = self.inputs.samples
        seen = {one.sample for one in self.measured}
        for sample in share:
            if sample not in seen:
                compared = self._compare(sample, None, self._known(samples.truth(sample)))
                self.measured.append(Measured(sample, compared, None))

    def score(self) -> dict[str, float]:
        """The numbers, the same in every process.

        Raises:
            RuntimeError: a sample is missing, or was measured twice.
        """
        gathered = all_gather_object(self.measured)
        outcome: list[Any] = [None]
        if is_main_process():
            try:
                outcome = [self._score(sorted((one for part in gathered for one in part), key=lambda one: one.sample))]
            except Exception as error:  # whatever it is, the other processes must not wait for numbers for ever
                outcome = [error]
        broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        return outcome[0]

    def _score(self, measured: list[Measured]) -> dict[str, float]:
        samples = self.inputs.samples
        if [one.sample for one in measured] != list(range(len(samples))):
            raise RuntimeError(
                f"{len(measured)} measures for {len(samples)} samples: some are missing, or were measured twice"
            )
        self._packed = [entry for one in measured for entry in one.packed or ()]
        numbers: dict[str, float] = {}
        for position, metric in enumerate(self.metrics):
            measures = {one.sample: one.measures[position] for one in measured if position in one.measures}
            if not measures:
                log.warning("nothing is known of any of the %d samples: there are no numbers", len(measured))
                break
            scores, by_subset = score_subsets(metric, samples, measures)
            if repeated := numbers.keys() & scores.keys():
                raise DataError(f"two metrics of this config give {', '.join(sorted(repeated))}; leave one of them out")
            self.measures[type(metric).__name__] = by_subset
            numbers |= scores
        return numbers

    def write(self) -> None:
        """Write the result file, in the main process, after the numbers are known.

        Raises:
            UserError: it cannot be written, or what belongs to it could not.
        """
        if self.out is None or self.writer is None:
            return
        if self.unwritten is None and is_main_process():
            try:
                self.writer.write(self.out, self._packed)
            except (UserError, OSError) as error:
                self.unwritten = error
        if isinstance(self.unwritten, OSError):
            reason = explain(self.unwritten, Path(self.out).parent)
            raise UserError(f"{self.out}: could not be written: {reason}") from self.unwritten
        if self.unwritten is not None:
            raise self.unwritten

    def draw(self) -> dict[str, np.ndarray]:
        """Pictures of the metrics by name, of the last evaluation, in the main process."""
        scheme = self.inputs.samples.scheme
        pictures: dict[str, np.ndarray] = {}
        for metric in self.metrics:
            pictures |= metric.draw(self.measures.get(type(metric).__name__, {}), scheme)
        return pictures


def _check_apart(out: str, folder: bool, samples: Samples) -> None:
    """Refuse to write results over the data, or among them."""
    path, files = Path(out).resolve(), samples.files()
    if folder:
        folders = {os.path.split(file)[0] for file in files}
        hit = next((one for one in folders if Path(one).resolve().is_relative_to(path)), None)
    else:
        hit = next((file for file in files if Path(file).name == path.name and Path(file).resolve() == path), None)
    if hit is not None:
        raise UserError(f"{out}: results there would lie among the data in {hit} or replace them; name another place")

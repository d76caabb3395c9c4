"""Real images that an export is calibrated on and held against: a config's data, or pictures that somebody names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError
from hrtoolkit.metric import Metric, measure_sample, score_subsets
from hrtoolkit.predict.boxes import BoxesLike, use_boxes
from hrtoolkit.predict.sources import Readables, open_source
from hrtoolkit.records import Objects, Record
from hrtoolkit.runtime.geometry import to_xyxy
from hrtoolkit.samples import Samples
from hrtoolkit.schemes import Scheme, convert


@dataclass(frozen=True)
class Examples:
    """Images, where to look in them, and what is true of them where somebody knows.

    Args:
        what: they are, for the certificate.
        names: of the images.
        read: the image of a position, RGB uint8 [H, W, 3].
        boxes: [N, 5], x1, y1, x2, y2 and score, of a position; None for networks that see whole images.
        samples: that they are from, at `positions`; None for pictures.
        positions: among the samples.
        metric: of the data.
        labels: [N] of the boxes of a position, where they are of several kinds.
    """

    what: str
    names: Sequence[str]
    read: Callable[[int], ndarray]
    boxes: Callable[[int], ndarray] | None = None
    samples: Samples | None = None
    positions: Sequence[int] = ()
    metric: Metric | None = None
    labels: Callable[[int], ndarray] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[tuple[ndarray, ndarray | None]]:
        for place in range(len(self)):
            yield self.read(place), None if self.boxes is None else self.boxes(place)

    def score(self, records: Sequence[Record], scheme: Scheme) -> float | None:
        """The headline of the metric; None where no truth is known.

        Args:
            records: one an image.
            scheme: of the records.
        """
        samples, metric = self.samples, self.metric
        if samples is None or metric is None:
            return None
        measures = {}
        for place, (position, record) in enumerate(zip(self.positions, records, strict=True)):
            truth = samples.truth(position)
            if truth is not None:
                # Nobody looked where there is no box.
                found = None if isinstance(record, Objects) and not len(record.labels) and self.boxes else record
                if isinstance(found, Objects) and self.boxes is not None and self.labels is not None:
                    # A predictor is told no kinds: they are those of the boxes that it was given.
                    same = (found.boxes_xyxy[:, None] == self.boxes(place)[:, :4]).all(axis=2)
                    found = found._replace(labels=self.labels(place)[same.argmax(axis=1)])
                found = None if found is None else convert(found, scheme, samples.scheme)
                measures[position] = measure_sample(metric, samples, position, found, truth)
        return score_subsets(metric, samples, measures)[0].get(metric.headline) if measures else None


def examples_of_data(samples: Samples, metric: Metric | None, sees_crops: bool, most: int, name: str) -> Examples:
    """Some samples of a data set, spread evenly over it.

    Args:
        samples: the data set.
        metric: of it.
        sees_crops: whether the network looks at crops.
        most: how many are taken.
        name: of the data, for the certificate.
    """
    crops = samples.crops() if sees_crops else None
    there: Sequence[int] = range(len(samples)) if crops is None else np.unique(crops.samples).tolist()
    if len(there) > most:
        there = [there[i] for i in np.linspace(0, len(there) - 1, most).round().astype(int).tolist()]
    boxes = labels = None
    if crops is not None:
        windows = np.concatenate([to_xyxy(crops.windows_xywh), crops.scores[:, None]], axis=1)
        by_sample = {position: windows[crops.samples == position] for position in there}

        def boxes(place: int) -> ndarray:
            return by_sample[there[place]]

        if crops.labels is not None:
            kinds = {position: crops.labels[crops.samples == position] for position in there}

            def labels(place: int) -> ndarray:
                return kinds[there[place]]

    return Examples(
        what=f"{len(there)} of {len(samples)} images of the {name} data ({samples.findings.where})",
        names=[os.fsdecode(samples.images.paths[position]) or f"image {position}" for position in there],
        read=lambda place: samples.read(there[place]),
        boxes=boxes,
        samples=samples,
        positions=there,
        metric=metric,
        labels=labels,
    )


def examples_of_pictures(source: Readables, boxes: BoxesLike | None, sees_crops: bool, most: int) -> Examples:
    """Pictures that somebody names.

    Args:
        source: see `hrtoolkit.predict.sources.open_source`.
        boxes: see `hrtoolkit.predict.boxes.use_boxes`; by default the whole picture is one crop.
        sees_crops: whether the network looks at crops.
        most: how many are taken.

    Raises:
        DataError: there are none, or one cannot be read.
    """
    pictures = list(islice(open_source(source), most))
    if not pictures:
        raise DataError(f"{source!r}: no picture is there")
    rows: Mapping[int, ndarray] = {}
    if sees_crops:
        find = use_boxes("whole" if boxes is None else boxes)
        found = [find(place, picture) for place, picture in enumerate(pictures)]
        rows = {place: np.column_stack([one.boxes_xyxy, one.scores]) for place, one in enumerate(found)}
    return Examples(
        what=f"{len(pictures)} pictures",
        names=[picture.source.name for picture in pictures],
        read=lambda place: pictures[place].image,
        boxes=rows.__getitem__ if sees_crops else None,
    )

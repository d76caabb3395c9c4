"""A metric measures one sample at a time, and scores the measures of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import Moved
from hrtoolkit.records import Objects, Record
from hrtoolkit.samples import Samples
from hrtoolkit.schemes import Scheme
from hrtoolkit.tracking.keypoints import VideoFrame

Truth = TypeVar("Truth", bound=Record, contravariant=True)  # the kind of record that a metric measures
Named = TypeVar("Named", bound=Scheme, contravariant=True)  # and of its scheme
Measure = TypeVar("Measure")  # what it keeps of a sample


class Metric(Protocol[Truth, Named, Measure]):
    """The protocol of a benchmark. Required are `headline`, `measure` and `score`.

    It reads no file, gathers nothing and knows nothing of processes: `hrtoolkit.engine.evaluation` does that for all.
    """

    @property
    def headline(self) -> str:
        """Which of the scores decides what weights are best."""
        ...

    @property
    def best(self) -> Callable:
        """Chooses the best of several: `max` by default, `min` where the headline is an error."""
        ...

    @property
    def perfect(self) -> float | None:
        """Headline of the annotations themselves, 1 by default; None where that says nothing."""
        ...

    @property
    def most(self) -> int | None:
        """How many predictions of a sample count, the best ones; None for all."""
        ...

    @property
    def writer(self) -> Writer | None:
        """Of the benchmark's result files; None where it has none."""
        ...

    @property
    def read(self) -> Callable[[str, Samples], Mapping[int, Record]] | None:
        """Reads the benchmark's result files: finished records by sample, of a path; None where it reads none.

        Raises:
            DataError: they are not whole, or of other samples.
        """
        ...

    @property
    def videos(self) -> bool:
        """Whether people are followed through videos: `measure_frame` takes the place of `measure`; by default not."""
        ...

    def measure(self, prediction: Truth | None, truth: Truth, scheme: Named) -> Measure:
        """What scoring needs of one sample; small, because it is kept and sent between processes.

        Args:
            prediction: finished; None where nobody looked, because a sample has no crop.
            truth: everything that is annotated, what is ignored too.
            scheme: of the data.
        """
        ...

    def measure_frame(
        self, prediction: Truth | None, truth: Truth | None, scheme: Named, frame: VideoFrame | None
    ) -> Measure:
        """`measure` of a metric of `videos`: of every frame, also where nothing is known of it.

        Args:
            prediction: finished; None where nobody looked.
            truth: everything that is annotated; None where nothing is known.
            scheme: of the data.
            frame: of the video; None where samples are pictures by themselves.

        Raises:
            DataError: there are no videos.
        """
        ...

    def expect(self, measures: list[Measure], scheme: Named) -> float | None:
        """Headline of the annotations themselves by the rules of the metric; by default `perfect`.

        Args:
            measures: of the annotations taken for predictions.
            scheme: of the data.
        """
        ...

    def score(self, measures: list[Measure], scheme: Named) -> dict[str, float]:
        """The numbers of all samples of a data set that something is known of.

        Args:
            measures: in the order of the samples' ids, of equal ids in the order of the samples.
            scheme: of the data.

        Returns:
            numbers by name.

        Raises:
            DataError: the data lacks what the score depends on.
        """
        ...

    def score_subset(self, measures: list[Measure], scheme: Named) -> dict[str, float]:
        """The numbers of a subset, as `score` has them; by default the same ones, and none where it is empty."""
        ...

    def draw(self, measures: Mapping[str, list[Measure]], scheme: Named) -> dict[str, ndarray]:
        """Pictures by name, RGB uint8 [H, W, 3], such as a confusion matrix; none by default.

        Args:
            measures: "all" of them, and those of each subset by its name.
            scheme: of the data.
        """
        ...


class BaseMetric(Generic[Measure]):
    """Defaults of a metric."""

    moved: ClassVar[Moved] = {}
    best: Callable = max
    perfect: float | None = 1.0
    most: int | None = None
    writer: Writer | None = None
    read: Callable[[str, Samples], Mapping[int, Record]] | None = None
    videos: bool = False

    def measure_frame(
        self, prediction: Record | None, truth: Record | None, scheme: Scheme, frame: VideoFrame | None
    ) -> Measure:
        raise NotImplementedError

    def expect(self: Metric[Truth, Named, Measure], measures: list[Measure], scheme: Named) -> float | None:
        return self.perfect

    def score_subset(self: Metric[Truth, Named, Measure], measures: list[Measure], scheme: Named) -> dict[str, float]:
        return self.score(measures, scheme) if measures else {}

    def draw(self, measures: Mapping[str, list[Measure]], scheme: Scheme) -> dict[str, ndarray]:
        return {}


class Writer(Protocol):
    """Writes finished records in a benchmark's result format. Required are `pack` and `write`."""

    @property
    def folder(self) -> bool:
        """Whether results are a folder with a file a sample; by default they are one file."""
        ...

    def pack(self, path: str, sample_id: int | str, record: Record, scheme: Scheme) -> list:
        """What the file will say of one sample, a list of what json can hold.

        Args:
            path: that results go to; a format of one file a sample writes it here.
            sample_id: as the annotations have it.
            record: finished.
            scheme: of the data.
        """
        ...

    def write(self, path: str, packed: list) -> None:
        """Write what was packed of all samples, in the order of the samples.

        Args:
            path: of the file.
            packed: of all samples, joined.
        """
        ...


class BaseWriter:
    """Defaults of a writer."""

    folder: bool = False


def score_subsets(
    metric: Metric[Record, Scheme, Measure], samples: Samples, measures: Mapping[int, Measure]
) -> tuple[dict[str, float], dict[str, list[Measure]]]:
    """Score the measures of all samples, and those of each subset apart.

    Args:
        metric: scores them.
        samples: have ids and subsets.
        measures: of the samples that something is known of, by their positions.

    Returns:
        numbers by name, those of a subset as "NAME subset", and the measures of "all" and of each subset, in the order
        of the ids.
    """
    order = [sample for sample in np.argsort(samples.images.ids, kind="stable").tolist() if sample in measures]
    by_subset = {"all": [measures[sample] for sample in order]}
    for name, chosen in samples.subsets.items():
        by_subset[name] = [measures[sample] for sample in order if chosen[sample]]
    numbers: dict[str, float] = {}
    for name, some in by_subset.items():
        score = metric.score if name == "all" else metric.score_subset
        scores = {key: float(value) for key, value in score(some, samples.scheme).items()}
        numbers |= scores if name == "all" else {f"{key} {name}": value for key, value in scores.items()}
    return numbers, {name: some for name, some in by_subset.items() if some}


def finish_of(finish: Callable[[Sequence[Record]], Record], scheme: Scheme) -> Callable[[Sequence[Record]], Record]:
    """A finish for records of another scheme than the head's: what it knows of keypoints is of this one.

    Args:
        finish: of a branch; one that depends on the scheme has `of_scheme`.
        scheme: of the records.
    """
    of_scheme = getattr(finish, "of_scheme", None)
    return finish if of_scheme is None else of_scheme(scheme)


def measure_sample(
    metric: Metric[Record, Scheme, Measure], samples: Samples, sample: int, prediction: Record | None, truth: Any
) -> Measure:
    """Measure a sample by itself, or as a frame of its video where the metric is of videos.

    Args:
        metric: measures it.
        samples: that it is of.
        sample: its position.
        prediction: finished; None where nobody looked.
        truth: of it; None only for metrics of videos.
    """
    if metric.videos:
        return metric.measure_frame(prediction, truth, samples.scheme, samples.video_frame(sample))
    return metric.measure(prediction, truth, samples.scheme)


def score_truth(
    metric: Metric, samples: Samples, finish: Callable[[Sequence[Record]], Record]
) -> tuple[float | None, ndarray, float | None]:
    """Score the annotations themselves as predictions.

    Of samples with more objects than the metric counts, as many are looked at.

    Args:
        metric: scores them.
        samples: the annotations.
        finish: of the branch that will predict.

    Returns:
        the headline, None where nothing can be scored; the ids of the samples with more objects than count; and what
        the headline is by the rules of the metric.
    """
    finish = finish_of(finish, samples.scheme)
    measures, crowded = {}, np.zeros(len(samples), dtype=np.bool_)
    for sample in range(len(samples)):
        whole = samples.truth(sample)
        if whole is not None:
            truth = _cut(whole, metric.most) if isinstance(whole, Objects) and metric.most is not None else whole
            crowded[sample] = truth is not whole
            measures[sample] = measure_sample(metric, samples, sample, finish([truth.as_prediction()]), truth)
    if not measures:
        return None, samples.images.ids[crowded], metric.perfect
    numbers, by_subset = score_subsets(metric, samples, measures)
    expected = metric.expect(by_subset["all"], samples.scheme)
    return numbers.get(metric.headline), samples.images.ids[crowded], expected


def _cut(truth: Objects, most: int) -> Objects:
    """The first objects that are to be found, as many as count, and what is ignored."""
    counted = np.ones(len(truth.labels), bool) if truth.ignored is None else ~truth.ignored
    return truth if counted.sum() <= most else truth.select(~counted | (np.cumsum(counted) <= most))

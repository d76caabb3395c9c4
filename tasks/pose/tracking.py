"""Scores of people who are followed through videos: PoseTrack's AP, MOTA and HOTA of keypoints, and HOTA of people.

By default the numbers are those of the original codes to the last digit, their faults included. `corrected` mends them;
where that makes another number, both are told. Ids are those of the predictions; where these have none, a tracker gives
them, frame by frame in the order of each video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import BaseMetric
from hrtoolkit.ranges import Positive, Share
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import METRICS, TRACKERS
from hrtoolkit.runtime import records
from hrtoolkit.runtime.oks import oks_between
from hrtoolkit.runtime.prediction import Prediction
from hrtoolkit.runtime.sources import Source
from hrtoolkit.schemes import KeypointScheme, Scheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.tasks.pose.posetrack import read_results
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.hota import NUMBERS, keypoint_hota, people_hota
from hrtoolkit.tracking.keypoints import GROUPS, Comparison, People, VideoFrame, compare, compare_for_hota, inside
from hrtoolkit.tracking.people import Similarities, measure_people, people_clear, people_identity
from hrtoolkit.tracking.posetrack_files import EARS
from hrtoolkit.tracking.poseval import average_precision, mota
from hrtoolkit.tracking.tracker import Tracker

TRACKERS.register_module(module=Tracker)

WORST = 3  # videos that are told by name
LABEL_VERSIONS = {74: 0.2, 170: 0.45}  # of PoseTrack18, by the videos of its val set
CHOICES = np.arange(20) / 20  # of the least score of a keypoint
FAR = 1e9  # pixels: where a keypoint is that was not found
PERCENT = 100.0
NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


class FrameMeasure(NamedTuple):
    """A frame, who was found in it, and who is annotated."""

    frame: VideoFrame
    prediction: Objects | None
    truth: Objects | None


class Pair(NamedTuple):
    """A frame with people as the benchmark's code sees them."""

    truth: People
    found: People
    regions: list[ndarray]  # to ignore


class _VideoMetric(BaseMetric[FrameMeasure]):
    """What all have in common: videos from frames, and ids."""

    videos = True
    read = staticmethod(read_results)
    tracker: Tracker | None = None
    frame_rate: float = 30.0

    def measure(self, prediction: Objects | None, truth: Objects, scheme: KeypointScheme) -> FrameMeasure:
        raise DataError(self._no_videos())

    def _no_videos(self) -> str:
        return (
            f"{type(self).__name__} follows people through videos, and these samples are pictures by themselves; take "
            "a dataset of videos, such as PoseTrack18"
        )

    def measure_frame(
        self, prediction: Record | None, truth: Record | None, scheme: Scheme, frame: VideoFrame | None
    ) -> FrameMeasure:
        if frame is None:
            raise DataError(self._no_videos())
        assert prediction is None or isinstance(prediction, Objects), "keypoints are scored"
        assert truth is None or isinstance(truth, Objects)
        if prediction is not None:
            prediction = prediction._replace(areas=None, masks=None, raw_points=None)
        return FrameMeasure(frame, prediction, truth)

    def by_video(self, measures: Sequence[FrameMeasure], scheme: KeypointScheme) -> dict[str, list[FrameMeasure]]:
        """The frames of each video in their order, predictions with ids."""
        videos: dict[str, list[FrameMeasure]] = {}
        for one in measures:
            videos.setdefault(one.frame.video, []).append(one)
        for name, frames in videos.items():
            frames.sort(key=lambda one: one.frame.number)
            found = [one.prediction for one in frames]
            if any(one is not None and len(one.labels) and one.ids is None for one in found):
                videos[name] = self._track(frames, scheme)
        return videos

    def _track(self, frames: list[FrameMeasure], scheme: KeypointScheme) -> list[FrameMeasure]:
        """Give ids to who was found. Frames that nobody looked at are like frames that are missing."""
        columns, known = _scored(scheme), with_sigmas(scheme)
        sigmas = tuple(known.sigmas[place] for place in columns)
        scored = KeypointScheme(tuple(known.names[place] for place in columns), sigmas=sigmas)
        looked = [place for place, one in enumerate(frames) if one.prediction is not None]
        tracker = self.tracker or Tracker()
        tracked = list(frames)
        predictions = (self._as_prediction(frames[place], columns, scored) for place in looked)
        found = tracker(predictions, tell=False)  # several metrics would tell the same
        for place, one in zip(looked, found, strict=True):
            before, now = frames[place].prediction, one.record
            assert before is not None and before.points is not None and isinstance(now, records.Objects)
            points = before.points.copy()
            points[:, columns] = now.points
            tracked[place] = frames[place]._replace(prediction=before._replace(ids=now.ids, points=points))
        return tracked

    def _as_prediction(self, one: FrameMeasure, columns: list[int], scheme: KeypointScheme) -> Prediction:
        """What a predictor would give of a frame, with the keypoints that are scored."""
        found, frame = one.prediction, one.frame
        assert found is not None and found.points is not None
        point_scores = None if found.point_scores is None else found.point_scores[:, columns]
        record = found._replace(points=found.points[:, columns], point_scores=point_scores)
        source = Source(frame.video, None, frame.number, frame.number / self.frame_rate)
        return Prediction(source, record, scheme, NO_IMAGE)


class _KeypointMetric(_VideoMetric):
    """Of keypoints: numbers of the original, and of the mended code where these are others."""

    headline: str
    corrected: bool = False
    both: ClassVar[tuple[str, ...]] = ()  # numbers that are told of the other code too

    def compare(self, frames: Sequence[Pair]) -> list[Comparison]:
        """What is looked at of each frame of a video that counts."""
        return [one for one in (compare(*pair) for pair in frames) if one is not None]

    def numbers(
        self, videos: Sequence[Sequence[Comparison]], names: Sequence[str], corrected: bool
    ) -> dict[str, float]:
        """The numbers of some videos.

        Args:
            videos: the frames of each, in order.
            names: of the keypoints.
            corrected: mend the original's faults.
        """
        raise NotImplementedError

    def pairs(self, measures: Sequence[FrameMeasure], scheme: KeypointScheme) -> dict[str, list[Pair]]:
        """Frames by video, with the keypoints that are scored."""
        columns = _scored(scheme)
        return {
            name: [
                Pair(_truth(one.frame, columns), _found(one.prediction, columns), one.frame.regions)
                for one in frames
                if self.counts(one.frame)
            ]
            for name, frames in self.by_video(measures, scheme).items()
        }

    def counts(self, frame: VideoFrame) -> bool:
        """Whether a frame counts, as far as that does not hang on its people."""
        return True

    def score(self, measures: list[FrameMeasure], scheme: KeypointScheme) -> dict[str, float]:
        return self.score_pairs(self.pairs(measures, scheme), [scheme.names[column] for column in _scored(scheme)])

    def score_pairs(self, pairs: Mapping[str, Sequence[Pair]], names: Sequence[str]) -> dict[str, float]:
        """The numbers of videos by name, those of the other code where they differ, and those of the worst videos."""
        videos = {name: self.compare(frames) for name, frames in pairs.items()}
        numbers = self.numbers(list(videos.values()), names, self.corrected)
        others = self.numbers(list(videos.values()), names, not self.corrected)
        other = "original" if self.corrected else "corrected"
        for name in self.both:
            if not np.isclose(numbers[name], others[name], rtol=0, atol=1e-9, equal_nan=True):
                numbers[f"{name} {other}"] = others[name]
        if len(videos) > 1:
            single = {
                name: self.numbers([frames], names, self.corrected)[self.headline] for name, frames in videos.items()
            }
            known = {name: number for name, number in single.items() if np.isfinite(number)}
            for name in sorted(known, key=known.__getitem__)[:WORST]:
                numbers[f"{self.headline} {name}"] = known[name]
        return numbers

    def expect(self, measures: list[FrameMeasure], scheme: KeypointScheme) -> float | None:
        """What the rules give to the truth itself: in frames that are ignored whole, the original finds faults."""
        pairs = self.pairs(measures, scheme)
        for name, frames in pairs.items():
            pairs[name] = [one._replace(found=_as_found(one.truth)) for one in frames]
        return self.score_pairs(pairs, [scheme.names[column] for column in _scored(scheme)])[self.headline]


@METRICS.register_module()
class PoseTrackAP(_KeypointMetric):
    """Average precision of keypoints in percent, as poseval has it, of every frame in which somebody is labelled.

    A keypoint is a hit within half the size of the head, of the person that its own person fits best; every other one
    is false, also where the truth lacks the keypoint. "AP" is the mean over keypoints, a part the mean over its own.
    "videos" and "frames" say what was scored, and "label_version" of PoseTrack18's val set, whose two versions have
    other numbers.

    Args:
        corrected: leave out keypoints that nobody has labelled, which the original counts as 0 where they are not
            predicted either.
    """

    headline = "AP"
    perfect = PERCENT
    both = ("AP",)

    def __init__(self, corrected: bool = False):
        self.corrected = corrected

    def by_video(self, measures: Sequence[FrameMeasure], scheme: KeypointScheme) -> dict[str, list[FrameMeasure]]:
        """The frames of each video; ids are not looked at."""
        videos: dict[str, list[FrameMeasure]] = {}
        for one in measures:
            videos.setdefault(one.frame.video, []).append(one._replace(prediction=_unnamed(one.prediction)))
        return videos

    def numbers(
        self, videos: Sequence[Sequence[Comparison]], names: Sequence[str], corrected: bool
    ) -> dict[str, float]:
        kept = [frame for frames in videos for frame in frames]
        found = average_precision(kept, corrected)
        numbers = {"AP": float(found.ap[-1])} | _parts("AP", found.ap, names)
        numbers |= {"AP precision": float(found.precision[-1]), "AP recall": float(found.recall[-1])}
        numbers |= {"videos": float(len(videos)), "frames": float(len(kept))}
        version = LABEL_VERSIONS.get(len(videos))
        return numbers if version is None else numbers | {"label_version": version}


@METRICS.register_module()
class PoseTrackMOTA(_KeypointMetric):
    """MOTA of keypoints in percent, as poseval has it: 100 less what is missed, switched and false among 100 keypoints.

    It leaves out the last frame of each video and takes a frame without truth or without predictions for one miss and
    one false keypoint each, so that the truth itself does not always reach 100. "MOTP" is 100 less the mean distance
    of matches in percent of the head's size, so that 50 is the least; what poseval prints with the motmetrics of today
    is another number, as it counts distances several times. Keypoints of low score raise AP and cost MOTA:
    `joint_score` leaves them out here, and "AP of MOTA" is AP without them.

    Args:
        tracker: gives ids to predictions without any; by default `Tracker`.
        joint_score: least score of a keypoint, or "best" for that of 0, 0.05, ... 0.95 with the highest MOTA, to be
            chosen on training data; "joint_score" is what was taken.
        frame_rate: frames a second, for the tracker.
        corrected: count the last frame, and all that is missed or false in frames without truth or predictions.

    Raises:
        OptionError: an option is out of its range, or the tracker looks at pictures.
    """

    headline = "MOTA"
    perfect = PERCENT
    both = ("MOTA", "MOTP")

    def __init__(
        self,
        *,
        tracker: Tracker | None = None,
        joint_score: Share | Literal["best"] = 0.0,
        frame_rate: Positive = 30.0,
        corrected: bool = False,
    ):
        _check_options(tracker, joint_score)
        self.tracker, self.joint_score, self.frame_rate = tracker, joint_score, frame_rate
        self.corrected = corrected

    def score_pairs(self, pairs: Mapping[str, Sequence[Pair]], names: Sequence[str]) -> dict[str, float]:
        def reach(least: float) -> float:
            videos = [self.compare(_likely(frames, least)) for frames in pairs.values()]
            return float(mota(videos, self.corrected).mota[-1])

        chosen = self.joint_score
        least = max(CHOICES.tolist(), key=reach) if isinstance(chosen, str) else float(chosen)
        likely = {name: _likely(frames, least) for name, frames in pairs.items()}
        return super().score_pairs(likely, names) | {"joint_score": least}

    def numbers(
        self, videos: Sequence[Sequence[Comparison]], names: Sequence[str], corrected: bool
    ) -> dict[str, float]:
        found = mota(videos, corrected)
        precise = average_precision([frame for frames in videos for frame in frames], corrected)
        numbers = {"MOTA": float(found.mota[-1])} | _parts("MOTA", found.mota, names)
        numbers |= {
            "MOTP": float(found.motp[-1]),
            "MOTA precision": float(found.precision[-1]),
            "MOTA recall": float(found.recall[-1]),
            "misses": float(found.misses.sum()),
            "switches": float(found.switches.sum()),
            "false": float(found.false.sum()),
        }
        return numbers | {"AP of MOTA": float(precise.ap[-1])}


@METRICS.register_module()
class PoseTrackHOTA(_KeypointMetric):
    """HOTA of keypoints between 0 and 1, as PoseTrack21 has it, over all labelled frames.

    Numbers are means over 19 thresholds of closeness and over keypoints. In a frame without truth or without
    predictions the original counts the keypoints of the whole video as false or missed; published figures do.

    Args:
        tracker: gives ids to predictions without any; by default `Tracker`.
        joint_score: least score of a keypoint.
        frame_rate: frames a second, for the tracker.
        corrected: count what such a frame has.

    Raises:
        OptionError: an option is out of its range, or the tracker looks at pictures.
    """

    headline = "HOTA"
    both = ("HOTA", "DetA", "AssA", "FA-HOTA")

    def __init__(
        self,
        *,
        tracker: Tracker | None = None,
        joint_score: Share = 0.0,
        frame_rate: Positive = 30.0,
        corrected: bool = False,
    ):
        _check_options(tracker, joint_score)
        self.tracker, self.joint_score, self.frame_rate = tracker, joint_score, frame_rate
        self.corrected = corrected

    def counts(self, frame: VideoFrame) -> bool:
        return frame.labelled

    def compare(self, frames: Sequence[Pair]) -> list[Comparison]:
        return [compare_for_hota(*pair) for pair in _likely(frames, self.joint_score)]

    def numbers(
        self, videos: Sequence[Sequence[Comparison]], names: Sequence[str], corrected: bool
    ) -> dict[str, float]:
        if not any(videos):
            return dict.fromkeys(NUMBERS, float("nan"))
        found = keypoint_hota(videos, corrected)
        return {name: float(found.numbers[name][-1]) for name in NUMBERS}


@METRICS.register_module()
class PeopleTrackingMetric(_VideoMetric):
    """HOTA, IDF1 and MOTA of people as one thing each, between 0 and 1, as TrackEval has them, over labelled frames.

    Who lies with the middle of the box in a region to ignore is left out, of truth and predictions.

    Args:
        similarity: "oks" of poses, with annotated areas and the keypoints that are labelled, where one that was not
            found counts as far away; or "iou" of boxes.
        tracker: gives ids to predictions without any; by default `Tracker`.
        frame_rate: frames a second, for the tracker.

    Raises:
        OptionError: an unknown similarity, or the tracker looks at pictures.
    """

    headline = "people HOTA"

    def __init__(
        self,
        *,
        similarity: Literal["oks", "iou"] = "oks",
        tracker: Tracker | None = None,
        frame_rate: Positive = 30.0,
    ):
        if similarity not in ("oks", "iou"):
            raise OptionError(f"PeopleTrackingMetric: similarity is {similarity!r}, expected 'oks' or 'iou'")
        _check_options(tracker)
        self.similarity, self.tracker, self.frame_rate = similarity, tracker, frame_rate

    def score(self, measures: list[FrameMeasure], scheme: KeypointScheme) -> dict[str, float]:
        compare_people = self._compare_poses if self.similarity == "oks" else _compare_boxes
        videos = [
            [_measure(one, scheme, compare_people) for one in frames if one.frame.labelled]
            for frames in self.by_video(measures, scheme).values()
        ]
        videos = [frames for frames in videos if frames]
        names = ("HOTA", "DetA", "AssA", "LocA")
        hota = people_hota(videos).numbers if videos else {name: np.full(1, np.nan) for name in names}
        clear, identity = people_clear(videos), people_identity(videos)
        numbers = {name: float(hota[name][0]) for name in names} | {"IDF1": identity.idf1, "MOTA": clear.mota}
        numbers |= {"switches": float(clear.switches), "fragments": float(clear.fragments)}
        return {f"people {name}": number for name, number in numbers.items()}

    @staticmethod
    def _compare_poses(truth: Objects, found: Objects, scheme: KeypointScheme) -> ndarray:
        columns = _scored(scheme)
        assert truth.points is not None and truth.visible is not None and truth.areas is not None
        some = _found(found, columns)
        sigmas = np.asarray(with_sigmas(scheme).sigmas, np.float64)[columns]
        points = np.where(some.present[..., None], some.points, FAR)
        counted = truth.visible[:, None, columns] > 0
        return oks_between(truth.points[:, None, columns], points[None], truth.areas[:, None], sigmas, counted)


def _compare_boxes(truth: Objects, found: Objects, scheme: KeypointScheme) -> ndarray:
    return box_iou(truth.boxes_xyxy[:, None], found.boxes_xyxy[None])


def _measure(
    one: FrameMeasure, scheme: KeypointScheme, compare_people: Callable[[Objects, Objects, KeypointScheme], ndarray]
) -> Similarities:
    """Similarities of a labelled frame."""
    nobody = np.zeros(0, np.int64)
    truth, found = one.truth, one.prediction
    truth_ids = ids = nobody
    if truth is not None:
        if truth.ids is None:
            raise DataError(f"{one.frame.video}: its people have no ids to be followed by")
        kept = np.ones(len(truth.labels), bool) if truth.ignored is None else ~truth.ignored
        truth = truth.select(kept & ~_ignored(truth, one.frame))
        truth_ids = np.zeros(0, np.int64) if truth.ids is None else truth.ids
    if found is not None:
        named = np.ones(len(found.labels), bool) if found.ids is None else found.ids > 0
        found = found.select(named & ~_ignored(found, one.frame))
        ids = nobody if found.ids is None else found.ids
    values = np.zeros((len(truth_ids), len(ids)))
    if truth is not None and found is not None and values.size:
        values = compare_people(_exact(truth, one.frame), found, scheme)
    return measure_people(truth_ids, ids, values)


def _exact(truth: Objects, frame: VideoFrame) -> Objects:
    """The truth at the points of the file, which samples have in single precision."""
    assert truth.ids is not None
    places = {number + 1: place for place, number in enumerate(frame.people.ids.tolist())}
    return truth._replace(points=frame.people.points[[places[one] for one in truth.ids.tolist()]])


def _ignored(people: Objects, frame: VideoFrame) -> ndarray:
    return inside((people.boxes_xyxy[:, :2] + people.boxes_xyxy[:, 2:]) / 2, frame.regions)


def _scored(scheme: KeypointScheme) -> list[int]:
    """Places of the keypoints that are scored: not the ears of PoseTrack, which nobody labels."""
    unlabelled = EARS if {"head_top", "head_bottom"} <= set(scheme.names) else ()
    return [place for place, name in enumerate(scheme.names) if name not in unlabelled]


def _truth(frame: VideoFrame, columns: list[int]) -> People:
    people = frame.people
    return people._replace(points=people.points[:, columns], present=people.present[:, columns])


def _found(prediction: Objects | None, columns: list[int]) -> People:
    """Those whom somebody has given an id; a keypoint with the score 0 is not there."""
    if prediction is None or prediction.points is None or not len(prediction.labels):
        empty = np.zeros((0, len(columns)))
        return People(np.zeros(0, np.int64), np.zeros((*empty.shape, 2)), empty > 0, empty)
    points, scores = prediction.points[:, columns], prediction.point_scores
    present = np.isfinite(points).all(axis=-1)
    if scores is not None:
        scores = scores[:, columns]
        present &= scores != 0
    ids = np.arange(1, len(points) + 1) if prediction.ids is None else prediction.ids
    people = People(ids, points, present, scores)
    named = np.asarray(ids > 0)
    return people if named.all() else people.select(named)


def _as_found(truth: People) -> People:
    """The truth as a prediction, in which nobody is without a keypoint."""
    people = truth.select(np.any(truth.present, axis=1))
    return people._replace(scores=np.ones(people.present.shape))


def _unnamed(prediction: Objects | None) -> Objects | None:
    return None if prediction is None else prediction._replace(ids=None)


def _likely(frames: Sequence[Pair], least: float) -> Sequence[Pair]:
    """Frames without predicted keypoints of low score, and without who has no others."""
    if not least:
        return frames
    kept = []
    for frame in frames:
        found = frame.found
        if found.scores is not None:
            present = found.present & (found.scores >= least)
            found = found._replace(present=present).select(np.any(present, axis=1))
        kept.append(frame._replace(found=found))
    return kept


def _parts(number: str, values: ndarray, names: Sequence[str]) -> dict[str, float]:
    """Means over the keypoints of each part that the scheme has."""
    places = {part: [names.index(name) for name in some if name in names] for part, some in GROUPS.items()}
    if len(values) != len(names) + 1:  # nothing was scored
        values = np.full(len(names) + 1, np.nan)
    return {f"{number} {part}": float(values[some].mean()) for part, some in places.items() if some}


def _check_options(tracker: Tracker | None, joint_score: float | str = 0.0) -> None:
    if tracker is not None and tracker.method == "botsort":
        raise OptionError("tracker.method is 'botsort', which looks at pictures; a metric has none: take another one")
    if tracker is not None and tracker.fill:
        raise OptionError(f"tracker.fill is {tracker.fill}: people who were not found are not scored; leave it out")
    if joint_score != "best" and not (isinstance(joint_score, int | float) and 0 <= joint_score <= 1):
        raise OptionError(f"joint_score is {joint_score!r}, expected a number from 0 to 1")

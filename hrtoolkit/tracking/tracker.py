"""Who is who in what a predictor finds: a stage between its predictions and whoever takes them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from typing import Literal, get_args

import numpy as np

from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import Count, NotNegative
from hrtoolkit.runtime.records import Objects
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.tracking.box_trackers import CLASSES, BoxMethod, BoxTracker
from hrtoolkit.tracking.clock import USUAL_STEP, Clock
from hrtoolkit.tracking.oks_tracker import OksTracker
from hrtoolkit.tracking.stages import Frame, Kind, fill_gaps, smooth_at_once, smooth_late, smooth_runs, watch_sides

log = logging.getLogger(__name__)
Method = Literal["oks"] | BoxMethod
Smooth = Literal["none", "one-euro", "savgol"]


class Tracker:
    """Gives everybody whom a predictor finds in a video an id: `for one in tracker(predictor("film.mp4"))`.

    Ids count from 1 in every video and are in `record.ids`. It works while predictions come, some frames late: an id
    also goes to the frames before in which somebody was seen already, and other options need frames after.

    Args:
        method: "oks" compares poses, and boxes where there are none; "sort", "bytetrack", "ocsort", "botsort" and
            "cbiou" are those of the package `trackers`, which see boxes alone and give no id afterwards.
        keep: seconds that somebody lost is waited for.
        confirm: frames in a row that somebody is found before there is an id; higher keeps out who is there for a
            moment.
        smooth: of keypoints: "none"; "one-euro", which is for cameras; or "savgol", a polynomial of second order
            through 7 frames, which has no lag and is for films. What was found stays beside it as `record.raw_points`.
        fill: seconds of the longest gap in which somebody is put where they must have been; `record.filled` says so.
        fix_sides: put left and right right where they were exchanged; otherwise the log says where they seem so.

    Raises:
        OptionError: an option is out of its range.
        UserError: `trackers` is needed and not installed.
    """

    def __init__(
        self,
        method: Method = "oks",
        *,
        keep: NotNegative = 1.0,
        confirm: Count = 1,
        smooth: Smooth = "none",
        fill: NotNegative = 0.0,
        fix_sides: bool = False,
    ):
        if method != "oks" and method not in CLASSES:
            raise OptionError(f"method is {method!r}, expected oks, {', '.join(CLASSES)}")
        if smooth not in get_args(Smooth):
            raise OptionError(f"smooth is {smooth!r}, expected {', '.join(get_args(Smooth))}")
        if not 0 <= fill < float("inf"):
            raise OptionError(f"fill is {fill}, expected seconds, a number from 0 on")
        self.method, self.keep, self.confirm, self.smooth = method, keep, confirm, smooth
        self.fill, self.fix_sides = fill, fix_sides
        self._build(None)  # says what is wrong before a film is read

    @property
    def settings(self) -> dict[str, object]:
        """What ids and points depend on, in plain values."""
        return {
            "method": self.method,
            "keep": self.keep,
            "confirm": self.confirm,
            "smooth": self.smooth,
            "fill": self.fill,
            "fix_sides": self.fix_sides,
        }

    def __call__(self, predictions: Iterable[Kind], *, tell: bool = True) -> Iterator[Kind]:
        """Predictions in their order, with ids; where another video begins, so do the ids.

        Args:
            predictions: of the frames of videos, each in its order.
            tell: log where left and right were exchanged, or seem so, at the end of each video.

        Raises:
            OptionError: there are no people or objects in them, or they are pictures and no frames.
        """
        for _, film in groupby(predictions, key=lambda one: one.source.name):
            yield from self._follow(film, tell)

    def _follow(self, film: Iterator[Kind], tell: bool) -> Iterator[Kind]:
        """The frames of one film, through all stages."""
        first = next(film)
        has_points, scheme = self._check(first).points is not None, first.scheme
        frames = self._identify(chain([first], film), self._build(scheme))
        if has_points:
            assert isinstance(scheme, KeypointScheme)
            if self.fix_sides or tell:
                pairs = [(scheme.names.index(a), scheme.names.index(b)) for a, b in scheme.mirrored]
                frames = watch_sides(frames, pairs, self.fix_sides, tell)
            if self.smooth != "none":
                frames = smooth_runs(frames, smooth_at_once if self.smooth == "one-euro" else smooth_late)
        elif self.smooth != "none" or self.fix_sides:
            log.warning("%s: no keypoints there, which smoothing and fixing sides are for", first.source.name)
        if self.fill:
            frames = fill_gaps(frames, self.fill)
        for frame in frames:
            yield frame.finish()

    def _check(self, first: Kind) -> Objects:
        """The objects of the first frame, or an error where there are no ids to give."""
        record, name = first.record, first.source.name
        if not isinstance(record, Objects):
            raise OptionError(f"{name}: ids are for people and objects, and this model gives {_kind_of(record)}")
        if first.source.frame is None:
            raise OptionError(
                f"{name}: a picture by itself, where ids are for frames; where a folder's pictures are those of a "
                "film, say how many there are a second (frame_rate=30, on the command line --fps 30)"
            )
        if self.fill and record.masks is not None:
            raise OptionError(f"{name}: fill is for boxes and keypoints; masks of who was not found are not known")
        return record

    def _build(self, scheme: object) -> OksTracker | BoxTracker:
        if self.method != "oks":
            return BoxTracker(self.method, keep=self.keep, confirm=self.confirm)
        sigmas = with_sigmas(scheme).sigmas if isinstance(scheme, KeypointScheme) else ()
        return OksTracker(sigmas, keep=self.keep, confirm=self.confirm)

    def _identify(self, film: Iterable[Kind], track: OksTracker | BoxTracker) -> Iterator[Frame[Kind]]:
        """Give ids to who is in a frame, and to who was in those before and has got one now."""
        clock = Clock()
        waiting: deque[Frame[Kind]] = deque()
        warned = False
        for prediction in film:
            source, found = prediction.source, prediction.record
            assert isinstance(found, Objects), "one model gives records of one kind"
            if not _is_finite(found):
                found = _hide_what_is_not_finite(found)
                if not warned:
                    warned = True
                    log.warning(
                        "%s#%s: keypoints that are not finite count as not seen, here and in later frames; half "
                        "precision (--amp) may be too coarse for these weights",
                        *(source.name, source.frame),
                    )
            assert found.scores is not None, "predictions have scores"
            # Pages have no times.
            time = clock.advance(source.time if source.time is not None else (source.frame or 0) * USUAL_STEP)
            things = found.boxes_xyxy, found.scores, found.points, found.point_scores
            if isinstance(track, BoxTracker):
                ids = track.update(*things, time=time, image=prediction.image)
            else:
                ids = track.update(*things, time=time)
            waiting.append(Frame(prediction, found._replace(ids=ids), time))
            for number, places in track.named.items():
                for since, place in places:
                    earlier = waiting[since - track.frames].objects.ids
                    assert earlier is not None
                    earlier[place] = number
            if len(waiting) > self.confirm:  # somebody with a low score needs a sighting more
                yield waiting.popleft()
        yield from waiting


def _is_finite(found: Objects) -> bool:
    columns = (column for column in (found.points, found.point_scores) if column is not None)
    return all(bool(np.isfinite(column).all()) for column in columns)


def _hide_what_is_not_finite(found: Objects) -> Objects:
    """The same people, with NaN for the keypoints that are nowhere, and scores of 0 for doubtful ones."""
    points, scores = found.points, found.point_scores
    if points is not None:
        points = np.where(np.isfinite(points).all(axis=-1, keepdims=True), points, np.nan)
    if scores is not None:
        scores = np.where(np.isfinite(scores), scores, 0.0)
    return found._replace(points=points, point_scores=scores)


def _kind_of(record: object) -> str:
    kinds = {"LabelMap": "the class of every pixel", "ValueMap": "numbers of every pixel", "Category": "a class"}
    return kinds.get(type(record).__name__, type(record).__name__)

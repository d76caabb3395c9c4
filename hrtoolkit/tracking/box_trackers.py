"""Trackers of boxes, of the package `trackers`: well known, and blind to keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy import ndarray

from hrtoolkit.errors import UserError
from hrtoolkit.ranges import Count, NotNegative
from hrtoolkit.tracking.boxes import box_areas
from hrtoolkit.tracking.oks_tracker import NO_ID

BoxMethod = Literal["sort", "bytetrack", "ocsort", "botsort", "cbiou"]
CLASSES: dict[BoxMethod, str] = {
    "sort": "SORTTracker",
    "bytetrack": "ByteTrackTracker",
    "ocsort": "OCSORTTracker",
    "botsort": "BoTSORTTracker",
    "cbiou": "CBIoUTracker",
}
# By the score from which it begins a track; theirs, 0.6 or 0.7, leaves many people without an id for good.
THRESHOLDS = {"high_conf_det_threshold": 0.5, "track_activation_threshold": 0.5}
BUFFER_RATE = 30  # frames a second in which `trackers` counts how long it waits


class BoxTracker:
    """Gives everybody in a video an id by the boxes alone; see `OksTracker`, which has the same methods.

    Args:
        method: which one.
        keep: seconds that somebody lost is waited for.
        confirm: frames in a row before there is an id.

    Raises:
        UserError: `trackers` is not installed.
    """

    named: Mapping[int, list[tuple[int, int]]] = MappingProxyType({})  # they give no id afterwards
    frames = 0

    def __init__(self, method: BoxMethod, *, keep: NotNegative = 1.0, confirm: Count = 1):
        try:
            import supervision
            import trackers
        except ImportError:
            raise UserError(
                f"{method!r} is a tracker of the package trackers: pip install 'hrtoolkit[trackers]'; 'oks' needs none"
            ) from None
        kind = getattr(trackers, CLASSES[method])
        options: dict[str, float] = {
            "lost_track_buffer": round(BUFFER_RATE * keep),
            "frame_rate": BUFFER_RATE,
            "minimum_consecutive_frames": confirm,
        }
        known = kind.__init__.__annotations__
        self._tracker = kind(**options, **{name: value for name, value in THRESHOLDS.items() if name in known})
        self._detections = supervision.Detections
        self._sees_images = method == "botsort"

    def update(
        self,
        boxes_xyxy: ndarray,
        scores: ndarray,
        points: ndarray | None = None,
        point_scores: ndarray | None = None,
        *,
        time: float,
        image: ndarray | None = None,
    ) -> ndarray:
        """Say who is who in the next frame.

        Args:
            boxes_xyxy: [N, 4] in pixels of the image.
            scores: [N].
            points: are not looked at.
            point_scores: are not looked at.
            time: seconds, later than the last one.
            image: RGB uint8 [H, W, 3]; BoT-SORT sees in it how the camera moves.

        Returns:
            ids [N], -1 of who has none.
        """
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        rows = np.flatnonzero(np.isfinite(boxes).all(axis=1) & (box_areas(boxes) > 0))
        found = self._detections(
            xyxy=boxes[rows],
            confidence=np.nan_to_num(np.asarray(scores, np.float64)[rows]),
            class_id=np.zeros(len(rows), np.int64),
            data={"row": rows},  # rows come back in another order
        )
        told = self._tracker.update(found, frame=image if self._sees_images else None, timestamp=time)
        ids = np.full(len(boxes), NO_ID)
        if len(told):
            given = np.asarray(told.tracker_id)
            ids[np.asarray(told.data["row"])] = np.where(given >= 0, given + 1, NO_ID)  # theirs count from 0
        return ids

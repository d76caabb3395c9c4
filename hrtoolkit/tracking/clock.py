"""Times of frames that run on, whatever a video says."""

from __future__ import annotations

import logging

import numpy as np

log = logging.getLogger(__name__)
USUAL_STEP = 1 / 30  # seconds between frames, where times do not say


class Clock:
    """Takes a time that stands still or runs backwards for one usual step, and says so once.

    Attributes:
        now: seconds of the last frame, which run on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._stated: float | None = None  # the latest that a frame was told to have
        self._step, self._frames, self._warned = USUAL_STEP, 0, False

    def advance(self, time: float) -> float:
        """The seconds of the next frame, by what is stated."""
        if self._stated is None:
            self._stated = time if np.isfinite(time) else 0.0
        else:
            step = time - self._stated
            if 0 < step < np.inf:
                self._stated, self._step = time, step
            elif not self._warned:
                self._warned = True
                log.warning(
                    "frame %d: its time is %s s after %s s, so it is taken as %.3f s later, as is every frame from "
                    "here on whose time does not run on",
                    *(self._frames, time, self._stated, self._step),
                )
            self.now += self._step
        self._frames += 1
        return self.now

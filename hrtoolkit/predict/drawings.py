"""Predictions drawn into a folder: a picture each, and of a video a video."""

from __future__ import annotations

from pathlib import Path

from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source
from hrtoolkit.predict.tails import Tails
from hrtoolkit.predict.video import VideoWriter
from hrtoolkit.visualization import write_image

DRAWN = (".jpg", ".jpeg", ".png")  # pictures that keep their suffix; the others become .jpg


class Drawings:
    """Draws one prediction after another, those of a video side by side and in their order.

    Args:
        folder: is made with the first one.
        tail: seconds of the past that are drawn into videos, as a line behind everybody with an id.
    """

    def __init__(self, folder: Path, tail: float = 0.0):
        self.folder = folder
        self._tails = Tails(tail) if tail else None
        self._writer: VideoWriter | None = None

    def add(self, name: str, prediction: Prediction) -> None:
        """Draw a prediction whose files have a name."""
        source = prediction.source
        if self._tails is not None:
            prediction = self._tails.draw(prediction)
        picture = prediction.draw()
        if not is_moving(source):
            write_image(self.folder / drawn_name(numbered(name, source), False), picture)
            return
        if self._writer is None:
            self._writer = VideoWriter(self.folder / drawn_name(name, True))
        self._writer.write(picture, source.time)

    def end_video(self) -> None:
        """Finish the file of a video."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def discard_video(self) -> None:
        """Leave nothing behind of a video that is not finished."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None


def is_moving(source: Source) -> bool:
    """Whether a picture is drawn as a frame of a video."""
    return source.frame is not None and source.time is not None


def drawn_name(name: str, moving: bool) -> str:
    """What the drawing is called: as the source, if drawings are of its kind."""
    suffixes = (".mp4",) if moving else DRAWN
    return name if name.lower().endswith(suffixes) else f"{name}{suffixes[0]}"


def numbered(name: str, source: Source) -> str:
    """Of a frame or page with its number: clip.gif_000003."""
    return name if source.frame is None else f"{name}_{source.frame:06d}"

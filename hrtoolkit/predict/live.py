"""Cameras and network streams: frames as they come, without an end of their own."""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterator

import cv2
import numpy as np

from hrtoolkit.addresses import LIVE, scheme_of, without_secrets
from hrtoolkit.errors import DataError
from hrtoolkit.predict.video import Frame, ToUprightRGB, import_av

logger = logging.getLogger(__name__)
LIMIT_SECONDS = 10  # to connect, and between two frames
DEVICE = re.compile(r"/dev/video\d+")


def is_live(source: object) -> bool:
    """Whether a source is a camera (0, "0", "/dev/video0") or a network stream ("rtsp://..."), which has no end."""
    if isinstance(source, str):
        return (source.isascii() and source.isdigit()) or bool(DEVICE.fullmatch(source)) or scheme_of(source) in LIVE
    return isinstance(source, int | np.integer) and not isinstance(source, bool)


def live_name(source: object) -> str:
    """What messages and results call a camera or stream."""
    text = str(source)
    return without_secrets(text) if scheme_of(text) else f"camera_{_index_of(text)}"


def read_live(source: object) -> Iterator[Frame]:
    """Read frames of a camera or stream until it ends or is unplugged, which a warning says; they are numbered from 0.

    Raises:
        DataError: there is no such camera, or nothing comes.
    """
    text, name = str(source), live_name(source)
    frames = _read_stream(text, name) if scheme_of(text) else _read_camera(_index_of(text))
    number, start = -1, time.monotonic()
    for number, image in enumerate(frames):
        if not number:
            start = time.monotonic()
        yield Frame(number, time.monotonic() - start, image)
    if number < 0:
        raise DataError(f"{name}: not one frame came")
    logger.warning("%s: ended after %d frames", name, number + 1)


def _index_of(camera: str) -> int:
    return int(camera.removeprefix("/dev/video"))


def _read_camera(index: int) -> Iterator[np.ndarray]:
    missing = DataError(f"no camera {index} (a file of that name is given as ./{index}); is it plugged in and free?")
    if index < 0 or (sys.platform.startswith("linux") and not os.path.exists(f"/dev/video{index}")):  # noqa: PTH110
        raise missing
    camera = cv2.VideoCapture(index)
    try:
        if not camera.isOpened():
            raise missing
        while True:
            there, image = camera.read()
            if not there:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def _read_stream(address: str, name: str) -> Iterator[np.ndarray]:
    av = import_av()
    options = {"rtsp_transport": "tcp"} if scheme_of(address).startswith("rtsp") else {}
    try:
        container = av.open(address, options=options, timeout=LIMIT_SECONDS, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:  # whose text holds the address, password and all
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{name}: the stream cannot be opened ({reason})") from None
    with container:
        convert = ToUprightRGB()
        if not container.streams.video:
            raise DataError(f"{name}: a stream without video")
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # several frames at a time would come late
        stream.codec_context.flags |= av.codec.context.Flags.low_delay
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:  # the next whole frame will do
                    continue
                yield from map(convert, frames)
        except (av.FFmpegError, OSError) as error:
            logger.warning("%s: the stream broke off (%s)", name, getattr(error, "strerror", None) or "no reason given")

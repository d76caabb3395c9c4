"""Frames of a video as a player shows them, and frames written as one, through PyAV."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.files import not_written, write_atomically
from hrtoolkit.runtime.images import check_pixels, recognise

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

logger = logging.getLogger(__name__)
# What a file names inside itself (playlists, tracks elsewhere) is never opened.
SAFE = {"protocol_whitelist": "data"}
# Decoders of these leave a frame out without an error; of other codecs a packet may hold no frame to show.
SILENT_CODECS = {"h264", "hevc", "mpeg1video", "mpeg2video"}
USUAL_RATE = 25  # of a stream that tells no times
PATIENCE = 16  # packets, for a frame that should have come: no codec reorders more
TEXT_ART = {"tty", "bin", "xbin", "adf", "idf"}  # formats that make a film of any text
TRIES = 10  # to read on behind a damaged place
TICKS = 90_000  # a second, in files that are written: every usual frame rate is whole numbers of them
HDR = {16: "PQ", 18: "HLG"}  # transfer curves


class Frame(NamedTuple):
    """One frame of a video.

    Args:
        number: from 0, in the order shown; a frame that cannot be decoded keeps its number to itself.
        time: seconds from the start of the stream, by its own time stamp; pages have none.
        image: RGB uint8 [H, W, 3], upright.
    """

    number: int
    time: float | None
    image: np.ndarray


class _DiscardedError(Exception):
    """A file is not to get its name."""


class _DamagedError(Exception):
    """A packet could not be decoded by several threads, which lose good frames with it."""


def import_av() -> ModuleType:
    """Import PyAV.

    Raises:
        UserError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(f"videos need PyAV ({error}): pip install 'hrtoolkit[video]', or pip install av") from None
    return av


def read_video(file: IO[bytes], name: str) -> Iterator[Frame]:
    """Read the frames of a video one by one, in the order shown; of a damaged one all that can be decoded.

    What is missing is said by one warning at the end. Each frame has its own size. Pixels that are not square stay as
    they are, and interlaced frames too.

    Args:
        file: opened, at its start; it can seek.
        name: what messages call it.

    Raises:
        DataError: not one frame can be read.
        UserError: PyAV is not installed.
    """
    last, convert = -1, ToUprightRGB()
    for threads in ("AUTO", "SLICE"):
        try:
            for number, time, frame in _decode(file, name, threads):
                if number > last:
                    yield Frame(number, time, convert(frame))
                    last = number
            return
        except _DamagedError:
            file.seek(0)


def count_frames(file: IO[bytes], name: str) -> int | None:
    """About how many frames a video has, as its header says: a hint for a progress bar; None where it does not say."""
    with _open(file, name) as container:
        stream = _choose_stream(container, name)
        if stream.frames > 0:
            return stream.frames
        seconds = _promised_seconds(container, stream)
        return round(seconds * stream.average_rate) if seconds and stream.average_rate else None


class ToUprightRGB:
    """Converts the frames of a video to RGB uint8 [H, W, 3], turned and mirrored by their display matrix."""

    def __init__(self) -> None:
        self._sign: tuple | None = None  # changes where the matrix does
        self._matrix = (1, 0, 0, 1)

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        sign = frame.rotation, frame.width, frame.height
        if sign != self._sign:
            # Not of every frame: one that was asked for its side data is freed late, by the collector of garbage.
            data: Any = frame.side_data.get("DISPLAYMATRIX")
            a, b, _, c, d = (1, 0, 0, 0, 1) if data is None else np.frombuffer(data, np.int32)[:5].tolist()
            self._sign, self._matrix = sign, (a, b, c, d)
        image = frame.to_ndarray(format="rgb24")
        a, b, c, d = self._matrix  # a pixel (x, y) is shown at (a x + c y, b x + d y)
        if abs(b) + abs(c) > abs(a) + abs(d):
            image, a, d = image.transpose(1, 0, 2), c, b
        return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _decode(file: IO[bytes], name: str, threads: str) -> Iterator[tuple[int, float, VideoFrame]]:
    av = import_av()
    with _open(file, name) as container:
        stream = _choose_stream(container, name)
        stream.thread_type = threads
        progress, shown = _Progress(stream), 0
        for packet in _read_packets(container, stream, progress):
            try:
                for frame in stream.decode(packet):
                    progress.add(frame)
            except (av.FFmpegError, OSError):
                if threads == "AUTO":
                    raise _DamagedError from None
                progress.failures += 1
            for number, time, frame in progress.take(all_of_them=packet is None):
                if not shown:
                    _note_oddities(frame, stream, name)
                shown += 1
                yield number, time, frame
        missing = progress.finish(_promised_seconds(container, stream))
        if not shown:
            raise DataError(f"{name}: a video without a frame that can be read ({missing or 'it has no frames'})")
        if missing:
            logger.warning("%s: %s", name, missing)


def _open(file: IO[bytes], name: str) -> InputContainer:
    av = import_av()
    try:
        container = av.open(file, "r", options=SAFE, metadata_errors="replace")
        if container.format.name in TEXT_ART:
            raise ValueError("a text")
        return container
    except (av.FFmpegError, OSError, ValueError) as error:
        file.seek(0)
        if _lacks_index(file):
            reason = "incomplete: its index (moov) is missing; record or download it again"
        else:
            file.seek(0)
            known = recognise(file.read(512))
            known = "damaged, or of an unknown kind" if known in ("", "a video") else known
            reason = f"no video that can be read: {known} ({getattr(error, 'strerror', None) or error})"
        raise DataError(f"{name}: {reason}") from None


def _lacks_index(file: IO[bytes]) -> bool:
    """Whether an MP4 or MOV file has no `moov`, without which nothing in it is found."""
    kinds = set()
    while len(header := file.read(8)) == 8:
        size, kind = int.from_bytes(header[:4], "big"), header[4:]
        if size == 1:
            size = int.from_bytes(file.read(8), "big") - 8
        kinds.add(kind)
        if size < 8 or len(kinds) > 100:
            break
        file.seek(size - 8, 1)
    return b"ftyp" in kinds and b"moov" not in kinds


def _choose_stream(container: InputContainer, name: str) -> VideoStream:
    from av.stream import Disposition

    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        there = ["sound"] * bool(container.streams.audio) + ["a cover picture"] * bool(container.streams.video)
        raise DataError(f"{name}: no video in it{', only ' if there else ''}{' and '.join(there)}")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    if stream.codec_context is None:
        raise DataError(f"{name}: PyAV has no decoder for its video; convert it, to H.264 for example")
    check_pixels(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def _read_packets(container: InputContainer, stream: VideoStream, progress: _Progress) -> Iterator[Packet | None]:
    """The packets of a stream, and None at last; behind a damaged place the reading goes on where it can."""
    av = import_av()
    for _ in range(TRIES):
        try:
            for packet in container.demux(stream):
                if packet.size:
                    progress.expect(packet)
                    yield packet
            break
        except (av.FFmpegError, OSError) as error:
            progress.error = getattr(error, "strerror", None) or str(error)
    yield None


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """How long the header says that the stream is."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:  # Matroska's, "00:00:01.500000000"
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        duration = container.duration if len(container.streams) == 1 else None
        return duration / 1e6 if duration and duration > 0 else None


def _note_oddities(frame: VideoFrame, stream: VideoStream, name: str) -> None:
    curve, aspect = HDR.get(int(frame.color_trc)), stream.sample_aspect_ratio or 1
    if curve:
        logger.info("%s: HDR (%s); its colors are taken as they are stored, paler than a player shows", name, curve)
    if aspect != 1:
        logger.warning("%s: pixels are not square (%s wide); frames are taken as they are stored", name, aspect)


class _Progress:
    """Order, numbers and times of the frames, and what is missing of them."""

    def __init__(self, stream: VideoStream):
        assert stream.time_base is not None, "FFmpeg gives one to every stream"
        self.start, self.unit = stream.start_time, stream.time_base
        self.rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
        self.promised = stream.frames
        # Whether a packet whose frame does not come is a frame lost; an error says so in any case.
        self.one_each = self.may_be_silent = stream.codec_context.codec.canonical_name in SILENT_CODECS
        # AVI stores no time stamps of frames: where they are not in the order shown, FFmpeg's guesses are wrong.
        self.stamped = not (stream.container.format.name == "avi" and stream.codec_context.has_b_frames)
        self.waiting: dict[int, int] = {}  # time stamps of packets whose frames have not come, and their places
        self.held: list[tuple[int, int, VideoFrame]] = []  # frames that came before one that is waited for
        self.packets = self.failures = self.damaged = self.taken = self.next = self.shift = 0
        self.clock: int | None = None  # of the last packet
        self.lost: list[int] = []
        self.gone: set[int] = set()  # time stamps of those
        self.time = self.end = 0.0
        self.error = ""

    def expect(self, packet: Packet) -> None:
        """Remember a packet that goes to the decoder, unless its frame is hidden by an edit list."""
        self.packets += 1
        self.damaged += packet.is_corrupt
        self._keep_running(packet)
        if packet.pts is not None and not packet.is_discard and self.stamped:
            self.waiting[packet.pts] = self.packets
            self.start = packet.pts if self.start is None else self.start
            self.end = max(self.end, float((packet.pts + (packet.duration or 0) - self.start) * self.unit))

    def add(self, frame: VideoFrame) -> None:
        """Take a frame from the decoder."""
        self.damaged += frame.is_corrupt
        self.one_each = self.may_be_silent and not frame.interlaced_frame  # of two fields each may have a packet
        if not self.stamped:
            frame.pts = None
        if frame.pts not in self.gone:
            self.taken += 1
            # The decoder's order holds until something could not be decoded.
            key = frame.pts if self.failures and frame.pts is not None else self.taken
            heapq.heappush(self.held, (key, self.taken, frame))

    def take(self, all_of_them: bool = False) -> Iterator[tuple[int, float, VideoFrame]]:
        """Number, time and frame of those that are next in the order shown.

        Behind damage a decoder may give frames out of order: an earlier one is waited for, some packets long.
        """
        while self.held:
            frame = self.held[0][2]
            stamp = frame.pts
            passed = {} if stamp is None else {s: place for s, place in self.waiting.items() if s < stamp}
            expected = self.failures and passed and max(passed.values()) > self.packets - PATIENCE
            if expected and not all_of_them:
                return
            heapq.heappop(self.held)
            failed = max(0, self.failures - len(self.lost))
            if stamp in self.waiting:
                failed = len(passed) if self.one_each else min(failed, len(passed))
                self.gone |= passed.keys()
            for seen in (*passed, stamp):
                if seen is not None:
                    self.waiting.pop(seen, None)
            self._lose(failed)
            number, self.next = self.next, self.next + 1
            if stamp is None:
                self.time = float(number / self.rate)
            elif self.start is not None:
                self.time = max(self.time, float((stamp - self.start) * self.unit))
            yield number, self.time, frame

    def finish(self, promised_seconds: float | None) -> str:
        """What is missing, in words; "" for nothing."""
        shown = self.next - len(self.lost)
        self._lose(max(self.failures - len(self.lost), len(self.waiting) if self.one_each else 0))
        words = []
        if self.lost:
            noun = "frame" if len(self.lost) == 1 else "frames"
            words.append(f"{noun} {_shorten_numbers(self.lost)} could not be decoded")
        if self.damaged:
            places = "1 place" if self.damaged == 1 else f"{self.damaged} places"
            words.append(f"damaged at {places}, where frames may be wrong or missing")
        last = max(self.end, self.time + float(1 / self.rate))
        if self.packets < self.promised:
            words.append(f"ends early: {shown} of the {self.promised} frames that its header tells of")
        elif not self.promised and promised_seconds and last + max(0.5, 0.02 * promised_seconds) < promised_seconds:
            words.append(f"ends early: {last:.1f} of the {promised_seconds:.1f} seconds that its header tells of")
        elif self.error:
            words.append(f"ends early, after {shown} frames ({self.error})")
        return "; ".join(words)

    def _keep_running(self, packet: Packet) -> None:
        """Go on from the last packet where the clock starts anew: recordings were joined."""
        if packet.dts is None:
            return
        if self.clock is not None and packet.dts + self.shift < self.clock:
            self.shift = self.clock + round(1 / (self.rate * self.unit)) - packet.dts
        self.clock = packet.dts = packet.dts + self.shift
        if packet.pts is not None:
            packet.pts += self.shift

    def _lose(self, count: int) -> None:
        self.lost += range(self.next, self.next + count)
        self.next += count


def _shorten_numbers(numbers: Sequence[int], most: int = 8) -> str:
    """Numbers for a message, neighbours as ranges: "3, 7 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs[:most]]
    left = sum(last - first + 1 for first, last in runs[most:])
    return ", ".join(words) + (f" and {left} more" if left else "")


class VideoWriter:
    """Writes frames as an MP4 (H.264) that any player shows; it is there under its name once it is closed.

    Args:
        path: of the file to make or replace.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._av = import_av()
        self._stack = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._stamp = -1

    def write(self, image: np.ndarray, time: float | None = None) -> None:
        """Add a frame; one of another size than the first is fitted into that.

        Args:
            image: RGB uint8 [H, W, 3]; an odd side is made even by repeating its last row or column.
            time: seconds from the start, which the file keeps; None for 25 frames a second.
        """
        if self._container is None:
            self._start(image)
        width, height = self._stream.width, self._stream.height
        frame = self._av.VideoFrame.from_ndarray(_fit(image, width, height), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)  # BT.709, as the file says
        last = self._stamp
        self._stamp = max(last + 1, last + TICKS // USUAL_RATE if time is None else round(time * TICKS))
        frame.pts, frame.time_base = self._stamp, Fraction(1, TICKS)
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file and give it its name; without a frame there is none."""
        with self._stack:
            if self._container is not None:
                self._mux(self._stream.encode(None))
                self._container.close()
                self._container = None

    def discard(self) -> None:
        """Leave nothing behind of a file that is not finished."""
        with suppress(_DiscardedError), self._stack:
            raise _DiscardedError

    def _mux(self, packets: list[Packet]) -> None:
        try:
            self._container.mux(packets)
        except OSError as error:
            raise not_written(self.path, error) from error

    def _start(self, image: np.ndarray) -> None:
        file = self._stack.enter_context(write_atomically(self.path, "wb"))
        self._container = self._av.open(file, "w", format="mp4")
        stream = self._stream = self._container.add_stream("libx264", rate=USUAL_RATE)
        stream.height, stream.width = (side + side % 2 for side in image.shape[:2])
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, TICKS)
        stream.options = {"preset": "veryfast", "crf": "18"}
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited


def _fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    scale = min(width / image.shape[1], height / image.shape[0])
    if scale < 1 or (width - image.shape[1] > 1 and height - image.shape[0] > 1):
        size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    below, right = height - image.shape[0], width - image.shape[1]
    edge = cv2.BORDER_REPLICATE if max(below, right) <= 1 else cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(image, 0, below, 0, right, edge)

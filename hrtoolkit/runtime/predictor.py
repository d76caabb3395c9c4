"""From anything that people have pictures in to records, by an exported model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy import ndarray

from .batches import Batches
from .boxes import Boxes, BoxesLike, Detector, Find, check_inside, use_boxes, use_detector
from .errors import CheckpointError, OptionError, UserError
from .network import SETTINGS, Input, Network, find_network, open_network
from .prediction import Prediction
from .reading import FINISH, READ
from .records import Record, join, nobody
from .scheme import Scheme, make_scheme, read_scheme
from .sources import Picture, Readables, Source, is_live, open_source
from .views import FitInside, Look, TopDown, make_view

CROPS = 16  # at once by default; of whole pictures it is one


def load(
    folder: str | os.PathLike[str],
    *,
    branch: str | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    detector: Detector | None = None,
) -> Predictor:
    """Load an exported model to predict with.

    Args:
        folder: that `hrtoolkit export` wrote.
        branch: name of the one that looks, of an export that has several; see `load_joint` for all of them.
        batch_size: inputs that the network sees at once, by default 16 crops or one whole picture; several pictures at
            once are of one size.
        threads: that the network may use; None leaves it to the package that runs it.
        detector: finds the boxes of people or faces: another exported folder, of a detector, a predictor of objects, a
            function, or the file of OpenCV's face detector YuNet, see `boxes.use_detector`.

    Raises:
        UserError: the folder is not whole, or not of this version, or what runs it is not installed.
    """
    place = find_network(folder, branch)
    network = open_network(place, threads=threads)
    if detector is not None and isinstance(detector, (str, os.PathLike)) and Path(detector).is_dir():
        detector = load(detector, threads=threads)
    return Predictor(
        network, scheme_of(network, place, branch), branch=branch, batch_size=batch_size, detector=detector
    )


def scheme_of(network: Network, folder: Path, branch: str | None) -> Scheme:
    """What the outputs of a branch stand for.

    Args:
        network: of the folder.
        folder: that it was opened from.
        branch: name; None for the only one.

    Raises:
        UserError: there is no such branch, or its scheme cannot be read.
    """
    own = network.settings_of(branch).get("scheme")
    return read_scheme(folder) if own is None else make_scheme(own, folder / SETTINGS)


class Predictor:
    """Looks at pictures with an exported network.

    Args:
        network: of the folder.
        scheme: what its outputs stand for.
        branch: name of the one that looks, where the network has several.
        batch_size: see `load`.
        detector: see `load`; a network that sees crops needs it, or boxes with each call.

    Raises:
        OptionError: the batch size or the detector does not fit the network.
        CheckpointError: the folder asks for what this runtime does not know.
    """

    def __init__(
        self,
        network: Network,
        scheme: Scheme,
        *,
        branch: str | None = None,
        batch_size: int | None = None,
        detector: Detector | None = None,
    ):
        self.settings = settings = network.settings_of(branch)
        self.network, self.scheme, self.branch = network, scheme, branch
        self.view = make_view(network.settings["view"], network.input.mean)
        self.sees_crops = isinstance(self.view, TopDown)
        finish = settings.get("finish")
        for name, known in (("read", READ), ("finish", FINISH)):
            kind = (settings.get(name) or {}).get("kind" if name == "read" else "type")
            if kind not in known and not (name == "finish" and finish is None):
                raise CheckpointError(
                    f"{network.folder}/{SETTINGS}: {name} is {kind!r}, and this runtime knows {known}"
                )
        self._read, self._finish = READ[settings["read"]["kind"]], None if finish is None else FINISH[finish["type"]]
        if isinstance(self.view, FitInside) and self.view.float_resize and network.input.dtype == "uint8":
            raise CheckpointError(
                f"{network.folder}: a view that does not round grey levels, and a model of uint8 images"
            )
        if detector is not None and not self.sees_crops:
            raise OptionError("a detector finds boxes for models that look at crops; this one looks at whole pictures")
        self.detect = None if detector is None else use_detector(detector)
        self.batch_size = self._choose_batch_size(batch_size)

    def _choose_batch_size(self, wanted: int | None) -> int:
        fixed = self.network.input.shape[0]
        if wanted is not None and (wanted < 1 or fixed not in (wanted, "batch")):
            raise OptionError(f"batch_size is {'1 or more' if isinstance(fixed, str) else fixed}, got {wanted}")
        return fixed if isinstance(fixed, int) else wanted or (CROPS if self.sees_crops else 1)

    def __call__(
        self,
        source: Readables,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        order: Literal["rgb", "bgr"] = "rgb",
        on_failure: Callable[[Source, UserError], None] | None = None,
    ) -> Iterator[Prediction]:
        """Predict on pictures one after another, as they are asked for; a batch is filled across pictures.

        Args:
            source: see `sources.open_source`, which also explains the next arguments.
            boxes: where to look, see `boxes.use_boxes`; instead of the detector.
            recursive: whether folders inside folders are read.
            order: of the channels of arrays.
            on_failure: is given what cannot be read; without it the first one is raised.

        Raises:
            OptionError: the model looks at crops, and nobody says where.
            DataError: a source cannot be read.
        """
        find = self._find_boxes(boxes)
        opened = open_source(source, recursive=recursive, order=order, on_failure=on_failure)
        return self._predict(opened, find, is_live(source), on_failure)

    def find(self, image: ndarray, boxes: BoxesLike | None = None) -> Record:
        """The record of one RGB picture, uint8 [H, W, 3]."""
        return next(self([image], boxes=boxes)).record

    def _find_boxes(self, boxes: BoxesLike | None) -> Find | None:
        if not self.sees_crops:
            if boxes is not None:
                raise OptionError("boxes are for models that look at crops; this one looks at whole pictures")
            return None
        if boxes is None and self.detect is None:
            raise OptionError(
                "this model looks at one person or face at a time: say where by boxes=... (--boxes), 'whole' for the "
                "whole picture, or give it a detector=... (--detector), such as the folder of an exported detector"
            )
        return self.detect if boxes is None else use_boxes(boxes)

    def _predict(
        self,
        pictures: Iterator[Picture],
        find: Find | None,
        live: bool,
        on_failure: Callable[[Source, UserError], None] | None,
    ) -> Iterator[Prediction]:
        batches = Batches(
            look=lambda index, picture: self._look(index, picture, find),
            run=lambda looks: self.read(self.run(looks), looks),
            # What is padded would change with the others of a batch.
            size=lambda look: batch_hw(look.pixels.shape[:2], self.network.input),
            most=lambda _: self.batch_size,
        )
        for picture, records in batches.predict(pictures, live, on_failure):
            yield Prediction(picture.source, self.join(records), self.scheme, picture.image)

    def _look(self, index: int, picture: Picture, find: Find | None) -> list[Look]:
        return self.look(picture, None if find is None else find(index, picture))

    def look(self, picture: Picture, where: Boxes | None) -> list[Look]:
        """The inputs of a picture: its crops, or the whole of it.

        Args:
            picture: to look at.
            where: its crops are; None for a network that looks at the whole.

        Raises:
            DataError: a box lies outside.
        """
        if not isinstance(self.view, TopDown):
            return [self.view.look(picture.image)]
        assert where is not None, "a model of crops is told where to look"
        check_inside(where.boxes_xyxy, picture)
        rows = zip(where.boxes_xyxy, where.scores.tolist(), strict=True)
        return [self.view.look(picture.image, box, score) for box, score in rows]

    def run(self, looks: Sequence[Look]) -> dict[str, ndarray]:
        """What the network gives of some inputs of one size, for all its branches."""
        spare = self.batch_size - len(looks) if isinstance(self.network.input.shape[0], int) else 0
        images = make_batch([*looks, *[looks[-1]] * spare], self.network.input)
        sizes_hw = np.array([look.pixels.shape[:2] for look in [*looks, *[looks[-1]] * spare]])
        outputs = self.network.run(images, sizes_hw)
        return {name: values[: len(looks)] for name, values in outputs.items()}

    def read(self, outputs: Mapping[str, ndarray], looks: Sequence[Look]) -> list[Record]:
        """The records of this branch, from what `run` gave of some inputs."""
        return self._read(self.network.outputs_of(outputs, self.branch), looks, self.settings["read"])

    def join(self, records: list[Record]) -> Record:
        """The record of a picture, from those of its inputs."""
        if not records:
            return nobody(len(self.scheme.names))
        return join(records) if self._finish is None else self._finish(records, self.settings["finish"])


def batch_hw(size_hw: tuple[int, ...], taken: Input) -> tuple[int, ...]:
    """Height and width of the batch that an input goes into."""
    if taken.multiple is None:
        return size_hw
    return tuple(-(-max(side, taken.smallest) // taken.multiple) * taken.multiple for side in size_hw)


def make_batch(looks: Sequence[Look], taken: Input) -> ndarray:
    """Join inputs of one batch size, [B, 3, H, W] as the network takes them; what is padded becomes 0.

    Args:
        looks: one at least.
        taken: by the network: normalised float32, or uint8.
    """
    height, width = batch_hw(looks[0].pixels.shape[:2], taken)
    images = np.zeros((len(looks), height, width, 3), taken.dtype)
    for image, look in zip(images, looks, strict=True):
        pixels = look.pixels if taken.color_order == "rgb" else look.pixels[..., ::-1]
        pixels = pixels if taken.dtype == "uint8" else _normalise(pixels, taken)
        image[: pixels.shape[0], : pixels.shape[1]] = pixels
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _normalise(pixels: ndarray, taken: Input) -> ndarray:
    """Pixels [h, w, 3] as float32, less the mean and by the deviation of their channels."""
    # On rows of all channels: a fifth of the time that three at a time take.
    mean, std = (np.tile(np.array(values, np.float32), pixels.shape[1]) for values in (taken.mean, taken.std))
    rows = pixels.reshape(len(pixels), -1).astype(np.float32)
    rows -= mean
    rows /= std
    return rows.reshape(pixels.shape)

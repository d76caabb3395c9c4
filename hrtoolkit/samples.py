"""Data sets: what is annotated, and the inputs that a network is given of it.

A sample is what is finished and scored together: an image, or one face, or one person of MPII. Crops are the windows
that a top-down network looks at. Training walks over crops (or samples where there are none), scoring over samples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
from numpy import ndarray
from torch.utils.data import Dataset

from hrtoolkit.data.images import read_annotated_image
from hrtoolkit.data.seeding import SampleKey, global_seed
from hrtoolkit.errors import DataError, Moved
from hrtoolkit.findings import Finding, Findings
from hrtoolkit.frames import Frame, Size, to_input
from hrtoolkit.records import Objects, Record
from hrtoolkit.schemes import Scheme, convert
from hrtoolkit.threads import in_threads
from hrtoolkit.tracking.keypoints import VideoFrame
from hrtoolkit.views import Augmentation, Crop, View


class Images(NamedTuple):
    """The images of M samples, as flat arrays: loader workers share them instead of touching Python objects."""

    paths: ndarray  # [M] byte strings of `os.fsencode`; empty where an image is no file of its own
    ids: ndarray  # [M] integers or texts, as the annotations have them
    sizes_wh: ndarray  # [M, 2] width and height as annotated; 0 where nobody says

    def caption(self, sample: int) -> str:
        """What a caption calls an image: its file without folders, or its id."""
        return os.path.split(os.fsdecode(self.paths[sample]))[1] or f"image {self.ids[sample]}"


class Crops(NamedTuple):
    """N windows to look at, those of a sample side by side, in the order of the samples."""

    samples: ndarray  # [N] int32, position of each one's sample
    windows_xywh: ndarray  # [N, 4] float64 left, top, width, height in pixels of the image, neither padded nor grown
    boxes_xyxy: ndarray  # [N, 4] float64, annotated or detected
    scores: ndarray  # [N] float32 of the boxes; 1 where annotated
    objects: ndarray  # [N] int32, place in the truth of the sample; -1: a detection
    labels: ndarray | None = None  # [N] int64 kinds, annotated or detected, that predictions take over; None: one kind


class Samples(Protocol):
    """A data set. Required are `scheme`, `findings`, `images`, `read` and `truth`.

    Constructor arguments named in `told` come from the model, or else from the training data: `scheme` where a config
    leaves it open, and what heads ask for (`Head.reads`), such as `masks`.
    """

    @property
    def findings(self) -> Findings:
        """What is wrong with the files; those of level "stop" keep a run from starting."""
        ...

    @property
    def images(self) -> Images:
        """The images of the samples."""
        ...

    @property
    def told(self) -> tuple[str, ...]:
        """Constructor arguments that come from the model or the training data, see above; default `scheme`."""
        ...

    @property
    def how_to_get(self) -> str:
        """What messages about missing files say."""
        ...

    @property
    def truth_files(self) -> bool:
        """Whether the truth of a sample is a file of its own: it is read once, with the image."""
        ...

    @property
    def scheme(self) -> Scheme:
        """What truths are of."""
        ...

    @property
    def subsets(self) -> Mapping[str, ndarray]:
        """Name -> bool [M], scored apart as well; by default none."""
        ...

    def __len__(self) -> int:
        """The number of samples; by default that of the images."""
        ...

    def size_wh(self, sample: int) -> Sequence[float]:
        """Width and height that a sample is annotated in, 0 where nobody says; by default those in `images`."""
        ...

    def read(self, sample: int) -> ndarray:
        """The image of a sample, RGB uint8 [H, W, 3], by default in the orientation that has the annotated size.

        Raises:
            DataError: it cannot be read.
        """
        ...

    def truth(self, sample: int) -> Record | None:
        """All that is annotated of a sample, in the file's order, what is ignored too; None where nothing is known.

        Raises:
            DataError: it cannot be read, where it is a file of its own.
        """
        ...

    def video_frame(self, sample: int) -> VideoFrame | None:
        """What is known of a sample that is a frame of a video; by default samples are none."""
        ...

    def to_learn(self, sample: int) -> Record:
        """What training compares a whole sample with; by default the truth without what is ignored.

        Raises:
            DataError: there is nothing, or it cannot be read.
        """
        ...

    def crops(self) -> Crops | None:
        """The windows that a top-down network looks at; None where samples can only be looked at as a whole.

        A view that sees no crops never asks for them.
        """
        ...

    def check_labels(self, name: str, whole: bool) -> list[Finding]:
        """What is wrong with the truths: by default those that files of their own hold are read, where that may be.

        Args:
            name: what the samples are for: "train", "val" or "test".
            whole: read all files, which may take minutes; otherwise no more than takes seconds.
        """
        ...

    def files(self) -> list[str]:
        """Paths of what the data are read from, which no result may replace; by default images and annotations."""
        ...


class BaseSamples:
    """Defaults of a data set."""

    moved: ClassVar[Moved] = {}
    scheme: Scheme
    findings: Findings
    images: Images
    told: tuple[str, ...] = ("scheme",)
    how_to_get: str = ""
    truth_files: bool = False

    @property
    def subsets(self) -> Mapping[str, ndarray]:
        return {}

    def __len__(self) -> int:
        return len(self.images.ids)

    def size_wh(self, sample: int) -> Sequence[float]:
        return self.images.sizes_wh[sample].tolist()

    def read(self, sample: int) -> ndarray:
        return read_annotated_image(os.fsdecode(self.images.paths[sample]), self.size_wh(sample))

    def truth(self, sample: int) -> Record | None:
        raise NotImplementedError

    def video_frame(self, sample: int) -> VideoFrame | None:
        return None

    def to_learn(self, sample: int) -> Record:
        truth = self.truth(sample)
        if truth is None:
            raise DataError(f"{os.fsdecode(self.images.paths[sample])}: there is nothing annotated to train on")
        if isinstance(truth, Objects) and truth.ignored is not None and truth.ignored.any():
            return truth.select(~truth.ignored)
        return truth

    def crops(self) -> Crops | None:
        return None

    def check_labels(self, name: str, whole: bool) -> list[Finding]:
        def read(sample: int) -> str:
            try:
                self.truth(sample)
            except DataError as error:
                return str(error)
            return ""

        findings = Findings(f"{name} data")
        if whole and self.truth_files:
            errors = [error for error in in_threads(read, range(len(self)), f"{name} labels") if error]
            findings.add("stop", "labels that cannot be used", errors, "correct the files")
        return findings

    def files(self) -> list[str]:
        return [self.findings.where, *(os.fsdecode(path) for path in np.unique(self.images.paths) if path)]


class Input(NamedTuple):
    """One input of a network, before it becomes part of a batch."""

    index: int  # type: ignore[assignment]  # position among the inputs of its data set; hides `tuple.index`
    pixels: ndarray  # RGB [h, w, 3], uint8 or float32
    frame: Frame
    targets: dict[str, ndarray] | None = None
    truth: Record | None = None  # in test batches, where it is a file of its own
    seed: int = 0  # of what is done to the whole batch


def compare_size(images: Images, sample: int, image_hw: Size) -> str:
    """Hold the size of an image against the annotated one; says both where they differ, "" where they do not.

    Args:
        images: of the data set.
        sample: whose image it is.
        image_hw: height and width as read.
    """
    width, height = images.sizes_wh[sample].tolist()
    if image_hw == (height, width) or not (width > 0 and height > 0):
        return ""
    return f"{image_hw[1]} x {image_hw[0]}, annotated {width:g} x {height:g}"


class Inputs(Dataset[Input]):
    """Samples as a branch looks at them: one input a crop, or one a sample. This is what a loader reads.

    Args:
        samples: a data set.
        view: of the branch; only one of crops looks at the crops of the samples.
        scheme: of the head; truth of another scheme is turned into it by name.
        targets: of the head, makes training targets of a record in input pixels and the input's frame; None for
            testing.
        augmentation: None looks at the training data as at the test data.
    """

    def __init__(
        self,
        samples: Samples,
        view: View,
        scheme: Scheme,
        targets: Callable[..., dict[str, ndarray]] | None = None,
        augmentation: Augmentation | None = None,
    ):
        self.samples = samples
        self.view = view
        self.scheme = scheme
        self.targets = targets
        self.augmentation = augmentation
        crops = samples.crops() if view.sees_crops else None
        self.owners: ndarray | None = None
        self.objects: ndarray | None = None
        self.labels: ndarray | None = None
        self.asks: Sequence[Crop] | None = None
        if crops is not None:
            # Padded for all at once: one by one they would take 13 us each.
            self.owners, self.objects, self.labels = crops.samples, crops.objects, crops.labels
            self.asks = view.crops(crops.windows_xywh, crops.boxes_xyxy, crops.scores)
        self._last: tuple[bytes | int, ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        return len(self.samples) if self.owners is None else len(self.owners)

    def sample_of(self, index: int) -> int:
        """The sample that an input is of."""
        return index if self.owners is None else int(self.owners[index])

    def crop(self, index: int) -> Crop | None:
        """The window that an input shows; None where it shows the whole image."""
        return None if self.asks is None else self.asks[index]

    def read(self, sample: int) -> ndarray:
        """The image of a sample; the last one is kept for the next crop of it.

        Raises:
            DataError: it cannot be read, or is of another size than annotated.
        """
        key = self.samples.images.paths[sample] or sample
        if self._last[0] != key:
            image = self.samples.read(sample)
            self._check_size(sample, image.shape[:2])
            self._last = (key, image)
        return self._last[1]

    def _check_size(self, sample: int, image_hw: Size) -> None:
        images = self.samples.images
        if fault := compare_size(images, sample, image_hw):
            name = os.fsdecode(images.paths[sample]) or f"image {images.ids[sample]}"
            raise DataError(
                f"{name}: the image is of another size than annotated (width x height: {fault}); take the images that "
                "were annotated, and where width and height are exchanged, turn the pixels; tools/check_data.py lists "
                "all of them"
            )

    def __getitem__(self, key: int | SampleKey) -> Input:
        """One input: as it is tested for an int, augmented and with targets for a `SampleKey`."""
        if isinstance(key, SampleKey):
            return self._training_input(key)
        sample, crop = self.sample_of(key), self.crop(key)
        pixels, frame = self.view(self.read(sample), crop)
        truth = self.samples.truth(sample) if self.samples.truth_files else None
        return Input(key, pixels, frame, truth=truth)

    def _training_input(self, key: SampleKey) -> Input:
        image, truth = self.read(self.sample_of(key.index)), self.truth(key.index)
        pixels, frame, seed = self.look(key, image, truth)
        return Input(key.index, pixels, frame, self.learn(truth, frame), seed=seed)

    def look(self, key: SampleKey, image: ndarray, truth: Record) -> tuple[ndarray, Frame, int]:
        """Augmented pixels of an input, its frame, and a seed for what is done to the whole batch.

        Args:
            key: of the input.
            image: that it shows.
            truth: of the input, which an augmentation may look at.
        """
        rng, crop = key.generator(), self.crop(key.index)
        augmentation = self.augmentation
        borrows = augmentation is not None and augmentation.borrows
        seed = int(rng.integers(2**32)) if borrows else None
        with global_seed(int(rng.integers(2**32))) if borrows else nullcontext():
            ask = crop
            if augmentation is not None:
                ask = augmentation.ask(self.view, image.shape[:2], truth, crop, self.scheme, rng)
            pixels, frame = self.view(image, ask)
            if augmentation is not None:
                pixels = augmentation.retouch(pixels, frame, rng)
        if seed is None:
            seed = int(rng.integers(2**32))
        return pixels, frame, seed

    def learn(self, truth: Record, frame: Frame) -> dict[str, ndarray]:
        """Targets of an input that was looked at so."""
        assert self.targets is not None, "inputs without targets are for testing"
        return self.targets(to_input(truth, frame, self.scheme), frame)

    def truth(self, index: int) -> Record:
        """What training compares an input with, in pixels of its image: of a crop the object that it shows."""
        sample = self.sample_of(index)
        if self.objects is None:
            return convert(self.samples.to_learn(sample), self.samples.scheme, self.scheme)
        place, truth = int(self.objects[index]), self.samples.truth(sample)
        assert isinstance(truth, Objects), "crops show objects"
        return convert(truth.select(slice(place, place + 1)), self.samples.scheme, self.scheme)

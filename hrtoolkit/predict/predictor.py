"""From anything that people have pictures in to records: a model that looks, in batches, and keeps the order."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import torch
from mmengine import Config
from numpy import ndarray

from hrtoolkit.build import build_model
from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.checkpoints import load_fitting
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.data.loading import Collate
from hrtoolkit.engine.optim import Precision
from hrtoolkit.engine.run import choose_precision
from hrtoolkit.errors import CheckpointError, DataError, OptionError, UserError
from hrtoolkit.files import is_checkpoint, is_exported, list_shipped
from hrtoolkit.model import UNNAMED, Backend, Branch, Model
from hrtoolkit.predict.boxes import BoxesLike, Detector, Find, check_inside, use_boxes, use_detector
from hrtoolkit.predict.live import is_live
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Picture, Readables, Source, count_pictures, open_source, skip_films
from hrtoolkit.predict.sparse_detection import SparseDetector
from hrtoolkit.predict.unfinished import Found, Unfinished
from hrtoolkit.predict.writing import Summary, write_predictions
from hrtoolkit.pretrained import HUB_NAME, find_folder, own_config, save_pretrained
from hrtoolkit.published import name_weights
from hrtoolkit.records import Objects, Record
from hrtoolkit.runtime.batches import Batches
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.runtime.records import nobody
from hrtoolkit.samples import Input
from hrtoolkit.schemes import KeypointScheme, Scheme
from hrtoolkit.schemes.people import with_sigmas
from hrtoolkit.speed import compile_blocks, fold
from hrtoolkit.tracking.tracker import Tracker
from hrtoolkit.weights import published_numbers

if TYPE_CHECKING:
    from typing_extensions import Unpack

log = logging.getLogger(__name__)
CROPS = 16  # at once by default; of whole pictures it is one
TOGETHER = 64  # frames of a film that may share batches
LARGEST_BATCH = 64  # that "auto" tries
LONG_SECONDS = 1  # of a batch: a larger one gains nothing more
WORTH_IT = 0.95  # a larger batch has to take less than this share of the time an input
TURNS = 3  # that each size is timed


def load(
    model: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    device: str | torch.device = "auto",
    batch_size: int | Literal["auto"] | None = None,
    detector: Detector | None = None,
    branch: str | None = None,
    flip: bool = False,
    folded: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
    backend: Backend | None = None,
) -> Predictor:
    """Load a model to predict with.

    Args:
        model: what holds its config: a checkpoint or a folder that this toolkit wrote, or the name of such a folder on
            the Hugging Face Hub; or, with `checkpoint`, a config: file, name of a shipped one, or object.
        checkpoint: of any known format: path, address, or "official", "timm" or "openmmlab" for those that the config
            publishes.
        device: "auto" takes a GPU where there is one.
        batch_size: inputs that the network sees at once, by default 16 crops or one whole picture; several pictures at
            once are of one size. "auto" measures what is fastest.
        detector: finds the boxes of people or faces, see `use_detector`; of a model that has several branches the name
            of another one, too.
        branch: name of the one that looks, of a model that has several.
        flip: average with the mirrored inputs.
        folded: put BatchNorm into the convolutions, which is faster and the same up to rounding.
        amp: fold, and compute backbone and neck in half precision.
        compile: compile the backbone (needs a C++ compiler on a CPU).
        backend: what runs the network instead of PyTorch, on the CPU: "onnxruntime" or "openvino", and "pt2" for
            folders of that format. An exported folder runs with its own by default.

    Raises:
        UserError: a file cannot be read, or the checkpoint does not fit.
    """
    network, settings, known = load_network(
        model,
        checkpoint,
        device=device,
        branch=branch,
        flip=flip,
        folded=folded,
        amp=amp,
        compile=compile,
        backend=backend,
    )
    if branch is None and len(network.branches) > 1:
        raise OptionError(
            f"name one of the model's branches ({', '.join(network.branches)}) by branch=..., or take all of them by "
            "hrtoolkit.predict.load_joint"
        )
    return Predictor(network, branch=branch, batch_size=batch_size, detector=detector, settings=settings, known=known)


def load_network(
    model: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    device: str | torch.device = "auto",
    branch: str | None = None,
    flip: bool = False,
    folded: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
    backend: Backend | None = None,
) -> tuple[Model, dict[str, object], dict[str, object]]:
    """A model with its weights, what its predictions depend on, and what is known of it; see `load` for all of it."""
    exported = model if checkpoint is None else checkpoint
    if is_exported(exported):
        from hrtoolkit.export.exported import check_as_made, load_exported

        check_as_made(exported, flip=flip, folded=folded, amp=amp, compile=compile)
        network = load_exported(str(exported), backend)
        asked: dict[str, object] = {"weights": str(exported), "branch": branch, "backend": backend}
        return network, asked, {}
    if backend is not None and (folded or amp or compile):
        raise OptionError("backend: another runtime folds and compiles by itself; leave out folded, amp and compile")
    config, content, label = _read_model(model, checkpoint)
    if flip:
        config.model.flip_test = True
    try:
        network = build_model(config)
    except ConfigError as error:
        if checkpoint is not None:
            raise
        problems = "\n  ".join(error.problems)
        raise CheckpointError(
            f"{label}: the config in it is not one of today's, so give one as well (load(CONFIG, {label!r}), or on the "
            f"command line CONFIG ... --weights {label}):\n  {problems}"
        ) from error
    load_fitting(network, content, label)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to("cpu" if backend is not None else device).eval()
    if backend is not None:
        from hrtoolkit.export.exported import export_to_memory

        export_to_memory(network, branch, backend)
    if folded or amp:
        network = fold(network, getattr(torch, choose_precision(amp)))
    if compile:
        compile_blocks(network.backbone)
    settings: dict[str, object] = {
        "weights": label,
        "branch": branch,
        "flip": flip,
        "amp": str(amp),
        "backend": backend,
    }
    meta = content.get("meta")
    if checkpoint is None:
        known: dict[str, object] = {
            key: meta[key] for key in ("metrics", "epoch", "published", "from") if meta.get(key)
        }
    else:
        known = {"from": label, "published": published_numbers(label)}
    return network, settings, known


class LoadOptions(TypedDict, total=False):
    """What `load` takes besides the model, see there."""

    device: str | torch.device
    batch_size: int | Literal["auto"] | None
    detector: Detector | None
    branch: str | None
    flip: bool
    folded: bool
    amp: bool | Precision
    compile: bool
    backend: Backend | None


def from_pretrained(name: str | Path, **options: Unpack[LoadOptions]) -> Predictor:
    """Load what `Predictor.save_pretrained` wrote.

    Args:
        name: of the folder, or of a model on the Hugging Face Hub, "owner/model", which is downloaded once.
        options: see `load`.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    return load(find_folder(name), **options)


def _read_model(model: str | Path | Config, checkpoint: str | Path | None) -> tuple[Config, Any, str]:
    """The config of a model, the content of its checkpoint, and what messages call that."""
    if checkpoint is not None:
        if is_checkpoint(model):
            raise OptionError(f"{model} is a checkpoint, where the config belongs; give the config first")
        config = load_config(model)
        checkpoint = name_weights(checkpoint, config.filename)
        return config, read_checkpoint(checkpoint), str(checkpoint)
    if not is_checkpoint(model):
        # os.path never raises for odd names.
        folder = not isinstance(model, Config) and (
            os.path.isdir(model) or HUB_NAME.fullmatch(str(model))  # noqa: PTH112
        )
        if not folder or str(model) in list_shipped():
            load_config(model)  # says what is wrong with its name
            raise OptionError(f"{model}: give the checkpoint of this config as well (by --weights on the command line)")
        model = find_folder(model)
    content = read_checkpoint(model)
    return own_config(content, str(model)), content, str(model)


class Predictor:
    """Looks at pictures with one branch of a model.

    Args:
        model: with its weights, in eval mode and on its device.
        branch: name of the one that looks; None where there is but one.
        batch_size: see `load`.
        detector: see `use_detector`, or the name of another branch; a network that sees crops needs it, or boxes with
            each call.
        detect_every: frames of a film from one detection to the next, see `SparseDetector`; "auto" measures.
        settings: what else predictions depend on, for `run`, in plain values.
        known: of the weights, for `save_pretrained`, such as `metrics`, in plain values.
    """

    def __init__(
        self,
        model: Model,
        *,
        branch: str | None = None,
        batch_size: int | Literal["auto"] | None = None,
        detector: Detector | None = None,
        detect_every: int | Literal["auto"] = 1,
        settings: Mapping[str, object] = MappingProxyType({}),
        known: Mapping[str, object] = MappingProxyType({}),
    ):
        self.model = model.eval()
        self.branch: Branch = model.branch(branch)
        self.name = next(name for name, one in model.branches.items() if one is self.branch)
        if self.branch.view is None:
            raise OptionError("this model has no view: its config does not say how it looks at pictures")
        self.view = self.branch.view
        if isinstance(batch_size, int) and batch_size < 1:
            raise OptionError(f"batch_size is 1 or more, or 'auto', got {batch_size}")
        self.sees_crops = self.view.sees_crops
        self.batch_size = batch_size or (CROPS if self.sees_crops else 1)
        if detector is not None and not self.sees_crops:
            raise OptionError("a detector finds boxes for models that look at crops; this one looks at whole pictures")
        if isinstance(detector, str) and detector in model.branches and detector != self.name:
            detector = Predictor(model, branch=detector, settings={**settings, "branch": detector})
        self.detect = None if detector is None else use_detector(detector, self.device)
        if detect_every != 1 and (self.detect is None or not isinstance(self.scheme, KeypointScheme)):
            raise OptionError("detect_every is for a detector and a model that looks for keypoints where it found some")
        self.detect_every = detect_every
        self.settings = dict(settings, detector=_describe(detector), detect_every=detect_every)
        self.known = known
        self.collate = Collate(self.view.multiple, self.view.smallest)

    @property
    def scheme(self) -> Scheme:
        """What the outputs stand for."""
        return self.branch.head.scheme

    @property
    def device(self) -> torch.device:
        return self.model.data_preprocessor.mean.device

    def __call__(
        self,
        source: Readables,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        order: Literal["rgb", "bgr"] = "rgb",
        on_failure: Callable[[Source, UserError], None] | None = None,
        skip: Callable[[Source], bool] | None = None,
        frame_rate: float | None = None,
    ) -> Iterator[Prediction]:
        """Predict on pictures one after another, as they are asked for; a batch is filled across pictures.

        Args:
            source: see `hrtoolkit.predict.sources.open_source`, which also explains the next arguments.
            boxes: where to look, see `hrtoolkit.predict.boxes.use_boxes`; instead of the detector.
            recursive: whether folders inside folders are read.
            order: of the channels of arrays.
            on_failure: is given what cannot be read; without it the first one is raised.
            skip: whether a file is left out.
            frame_rate: of pictures that are the frames of a film.

        Raises:
            OptionError: the model looks at crops, and nobody says where.
            DataError: a source cannot be read.
        """
        find = self._find_boxes(boxes)
        opened = open_source(
            source, recursive=recursive, order=order, on_failure=on_failure, skip=skip, frame_rate=frame_rate
        )
        return self._predict(opened, find, is_live(source), on_failure)

    def run(
        self,
        source: Readables,
        out: str | Path,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        order: Literal["rgb", "bgr"] = "rgb",
        pictures: bool = True,
        save: Sequence[str] = (),
        watch: Callable[[Prediction], None] | None = None,
        frame_rate: float | None = None,
        tracker: Tracker | None = None,
        tail: float = 0.0,
    ) -> Summary:
        """Predict on everything, and write it into a folder; a second run goes on where the first one stopped.

        Args:
            source: see `__call__`, as for the next arguments.
            out: the folder, see `hrtoolkit.predict.output.Output`, also for `pictures` and `save`.
            boxes: where to look.
            recursive: whether folders inside folders are read.
            order: of the channels of arrays.
            pictures: draw them.
            save: further formats.
            watch: is given every prediction.
            frame_rate: of pictures that are the frames of a film.
            tracker: gives ids to people or objects in videos.
            tail: seconds of the past that are drawn into videos as a line behind everybody with an id.

        Raises:
            UserError: nothing could be read, or the folder cannot be written.
        """
        told = {
            "boxes": boxes if isinstance(boxes, (str, type(None))) else "given",
            "tensors": self.hash_weights(),  # a file keeps its name when it is trained again
            "frame_rate": frame_rate,
            "tracker": None if tracker is None else tracker.settings,
        }
        output = Output(out, self.scheme, self.settings | told, pictures, save, tail)
        failed: list[tuple[Source, UserError]] = []

        def on_failure(one: Source, error: UserError) -> None:
            failed.append((one, error))

        find, live = self._find_boxes(boxes), is_live(source)
        opened = open_source(
            source, recursive=recursive, order=order, on_failure=on_failure, skip=output.skip, frame_rate=frame_rate
        )
        found = self._predict(opened, find, live, on_failure, None if live else output.unfinished)
        if tracker is not None:
            found = tracker(found)
        total = count_pictures(source, recursive, skip_films(output.skip, frame_rate))
        return write_predictions(({UNNAMED: one} for one in found), {UNNAMED: output}, failed, total, watch)

    def save_pretrained(self, folder: str | Path, license: str | None = None) -> None:
        """Write the model as a folder that can be shared, which `from_pretrained` and `load` read anywhere.

        It has `config.json`, plain data, `model.safetensors`, and a model card, unless there is one already.

        Args:
            folder: is made if needed.
            license: of the weights, as the Hugging Face Hub spells it, such as "mit".

        Raises:
            UserError: the model was folded or is in half precision, or the folder cannot be written.
        """
        save_pretrained(self.model, folder, self.known, license)

    def hash_weights(self) -> str:
        """The beginning of the SHA-256 of all weights, or of the file of an export; 0.2 s for a W48."""
        if self.model.exported is not None:
            return self.model.exported.sha256[:16]
        found = hashlib.sha256()
        for tensor in self.model.state_dict().values():
            found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return found.hexdigest()[:16]

    def find(self, image: ndarray, boxes: BoxesLike | None = None) -> Record:
        """The record of one RGB picture, uint8 [H, W, 3]."""
        return next(iter(self([image], boxes=boxes))).record

    def _find_boxes(self, boxes: BoxesLike | None) -> Find | None:
        if not self.sees_crops:
            if boxes is not None:
                raise OptionError("boxes are for models that look at crops; this one looks at whole pictures")
            return None
        if boxes is None and self.detect is None:
            raise OptionError(
                "this model looks at one person or face at a time: say where by boxes=... (--boxes), 'whole' for the "
                "whole picture, or give it a detector=... (--detector), such as 'fasterrcnn_resnet50_fpn_v2'"
            )
        if boxes is not None:
            return use_boxes(boxes)
        if self.detect_every == 1 or self.detect is None:
            return self.detect
        assert isinstance(self.scheme, KeypointScheme)
        return SparseDetector(self.detect, self.detect_every, with_sigmas(self.scheme).sigmas)

    def _predict(
        self,
        pictures: Iterator[Picture],
        find: Find | None,
        live: bool,
        on_failure: Callable[[Source, UserError], None] | None,
        unfinished: Unfinished | None = None,
    ) -> Iterator[Prediction]:
        for picture, record in self._find_records(pictures, find, live, on_failure, unfinished):
            if isinstance(find, SparseDetector):
                record = find.see(record)
            yield Prediction(picture.source, record, self.scheme, picture.image)

    def _find_records(
        self,
        pictures: Iterator[Picture],
        find: Find | None,
        live: bool,
        on_failure: Callable[[Source, UserError], None] | None,
        unfinished: Unfinished | None,
    ) -> Iterator[tuple[Picture, Record]]:
        """Each picture with its record, which a run that was stopped has found, or the network finds."""
        index = -1  # of the picture that was read last
        sparse = find if isinstance(find, SparseDetector) else None
        given = None if find is self.detect or sparse is not None else find
        alone = live or sparse is not None
        # Others in a batch change the rounding: of a film they are the same wherever a run begins.
        together = 1 if alone or self.batch_size == 1 else TOGETHER
        batches = Batches(
            look=lambda _, picture: self._look(index, picture, find),
            run=self.look_at,
            # What is padded would change with the others of a batch.
            size=lambda one: self.collate.batch_hw([one.pixels.shape[:2]]),
            most=self._most,
        )

        def take(picture: Picture) -> tuple[Picture, Found | None]:
            nonlocal index
            index += 1
            if unfinished is None:
                return picture, None
            try:
                return picture, unfinished.take(picture, None if given is None else given(index, picture))
            except DataError:  # nobody says where to look, which is told when the network is to
                return picture, None

        for _, part in groupby(pictures, key=lambda one: _part_of(one.source, together)):
            for is_there, pairs in groupby(map(take, part), key=lambda pair: pair[1] is not None):
                if is_there:
                    for picture, found in pairs:
                        assert found is not None
                        if sparse is not None and found.detection is not None:
                            sparse.repeat(index, picture, found.detection)
                        yield picture, found.record
                    continue
                for picture, records in batches.predict((picture for picture, _ in pairs), alone, on_failure):
                    record = self.branch.finish(records) if records else Objects._make(nobody(len(self.scheme.names)))
                    if unfinished is not None and (sparse is None or sparse.detection is not None):
                        unfinished.add(picture.source, record, None if sparse is None else sparse.detection)
                    yield picture, record
            if unfinished is not None:
                unfinished.end_line()

    def _look(self, index: int, picture: Picture, find: Find | None) -> list[Input]:
        """The inputs of a picture: its crops, or the whole of it."""
        if find is None:
            return [Input(0, *self.view(picture.image))]
        boxes, scores = find(index, picture)
        check_inside(boxes, picture)
        return [Input(0, *self.view(picture.image, crop)) for crop in self.view.crops(to_xywh(boxes), boxes, scores)]

    def _most(self, one: Input) -> int:
        """How many inputs the network sees at once, measured where that is asked for."""
        if self.batch_size == "auto":
            self.batch_size = self._measure(one)
            log.info("the network sees %d inputs at once, which was the fastest here", self.batch_size)
        return self.batch_size

    @torch.inference_mode()
    def look_at(self, inputs: list[Input]) -> list[Record]:
        """The records of some inputs of one size, not finished."""
        batch = self.model.data_preprocessor(self.collate(inputs))
        names = None if self.name == UNNAMED else [self.name]
        found = self.model(batch["images"], frames=batch["frames"], mode="predict", branches=names)
        return found if self.name == UNNAMED else found[self.name]

    def _measure(self, one: Input) -> int:
        """The smallest batch size that takes about the least time an input."""
        least: dict[int, float] = {}  # seconds an input, by batch size
        size = 1
        try:
            while size <= LARGEST_BATCH and size // 2 * least.get(size // 2, 0) < LONG_SECONDS:
                self._time([one] * size)  # the first time of a size takes longer
                least[size] = self._time([one] * size)
                size *= 2
        except torch.OutOfMemoryError:
            pass
        for size in [*least] * (TURNS - 1):  # in turns, because a machine has slow moments
            least[size] = min(least[size], self._time([one] * size))
        return next((size for size, taken in least.items() if taken * WORTH_IT <= min(least.values())), 1)

    def _time(self, inputs: list[Input]) -> float:
        """Seconds that an input of a batch takes."""
        started = time.perf_counter()
        self.look_at(inputs)  # ends with arrays on the CPU: nothing is left to wait for
        return (time.perf_counter() - started) / len(inputs)


def _part_of(source: Source, together: int) -> tuple[str | None, int]:
    """Which pictures may share batches: of a film some frames, and pictures by themselves."""
    return (None, 0) if source.frame is None else (source.name, source.frame // together)


def _describe(detector: Detector | None) -> object:
    """What a detector is, in plain values that are the same in the next run."""
    if detector is None or isinstance(detector, (str, os.PathLike)):
        return None if detector is None else str(detector)
    if isinstance(detector, Predictor):
        return detector.settings | {"tensors": detector.hash_weights()}
    return getattr(detector, "__qualname__", type(detector).__qualname__)

"""Every branch of a network with several tasks, on the same pictures: one forward, then crops of what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from mmengine import Config

from hrtoolkit.engine.optim import Precision
from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.model import Model
from hrtoolkit.predict.boxes import Boxes, BoxesLike, check_inside
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.predictor import CROPS, Predictor, load_network
from hrtoolkit.predict.sources import Picture, Readables, Source, count_pictures, open_source
from hrtoolkit.predict.writing import Summary, write_predictions
from hrtoolkit.records import Objects, Record
from hrtoolkit.runtime.geometry import to_xywh
from hrtoolkit.runtime.joint import BaseJointPredictor
from hrtoolkit.runtime.records import nobody
from hrtoolkit.samples import Input
from hrtoolkit.views import Crop


def load_joint(
    model: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    device: str | torch.device = "auto",
    detector: str | None = None,
    flip: bool = False,
    folded: bool = False,
    amp: bool | Precision = False,
    compile: bool = False,
) -> JointPredictor:
    """Load a model with several tasks, to predict all of them at once.

    Args:
        model: see `hrtoolkit.load`, as for what is not explained here.
        checkpoint: of a config.
        device: "auto" takes a GPU where there is one.
        detector: see `JointPredictor`.
        flip: average with the mirrored inputs.
        folded: put BatchNorm into the convolutions; where views have statistics of their own, the backbone then exists
            once for each of them.
        amp: fold, and compute backbone and necks in half precision.
        compile: compile the backbone.

    Raises:
        UserError: a file cannot be read, or the checkpoint does not fit.
    """
    network, settings, _ = load_network(
        model, checkpoint, device=device, flip=flip, folded=folded, amp=amp, compile=compile
    )
    return JointPredictor(network, detector=detector, settings=settings)


class JointPredictor(BaseJointPredictor):
    """Looks at pictures with all branches of a model.

    Branches that share a view share its forward. Those that look at crops look where one of the others found something:
    by its classes "person" where it has such a class, else all, from a score of 0.5 on.

    Args:
        model: with its weights, in eval mode and on its device; its branches have names.
        detector: name of the branch whose boxes are looked into; None for the first whose records are objects.
        settings: what else predictions depend on, for `run`, in plain values.

    Raises:
        OptionError: the model has one branch without a name, a branch has no view, or `detector` is none of its
            branches that look at whole pictures.
    """

    def __init__(
        self, model: Model, *, detector: str | None = None, settings: Mapping[str, object] = MappingProxyType({})
    ):
        if "" in model.branches:
            raise OptionError("this model has one task: use hrtoolkit.load")
        self.model = model.eval()
        self.branches = {name: Predictor(model, branch=name, settings=settings) for name in model.branches}
        views: dict[str, list[str]] = {}
        for name in self.branches:
            views.setdefault(model.looks[name], []).append(name)
        crops = {view for view, names in views.items() if self.branches[names[0]].sees_crops}
        whole = [names for view, names in views.items() if view not in crops]
        super().__init__(whole, [names for view, names in views.items() if view in crops], detector)
        self.settings = dict(settings, detector=detector)

    def __call__(
        self,
        source: Readables,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        on_failure: Callable[[Source, UserError], None] | None = None,
        skip: Callable[[Source], bool] | None = None,
    ) -> Iterator[dict[str, Prediction]]:
        """Predict on pictures one after another, as they are asked for: a prediction of each branch by its name.

        Args:
            source: see `hrtoolkit.predict.sources.open_source`, which also explains the next arguments.
            boxes: where branches of crops look, see `hrtoolkit.predict.boxes.use_boxes`; instead of what was found.
            recursive: whether folders inside folders are read.
            on_failure: is given what cannot be read; without it the first one is raised.
            skip: whether a file is left out.

        Raises:
            OptionError: branches look at crops, and none finds boxes.
            DataError: a source cannot be read.
        """
        pictures = open_source(source, recursive=recursive, on_failure=on_failure, skip=skip)
        for picture, records in self.look_at_each(pictures, boxes, on_failure):
            yield {
                name: Prediction(picture.source, records[name], one.scheme, picture.image)
                for name, one in self.branches.items()
            }

    @torch.inference_mode()
    def look_at(self, picture: Picture, names: Sequence[str], where: Boxes | None) -> dict[str, Record]:
        """The records of branches that share a view, of one forward of all of a picture, or of each batch of crops."""
        first = self.branches[names[0]]
        asks: Sequence[Crop | None] = [None]
        if where is not None:
            check_inside(where.boxes_xyxy, picture)
            asks = first.view.crops(to_xywh(where.boxes_xyxy), where.boxes_xyxy, where.scores)
        inputs = [Input(0, *first.view(picture.image, ask)) for ask in asks]
        found: dict[str, list[Record]] = {name: [] for name in names}
        for start in range(0, len(inputs), CROPS):
            batch = self.model.data_preprocessor(first.collate(inputs[start : start + CROPS]))
            records = self.model(batch["images"], frames=batch["frames"], mode="predict", branches=names)
            for name in names:
                found[name] += records[name]
        if not inputs:
            return {name: Objects._make(nobody(len(self.branches[name].scheme.names))) for name in names}
        return {name: self.branches[name].branch.finish(records) for name, records in found.items()}

    def find_detector(self, records: Mapping[str, Record]) -> str | None:
        """The branch whose boxes are looked into: the detector, or the first that found objects.

        Args:
            records: of one whole picture, by branch.
        """
        objects = {name: one for name, one in records.items() if isinstance(one, Objects)}
        plain = [name for name, one in objects.items() if one.points is None]
        return self.detector or next(iter([*plain, *objects]), None)

    def names_of(self, branch: str) -> Sequence[str]:
        return self.branches[branch].scheme.names

    def run(
        self,
        source: Readables,
        out: str | Path,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        pictures: bool = True,
        save: Sequence[str] = (),
        watch: Callable[[Prediction], None] | None = None,
    ) -> Summary:
        """Predict on everything, and write it into a folder for each branch; a second run goes on.

        Args:
            source: see `__call__`, as for the next arguments.
            out: the folder, see `hrtoolkit.predict.output.Output`, also for `pictures` and `save`.
            boxes: where branches of crops look.
            recursive: whether folders inside folders are read.
            pictures: draw them.
            save: further formats.
            watch: is given every prediction.

        Raises:
            UserError: nothing could be read, or a folder cannot be written.
        """
        first = next(iter(self.branches.values()))
        told = {"boxes": boxes if isinstance(boxes, (str, type(None))) else "given", "tensors": first.hash_weights()}
        outputs = {
            name: Output(Path(out) / name, one.scheme, self.settings | told | {"branch": name}, pictures, save)
            for name, one in self.branches.items()
        }
        failed: list[tuple[Source, UserError]] = []

        def skip(one: Source) -> bool:
            return all(output.skip(one) for output in outputs.values())

        found = self(
            source,
            boxes=boxes,
            recursive=recursive,
            on_failure=lambda one, error: failed.append((one, error)),
            skip=skip,
        )
        return write_predictions(found, outputs, failed, count_pictures(source, recursive, skip), watch)

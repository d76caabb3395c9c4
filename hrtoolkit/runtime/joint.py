"""Every branch of an export with several, on the same pictures: a network a view, then crops of what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .boxes import Boxes, BoxesLike, Find, choose_people, use_boxes
from .errors import DataError, OptionError, UserError
from .network import open_network, read_views
from .prediction import Prediction
from .predictor import Predictor, scheme_of
from .records import Objects, Record
from .sources import Picture, Readables, Source, open_source


def load_joint(
    folder: str | os.PathLike[str], *, detector: str | None = None, threads: int | None = None
) -> JointPredictor:
    """Load an exported model with several branches, to predict all of them at once.

    Args:
        folder: that `hrtoolkit export` wrote.
        detector: name of the branch whose boxes are looked into; None for the one that the folder names.
        threads: that each network may use; None leaves it to the package that runs it.

    Raises:
        UserError: the folder is not whole, or not of this version, or what runs it is not installed.
        OptionError: it has one branch, or `detector` is none of those that look at whole pictures.
    """
    told = read_views(Path(folder))
    if told is None:
        raise OptionError(f"{folder}: an export of one branch: use load")
    views = []
    for view, names in told[0].items():
        network = open_network(Path(folder) / view, threads=threads)
        schemes = {name: scheme_of(network, Path(folder) / view, name) for name in names}
        views.append({name: Predictor(network, scheme, branch=name) for name, scheme in schemes.items()})
    return JointPredictor(views, told[1] if detector is None else detector)


class BaseJointPredictor:
    """Looks at pictures with all branches of a model: first the whole of each, then crops of what was found.

    A subclass says how branches that share a view look, by `look_at`, and what names their records have.

    Args:
        whole: names of the branches that look at whole pictures, those of one view together.
        cropping: names of those that look at crops, likewise.
        detector: name of the branch whose boxes are looked into; None where none is named.

    Raises:
        OptionError: `detector` is none of the branches that look at whole pictures.
    """

    def __init__(self, whole: Sequence[Sequence[str]], cropping: Sequence[Sequence[str]], detector: str | None):
        self.whole, self.cropping, self.detector = whole, cropping, detector
        finders = [name for names in whole for name in names]
        if detector is not None and detector not in finders:
            raise OptionError(
                f"detector is a branch that looks at whole pictures ({', '.join(finders)}), got {detector!r}"
            )

    def look_at(self, picture: Picture, names: Sequence[str], where: Boxes | None) -> dict[str, Any]:
        """The records of branches that share a view.

        Args:
            picture: to look at.
            names: of the branches.
            where: the crops are; None to look at the whole.

        Raises:
            DataError: a box lies outside the picture.
        """
        raise NotImplementedError

    def find_detector(self, records: Mapping[str, Any]) -> str | None:
        """The branch whose boxes are looked into.

        Args:
            records: of one whole picture, by branch.
        """
        return self.detector

    def names_of(self, branch: str) -> Sequence[str]:
        """What the classes or keypoints of a branch are called."""
        raise NotImplementedError

    def look_at_each(
        self,
        pictures: Iterable[Picture],
        boxes: BoxesLike | None,
        on_failure: Callable[[Source, UserError], None] | None,
    ) -> Iterator[tuple[Picture, dict[str, Any]]]:
        """Each picture with the record of every branch.

        Args:
            pictures: read as they are needed.
            boxes: where branches of crops look, see `boxes.use_boxes`; instead of what was found.
            on_failure: is given what cannot be looked at; without it the first one is raised.

        Raises:
            OptionError: branches look at crops, and none finds boxes.
        """
        find = None if boxes is None else use_boxes(boxes)
        for index, picture in enumerate(pictures):
            try:
                records = self._look_at_all(index, picture, find)
            except DataError as error:
                if on_failure is None:
                    raise
                on_failure(picture.source, error)
                continue
            yield picture, records

    def _look_at_all(self, index: int, picture: Picture, find: Find | None) -> dict[str, Any]:
        records: dict[str, Any] = {}
        for names in self.whole:
            records |= self.look_at(picture, names, None)
        if self.cropping:
            where = self._find_boxes(records) if find is None else find(index, picture)
            for names in self.cropping:
                records |= self.look_at(picture, names, where)
        return records

    def _find_boxes(self, records: Mapping[str, Any]) -> Boxes:
        name = self.find_detector(records)
        if name is None or not isinstance(records[name], Objects):
            raise OptionError("no branch of this model finds boxes to look into: give them by boxes=... (--boxes)")
        return choose_people(records[name], self.names_of(name))


class JointPredictor(BaseJointPredictor):
    """Looks at pictures with all branches of an export.

    Branches that share a view share its network. Those that look at crops look where the detector found something, see
    `boxes.choose_people`.

    Args:
        views: the branches of each, of one network.
        detector: name of the branch whose boxes are looked into; None where none finds boxes.

    Raises:
        OptionError: `detector` is none of the branches that look at whole pictures.
    """

    def __init__(self, views: Sequence[Mapping[str, Predictor]], detector: str | None):
        self.branches = {name: one for branches in views for name, one in branches.items()}
        crops = [any(one.sees_crops for one in branches.values()) for branches in views]
        whole = [list(names) for names, one in zip(views, crops, strict=True) if not one]
        cropping = [list(names) for names, one in zip(views, crops, strict=True) if one]
        super().__init__(whole, cropping, detector)

    def __call__(
        self,
        source: Readables,
        *,
        boxes: BoxesLike | None = None,
        recursive: bool = True,
        order: Literal["rgb", "bgr"] = "rgb",
        on_failure: Callable[[Source, UserError], None] | None = None,
    ) -> Iterator[dict[str, Prediction]]:
        """Predict on pictures one after another, as they are asked for: a prediction of each branch by its name.

        Args:
            source: see `sources.open_source`, which also explains the next arguments.
            boxes: where branches of crops look, see `boxes.use_boxes`; instead of what was found.
            recursive: whether folders inside folders are read.
            order: of the channels of arrays.
            on_failure: is given what cannot be read; without it the first one is raised.

        Raises:
            OptionError: branches look at crops, and none finds boxes.
            DataError: a source cannot be read.
        """
        opened = open_source(source, recursive=recursive, order=order, on_failure=on_failure)
        for picture, records in self.look_at_each(opened, boxes, on_failure):
            yield {
                name: Prediction(picture.source, records[name], one.scheme, picture.image)
                for name, one in self.branches.items()
            }

    def look_at(self, picture: Picture, names: Sequence[str], where: Boxes | None) -> dict[str, Record]:
        first = self.branches[names[0]]
        looks = first.look(picture, where)
        found: dict[str, list[Record]] = {name: [] for name in names}
        for start in range(0, len(looks), first.batch_size):
            chosen = looks[start : start + first.batch_size]
            outputs = first.run(chosen)
            for name in names:
                found[name] += self.branches[name].read(outputs, chosen)
        return {name: self.branches[name].join(records) for name, records in found.items()}

    def names_of(self, branch: str) -> Sequence[str]:
        return self.branches[branch].scheme.names

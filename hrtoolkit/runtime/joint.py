"""Every branch of an export with several, on the same pictures: a network a view, then crops of what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

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


class JointPredictor:
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
        sees_crops = [any(one.sees_crops for one in branches.values()) for branches in views]
        self.whole = [list(names) for names, crops in zip(views, sees_crops, strict=True) if not crops]
        self.cropping = [list(names) for names, crops in zip(views, sees_crops, strict=True) if crops]
        finders = [name for names in self.whole for name in names]
        if detector is not None and detector not in finders:
            raise OptionError(
                f"detector is a branch that looks at whole pictures ({', '.join(finders)}), got {detector!r}"
            )
        self.detector = detector

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
        find = None if boxes is None else use_boxes(boxes)
        opened = open_source(source, recursive=recursive, order=order, on_failure=on_failure)
        for index, picture in enumerate(opened):
            try:
                records = self._look_at_all(index, picture, find)
            except DataError as error:
                if on_failure is None:
                    raise
                on_failure(picture.source, error)
                continue
            yield {
                name: Prediction(picture.source, records[name], one.scheme, picture.image)
                for name, one in self.branches.items()
            }

    def _look_at_all(self, index: int, picture: Picture, find: Find | None) -> dict[str, Record]:
        records: dict[str, Record] = {}
        for names in self.whole:
            records |= self._look_at(picture, names, None)
        if self.cropping:
            where = self._find_boxes(records) if find is None else find(index, picture)
            for names in self.cropping:
                records |= self._look_at(picture, names, where)
        return records

    def _look_at(self, picture: Picture, names: Sequence[str], where: Boxes | None) -> dict[str, Record]:
        """The records of branches that share a network."""
        first = self.branches[names[0]]
        looks = first.look(picture, where)
        found: dict[str, list[Record]] = {name: [] for name in names}
        for start in range(0, len(looks), first.batch_size):
            chosen = looks[start : start + first.batch_size]
            outputs = first.run(chosen)
            for name in names:
                found[name] += self.branches[name].read(outputs, chosen)
        return {name: self.branches[name].join(records) for name, records in found.items()}

    def _find_boxes(self, records: Mapping[str, Record]) -> Boxes:
        found = None if self.detector is None else records[self.detector]
        if self.detector is None or not isinstance(found, Objects):
            raise OptionError("no branch of this model finds boxes to look into: give them by boxes=... (--boxes)")
        return choose_people(found, self.branches[self.detector].scheme.names)

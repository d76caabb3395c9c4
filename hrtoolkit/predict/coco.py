"""Predictions in COCO's format, and in COCO-VID's, which is COCO's with videos and who is who in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hrtoolkit.errors import UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.predict.individuals import find_individuals
from hrtoolkit.predict.labelling import visibility, with_objects
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme


def write_coco(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """COCO's format: `images`, `categories`, and `annotations` with scores, which are what `loadRes` takes."""
    _write(
        path,
        images=(_image(number, one) for number, one in _count(predictions)),
        annotations=_annotations(predictions, scheme),
        categories=_categories(scheme),
    )


def write_coco_vid(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """COCO-VID, as mmtracking has it: with `videos`, the place of each image in its video, and `instance_id`.

    Instances are counted through the file: those of the first video by their ids, those of the next go on behind them.
    Who has no id is an instance of one frame, behind all others.

    Raises:
        UserError: there are pictures among the predictions, which belong to no video.
    """
    films = find_individuals(predictions, "COCO-VID")
    videos = {source: number for number, source in enumerate(films, start=1)}
    before: dict[str, int] = {}  # instances of the videos before
    total = 0
    for source, film in films.items():
        before[source] = total
        total += max(film.ids, default=0)

    def images() -> Iterator[dict[str, Any]]:
        for number, one in _count(predictions):
            yield {**_image(number, one), "video_id": videos[one["source"]], "frame_id": one["frame"]}

    def annotations() -> Iterator[dict[str, Any]]:
        nameless = total
        pairs = ((one, thing) for one in predictions for thing in one["objects"])
        for (one, thing), annotation in zip(pairs, _annotations(predictions, scheme), strict=True):
            if "id" in thing:
                instance = before[one["source"]] + thing["id"]
            else:
                instance = nameless = nameless + 1
            yield {**annotation, "video_id": videos[one["source"]], "instance_id": instance}

    _write(
        path,
        videos=({"id": number, "name": source} for source, number in videos.items()),
        images=images(),
        annotations=annotations(),
        categories=_categories(scheme),
    )


def _write(path: Path, **sections: Iterable[dict[str, Any]]) -> None:
    """One object of lists, written record by record."""
    with write_atomically(path) as file:
        for place, (name, records) in enumerate(sections.items()):
            file.write(f'{"," if place else "{"}\n"{name}": [')
            lead = ""
            for record in records:
                file.write(f"{lead}\n{json.dumps(record)}")
                lead = ","
            file.write("]")
        file.write("}\n")


def _count(predictions: Iterable[dict]) -> Iterator[tuple[int, dict]]:
    return enumerate(with_objects(predictions, "COCO's format"), start=1)


def _image(number: int, one: dict) -> dict[str, Any]:
    name = one["source"] if "frame" not in one else f"{one['source']}#{one['frame']}"
    return {"id": number, "file_name": name, "width": one["width"], "height": one["height"]}


def _classes(scheme: Scheme) -> dict[str, int]:
    """Numbers of the classes by their names."""
    classes = scheme
    if isinstance(scheme, KeypointScheme):
        classes = scheme.classes or ClassScheme(("person",), ids=(1,))
    if not isinstance(classes, ClassScheme):
        raise UserError("COCO's format has objects and people; save maps in another one")
    return dict(zip(classes.names, classes.ids, strict=True))


def _categories(scheme: Scheme) -> list[dict[str, Any]]:
    categories: list[dict[str, Any]] = [{"id": value, "name": name} for name, value in _classes(scheme).items()]
    if isinstance(scheme, KeypointScheme):
        skeleton = [[a + 1, b + 1] for a, b in scheme.skeleton_indices()]  # COCO counts them from 1
        categories = [one | {"keypoints": list(scheme.names), "skeleton": skeleton} for one in categories]
    return categories


def _annotations(predictions: Iterable[dict], scheme: Scheme) -> Iterator[dict[str, Any]]:
    number, classes = 0, _classes(scheme)
    for image_id, one in _count(predictions):
        for thing in one["objects"]:
            number += 1
            yield _annotation(number, image_id, thing, classes)


def _annotation(number: int, image_id: int, thing: dict, classes: dict[str, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = thing["box_xyxy"]
    annotation = {
        "id": number,
        "image_id": image_id,
        "category_id": classes[thing["label"]] if "label" in thing else next(iter(classes.values())),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": 0,
        "score": thing["score"],
    }
    if "keypoints" in thing:
        points = thing["keypoints"].values()
        annotation["keypoints"] = [value for x, y, score in points for value in (x, y, visibility(score))]
        annotation["keypoint_scores"] = [score for _, _, score in points]
        annotation["num_keypoints"] = len(points)
    if "filled" in thing:
        annotation["filled"] = True
    if "mask" in thing:
        annotation["segmentation"] = thing["mask"]
    return annotation

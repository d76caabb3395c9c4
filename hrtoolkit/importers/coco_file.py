"""Writing what was read in COCO's format, a file a split (https://cocodataset.org/#format-data)."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from hrtoolkit.files import write_atomically
from hrtoolkit.importers.annotated import Instance
from hrtoolkit.schemes import KeypointScheme

BEGINNING = '{"categories": '  # of the files written here


def make_categories(
    labels: Mapping[str, int | None], schemes: Mapping[str, KeypointScheme], mirrored: Iterable[str]
) -> list[dict[str, Any]]:
    """The categories of the files, with the ids of the export where they are usable.

    Args:
        labels: classes in their order, with their ids where the export has some.
        schemes: keypoints of those that have any.
        mirrored: classes whose mirror partners the export says; of others left and right in names do.
    """
    ids = [id for id in labels.values() if id is not None and id >= 0]
    if len(set(ids)) < len(labels):
        ids = list(range(1, len(labels) + 1))
    categories = []
    for label, id in zip(labels, ids, strict=True):
        category: dict[str, Any] = {"id": id, "name": label}
        scheme = schemes.get(label)
        if scheme is not None:
            category["keypoints"] = list(scheme.names)
            category["skeleton"] = [[a + 1, b + 1] for a, b in scheme.skeleton_indices()]  # COCO counts from 1
            if label in mirrored:
                category["mirrored"] = [list(pair) for pair in scheme.mirrored]
        categories.append(category)
    return categories


def to_annotation(instance: Instance) -> dict[str, Any]:
    """An instance as json holds it, with its class and keypoints still by name."""
    assert instance.box_xyxy is not None, "a complete one has a box"
    x1, y1, x2, y2 = instance.box_xyxy
    annotation: dict[str, Any] = {
        "id": instance.id,
        "category_id": instance.label,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": instance.area,
        "iscrowd": int(instance.crowd),
    }
    if instance.ignored:
        annotation["ignore"] = 1
    if instance.points is not None:
        annotation["keypoints"] = instance.points
    if instance.run_lengths is not None:
        annotation["segmentation"] = instance.run_lengths
    elif instance.polygons:
        annotation["segmentation"] = [list(map(float, ring)) for ring in instance.polygons]
    if instance.attributes:
        annotation["attributes"] = dict(instance.attributes)
    return annotation


def write_split(
    path: Path,
    pictures: Iterable[tuple[dict, list[dict]]],
    categories: list[dict],
    schemes: Mapping[str, KeypointScheme],
) -> Counter:
    """Write the pictures of one split in COCO's format; gives the number of objects by class.

    Args:
        path: of the file.
        pictures: image and annotations of each, with classes and keypoints by name; an id may be None.
        categories: of the file.
        schemes: of each class, whose names the annotations have.
    """
    ids = {category["name"]: category["id"] for category in categories}
    image_ids, annotation_ids = _Ids(), _Ids()
    counts: Counter = Counter()
    with write_atomically(path) as file, tempfile.TemporaryFile("w+", dir=path.parent) as annotations:
        file.write(BEGINNING + json.dumps(categories) + ',\n"images": [')
        lead = {file: "\n", annotations: "\n"}

        def put(where: IO, record: dict) -> None:
            where.write(lead[where] + json.dumps(record))
            lead[where] = ",\n"

        for image, things in pictures:
            image["id"] = image_ids.take(image["id"])
            put(file, image)
            for thing in things:
                counts[thing["category_id"]] += 1
                thing |= {"id": annotation_ids.take(thing["id"]), "image_id": image["id"]}
                put(annotations, _finish(thing, ids, schemes))
        file.write('],\n"annotations": [')
        annotations.seek(0)
        while chunk := annotations.read(2**20):
            file.write(chunk)
        file.write("]}\n")
    return counts


def remove_earlier(path: Path) -> None:
    """Remove the file of an earlier import, which would be taken for a part of this one; any other file stays."""
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace") as file:
            ours = file.read(len(BEGINNING)) == BEGINNING
        if ours:
            path.unlink()


def _finish(thing: dict, ids: Mapping[str, int], schemes: Mapping[str, KeypointScheme]) -> dict:
    """Give an annotation the id of its class, and its keypoints in the order of its class."""
    label = thing["category_id"]
    thing["category_id"] = ids[label]
    if "keypoints" in thing:
        points = [thing["keypoints"].get(name) or (0, 0, 0) for name in schemes[label].names]
        thing["keypoints"] = [value for x, y, v in points for value in ((x, y, v) if v else (0, 0, 0))]
        thing["num_keypoints"] = sum(v > 0 for _, _, v in points)
    return thing


class _Ids:
    """Numbers from 1 that are unique: those of the export where they are, else the next free ones."""

    def __init__(self) -> None:
        self.taken: set[int] = set()
        self.next = 1

    def take(self, id: int | None) -> int:
        if not isinstance(id, int) or id < 1 or id in self.taken:
            while self.next in self.taken:
                self.next += 1
            id = self.next
        self.taken.add(id)
        return id

"""Label Studio's JSON and JSON-MIN (https://labelstud.io/guide/export).

Coordinates are percent of the image. A keypoint is a region of its own, which `parentID` joins to a box; JSON-MIN has
lost that, so that there the place decides. The labelling configuration, where it lies beside, has order and names.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Hashable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hrtoolkit.data.paths import read_bytes
from hrtoolkit.data.reading import read_json, stream_json
from hrtoolkit.data.xml import read_xml
from hrtoolkit.errors import DataError
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.loose_points import LoosePoint, PointGatherer
from hrtoolkit.importers.shapes import ellipse_outline, paste_mask, to_ring, turned_box
from hrtoolkit.importers.source import Source, is_image
from hrtoolkit.importers.values import number, read_record

MARK = r'"(from_name|original_width|was_cancelled|annotation_id|lead_time)"\s*:'
FARTHEST = 20.0  # percent that a region may reach beyond the image
UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # is put before the name of an uploaded file
POINT = "keypoint"


class Configuration(NamedTuple):
    """What a labelling configuration says."""

    keypoints: dict[str, str] = {}  # their names by the names in lower case, in their order  # noqa: RUF012
    classes: dict[str, str] = {}  # of boxes and outlines, likewise  # noqa: RUF012
    image: str = ""  # key of the image in a task
    closed: bool = False  # whether all labels stand there


class Region(NamedTuple):
    """A shape that somebody drew."""

    value: dict[str, Any]
    where: str
    id: str | None = None
    parent: str | None = None
    kept: dict[str, Any] | None = None  # what else was said of it


@register_format("label-studio", title="Label Studio's json", suffixes=(".json",), mark=MARK)
def read_label_studio(source: Source) -> Iterator[Picture]:
    """Read Label Studio's JSON and JSON-MIN: boxes, polygons, ellipses, brush strokes, keypoints."""
    configuration = _read_configuration(source)
    for label in configuration.classes.values():
        source.declare(label)
    gatherer = PointGatherer(source, configuration.keypoints.values())
    for file in source.files:
        # Several people's work on a task stands in neighbouring records of JSON-MIN.
        for id, records in groupby(_tasks(file), lambda task: task.get("id")):
            with read_record(source, f"{file.name}, task {id}", "tasks"):
                yield from _read_task(list(records), file, configuration, gatherer, source)
    gatherer.finish()


def _tasks(file: Path) -> Iterator[dict[str, Any]]:
    for name, record in stream_json(file):
        if name:  # a task or an annotation alone, as storages get it
            record = read_json(file)
            if isinstance(record.get("task"), dict):
                record = {**record["task"], "annotations": [record]}
        if not isinstance(record, dict):
            raise DataError(f"{file}: {record!r:.40} where a task belongs; export it again as JSON")
        yield record
        if name:
            return


def _read_task(
    records: list[dict], file: Path, configuration: Configuration, gatherer: PointGatherer, source: Source
) -> Iterator[Picture]:
    where = f"{file.name}, task {records[0].get('id')}"
    task = records[-1]
    if "data" in task:
        annotation = _choose(task.get("annotations") or task.get("completions") or [], where, source)
        if task.get("predictions"):
            source.note("predictions", where)
        regions = None if annotation is None else list(_regions(annotation["result"], where, source))
    else:
        if len(records) > 1:
            source.note("tasks of several annotators", where, "the last annotation is read")
        task = max(records, key=_time)
        regions = list(_regions_of_controls(task, where, source))
    if regions is None:
        source.note("tasks that nobody annotated", where, "their pictures are left out")
        return
    names = _image_names(task.get("data", task), configuration, where)
    for place, name in enumerate(names):
        own = [one for one in regions if len(names) == 1 or one.value.get("item_index", 0) == place]
        yield _picture(name, own, where, file, configuration, gatherer, source)


def _choose(annotations: list[dict], where: str, source: Source) -> dict | None:
    """The annotation that counts: the one marked as ground truth, else the last one that was not cancelled."""
    done = [one for one in annotations if not (one.get("was_cancelled") or one.get("skipped"))]
    if len(done) < len(annotations):
        source.note("cancelled annotations", where)
    if len(done) > 1:
        source.note("tasks of several annotators", where, "the ground truth or the last annotation is read")
    return max(done, key=lambda one: (bool(one.get("ground_truth")), *_time(one)), default=None)


def _time(annotation: dict) -> tuple[str, str]:
    return str(annotation.get("updated_at") or ""), str(annotation.get("created_at") or "")


def _regions(result: list[dict], where: str, source: Source) -> Iterator[Region]:
    """The shapes of an annotation; what several controls say of one region is put together by its id."""
    by_id: dict[str, Region] = {}
    for place, one in enumerate(result):
        value, id, kind = one.get("value"), str(one.get("id") or place), str(one.get("type"))
        if not isinstance(value, dict) or not _is_shape(value):
            if kind != "relation":
                source.note(f"entries of type {kind}, which are no shapes", where)
            continue
        sizes = {
            key: one[key] for key in ("original_width", "original_height", "image_rotation", "item_index") if key in one
        }
        other = by_id.get(id, Region({}, f"{where}, region {id}", id, one.get("parentID")))
        kept = other.kept
        if kind in value and not kind.endswith("labels"):
            kept = {**(kept or {}), str(one.get("from_name")): value[kind]}
        by_id[id] = other._replace(value={**other.value, **sizes, **value}, kept=kept)
    yield from by_id.values()


def _regions_of_controls(task: dict, where: str, source: Source) -> Iterator[Region]:
    """The shapes of a task in JSON-MIN, in which they stand under the names of their controls."""
    for control, entries in task.items():
        for place, value in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(value, dict) and _is_shape(value):
                yield Region(value, f"{where}, {control} {place + 1}")
            elif isinstance(value, dict):
                source.note(f"entries of {control}, which are no shapes", where)


def _is_shape(value: dict) -> bool:
    return "rle" in value or "points" in value or ("x" in value and "y" in value)


def _image_names(data: dict, configuration: Configuration, where: str) -> list[str]:
    found = data.get(configuration.image) if configuration.image else None
    if found is None:
        texts = {key: value for key, value in data.items() if isinstance(value, str)}
        looks = [value for value in texts.values() if is_image(value.split("?")[0]) or value.startswith("data:image/")]
        found = texts.get("image") or next(iter(looks), None)
    names = found if isinstance(found, list) else [found]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError("it names no image")
    return [str(name) for name in names]


def _picture(
    name: str,
    regions: list[Region],
    where: str,
    file: Path,
    configuration: Configuration,
    gatherer: PointGatherer,
    source: Source,
) -> Picture:
    pixels = image = None
    if name.startswith("data:image/"):
        pixels, name = base64.b64decode(name.partition(",")[2]), re.sub(r"\W+", "_", where.rpartition(", ")[2])
    else:
        image = source.find_image(name, file.parent)
        if image is None and UPLOADED.match(short := name.rpartition("/")[2]):
            image = source.find_image(UPLOADED.sub("", short), file.parent)
    sizes = {(one.value.get("original_width"), one.value.get("original_height")) for one in regions}
    sizes = {pair for pair in sizes if all(pair)}
    if len(sizes) > 1:
        source.fault("regions of one picture that state several sizes", f"{where}: {sorted(sizes)}", "correct them")
    size: tuple[int, int] | None = None
    if sizes:
        width, height = min(sizes)
        size = round(number(width)), round(number(height))
    scale = size or (source.size_of(image) if image is not None else None)
    points, others = [], []
    for one in regions if scale is not None else ():
        assert scale is not None
        with read_record(source, one.where, "regions"):
            found = _instance(one, configuration, scale, source)
            if isinstance(found, LoosePoint):
                points.append(found)
            elif found is not None:
                others.append((one.id, found))
    parents: dict[Hashable, str | None] = {one.id: one.parent for one in regions if one.id}
    known = {id for id, _ in others}
    points = [one._replace(group=_root(one.group, parents, known)) for one in points]
    instances = gatherer.gather(points, others) if points else [instance for _, instance in others]
    for instance in instances:
        if instance.points and configuration.keypoints and instance.label not in source.schemes:
            source.declare(instance.label, list(configuration.keypoints.values()))
    return Picture(name, instances, image, size, source.split_of(file), pixels=pixels)


def _root(group: Hashable | None, parents: dict[Hashable, str | None], known: set[str | None]) -> Hashable | None:
    """The box or outline above a point, through other points where these are its parents."""
    seen = set()
    while group is not None and group not in known and parents.get(group) and group not in seen:
        seen.add(group)
        group = parents.get(group)
    return group


def _instance(
    region: Region, configuration: Configuration, size_wh: tuple[int, int], source: Source
) -> Instance | LoosePoint | None:
    value = region.value
    labels = next((own for key, own in value.items() if key.endswith("labels") and own), None)
    if not labels:
        source.note("regions without a label", region.where)
        return None
    if len(labels) > 1:
        source.note("regions of several labels", region.where, "they have the first one")
    is_point = not {"rle", "points", "radiusX", "height"} & value.keys()
    label = _known_label(str(labels[0]), is_point, configuration, region.where, source)
    if label is None:
        return None
    if value.get("image_rotation"):
        remedy = "look whether they fit: the coordinates may be those of the turned picture"
        source.warn("regions drawn on a picture that was turned in the tool", region.where, remedy)
    if is_point:
        x, y = (_percent(value, key, side) for key, side in zip("xy", size_wh, strict=True))
        return LoosePoint(label, (x, y, 2), region.parent, region.where)
    return Instance(label, attributes=region.kept, **_geometry(value, size_wh))


def _known_label(label: str, is_point: bool, configuration: Configuration, where: str, source: Source) -> str | None:
    """A label in the spelling of the configuration; None for one that does not belong there."""
    ours, others = configuration.keypoints, configuration.classes
    if not is_point:
        ours, others = others, ours
    key = label.casefold()
    if key in ours or not configuration.closed:
        return ours.get(key, label)
    if key in others:
        what = "points where boxes or outlines belong" if is_point else "boxes or outlines where points belong"
        source.fault(what, f"{where}: {label}", "draw them again, or correct the labelling configuration")
    else:
        source.fault("labels that the configuration does not have", f"{where}: {label}", "correct one of the two")
    return None


def _percent(value: dict[str, Any], key: str, side: float) -> float:
    """A coordinate in pixels."""
    percent = number(value[key])
    if not -FARTHEST <= percent <= 100 + FARTHEST:
        raise ValueError(f"{key} is {percent:g} where percent of the image belongs, from 0 to 100")
    return percent * side / 100


def _geometry(value: dict[str, Any], size_wh: tuple[int, int]) -> dict[str, Any]:
    width, height = size_wh
    if "rle" in value:
        return {"run_lengths": paste_mask(_decode_brush(value["rle"], size_wh), 0, 0, size_wh)}
    if "points" in value:
        corners = [{"x": x, "y": y} for x, y in value["points"]]
        return {"polygons": [to_ring((_percent(one, "x", width), _percent(one, "y", height)) for one in corners)]}
    x, y = _percent(value, "x", width), _percent(value, "y", height)
    degrees = number(value.get("rotation") or 0)
    if "radiusX" in value:
        radii = _percent(value, "radiusX", width), _percent(value, "radiusY", height)
        return {"polygons": [ellipse_outline(x, y, *radii, math.radians(degrees))]}
    box = (x, y, x + _percent(value, "width", width), y + _percent(value, "height", height))
    return {"polygons": [turned_box(box, degrees, (x, y))]} if degrees % 360 else {"box_xyxy": box}


def _decode_brush(packed: list[int], size_wh: tuple[int, int]) -> np.ndarray:
    """The mask [H, W] of a brush: run lengths over the bytes of an RGBA image, of which the last channel counts.

    https://github.com/thi-ng/umbrella/blob/develop/packages/rle-pack
    """
    bits = "".join(f"{byte:08b}" for byte in packed)
    place = 0

    def take(count: int) -> int:
        nonlocal place
        place += count
        if place > len(bits):
            raise ValueError("run lengths of a brush that end too early")
        return int(bits[place - count : place], 2)

    total, word, sizes = take(32), take(5) + 1, [take(4) + 1 for _ in range(4)]
    if total != 4 * size_wh[0] * size_wh[1]:
        raise ValueError(f"a brush of {total // 4} pixels on an image of {size_wh[0]}x{size_wh[1]}")
    values, done = np.zeros(total, np.uint8), 0
    while done < total:
        repeated, count = take(1), 1 + take(sizes[take(2)])
        if repeated:
            values[done : done + count] = take(word)
        else:
            literal = [take(word) for _ in range(count)]
            values[done : done + count] = literal[: total - done]
        done += count
    return values.reshape(size_wh[1], size_wh[0], 4)[..., 3] > 0


def _read_configuration(source: Source) -> Configuration:
    """The labelling configuration that lies beside the export; an empty one where there is none."""
    found = [source.folder / name for name in source.list_files(source.folder) if name.lower().endswith(".xml")]
    found = [file for file in found if b"<View" in read_bytes(file)]
    if not found:
        remedy = "order and names of keypoints are as they come; save the labelling configuration beside the export"
        source.note("an export without its labelling configuration", "no .xml with <View>", remedy)
        return Configuration()
    if len(found) > 1:
        source.note("further labelling configurations", ", ".join(file.name for file in found[1:]))
    try:
        root = read_xml(found[0])
    except DataError as error:
        raise DataError(f"{found[0]}: {error}") from None
    keypoints: dict[str, tuple[float, str]] = {}
    classes: dict[str, str] = {}
    closed, image = True, ""
    for control in root.iter():
        tag = control.tag.lower()
        if tag == "image":
            image = (control.get("value") or control.get("valueList") or "").removeprefix("$")
        if not tag.endswith("labels"):
            continue
        # <Labels> may be of points and of boxes.
        closed &= tag != "labels" and not (control.get("value") or "").startswith("$")
        for label in control.iter("Label") if tag != "labels" else ():
            name = label.get("alias") or label.get("value") or ""
            index = label.get("model_index") or ""
            if tag == "keypointlabels":
                keypoints.setdefault(name.casefold(), (int(index) if index.isdigit() else math.inf, name))
            else:
                classes.setdefault(name.casefold(), name)
    in_order = sorted(keypoints.items(), key=lambda item: item[1][0])  # those without an index as they stand
    return Configuration(
        {key: name for key, (_, name) in in_order}, classes, image, closed and bool(classes or keypoints)
    )

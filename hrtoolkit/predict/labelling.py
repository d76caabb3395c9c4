"""Predictions as labelling tools read them, so that people correct instead of drawing: YOLO's and Label Studio's files.

Points with a score up to POINT_THRESHOLD are written too, as hidden ones: one is moved more quickly than it is added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

from hrtoolkit.errors import UserError
from hrtoolkit.files import write_atomically
from hrtoolkit.runtime.drawing import POINT_THRESHOLD
from hrtoolkit.schemes import ClassScheme, KeypointScheme, Scheme

DOT = 0.5  # percent of the image's width: how large Label Studio draws a point


def visibility(score: float) -> int:
    """COCO's visibility of a predicted point: 1 (hidden) where it is weak, else 2."""
    return 2 if score > POINT_THRESHOLD else 1


def write_yolo(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """A folder in YOLO's format: data.yaml, and in labels/ a text a picture, with keypoints in the scheme's order.

    Raises:
        UserError: the predictions are neither people nor objects.
    """
    classes = list(_classes(scheme).names)
    written: dict[str, str] = {}
    for one in with_objects(predictions, "YOLO's format"):
        number = f"_{one['frame']:06d}" if "frame" in one else ""
        name, stem = one["output"] + number, str(Path(one["output"]).with_suffix("")) + number
        if (other := written.setdefault(stem, name)) != name:
            raise UserError(f"YOLO's format has one text for {other} and {name}; rename one of them")
        with write_atomically(path / "labels" / f"{stem}.txt") as file:
            for thing in one["objects"]:
                file.write(" ".join(_yolo_line(thing, one["width"], one["height"], classes)) + "\n")
    lines = ["path: .", "train: images", "val: images", f"names: {json.dumps(classes)}"]
    if isinstance(scheme, KeypointScheme):
        lines += [f"kpt_shape: [{len(scheme.names)}, 3]", f"flip_idx: {scheme.flip_order()}"]
        lines += [f"kpt_names: {{0: {json.dumps(list(scheme.names))}}}"]
    with write_atomically(path / "data.yaml") as file:
        file.write("\n".join(lines) + "\n")


def _yolo_line(thing: dict, width: int, height: int, classes: list[str]) -> Iterator[str]:
    x1, y1, x2, y2 = thing["box_xyxy"]
    x1, x2 = (min(max(x / width, 0), 1) for x in (x1, x2))
    y1, y2 = (min(max(y / height, 0), 1) for y in (y1, y2))
    yield str(classes.index(thing["label"]) if "label" in thing else 0)
    yield from (f"{value:.6f}" for value in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
    for x, y, score in thing.get("keypoints", {}).values():
        inside = 0 <= x <= width and 0 <= y <= height
        yield f"{x / width:.6f} {y / height:.6f} {visibility(score)}" if inside else "0 0 0"


def write_label_studio(path: Path, predictions: Iterable[dict], scheme: Scheme) -> None:
    """Label Studio's tasks with predictions, and beside them the labelling config whose names they use.

    Images are named as files of a local storage, by the paths that were predicted on.

    Raises:
        UserError: the predictions are neither people nor objects, or are frames of a video.
    """
    with write_atomically(path) as file:
        lead = "["
        for one in with_objects(predictions, "Label Studio's format"):
            if "frame" in one:
                raise UserError("Label Studio's format names pictures; write the frames of the video as pictures first")
            results = [result for number, thing in enumerate(one["objects"]) for result in _results(number, thing, one)]
            task = {
                "data": {"image": f"/data/local-files/?d={one['source']}"},
                "predictions": [{"model_version": "hrtoolkit", "result": results}],
            }
            file.write(f"{lead}\n{json.dumps(task)}")
            lead = ","
        file.write("\n]\n" if lead == "," else "[]\n")
    controls = [("RectangleLabels", "box", _classes(scheme).names)]
    if isinstance(scheme, KeypointScheme):
        controls.append(("KeyPointLabels", "point", scheme.names))
    lines = ["<View>", '  <Image name="image" value="$image"/>']
    for tag, name, labels in controls:
        lines += [f'  <{tag} name="{name}" toName="image">']
        lines += [f'    <Label value={quoteattr(label)} model_index="{i}"/>' for i, label in enumerate(labels)]
        lines += [f"  </{tag}>"]
    with write_atomically(path.with_name("label_config.xml")) as file:
        file.write("\n".join([*lines, "</View>"]) + "\n")


def _results(number: int, thing: dict, picture: dict) -> Iterator[dict]:
    """The box of a thing, and its points as children of the box; Label Studio counts in percent."""
    width, height = picture["width"], picture["height"]
    common = {"to_name": "image", "original_width": width, "original_height": height, "image_rotation": 0}
    x1, y1, x2, y2 = thing["box_xyxy"]
    value = {"x": 100 * x1 / width, "y": 100 * y1 / height, "rotation": 0}
    value |= {"width": 100 * (x2 - x1) / width, "height": 100 * (y2 - y1) / height}
    value["rectanglelabels"] = [thing.get("label", "object")]
    yield {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": "box",
        "score": thing["score"],
        "value": value,
        **common,
    }
    for index, (name, (x, y, score)) in enumerate(thing.get("keypoints", {}).items()):
        value = {"x": 100 * x / width, "y": 100 * y / height, "width": DOT, "keypointlabels": [name]}
        yield {
            "id": f"box{number}_{index}",
            "parentID": f"box{number}",
            "type": "keypointlabels",
            "from_name": "point",
            "score": score,
            "value": value,
            **common,
        }


def _classes(scheme: Scheme) -> ClassScheme:
    if isinstance(scheme, KeypointScheme):
        return scheme.classes or ClassScheme(("object",))
    assert isinstance(scheme, ClassScheme)
    return scheme


def with_objects(predictions: Iterable[dict], title: str) -> Iterator[dict]:
    """The same predictions, one after another.

    Args:
        predictions: of `Prediction.to_dict`.
        title: of the format that they are written in.

    Raises:
        UserError: they are neither people nor objects.
    """
    for one in predictions:
        if "objects" not in one:
            raise UserError(f"{title} has objects and people; save maps and classes in another one")
        yield one

"""OpenPose's json, one file a frame (https://github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md).

Names follow from the number of points. A point that was not found is 0, 0, 0; the third value is a confidence, never a
visibility. `keypoint_scale` may have normalised coordinates: a person cannot be as small as one pixel, so that shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrtoolkit.data.reading import read_json
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.source import Source
from hrtoolkit.importers.values import number, read_record

PERSON = "person"
ARMS = "Nose Neck RShoulder RElbow RWrist LShoulder LElbow LWrist"
LEGS = "RHip RKnee RAnkle LHip LKnee LAnkle"
FACE = "REye LEye REar LEar"
LAYOUTS = {
    len(names.split()): names.split()
    for names in (
        f"{ARMS} MidHip {LEGS} {FACE} LBigToe LSmallToe LHeel RBigToe RSmallToe RHeel",  # BODY_25
        f"{ARMS} {LEGS} {FACE}",  # COCO
        f"{ARMS.replace('Nose', 'Head')} {LEGS} Chest",  # MPI
    )
}
LINES = (
    "Neck Nose, Neck RShoulder, RShoulder RElbow, RElbow RWrist, Neck LShoulder, LShoulder LElbow, LElbow LWrist, "
    "Neck MidHip, MidHip RHip, MidHip LHip, RHip RKnee, RKnee RAnkle, LHip LKnee, LKnee LAnkle, Nose REye, REye REar, "
    "Nose LEye, LEye LEar, LAnkle LBigToe, LBigToe LSmallToe, LAnkle LHeel, RAnkle RBigToe, RBigToe RSmallToe, "
    "RAnkle RHeel, Neck Head, Neck Chest"
)
BODY = ("pose_keypoints_2d", "pose_keypoints")  # of version 1.2 and later, and before
OTHERS = tuple(f"{part}_keypoints{end}" for part in ("face", "hand_left", "hand_right") for end in ("_2d", ""))
FEWEST = 3  # labelled points that tell a scale
SCALES = {0: "[0, 1]", -1: "[-1, 1]"}


@register_format("openpose", title="OpenPose's json", suffixes=(".json",), mark=r'"people"\s*:\s*\[')
def read_openpose(source: Source) -> Iterator[Picture]:
    """Read OpenPose's bodies, in pixels or normalised."""
    low = _find_scale(source)
    if low is not None:
        source.note("coordinates that are normalised", f"taken for {SCALES[low]} of the image", "pixels come from that")
    for file in source.files:
        found = _find_image(file, source)
        size = source.size_of(found) if found else None
        if low is not None and size is None:
            source.fault("normalised points whose image is not there", file.name, "copy the images beside the files")
            continue
        instances = []
        for index, points in _people(file, source):
            where = f"{file.name}, person {index}"
            labelled = points[points[:, 2] > 0]
            if not len(labelled):
                source.note("people without a point of the body", where)
                continue
            if low is None and len(labelled) >= FEWEST and np.abs(labelled[:, :2]).max() <= 1:
                source.fault("normalised points among others in pixels", where, "export all in pixels")
            if low is not None:
                points[:, :2] = (points[:, :2] - low) / (1 - low) * (np.array(size) - 1)  # as OpenPose divides
            names = source.schemes[PERSON].names if PERSON in source.schemes else _declare(len(points), source)
            if len(names) != len(points):
                source.fault(f"people with another number of points than {len(names)}", where, "import them apart")
                continue
            named = zip(names, points.tolist(), strict=True)
            instances.append(Instance(PERSON, points={name: (x, y, 2) for name, (x, y, c) in named if c > 0}))
        yield Picture(found.name if found else file.stem, instances, found, split=source.split_of(file))


def _people(file: Path, source: Source) -> Iterator[tuple[int, np.ndarray]]:
    """The points of each person, [K, 3], that are x, y, confidence."""
    data: Any = read_json(file)
    with read_record(source, file.name, "frames"):
        for index, person in enumerate(data["people"]):
            with read_record(source, f"{file.name}, person {index}", "people"):
                flat: Sequence = next((person[name] for name in BODY if person.get(name)), ())
                points = np.reshape([number(value) for value in flat], (-1, 3))
                for part in OTHERS:
                    if any(person.get(part) or ()):
                        source.note("points of faces and hands", f"{file.name}, person {index}")
                        break
                yield index, points


def _declare(count: int, source: Source) -> list[str]:
    names = LAYOUTS.get(count)
    if names is None:
        source.note(f"a layout of {count} points that is not known", PERSON, "its points are numbered")
        names = [str(number) for number in range(1, count + 1)]
    lines = [line.split() for line in LINES.split(", ")]
    source.declare(PERSON, names, [(a, b) for a, b in lines if {a, b} <= set(names)])
    return names


def _find_scale(source: Source) -> int | None:
    """The lowest normalised coordinate there can be, 0 or -1; None where the first people are in pixels."""
    lowest, told, quiet = 0.0, False, Source(source.folder)  # faults are told later
    for file in source.files:
        for _, points in _people(file, quiet):
            labelled = points[points[:, 2] > 0, :2]
            if len(labelled) >= FEWEST:
                if np.abs(labelled).max() > 1:
                    return None
                lowest, told = min(lowest, labelled.min()), True
    return None if not told else (-1 if lowest < 0 else 0)


def _find_image(file: Path, source: Source) -> Path | None:
    name = file.stem.removesuffix("_keypoints")
    return source.find_image(f"{name}.jpg", file.parent) or source.find_image(f"{name}_rendered.png", file.parent)

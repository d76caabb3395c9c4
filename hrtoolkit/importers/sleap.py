"""SLEAP's labels (.slp), and packages that hold the labelled frames too (.pkg.slp), as `sleap_io/io/slp.py` has them.

The centre of a pixel lies on whole numbers from version 1.1 on; files before are half a pixel off. A point without
coordinates is not labelled, one that is not visible is hidden. Predicted instances are left out.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrtoolkit.data.paths import open_file
from hrtoolkit.importers.annotated import Instance, Picture
from hrtoolkit.importers.formats import register_format
from hrtoolkit.importers.hdf5 import open_hdf5, texts
from hrtoolkit.importers.source import Source

ANIMAL = "animal"  # the class of a skeleton that nobody named
USER = 0  # type of an instance that people labelled
EDGE, MIRROR = 1, 2  # types of a link between nodes
CENTRED = 1.1  # version from which on whole numbers are centres
STANDARD_COLOURS = 1.4  # version from which on embedded frames say the order of their channels
VIDEOS = frozenset((".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv"))


@register_format("sleap", title="SLEAP's labels", suffixes=(".slp",), mark=r"\A\x89HDF")
def read_sleap(source: Source) -> Iterator[Picture]:
    """Read SLEAP's labels, by h5py."""
    for file in source.files:
        with open_hdf5(file) as opened:
            yield from _read_file(opened, file, source)


def _read_file(opened: Any, file: Path, source: Source) -> Iterator[Picture]:
    labels = _Labels(opened, file, source)
    negative = {tuple(map(int, row)) for row in opened["negative_frames"][()]} if "negative_frames" in opened else set()
    videos = _videos(opened)
    for number in np.unique(labels.frames["video"]).tolist():
        places: dict[int, list[int]] = defaultdict(list)
        for place in np.flatnonzero(labels.frames["video"] == number).tolist():
            index = int(labels.frames["frame_idx"][place])
            if labels.has_labels[place] or (number, index) in negative:
                places[index].append(place)  # a frame may come twice
        for index, picture in _pictures(opened, number, videos[number], places.keys(), file, source):
            yield picture._replace(instances=[one for place in places[index] for one in labels.read(place)])


class _Labels:
    """The instances of a file that people labelled, by frame."""

    def __init__(self, opened: Any, file: Path, source: Source):
        self.file, self.source = file.name, source
        points = opened["points"][()]  # 18 bytes each
        self.places, self.visible = np.stack([points["x"], points["y"]], axis=1), points["visible"]
        self.skeletons = _declare(json.loads(opened["metadata"].attrs["json"]), source)
        self.shift = 0.5 if opened["metadata"].attrs["format_id"] < CENTRED else 0
        self.tracks = [json.loads(text)[1] for text in texts(opened.get("tracks_json", ()))]
        self.frames, self.all = opened["frames"][()], opened["instances"][()]
        counts = np.cumsum(np.concatenate([[0], self.all["instance_type"] == USER]))
        ends = [self.frames[name].astype(int) for name in ("instance_id_start", "instance_id_end")]
        self.has_labels = counts[ends[1]] > counts[ends[0]]
        if predicted := len(self.all) - int(counts[-1]):
            source.note("files with predicted instances", f"{file.name}: {predicted}", "these are left out")

    def read(self, place: int) -> Iterator[Instance]:
        """The instances of a frame."""
        frame = self.frames[place]
        for one in self.all[int(frame["instance_id_start"]) : int(frame["instance_id_end"])]:
            if one["instance_type"] != USER:
                continue
            label, names = self.skeletons[one["skeleton"]]
            rows = slice(int(one["point_id_start"]), int(one["point_id_end"]))
            places = self.places[rows] - self.shift
            if len(places) != len(names):
                where = f"{self.file}, instance {one['instance_id']}"
                self.source.fault("instances with other points than nodes", where, "save it with SLEAP again")
                continue
            points = {
                name: (x, y, 2 if visible else 1)
                for name, (x, y), visible in zip(names, places.tolist(), self.visible[rows].tolist(), strict=True)
                if math.isfinite(x) and math.isfinite(y)
            }
            if points:
                track = {"track": self.tracks[one["track"]]} if one["track"] >= 0 else None
                yield Instance(label, points=points, attributes=track)


def _declare(metadata: dict, source: Source) -> list[tuple[str, list[str]]]:
    """Declare the skeletons; gives class and names of the nodes of each, in the order of its points."""
    found = []
    for skeleton in metadata["skeletons"]:
        skeleton = skeleton.get("nx_graph", skeleton)
        names = {node["id"]: metadata["nodes"][node["id"]]["name"] for node in skeleton["nodes"]}
        lines: dict[int, list[tuple[str, str]]] = {EDGE: [], MIRROR: []}
        kinds: list[int] = []
        for link in skeleton["links"]:
            if "py/reduce" in link["type"]:  # the first of its type, to which the others refer by number
                kind = link["type"]["py/reduce"][1]["py/tuple"][0]
                kinds.append(kind)
            else:
                number = link["type"]["py/id"]
                kind = kinds[number - 1] if number <= len(kinds) else number
            pair = names[link["source"]], names[link["target"]]
            if pair not in lines[kind] and pair[::-1] not in lines[kind]:
                lines[kind].append(pair)
        title = str(skeleton.get("graph", {}).get("name", ""))
        named = len(metadata["skeletons"]) > 1 or not re.fullmatch(r"Skeleton-\d+|", title)
        label = title if named else ANIMAL
        source.declare(label, list(names.values()), lines[EDGE], lines[MIRROR] or None)
        found.append((label, list(names.values())))
    return found


def _videos(opened: Any) -> dict[int, dict]:
    """What is known of each video by the number that frames have: that of its embedded frames, else its place."""
    videos = {}
    for place, text in enumerate(texts(opened["videos_json"][()])):
        about = json.loads(text)
        about = {"filename": about.get("filename", ""), **about["backend"]}
        embedded = re.match(r"video(\d+)/", about.get("dataset") or "")
        videos[int(embedded[1]) if embedded else place] = about
    return videos


def _pictures(
    opened: Any, number: int, video: dict, wanted: Collection[int], file: Path, source: Source
) -> Iterator[tuple[int, Picture]]:
    """The wanted frames of a video, without what is labelled in them."""
    if video.get("dataset") and video["dataset"] in opened:
        yield from _embedded(opened, video["dataset"], wanted, f"{file.name}/video{number}")
    elif Path(video["filename"]).suffix.lower() in VIDEOS:
        yield from _filmed(video["filename"], wanted, file, source)
    else:
        for index in wanted:
            name = video["filenames"][index] if video.get("filenames") else video["filename"]
            yield index, Picture(name, (), source.find_image(name, file.parent))


def _embedded(opened: Any, dataset: str, wanted: Collection[int], name: str) -> Iterator[tuple[int, Picture]]:
    frames = opened[dataset]
    version = opened["metadata"].attrs["format_id"]
    standard = texts([frames.attrs.get("channel_order", "RGB" if version >= STANDARD_COLOURS else "BGR")]) == ["RGB"]
    numbers = opened[f"{dataset.rpartition('/')[0]}/frame_numbers"][()].tolist()
    places = {frame: place for place, frame in enumerate(numbers)}
    for index in wanted:
        data = np.asarray(frames[places[index]])
        if data.ndim == 1:  # an image file; OpenCV took the channels of older ones for BGR, as it does when it decodes
            data = data.astype(np.uint8)
            pixels: bytes | np.ndarray = data.tobytes()
            if not standard and (decoded := cv2.imdecode(data, cv2.IMREAD_UNCHANGED)) is not None and decoded.ndim == 3:
                pixels = decoded[..., :3]
        else:
            pixels = data[..., 0] if data.shape[-1] == 1 else data
        yield index, Picture(f"{name}/{index:06d}.png", (), pixels=pixels)


def _filmed(name: str, wanted: Collection[int], file: Path, source: Source) -> Iterator[tuple[int, Picture]]:
    """Frames of a video, which is read up to the last one that is labelled."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    places = [Path(name), *(Path(file.parent, *parts[start:]) for start in range(len(parts)))]
    video = next((place for place in places if place.is_file()), None)
    if video is None:
        remedy = "copy them beside it, or save a package (.pkg.slp), which holds the labelled frames"
        source.fault("videos that are not there", f"{file.name}: {name}", remedy)
        return
    from hrtoolkit.predict.video import read_video  # it brings PyTorch along

    left = set(wanted)
    with open_file(video) as opened:
        for frame in read_video(opened, str(video)) if left else ():
            if frame.number in left:
                left.discard(frame.number)
                yield frame.number, Picture(f"{video.name}/{frame.number:06d}.png", (), pixels=frame.image)
            if not left:
                return
    for index in left:
        source.fault("frames that their video does not have", f"{video.name}, frame {index}", "take the labelled video")

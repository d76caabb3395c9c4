"""Time an image with 1 to 50 people: top-down, which costs more with everybody, beside bottom-up, on one backbone.

Each time is from the pixels of an image to the people in it: cut or resized, normalised, network, decoding, what
follows. The weights are random; a bottom-up head is told where so many people are, everything else it does itself. It
keeps 30 people, so that its time does not grow beyond. The detector's time is added to that of the given boxes. Forms
take turns, and a time is the median of the rounds.

    python -m benchmarks.people [--counts 1 10 50] [--rounds 5] [--figure docs/images/people_speed.svg]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.device import get_device
from torch import Tensor

from benchmarks.made_up import IMAGE_HW
from hrtoolkit.build import build_model
from hrtoolkit.config import load_config
from hrtoolkit.data.loading import Collate
from hrtoolkit.memory import keep_freed_memory
from hrtoolkit.model import Model
from hrtoolkit.records import Objects
from hrtoolkit.samples import Input
from hrtoolkit.speed import fold
from hrtoolkit.toy.scenes import make_scene

TOP_DOWN = "pose/hrnet_w32_coco"
DETECTOR = "detection/faster_rcnn_hrnetv2p_w32_coco"
BOTTOM_UP = {"CID": "pose/cid_w32_coco_512", "DEKR": "pose/dekr_w32_coco_512"}
COUNTS = (1, 2, 5, 10, 20, 30, 40, 50)
BATCH = 32  # crops at once
GIVEN, FOUND = "top-down, boxes given", "top-down, with the detector"


def build(config: str, device: str) -> Model:
    """A model of random weights, folded."""
    torch.manual_seed(0)
    return fold(build_model(load_config(config))).to(device)


def predict(model: Model, image: np.ndarray, boxes_xywh: np.ndarray | None = None) -> int:
    """Find the people in an image, in its boxes where a model looks at crops; how many there are."""
    branch = model.branch()
    view = branch.view
    assert view is not None
    asks: Sequence = [None]
    if boxes_xywh is not None:
        corners = np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)
        asks = view.crops(boxes_xywh, corners, np.ones(len(boxes_xywh)))
    records = []
    for first in range(0, len(asks), BATCH):
        inputs = [Input(i, *view(image, asks[i])) for i in range(first, min(first + BATCH, len(asks)))]
        batch = model.data_preprocessor(Collate(view.multiple, view.smallest)(inputs))
        with torch.inference_mode():
            records += model(**batch, mode="predict")
    found = branch.finish(records)
    assert isinstance(found, Objects), "people"
    return len(found.labels)


def told(count: int) -> Callable[..., tuple[Tensor, Tensor]]:
    """In place of `find_centers`: as many people as an image has, evenly on its map."""

    def find(maps: Tensor, sizes_hw: Tensor, threshold: float, most: int = 30) -> tuple[Tensor, Tensor]:
        height, width = maps.shape[-2:]
        places = torch.arange(most, device=maps.device)
        cells = torch.stack([places % 6 * width // 6, places // 6 * height // 5], dim=-1).expand(len(maps), -1, -1)
        return cells, torch.where(places < count, 0.5, 0.0).expand(len(maps), -1)

    return find


def time_all(counts: Sequence[int], rounds: int, device: str) -> dict[str, list[float]]:
    """Milliseconds an image by form, for each number of people."""
    rng = np.random.default_rng(0)
    image = make_scene(rng, IMAGE_HW).image
    sizes = rng.uniform((30, 60), (150, 300), (max(counts), 2))
    boxes = np.concatenate([rng.uniform(0, np.array(IMAGE_HW[::-1]) - sizes), sizes], axis=1)
    models = {name: build(config, device) for name, config in BOTTOM_UP.items()}
    top_down, detector = build(TOP_DOWN, device), build(DETECTOR, device)
    taken: dict[tuple[str, int], list[float]] = {}

    def measure(form: str, count: int, run: Callable[[], object]) -> None:
        started = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.setdefault((form, count), []).append(1000 * (time.perf_counter() - started))

    for _ in range(rounds + 1):
        measure("detector", 0, lambda: predict(detector, image))
        for count in counts:
            measure(GIVEN, count, partial(predict, top_down, image, boxes[:count]))
            for name, model in models.items():
                module = sys.modules[type(model.head).__module__]
                with mock.patch.object(module, "find_centers", told(count)):
                    measure(name, count, partial(predict, model, image))
    medians = {key: statistics.median(times[1:]) for key, times in taken.items()}  # the first is for warming up
    given = [medians[GIVEN, count] for count in counts]
    found = [milliseconds + medians["detector", 0] for milliseconds in given]
    return {GIVEN: given, FOUND: found, **{name: [medians[name, count] for count in counts] for name in models}}


def find_crossing(counts: Sequence[int], rising: Sequence[float], flat: Sequence[float]) -> float | None:
    """The number of people from which one form takes longer than another, between two that were timed; None if never.

    Args:
        counts: of people, in order.
        rising: milliseconds of the form that takes longer in the end.
        flat: of the other.
    """
    over = [a - b for a, b in zip(rising, flat, strict=True)]
    if over[0] >= 0:
        return float(counts[0])
    for i in range(1, len(counts)):
        if over[i] >= 0:
            return counts[i - 1] + (counts[i] - counts[i - 1]) * over[i - 1] / (over[i - 1] - over[i])
    return None


def draw(counts: Sequence[int], times: dict[str, list[float]], device: str) -> Figure:
    """Milliseconds an image against people an image, and from how many on a bottom-up form is the faster one."""
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    for form, milliseconds in times.items():
        count = find_crossing(counts, times[GIVEN], milliseconds) if form in BOTTOM_UP else None
        label = form if count is None else f"{form}, faster than boxes given from {math.ceil(count)} people on"
        line = axes.plot(counts, milliseconds, "--" if form == FOUND else "-", marker=".", label=label)[0]
        if count is not None:
            axes.plot(count, np.interp(count, counts, milliseconds), "o", color=line.get_color(), markersize=8)
    axes.set(xlabel="people an image", ylabel="milliseconds an image", ylim=(0, None))
    axes.set_title("HRNet-W32 on " + (f"{torch.get_num_threads()} CPU threads" if device == "cpu" else device))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default=get_device())
    parser.add_argument("--figure", help="where a picture of it is written, .svg or .png")
    args = parser.parse_args()
    keep_freed_memory()
    times = time_all(args.counts, args.rounds, args.device)
    print(f"{'people':32}" + "".join(f"{count:>8}" for count in args.counts))
    for form, milliseconds in times.items():
        print(f"{form:32}" + "".join(f"{one:8.0f}" for one in milliseconds))
    for form in (GIVEN, FOUND):
        for name in BOTTOM_UP:
            count = find_crossing(args.counts, times[form], times[name])
            said = "is never slower" if count is None else f"is slower from {math.ceil(count)} people on"
            print(f"{form} {said} than {name}")
    if args.figure:
        draw(args.counts, times, args.device).savefig(args.figure, dpi=120)
    print(json.dumps({"counts": list(args.counts), "milliseconds": times}))


if __name__ == "__main__":
    main()

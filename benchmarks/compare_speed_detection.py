"""Time a training and an inference step beside torchvision's own Faster R-CNN around the same backbone and weights.

Both take turns in one process; seconds are the processor's, so that others on the machine disturb them little. Memory
is the peak of a process of its own.

    python -m benchmarks.compare_speed_detection [--size 256 320] [--repeat 5] [--convention torchvision]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from benchmarks.peak_memory import peak_mib
from hrtoolkit.build import build_model
from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.config import load_config
from hrtoolkit.frames import Resized, Size
from hrtoolkit.model import Model

CONFIG = "detection/faster_rcnn_hrnetv2p_w18_coco"


class Wrapped(nn.Module):
    """Our backbone and neck as torchvision wants them: a dict of maps."""

    def __init__(self, model: Model):
        super().__init__()
        neck = model.branch().neck
        assert neck is not None
        self.body, self.neck, self.out_channels = model.backbone, neck, 256

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return OrderedDict((str(i), x) for i, x in enumerate(self.neck(self.body(images))))


def make_pair(size_hw: Size, convention: str) -> dict[str, Callable[[str], None]]:
    """Our step and torchvision's as functions of "train" or "predict", on the same weights and a batch of two."""
    torch.manual_seed(0)
    ours = build_model(load_config(CONFIG, [f"model.head.convention={convention}"]))
    wrapped = Wrapped(build_model(load_config(CONFIG)))
    theirs = FasterRCNN(
        wrapped,
        rpn_anchor_generator=AnchorGenerator(tuple((s,) for s in (32, 64, 128, 256, 512)), ((0.5, 1.0, 2.0),) * 5),
        box_roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2),
        box_head=TwoMLPHead(256 * 49, 1024),
        box_predictor=FastRCNNPredictor(1024, 81),
        min_size=min(size_hw),
        max_size=max(size_hw),
    )
    assert load_checkpoint(ours, theirs.state_dict()).ok
    ours, theirs = (model.to(memory_format=torch.channels_last) for model in (ours, theirs))
    height, width = size_hw
    images = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    boxes = [(0.1 * i * width, 0.05 * i * height, (0.1 * i + 0.2) * width, (0.05 * i + 0.3) * height) for i in range(8)]
    targets = [{"boxes": torch.tensor(boxes), "labels": torch.arange(8)} for _ in range(2)]
    as_theirs = [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets]
    frames = Resized.stack([Resized(size_hw, size_hw, False, size_hw, (0, 0, width, height), size_hw)] * 2)

    def run_ours(kind: str) -> None:
        ours.train(kind == "train")
        batch = {"images": images, "targets": targets, "frames": frames, "seed": 0}
        batch = ours.data_preprocessor(batch, kind == "train")
        if kind == "train":
            sum(ours(**batch, mode="loss").values()).backward()
        else:
            with torch.no_grad():
                ours(**batch, mode="predict")

    def run_theirs(kind: str) -> None:
        theirs.train(kind == "train")
        wrapped.body.eval()  # as `norm_eval`
        batch = list(images.float() / 255)
        if kind == "train":
            sum(theirs(batch, as_theirs).values()).backward()
        else:
            with torch.no_grad():
                theirs(batch)

    return {"ours": run_ours, "torchvision": run_theirs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320), metavar=("H", "W"))
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--convention", default="torchvision")
    parser.add_argument("--memory-of", choices=("ours", "torchvision"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    steps = make_pair(tuple(args.size), args.convention)
    if args.memory_of:
        before = peak_mib()
        for _ in range(2):
            steps[args.memory_of]("train")
        print(before, peak_mib())
        return
    seconds: dict[tuple[str, str], list[float]] = {(name, kind): [] for kind in ("train", "predict") for name in steps}
    for turn in range(args.repeat + 1):
        for (name, kind), taken in seconds.items():
            started = time.process_time()
            steps[name](kind)
            if turn:  # the first is for warming up
                taken.append(time.process_time() - started)
    report = {f"{name} {kind} s": statistics.median(taken) for (name, kind), taken in seconds.items()}
    for kind in ("train", "predict"):
        report[f"{kind} ratio"] = report[f"ours {kind} s"] / report[f"torchvision {kind} s"]
    for name in steps:
        command = [sys.executable, "-m", "benchmarks.compare_speed_detection", "--memory-of", name]
        command += ["--size", *map(str, args.size), "--convention", args.convention]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        report[f"{name} train MiB at rest"], report[f"{name} train MiB at its peak"] = map(float, output[-2:])
    for name, value in report.items():
        print(f"{name:34} {value:.3f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

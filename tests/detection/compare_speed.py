"""Time a training and an inference step beside torchvision's own Faster R-CNN around the same backbone and weights.

Both take turns in one process; seconds are the processor's, so that others on the machine disturb them little. Memory
is the peak of a process of its own.

    python -m tests.detection.compare_speed [--size 256 320] [--repeat 5] [--convention torchvision]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.model import build_model
from tests.conftest import REPOSITORY
from tests.peak_memory import peak_mib

from .conftest import make_target
from .test_torchvision import Wrapped

CONFIG = REPOSITORY / "configs" / "detection" / "faster_rcnn_hrnetv2p_w18_coco.py"


def make_pair(size_hw, convention):
    """Our step and torchvision's as functions of "train" or "predict", on the same weights and a batch of two."""
    from hrtoolkit.config import load_config

    torch.manual_seed(0)
    ours = build_model(load_config(CONFIG, [f"model.head.convention={convention}"]))
    wrapped = Wrapped(build_model(load_config(CONFIG)))
    wrapped.out_channels = 256
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
    targets = [make_target(boxes, list(range(8)), size_hw) for _ in range(2)]
    as_theirs = [{"boxes": t["boxes"], "labels": t["labels"] + 1} for t in targets]
    meta = [{"input_hw": size_hw, "image_hw": size_hw}] * 2

    def run_ours(kind):
        ours.train(kind == "train")
        batch = ours.data_preprocessor({"images": images, "targets": targets, "meta": meta}, kind == "train")
        if kind == "train":
            sum(ours(**batch, mode="loss").values()).backward()
        else:
            with torch.no_grad():
                ours(**batch, mode="predict")

    def run_theirs(kind):
        theirs.train(kind == "train")
        wrapped.body.eval()  # as `norm_eval`
        batch = list(images.float() / 255)
        if kind == "train":
            sum(theirs(batch, as_theirs).values()).backward()
        else:
            with torch.no_grad():
                theirs(batch)

    return {"ours": run_ours, "torchvision": run_theirs}


def main():
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
    seconds = {(name, kind): [] for kind in ("train", "predict") for name in steps}
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
        command = [sys.executable, "-m", "tests.detection.compare_speed", "--memory-of", name]
        command += ["--size", *map(str, args.size), "--convention", args.convention]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        report[f"{name} train MiB at rest"], report[f"{name} train MiB at its peak"] = map(float, output[-2:])
    for name, value in report.items():
        print(f"{name:34} {value:.3f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()

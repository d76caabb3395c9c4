"""Time the network and the confusion matrix beside the order of operations of the official code.

Forms take turns in one process. Memory is the peak of a process of its own.

    python -m benchmarks.compare_speed_segmentation [--size 512 1024] [--rounds 5]
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.benchmark import Form, measure
from benchmarks.peak_memory import added_peak_mib
from hrtoolkit import build_model
from hrtoolkit.config import load_config
from hrtoolkit.memory import keep_freed_memory
from hrtoolkit.model import Model
from hrtoolkit.schemes import IGNORED
from hrtoolkit.speed import fold
from hrtoolkit.tasks.segmentation.metric import count_confusions


def make_networks(size_hw: Sequence[int]) -> dict[str, Form]:
    """HRNetV2-W48 with maps joined, with maps convolved first, and that folded: functions that give logits."""
    torch.manual_seed(0)
    config = load_config("segmentation/hrnetv2_w48_cityscapes")
    ours = build_model(config).eval().to(memory_format=torch.channels_last)
    config.model.neck = {"type": "Concat"}
    joined = build_model(config).eval().to(memory_format=torch.channels_last)
    joined.load_state_dict(ours.state_dict())
    images = torch.randn(1, 3, *size_hw).to(memory_format=torch.channels_last)

    def run(model: Model) -> Form:
        def call() -> torch.Tensor:
            with torch.inference_mode():
                return model(images)

        return call

    return {"joined, then convolved": run(joined), "convolved, then joined": run(ours), "folded": run(fold(ours))}


def make_label_maps(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Segments of 32 pixels, and predictions that are wrong along their borders; a tenth is ignored."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, classes, (32, 64), dtype=np.uint8)
    true = cv2.resize(coarse, (2048, 1024), interpolation=cv2.INTER_NEAREST)
    predicted = np.roll(true, (3, 5), axis=(0, 1))
    true[rng.random(coarse.shape).repeat(32, 0).repeat(32, 1) < 0.1] = IGNORED
    return predicted, true


def count_in_numpy(predicted: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """As the official code does: pick pixels, count indices, and sort the counts into a matrix one by one."""
    kept = true != IGNORED
    counts = np.bincount((true[kept] * classes + predicted[kept]).astype(np.int32))
    matrix = np.zeros((classes, classes))
    for row in range(classes):
        for column in range(classes):
            index = row * classes + column
            if index < len(counts):
                matrix[row, column] = counts[index]
    return matrix


def make_counters(classes: int) -> dict[str, Form]:
    predicted, true = make_label_maps(classes)
    wide = true.astype(np.int64)  # as its loader gives them
    return {
        "NumPy": lambda: count_in_numpy(predicted, wide, classes),
        "hrtoolkit": lambda: count_confusions(predicted, true, classes),
    }


def report(title: str, forms: dict[str, Form], rounds: int) -> None:
    results: dict[str, Any] = {name: form() for name, form in forms.items()}
    first = next(iter(results.values()))
    for name, result in results.items():
        np.testing.assert_allclose(result, first, atol=1e-4, err_msg=name)
    measured = measure(forms, rounds, torch.device("cpu"), title)
    baseline = next(iter(measured.values()))[1]
    for name, (_, times) in measured.items():
        ratio = statistics.median(b / t for b, t in zip(baseline, times, strict=True))
        print(f"{title:24} {name:24} {1e3 * statistics.median(times):8.1f} ms  {ratio:6.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024), metavar=("H", "W"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    networks = make_networks(args.size)
    if args.memory_of:
        print(added_peak_mib(networks[args.memory_of]))
        return
    keep_freed_memory()
    report("W48", networks, args.rounds)
    for classes in (19, 150):
        report(f"{classes} classes", make_counters(classes), 5 * args.rounds)  # milliseconds each
    for name in networks:
        command = [sys.executable, "-m", "benchmarks.compare_speed_segmentation", "--memory-of", name, "--size"]
        output = subprocess.run([*command, *map(str, args.size)], capture_output=True, text=True, check=True).stdout
        print(f"{'peak memory':24} {name:24} {float(output):8.0f} MiB")


if __name__ == "__main__":
    main()

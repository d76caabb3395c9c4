"""Measure the memory of testing HRNetV2-W18 on one image, 19 classes: whole, in windows, at several scales, mirrored.

Every form runs in a process of its own, from the image's bytes to its label map; of its peak, what there was before is
subtracted.

    python -m benchmarks.compare_memory_segmentation [--size 1024 2048]
"""

import argparse
import json
import subprocess
import sys
import time

import torch

from benchmarks.peak_memory import added_peak_mib
from hrtoolkit import build_model
from hrtoolkit.config import load_config
from hrtoolkit.frames import Resized, Size
from hrtoolkit.memory import keep_freed_memory

SCALES = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
WINDOWS = {"base_size": None, "window": (1024, 512), "stride": (682, 341), "whole_up_to": 0.0}
FORMS: dict[str, dict] = {
    "whole image": {},
    "windows of 1024x512": WINDOWS,
    "6 scales, mirrored": {"scales": SCALES},
    "6 scales in windows of 1024x512, mirrored": {"scales": SCALES, **WINDOWS},
}


def measure(inference: dict, size_hw: Size) -> dict[str, float]:
    """Peak and seconds of labelling one image."""
    config = load_config("segmentation/hrnetv2_w48_cityscapes", ["model.backbone.width=18"])
    config.model.inference.update(inference)
    config.model.flip_test = "scales" in inference
    model = build_model(config).eval().to(memory_format=torch.channels_last)
    images = torch.randint(256, (1, *size_hw, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    frames = Resized.stack([Resized(size_hw, size_hw, False, size_hw, (0, 0, *size_hw[::-1]), size_hw)])

    def label() -> None:
        with torch.no_grad():
            (prediction,) = model.test_step({"images": images, "frames": frames})
        assert prediction.label_map.shape == size_hw

    started = time.perf_counter()
    return {"MiB": added_peak_mib(label), "seconds": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("H", "W"))
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        keep_freed_memory()  # as the tools do
        print(json.dumps(measure(FORMS[args.memory_of], tuple(args.size))))
        return
    for name in FORMS:
        command = [sys.executable, "-m", "benchmarks.compare_memory_segmentation", "--memory-of", name, "--size"]
        output = subprocess.run([*command, *map(str, args.size)], capture_output=True, text=True, check=True).stdout
        result = json.loads(output.splitlines()[-1])
        print(f"{name:45} {result['MiB']:6.0f} MiB  {result['seconds']:6.1f} s", flush=True)


if __name__ == "__main__":
    main()

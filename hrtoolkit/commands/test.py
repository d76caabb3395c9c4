"""Evaluate a checkpoint: prints the metrics, the last line as json.

hrtoolkit test pose/hrnet_toy work_dirs/pose/hrnet_toy/best.pth --flip
hrtoolkit test pose/hrnet_w32_coco official --data-root /data/coco --flip \\
    --boxes COCO_val2017_detections_AP_H_56_person.json --out results.json
"""

from __future__ import annotations

import argparse
import json

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit test` takes."""
    options.add_config(parser)
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="file, address, or official, timm, openmmlab for published ones; or a folder of predictions to score, for "
        "benchmarks whose result files are read (PoseTrack18)",
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored images")
    parser.add_argument("--boxes", metavar="FILE", help="detections in COCO's results format, not annotated boxes")
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="predictions in the benchmark's format: a file, or a folder of label maps",
    )
    parser.add_argument(
        "--pictures", metavar="DIR", help="where a few drawn images go; beside a checkpoint file by default"
    )
    parser.add_argument("--fold", action="store_true", help="put BatchNorm into the convolutions: faster, same numbers")
    options.add_precision(parser, "fold, and compute in half precision")
    options.add_device(parser)
    options.add_backend(parser)


def run(args: argparse.Namespace) -> None:
    """Evaluate."""
    config = options.read_config(args)
    from hrtoolkit.engine import is_main_process, test

    def print_numbers(metrics: dict[str, float]) -> None:
        if is_main_process():
            width = max([10, *map(len, metrics)])
            for name, value in metrics.items():
                print(f"{name:{width}} {value:.4f}")
            print(json.dumps(metrics), flush=True)

    checkpoint = options.path_argument(args.checkpoint)
    # What is downloaded has no folder of its own.
    folder = checkpoint.parent if checkpoint.is_file() else options.work_folder(config)
    test(
        config,
        args.checkpoint,
        flip=args.flip,
        pictures=args.pictures or folder / "pictures",
        boxes=args.boxes,
        out=args.out,
        folded=args.fold,
        amp=args.amp,
        compile=args.compile,
        backend=args.backend,
        report_numbers=print_numbers,
    )

"""Time every stage of a config beside plain baselines: a table with ratios, the last line as json.

hrtoolkit benchmark
hrtoolkit benchmark pose/hrnet_w48_coco --data-root /data/coco --stages crop forward --batches 1 32
hrtoolkit benchmark detection/faster_rcnn_hrnetv2p_w18_coco --stages read crop train --batches 2

It needs a checkout: what it measures against is in no package.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from hrtoolkit.commands import options

STAGES = ("read", "crop", "forward", "network", "train", "decode", "evaluate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit benchmark` takes."""
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", default="pose/hrnet_w32_coco", help="%(default)s by default"
    )
    options.add_data(parser, "folder of the validation data; without it they are made up")
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="all that have a baseline by default")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=(1, 8), metavar="N", help="of the forward pass; the largest trains"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="forms take turns this often")
    parser.add_argument("--out", type=options.path_argument, metavar="FILE", help="write the results as json")


def run(args: argparse.Namespace) -> None:
    """Measure."""
    from hrtoolkit.errors import UserError
    from hrtoolkit.files import check_writable, shipped_configs, write_atomically

    checkout = shipped_configs().resolve().parent
    if not (checkout / "benchmarks" / "benchmark.py").is_file():
        raise UserError("the benchmark needs a checkout of hrtoolkit: what it measures against is in no package")
    sys.path.insert(0, str(checkout))
    if args.out:
        check_writable(args.out)
    if args.data_root and not Path(args.data_root).is_dir():
        raise UserError(f"--data-root: no folder {args.data_root}")
    config = options.read_config(args)
    benchmark = importlib.import_module("benchmarks.benchmark").benchmark

    text = json.dumps(benchmark(config, args.stages, args.batches, args.rounds))
    if args.out:
        with write_atomically(args.out) as file:
            file.write(text)
    print(text)

"""Draw what the network sees of a config's data: samples with their annotations, each beside its targets.

hrtoolkit browse pose/hrnet_toy
hrtoolkit browse pose/hrnet_w32_coco --data-root /data/coco --split val --count 30 --out val.png
hrtoolkit browse pose/hrnet_w32_custom --data my_export
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit browse` takes."""
    options.add_config(parser)
    options.add_own_data(parser)
    parser.add_argument("--split", choices=("train", "val"), default="train", help="train is augmented, val is not")
    parser.add_argument("--branch", metavar="NAME", help="whose samples and targets, of a model with several branches")
    parser.add_argument("--count", type=int, default=16, help="samples, spread over the data (default: %(default)s)")
    parser.add_argument("--out", type=options.path_argument, metavar="FILE.png", help="browse_<split>.png by default")


def run(args: argparse.Namespace) -> None:
    """Draw."""
    config = options.read_config(args)
    from hrtoolkit.engine.browse import browse
    from hrtoolkit.engine.runner import start_logging
    from hrtoolkit.files import check_writable
    from hrtoolkit.visualization import write_image

    out = args.out or Path(f"browse_{args.split}.png")
    check_writable(out)
    start_logging()
    sheet, shown, total = browse(config, args.split, args.count, args.branch)
    write_image(out, sheet)
    print(f"{out} shows {shown} of {total} {args.split} samples: annotations left, targets right")

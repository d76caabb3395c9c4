"""Predict on videos, and give everybody an id that stays: in drawings, lines of json and tables.

hrtoolkit track best.pth film.mp4 --out tracks --detector fasterrcnn_resnet50_fpn_v2 --save csv
hrtoolkit track best.pth frames/ --fps 30 --out tracks --smooth savgol

Everything that `hrtoolkit predict` takes is taken, and `hrtoolkit predict --track` is the same without more options.
Exit status: 0 all done, 3 some sources could not be read.
"""

from __future__ import annotations

import argparse

from hrtoolkit.commands.predict import add_prediction, predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit track` takes."""
    add_prediction(parser)
    parser.add_argument(
        "--keep", metavar="SECONDS", type=float, default=1.0, help="that somebody lost is waited for; by default 1"
    )
    parser.add_argument(
        "--confirm",
        metavar="N",
        type=int,
        default=1,
        help="frames in a row that somebody needs for an id; by default 1",
    )
    parser.add_argument(
        "--smooth",
        choices=("none", "one-euro", "savgol"),
        default="none",
        help="calmer keypoints: savgol for films, one-euro for cameras",
    )
    parser.add_argument(
        "--tail",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="draw where everybody was so long; by default 0, nothing",
    )


def run(args: argparse.Namespace) -> int:
    """Predict and give ids."""
    from hrtoolkit.tracking.tracker import Tracker

    return predict(args, Tracker(keep=args.keep, confirm=args.confirm, smooth=args.smooth), args.tail)

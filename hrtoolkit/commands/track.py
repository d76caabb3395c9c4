"""Predict on videos, and give everybody an id that stays: in drawings, lines of json and tables.

hrtoolkit track best.pth film.mp4 --out tracks --detector fasterrcnn_resnet50_fpn_v2 --save csv
hrtoolkit track best.pth frames/ --fps 30 --boxes boxes.json --out tracks --smooth savgol
hrtoolkit track --edit "12=3,40:swap(1,2)" --out tracks

Everything that `hrtoolkit predict` takes is taken, and `hrtoolkit predict --track` is the same without more options.
`tracks.json` lists the ids, and where two people may have been taken for each other; `--edit` corrects that.
Exit status: 0 all done, 3 some sources could not be read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from hrtoolkit.commands import options
from hrtoolkit.commands.predict import add_prediction, predict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit track` takes."""
    needed = add_prediction(parser)
    parser.add_argument(
        "--tracker",
        choices=("oks", "sort", "bytetrack", "ocsort", "botsort", "cbiou"),
        default="oks",
        help="oks, the default, compares poses; the others see boxes alone, and need hrtoolkit[trackers]",
    )
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
        help="calmer keypoints: savgol for films, one-euro for cameras; by default none",
    )
    parser.add_argument(
        "--fill", metavar="SECONDS", type=float, default=0.0, help="the longest gap that is filled; by default none"
    )
    parser.add_argument(
        "--fix-sides",
        action="store_true",
        help="exchange left and right where the network took one for the other; without it, the log tells where",
    )
    parser.add_argument(
        "--tail",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="of the past that are drawn as a line behind everybody; by default none",
    )
    parser.add_argument(
        "--edit",
        metavar="CORRECTIONS",
        action=_Edit,
        needed=needed,
        help="correct ids in the folder of --out, where nothing is predicted again: 12=3 (12 is 3), 40:swap(1,2) (from "
        "frame 40 on exchanged), commas between; of several videos film.mp4:12=3. MODEL and SOURCE are not needed",
    )


class _Edit(argparse.Action):
    """An option with which other arguments are not needed."""

    def __init__(self, *args: Any, needed: Sequence[argparse.Action], **options: Any):
        super().__init__(*args, **options)
        self.needed = needed

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)
        for one in self.needed:
            one.required = False


def run(args: argparse.Namespace) -> int:
    """Predict and give ids, or correct those that a folder has."""
    if args.edit is not None:
        from hrtoolkit.predict.rewrite import edit_ids

        print(edit_ids(options.path_argument(args.out), args.edit))
        return 0
    from hrtoolkit.tracking.tracker import Tracker

    tracker = Tracker(
        args.tracker,
        keep=args.keep,
        confirm=args.confirm,
        smooth=args.smooth,
        fill=args.fill,
        fix_sides=args.fix_sides,
    )
    return predict(args, tracker, args.tail)

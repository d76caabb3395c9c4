"""Turn an export of a labelling tool into a folder that `hrtoolkit train CONFIG --data FOLDER` trains on.

hrtoolkit import export/ --out data
hrtoolkit import result.json --out data --images photos --val 0.2

The format is recognised by the files. The folder gets COCO's json, a file a split; images stay where they are. Exit
status 1 where training would not start.
"""

from __future__ import annotations

import argparse

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit import` takes."""
    parser.add_argument("source", metavar="SOURCE", type=options.path_argument, help="folder or annotation file")
    parser.add_argument("--out", metavar="DIR", type=options.path_argument, required=True, help="folder to write")
    parser.add_argument("--format", metavar="NAME", help="of the annotations, where they are not recognised")
    parser.add_argument(
        "--images", metavar="DIR", type=options.path_argument, help="folder of the images, where they lie elsewhere"
    )
    parser.add_argument("--val", metavar="FRACTION", type=float, help="of the pictures for validation")
    parser.add_argument("--join", action=argparse.BooleanOptionalAction, help="give keypoints the box that they lie in")


def run(args: argparse.Namespace) -> int:
    """Import, check what was written, and print the next command."""
    from hrtoolkit.importers import import_annotations

    imported = import_annotations(args.source, args.out, args.format, args.images, args.val, args.join)
    print(imported)
    return 0

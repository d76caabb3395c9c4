"""Turn an export of a labelling tool into a folder that `hrtoolkit train CONFIG --data FOLDER` trains on.

hrtoolkit import export/ --out data
hrtoolkit import result.json --out data --images photos --val 0.2

The format is recognised by the files. The folder gets COCO's json, a file a split; images stay where they are. Exit
status 1 where training would not start.
"""

from __future__ import annotations

import argparse
import shlex

from hrtoolkit.commands import options

# Configs that train on what was found, the first that fits.
CONFIGS = {
    "keypoints": "pose/hrnet_w32_custom",
    "outlines": "detection/mask_rcnn_hrnetv2p_w18_custom",
    "boxes": "detection/faster_rcnn_hrnetv2p_w18_custom",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit import` takes."""
    parser.add_argument("source", metavar="SOURCE", type=options.path_argument, help="folder or annotation file")
    parser.add_argument("--out", metavar="DIR", type=options.path_argument, required=True, help="folder to write")
    parser.add_argument("--format", metavar="NAME", help="of the annotations, where they are not recognised")
    parser.add_argument(
        "--images", metavar="DIR", type=options.path_argument, help="folder of the images, where they lie elsewhere"
    )
    parser.add_argument(
        "--keypoints", metavar="NAMES", help="of keypoints that are only numbered: a,b,c or a known scheme such as coco"
    )
    parser.add_argument("--val", metavar="FRACTION", type=float, help="of the pictures for validation")
    parser.add_argument("--join", action=argparse.BooleanOptionalAction, help="give keypoints the box that they lie in")


def run(args: argparse.Namespace) -> int:
    """Import, let the data answer for itself, and print the next command."""
    from hrtoolkit.engine.own_data import check_own_data
    from hrtoolkit.engine.runner import start_logging
    from hrtoolkit.importers import import_annotations

    start_logging()
    names = args.keypoints.split(",") if "," in (args.keypoints or "") else args.keypoints
    imported = import_annotations(args.source, args.out, args.format, args.images, args.val, args.join, names)
    print(imported)
    # A network that learns masks needs one of each object.
    kind = "keypoints" if imported.points else "outlines" if imported.outlines == imported.objects.total() else "boxes"
    findings = check_own_data(CONFIGS[kind], imported)
    for finding in findings:
        print(finding)
    if any(finding.level == "stop" for finding in findings):
        print("training will not start")
        return 1
    print(f"next: hrtoolkit train {CONFIGS[kind]} --data {shlex.quote(str(args.out))}")
    return 0

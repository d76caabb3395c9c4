"""Predict on pictures and videos: a folder with drawings, one line of json a picture, and tables.

hrtoolkit predict work_dirs/hrnet_toy/best.pth photos/ --out found --boxes whole
hrtoolkit predict best.pth film.mp4 --out found --detector fasterrcnn_resnet50_fpn_v2 --save csv
hrtoolkit predict work_dirs/multitask/hrnet_toy/best.pth photos/ --out found --save json
hrtoolkit predict pose/hrnet_w32_coco photo.jpg --weights official --boxes boxes.json --out found

The same command again goes on where a run was stopped. Exit status: 0 all done, 3 some sources could not be read.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from hrtoolkit.commands import options

if TYPE_CHECKING:
    from hrtoolkit.tracking.tracker import Tracker

SOME_FAILED = 3  # exit status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit predict` takes."""
    add_prediction(parser)
    parser.add_argument(
        "--track", action="store_true", help="give ids, as hrtoolkit track does, which has more options"
    )


def add_prediction(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Add what predicting needs, with ids or without.

    Returns:
        what has to be given.
    """
    model = parser.add_argument(
        "model", metavar="MODEL", help="a checkpoint or folder of hrtoolkit, or with --weights a config"
    )
    source = parser.add_argument(
        "source", metavar="SOURCE", nargs="+", help="picture, video, folder, pattern, text file of paths, URL or camera"
    )
    parser.add_argument("--weights", metavar="FILE|official|timm|openmmlab", help="checkpoint, where MODEL is a config")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder for everything")
    parser.add_argument(
        "--boxes",
        metavar="FILE|whole",
        help="where people or faces are: json {picture: [[x1, y1, x2, y2], ...]}, or whole",
    )
    parser.add_argument(
        "--detector",
        metavar="NAME|FILE",
        help="finds people or faces: a detector of torchvision, a checkpoint of hrtoolkit, YuNet's .onnx file, or of a "
        "model with several branches the name of one",
    )
    parser.add_argument(
        "--detect-every",
        metavar="N|auto",
        default="1",
        help="frames from one detection to the next, with people followed by their keypoints between; auto measures",
    )
    parser.add_argument("--branch", metavar="NAME", help="the only one that looks, of a model with several branches")
    parser.add_argument(
        "--save",
        metavar="FORMAT",
        nargs="+",
        default=[],
        help="csv, parquet, json, coco, coco-vid, openpose, deeplabcut, posetrack, tracks, yolo, label-studio, labels, "
        "values, masks",
    )
    parser.add_argument("--no-pictures", action="store_true", help="draw nothing")
    parser.add_argument("--show", action="store_true", help="show pictures in a window as they are done; q stops")
    parser.add_argument("--flat", action="store_true", help="leave folders inside folders out")
    parser.add_argument(
        "--fps", metavar="N", type=float, help="pictures of a folder are the frames of a film, so many a second"
    )
    options.add_device(parser)
    options.add_backend(parser)
    parser.add_argument(
        "--batch-size", metavar="N|auto", help="inputs at once: auto measures; by default 16 crops or one whole picture"
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture")
    parser.add_argument("--fold", action="store_true", help="put BatchNorm into the convolutions: faster")
    options.add_precision(parser, "fold, and compute in half precision")
    return [model, source]


def run(args: argparse.Namespace) -> int:
    """Predict."""
    if not args.track:
        return predict(args)
    from hrtoolkit.tracking.tracker import Tracker

    return predict(args, Tracker())


def predict(args: argparse.Namespace, tracker: Tracker | None = None, tail: float = 0.0) -> int:
    """Predict what the arguments of `add_prediction` say, and write it.

    Args:
        args: of the command line.
        tracker: gives ids; None for none. With ids there is a list of them, tracks.json.
        tail: seconds of the past that are drawn into videos, behind everybody with an id.

    Returns:
        the exit status.
    """
    from hrtoolkit.engine.runner import start_logging
    from hrtoolkit.errors import UserError
    from hrtoolkit.files import expand_path, is_checkpoint
    from hrtoolkit.predict import JointPredictor, Predictor, load
    from hrtoolkit.predict.predictor import load_network
    from hrtoolkit.predict.window import open_window

    start_logging()
    watch = open_window() if args.show else None
    batch_size = None if args.batch_size is None else options.number_or_auto("--batch-size", args.batch_size)
    detect_every = options.number_or_auto("--detect-every", args.detect_every)
    network, settings, known = load_network(
        expand_path(args.model),
        None if args.weights is None else expand_path(args.weights),
        branch=args.branch,
        flip=args.flip,
        folded=args.fold,
        amp=args.amp,
        compile=args.compile,
        backend=args.backend,
    )
    predictor: Predictor | JointPredictor
    if args.branch is None and len(network.branches) > 1:
        if tracker is not None:
            raise UserError(
                f"ids are for one branch: name it by --branch, of {', '.join(network.branches)}, and where it looks at "
                "crops another one by --detector"
            )
        if args.fps is not None or detect_every != 1:
            raise UserError(f"--{'fps' if args.fps is not None else 'detect-every'} is for one branch (--branch)")
        if batch_size is not None:
            raise UserError("--batch-size is for one branch (--branch); all of them see one picture at a time")
        predictor = JointPredictor(network, detector=args.detector, settings=settings)
    else:
        detector = load(args.detector) if is_checkpoint(args.detector) else args.detector
        predictor = Predictor(
            network,
            branch=args.branch,
            batch_size=batch_size,
            detector=detector,
            detect_every=detect_every,
            settings=settings,
            known=known,
        )
    source, out = args.source[0] if len(args.source) == 1 else args.source, options.path_argument(args.out)
    run_options: dict[str, Any] = {
        "boxes": args.boxes,
        "recursive": not args.flat,
        "pictures": not args.no_pictures,
        "save": args.save if tracker is None else [*args.save, "tracks"],
        "watch": watch,
    }
    if isinstance(predictor, Predictor):
        run_options |= {"frame_rate": args.fps, "tracker": tracker, "tail": tail}
    summary = predictor.run(source, out, **run_options)
    print(summary)
    return SOME_FAILED if summary.failed else 0

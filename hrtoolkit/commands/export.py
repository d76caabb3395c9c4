"""Export a model to run without PyTorch, and prove on real images that it gives the same.

hrtoolkit export work_dirs/pose/hrnet_toy/best.pth --out exported
hrtoolkit export best.pth --format openvino --precision int8 --data-root data/toy --budget 0.5 --out exported
hrtoolkit export pose/hrnet_w32_coco --weights official --images photos/ --boxes boxes.json --out exported

The folder has the model, a runtime without PyTorch, and a certificate. Of a model with several branches all are
exported: one network for each of their views. Exit status: 0 the export holds, 2 it does not.
"""

from __future__ import annotations

import argparse
from typing import Any

from hrtoolkit.commands import options

OVER_BUDGET = 2  # exit status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit export` takes."""
    parser.add_argument(
        "model", metavar="MODEL", help="a checkpoint or folder of hrtoolkit, or with --weights a config"
    )
    parser.add_argument("--weights", metavar="FILE|official|timm|openmmlab", help="checkpoint, where MODEL is a config")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder that is written")
    parser.add_argument("--format", default="onnx", help="onnx, openvino, or pt2: compiled, for PyTorch")
    parser.add_argument("--precision", default="fp32", help="fp32, fp16, bf16 or int8")
    parser.add_argument(
        "--images", metavar="SOURCE", nargs="+", help="pictures to compare on, instead of the validation data"
    )
    parser.add_argument("--boxes", metavar="FILE|whole", help="where people or faces are in --images; whole by default")
    parser.add_argument("--samples", metavar="N", type=int, default=200, help="images to compare on, by default 200")
    parser.add_argument(
        "--budget",
        metavar="POINTS",
        type=float,
        help="hundredths of the metric that may be lost, by default 0.5",
    )
    parser.add_argument("--uint8", action="store_true", help="the network takes bytes and normalises by itself")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored picture, in the network")
    parser.add_argument(
        "--branch", metavar="NAME", nargs="+", help="those that are exported, of a model with several; by default all"
    )
    options.add_data(parser, "folder of the model's own validation (and for int8 training) data")


def run(args: argparse.Namespace) -> int:
    """Export."""
    from hrtoolkit.engine.runner import start_logging
    from hrtoolkit.export.certificate import Certificate, JointCertificate
    from hrtoolkit.export.data import load_joint_with_data, load_with_data, read_model
    from hrtoolkit.export.run import CALIBRATION, export_joint, export_model
    from hrtoolkit.files import expand_path

    start_logging()
    model = expand_path(args.model), None if args.weights is None else expand_path(args.weights)
    branches = args.branch or list(read_model(*model, overrides=args.overrides)[0].model.get("branches", ()))
    source: dict[str, Any] = {
        "data_root": args.data_root,
        "overrides": args.overrides,
        "images": args.images,
        "boxes": args.boxes,
        "most": args.samples,
        "calibration": CALIBRATION if args.precision == "int8" else 0,
        "flip": args.flip,
    }
    form: dict[str, Any] = {name: getattr(args, name) for name in ("format", "precision", "budget", "uint8")}
    out = options.path_argument(args.out)
    certificate: Certificate | JointCertificate
    if len(branches) > 1:
        joint, by_branch, others = load_joint_with_data(*model, branches=branches, **source)
        certificate = export_joint(joint, out, by_branch, calibration=others, **form)
    else:
        predictor, examples, calibration = load_with_data(*model, branch=next(iter(branches), None), **source)
        certificate = export_model(predictor, out, examples, calibration=calibration, **form)
    print(certificate.to_markdown())
    return 0 if certificate.passed else OVER_BUDGET

"""Train a model, validate it as it goes, and keep its best weights.

hrtoolkit train pose/hrnet_w32_coco --data-root /data/coco
hrtoolkit train pose/hrnet_w32_custom --data my_export
hrtoolkit train pose/hrnet_toy --epochs 2 --lr 0.001 --set model.backbone.width=18
torchrun --nproc_per_node=4 -m hrtoolkit train pose/hrnet_w32_coco --amp --resume

The schedule of the learning rate follows --epochs: it ends where the training ends.
"""

from __future__ import annotations

import argparse
import shlex

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit train` takes."""
    options.add_config(parser)
    options.add_own_data(parser)
    parser.add_argument("--work-dir", metavar="DIR", help="where everything goes; work_dirs/TASK/CONFIG by default")
    parser.add_argument("--resume", action="store_true", help="go on where the run in the work folder ended")
    options.add_precision(parser, "mixed precision")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation")
    options.add_device(parser)
    options.add_shorthands(parser)


def run(args: argparse.Namespace) -> None:
    """Train."""
    config = options.read_config(args, training=True)
    from hrtoolkit.engine import train

    work_dir = options.work_dir(args, config)
    again = options.command(args, "test", "CHECKPOINT")
    if args.data is not None:  # the config that is written there names it
        again = shlex.join(["hrtoolkit", "test", str(work_dir / "config.py"), "CHECKPOINT"])
    if args.seed is not None:
        config.seed = args.seed
    train(config, work_dir, args.resume, args.amp, args.compile, test_command=again)

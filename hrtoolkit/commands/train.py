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
from pathlib import Path
from typing import TYPE_CHECKING

from hrtoolkit.commands import options
from hrtoolkit.errors import OptionError
from hrtoolkit.files import expand_path

if TYPE_CHECKING:
    from mmengine import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit train` takes."""
    options.add_config(parser)
    parser.add_argument(
        "--data", metavar="PATH", help="own data instead of the config's: an export of a labelling tool, or COCO's json"
    )
    parser.add_argument("--work-dir", metavar="DIR", help="where everything goes; work_dirs/TASK/CONFIG by default")
    parser.add_argument("--resume", action="store_true", help="go on where the run in the work folder ended")
    options.add_precision(parser, "mixed precision")
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation")
    options.add_device(parser)
    options.add_shorthands(parser)


def run(args: argparse.Namespace) -> None:
    """Train."""
    config = options.read_config(args)
    from hrtoolkit.engine import train

    work_dir = args.work_dir or config.get("work_dir") or options.work_folder(config)
    again = options.command(args, "test", "CHECKPOINT")
    if args.data is not None:
        config = _read_own_data(args, Path(work_dir))
        again = shlex.join(["hrtoolkit", "test", str(Path(work_dir, "config.py")), "CHECKPOINT"])
    if args.seed is not None:
        config.seed = args.seed
    train(config, work_dir, args.resume, args.amp, args.compile, test_command=again)


def _read_own_data(args: argparse.Namespace, work_dir: Path) -> Config:
    """The config with --data instead of its own; what else the arguments override comes after, and so wins."""
    from hrtoolkit.config import load_config
    from hrtoolkit.engine.distributed import start_distributed
    from hrtoolkit.engine.own_data import use_own_data
    from hrtoolkit.engine.runner import start_logging

    if args.data_root is not None:
        raise OptionError("--data names the data, and --data-root the folder of the config's own: give one of them")
    start_distributed()
    start_logging()
    changes = options.overrides(args)
    weights = [text for text in changes if text.startswith("load_from")]
    config = use_own_data(load_config(args.config, weights), expand_path(args.data), work_dir / "data")
    return load_config(config, changes)

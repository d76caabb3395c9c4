"""Turn a config of another toolkit into one of ours: a few lines on the shipped config that is nearest.

hrtoolkit convert-config w32_256x192_adam_lr1e-3.yaml
hrtoolkit convert-config td-hm_hrnet-w32_8xb64-210e_coco-256x192.py --out mine.py

Nothing in the file is run. What changes results and is not supported here is listed, and refused (exit status 1). The
other verbs take such a file as it is: train, test, predict, check.
"""

from __future__ import annotations

import argparse

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit convert-config` takes."""
    parser.add_argument(
        "config",
        metavar="CONFIG",
        help="yaml of the official code, a Python config of mmpose, mmdet, mmseg or mmcls, or a checkpoint of theirs",
    )
    parser.add_argument("--out", metavar="FILE", help="write it there; by default it is printed")


def run(args: argparse.Namespace) -> None:
    """Convert."""
    from hrtoolkit.checkpoint_files import read_checkpoint
    from hrtoolkit.errors import CheckpointError, UserError
    from hrtoolkit.files import is_checkpoint, write_atomically
    from hrtoolkit.foreign import convert_foreign, convert_stored
    from hrtoolkit.foreign.writing import write_config

    path = options.path_argument(args.config)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    converted = convert_stored(read_checkpoint(path), path) if is_checkpoint(path) else convert_foreign(path)
    if converted is None:
        raise CheckpointError(f"{path} holds no config of OpenMMLab; name the config that it was trained with")
    text = write_config(converted)
    if args.out is None:
        print(text, end="")
        return
    with write_atomically(options.path_argument(args.out)) as file:
        file.write(text)
    print(f"wrote {args.out}")

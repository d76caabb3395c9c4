"""Check a config, and its data: annotations, images, and whether the metric can reach its best; last line json.

hrtoolkit check pose/hrnet_w32_coco --data-root /data/coco
hrtoolkit check pose/hrnet_w32_custom --data my_export
hrtoolkit check pose/hrnet_w32_coco --set model.backbone.width=48 --config-only --no-files

Of configs every problem is told with its place and the near names. A finding about data says stop (training will not
start), warning (most likely an error) or note. Exit status 1 with a problem or a stop.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from hrtoolkit.commands import options

if TYPE_CHECKING:
    from mmengine import Config

    from hrtoolkit.findings import Level


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit check` takes."""
    options.add_config(parser, several=True)
    options.add_own_data(parser)
    parser.add_argument("--config-only", action="store_true", help="do not read the data")
    parser.add_argument("--no-files", action="store_true", help="nor look whether data and checkpoints are there")


def run(args: argparse.Namespace) -> int:
    """Check one after another."""
    from hrtoolkit.config import ConfigError
    from hrtoolkit.engine.check_config import check_config
    from hrtoolkit.engine.runner import start_logging

    start_logging()
    failed = False
    for source in args.configs:
        try:
            config = options.read_config(args, source)
            if args.config_only or args.no_files:
                check_config(config, files=not args.no_files)
                print(f"ok {source}")
            else:
                failed |= _check_data(config)
        except ConfigError as error:
            if not args.config_only:
                raise
            print(error)
            failed = True
    return int(failed)


def _check_data(config: Config) -> bool:
    """Print what is wrong with the data of a config; true where training will not start."""
    from hrtoolkit.data.doctor import image_files
    from hrtoolkit.engine.check_data import check_data

    samples, findings, cropped = check_data(config)
    order: tuple[Level, ...] = ("stop", "warning", "note")
    for finding in sorted(findings, key=lambda finding: order.index(finding.level)):
        print(finding)
    levels = Counter(finding.level for finding in findings)
    for name, one in samples.items():
        crops = one.crops() if name in cropped else None
        images = image_files(one, sees_crops=name in cropped).ids
        print(f"{name}: {len(one if crops is None else crops.samples)} samples in {len(images)} images")
    print(f"{levels['stop']} stop training, {levels['warning']} warnings, {levels['note']} notes")
    print(json.dumps({level: levels[level] for level in order} | {"findings": [asdict(f) for f in findings]}))
    return levels["stop"] > 0

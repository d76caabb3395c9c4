"""Check configs whole, before anything is built: every problem with its place and the near names.

python tools/check_config.py configs/pose/hrnet_toy.py
python tools/check_config.py configs/pose/*.py --no-files
python tools/check_config.py configs/pose/hrnet_toy.py --data-root data/toy --set model.backbone.width=48 seed=1
"""

import argparse
import sys

from hrtoolkit.config import ConfigError, check_config, load_config


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", metavar="CONFIG", nargs="+", help="file, or name of a shipped config")
    parser.add_argument("--data-root", metavar="DIR", help="folder that every dataset reads from")
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )
    parser.add_argument("--no-files", action="store_true", help="do not look whether data and checkpoints are there")
    args = parser.parse_args()
    failed = False
    for source in args.configs:
        try:
            check_config(load_config(source, args.overrides, args.data_root), files=not args.no_files)
            print(f"ok {source}")
        except ConfigError as error:
            print(error)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

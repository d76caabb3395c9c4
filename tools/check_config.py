"""Check configs whole, before anything is built: every problem with its place and the near names.

python tools/check_config.py configs/pose/hrnet_toy.py
python tools/check_config.py configs/pose/*.py --no-files
python tools/check_config.py configs/pose/hrnet_toy.py --data-root data/toy --set model.backbone.width=48 seed=1
"""

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import ConfigError, load_config
from hrtoolkit.engine.check_config import check_config


def main() -> int:
    parser = make_parser(__doc__, several=True)
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
    run_tool(main)

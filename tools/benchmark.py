"""Time every stage of a config beside plain baselines: a table with ratios, the last line as json.

python tools/benchmark.py
python tools/benchmark.py configs/pose/hrnet_w48_coco.py --data-root /data/coco --stages crop forward --batches 1 32
python tools/benchmark.py configs/detection/faster_rcnn_hrnetv2p_w18_coco.py --stages read crop train --batches 2
"""

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
if not (REPOSITORY / "benchmarks" / "benchmark.py").is_file():
    sys.exit("error: the benchmark needs a checkout of hrtoolkit: what it measures against is in no package")
sys.path.insert(0, str(REPOSITORY))

from benchmarks.benchmark import STAGES, benchmark  # noqa: E402
from hrtoolkit.cli import path_argument, run_tool  # noqa: E402
from hrtoolkit.config import load_config  # noqa: E402
from hrtoolkit.errors import UserError  # noqa: E402
from hrtoolkit.files import check_writable, write_atomically  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "config", metavar="CONFIG", nargs="?", default="pose/hrnet_w32_coco", help="%(default)s by default"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the validation data; without it they are made up")
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )
    parser.add_argument("--stages", nargs="+", choices=STAGES, help="all that have a baseline by default")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=(1, 8), metavar="N", help="of the forward pass; the largest trains"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="forms take turns this often")
    parser.add_argument("--out", type=path_argument, metavar="FILE", help="write the results as json")
    args = parser.parse_args()
    if args.out:
        check_writable(args.out)
    if args.data_root and not Path(args.data_root).is_dir():
        raise UserError(f"--data-root: no folder {args.data_root}")
    config = load_config(args.config, args.overrides, args.data_root)
    text = json.dumps(benchmark(config, args.stages, args.batches, args.rounds))
    if args.out:
        with write_atomically(args.out) as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    run_tool(main)

"""Draw what the network sees of a config's data: samples with their annotations, each beside its targets.

python tools/browse_data.py configs/pose/hrnet_toy.py
python tools/browse_data.py configs/pose/hrnet_w32_coco.py --data-root /data/coco --split val --count 30 --out val.png
"""

from pathlib import Path

from hrtoolkit.cli import make_parser, path_argument, run_tool
from hrtoolkit.config import load_config
from hrtoolkit.engine.browse import browse
from hrtoolkit.engine.runner import start_logging
from hrtoolkit.files import check_writable
from hrtoolkit.visualization import write_image


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--split", choices=("train", "val"), default="train", help="train is augmented, val is not")
    parser.add_argument("--count", type=int, default=16, help="samples, spread over the data (default: %(default)s)")
    parser.add_argument("--out", type=path_argument, metavar="FILE.png", help="browse_<split>.png by default")
    args = parser.parse_args()
    out = args.out or Path(f"browse_{args.split}.png")
    check_writable(out)
    start_logging()
    sheet, shown, total = browse(load_config(args.config, args.overrides, args.data_root), args.split, args.count)
    write_image(out, sheet)
    print(f"{out} shows {shown} of {total} {args.split} samples: annotations left, targets right")


if __name__ == "__main__":
    run_tool(main)

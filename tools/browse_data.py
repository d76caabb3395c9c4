"""Draw what the network sees of a config's data: samples with their annotations, each beside its targets.

python tools/browse_data.py configs/pose/hrnet_toy.py
python tools/browse_data.py configs/pose/hrnet_w32_coco.py --data-root /data/coco --split val --count 30 --out val.png
"""

import math
from pathlib import Path

import numpy as np

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import check_config, load_config
from hrtoolkit.data.loading import Draw, collate
from hrtoolkit.engine.run import build_dataset, build_model_for
from hrtoolkit.engine.runner import start_logging
from hrtoolkit.errors import UserError
from hrtoolkit.files import check_writable
from hrtoolkit.visualization import make_sheet, write_image


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--split", choices=("train", "val"), default="train", help="train is augmented, val is not")
    parser.add_argument("--count", type=int, default=16, help="samples, spread over the data (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="browse_<split>.png by default")
    args = parser.parse_args()
    out = args.out or Path(f"browse_{args.split}.png")
    check_writable(out)
    start_logging()
    config = load_config(args.config, args.overrides, args.data_root)
    check_config(config)
    loader = config.get(f"{args.split}_dataloader")
    if loader is None or args.count < 1:
        missing = f"{args.config} has no {args.split}_dataloader" if loader is None else f"--count is {args.count}"
        raise UserError(f"{missing}: there is nothing to draw")
    dataset = build_dataset(loader.dataset)
    head = build_model_for(config, dataset).head

    indices = np.unique(np.linspace(0, len(dataset) - 1, args.count).round().astype(int)).tolist()
    seed = config.get("seed") or 0
    samples = [dataset[Draw(index, 1, seed) if args.split == "train" else index] for index in indices]
    batch = getattr(dataset, "collate", collate)(samples)
    targets = head.draw_targets(batch["images"], batch["targets"])
    tiles = [np.hstack([dataset.draw_sample(s), target]) for s, target in zip(samples, targets, strict=True)]
    captions = [f"image {meta['image_id']}, sample {meta['index']}" for meta in batch["meta"]]
    write_image(out, make_sheet(tiles, columns=math.ceil(math.sqrt(len(tiles))), captions=captions))
    print(f"{out} shows {len(tiles)} of {len(dataset)} {args.split} samples: annotations left, targets right")


if __name__ == "__main__":
    run_tool(main)

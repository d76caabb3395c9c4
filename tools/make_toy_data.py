"""Write the toy world, drawn people in COCO's format or a folder a class: all can be tried without a download.

python tools/make_toy_data.py
python tools/make_toy_data.py --classes
python tools/make_toy_data.py --out data/toy --train 1200 --val 200 --seed 0 --sheet toy.png
"""

import argparse
import json
from pathlib import Path

import numpy as np

from hrtoolkit import toy
from hrtoolkit.cli import run_tool
from hrtoolkit.commands.options import path_argument
from hrtoolkit.data.images import read_image
from hrtoolkit.runtime.drawing import draw_boxes, draw_keypoints, make_sheet
from hrtoolkit.schemes.people import COCO
from hrtoolkit.visualization import write_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--classes", action="store_true", help="one person an image and a folder a class, for ImageFolder"
    )
    parser.add_argument("--out", type=path_argument, help="folder to write (default: data/toy, or data/toy_classes)")
    parser.add_argument("--train", type=int, default=1200, help="training images (default: %(default)s)")
    parser.add_argument("--val", type=int, default=200, help="validation images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default: %(default)s)")
    parser.add_argument(
        "--sheet", type=path_argument, metavar="FILE", help="also draw the first scenes with their annotations"
    )
    args = parser.parse_args()
    default = Path("data/toy_classes" if args.classes else "data/toy")
    out = args.out or default
    write = toy.write_classes if args.classes else toy.write_coco
    written = write(out, args.train, args.val, args.seed)
    if args.sheet:
        split = ("train" if args.train else "val") + ("" if args.classes else "2017")
        (draw_class_sheet if args.classes else draw_sheet)(out, split, args.sheet)
    print(f"{out} {'now' if written else 'already'} holds {args.train} training and {args.val} validation images")
    if args.sheet:
        print(f"{args.sheet} shows the first of them")
    config = f"configs/{'classification' if args.classes else 'pose'}/hrnet_toy.py"
    print(f"next: python tools/train.py {config}" + ("" if out == default else f" --data-root {out}"))


def draw_class_sheet(folder: Path, split: str, path: Path, count: int = 24) -> None:
    files = sorted((folder / split).glob("*/*.jpg"), key=lambda file: file.name)[:count]
    tiles = [read_image(file) for file in files]
    write_image(path, make_sheet(tiles, columns=8, captions=[file.parent.name for file in files]))


def draw_sheet(folder: Path, split: str, path: Path, count: int = 20) -> None:
    content = json.loads((folder / "annotations" / f"person_keypoints_{split}.json").read_text())
    tiles, captions = [], []
    for record in content["images"][:count]:
        annotations = [item for item in content["annotations"] if item["image_id"] == record["id"]]
        keypoints = np.array([item["keypoints"] for item in annotations], dtype=np.float64).reshape(-1, 17, 3)
        boxes = np.array([item["bbox"] for item in annotations], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = ["crowd" if item["iscrowd"] else str(item["num_keypoints"]) for item in annotations]
        image = read_image(folder / split / record["file_name"])
        image = draw_keypoints(image, keypoints[..., :2], keypoints[..., 2] > 0, COCO)
        tiles.append(draw_boxes(image, boxes, labels))
        captions.append(f"{record['file_name']}  {record['width']} x {record['height']}")
    write_image(path, make_sheet(tiles, columns=5, tile_hw=(320, 320), captions=captions))


if __name__ == "__main__":
    run_tool(main)

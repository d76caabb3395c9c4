"""Write the toy world, drawn people in COCO's format: everything can be tried without a download.

python tools/make_toy_data.py
python tools/make_toy_data.py --out data/toy --train 1200 --val 200 --seed 0 --sheet toy.png
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from hrtoolkit.data import toy
from hrtoolkit.errors import UserError
from hrtoolkit.visualization import draw_boxes, draw_keypoints, make_sheet, write_image
from tasks.pose.layouts import COCO


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("data/toy"), help="folder to write (default: %(default)s)")
    parser.add_argument("--train", type=int, default=1200, help="training images (default: %(default)s)")
    parser.add_argument("--val", type=int, default=200, help="validation images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other pictures (default: %(default)s)")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="also draw the first scenes with their annotations")
    args = parser.parse_args()
    try:
        written = toy.write_coco(args.out, args.train, args.val, args.seed)
        if args.sheet:
            draw_sheet(args.out, toy.SPLITS[0] if args.train else toy.SPLITS[1], args.sheet)
    except (UserError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{args.out} {'now' if written else 'already'} holds {args.train} training and {args.val} validation images")
    if args.sheet:
        print(f"{args.sheet} shows the first of them")
    print("next: python tools/train.py configs/pose/hrnet_toy.py" + data_root_hint(args.out))


def data_root_hint(folder: Path) -> str:
    return "" if folder == Path("data/toy") else f" --data-root {folder}"


def draw_sheet(folder: Path, split: str, path: Path, count: int = 20) -> None:
    content = json.loads((folder / "annotations" / f"person_keypoints_{split}.json").read_text())
    tiles, captions = [], []
    for record in content["images"][:count]:
        annotations = [item for item in content["annotations"] if item["image_id"] == record["id"]]
        keypoints = np.array([item["keypoints"] for item in annotations], dtype=np.float64).reshape(-1, 17, 3)
        boxes = np.array([item["bbox"] for item in annotations]).reshape(-1, 4)
        labels = ["crowd" if item["iscrowd"] else str(item["num_keypoints"]) for item in annotations]
        image = cv2.cvtColor(cv2.imread(str(folder / split / record["file_name"])), cv2.COLOR_BGR2RGB)
        image = draw_keypoints(image, keypoints[..., :2], keypoints[..., 2] > 0, COCO)
        tiles.append(draw_boxes(image, boxes, labels))
        captions.append(f"{record['file_name']}  {record['width']} x {record['height']}")
    write_image(path, make_sheet(tiles, columns=5, tile_hw=(320, 320), captions=captions))


if __name__ == "__main__":
    main()

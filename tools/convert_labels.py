"""Turn the MATLAB label files of PASCAL-Context or COCO-Stuff 10k into the PNGs that the configs read, in place.

python tools/convert_labels.py pascal_context /data/VOCdevkit/VOC2010 --labels /data/trainval
python tools/convert_labels.py coco_stuff /data/cocostuff-10k

The first writes context/, train.lst and val.lst, the second train/ and test/. What is there already is not done again.
"""

import argparse

from hrtoolkit.cli import run_tool
from hrtoolkit.commands.options import path_argument
from hrtoolkit.errors import UserError
from hrtoolkit.tasks.segmentation.releases import convert_coco_stuff, convert_pascal_context


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", choices=["pascal_context", "coco_stuff"])
    parser.add_argument("folder", type=path_argument, help="VOC2010's folder, or that of COCO-Stuff 10k")
    parser.add_argument("--labels", type=path_argument, metavar="DIR", help="folder of PASCAL-Context's .mat files")
    args = parser.parse_args()
    if args.release == "coco_stuff":
        convert_coco_stuff(args.folder)
    elif args.labels is None:
        raise UserError("pascal_context needs --labels, the folder of its .mat files of 459 classes (trainval)")
    else:
        convert_pascal_context(args.folder, args.labels)
    print(f"next: python tools/train.py configs/segmentation/hrnetv2_w48_{args.release}.py --data-root {args.folder}")


if __name__ == "__main__":
    run_tool(main)

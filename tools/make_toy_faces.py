"""Write toy faces, drawn heads with 68 landmarks in 300W's file format: face alignment can be tried without a download.

python tools/make_toy_faces.py
python tools/make_toy_faces.py --out data/toy_faces --train 1000 --test 100 --seed 0
"""

import argparse
from pathlib import Path

from hrtoolkit.cli import run_tool
from hrtoolkit.commands.options import path_argument
from hrtoolkit.toy.faces import write_faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=path_argument, default=Path("data/toy_faces"), help="folder to write (%(default)s)"
    )
    parser.add_argument("--train", type=int, default=1000, help="faces to train on (default: %(default)s)")
    parser.add_argument("--test", type=int, default=100, help="faces to test on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other faces (default: %(default)s)")
    args = parser.parse_args()
    written = write_faces(args.out, args.train, args.test, args.seed)
    root = "" if args.out == Path("data/toy_faces") else f" --data-root {args.out}"
    print(f"{args.out} {'now' if written else 'already'} holds {args.train} training and {args.test} test faces")
    print(f"next: python tools/train.py configs/face/hrnetv2_toy.py{root}")


if __name__ == "__main__":
    run_tool(main)

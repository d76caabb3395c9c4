"""Evaluate a checkpoint: prints the metrics, the last line as json.

python tools/test.py configs/pose/hrnet_toy.py work_dirs/hrnet_toy/best.pth --flip
python tools/test.py configs/pose/hrnet_w32_coco.py pose_hrnet_w32_256x192.pth --data-root /data/coco --flip \\
    --boxes COCO_val2017_detections_AP_H_56_person.json --out results.json
"""

import json
from pathlib import Path

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import load_config
from hrtoolkit.engine import is_main_process, test
from hrtoolkit.files import expand_path


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="of ours, an official release, or OpenMMLab")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored images")
    parser.add_argument(
        "--boxes", metavar="FILE", help="detections in COCO's results format, instead of annotated boxes"
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        help="write the predictions in the benchmark's format: a file, or a folder of label maps",
    )
    parser.add_argument(
        "--pictures", metavar="DIR", help="where a few drawn images go; beside a checkpoint file by default"
    )
    parser.add_argument("--fold", action="store_true", help="put BatchNorm into the convolutions: faster, same numbers")
    parser.add_argument(
        "--amp",
        nargs="?",
        const=True,
        default=False,
        choices=("bfloat16", "float16"),
        help="fold, and compute in half precision: by default bfloat16, or float16 on older GPUs",
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the network's blocks (on a CPU this needs a C++ compiler)"
    )
    args = parser.parse_args()
    checkpoint = Path(expand_path(args.checkpoint))
    # What is downloaded has no folder of its own.
    folder = checkpoint.parent if checkpoint.is_file() else Path("work_dirs", Path(args.config).stem)
    test(
        load_config(args.config, args.overrides, args.data_root),
        args.checkpoint,
        flip=args.flip,
        pictures=args.pictures or folder / "pictures",
        boxes=args.boxes,
        out=args.out,
        folded=args.fold,
        amp=args.amp,
        compile=args.compile,
        report_numbers=print_numbers,
    )


def print_numbers(metrics: dict[str, float]) -> None:
    if is_main_process():
        for name, value in metrics.items():
            print(f"{name:10} {value:.4f}")
        print(json.dumps(metrics), flush=True)


if __name__ == "__main__":
    run_tool(main)

"""Evaluate a checkpoint: prints the metrics, the last line as json.

python tools/test.py configs/pose/hrnet_toy.py work_dirs/hrnet_toy/best.pth --flip
python tools/test.py configs/pose/hrnet_w32_coco.py pose_hrnet_w32_256x192.pth --data-root /data/coco --flip \\
    --boxes COCO_val2017_detections_AP_H_56_person.json --out results.json
"""

import argparse
import json
import sys
from pathlib import Path

from hrtoolkit.config import load_config
from hrtoolkit.engine import is_main_process, test
from hrtoolkit.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG", help="file, or name of a shipped config")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="of ours, an official release, or OpenMMLab")
    parser.add_argument("--data-root", metavar="DIR", help="folder that every dataset reads from")
    parser.add_argument("--flip", action="store_true", help="average with the mirrored images")
    parser.add_argument(
        "--boxes", metavar="FILE", help="detections in COCO's results format, instead of annotated boxes"
    )
    parser.add_argument("--out", metavar="FILE", help="write the predictions, in the benchmark's results format")
    parser.add_argument(
        "--pictures", metavar="DIR", help="where a few drawn images go; beside the checkpoint by default"
    )
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )
    args = parser.parse_args()
    try:
        config = load_config(args.config, args.overrides, args.data_root)
        if args.boxes:
            loader = config.get("test_dataloader", config.get("val_dataloader"))
            loader.dataset.box_file = str(Path(args.boxes).absolute())
        if args.out:
            config.get("test_evaluator", config.get("val_evaluator")).out_file = args.out
        pictures = Path(args.pictures) if args.pictures else Path(args.checkpoint).parent / "pictures"
        metrics = test(config, args.checkpoint, args.flip, pictures)
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    if is_main_process():
        for name, value in metrics.items():
            print(f"{name:10} {value:.4f}")
        print(f"pictures   {pictures / 'test.jpg'}")
        print(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train a model, validate it as it goes, and keep its best weights.

python tools/train.py configs/pose/hrnet_w32_coco.py --data-root /data/coco
python tools/train.py configs/pose/hrnet_toy.py --set train_cfg.max_epochs=2 optim_wrapper.optimizer.lr=0.001
torchrun --nproc_per_node=4 tools/train.py configs/pose/hrnet_w32_coco.py --amp --resume
"""

import argparse
import sys
from pathlib import Path

import torch

from hrtoolkit.config import load_config
from hrtoolkit.engine import train
from hrtoolkit.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", metavar="CONFIG", help="file, or name of a shipped config")
    parser.add_argument("--data-root", metavar="DIR", help="folder that every dataset reads from")
    parser.add_argument("--work-dir", metavar="DIR", help="where everything goes; work_dirs/<config's name> by default")
    parser.add_argument("--resume", action="store_true", help="go on after the last whole epoch in the work folder")
    parser.add_argument("--amp", action="store_true", help="mixed precision: bfloat16, or float16 on older GPUs")
    parser.add_argument(
        "--compile", action="store_true", help="compile the backbone (on a CPU this needs a C++ compiler)"
    )
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation")
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )
    args = parser.parse_args()
    precision = "float32"
    if args.amp:
        precision = "float16" if torch.cuda.is_available() and not torch.cuda.is_bf16_supported() else "bfloat16"
    try:
        config = load_config(args.config, args.overrides, args.data_root)
        if args.seed is not None:
            config.seed = args.seed
        work_dir = args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}"
        data = f" --data-root {args.data_root}" if args.data_root else ""
        train(
            config,
            work_dir,
            args.resume,
            precision,
            args.compile,
            test_command=f"python tools/test.py {args.config}{data}",
        )
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; --resume continues after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train a model, validate it as it goes, and keep its best weights.

python tools/train.py configs/pose/hrnet_w32_coco.py --data-root /data/coco
python tools/train.py configs/pose/hrnet_toy.py --set train_cfg.max_epochs=7 optim_wrapper.optimizer.lr=0.001
torchrun --nproc_per_node=4 tools/train.py configs/pose/hrnet_w32_coco.py --amp --resume

The schedule of the learning rate follows max_epochs: it ends where the training ends.
"""

from pathlib import Path

from hrtoolkit.cli import make_parser, run_tool
from hrtoolkit.config import load_config
from hrtoolkit.engine import train


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--work-dir", metavar="DIR", help="where everything goes; work_dirs/<config's name> by default")
    parser.add_argument("--resume", action="store_true", help="go on where the run in the work folder ended")
    parser.add_argument(
        "--amp",
        nargs="?",
        const=True,
        default=False,
        choices=("bfloat16", "float16"),
        help="mixed precision: by default bfloat16, or float16 on older GPUs",
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the network's blocks (on a CPU this needs a C++ compiler)"
    )
    parser.add_argument("--seed", type=int, help="of weights, order and augmentation")
    args = parser.parse_args()
    config = load_config(args.config, args.overrides, args.data_root)
    if args.seed is not None:
        config.seed = args.seed
    data = f" --data-root {args.data_root}" if args.data_root else ""
    train(
        config,
        args.work_dir or config.get("work_dir") or f"work_dirs/{Path(args.config).stem}",
        args.resume,
        args.amp,
        args.compile,
        test_command=f"python tools/test.py {args.config}{data}",
    )


if __name__ == "__main__":
    run_tool(main)

"""From nothing to poses on pictures: draw people, train a small network on them, and predict; minutes on a laptop.

hrtoolkit demo
hrtoolkit demo --out somewhere --epochs 2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hrtoolkit.commands import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit demo` takes."""
    parser.add_argument(
        "--out", metavar="DIR", type=options.path_argument, default=Path("hrtoolkit_demo"), help="default: %(default)s"
    )
    parser.add_argument("--epochs", type=int, default=14, help="default: %(default)s, seven minutes on two cores")
    parser.add_argument("--images", type=int, default=1200, help="that are drawn for training (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Draw, train and predict, and say with which commands the same can be done."""
    import json
    import shutil

    from hrtoolkit import toy
    from hrtoolkit.config import load_config
    from hrtoolkit.engine import train
    from hrtoolkit.predict import load

    data, work, found, boxes = (args.out / name for name in ("data", "work", "found", "boxes.json"))
    toy.write_coco(data, args.images, 200)
    config = load_config("pose/hrnet_toy", [f"train_cfg.max_epochs={args.epochs}"], data)
    train(config, work, test_command=f"hrtoolkit test pose/hrnet_toy CHECKPOINT --data-root {data}")

    content = json.loads((data / "annotations" / "person_keypoints_val2017.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    where: dict[str, list] = {name: [] for name in names.values()}
    for person in content["annotations"]:
        if not person["iscrowd"]:
            x, y, width, height = person["bbox"]
            where[names[person["image_id"]]].append([x, y, x + width, y + height])
    boxes.write_text(json.dumps(where))
    if (found / "run.json").exists():  # of an earlier demo, with the network that it had trained
        shutil.rmtree(found)
    best = work / "best.pth"
    print(load(best).run(data / "val2017", found, boxes=str(boxes)))
    print(f"the same again: hrtoolkit predict {best} {data / 'val2017'} --boxes {boxes} --out {found}")

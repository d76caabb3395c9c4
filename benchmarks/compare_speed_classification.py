"""Images a second of one core: the input pipeline against timm's loader, and training W18 against timm's own model.

Not a test. Run it from the repository's root, best on a quiet machine:

    python -m benchmarks.compare_speed_classification FOLDER      # holds train/CLASS/

Each side works in this process, in one thread, and the two take turns in every round. Seconds are those of the
processor, which other programs disturb less than those of the clock. The ratio is that of the medians; above 1 is
faster than timm.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.data import create_dataset, create_loader

from hrtoolkit import build_model
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.model import BatchPreprocessor
from hrtoolkit.samples import Inputs
from hrtoolkit.tasks.classification.augmentation import RandomResizedCrop
from hrtoolkit.tasks.classification.datasets import ImageFolder
from hrtoolkit.tasks.classification.head import PooledHead
from hrtoolkit.tasks.classification.views import ResizeCenterCrop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8, help="of the training step")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for training in (False, True):
        what = "training" if training else "test"
        compare(f"{what} input", make_inputs(args.folder, training), args.rounds)
    torch.manual_seed(0)
    images, labels = torch.randn(args.batch, 3, 224, 224), torch.randint(0, 1000, (args.batch,))
    images = images.to(memory_format=torch.channels_last)
    ours = build_model("classification/hrnet_w18_imagenet")
    steps = {
        "hrtoolkit": make_step(ours.to(memory_format=torch.channels_last), images, labels),  # as the runner trains it
        "timm": make_step(timm.create_model("hrnet_w18"), images, labels),
    }
    compare(f"training step of W18, batch {args.batch}", steps, args.rounds)


def make_inputs(folder: str, training: bool) -> dict:
    """An epoch of each loader with the same transforms on the same images, up to normalised float images."""
    samples, view = ImageFolder(data_root=folder, image_dir="train"), ResizeCenterCrop()
    extras: dict[str, Any] = {"targets": PooledHead.targets, "augmentation": RandomResizedCrop()} if training else {}
    theirs = create_loader(
        create_dataset("", root=f"{folder}/train"),
        input_size=(3, 224, 224),
        batch_size=32,
        is_training=training,
        color_jitter=0.0,
        interpolation="bilinear",
        crop_pct=0.875,
        num_workers=0,
        device=torch.device("cpu"),
        persistent_workers=False,
    )
    ours = build_dataloader(Inputs(samples, view, samples.scheme, **extras), 32, 0, training=training)
    normalise = BatchPreprocessor(view.mean, view.std)
    return {
        "hrtoolkit": lambda: sum(len(normalise(batch)["images"]) for batch in ours),
        "timm": lambda: sum(len(images) for images, _ in theirs),
    }


def make_step(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], int]:
    """One step of SGD, from images to updated weights."""
    model = model.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> int:
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        return len(images)

    return step


def compare(title: str, sides: dict, rounds: int) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            start = time.process_time()
            count = run()
            if number:  # the first round warms up
                speeds[name].append(count / (time.process_time() - start))
    ours, theirs = (median(values) for values in speeds.values())
    spread = {name: f"{min(values):.2f} to {max(values):.2f}" for name, values in speeds.items()}
    print(f"{title}, images/s: hrtoolkit {ours:.2f}, timm {theirs:.2f}, ratio {ours / theirs:.3f} ({spread})")


if __name__ == "__main__":
    main()

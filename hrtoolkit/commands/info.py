"""Say what is installed and what this machine has: the first lines of a good bug report."""

from __future__ import annotations

import argparse
import importlib.metadata
import platform

NEEDED = ("torch", "torchvision", "timm", "mmengine", "pycocotools", "numpy", "scipy")
EXTRAS = {
    "faster-coco-eval": "eval",
    "h5py": "cofw",
    "tensorboard": "logging",
    "av": "video",
    "pyarrow": "tables",
    "huggingface_hub": "hub",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`hrtoolkit info` takes nothing."""


def run(args: argparse.Namespace) -> None:
    """Print it."""
    import cv2
    import torch

    from hrtoolkit.files import shipped_configs
    from hrtoolkit.version import __version__

    print(f"hrtoolkit {__version__} in {shipped_configs().parent}, Python {platform.python_version()}")
    print(", ".join(f"{name} {_version(name) or 'missing'}" for name in NEEDED), f"OpenCV {cv2.__version__}", sep=", ")
    for name, extra in EXTRAS.items():
        print(f"{name} {_version(name) or f'not installed: pip install hrtoolkit[{extra}]'}")
    print(f"{platform.platform()}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    if not torch.cuda.is_available():
        print("no GPU that this torch can use")
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        print(f"cuda:{index} {device.name}, {device.total_memory / 2**30:.0f} GiB")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

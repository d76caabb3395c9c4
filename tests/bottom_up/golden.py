"""Outputs of the official bottom-up networks, on weights and inputs that follow from their names.

`golden.json` has of each network what the official implementation gave in float32: the shape, mean and deviation of
every output, and 64 evenly spaced values; and of the names and shapes of its weights a hash.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from hrtoolkit import load_checkpoint

from ..test_official_outputs import named_generator, named_value

GOLDEN = json.loads(Path(__file__).with_suffix(".json").read_text())
CLOSE = 1e-4  # of the deviation of an output


def make_input(entry):
    """The images [B, 3, H, W] of an entry."""
    return torch.randn(GOLDEN[entry]["input"], generator=named_generator(entry))


def load_official(entry, model, head_shapes, folder, lead="", constants=None):
    """Load the weights of an entry by their official names, through the public loader; its report.

    Args:
        entry: of `golden.json`.
        model: of ours.
        head_shapes: by official names, of all weights but those of the backbone.
        folder: where the file is written.
        lead: what the official names of the backbone begin with.
        constants: tensors by official names that the file keeps besides.
    """
    shapes = {f"{lead}{name}": list(tensor.shape) for name, tensor in model.backbone.state_dict().items()}
    shapes |= {name: list(shape) for name, shape in head_shapes.items()}
    told = "\n".join(sorted(f"{name} {shape}" for name, shape in shapes.items()))
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == GOLDEN[entry]["names"], "these are not the official names"
    tensors = {name: named_value(name, torch.empty(shape)) for name, shape in shapes.items()} | (constants or {})
    torch.save(tensors, folder / "official.pth")
    return load_checkpoint(model, folder / "official.pth")


def assert_official(entry, outputs):
    """Compare outputs, in the order of the entry, with the official ones."""
    known = GOLDEN[entry]["outputs"]
    assert len(outputs) == len(known)
    for output, told in zip(outputs, known, strict=True):
        assert list(output.shape) == told["shape"]
        flat = output.detach().float().flatten()
        values = flat[torch.linspace(0, flat.numel() - 1, 64).long()].numpy()
        assert np.abs(values - told["values"]).max() < CLOSE * told["std"]
        assert abs(flat.mean().item() - told["mean"]) < CLOSE * told["std"]


def norm_shapes(name, channels):
    """Names and shapes of a batch normalisation."""
    vectors = {f"{name}.{part}": [channels] for part in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": []}

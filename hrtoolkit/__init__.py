"""hrtoolkit: one HRNet backbone for every task."""

__version__ = "0.1.0"

from hrtoolkit.build import build_model
from hrtoolkit.checkpoints import load_checkpoint

__all__ = ["build_model", "load_checkpoint"]

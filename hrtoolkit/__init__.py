"""hrtoolkit: one HRNet backbone for every task."""

__version__ = "0.1.0"

from hrtoolkit.checkpoints import load_checkpoint
from hrtoolkit.model import build_model

__all__ = ["build_model", "load_checkpoint"]

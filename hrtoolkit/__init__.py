"""hrtoolkit: one HRNet backbone for every task."""

__version__ = "0.1.0"

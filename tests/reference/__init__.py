"""Slow, obvious versions of what the toolkit does fast: oracles of tests, and baselines of `tools/benchmark.py`."""

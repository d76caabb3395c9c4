"""Slow, obvious versions of what the toolkit does fast: oracles of tests, and baselines of `tools/benchmark.py`.

After the released code of HRNet for pose and faces: each input reads its image anew, normalisation happens on the CPU,
and Python loops decode heatmaps and measure errors.
"""

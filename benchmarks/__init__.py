"""What is measured, and slow baselines to measure against; part of a checkout, of no package."""

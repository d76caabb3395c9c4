"""One package a task: its datasets, head, loss, post-processing and metrics."""

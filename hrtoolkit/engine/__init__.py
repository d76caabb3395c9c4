"""What touches mmengine's Runner: building it from a config, its hooks, mixed precision, several processes."""

from mmengine.dist import is_main_process

from hrtoolkit.engine.run import test, train

__all__ = ["is_main_process", "test", "train"]

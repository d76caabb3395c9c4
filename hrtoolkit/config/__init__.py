"""Load, override, and check a whole config before anything is built."""

from hrtoolkit.config.check import TRAINING, check_config
from hrtoolkit.config.load import ConfigError, config_text, load_config

__all__ = ["TRAINING", "ConfigError", "check_config", "config_text", "load_config"]

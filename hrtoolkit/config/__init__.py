"""Load, override, and check a whole config before anything is built."""

from hrtoolkit.config.check import check_config
from hrtoolkit.config.load import ConfigError, config_text, load_config

__all__ = ["ConfigError", "check_config", "config_text", "load_config"]

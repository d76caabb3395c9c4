"""Load configs, override what the command line says, and write them back."""

from hrtoolkit.config.load import (
    ConfigError,
    config_json,
    config_name,
    config_text,
    load_config,
    read_stored_config,
)

__all__ = ["ConfigError", "config_json", "config_name", "config_text", "load_config", "read_stored_config"]

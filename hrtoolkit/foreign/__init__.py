"""Configs of other toolkits: the official yaml files and OpenMMLab's, read as data and turned into ours."""

from hrtoolkit.foreign.convert import (
    Converted,
    Dialect,
    convert_foreign,
    convert_stored,
    is_foreign,
    read_foreign,
    register_dialect,
)

__all__ = [
    "Converted",
    "Dialect",
    "convert_foreign",
    "convert_stored",
    "is_foreign",
    "read_foreign",
    "register_dialect",
]

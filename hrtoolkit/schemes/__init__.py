"""Schemes: what outputs stand for, the known ones by name, and records of one scheme in another."""

from hrtoolkit.schemes.base import IGNORED, ClassScheme, KeypointScheme, Scheme, ValueScheme
from hrtoolkit.schemes.known import (
    SchemeLike,
    check_same,
    convert,
    register_scheme,
    resolve_scheme,
    scheme_fields,
)

__all__ = [
    "IGNORED",
    "ClassScheme",
    "KeypointScheme",
    "Scheme",
    "SchemeLike",
    "ValueScheme",
    "check_same",
    "convert",
    "register_scheme",
    "resolve_scheme",
    "scheme_fields",
]

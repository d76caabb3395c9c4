"""Packages that only exports need: imported when they are, and kept from talking."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hrtoolkit.errors import UserError


def import_extra(name: str, extra: str) -> Any:
    """Import a package of an extra of hrtoolkit.

    Args:
        name: of the package.
        extra: that brings it.

    Raises:
        UserError: it is not installed, or cannot be imported.
    """
    try:
        with without_telemetry():
            return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{name} cannot be imported ({error}); install it: pip install 'hrtoolkit[{extra}]'") from error


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep NNCF, while it is imported, and OpenVINO's converter from reporting to their makers.

    From a terminal they report each use unasked; both keep quiet on build servers.
    """
    settings = {"CI": "true", "NNCF_CI": "1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def errors_only(*loggers: str) -> Iterator[None]:
    """Keep what loggers of others say below an error, which users could not change, to themselves."""
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)

"""What operating systems and network drives put beside data: files that are no data, whatever their names end in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import TypeVar

from hrtoolkit.findings import Findings

Name = TypeVar("Name", bound=str | PurePath)
SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", ".AppleDouble", ".Trashes", "$RECYCLE.BIN", "#recycle", ".ipynb_checkpoints"}
SYSTEM_FILES = {".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini"}


def is_system_file(path: str | os.PathLike) -> bool:
    """Whether a file is one of an operating system: macOS's `._NAME`, Windows's thumbnails, a drive's @eaDir ..."""
    parts = PurePath(path).parts
    return bool(parts) and (
        parts[-1].startswith("._") or parts[-1] in SYSTEM_FILES or not SYSTEM_FOLDERS.isdisjoint(parts)
    )


def leave_out_system_files(paths: Iterable[Name], findings: Findings) -> list[Name]:
    """The paths without those of system files, which a note lists.

    Args:
        paths: below one folder.
        findings: of the folder.
    """
    kept: list[Name] = []
    left_out: list[str] = []
    for path in paths:
        if is_system_file(path):
            left_out.append(str(path))
        else:
            kept.append(path)
    findings.add("note", "files that an operating system put there", left_out, "they are left out")
    return kept

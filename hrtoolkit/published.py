"""What configs say of published numbers and weights: data of their own files, which what is based on them lacks.

    published = {"official": {"AP": 74.4, "file": "pose_hrnet_w32_256x192.pth"}, "openmmlab": {...}}

By source: its numbers, `file` (an address, or a name where the source has a page only), and in words `source`, `note`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from hrtoolkit.errors import CheckpointError
from hrtoolkit.files import list_shipped

WEIGHTS = ("official", "timm", "openmmlab")  # words for weights, wherever a checkpoint is named together with a config
NAME = re.compile(rf"(.+)@({'|'.join(WEIGHTS)})")
TEXTS = ("file", "source", "note")  # what is no number


def numbers_of(entry: dict[str, Any]) -> str:
    """The numbers of a source: "AP 74.4", "AP 37.3, mask AP 34.2"."""
    return ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in entry.items() if key not in TEXTS)


def read_published(path: str | Path) -> dict[str, dict[str, Any]]:
    """What a config's own file publishes, by source; nothing in the file is run.

    Args:
        path: of the file.

    Raises:
        CheckpointError: it is no dict of dicts, or not of plain values.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():  # of another toolkit, or a config that is only in memory
        return {}
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "published":
            try:
                published = ast.literal_eval(node.value)
            except ValueError:
                published = None
            if not isinstance(published, dict) or not all(isinstance(one, dict) for one in published.values()):
                raise CheckpointError(
                    f'{path}, line {node.lineno}: published is no {{"SOURCE": {{...}}}} of plain values, in braces'
                )
            return published
    return {}


def list_weights(path: str | Path) -> list[str]:
    """The words for the weights of a config's own file."""
    published = read_published(path)
    return [word for word in WEIGHTS if "file" in published.get(word, {})]


def name_weights(checkpoint: Any, config_file: str | Path | None) -> Any:
    """Write out a word for weights, which is meant together with a config, as CONFIG@WORD; give back what is none.

    Args:
        checkpoint: "official", or what else names a checkpoint.
        config_file: the file of the config.

    Raises:
        CheckpointError: this config has no such weights.
    """
    if checkpoint not in WEIGHTS:
        return checkpoint
    if config_file is None:
        raise CheckpointError(f"{checkpoint!r} means weights of a shipped config; name the file")
    path = Path(config_file).resolve()
    name = next((name for name, file in list_shipped().items() if file.resolve() == path), str(config_file))
    known = list_weights(path)
    if checkpoint not in known:
        has = f"it has {' and '.join(known)}" if known else "name a file, or those of another config: CONFIG@official"
        raise CheckpointError(f"{name} has no weights called {checkpoint!r}; {has}")
    return f"{name}@{checkpoint}"

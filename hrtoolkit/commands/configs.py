"""List the shipped configs, with their network, data, input size and published numbers.

hrtoolkit configs
hrtoolkit configs pose w32
"""

from __future__ import annotations

import argparse
import ast


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit configs` takes."""
    parser.add_argument("words", metavar="WORD", nargs="*", help="only those whose name or description has all of them")


def run(args: argparse.Namespace) -> int:
    """Print them."""
    shown = 0
    for name, text in list_configs():
        if all(word.lower() in f"{name} {text}".lower() for word in args.words):
            print(f"{name}\n    {text}")
            shown += 1
    if not shown:
        print(f"no shipped config has {' and '.join(args.words)}; `hrtoolkit configs` lists all")
    return int(not shown)


def list_configs() -> list[tuple[str, str]]:
    """Names of the shipped configs, and the first two sentences of what they say of themselves."""
    from hrtoolkit.files import shipped_configs

    found = []
    for path in sorted(shipped_configs().glob("*/*.py")):
        if not path.parent.name.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found.append((f"{path.parent.name}/{path.stem}", _shorten(text)))
    return found


def _shorten(text: str) -> str:
    """The first line of a docstring, and the line that begins with the published numbers."""
    lines = text.splitlines()
    numbers = [line for line in lines[1:] if line.startswith(("Published", "Top-1", "mIoU", "Box AP"))]
    return " ".join([*lines[:1], *numbers[:1]])

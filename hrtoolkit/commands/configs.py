"""List the shipped configs: input, parameters, multiply-adds, published numbers, and words for weights that load.

hrtoolkit configs
hrtoolkit configs pose w32
hrtoolkit test pose/hrnet_w32_coco official --data-root /data/coco

docs/model_zoo.md has the same with all numbers, addresses and licences.
"""

from __future__ import annotations

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `hrtoolkit configs` takes."""
    parser.add_argument(
        "words", metavar="WORD", nargs="*", help="only those whose name, description or weights have all of them"
    )


def run(args: argparse.Namespace) -> int:
    """Print them."""
    from hrtoolkit.published import numbers_of
    from hrtoolkit.zoo import read_zoo

    def matches(row: dict[str, Any]) -> bool:
        sources = (source for source, entry in row["published"].items() if "file" in entry)
        text = " ".join((row["name"], row["title"], *sources)).lower()
        return all(word.lower() in text for word in args.words)

    rows = [row for row in read_zoo()["configs"] if matches(row)]
    if not rows:
        print(f"no shipped config has {' and '.join(args.words)}; `hrtoolkit configs` lists all")
        return 1
    width = max(len(row["name"]) for row in rows)
    print(f"{'config':{width}}  {'input':>9}  {'param.':>7}  {'MACs':>7}  published [weights]")
    for row in rows:
        size = "x".join(map(str, row["input_hw"]))
        found = []
        for source, entry in row["published"].items():
            numbers = numbers_of(entry).partition(",")[0]
            found.append(" ".join(filter(None, (numbers, f"[{source}]" if "file" in entry else source))))
        cost = f"{row['parameters'] / 1e6:5.1f} M  {row['macs'] / 1e9:5.1f} G"
        print(f"{row['name']:{width}}  {size:>9}  {cost}  {', '.join(found)}".rstrip())
    return 0

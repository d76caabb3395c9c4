"""The verbs of the `hrtoolkit` command: one module each, with `add_arguments(parser)` and `run(args)`.

A module imports what it needs of the toolkit inside `run`, so that help comes at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from hrtoolkit.commands.options import use_device
from hrtoolkit.errors import UserError, suggest
from hrtoolkit.version import __version__

VERBS = {
    "train": "train a model, validate it as it goes, and keep its best weights",
    "test": "evaluate a checkpoint on a config's test or validation data",
    "predict": "predict on pictures and videos, and write drawings and tables",
    "track": "say who is who through videos: predictions with ids",
    "export": "write a model that runs without PyTorch, with a certificate",
    "import": "turn an export of a labelling tool into data to train on",
    "check": "check configs, or the data of a config",
    "browse": "write pictures of what a network is trained on",
    "benchmark": "time every stage of a config (in a clone)",
    "configs": "list the shipped configs",
    "convert-config": "turn a config of the official code or of OpenMMLab into one of ours",
    "info": "say what is installed and what this machine has",
    "demo": "train a small model on drawn people, and predict with it",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a verb: `hrtoolkit VERB ...`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        sys.exit(0)
    verb, *rest = arguments
    if verb == "--version":
        print(f"hrtoolkit {__version__}")
        sys.exit(0)
    if verb not in VERBS:
        print(f"error: hrtoolkit has no {verb!r}{suggest(verb, list(VERBS))}\n\n{_overview()}", file=sys.stderr)
        sys.exit(2)
    run_verb(verb, rest, f"hrtoolkit {verb}")


def run_verb(verb: str, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Run one verb as a program, and leave with its exit status.

    Args:
        verb: of `VERBS`.
        arguments: of the command line; None takes this process's.
        program: what help calls it; None takes the running file's name, which is then one of `tools/`.
    """
    module = importlib.import_module(f"hrtoolkit.commands.{verb.replace('-', '_')}")
    parser = argparse.ArgumentParser(
        prog=program, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(tool=program is None)
    module.add_arguments(parser)
    args = parser.parse_args(arguments)

    if "device" in args:
        try:
            use_device(args.device)
        except UserError as error:
            parser.error(str(error))

    from hrtoolkit.cli import run_tool

    run_tool(lambda: module.run(args))


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(["usage: hrtoolkit VERB ... (hrtoolkit VERB --help says more)", "", *lines])

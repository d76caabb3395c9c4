"""What the command-line tools share: the arguments that name a config, and how mistakes end."""

from __future__ import annotations

import argparse
import errno
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from mmengine.dist import is_main_process

from hrtoolkit.errors import TrainingStopped, UserError
from hrtoolkit.files import expand_path
from hrtoolkit.memory import keep_freed_memory

# What a machine can run out of, wherever it is asked for: never a mistake in the code that asks.
SHORTAGES = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def make_parser(description: str, several: bool = False) -> argparse.ArgumentParser:
    """Start a parser with CONFIG, --data-root and --set, as `args.config` (`configs`), `data_root` and `overrides`.

    Args:
        description: what the tool does, with examples.
        several: take any number of configs.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    name, number = ("configs", "+") if several else ("config", None)
    parser.add_argument(name, metavar="CONFIG", nargs=number, help="file, or name of a shipped config")
    parser.add_argument("--data-root", metavar="DIR", help="folder that every dataset reads from")
    parser.add_argument(
        "--set", dest="overrides", metavar="a.b=c", nargs="+", action="extend", default=[], help="override values"
    )
    return parser


def path_argument(text: str) -> Path:
    """A path of the command line, with `~` and environment variables written out, also where the shell leaves them."""
    return Path(expand_path(text))


def run_tool(main: Callable[[], int | None]) -> None:
    """Run a tool and leave: 0 or what it returns, and after a mistake 1 with one sentence instead of a traceback."""
    keep_freed_memory()
    try:
        code = main() or 0
    except TrainingStopped as stop:
        if is_main_process():
            print(f"\n{stop}", file=sys.stderr)
        code = 143  # what a shell gives after SIGTERM
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.errno not in SHORTAGES:
            raise
        print(f"\nerror: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        code = 130
    with suppress(ValueError):  # outside the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is leaving: once more would only show a traceback
    if torch.distributed.is_initialized():
        # Its threads must end before Python does, or a run that went well now and then aborts on its way out.
        torch.distributed.destroy_process_group()
    sys.exit(code)

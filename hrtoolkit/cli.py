"""How a command ends: with an exit status, and after a mistake with one sentence."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from hrtoolkit.errors import TrainingStopped, UserError
from hrtoolkit.memory import keep_freed_memory

# What a machine can run out of, wherever it is asked for: never a mistake in the code that asks.
SHORTAGES = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def run_tool(main: Callable[[], int | None]) -> None:
    """Run a tool and leave: 0 or what it returns, and after a mistake 1 with one sentence instead of a traceback."""
    keep_freed_memory()
    try:
        code = main() or 0
    except TrainingStopped as stop:
        from mmengine.dist import is_main_process  # here, because it imports torch, which some verbs need not

        if is_main_process():
            print(f"\n{stop}", file=sys.stderr)
        code = 143  # what a shell gives after SIGTERM
    except UserError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        code = 1
    except BrokenPipeError:  # whoever read the output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
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
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_initialized():
        # Its threads must end before Python does, or a run that went well now and then aborts on its way out.
        torch.distributed.destroy_process_group()
    sys.exit(code)

"""MATLAB files of version 5, read in a process of its own: SciPy's reader can crash on a damaged file.

That process gets paths, one json line each, and gives back arrays of numbers and texts in NumPy's own format.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = threading.Lock()
_running: dict[int, subprocess.Popen] = {}  # the reader of this process: a forked one starts its own


def read_mat(path: str | Path, names: Sequence[str] | None = None) -> dict:
    """Read variables of a MATLAB file of version 5, some or all, by name; cells of texts become arrays of texts.

    Raises:
        DataError: it is missing, damaged, or something else.
    """
    import io

    import numpy as np

    from hrtoolkit.data.paths import open_file
    from hrtoolkit.errors import DataError

    with open_file(path):
        pass
    with LOCK:
        answer = _ask(str(Path(path).absolute()), names)
    if answer is None:
        raise DataError(f"{path}: a damaged MATLAB file; copy or download it again")
    if answer[:1] == b"!":
        text = answer[1:].decode()
        raise DataError(f"{path}: not a MATLAB file of version 5, or damaged ({text}); copy or download it again")
    with np.load(io.BytesIO(answer), allow_pickle=False) as content:
        return {name.removeprefix("_"): content[name] for name in content.files}


def _ask(path: str, names: Sequence[str] | None) -> bytes | None:
    """What the reader answers, an error after a "!"; None where it crashed."""
    reader = _running.get(os.getpid())
    if reader is None:
        # It ends when this process does, which closes its input.
        reader = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        _running[os.getpid()] = reader
    assert reader.stdin is not None and reader.stdout is not None, "both are pipes"
    try:
        reader.stdin.write(json.dumps([path, names]).encode() + b"\n")
        reader.stdin.flush()
        length = reader.stdout.read(8)
        answer = reader.stdout.read(int.from_bytes(length, "big"))
    except OSError:
        length = b""
    if len(length) == 8 and len(answer) == int.from_bytes(length, "big"):
        return answer
    del _running[os.getpid()]
    reader.kill()
    reader.wait()
    return None


def serve() -> None:
    """Read files until nobody asks any more."""
    import io

    import numpy as np
    from scipy.io import loadmat

    def pack(values: np.ndarray) -> np.ndarray:
        if values.dtype != object:
            return values
        return np.array(["".join(map(str, np.ravel(value))) for value in values.ravel()], str).reshape(values.shape)

    for line in sys.stdin.buffer:
        path, names = json.loads(line)
        try:
            content = loadmat(path, variable_names=names)
            arrays: dict[str, Any] = {
                f"_{n}": pack(v) for n, v in content.items() if isinstance(v, np.ndarray) and not v.dtype.names
            }
            file = io.BytesIO()
            np.savez(file, **arrays)
            answer = file.getvalue()
        except (Exception, MemoryError) as error:  # what SciPy raises for a damaged file depends on where it breaks
            answer = f"!{error or type(error).__name__}".encode()
        sys.stdout.buffer.write(len(answer).to_bytes(8, "big") + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file, whose modules are not meant
    serve()

r"""Run the code blocks of a page of documentation, and hold what they print against what the page shows.

    ```console            $ lines are commands, the others what they print
    ```python             run in one process a page, from top to bottom, after all commands
    ```text               after a python block: what it prints
    ```python title="F"   the file F; commands that follow use it

`...` in what a page shows stands for anything, in a line or as a line. A comment before a block tells the test more:

    <!-- test: --set train_cfg.max_epochs=1 -->   added to the commands, because as printed they take long
    <!-- test: figures vary -->                   numbers are not compared
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"(?:<!-- test: (?P<note>[^\n]*?) -->\n\s*)?^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^ *```$", re.S | re.M
)
TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    language: str
    title: str | None
    note: str
    text: str
    line: int


def read_blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    content = page.read_text(encoding="utf-8")
    blocks = []
    for match in BLOCK.finditer(content):
        title = TITLE.search(match["info"])
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.M)
        language = match["info"].split()[0] if match["info"].split() else ""
        line = content[: match.start("info")].count("\n") + 1
        blocks.append(Block(language, title and title[1], match["note"] or "", text, line))
    return blocks


def run_page(page: Path, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run all blocks of a page in a folder; gives what differs, one text a fault."""
    faults = []
    blocks = read_blocks(page)
    environment = {**os.environ, **environment, "COLUMNS": "400", "PYTHONUNBUFFERED": "1"}
    program: list[tuple[Block, Block | None]] = []
    for place, block in enumerate(blocks):
        where = f"{page.name}:{block.line}"
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            faults += [f"{where}: {fault}" for fault in _run_console(block, folder, environment)]
        elif block.language == "python":
            after = blocks[place + 1] if place + 1 < len(blocks) else None
            program.append((block, after if after is not None and after.language == "text" else None))
        elif block.language != "text" or not place or blocks[place - 1].language != "python":
            faults.append(f"{where}: a block of {block.language or 'no language'} cannot be tested")
    return faults + [f"{page.name}:{fault}" for fault in _run_python(program, folder, environment)]


def _run_console(block: Block, folder: Path, environment: dict[str, str]) -> list[str]:
    faults = []
    extra = block.note.replace("figures vary", "").strip(" ;")
    for command, shown in _commands(block.text):
        done = subprocess.run(
            ["bash", "-c", f"{command} {extra}"], cwd=folder, env=environment, text=True, timeout=900,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if not matches(shown, done.stdout, "figures vary" in block.note):
            faults.append(f"$ {command} {extra}\nprints (exit {done.returncode})\n{done.stdout}\nand not\n{shown}")
        elif done.returncode and "error" not in shown and "problem" not in shown and "stop" not in shown:
            faults.append(f"$ {command} {extra}\nended with {done.returncode}:\n{done.stdout[-3000:]}")
    return faults


def _commands(text: str) -> list[tuple[str, str]]:
    """Commands, joined where a line ends with a backslash, and what is shown below each."""
    found: list[list[str]] = []
    open_line = False
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif open_line:
            found[-1][0] += "\n" + line
        elif found:
            found[-1][1] += line + "\n"
        open_line = line.endswith("\\") and (line.startswith("$ ") or open_line)
    return [(command, shown) for command, shown in found]


def matches(shown: str, printed: str, figures_vary: bool = False) -> bool:
    """Whether a page shows what was printed; where it shows nothing, anything may be printed."""
    if not shown.strip():
        return True
    if figures_vary:
        shown, printed = (re.sub(r"\d[\d.,e+-]*", "0", text) for text in (shown, printed))
    squeeze = [" ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split()) for text in (shown, printed)]
    pattern = ".*".join(re.escape(part.strip()) for part in squeeze[0].split("..."))
    # Spaces beside an ellipsis are not told apart.
    return re.fullmatch(pattern.replace(r".*", r"\s*.*\s*"), squeeze[1], re.S) is not None


def _run_python(program: list[tuple[Block, Block | None]], folder: Path, environment: dict[str, str]) -> list[str]:
    """Blocks in one process; each prints its own part."""
    if not program:
        return []
    mark = "---- end of a block ----"
    source = "".join(f"{block.text}\nprint({mark!r})\n" for block, _ in program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", source], cwd=folder, env=environment, text=True, timeout=900,
        capture_output=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    parts = done.stdout.split(mark + "\n")
    faults = []
    for place, (block, shown) in enumerate(program):
        if place >= len(parts) - 1:
            faults.append(f"{block.line}: {done.stderr[-3000:]}")
            break
        if shown is not None and not matches(shown.text, parts[place], "figures vary" in shown.note):
            faults.append(f"{block.line}: prints\n{parts[place]}\nand not\n{shown.text}")
    return faults


def add_programs(folder: Path) -> str:
    """A folder for PATH with `hrtoolkit` and `python` as an installation has them."""
    folder.mkdir(parents=True, exist_ok=True)
    python = f"{shlex.quote(sys.executable)} -W ignore"
    script = folder / "script.py"  # as pip writes it: the current folder is not on its path
    script.write_text("from hrtoolkit.commands import main\n\nif __name__ == '__main__':\n    main()\n")
    for name, line in (("python", python), ("hrtoolkit", f"{python} {shlex.quote(str(script))}")):
        (folder / name).write_text(f'#!/bin/bash\nexec {line} "$@"\n')
        (folder / name).chmod(0o755)
    return str(folder)

"""Check that docstrings and signatures agree: what `Args:` names is an argument, and no argument is left out.

A docstring without `Args:` is left alone; a class's arguments stand in the class's docstring.
"""

import ast
import re
import sys
from pathlib import Path

FOLDERS = ("hrtoolkit", "tasks", "tools")
INJECTED = {"self", "cls"}


def documented(docstring: str) -> list[str] | None:
    """Names below `Args:`, or None where there is no such section."""
    found = re.search(r"^( *)Args:\n((?:\1    .*\n|\n)+)", docstring + "\n", re.MULTILINE)
    if not found:
        return None
    indent = len(found[1]) + 4
    return re.findall(rf"^ {{{indent}}}\**(\w+):", found[2], re.MULTILINE)


def arguments(function: ast.FunctionDef) -> list[str]:
    a = function.args
    named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return [argument.arg for argument in named if argument.arg not in INJECTED]


def fields(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[str]:
    """Arguments of a class: its initialiser's, or a dataclass's fields, those of its bases in the same file first."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return arguments(item)
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    inherited = [name for base in bases for name in fields(base, classes)]
    return [*inherited, *(item.target.id for item in node.body if isinstance(item, ast.AnnAssign))]


def check(path: Path) -> list[str]:
    problems = []
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        named = documented(ast.get_docstring(node, clean=False) or "")
        if named is None:
            continue
        actual = fields(node, classes) if isinstance(node, ast.ClassDef) else arguments(node)
        for name in [name for name in named if name not in actual]:
            problems.append(f"{path}:{node.lineno}: {node.name} has no argument {name!r}, but its docstring names it")
        for name in [name for name in actual if name not in named and not name.startswith("_")]:
            problems.append(f"{path}:{node.lineno}: {node.name} has an argument {name!r} that its docstring leaves out")
    return problems


if __name__ == "__main__":
    files = [path for folder in FOLDERS for path in sorted(Path(folder).rglob("*.py"))]
    if not files:
        sys.exit("no files found: run this from the repository's root")
    problems = [problem for path in files for problem in check(path)]
    print(*problems, f"{len(files)} files, {len(problems)} problems", sep="\n")
    sys.exit(bool(problems))

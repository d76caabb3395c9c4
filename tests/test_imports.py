"""Who may know whom: tools -> tasks -> hrtoolkit, no task another one, and nobody in circles."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import REPOSITORY


def name_of(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    lead = ("hrtoolkit",) if parts[0] == "tasks" else ()
    return ".".join((*lead, *parts)).removesuffix(".__init__")


MODULES = {
    name_of(path): path
    for folder in ("hrtoolkit", "tasks", "tools", "benchmarks")
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
}


def imports(name: str) -> set[str]:
    """Modules of the repository that a module imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:  # within the package
                continue
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & MODULES.keys() or {node.module}
            if inner - MODULES.keys():
                found.add(node.module)
    return found & MODULES.keys()


IMPORTS = {name: imports(name) for name in MODULES}


def test_modules_and_imports_were_found():
    assert {"hrtoolkit.model", "hrtoolkit.tasks.pose.metric", "tools.train"} <= MODULES.keys()
    assert "hrtoolkit.frames" in IMPORTS["hrtoolkit.model"]
    assert "hrtoolkit.tasks.segmentation.releases" in IMPORTS["tools.convert_labels"]


@pytest.mark.parametrize("name", MODULES)
def test_arrows_point_one_way(name):
    room = name.split(".")
    for other in IMPORTS[name]:
        target = other.split(".")
        assert target[0] == "hrtoolkit" or room[0] in ("tools", "benchmarks"), f"{name} imports {other}"
        if room[0] == "hrtoolkit" and target[1:2] == ["tasks"]:
            assert room[1] == "tasks", f"the engine knows no task: {name} imports {other}"
            assert target[2:3] == room[2:3], f"no task knows another: {name} imports {other}"


def test_no_imports_go_in_circles():
    finished, path = set(), []

    def visit(name):
        if name in path:
            pytest.fail(" -> ".join([*path[path.index(name) :], name]))
        if name not in finished:
            path.append(name)
            for other in sorted(IMPORTS[name]):
                visit(other)
            path.pop()
            finished.add(name)

    for name in MODULES:
        visit(name)


def test_a_module_tasks_of_the_users_own_is_not_in_the_way(tmp_path):
    (tmp_path / "tasks.py").write_text("raise RuntimeError('this is not hrtoolkit')")
    code = "import hrtoolkit, hrtoolkit.tasks.pose; print(hrtoolkit.build_model('pose/hrnet_toy').head.scheme.names[0])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stdout.strip() == "nose", ran.stderr

"""OpenMMLab's config files, evaluated without running them.

A config is a program: one from elsewhere may do anything. Here its text is parsed, and only what plain configs are made
of is computed: values, names, arithmetic, `dict(...)`, `_base_` and `with read_base()`. Everything else is an error
with its line. Classes, as configs of the newest kind name them, become their names.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import operator
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from hrtoolkit.errors import UserError
from hrtoolkit.foreign.settings import is_too_large

LONGEST = 2**20  # bytes of a file
MOST_STEPS = 500_000  # expressions that are evaluated for one config
MOST_ITEMS = 100_000  # of one list, or letters of one text
DEEPEST = 60  # bases above bases
# Bases that most configs name and that change no result: a copy of a config may come without them.
PLAIN_BASES = re.compile(r"default_runtime\.py$|(^|/)schedules/|schedule_\w+\.py$|/runtime\.py$")

_OPERATORS: dict[type, Callable[..., Any]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow},
    **{ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt},
    **{ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not},
    **{ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_},
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{one.__name__: one for one in (list, tuple, set, len, int, float, str, bool, max, min, sum, round, abs, sorted)},
    **{"zip": lambda *of: list(zip(*of, strict=False)), "enumerate": lambda one: list(enumerate(one))},
    **{"reversed": lambda one: list(reversed(one)), "deepcopy": copy.deepcopy, "copy": copy.copy},
}
_METHODS: dict[type, tuple[str, ...]] = {
    dict: ("copy", "get", "items", "keys", "values", "update", "merge", "pop", "setdefault"),
    list: ("copy", "append", "extend", "insert", "index", "pop", "remove", "count"),
    tuple: ("index", "count"),
    str: ("join", "replace", "split", "lower", "upper", "strip", "startswith", "endswith", "format"),
}


class ForeignError(UserError):
    """A config of another toolkit that cannot be read."""


class Unreadable(Exception):
    """An expression that is no plain value, at a line."""

    def __init__(self, node: ast.AST, what: str):
        super().__init__(what)
        self.line = getattr(node, "lineno", None)


class Named(str):
    """A class, module or function that a config names and that is never looked up: its name."""


def read_python(path: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Evaluate a config file of OpenMMLab, with its bases.

    Args:
        path: of the file.

    Returns:
        its values by name, and the bases that are missing and change no result.

    Raises:
        ForeignError: a file is missing, is no Python, or has something in it that is no plain value.
    """
    reader = _Reader()
    try:
        values = reader.read(Path(path), ())
    except RecursionError:
        raise ForeignError(f"{path}: nested deeper than any config is") from None
    if is_too_large(values):
        raise ForeignError(f"{path}: has more values than any config has")
    return {name: value for name, value in values.items() if _is_setting(name, value)}, reader.missing


def read_source(text: str, label: str | Path) -> dict[str, Any]:
    """Evaluate the text of a whole config, which may name no bases.

    Args:
        text: as a checkpoint holds it.
        label: what messages call it.

    Raises:
        ForeignError: it is no Python, or has something in it that is no plain value.
    """
    path = Path(label)
    try:
        values = _Scope(_Reader(bases=False), path, ()).run(parse(path, text.encode("utf-8", "replace")))
    except (Unreadable, RecursionError) as error:
        line = f", line {error.line}" if isinstance(error, Unreadable) and error.line else ""
        raise ForeignError(f"{path}{line}: {error}") from None
    if is_too_large(values):
        raise ForeignError(f"{path}: has more values than any config has")
    return {name: value for name, value in values.items() if _is_setting(name, value)}


def read_text(text: str) -> dict[str, Any]:
    """Evaluate the text of a whole config, as checkpoints hold it; what is no plain value is None.

    Args:
        text: assignments.
    """
    if len(text) > LONGEST:
        return {}
    try:
        values = _Scope(_Reader(), Path("checkpoint"), (), strict=False).run(ast.parse(text))
        return {} if is_too_large(values) else values
    except (ForeignError, SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return {}


def parse(path: Path, data: bytes | None = None) -> ast.Module:
    """The syntax tree of a file.

    Args:
        path: of the file.
        data: its content, where it was read already.

    Raises:
        ForeignError: it cannot be read, is too long, or is no Python.
    """
    try:
        data = path.read_bytes() if data is None else data
        if len(data) > LONGEST:
            raise ForeignError(f"{path}: {len(data)} bytes, which is too long for a config")
        return ast.parse(data.replace(b"\r\n", b"\n"), str(path))
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read ({error.strerror})") from None
    except SyntaxError as error:
        raise ForeignError(f"{path}, line {error.lineno}: no Python ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ForeignError(f"{path}: no Python that could be a config ({error})") from None


def _is_setting(name: str, value: Any) -> bool:
    return not name.startswith("_") and not isinstance(value, Named)


class _Reader:
    """Reads files and their bases; counts what is evaluated.

    Args:
        bases: whether other files may be named.
    """

    def __init__(self, bases: bool = True):
        self.bases = bases
        self.missing: list[str] = []
        self.steps = 0

    def count(self, node: ast.AST) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Unreadable(node, "this takes more steps than any config does")

    def read(self, path: Path, above: tuple[Path, ...]) -> dict[str, Any]:
        """The values of a file in which those of its bases are merged.

        Args:
            path: of the file.
            above: the files that name it as their base.
        """
        if path.resolve() in above:
            raise ForeignError(f"{path}: is its own _base_, by way of {above[-1].name}")
        if len(above) > DEEPEST:
            raise ForeignError(f"{path}: more than {DEEPEST} bases above each other")
        module = parse(path)
        try:
            return _Scope(self, path, (*above, path.resolve())).run(module)
        except Unreadable as error:
            where = f", line {error.line}" if error.line else ""
            raise ForeignError(f"{path}{where}: {error}") from None

    def find(self, name: str, path: Path, node: ast.AST) -> Path | None:
        """The file of a base; None where it is missing and changes no result."""
        if not self.bases:
            raise Unreadable(node, f"names another file, {name}, which is not in it")
        name = name.replace("\\", "/")
        scope, separated, inside = name.partition("::")
        if separated:
            found = _find_in_package(scope, inside)
        else:
            found = path.parent / name
            found = found if found.suffix else found.with_suffix(".py")
        if found is not None and found.is_file():
            return found
        if PLAIN_BASES.search(name):
            self.missing.append(name)
            return None
        raise Unreadable(
            node,
            f"needs {name}, which is not there: put it and its own bases beside, as they lie in the repository (or "
            "take the whole config that OpenMMLab's training writes into its work_dir, which has no _base_)",
        )


def _find_in_package(scope: str, inside: str) -> Path | None:
    """A config in the folder of an installed package of OpenMMLab, which is not imported."""
    try:
        spec = importlib.util.find_spec(scope) if scope.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)), ".mim", "configs", inside)


class _Scope:
    """The names of one file."""

    def __init__(self, reader: _Reader, path: Path, above: tuple[Path, ...], strict: bool = True):
        self.reader, self.path, self.above, self.strict = reader, path, above, strict
        self.names: dict[str, Any] = {}
        self.base: dict[str, Any] = {}

    def run(self, module: ast.Module) -> dict[str, Any]:
        for node in module.body if self.strict else ():
            if isinstance(node, ast.Assign) and _is_name(node.targets[0], "_base_"):
                self._read_bases(node)
        self.names["_base_"] = copy.deepcopy(self.base)
        for node in module.body:
            try:
                self._do(node)
            except Unreadable:
                if self.strict:
                    raise
        own = {name: value for name, value in self.names.items() if name != "_base_"}
        if is_too_large(own):
            raise ForeignError(f"{self.path}: has more values than any config has")
        return merge(own, self.base, str(self.path)) if self.base else own

    def _read_bases(self, node: ast.Assign) -> None:
        names = self._value(node.value)
        for name in names if isinstance(names, list | tuple) else [names]:
            if not isinstance(name, str):
                raise Unreadable(node, f"_base_ names files, got {reprlib.repr(name)}")
            file = self.reader.find(name, self.path, node)
            if file is None:
                continue
            values = self.reader.read(file, self.above)
            if both := sorted(values.keys() & self.base.keys()):
                raise Unreadable(node, f"several bases have {', '.join(both)}")
            self.base |= values

    def _do(self, node: ast.stmt) -> None:
        self.reader.count(node)
        if isinstance(node, ast.Assign):
            value = self._value(node.value)
            for target in node.targets:
                self._assign(target, value)
        elif isinstance(node, ast.AugAssign):
            old = self._value(_as_read(node.target))
            self._assign(node.target, self._compute(node, node.op, old, self._value(node.value)))
        elif isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self._assign(node.target, self._value(node.value))
        elif isinstance(node, ast.Expr):
            self._value(node.value)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                self.names[alias.asname or alias.name.split(".")[0]] = Named(alias.name)
        elif isinstance(node, ast.With) and _is_read_base(node):
            for one in node.body if self.strict else ():
                self._import_base(one)
        elif isinstance(node, ast.If):
            for one in node.body if self._value(node.test) else node.orelse:
                self._do(one)
        elif isinstance(node, ast.For):
            for item in self._items(node.iter):
                self._assign(node.target, item)
                for one in node.body:
                    self._do(one)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                self._delete(target)
        elif not isinstance(node, ast.Pass) and self.strict:
            raise Unreadable(node, f"{type(node).__name__} is more than a plain config has, and nothing is run here")

    def _import_base(self, node: ast.stmt) -> None:
        """A line below `with read_base():`, which imports the names of another file."""
        if isinstance(node, ast.Pass):
            return
        if not isinstance(node, ast.ImportFrom):
            raise Unreadable(node, "read_base() takes lines such as `from .base import *`")
        if not self.reader.bases:
            raise Unreadable(node, "names another file, which is not in it")
        parts = (node.module or "").split(".") if node.module else []
        if node.level:
            folder = self.path.parent
            for _ in range(node.level - 1):
                folder = folder.parent
            file, name = folder.joinpath(*parts).with_suffix(".py"), "." * node.level + ".".join(parts)
        else:
            package = self._find_package(parts)
            file, name = package.with_suffix(".py"), ".".join(parts)
        if not file.is_file():
            if PLAIN_BASES.search(f"/{'/'.join(parts)}.py"):
                self.reader.missing.append(name)
                return
            raise Unreadable(node, f"needs {name} ({file}), which is not there: put it and its own bases there")
        values = self.reader.read(file, self.above)
        for one in node.names:
            if one.name == "*":
                self.names |= copy.deepcopy({k: v for k, v in values.items() if not k.startswith("_")})
            elif one.name not in values:
                raise Unreadable(node, f"{file} has no {one.name}")
            else:
                self.names[one.asname or one.name] = copy.deepcopy(values[one.name])

    def _find_package(self, parts: list[str]) -> Path:
        """The path of a module by its whole name: in a folder above this file, or else of an installed package."""
        for folder in self.path.resolve().parents:
            if parts and folder.name == parts[0]:
                return folder.joinpath(*parts[1:])
        found = _find_in_package(parts[0], "") if parts else None
        return Path(*parts) if found is None else found.parents[1].joinpath(*parts[1:])

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            if target.id != "_base_":
                self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            values = list(value) if isinstance(value, list | tuple) else []
            if len(values) != len(target.elts):
                raise Unreadable(target, f"{len(target.elts)} names for {reprlib.repr(value)}")
            for one, item in zip(target.elts, values, strict=True):
                self._assign(one, item)
        elif isinstance(target, ast.Subscript):
            self._guard(target, lambda: operator.setitem(self._value(target.value), self._value(target.slice), value))
        elif isinstance(target, ast.Attribute) and isinstance(holder := self._value(target.value), dict):
            holder[target.attr] = value
        elif self.strict:
            raise Unreadable(target, "this cannot be assigned to")

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.names.pop(target.id, None)
        elif isinstance(target, ast.Subscript):
            self._guard(target, lambda: operator.delitem(self._value(target.value), self._value(target.slice)))

    def _guard(self, node: ast.AST, compute: Callable[[], Any]) -> Any:
        """A computation whose mistakes are the file's."""
        try:
            return compute()
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
            raise Unreadable(node, f"{type(error).__name__}: {error}") from None

    def _value(self, node: ast.expr) -> Any:
        """What an expression stands for."""
        self.reader.count(node)
        find = getattr(self, f"_of_{type(node).__name__}", None)
        if find is None:
            return self._refuse(node, f"{type(node).__name__} is more than a plain config has, and nothing is run here")
        return find(node)

    def _refuse(self, node: ast.AST, what: str) -> None:
        if self.strict:
            raise Unreadable(node, what)

    def _of_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def _of_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in self.base:
            return self.base[node.id]
        return self._refuse(node, f"{node.id} was not set before")

    def _of_List(self, node: ast.List | ast.Tuple | ast.Set) -> list:
        items: list[Any] = []
        for one in node.elts:
            items += self._items(one.value) if isinstance(one, ast.Starred) else [self._value(one)]
            self._limit(node, items)
        return items

    def _of_Tuple(self, node: ast.Tuple) -> tuple:
        return tuple(self._of_List(node))

    def _of_Set(self, node: ast.Set) -> Any:
        """Mostly `{{_base_.name}}`, which stands for a value of the bases."""
        inner = node.elts[0] if len(node.elts) == 1 else None
        if isinstance(inner, ast.Set) and len(inner.elts) == 1:
            return copy.deepcopy(self._value(inner.elts[0]))
        return self._of_List(node)

    def _of_Dict(self, node: ast.Dict) -> dict:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= self._mapping(value)
            else:
                self._guard(node, partial(operator.setitem, found, self._value(key), self._value(value)))
        return found

    def _mapping(self, node: ast.expr) -> dict:
        value = self._value(node)
        if isinstance(value, dict):
            return value
        self._refuse(node, f"** takes a dictionary, got {reprlib.repr(value)}")
        return {}

    def _items(self, node: ast.expr) -> list:
        value = self._value(node)
        if not isinstance(value, Iterable):
            self._refuse(node, f"{reprlib.repr(value)} has no items")
            return []
        return list(value)

    def _of_Call(self, node: ast.Call) -> Any:
        arguments: list[Any] = []
        for one in node.args:
            arguments += self._items(one.value) if isinstance(one, ast.Starred) else [self._value(one)]
        named: dict[str, Any] = {}
        for word in node.keywords:
            named |= self._mapping(word.value) if word.arg is None else {word.arg: self._value(word.value)}
        function = node.func
        self._limit(node, *arguments, *named.values())
        if isinstance(function, ast.Name) and function.id == "dict":
            return self._guard(node, lambda: dict(*arguments, **named))
        if isinstance(function, ast.Name) and function.id == "range":
            return self._guard(node, lambda: _limited(range(*arguments)))
        if isinstance(function, ast.Name) and function.id in _FUNCTIONS:
            return self._guard(node, lambda: _FUNCTIONS[function.id](*arguments, **named))
        if isinstance(function, ast.Attribute) and _is_name(function.value, "copy") and function.attr in _FUNCTIONS:
            return self._guard(node, lambda: _FUNCTIONS[function.attr](*arguments))
        if isinstance(function, ast.Attribute):
            holder = self._value(function.value)
            if function.attr in next((names for kind, names in _METHODS.items() if type(holder) is kind), ()):
                return self._call_method(node, holder, function.attr, arguments, named)
        return self._refuse(node, f"{ast.unparse(function)[:60]}(...) would have to be run, and nothing is run here")

    def _call_method(self, node: ast.Call, holder: Any, name: str, arguments: list, named: dict[str, Any]) -> Any:
        if name == "merge":
            return self._guard(node, lambda: holder.update(merge(arguments[0], holder, str(self.path))))
        texts = [len(one) for one in (holder, *arguments) if isinstance(one, str)]
        texts += [sum(map(len, map(str, one))) for one in arguments if isinstance(one, list | tuple)]
        if isinstance(holder, str) and sum(texts) > 1000:
            raise Unreadable(node, "longer texts than any config has")
        if name == "format" and "{" in holder.replace("{}", ""):
            self._refuse(node, "formats in texts are not read here")
            return None
        found = self._guard(node, lambda: getattr(holder, name)(*arguments, **named))
        self._limit(node, holder)
        return list(found) if name in ("items", "keys", "values") else found

    def _limit(self, node: ast.AST, *values: Any) -> None:
        """Refuse what would take long to copy, compare or write: references make small files hold millions."""
        if any(isinstance(one, dict | list | tuple) and is_too_large(one) for one in values):
            raise Unreadable(node, "holds more values than any config has")

    def _of_Attribute(self, node: ast.Attribute) -> Any:
        holder = self._value(node.value)
        if isinstance(holder, Named):
            return Named(node.attr)
        if isinstance(holder, dict) and node.attr in holder:
            return holder[node.attr]
        return self._refuse(node, f"there is no {ast.unparse(node)[:60]}")

    def _of_Subscript(self, node: ast.Subscript) -> Any:
        holder = self._value(node.value)
        if not self.strict and not isinstance(holder, dict | list | tuple | str):
            return None
        return self._guard(node, lambda: holder[self._value(node.slice)])

    def _of_Slice(self, node: ast.Slice) -> slice:
        return slice(*(None if one is None else self._value(one) for one in (node.lower, node.upper, node.step)))

    def _of_UnaryOp(self, node: ast.UnaryOp) -> Any:
        compute = _OPERATORS.get(type(node.op))
        if compute is None:
            return self._refuse(node, "no such arithmetic here")
        return self._guard(node, lambda: compute(self._value(node.operand)))

    def _of_BinOp(self, node: ast.BinOp) -> Any:
        return self._compute(node, node.op, self._value(node.left), self._value(node.right))

    def _compute(self, node: ast.AST, op: ast.operator | ast.cmpop, left: Any, right: Any) -> Any:
        compute = _OPERATORS.get(type(op))
        if compute is None or (isinstance(op, ast.Mod) and isinstance(left, str)):
            return self._refuse(node, "no such arithmetic here")
        if isinstance(op, ast.Mult) and {type(left), type(right)} & {str, list, tuple, bytes}:
            count = next((one for one in (left, right) if isinstance(one, int)), 0)
            held = next((one for one in (left, right) if not isinstance(one, int)), ())
            if isinstance(held, str | list | tuple | bytes) and count * len(held) > MOST_ITEMS:
                raise Unreadable(node, f"makes {count * len(held)} items")
        if isinstance(op, ast.Pow | ast.Mult) and not all(_is_small(one) for one in (left, right)):
            raise Unreadable(node, "larger numbers than any config has")
        if isinstance(op, ast.Pow) and isinstance(right, int) and abs(right) > 64:
            raise Unreadable(node, "larger numbers than any config has")
        found = self._guard(node, lambda: compute(left, right))
        if isinstance(found, str | list | tuple) and len(found) > MOST_ITEMS:
            raise Unreadable(node, f"makes {len(found)} items")
        return found

    def _of_BoolOp(self, node: ast.BoolOp) -> Any:
        values = [self._value(one) for one in node.values]
        stop = isinstance(node.op, ast.Or)
        return next((one for one in values if bool(one) == stop), values[-1])

    def _of_Compare(self, node: ast.Compare) -> Any:
        left = self._value(node.left)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other)
            self._limit(node, left, right)
            if isinstance(op, ast.In | ast.NotIn):
                holds = self._guard(node, partial(operator.contains, right, left)) == isinstance(op, ast.In)
            else:
                holds = self._compute(node, op, left, right)
            if not holds:
                return False
            left = right
        return True

    def _of_IfExp(self, node: ast.IfExp) -> Any:
        return self._value(node.body if self._value(node.test) else node.orelse)

    def _of_JoinedStr(self, node: ast.JoinedStr) -> str:
        parts = []
        for one in node.values:
            if isinstance(one, ast.FormattedValue) and (one.format_spec is not None or one.conversion != -1):
                self._refuse(one, "formats in texts are not read here")
            value = self._value(one.value if isinstance(one, ast.FormattedValue) else one)
            self._limit(one, value)
            parts.append(str(value))
        return "".join(parts)

    def _of_ListComp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> list:
        found: list[Any] = []
        self._loop(node.generators, lambda: found.append(self._value(node.elt)))
        return found

    _of_GeneratorExp = _of_SetComp = _of_ListComp

    def _of_DictComp(self, node: ast.DictComp) -> dict:
        found: dict[Any, Any] = {}
        self._loop(
            node.generators,
            lambda: self._guard(node, lambda: operator.setitem(found, self._value(node.key), self._value(node.value))),
        )
        return found

    def _loop(self, generators: list[ast.comprehension], act: Callable[[], Any]) -> None:
        if not generators:
            act()
            return
        first, *others = generators
        before = dict(self.names)
        for item in self._items(first.iter):
            self._assign(first.target, item)
            if all(self._value(one) for one in first.ifs):
                self._loop(others, act)
        self.names = before | {name: self.names[name] for name in before if name in self.names}


def merge(new: Any, old: Any, where: str) -> Any:
    """Values of a config over those of its base, as mmengine merges them.

    Args:
        new: of the config; `_delete_=True` replaces a dictionary instead of changing it.
        old: of the base.
        where: what an error names.
    """
    if not isinstance(new, dict):
        return new
    if isinstance(old, list) and new and all(str(key).isdecimal() for key in new):
        changed = list(old)
        for key, value in new.items():
            if int(key) >= len(changed):
                raise ForeignError(f"{where}: changes item {key} of a list of {len(changed)}")
            changed[int(key)] = merge(value, changed[int(key)], where)
        return changed
    plain = {key: value for key, value in new.items() if key != "_delete_"}
    if not isinstance(old, Mapping) or new.get("_delete_"):
        return {key: merge(value, None, where) for key, value in plain.items()}
    return {**old, **{key: merge(value, old.get(key), where) for key, value in plain.items()}}


def _as_read(target: ast.expr) -> ast.expr:
    read = copy.copy(target)
    if isinstance(read, ast.Name | ast.Subscript | ast.Attribute):
        read.ctx = ast.Load()
    return read


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _is_read_base(node: ast.With) -> bool:
    call = node.items[0].context_expr
    return isinstance(call, ast.Call) and ast.unparse(call.func).endswith("read_base")


def _is_small(value: Any) -> bool:
    return not isinstance(value, int) or value.bit_length() <= 256


def _limited(numbers: range) -> list[int]:
    if len(numbers) > MOST_ITEMS:
        raise ValueError(f"{len(numbers)} numbers")
    return list(numbers)

"""From a config to parts: one traversal finds and checks every part, and what it accepts is what is built.

A part is a dict with a `type`, in an argument whose name is a role (`hrtoolkit.registry.ROLES`): the name is looked up
in the role's registry, and the other keys are checked against the signature of what they will be handed to.
"""

from __future__ import annotations

import hashlib
import inspect
import reprlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import mmengine.registry as mm
import torch
from mmengine.config import Config

from hrtoolkit.config.load import ConfigError, config_json, config_name, load_config
from hrtoolkit.config.values import Parameter, find_parameters, fits, resolve_type
from hrtoolkit.data.seeding import global_seed
from hrtoolkit.errors import Moved, OptionError, suggest
from hrtoolkit.model import UNNAMED, Branch, Model
from hrtoolkit.parts import Backbone, Head, Neck
from hrtoolkit.registry import BACKBONES, BALANCES, BATCH_AUGMENTATIONS, DATASETS, HEADS, METRICS, ROLES, VIEWS
from hrtoolkit.schemes import SchemeLike, scheme_fields
from hrtoolkit.views import View

TELLING = (VIEWS, DATASETS)  # roles whose classes say by `told` what they are told
RENAMED = (HEADS, DATASETS, METRICS)  # roles whose classes say by `moved` what became of earlier arguments
NOTHING: Moved = MappingProxyType({})
BRANCH_PARTS = ("neck", "head", "view", "finish", "inference")
MOVED: Moved = {"mean": "model.view.mean", "std": "model.view.std"}
WIRING = ("in_channels", "in_strides")  # what the part before tells a part


class Problem(NamedTuple):
    """Something in a config that cannot be built."""

    path: str
    text: str


@dataclass
class Part:
    """A part of a config that was found and checked, with the parts inside it.

    Args:
        path: in the config.
        target: what is called.
        options: plain arguments.
        parts: arguments that are parts.
        parameters: of the target.
    """

    path: str
    target: Any
    options: dict[str, Any]
    parts: dict[str, Part] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def build(self, **given: Any) -> Any:
        """Build the parts inside, then this one, with what is given of the arguments that it has.

        Raises:
            ConfigError: a part refuses an option.
        """
        inner = {name: part.build() for name, part in self.parts.items()}
        given = {k: v for k, v in given.items() if k in self.parameters and v is not None}
        try:
            return self.target(**{**self.options, **inner, **given})
        except OptionError as error:
            raise ConfigError(self.path, [str(error)]) from error

    def value(self, name: str) -> Any:
        """What an argument of this part will be: as set, or by default."""
        return self.options.get(name, self.parameters[name].default)


def find_part(
    path: str,
    value: Any,
    registry: mm.Registry,
    problems: list[Problem],
    hidden: Collection[str] = (),
    given: Collection[str] = (),
    extra: Collection[str] = (),
) -> Part | None:
    """Find what a part of a config names, and check all that it is given.

    Args:
        path: of the part in the config.
        value: the part.
        registry: knows the names that its `type` may have.
        problems: is told what is wrong.
        hidden: arguments that only the builder passes.
        given: arguments that the builder passes where the config does not.
        extra: keys that the builder takes for itself.
    """
    if not isinstance(value, Mapping) or "type" not in value:
        problems.append(Problem(path, f"expected dict(type=...), got {reprlib.repr(value)}"))
        return None
    target = resolve_type(value["type"], registry)
    if target is None:
        known = [name for one in (registry, registry.parent) if one is not None for name in one.module_dict]
        hint = suggest(str(value["type"]), known) or "; is its package in custom_imports?"
        problems.append(Problem(f"{path}.type", f"there is no {registry.name} {value['type']!r}{hint}"))
        return None
    options = {key: item for key, item in value.items() if key not in ("type", "_scope_")}
    told = target.told if registry in TELLING else ()
    moved = target.moved if registry in RENAMED else {}
    if registry is BALANCES:
        hidden = (*hidden, "branches")
    return check_call(path, options, target, problems, hidden, given, extra, told=told, moved=moved)


def check_call(
    path: str,
    options: Mapping[str, Any],
    target: Any,
    problems: list[Problem],
    hidden: Collection[str] = (),
    given: Collection[str] = (),
    extra: Collection[str] = (),
    roles: Mapping[str, mm.Registry] = ROLES,
    told: Collection[str] = (),
    moved: Moved = NOTHING,
    name: str | None = None,
) -> Part:
    """Check arguments against the signature of what will be called with them, and find the parts among them.

    Args:
        path: of the arguments in the config.
        options: the arguments.
        target: class or function.
        problems: is told what is wrong.
        hidden: see `find_part`.
        given: see `find_part`.
        extra: see `find_part`.
        roles: arguments that are parts, and their registries.
        told: arguments that the model's head decides.
        moved: what to write instead of arguments that are no more.
        name: what messages call the target; that of its class by default.
    """
    name = name or getattr(target, "__name__", str(target))
    parameters, takes_any = find_parameters(target)
    part = Part(path, target, {}, {}, parameters)
    allowed = [key for key in parameters if key not in hidden] + list(extra)
    for key, value in options.items():
        where = f"{path}.{key}"
        if key in moved:
            problems.append(Problem(where, f"{name} has no {key!r} any more; {explain(moved[key], value)}"))
        elif key in told and key != "scheme":
            problems.append(Problem(where, f"the model's head decides {key!r}; leave it out here"))
        elif key not in allowed and (not takes_any or key in hidden):
            known = suggest(key, allowed) or f"; it takes {', '.join(allowed) or 'none'}"
            problems.append(Problem(where, f"{name} has no argument {key!r}{known}"))
        elif key in roles and key in parameters and isinstance(value, Mapping | str | int | float | list | tuple):
            if inner := find_part(where, value, roles[key], problems):
                part.parts[key] = inner
        elif isinstance(value, Mapping) and "type" in value and not takes_any:
            problems.append(Problem(where, f"{key!r} of {name} is no part of a network: give it no `type`"))
        else:
            part.options[key] = value
            if key in parameters:
                default, hint, spelled = parameters[key]
                if not (value is default or fits(value, hint)):
                    problems.append(Problem(where, f"expected {spelled}, got {reprlib.repr(value)}"))
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in (*options, *hidden, *given, *told):
            problems.append(Problem(path, f"{name} needs {key!r}"))
    return part


def explain(replacement: str | Callable[[object], str], value: object) -> str:
    """What to write instead of an option that was moved: a text, or what a function says of its value."""
    return replacement(value) if callable(replacement) else f"write {replacement}={value!r}"


@dataclass
class ModelPlan:
    """The parts of a model, checked, before anything is built.

    Args:
        backbone: its part.
        branches: parts by role, of each branch by its name.
        options: the other arguments of `Model`, with the parts among them.
        views: those that branches share, by name.
        looks: the name of that view, of each branch that has one of them.
    """

    backbone: Part
    branches: dict[str, dict[str, Part]]
    options: Part
    views: dict[str, Part] = field(default_factory=dict)
    looks: dict[str, str] = field(default_factory=dict)

    def head(self, branch: str | None = None) -> Part:
        """The head of a branch, or of the only one."""
        name = next(iter(self.branches)) if branch is None else branch
        return self.branches[name]["head"]

    def build(self, schemes: Mapping[str, SchemeLike] | None = None) -> Model:
        """Build the model on the CPU (or torch's current default device), with random weights.

        With named branches, those of a part follow from one draw of torch's generator and the part's name, whatever
        other parts there are.

        Args:
            schemes: by branch, for heads whose config leaves theirs open.

        Raises:
            ConfigError: a part refuses an option, or a head needs something that its view does not have.
        """
        draw = None if UNNAMED in self.branches else int(torch.randint(2**31, (), device="cpu"))
        with _seeded(draw, "backbone"):
            backbone = self.backbone.build()
        branches = {
            name: self._build_branch(name, parts, backbone, (schemes or {}).get(name), draw)
            for name, parts in self.branches.items()
        }
        views = {
            name: _build_view(
                part, {branch: branches[branch].head for branch, view in self.looks.items() if view == name}
            )
            for name, part in self.views.items()
        }
        for name, view in self.looks.items():
            branches[name].view = views[view]
        several = branches[UNNAMED] if list(branches) == [UNNAMED] else branches
        inner = {name: part.build(branches=tuple(branches)) for name, part in self.options.parts.items()}
        if views:
            inner["views"] = views
        try:
            return Model(backbone, several, **self.options.options, **inner)
        except OptionError as error:
            raise ConfigError("model", [str(error)]) from error

    @staticmethod
    def _build_branch(
        name: str, parts: Mapping[str, Part], backbone: Backbone, scheme: SchemeLike | None, draw: int | None
    ) -> Branch:
        built: dict[str, Any] = dict.fromkeys(BRANCH_PARTS)
        last: Backbone | Neck = backbone
        if "neck" in parts:
            with _seeded(draw, f"{name}.neck"):
                last = built["neck"] = parts["neck"].build(**_wires(last))
        with _seeded(draw, f"{name}.head"):
            head = built["head"] = parts["head"].build(**_wires(last), scheme=scheme)
        if "view" in parts:
            built["view"] = _build_view(parts["view"], {UNNAMED: head})
        for role in ("finish", "inference"):
            if role in parts:
                built[role] = parts[role].build(scheme=head.scheme)
        return Branch(**built)


def _seeded(draw: int | None, name: str) -> AbstractContextManager[None]:
    if draw is None:
        return nullcontext()
    digest = hashlib.sha256(f"{draw} {name}".encode()).digest()
    return global_seed(int.from_bytes(digest[:4], "big"))


def _build_view(view: Part, heads: Mapping[str, Head]) -> View:
    """Build a view as the heads that read through it, by their branches, need it.

    Raises:
        ConfigError: it cannot be so.
    """
    needs: dict[str, tuple[object, str]] = {}
    for branch, head in heads.items():
        for name, value in head.needs.items():
            if name not in view.parameters:
                what = ", ".join(f"{one}={head.needs[one]!r}" for one in head.needs if one not in view.parameters)
                raise ConfigError(view.path, [f"the head needs a view with {what}; {view.target.__name__} has no such"])
            known, other = needs.setdefault(name, (value, branch))
            if known != value:
                raise ConfigError(
                    view.path,
                    [f"the head of {other!r} needs {name}={known!r}, and that of {branch!r} {name}={value!r}"],
                )
    return view.build(**{name: value for name, (value, _) in needs.items()})


def _wires(source: Backbone | Neck) -> dict[str, Sequence[int]]:
    return {"in_channels": source.out_channels, "in_strides": source.out_strides}


def plan_model(options: Any, problems: list[Problem]) -> ModelPlan | None:
    """Find and check the parts of a config's `model`.

    Args:
        options: the section.
        problems: is told what is wrong.
    """
    if not isinstance(options, Mapping):
        problems.append(Problem("model", f"expected a dict, got {reprlib.repr(options)}"))
        return None
    options = dict(options)
    count = len(problems)
    parts = {name: options.pop(name) for name in BRANCH_PARTS if name in options}
    several, shared = options.pop("branches", None), options.pop("views", None)
    if shared is not None and (several is None or not isinstance(shared, Mapping)):
        problems.append(
            Problem("model.views", f"expected dict(NAME=dict(type=...)) of model.branches, got {reprlib.repr(shared)}")
        )
        return None
    if several is not None and parts:
        problems.append(Problem("model.branches", f"goes without {', '.join(parts)}, which belong into the branches"))
    named = {UNNAMED: parts} if several is None else several
    if not isinstance(named, Mapping) or not named or not all(isinstance(one, Mapping) for one in named.values()):
        problems.append(Problem("model.branches", f"expected dict(NAME=dict(head=...)), got {reprlib.repr(named)}"))
        return None
    backbone = None
    if "backbone" in options:
        backbone = find_part("model.backbone", options.pop("backbone"), BACKBONES, problems)
    else:
        problems.append(Problem("model", "needs 'backbone'"))
    views = {name: find_part(f"model.views.{name}", one, VIEWS, problems) for name, one in (shared or {}).items()}
    looks: dict[str, str] = {}
    for name, one in named.items():
        view = one.get("view")
        if isinstance(view, str):
            looks[name] = view
            if view not in views:
                hint = suggest(view, list(views)) or f"; there are {', '.join(views) or 'none'}"
                problems.append(Problem(f"model.branches.{name}.view", f"model.views has no {view!r}{hint}"))
    for view in views.keys() - looks.values():
        problems.append(Problem(f"model.views.{view}", "no branch looks through it"))
    for view in views.keys() & (named.keys() - {name for name in named if looks.get(name) == name}):
        problems.append(Problem(f"model.views.{view}", "a branch of that name has another view"))
    branches = {
        name: _plan_branch(f"model.branches.{name}" if name else "model", one, problems, name in looks)
        for name, one in named.items()
    }
    roles = {"augment": BATCH_AUGMENTATIONS, "balance": BALANCES}
    rest = {k: v for k, v in options.items() if not (k in roles and v is None)}
    known = check_call(
        "model",
        rest,
        Model,
        problems,
        hidden=("branches", "views"),
        given=("backbone",),
        roles=roles,
        extra=BRANCH_PARTS,
        moved=MOVED,
        name="model",
    )
    if backbone is None or len(problems) > count:
        return None
    return ModelPlan(backbone, branches, known, {n: one for n, one in views.items() if one is not None}, looks)


def _plan_branch(path: str, parts: Mapping[str, Any], problems: list[Problem], looks: bool = False) -> dict[str, Part]:
    for name in parts:
        if name not in BRANCH_PARTS:
            problems.append(Problem(f"{path}.{name}", f"a branch has no {name!r}{suggest(name, BRANCH_PARTS)}"))
    if parts.get("head") is None:
        problems.append(Problem(path, "needs 'head'"))
    given = {"neck": WIRING, "head": WIRING}
    found = {}
    for role in BRANCH_PARTS:
        if parts.get(role) is not None and not (role == "view" and looks):
            extra = given.get(role, ("scheme",))
            found[role] = find_part(f"{path}.{role}", parts[role], ROLES[role], problems, given=extra)
    return {role: part for role, part in found.items() if part is not None}


def build_model(config: str | Path | Config, scheme: SchemeLike | None = None) -> Model:
    """Build the model of a config on the CPU, with random weights.

    Args:
        config: path of a config file, the name of a shipped one, or a Config; only its `model` is read.
        scheme: for a head whose config leaves its scheme open, of a model with one branch.

    Raises:
        ConfigError: the file cannot be read, or a part cannot be built.
    """
    config = load_config(config)
    problems: list[Problem] = []
    plan = plan_model(config.get("model"), problems)
    raise_problems(config_name(config), problems)
    assert plan is not None, "without problems there is a plan"
    schemes = {} if scheme is None else {next(iter(plan.branches)): scheme}
    try:
        model = plan.build(schemes)
    except ConfigError as error:
        raise ConfigError(config_name(config), [f"{error.source}: {problem}" for problem in error.problems]) from error
    for name, branch in model.branches.items():
        if "scheme" in plan.head(name).parameters:  # in full: names of schemes may be known here alone
            sections = config.model.branches[name] if name else config.model
            sections.head.scheme = scheme_fields(branch.head.scheme)
    stored = {"model": config.model, "custom_imports": config.get("custom_imports") or {}}
    model.config = config_json(Config(stored))
    return model


def raise_problems(source: str, problems: list[Problem]) -> None:
    """Raise all problems as one ConfigError; what is wrong in the same way in several places is one problem."""
    paths: dict[str, list[str]] = {}
    for path, text in problems:
        paths.setdefault(text, []).append(path)
    if paths:
        raise ConfigError(source, [f"{', '.join(where)}: {text}" for text, where in paths.items()])


def iterate_parts(part: Part) -> Iterator[Part]:
    """A part and all parts inside it."""
    yield part
    for inner in part.parts.values():
        yield from iterate_parts(inner)

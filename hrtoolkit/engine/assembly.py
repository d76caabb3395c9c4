"""From a config to what is run: the data sets, the model that they are for, and the metrics.

Parts learn from each other: a head that leaves its scheme open takes it from the training data, and tells the other
data sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine import Config
from torch.utils.data import DataLoader

from hrtoolkit.config import ConfigError, config_name, load_config
from hrtoolkit.data.doctor import Subject, check_before_run
from hrtoolkit.data.joint import SharedInputs, build_joint_dataloader
from hrtoolkit.data.loading import build_dataloader
from hrtoolkit.engine.check_config import Plan
from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.errors import DataError, OptionError
from hrtoolkit.metric import Metric
from hrtoolkit.model import UNNAMED, Branch, Model
from hrtoolkit.samples import Inputs, Samples
from hrtoolkit.schemes import ClassScheme, Scheme, check_same, resolve_scheme, scheme_fields
from hrtoolkit.schemes.joining import join_schemes
from hrtoolkit.views import Augmentation


@dataclass
class Run:
    """What a config becomes: a model, the data that it is trained and tested on, and its metrics.

    Args:
        config: resolved: what the data has said is in it.
        plan: of the config.
        model: with random weights.
        samples: by their names in the plan.
        metrics: of the validation or test data, by the name of its loader.
        augmentations: of the training data, by source.
    """

    config: Config
    plan: Plan
    model: Model
    samples: dict[str, Samples]
    metrics: dict[str, list[Metric]]
    augmentations: dict[str, Augmentation | None]

    @classmethod
    def build(cls, config: Config, plan: Plan, names: Sequence[str]) -> Run:
        """Build what a config names, in the order in which parts learn from each other.

        Args:
            config: as loaded.
            plan: of the config.
            names: whose data is read, of "train", "val" and "test"; where the config has it.

        Raises:
            ConfigError: a part refuses an option.
            DataError: data cannot be read, or is not what the head is for.
        """
        try:
            samples = build_samples(plan, names)
            model = model_for(plan, samples)
            metrics = {
                name: [part.build() for part in parts]
                for name, parts in plan.metrics.get(f"{names[-1]}_evaluator", {}).items()
            }
            augmentations = {
                name: None if source.augmentation is None else source.augmentation.build()
                for name, source in plan.sources.items()
            }
        except ConfigError as error:
            problems = [f"{error.source}: {problem}" for problem in error.problems]
            raise ConfigError(config_name(config), problems) from error
        config = load_config(config)
        for name, one in samples.items():
            check_scheme(plan, name, one.scheme, model.branches)
        for name, branch in model.branches.items():
            section = config.model.branches[name] if name else config.model
            section.head.scheme = scheme_fields(branch.head.scheme)
        return cls(config, plan, model, samples, metrics, augmentations)

    def names(self, split: str, branch: str | None = None) -> list[str]:
        """The data of a split, or of that what one branch looks at."""
        data = self.plan.data.items()
        return [name for name, one in data if one.split == split and branch in (None, one.branch)]

    def stated_schemes(self) -> list[Scheme]:
        """The schemes of the training data, but for what the config leaves to the files."""
        return [self.samples[name].scheme for name in self.names("train") if is_stated(self.plan, name)]

    @property
    def sees_crops(self) -> bool:
        """Whether a branch looks at crops, where the data has any."""
        return any(branch.view is not None and branch.view.sees_crops for branch in self.model.branches.values())

    def check_data(self, truth: bool = True, needs_images: bool = True) -> None:
        """Let the data answer for itself, see `check_before_run`.

        Args:
            truth: also whether the metrics find annotations perfect that are not trained on.
            needs_images: also whether the image files are there.

        Raises:
            DataError: something is wrong with it.
        """
        subjects = []
        for name, branch in self.model.branches.items():
            samples = {one: some for one, some in self.samples.items() if self.plan.data[one].branch == name}
            named = {one: self.metrics.get(self.plan.data[one].name) for one in samples if truth}
            metrics = {one: some[0] for one, some in named.items() if some and self.plan.data[one].split != "train"}
            assert branch.view is not None, "the config was checked"
            subjects.append(Subject(samples, metrics, branch.finish, branch.view.sees_crops, needs_images))
        check_before_run(*subjects)

    def inputs(self, name: str) -> Inputs:
        """What the model is given of the data of this name: augmented and with targets of training data."""
        data = self.plan.data[name]
        branch = self.model.branches[data.branch]
        assert branch.view is not None, "the config was checked"
        if data.split == "train":
            targets, augmentation = branch.head.targets, self.augmentations[data.name]
            return Inputs(self.samples[name], branch.view, branch.head.scheme, targets, augmentation)
        return Inputs(self.samples[name], branch.view, branch.head.scheme)

    def loader(self, name: str, **runtime: Any) -> DataLoader:
        """Batches of the data of this name, as its dataloader's config says."""
        data = self.plan.data[name]
        return build_dataloader(self.inputs(name), **data.options, training=data.split == "train", **runtime)

    def training_loader(self, seed: int) -> DataLoader:
        """Batches of what is trained on: of one data set, or of all sources."""
        if "train" in self.samples:
            return self.loader("train", seed=seed)
        sources: dict[str, dict[str, Inputs]] = {name: {} for name in self.plan.sources}
        for name in self.names("train"):
            data = self.plan.data[name]
            sources[data.name][data.branch] = self.inputs(name)
        return build_joint_dataloader(
            {name: SharedInputs(inputs) for name, inputs in sources.items()},
            {name: self.model.looks[next(iter(inputs))] for name, inputs in sources.items()},
            {name: source.batch_size for name, source in self.plan.sources.items()},
            **self.plan.joint,
            seed=seed,
        )

    def evaluation(self, name: str, out: str | None = None) -> Evaluation:
        """Scores the data of this name."""
        data = self.plan.data[name]
        finish = self.model.branches[data.branch].finish
        return Evaluation(self.inputs(name), self.metrics[data.name], finish, out, branch=data.branch, name=data.name)


def build_samples(plan: Plan, names: Sequence[str]) -> dict[str, Samples]:
    """Build the data sets of a config; the model's head, or else the training data, tells the others its scheme.

    Args:
        plan: of the config.
        names: of the splits "train", "val" and "test".

    Returns:
        data sets by name, as far as the config has them.

    Raises:
        ConfigError: a data set refuses an option.
        DataError: its files cannot be read.
    """
    samples: dict[str, Samples] = {}
    schemes: dict[str, Scheme] = {}
    for name, one in plan.data.items():
        if one.split in names:
            samples[name] = tell_samples(plan, name, schemes.get(one.branch))
            schemes.setdefault(one.branch, samples[name].scheme)
    return samples


def model_for(plan: Plan, samples: Mapping[str, Samples]) -> Model:
    """Build the model of a config for the training data, or for what there is instead.

    Args:
        plan: of the config.
        samples: by their names in the plan.

    Raises:
        ConfigError: a part refuses an option.
    """
    schemes = {}
    for branch in plan.model.branches:
        known = {name: one.scheme for name, one in samples.items() if plan.data[name].branch == branch}
        trained = {name: one for name, one in known.items() if plan.data[name].split == "train"}
        if (scheme := choose_scheme(plan, trained or known, branch)) is not None:
            schemes[branch] = scheme
    return plan.model.build(schemes)


def choose_scheme(plan: Plan, known: Mapping[str, Scheme], branch: str = UNNAMED) -> Scheme | None:
    """What a head's outputs stand for: as its config says, or else as the data says, of several sets the union.

    A head that only counts its classes takes the names of as many from the data.

    Args:
        plan: of the config.
        known: schemes of the training data, or of what there is instead, by name.
        branch: of the head.

    Raises:
        DataError: the sets cannot be joined.
    """
    stated = stated_scheme(plan, branch)
    if not known or (stated is not None and not counts_only(stated, next(iter(known.values())))):
        return stated
    return join_schemes({f"the {name} data": one for name, one in known.items()})


def stated_scheme(plan: Plan, branch: str) -> Scheme | None:
    """The scheme that the config of a branch's head states, if it does."""
    head = plan.model.head(branch)
    stated = head.value("scheme") if "scheme" in head.parameters else None
    try:
        return None if stated is None else resolve_scheme(stated, head.target.kind)
    except OptionError as error:
        raise ConfigError(f"{head.path}.scheme", [str(error)]) from error


def is_stated(plan: Plan, name: str) -> bool:
    """Whether a config states the scheme of the data of this name, or of its branch's head."""
    data = plan.data[name]
    return data.dataset.options.get("scheme") is not None or stated_scheme(plan, data.branch) is not None


def check_scheme(plan: Plan, name: str, scheme: Scheme, branches: Mapping[str, Branch]) -> None:
    """Refuse data that its branch's head cannot be trained or scored on.

    Args:
        plan: of the config.
        name: of the data.
        scheme: of it.
        branches: of the model.

    Raises:
        DataError: see `check_same`.
    """
    data = plan.data[name]
    stated = data.dataset.options.get("scheme") is not None and stated_scheme(plan, data.branch) is not None
    check_same(scheme, branches[data.branch].head.scheme, f"the {name} data", stated)


def counts_only(stated: Scheme, known: Scheme) -> bool:
    """Whether a scheme is no more than the number of the names of another one."""
    return isinstance(stated, ClassScheme) and stated.numbered and len(stated.names) == len(known.names)


def tell_samples(plan: Plan, name: str, scheme: Scheme | None = None) -> Samples:
    """Build one data set with what the model's head tells it.

    Args:
        plan: of the config.
        name: of the data.
        scheme: of the training data, where the head's config leaves its own open.

    Raises:
        UserError: its files are of no use, or may not be read.
    """
    split, branch, part, *_ = plan.data[name]
    head = plan.model.head(branch)
    told = {argument: head.value(argument) for argument in head.target.reads}
    if part.options.get("scheme") is None:
        # Several sources of a branch may have schemes of their own, which the head joins.
        told["scheme"] = stated_scheme(plan, branch) or (None if split == "train" else scheme)
    try:
        return part.build(**{argument: value for argument, value in told.items() if argument in part.target.told})
    except OSError as error:
        if error.filename is None:
            raise
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None

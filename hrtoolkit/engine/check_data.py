"""Examine all data of a config, going on where a run would stop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine import Config

from hrtoolkit.config import ConfigError, config_name
from hrtoolkit.data.doctor import examine
from hrtoolkit.engine.assembly import check_scheme, model_for, tell_samples
from hrtoolkit.engine.check_config import Plan, check_config
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding
from hrtoolkit.model import Branch
from hrtoolkit.records import join
from hrtoolkit.samples import Samples
from hrtoolkit.schemes import Scheme


def check_data(config: Config, read_images: bool = True) -> tuple[dict[str, Samples], list[Finding], set[str]]:
    """Find everything that is wrong with the data of a config, images included.

    Args:
        config: as loaded.
        read_images: decode every image, which takes minutes on a large set.

    Returns:
        the data sets that could be read, by name, the findings, and at the crops of which of them the model looks.

    Raises:
        ConfigError: the config itself is of no use.
    """
    plan = check_config(config)
    samples: dict[str, Samples] = {}
    findings: list[Finding] = []
    told: dict[str, Scheme] = {}
    for name, data in plan.data.items():
        try:
            samples[name] = tell_samples(plan, name, told.get(data.branch))
        except DataError as error:  # the file as a whole is of no use: go on with the others
            findings.append(Finding("stop", f"{name} data", str(error), (), 0, "this file is not checked any further"))
        else:
            told.setdefault(data.branch, samples[name].scheme)
    branches = _check_with_model(config, plan, samples, findings) if samples else {}
    cropped: set[str] = set()
    for branch in plan.model.branches:
        looked_at = {name: one for name, one in samples.items() if plan.data[name].branch == branch}
        metrics = {}
        for name in looked_at:
            if parts := plan.metrics.get(f"{plan.data[name].split}_evaluator", {}).get(plan.data[name].name):
                metrics[name] = parts[0].build()
        finish, view = (branches[branch].finish, branches[branch].view) if branch in branches else (join, None)
        sees_crops = view is None or view.sees_crops
        findings += examine(looked_at, metrics, finish, read_images, sees_crops)
        cropped |= looked_at.keys() if sees_crops else set()
    return samples, list(dict.fromkeys(findings)), cropped


def _check_with_model(
    config: Config, plan: Plan, samples: Mapping[str, Samples], findings: list[Finding]
) -> Mapping[str, Branch]:
    """Build the model as training does, but for its weights, and see whether the data is what its heads are for.

    Returns:
        the branches of the model, if it can be built.
    """
    try:
        with torch.device("meta"):
            branches = model_for(plan, samples).branches
    except ConfigError as error:
        remedy = "training builds it for these names"
        findings.append(Finding("stop", config_name(config), f"the model cannot be built: {error}", (), 0, remedy))
        return {}
    for name, one in samples.items():
        try:
            check_scheme(plan, name, one.scheme, branches)
        except DataError as error:
            remedy = "training and testing refuse it"
            findings.append(Finding("stop", one.findings.where, str(error), (), 0, remedy))
    return branches

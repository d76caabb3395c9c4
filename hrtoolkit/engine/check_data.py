"""Examine all data of a config, going on where a run would stop."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine import Config

from hrtoolkit.config import ConfigError, config_name
from hrtoolkit.data.doctor import examine
from hrtoolkit.engine.check_config import Plan, check_config
from hrtoolkit.engine.run import model_for, tell_samples
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding
from hrtoolkit.model import Branch
from hrtoolkit.records import join
from hrtoolkit.samples import Samples
from hrtoolkit.schemes import check_same


def check_data(config: Config, read_images: bool = True) -> tuple[dict[str, Samples], list[Finding], bool]:
    """Find everything that is wrong with the data of a config, images included.

    Args:
        config: as loaded.
        read_images: decode every image, which takes minutes on a large set.

    Returns:
        the data sets that could be read, by name, the findings, and whether the model looks at crops.

    Raises:
        ConfigError: the config itself is of no use.
    """
    plan = check_config(config)
    samples: dict[str, Samples] = {}
    findings: list[Finding] = []
    told = None
    for name in ("train", "val", "test"):
        if f"{name}_dataloader" not in plan.datasets:
            continue
        try:
            samples[name] = tell_samples(plan, name, told)
        except DataError as error:  # the file as a whole is of no use: go on with the others
            findings.append(Finding("stop", f"{name} data", str(error), (), 0, "this file is not checked any further"))
        else:
            told = told or samples[name].scheme
    metrics = {
        name: plan.metrics[f"{name}_evaluator"][0].build() for name in samples if plan.metrics.get(f"{name}_evaluator")
    }
    branch = _check_with_model(config, plan, samples, findings) if samples else None
    finish, view = (join, None) if branch is None else (branch.finish, branch.view)
    sees_crops = view is None or view.sees_crops
    return samples, findings + examine(samples, metrics, finish, read_images, sees_crops), sees_crops


def _check_with_model(
    config: Config, plan: Plan, samples: Mapping[str, Samples], findings: list[Finding]
) -> Branch | None:
    """Build the model as training does, but for its weights, and see whether the data is what its head is for.

    Returns:
        the branch of the model, if it can be built.
    """
    try:
        with torch.device("meta"):
            branch = model_for(plan, next(iter(samples.values()))).branch()
    except ConfigError as error:
        remedy = "training builds it for these names"
        findings.append(Finding("stop", config_name(config), f"the model cannot be built: {error}", (), 0, remedy))
        return None
    for name, one in samples.items():
        try:
            check_same(one.scheme, branch.head.scheme, f"the {name} data")
        except DataError as error:
            remedy = "training and testing refuse it"
            findings.append(Finding("stop", one.findings.where, str(error), (), 0, remedy))
    return branch

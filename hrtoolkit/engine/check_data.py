"""Examine all data of a config, going on where a run would stop."""

from __future__ import annotations

from mmengine import Config

from hrtoolkit.data.doctor import examine
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import tell_samples
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Finding
from hrtoolkit.records import join
from hrtoolkit.samples import Samples


def check_data(config: Config) -> tuple[dict[str, Samples], list[Finding]]:
    """Find everything that is wrong with the data of a config, images included.

    Args:
        config: as loaded.

    Returns:
        the data sets that could be read, by name, and the findings.

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
    branch = next(iter(plan.model.branches.values()))
    finish = join
    if "finish" in branch and samples:
        finish = branch["finish"].build(scheme=next(iter(samples.values())).scheme)
    return samples, findings + examine(samples, metrics, finish, read_images=True)

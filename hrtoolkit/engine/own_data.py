"""Training a config on data of one's own: where it is, what is in it, and the recipe that fits how much there is.

A config with `recipes` says what changes for how many objects to train on:

    recipes = [dict(up_to=100, train_cfg=dict(max_epochs=100)), dict(up_to=1000, ...)]

The first whose `up_to` is not exceeded is merged into the config, as a config is into its base.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine import Config
from mmengine.dist import broadcast_object_list, is_main_process

from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.config import ConfigError, config_name, load_config
from hrtoolkit.config.values import find_datasets, resolve_type
from hrtoolkit.engine.check_data import check_data
from hrtoolkit.errors import CheckpointError, DataError, UserError, shorten
from hrtoolkit.findings import Finding
from hrtoolkit.importers import Imported, import_annotations
from hrtoolkit.registry import DATASETS
from hrtoolkit.schemes import KeypointScheme

log = logging.getLogger(__name__)
VALIDATION = 0.2  # of the pictures, where the data is one part


def use_own_data(
    config: Config, data: str | Path, folder: str | Path, training: bool = True, start_asked: bool = False
) -> Config:
    """Point a config at data of one's own, and fit it to how much there is; what is chosen is logged.

    Args:
        config: as loaded, without the caller's own changes, which come after; it is changed and given back.
        data: an export of a labelling tool, a file in COCO's format, or what `hrtoolkit import` wrote.
        folder: gets the annotations in COCO's format.
        training: also choose the weights to start from and the recipe.
        start_asked: `load_from` is the caller's: without these weights nothing is trained.

    Raises:
        UserError: the data cannot be read, the config's datasets read no annotation file, or weights that were asked
            for are not to be had.
    """
    if "branches" in config.model:
        text = "model.branches: --data is for one task; name the files of each branch in the dataloaders"
        raise ConfigError(config_name(config), [text])
    for path, options, parameters in find_datasets(config):
        if "ann_file" not in parameters:
            what = f"{path}.type={options.get('type')}"
            if resolve_type(options.get("type"), DATASETS) is None:
                problem = f"{what} is not known; is its package in custom_imports?"
            else:
                problem = (
                    f"{what} does not read COCO's format, which --data comes in; "
                    "take a *_custom config, or give its folder by --data-root"
                )
            raise ConfigError(config_name(config), [problem])
    imported = _import_once(data, folder)
    log.info("%s", imported)
    choices = list(_point(config, imported))
    if training:
        choices += _choose_start(config, start_asked)
        choices += _choose_recipe(config, imported.parts[_training_part(imported)].total())
    log.info("chosen for this data\n%s", "\n".join(f"  {choice}" for choice in choices))
    return config


def check_own_data(config: str, imported: Imported) -> list[Finding]:
    """What is wrong with data that was imported, for a config that trains on it; images are not decoded.

    Args:
        config: its name.
        imported: what was.
    """
    own = load_config(config)
    list(_point(own, imported))
    return check_data(own, read_images=False)[1]


def _training_part(imported: Imported) -> str:
    return "train" if "train" in imported.splits else next(iter(imported.splits))


def _point(config: Config, imported: Imported) -> Iterator[str]:
    """Let the datasets of a config read what was imported, and its head take the scheme from there."""
    train = _training_part(imported)
    val = next((part for part in ("val", "test") if part in imported.splits and part != train), None)
    for path, options, parameters in find_datasets(config):
        part = train if path.startswith("train") else val
        options.update(data_root=str(imported.folder), ann_file=f"{part}.json", image_dir="")
        if "category" in parameters:
            options["category"] = _choose_classes(imported)
    if val is None:
        for name in ("val_dataloader", "val_evaluator", "test_dataloader", "test_evaluator"):
            config.pop(name, None)
        yield f"no validation: there is {train}.json alone"
    if config.model.head.get("scheme") is not None:
        config.model.head.scheme = None
    dataset = config.train_dataloader.dataset
    if "category" in dataset:
        if others := [label for label in imported.points if label not in dataset.category]:
            yield f"{shorten(dataset.category)}, not {shorten(others)} with other keypoints (dataset.category)"
        yield from _choose_flip(config, imported.schemes[dataset.category[0]])


def _import_once(data: str | Path, folder: str | Path) -> Imported:
    """Import in one process, and tell the others."""
    outcome: list[Any] = [None]
    if is_main_process():
        try:
            outcome = [import_annotations(data, folder, fraction=VALIDATION)]
        except UserError as error:
            outcome = [error]
    broadcast_object_list(outcome)
    if isinstance(outcome[0], UserError):
        raise outcome[0]
    return outcome[0]


def _choose_classes(imported: Imported) -> list[str]:
    """The class with the most keypoints, and those that have the same ones."""
    if not imported.points:
        raise DataError(f"{imported.folder}: nothing has keypoints; a config of detection trains on boxes and masks")
    names = imported.schemes[imported.points.most_common(1)[0][0]].names
    return [label for label in imported.points if imported.schemes[label].names == names]


def _choose_flip(config: Config, scheme: KeypointScheme) -> Iterator[str]:
    """Mirrored images teach nonsense where keypoints change places and nobody knows with which."""
    augmentation = config.train_dataloader.get("augmentation") or {}
    if scheme.mirrored:
        yield f"mirror partners: {shorten([f'{a} - {b}' for a, b in scheme.mirrored])}"
    elif augmentation.get("flip") and len(scheme.names) > 1:
        augmentation["flip"] = 0.0
        yield "no mirrored images: no keypoints are known to change places (train_dataloader.augmentation.flip)"


def _choose_start(config: Config, asked: bool) -> Iterator[str]:
    """Start from the config's weights if they are to be had; from those that were asked for in any case."""
    start = config.get("load_from")
    if not start:
        yield "starting from random weights (load_from)"
        return
    try:
        read_checkpoint(start if isinstance(start, str) else start["checkpoint"])
        yield f"starting from {start} (load_from)"
    except CheckpointError as error:
        if asked:
            raise
        config.load_from = None
        config.model.pop("frozen", None)
        log.warning("%s", error)
        yield f"starting from random weights, which learn far slower: no {start}; --weights FILE names others"


def _choose_recipe(config: Config, count: int) -> Iterator[str]:
    """Merge the recipe for so many objects to train on into the config."""
    recipes = config.pop("recipes", None) or []
    recipe = next((one for one in recipes if count <= one["up_to"]), None)
    if recipe is None:
        yield f"the config's own schedule for {count} objects to train on, {config.train_cfg.max_epochs} epochs"
        return
    changes = {name: value for name, value in recipe.items() if name != "up_to"}
    if not config.get("load_from"):  # nothing that was learnt elsewhere is worth keeping
        changes.get("model", {}).pop("frozen", None)
    config.merge_from_dict(changes)
    yield f"the recipe for up to {recipe['up_to']} objects, of which there are {count} to train on:"
    yield from (f"  {line}" for line in _spell(changes))


def _spell(changes: Mapping, path: str = "") -> Iterator[str]:
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _spell(value, f"{path}{name}.")
        else:
            yield f"{path}{name}={value}"

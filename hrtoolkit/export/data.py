"""The model that somebody exports, and the real images that go with it: those of its own config, or named ones."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine import Config

from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.config import load_config
from hrtoolkit.engine.assembly import build_samples
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import configure_test
from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.export.examples import Examples, examples_of_data, examples_of_pictures
from hrtoolkit.files import expand_path, is_checkpoint, is_exported
from hrtoolkit.predict.boxes import BoxesLike
from hrtoolkit.predict.joint import JointPredictor, load_joint
from hrtoolkit.predict.predictor import Predictor, load
from hrtoolkit.predict.sources import Readables
from hrtoolkit.pretrained import find_folder, own_config
from hrtoolkit.schemes import check_same

log = logging.getLogger(__name__)


def read_model(
    model: str | Path,
    weights: str | Path | None = None,
    data_root: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> tuple[Config, str | Path]:
    """The whole config of a model that is to be exported, and its weights.

    Args:
        model: a checkpoint or folder of ours, or with `weights` a config.
        weights: see `hrtoolkit.load`.
        data_root: folder of the config's data.
        overrides: of the config, `a.b=value`.

    Raises:
        UserError: the model cannot be read, or is an export.
    """
    if is_exported(model):
        raise OptionError(f"{model}: is an export already; give the checkpoint that it was made from")
    if weights is None:
        if not is_checkpoint(model):
            model = find_folder(model) if Path(expand_path(model)).is_dir() else model
        if not is_checkpoint(model) and not Path(model).is_dir():
            load_config(model)  # says what is wrong with its name
            raise OptionError(f"{model}: give the checkpoint of this config as well (by --weights on the command line)")
        config = own_config(read_checkpoint(model), str(model), whole=True)
        weights = model
    else:
        config = load_config(model)
    return load_config(config, overrides, data_root), weights


def load_with_data(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    data_root: str | Path | None = None,
    overrides: Sequence[str] = (),
    images: Readables | None = None,
    boxes: BoxesLike | None = None,
    most: int = 200,
    calibration: int = 0,
    flip: bool = False,
    branch: str | None = None,
) -> tuple[Predictor, Examples, Examples | None]:
    """Load a model, and images to hold its export against.

    Args:
        model: see `read_model`, as for the next arguments.
        weights: of a config.
        data_root: folder of the config's data.
        overrides: of the config.
        images: pictures, instead of the config's validation data.
        boxes: where to look in them.
        most: images at most.
        calibration: images from the training data, for int8; 0 for none.
        flip: average with the mirrored images.
        branch: name of the one that is exported.

    Returns:
        the model, the images, and those for calibration, None for the same.

    Raises:
        UserError: the model or the images cannot be read.
    """
    config, weights = read_model(model, weights, data_root, overrides)
    predictor = load(copy.deepcopy(config), weights, device="cpu", flip=flip, branch=branch)
    return predictor, *_examples_of(config, predictor, images, boxes, most, calibration)


def load_joint_with_data(
    model: str | Path,
    weights: str | Path | None = None,
    *,
    data_root: str | Path | None = None,
    overrides: Sequence[str] = (),
    images: Readables | None = None,
    boxes: BoxesLike | None = None,
    most: int = 200,
    calibration: int = 0,
    flip: bool = False,
    branches: Sequence[str] = (),
) -> tuple[JointPredictor, dict[str, Examples], dict[str, Examples]]:
    """Load a model with several branches, and images to hold the export of each against.

    Args:
        model: see `load_with_data`, as for what is not explained here.
        weights: of a config.
        data_root: folder of the config's data.
        overrides: of the config.
        images: pictures, instead of each branch's validation data.
        boxes: where branches of crops look in them.
        most: images at most, of each branch.
        calibration: images from the training data, of each branch.
        flip: average with the mirrored images.
        branches: names of those that are exported; none for all.

    Returns:
        the model, and by branch the images, and those for calibration where they are others.

    Raises:
        UserError: the model or the images cannot be read, or it has no such branch.
    """
    config, weights = read_model(model, weights, data_root, overrides)
    predictor = load_joint(copy.deepcopy(config), weights, device="cpu", flip=flip)
    examples: dict[str, Examples] = {}
    others: dict[str, Examples] = {}
    for name in branches or predictor.branches:
        predictor.model.branch(name)  # says which there are
        one = predictor.branches[name]
        examples[name], other = _examples_of(config, one, images, boxes, most, calibration)
        if other is not None:
            others[name] = other
    return predictor, examples, others


def _examples_of(
    config: Config,
    predictor: Predictor,
    images: Readables | None,
    boxes: BoxesLike | None,
    most: int,
    calibration: int,
) -> tuple[Examples, Examples | None]:
    """Images that a branch is held against, and those for calibration."""
    if images is not None:
        return examples_of_pictures(images, boxes, predictor.sees_crops, most), None
    lead = f"{predictor.name}: " if predictor.name else ""
    try:
        examples = _data_of(config, predictor, "val", most)
    except UserError as error:
        raise UserError(
            f"{lead}{error}\nan export is held against real images: give --data-root for the model's validation data, "
            "or --images for pictures of your own"
        ) from error
    if not calibration:
        return examples, None
    try:
        return examples, _data_of(config, predictor, "train", calibration)
    except UserError as error:
        log.warning("%sthe training data cannot be read (%s): int8 is calibrated on the validation images", lead, error)
        return examples, None


def _data_of(config: Config, predictor: Predictor, name: str, most: int) -> Examples:
    config, branch = copy.deepcopy(config), predictor.name
    if name == "train":
        dataset = _training_data(config, branch)
        if dataset is None:
            raise UserError("its config names no training data")
        config.pop("test_dataloader", None)
        config.val_dataloader = {branch: {"dataset": dataset}} if branch else {"dataset": dataset}
    config = configure_test(config)
    if branch:
        loaders = config.test_dataloader
        chosen = next((one for one, loader in loaders.items() if loader.get("branch", one) == branch), None)
        if chosen is None or chosen not in config.test_evaluator:
            raise UserError("its config names no validation data of this branch, or no metric")
        for section in ("test_dataloader", "test_evaluator"):
            config[section] = {chosen: config[section][chosen]}
    plan = check_config(config)
    (samples,) = build_samples(plan, ["test"]).values()
    check_same(samples.scheme, predictor.scheme, f"the {name} data")
    (parts,) = plan.metrics["test_evaluator"].values()
    metric = next((part.build() for part in parts), None)
    return examples_of_data(samples, metric, predictor.sees_crops, most, name)


def _training_data(config: Config, branch: str) -> Any:
    """The section of the first data set that a branch learns from; None where there is none."""
    loader = config.get("train_dataloader") or {}
    if not branch:
        return loader.get("dataset")
    sources = loader.get("sources", {}).values()
    return next((one["datasets"][branch] for one in sources if branch in one["datasets"]), None)

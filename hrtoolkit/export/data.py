"""The model that somebody exports, and the real images that go with it: those of its own config, or named ones."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from pathlib import Path

from mmengine import Config

from hrtoolkit.checkpoint_files import read_checkpoint
from hrtoolkit.config import load_config
from hrtoolkit.engine.assembly import build_samples
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import configure_test
from hrtoolkit.errors import OptionError, UserError
from hrtoolkit.export.examples import Examples, examples_of_data, examples_of_pictures
from hrtoolkit.files import expand_path, is_checkpoint, is_exported
from hrtoolkit.model import UNNAMED
from hrtoolkit.predict.boxes import BoxesLike
from hrtoolkit.predict.predictor import Predictor, load
from hrtoolkit.predict.sources import Readables
from hrtoolkit.pretrained import find_folder, own_config
from hrtoolkit.schemes import check_same

log = logging.getLogger(__name__)


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
        model: a checkpoint or folder of ours, or with `weights` a config.
        weights: see `hrtoolkit.load`.
        data_root: folder of the config's data.
        overrides: of the config, `a.b=value`.
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
    config = load_config(config, overrides, data_root)
    predictor = load(copy.deepcopy(config), weights, device="cpu", flip=flip, branch=branch)
    if images is not None:
        return predictor, examples_of_pictures(images, boxes, predictor.sees_crops, most), None
    try:
        examples = _data_of(config, predictor, "val", most)
    except UserError as error:
        raise UserError(
            f"{error}\nan export is held against real images: give --data-root for the model's validation data, or "
            "--images for pictures of your own"
        ) from error
    if not calibration:
        return predictor, examples, None
    try:
        return predictor, examples, _data_of(config, predictor, "train", calibration)
    except UserError as error:
        log.warning("the training data cannot be read (%s): int8 is calibrated on the validation images", error)
        return predictor, examples, None


def _data_of(config: Config, predictor: Predictor, name: str, most: int) -> Examples:
    config = copy.deepcopy(config)
    if name == "train":
        loader = config.get("train_dataloader")
        if loader is None:
            raise UserError("its config names no training data")
        config.pop("test_dataloader", None)
        config.val_dataloader = {"dataset": loader["dataset"]}
    config = configure_test(config)
    plan = check_config(config)
    samples = build_samples(plan, ["test"])["test"]
    check_same(samples.scheme, predictor.scheme, f"the {name} data")
    metric = next((part.build() for part in plan.metrics.get("test_evaluator", {}).get(UNNAMED, ())), None)
    return examples_of_data(samples, metric, predictor.sees_crops, most, name)

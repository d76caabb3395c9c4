"""A sheet of pictures of what a network sees of its data, beside what it is asked for."""

from __future__ import annotations

import math

import numpy as np
from mmengine import Config

from hrtoolkit.data.loading import Collate
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.engine.run import Run
from hrtoolkit.errors import UserError
from hrtoolkit.frames import to_input
from hrtoolkit.runtime.drawing import draw, make_sheet
from hrtoolkit.samples import Inputs


def browse(config: Config, split: str = "train", count: int = 16) -> tuple[np.ndarray, int, int]:
    """Draw samples with their annotations, each beside the targets of its head.

    Args:
        config: as loaded.
        split: "train", which is augmented, or "val", which is not.
        count: how many samples, spread over the data.

    Returns:
        the sheet, RGB uint8 [H, W, 3], how many samples it shows, and how many there are.

    Raises:
        UserError: there is nothing to draw.
    """
    loader = config.get(f"{split}_dataloader")
    if not loader or count < 1:
        missing = f"the config has no {split}_dataloader" if not loader else f"--count is {count}"
        raise UserError(f"{missing}: there is nothing to draw")
    run = Run.build(config, check_config(config), (split,))
    branch = run.model.branch()
    view, augmentation = branch.view, run.augmentation if split == "train" else None
    assert view is not None, "the config was checked"
    inputs = Inputs(run.samples[split], view, branch.head.scheme, branch.head.targets, augmentation)
    seed = config.get("seed") or 0
    indices = np.unique(np.linspace(0, len(inputs) - 1, count).round().astype(int)).tolist()
    several = [inputs[SampleKey(index, 1, seed)] for index in indices]
    batch = Collate(view.multiple, view.smallest)(several)
    targets = branch.head.draw_targets(batch["images"], batch["targets"], batch["frames"])
    images = inputs.samples.images
    tiles, captions = [], []
    for one, target in zip(several, targets, strict=True):
        record = to_input(inputs.truth(one.index), one.frame, branch.head.scheme)
        tiles.append(np.hstack([draw(one.pixels.astype(np.uint8), record, branch.head.scheme), target]))
        captions.append(f"{images.caption(inputs.sample_of(one.index))}, sample {one.index}")
    return make_sheet(tiles, columns=math.ceil(math.sqrt(len(tiles))), captions=captions), len(tiles), len(inputs)

"""A sheet of pictures of what a network sees of its data, beside what it is asked for."""

from __future__ import annotations

import math

import numpy as np
from mmengine import Config

from hrtoolkit.data.loading import Collate
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.engine.assembly import Run
from hrtoolkit.engine.check_config import check_config
from hrtoolkit.errors import UserError
from hrtoolkit.frames import to_input
from hrtoolkit.runtime.drawing import draw, make_sheet
from hrtoolkit.samples import Inputs


def browse(
    config: Config, split: str = "train", count: int = 16, branch: str | None = None
) -> tuple[np.ndarray, int, int]:
    """Draw samples with their annotations, each beside the targets of its head.

    Args:
        config: as loaded.
        split: "train", which is augmented, or "val", which is not.
        branch: whose samples, where branches have names; of its first source where it has several.
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
    one = run.model.branch(branch)
    names = run.names(split, branch)
    if not names:
        raise UserError(f"{split}_dataloader has no data of the branch {branch!r}: there is nothing to draw")
    view, head = one.view, one.head
    assert view is not None, "the config was checked"
    augmentation = run.augmentations[run.plan.data[names[0]].name] if split == "train" else None
    inputs = Inputs(run.samples[names[0]], view, head.scheme, head.targets, augmentation)
    seed = config.get("seed") or 0
    indices = np.unique(np.linspace(0, len(inputs) - 1, count).round().astype(int)).tolist()
    several = [inputs[SampleKey(index, 1, seed)] for index in indices]
    batch = Collate(view.multiple, view.smallest)(several)
    targets = head.draw_targets(batch["images"], batch["targets"], batch["frames"])
    images = inputs.samples.images
    tiles, captions = [], []
    for shown, target in zip(several, targets, strict=True):
        record = to_input(inputs.truth(shown.index), shown.frame, head.scheme)
        tiles.append(np.hstack([draw(shown.pixels.astype(np.uint8), record, head.scheme), target]))
        captions.append(f"{images.caption(inputs.sample_of(shown.index))}, sample {shown.index}")
    return make_sheet(tiles, columns=math.ceil(math.sqrt(len(tiles))), captions=captions), len(tiles), len(inputs)

"""How training looks at images: at one of several sizes, and mirrored now and then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Size
from hrtoolkit.ranges import Count, Share
from hrtoolkit.records import Record
from hrtoolkit.registry import AUGMENTATIONS
from hrtoolkit.schemes import Scheme
from hrtoolkit.tasks.detection.views import Fit, FitInside, sides
from hrtoolkit.views import BaseAugmentation, Crop, View


@AUGMENTATIONS.register_module()
class ResizeAugmentation(BaseAugmentation):
    """Draw the size and whether an image is mirrored.

    Args:
        sizes: pairs of a longest and a shortest side, of which each image draws one (multi-scale training); None is the
            size that is tested.
        flip: probability of mirroring.

    Raises:
        OptionError: there is no pair, or it is not two positive numbers.
    """

    views = (FitInside,)

    def __init__(self, sizes: Sequence[tuple[Count, Count]] | None = None, flip: Share = 0.5):
        if sizes is not None and not len(sizes):
            raise OptionError(
                "sizes takes pairs of a longest and a shortest side, got none; leave it out for the view's"
            )
        self.sizes = None if sizes is None else [sides(pair) for pair in sizes]
        self.flip = flip

    def ask(
        self,
        view: View[Fit],
        image_hw: Size,
        truth: Record,
        crop: Crop | None,
        scheme: Scheme,
        rng: np.random.Generator,
    ) -> Fit:
        assert isinstance(view, FitInside)
        sizes = self.sizes or [view.size]
        size = sizes[rng.integers(len(sizes))]
        return Fit(size, bool(rng.random() < self.flip))

"""What changes whole training batches, on their device and after normalisation, built of timm's parts."""

from __future__ import annotations

import torch
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor, nn

from hrtoolkit.data.seeding import global_seed
from hrtoolkit.errors import OptionError
from hrtoolkit.ranges import NotNegative, Share
from hrtoolkit.registry import BATCH_AUGMENTATIONS


@BATCH_AUGMENTATIONS.register_module()
class MixAndErase(nn.Module):
    """Random erasing, then mixup or CutMix of each image with another of the batch, as timm's training script does.

    Zhong et al., arXiv:1708.04896; Zhang et al., arXiv:1710.09412; Yun et al., arXiv:1905.04899.

    Args:
        mixup: alpha of the Beta distribution that mixup draws its shares from; 0 for no mixup.
        cutmix: the same for CutMix.
        switch: probability of CutMix where both are on.
        erase: probability that a rectangle of an image is replaced by noise.

    Raises:
        OptionError: nothing is switched on.
    """

    def __init__(self, *, mixup: NotNegative = 0.0, cutmix: NotNegative = 0.0, switch: Share = 0.5, erase: Share = 0.0):
        super().__init__()
        if not (mixup > 0 or cutmix > 0 or erase > 0):
            raise OptionError("MixAndErase: mixup, cutmix and erase are all 0; leave model.augment out")
        mixes = mixup > 0 or cutmix > 0
        self.mixup = Mixup(mixup, cutmix, switch_prob=switch, label_smoothing=0.0) if mixes else None
        self.erase = RandomErasing(erase, mode="pixel") if erase > 0 else None

    def forward(self, images: Tensor, targets: dict[str, Tensor], seed: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Change images [B, 3, H, W] in place; where they are mixed, `targets` get `mixing`.

        Args:
            images: normalised.
            targets: handed on, with `mixing` [B, B]: the share of each image (column) in each mixed one (row).
            seed: from which everything random here follows.
        """
        with global_seed(seed, images.device):
            if self.erase is not None:
                self.erase.device = images.device
                images = self.erase(images)
            if self.mixup is None:
                return images, targets
            # timm mixes pairs: the last image of an odd batch stays as it is.
            even = len(images) // 2 * 2
            mixing = torch.eye(len(images), device=images.device)
            if even:
                # Asked for the targets of "classes" 0, 1, 2, ... it tells what was mixed with what.
                self.mixup.num_classes = even
                _, mixing[:even, :even] = self.mixup(images[:even], torch.arange(even, device=images.device))
        return images, {**targets, "mixing": mixing}

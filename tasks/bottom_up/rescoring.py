"""DEKR's rescoring net: how good a pose is, by its shape and the scores of its joints (arXiv:2104.02300, Sec. 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrtoolkit.errors import OptionError

# What features are made of, in the order of the published weights; by the number of joints.
COCO_LINKS = (
    *((0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (5, 11), (6, 8), (6, 12), (7, 9)),
    *((8, 10), (11, 12), (11, 13), (12, 14), (13, 15), (14, 16)),
)
CROWDPOSE_LINKS = (
    *((12, 13), (13, 0), (13, 1), (0, 2), (1, 3), (2, 4), (3, 5), (0, 6), (1, 7), (6, 8), (7, 9), (8, 10), (9, 11)),
    *((6, 7), (0, 1)),
)
LINKS = {17: COCO_LINKS, 14: CROWDPOSE_LINKS}
# Their mean length is what lengths are divided by: shoulder to hip of COCO. Of CrowdPose that are two links of the left
# leg, which nobody can have meant, but with which the weights were trained.
NORMS = (9, 11)


class RescoringNet(nn.Module):
    """What the score of a pose is multiplied by; 1 until weights are loaded.

    Args:
        joints: 17 of COCO or 14 of CrowdPose.

    Raises:
        OptionError: of other joints no weights are known.
    """

    links: Tensor

    def __init__(self, joints: int):
        super().__init__()
        if joints not in LINKS:
            raise OptionError(
                f"rescore: knows the 17 joints of COCO and the 14 of CrowdPose, got {joints}; leave it out"
            )
        links = LINKS[joints]
        self.register_buffer("links", torch.tensor(links), persistent=False)
        self.l1 = nn.Linear(3 * len(links) + joints, 256)
        self.l2 = nn.Linear(256, 256)
        self.l3 = nn.Linear(256, 1)
        nn.init.zeros_(self.l3.weight)
        nn.init.ones_(self.l3.bias)
        self.requires_grad_(False)  # it is trained by itself, on poses that were found

    def forward(self, points: Tensor, scores: Tensor) -> Tensor:
        """One number a pose.

        Args:
            points: [..., K, 2] in pixels.
            scores: [..., K] of the joints.
        """
        return self.l3(F.relu(self.l2(F.relu(self.l1(self.describe(points, scores)))))).squeeze(-1)

    def describe(self, points: Tensor, scores: Tensor) -> Tensor:
        """What the net sees: links (x, y) and their lengths, by the size of the pose, and the scores of the joints."""
        vectors = points[..., self.links[:, 0], :] - points[..., self.links[:, 1], :]
        lengths = vectors.norm(dim=-1)
        size = lengths[..., NORMS].mean(-1, keepdim=True).clamp(min=1)
        return torch.cat([vectors.flatten(-2) / size, lengths / size, scores], dim=-1)

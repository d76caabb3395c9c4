"""Small frozen records that tasks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class KeypointLayout:
    """Names, mirror partners and tolerances of one keypoint annotation scheme; indices always follow from names.

    Args:
        names: one unique name a keypoint, in channel order.
        mirrored: pairs of names that change places when the image is mirrored.
        skeleton: pairs of names that a picture joins by a line.
        sigmas: OKS fall-off of each keypoint, as a fraction of the square root of the object's area (COCO's
            definition, without its factor two).
        upper_body: names of the keypoints that half-body augmentation may keep; the others are the lower body.
            Empty where the scheme knows no such halves.
        nme_reference: what a normalised mean error divides distances by: two names for the distance between them, or
            "box" for the side of the object's box. Empty where nothing is said.

    Raises:
        ValueError: a name is repeated or unknown, a keypoint has two partners, or `sigmas` or `nme_reference` has
            another length.
    """

    names: tuple[str, ...]
    mirrored: tuple[tuple[str, str], ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    sigmas: tuple[float, ...] = ()
    upper_body: tuple[str, ...] = ()
    nme_reference: tuple[str, ...] | Literal["box"] = ()

    def __post_init__(self):
        # Configs and json files bring lists; a frozen record holds tuples.
        for field in ("names", "sigmas", "upper_body"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if self.nme_reference != "box":
            if isinstance(self.nme_reference, str) or len(set(self.nme_reference)) not in (0, 2):
                raise ValueError(
                    f"keypoint layout: nme_reference is {self.nme_reference!r}, expected two names, or 'box'"
                )
            object.__setattr__(self, "nme_reference", tuple(self.nme_reference))
        for field in ("mirrored", "skeleton"):
            object.__setattr__(self, field, tuple((str(a), str(b)) for a, b in getattr(self, field)))
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if not self.names or repeated:
            raise ValueError(f"a keypoint layout needs unique names, got {list(self.names)} (repeated: {repeated})")
        partners = [name for pair in self.mirrored for name in pair]
        reference = () if self.nme_reference == "box" else self.nme_reference
        used = {*partners, *(name for line in self.skeleton for name in line), *self.upper_body, *reference}
        if unknown := sorted(used - set(self.names)):
            raise ValueError(f"keypoint layout: {unknown} are not among its names {list(self.names)}")
        if twice := sorted({name for name in partners if partners.count(name) > 1}):
            raise ValueError(f"keypoint layout: {twice} stand in more than one mirrored pair")
        if self.sigmas and len(self.sigmas) != len(self.names):
            raise ValueError(f"keypoint layout: {len(self.sigmas)} sigmas for {len(self.names)} keypoints")

    def flip_order(self) -> list[int]:
        """Index of the mirror partner of each keypoint; a keypoint without a partner is its own."""
        partner = {a: b for pair in self.mirrored for a, b in (pair, pair[::-1])}
        return [self.names.index(partner.get(name, name)) for name in self.names]

    def skeleton_indices(self) -> list[tuple[int, int]]:
        """The lines of the skeleton as pairs of indices."""
        return [(self.names.index(a), self.names.index(b)) for a, b in self.skeleton]

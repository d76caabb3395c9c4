"""From the poses of one image to its people: rescored, without duplicates, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hrtoolkit.errors import OptionError
from hrtoolkit.frames import Settings
from hrtoolkit.ranges import Share
from hrtoolkit.records import Objects, Record, join
from hrtoolkit.registry import FINISHES
from hrtoolkit.runtime.oks import oks_nms, pairwise_oks, rescore, soft_oks_nms
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.people import with_sigmas


@FINISHES.register_module()
class PoseFinish:
    """The people of one image: rescored, without duplicates, best first.

    Args:
        scheme: of the keypoints.
        keypoint_threshold: scores of keypoints up to this one do not count in the score of a person.
        nms: how several poses of the same person are treated: "oks" removes them, "soft" lowers their scores and keeps
            20 people, None leaves them.
        nms_threshold: threshold of `oks_nms` or `soft_oks_nms`.
        score: what ranks the people: "box_keypoint" is `rescore`, "box" the score of the box, or of who was found
            without one, as it is, "keypoint" the mean of all keypoint scores.

    Raises:
        OptionError: an unknown `nms` or `score`.
    """

    def __init__(
        self,
        *,
        scheme: KeypointScheme,
        keypoint_threshold: Share = 0.2,
        nms: Literal["oks", "soft"] | None = "oks",
        nms_threshold: Share = 0.9,
        score: Literal["box_keypoint", "box", "keypoint"] = "box_keypoint",
    ):
        for name, value, choices in (
            ("nms", nms, ("oks", "soft", None)),
            ("score", score, ("box_keypoint", "box", "keypoint")),
        ):
            if value not in choices:
                raise OptionError(f"PoseFinish: {name} is {value!r}, expected one of {choices}")
        self.sigmas = np.array(with_sigmas(scheme).sigmas)
        self.keypoint_threshold = keypoint_threshold
        self.nms = nms
        self.nms_threshold = nms_threshold
        self.score = score

    def of_scheme(self, scheme: KeypointScheme) -> PoseFinish:
        """The same for people with these keypoints."""
        options = {name: value for name, value in vars(self).items() if name != "sigmas"}
        return PoseFinish(scheme=scheme, **options)

    def portable(self) -> Settings:
        """What `hrtoolkit.runtime` needs to finish records in the same way."""
        return {"type": type(self).__name__, **vars(self), "sigmas": self.sigmas.tolist()}

    def __call__(self, records: Sequence[Record]) -> Objects:
        """Finish the people of an image, whose scores are those of their boxes and whose areas those of their crops."""
        people = join(records)
        assert isinstance(people, Objects) and people.point_scores is not None
        scores = np.asarray(people.scores, np.float64)
        if self.score == "box_keypoint":
            scores = rescore(scores, people.point_scores, self.keypoint_threshold)
        elif self.score == "keypoint":
            scores = people.point_scores.astype(np.float64).mean(axis=1)
        order = np.argsort(-scores, kind="stable")
        scores = scores[order]
        if self.nms is not None:
            assert people.points is not None and people.areas is not None
            oks = pairwise_oks(people.points[order], people.areas[order], self.sigmas)
            if self.nms == "soft":
                kept, scores = soft_oks_nms(scores, oks, self.nms_threshold)
            else:
                kept = oks_nms(scores, oks, self.nms_threshold)
                scores = scores[kept]
            order = order[kept]
        return people.select(order)._replace(scores=scores)

"""Everybody in an image by associative embedding: heatmaps of joints, and tags that say which are of one person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from .candidates import Candidates, find_candidates
from .enlarged import Enlarged
from .filling import find_steps, search_missing
from .grouping import group


def find_people(
    outputs: Mapping[str, ndarray], size_hw: tuple[int, int], settings: Mapping[str, Any]
) -> tuple[ndarray, ndarray, ndarray]:
    """The people of one image, best first.

    Args:
        outputs: `heatmaps` [K, h, w], and `tags` [K, T, h, w], of which T are compared. Heatmaps may have the size of
            the input instead. Where candidates were found already there are `cells`, `values` and `candidate_tags`, see
            `candidates.Candidates`.
        size_hw: of the input without a batch's padding.
        settings: `stride` of the tags; `threshold` from which a peak is a joint; `fill`: joints that were not found are
            looked for by their tags, and taken where the heatmap is above this, None leaves them out; and `most`: how
            many people there are at most.

    Returns:
        points [N, K, 2] (x, y) in input pixels, how high the heatmaps are there [N, K], and scores [N], means of what
        was found of a person before it was filled. A joint that is not found at all has 0 and lies in the middle of the
        others.
    """
    stride, threshold, most = settings["stride"], settings["threshold"], settings["most"]
    tag_maps = outputs["tags"].reshape(-1, *outputs["tags"].shape[-2:])
    factor = tag_maps.shape[-2] * stride // outputs["heatmaps"].shape[-2]
    heatmaps, tags = Enlarged(outputs["heatmaps"], factor, size_hw), Enlarged(tag_maps, stride, size_hw)
    if "cells" in outputs:
        candidates = Candidates(*(outputs[name] for name in ("cells", "values", "candidate_tags")))
    else:
        candidates = find_candidates(heatmaps, tags, threshold, most)
    cells, values, own_tags = candidates
    there = (values > threshold) & np.isfinite(values) & np.isfinite(own_tags).all(axis=-1)
    members = group(values, own_tags, there, most)  # [N, K], -1 for none
    joints = np.arange(members.shape[1])
    scores = np.where(members >= 0, values[joints, members], 0).mean(axis=1)
    best = np.argsort(-scores, kind="stable")[:most]
    members, scores = members[best], scores[best]
    found = members >= 0
    heights = np.where(found, values[joints, members], 0)
    places = cells[joints, members]  # [N, K, 2]
    if settings["fill"] is not None and not found.all():
        means = np.where(found[..., None], own_tags[joints, members], 0).sum(axis=1) / found.sum(axis=1)[:, None]
        people, missing = np.nonzero(~found)
        places[people, missing], heights[people, missing] = search_missing(heatmaps, tags, missing, means[people])
        found |= heights > settings["fill"]
        heights = np.where(found, heights, 0)
    points = places + 0.5 + 0.25 * find_steps(heatmaps, joints, places)
    middle = np.where(found[..., None], points, 0).sum(axis=1, keepdims=True) / found.sum(axis=1)[:, None, None]
    return np.where(found[..., None], points, middle), heights, scores

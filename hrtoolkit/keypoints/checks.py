"""What can be wrong with keypoint files of any task; every fault becomes a finding with the first records that have it.

Tolerances were set on COCO 2017, whose annotations are not perfect either: its own files give notes, no warnings.
"""

from __future__ import annotations

import numpy as np

from hrtoolkit.data.coco import FAULTS, Annotations, Faults, Images, pack_key, unpack_keys
from hrtoolkit.findings import Findings
from hrtoolkit.runtime.sides import partners_by_name
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.schemes.known import find_data_sets

SAMPLED = 20_000  # people that statistics look at
FEW = 30  # labelled pairs are too few for statistics
ASYMMETRY = 0.4  # mean distance between a keypoint and its partner's mirror image, in its deviations,
CERTAINTY = 4.5  # and in standard errors of that mean


def check_images(images: Images, findings: Findings) -> None:
    """Find repeated ids and file names, and sizes of zero."""
    ids = unpack_keys(images.ids)
    findings.add(
        "stop",
        "images with the id of another one",
        ids[_repeated(images.ids)],
        "annotations would land in the wrong picture; give every image an id of its own",
    )
    findings.add(
        "warning",
        "images listed again under another id",
        ids[_repeated(images.names)],
        "people in them are trained on and counted more than once; list each file once",
    )
    findings.add(
        "stop",
        "images whose `width` or `height` is not above 0",
        ids[~((images.sizes > 0) & (images.sizes < np.inf)).all(axis=1)],
        "boxes cannot be cut to the image; write the true size",
    )


def find_owners(
    images: Images, annotations: Annotations, category_ids: list, findings: Findings, faults: Faults = "stop"
) -> np.ndarray:
    """Look up the image of every annotation by its position [A], -1 where the file lists none; check ids on the way.

    Args:
        images: of the file.
        annotations: of the file.
        category_ids: ids that the file's categories have.
        findings: gets what is wrong.
        faults: whether annotations of what is not listed stop training.
    """
    owners = look_up(annotations.image_ids, images.ids)
    categories = np.array([pack_key(category_id) for category_id in category_ids])
    for what, named, listed, faulty in (
        ("image", annotations.image_ids, images.ids, owners < 0),
        ("category", annotations.category_ids, categories, ~np.isin(annotations.category_ids, categories)),
    ):
        rows = np.flatnonzero(faulty)
        records = [f"annotation {annotations.ids[row]} of {what} {named[row].decode()}" for row in rows]
        spelled = np.isin(np.array([_spell_otherwise(named[row]) for row in rows], np.bytes_), listed)
        findings.add(
            FAULTS[faults][0],
            f"annotations whose `{what}_id` is a text where the file's {what} has a number, or the other way round",
            [record for record, other in zip(records, spelled, strict=True) if other],
            "a text is not the number that it spells; write both alike",
        )
        findings.add(
            FAULTS[faults][0],
            f"annotations of {'an' if what == 'image' else 'a'} {what} that the file does not list",
            [record for record, other in zip(records, spelled, strict=True) if not other],
            FAULTS[faults][1],
        )
    again = _repeated(annotations.ids)
    findings.add(
        "warning",
        "annotations with the id of another one",
        annotations.ids[again],
        "the scores here do not depend on it, but pycocotools by itself keeps only one of them; number them anew",
    )
    findings.add(
        "warning",
        "annotations with the id 0",
        annotations.ids[annotations.ids == 0] if annotations.ids.dtype.kind == "i" else (),
        "pycocotools by itself never counts it as matched (the scores here number annotations anew); count from 1",
    )
    return owners


def _spell_otherwise(key: bytes) -> bytes:
    """The number of a text, or the text of a number."""
    return key[1:-1] if key.startswith(b'"') else b'"%s"' % key


def check_lengths(
    annotations: Annotations, chosen: np.ndarray, scheme: KeypointScheme, findings: Findings, faults: Faults = "stop"
) -> np.ndarray:
    """Find annotations that have another number of keypoints than there are names; none at all is fine.

    Args:
        annotations: of the file.
        chosen: [A] bool, whose keypoints.
        scheme: K names.
        findings: gets what is wrong.
        faults: whether they stop training.

    Returns:
        [A] bool, which are wrong.
    """
    ids, lengths, count = annotations.ids, annotations.lengths, len(scheme.names)
    wrong = chosen & (lengths > 0) & (lengths != 3 * count)
    found = np.unique(lengths[wrong])
    remedy = FAULTS[faults][1]
    if len(found) == 1 and found[0] % 3 == 0:
        remedy = (
            f"{count} names are known from the file or the dataset's `scheme`; name those {found[0] // 3} in the order "
            "of the file, as in scheme=dict(names=[...])"
        )
        known = find_data_sets(count=found[0] // 3)
        if known:
            remedy += f", or take a config of {' or '.join(known)}, which has as many"
    findings.add(
        FAULTS[faults][0],
        f"annotations without {count} keypoints of x, y and visibility",
        [f"annotation {a} has {n / 3:g}" for a, n in zip(ids[wrong].tolist(), lengths[wrong].tolist(), strict=True)],
        remedy,
    )
    return wrong


def unpack_keypoints(annotations: Annotations, chosen: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Take the keypoints of the chosen annotations [A] that have `count` of them.

    Returns:
        positions [N] of these annotations, and their keypoints [N, K, 3] (x, y, visibility).
    """
    complete = chosen & (annotations.lengths == 3 * count)
    keypoints = annotations.keypoints
    if not complete.all():  # of a million people no copy is made without need
        keypoints = keypoints[np.repeat(complete, annotations.lengths)]
    return np.flatnonzero(complete), keypoints.reshape(-1, count, 3)


def check_points(keypoints: np.ndarray, image_wh: np.ndarray, names: np.ndarray, findings: Findings) -> bool:
    """Find labelled keypoints at exactly (0, 0), and in fractions of the image; what most have stops training.

    Args:
        keypoints: [P, K, 3] (x, y, visibility), as the file has them.
        image_wh: [P, 2] of their images.
        names: [P] what messages call them.
        findings: gets what is wrong.

    Returns:
        whether the keypoints mean what they should, as far as can be told.
    """
    labelled, points = keypoints[..., 2] > 0, keypoints[..., :2]
    seen = np.any(labelled, axis=1)
    origin = np.any(labelled & (points == 0).all(axis=-1), axis=1)
    findings.add(
        "stop" if are_most(origin, seen) else "warning",
        "annotations with labelled keypoints at exactly (0, 0)",
        names[origin],
        "they are learnt there; write the visibility 0 where nothing is labelled",
    )
    inside = np.where(labelled[..., None], points, 0)
    fractions = seen & ((inside >= 0) & (inside <= 1)).all(axis=(1, 2)) & ~(inside == 0).all(axis=(1, 2))
    fractions &= (image_wh > 2).all(axis=1)
    if are_most(fractions, seen):
        remedy = "keypoints are in pixels; multiply by the image's width and height"
        findings.add("stop", "keypoints that look like fractions of the image (0 to 1)", names[fractions], remedy)
    return not (are_most(fractions, seen) or are_most(origin, seen))


def are_most(which: np.ndarray, among: np.ndarray) -> bool:
    """Whether records are more than half of some, and more than one: what most have wrong has one cause."""
    count = (which & among).sum()
    return count > 1 and count > 0.5 * among.sum()


def check_pairs(scheme: KeypointScheme, findings: Findings) -> None:
    """Find keypoints whose mirror partner is missing or odd.

    Args:
        scheme: of the dataset.
        findings: gets what is wrong.
    """
    paired = {name for pair in scheme.mirrored for name in pair}
    pairs, alone = partners_by_name(scheme.names)
    stated = {frozenset(pair) for pair in scheme.mirrored}
    split = [f"{a} and {b}" for a, b in pairs if frozenset((a, b)) not in stated]
    remedy = (
        "mirroring confuses them; state the pairs in the dataset's scheme, as in scheme=dict(mirrored=[(a, b), ...])"
    )
    findings.add("warning", "keypoints that are left and right by name, but no mirrored pair", split, remedy)
    findings.add(
        "warning",
        "keypoints that tell a side by name, but have no mirror partner",
        [name for name in alone if name not in paired],
        remedy,
    )


def check_symmetry(keypoints: np.ndarray, visible: np.ndarray, scheme: KeypointScheme, findings: Findings) -> None:
    """Find, by statistics over people, mirrored pairs that are none and pairs in which left and right are exchanged.

    A mirrored set of people should look like the set itself. So each keypoint should on average lie where its mirror
    partner lies in the mirrored person, measured from the mean of the labelled keypoints in units of their spread.
    And whether left lies to the right of right (a person who faces the camera) should be the same for all pairs of a
    person.

    Args:
        keypoints: [N, K, 2] (x, y).
        visible: [N, K], above 0 where labelled.
        scheme: names the pairs.
        findings: gets what is wrong.
    """
    if len(keypoints) > SAMPLED:
        chosen = np.sort(np.random.default_rng(0).choice(len(keypoints), SAMPLED, replace=False))
        keypoints, visible = keypoints[chosen], visible[chosen]
    labelled = visible > 0
    points = np.where(labelled[..., None], keypoints, np.nan).astype(np.float64)
    enough = labelled.sum(axis=1) >= 3
    points = points[enough]
    if len(points) < FEW:
        return
    points -= np.nanmean(points, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean((points**2).sum(axis=-1), axis=1))
    points = points[spread > 0] / spread[spread > 0][:, None, None]
    order = scheme.flip_order()
    counts = np.isfinite(points[..., 0]).sum(axis=0)
    with np.errstate(all="ignore"):  # a keypoint that nobody has gives NaN, which is not above anything
        mean = np.nansum(points, axis=0) / counts[:, None]
        variance = np.nansum((points - mean) ** 2, axis=0) / counts[:, None]
        difference = np.abs(mean - mean[order] * [-1, 1])
        deviation = np.sqrt((variance + variance[order]) / 2)
        error = np.sqrt(variance / counts[:, None] + variance[order] / counts[order][:, None])
        odd = ((difference > ASYMMETRY * deviation) & (difference > CERTAINTY * error)).any(axis=1)
    odd &= np.minimum(counts, counts[order]) >= FEW
    names = [(scheme.names[k], scheme.names[order[k]]) for k in np.flatnonzero(odd) if k <= order[k]]
    findings.add(
        "warning",
        "keypoints that do not look mirrored in mirrored data",
        [f"{a} and {b}" if a != b else f"{a}, which has no partner" for a, b in names],
        "pairs in the scheme's `mirrored` may be wrong or missing, unless everybody faces the same way; look at the "
        "pictures of tools/browse_data.py",
    )

    if len(scheme.mirrored) < 3:
        return
    first, second = np.array([[scheme.names.index(name) for name in pair] for pair in scheme.mirrored]).T
    side = np.nan_to_num(np.sign(points[:, first, 0] - points[:, second, 0]))
    others = np.sign(side.sum(axis=1, keepdims=True) - side)
    told = (side != 0) & (others != 0)
    with np.errstate(invalid="ignore"):
        agreement = ((side == others) & told).sum(axis=0) / told.sum(axis=0)
    exchanged = (told.sum(axis=0) >= FEW) & (agreement < 0.35)
    findings.add(
        "warning",
        "pairs in which left and right look exchanged, judged by the other pairs",
        [f"{a} and {b}" for (a, b), is_odd in zip(scheme.mirrored, exchanged, strict=True) if is_odd],
        "compare the order of the names with the file's keypoints; `mirrored` names the same side first in every pair",
    )


def look_up(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Position of the first of `ids` [M] that equals each of `values` [N]; -1 where there is none."""
    if not len(ids) or not len(values) or ids.dtype.kind != values.dtype.kind:
        return np.full(len(values), -1)
    order = np.argsort(ids, kind="stable")
    found = order[np.minimum(np.searchsorted(ids, values, sorter=order), len(ids) - 1)]
    return np.where(ids[found] == values, found, -1)


def _repeated(values: np.ndarray) -> np.ndarray:
    """Positions of all but the first of equal values."""
    first = np.zeros(len(values), dtype=bool)
    first[np.unique(values, return_index=True)[1]] = True
    return np.flatnonzero(~first)

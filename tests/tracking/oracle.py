"""Scores of tracking and smoothing filters, as slow and as plain as can be: loops and dictionaries.

Each function is one rule of the original codes (poseval 4258a15 with motmetrics 1.4.0, PoseTrack21 3e61960, TrackEval
1.3.0), written from a description of what they do and independently of `hrtoolkit.tracking`, which is compared with it.
A person is a dictionary of keypoints: who lacks one has no entry of that name.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import dist, exp, hypot, inf, nan, pi, sqrt
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

Point = tuple[float, float]
LIMIT = 0.5  # the largest distance of a match, in head sizes; reaching it is enough
THRESHOLDS = [float(value) for value in np.arange(0.05, 0.99, 0.05)]
EPSILON = float(np.finfo(float).eps)


class Person(NamedTuple):
    """Somebody in a frame: where which keypoints are, their scores, and the diagonal of the head's box in pixels."""

    id: int
    points: Mapping[str, Point]
    scores: Mapping[str, float] = {}
    head: float = nan


class Frame(NamedTuple):
    """An image of a video: who is there, who was found, regions to ignore, and whether it is labelled."""

    truth: Sequence[Person]
    found: Sequence[Person]
    regions: Sequence[Sequence[Point]] = ()
    labelled: bool = True


# ----------------------------------------------------------------------------------------------------------------------
# What both codes of PoseTrack share


def is_inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Whether a point lies strictly inside by the rule of even and odd; who is on an edge or a corner is not."""
    x, y = point
    crossings = 0
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if side == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return False
        # A ray to the right meets an edge that begins on one side of it and ends on the other.
        crossings += (ay > y) != (by > y) and (side > 0) == (by > ay)
    return crossings % 2 == 1


def without_ignored(person: Person, regions: Sequence[Sequence[Point]]) -> Person:
    """Somebody without the keypoints that lie in a region."""
    points = {name: point for name, point in person.points.items() if not any(is_inside(point, one) for one in regions)}
    return person._replace(points=points)


def distance(found: Person, truth: Person, joint: str) -> float:
    """How far a keypoint is from its truth, in head sizes (0.6 of the diagonal).

    It is infinite where one of them lacks the keypoint, and where the head has no size.
    """
    if joint not in found.points or joint not in truth.points or not truth.head > 0:
        return inf
    (x, y), (other_x, other_y) = found.points[joint], truth.points[joint]
    return sqrt((x - other_x) ** 2 + (y - other_y) ** 2) / (0.6 * truth.head)


# ----------------------------------------------------------------------------------------------------------------------
# poseval


def poseval_frames(video: Sequence[Frame]) -> list[Frame]:
    """The frames that count: those with somebody in the truth, labelled or not, without what is to be ignored.

    In a frame with regions whoever has no keypoint left is dropped; the frame stays though nobody may be left.
    """
    kept = []
    for frame in video:
        if not frame.truth:
            continue
        if frame.regions:
            truth, found = (
                [person for person in (without_ignored(one, frame.regions) for one in people) if person.points]
                for people in (frame.truth, frame.found)
            )
            frame = frame._replace(truth=truth, found=found)
        kept.append(frame)
    return kept


def pair_people(frame: Frame, joints: Sequence[str]) -> dict[int, int]:
    """Which prediction belongs to which truth, by places.

    A prediction wants the person of whose labelled keypoints it has most right; a person takes the best of those that
    want it. The first wins a tie, and who is turned away gets nobody.
    """
    wanted, best = {}, {}
    for place, found in enumerate(frame.found):
        for other, truth in enumerate(frame.truth):
            hits = sum(distance(found, truth, joint) <= LIMIT for joint in joints)
            share = hits / max(1, len(truth.points))
            if share > best.get(place, 0):
                wanted[place], best[place] = other, share
    pairs = {}
    for other in range(len(frame.truth)):
        candidates = [place for place in wanted if wanted[place] == other]
        if candidates:
            pairs[max(candidates, key=lambda place: (best[place], -place))] = other
    return pairs


def poseval_ap(
    videos: Sequence[Sequence[Frame]], joints: Sequence[str], corrected: bool = False
) -> dict[str, list[float]]:
    """Average precision, precision and recall of each keypoint in percent, and their totals last.

    Among equal scores the later entry comes first; the original leaves that to the processor. Of a keypoint that is
    neither labelled nor predicted all three are 0, and count in the totals; corrected, keypoints that are never
    labelled are left out.
    """
    entries, labelled = defaultdict(list), Counter()
    for frame in (one for video in videos for one in poseval_frames(video)):
        pairs = pair_people(frame, joints)
        for truth in frame.truth:
            labelled.update(list(truth.points))
        for place, found in enumerate(frame.found):
            for joint in found.points:
                hit = place in pairs and distance(found, frame.truth[pairs[place]], joint) <= LIMIT
                entries[joint].append((found.scores[joint], len(entries[joint]), hit))
    numbers = {"ap": [], "precision": [], "recall": []}
    for joint in joints:
        ranked = [hit for _, _, hit in sorted(entries[joint], reverse=True)]
        ap, precision, recall = _area(ranked, labelled[joint])
        if corrected and not labelled[joint]:
            ap, precision, recall = nan, nan, nan
        numbers["ap"].append(100 * ap)
        numbers["precision"].append(100 * precision)
        numbers["recall"].append(100 * recall)
    return {name: [*values, _mean_of_known(values)] for name, values in numbers.items()}


def _area(ranked: Sequence[bool], labelled: int) -> tuple[float, float, float]:
    """The area under precision by recall, and both at the end of the list."""
    if not ranked:
        return 0.0, 0.0, 0.0
    hits, curve = 0, []
    for place, hit in enumerate(ranked, start=1):
        hits += hit
        curve.append((hits / labelled if labelled else nan, hits / place))
    area, before = 0.0, 0.0
    for place, (recall, _) in enumerate(curve):
        area += (recall - before) * max(precision for _, precision in curve[place:])
        before = recall
    return area, curve[-1][1], curve[-1][0]


def poseval_mota(
    videos: Sequence[Sequence[Frame]], joints: Sequence[str], corrected: bool = False
) -> dict[str, list[float]]:
    """Counts and scores of tracking for each keypoint, totals of the scores last.

    Every video has a memory of its own, and its last frame is left out. A frame without anybody in the truth or among
    the predictions counts a miss, a false positive and an object for each keypoint. Corrected, the last frame and all
    that is missed or false in such a frame count.
    """
    counts = {joint: Counter() for joint in joints}
    for video in videos:
        frames = poseval_frames(video)[: None if corrected else -1]
        for joint in joints:
            partners: dict[int, int] = {}
            for frame in frames:
                if corrected or (frame.truth and frame.found):
                    counts[joint].update(_track_joint(frame, joint, partners))
                else:
                    counts[joint].update(misses=1, false_positives=1, objects=1)
    return _clear_numbers([counts[joint] for joint in joints])


def _clear_numbers(counts: Sequence[Counter]) -> dict[str, list[float]]:
    """Counts of each keypoint as numbers, and the scores from them."""
    names = ("misses", "switches", "false_positives", "objects", "matches")
    numbers = {name: [one[name] for one in counts] for name in names}
    scores = {"mota": [], "motp": [], "precision": [], "recall": []}
    for one in counts:
        errors = one["misses"] + one["switches"] + one["false_positives"]
        scores["mota"].append(100 * (1 - _ratio(errors, one["objects"])))
        scores["motp"].append(100 * (1 - one["distances"] / one["matches"]) if one["matches"] else 0.0)
        scores["precision"].append(100 * _ratio(one["matches"], one["matches"] + one["false_positives"]))
        scores["recall"].append(100 * _ratio(one["matches"], one["objects"]))
    return numbers | {name: [*values, _mean_of_known(values)] for name, values in scores.items()}


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else nan


def _mean_of_known(values: Sequence[float]) -> float:
    known = [value for value in values if value == value]
    return fmean(known) if known else nan


def _track_joint(frame: Frame, joint: str, partners: dict[int, int]) -> Counter:
    """What a frame adds for one keypoint; `partners` says whom each truth was matched with last, and is written on.

    First each truth keeps its partner where it is near enough, whoever lies nearer; the others are assigned so that as
    many as possible have a partner, at the smallest sum of distances.
    """
    truth = [one for one in frame.truth if joint in one.points]
    found = [one for one in frame.found if joint in one.points]
    free = list(range(len(found)))
    matches = {}
    for row, one in enumerate(truth):
        for column in free:
            if found[column].id == partners.get(one.id) and distance(found[column], one, joint) <= LIMIT:
                matches[row] = column
                free.remove(column)
                break
    costs = np.full((len(truth), len(found)), inf)
    for row in set(range(len(truth))) - set(matches):
        for column in free:
            gap = distance(found[column], truth[row], joint)
            costs[row, column] = gap if gap <= LIMIT else inf
    added = Counter(objects=len(truth))
    for row, column in assign(costs).items():
        last = partners.get(truth[row].id)
        added["switches"] += last is not None and last != found[column].id
        matches[row] = column
    for row, column in matches.items():
        partners[truth[row].id] = found[column].id
        added["distances"] += distance(found[column], truth[row], joint)
    added.update(matches=len(matches), misses=len(truth) - len(matches), false_positives=len(found) - len(matches))
    return added


def assign(costs: np.ndarray) -> dict[int, int]:
    """Pairs of rows and columns of the smallest total cost among those with most pairs; infinite costs are none."""
    allowed = np.isfinite(costs)
    if not allowed.any():
        return {}
    # Dearer than all that is allowed together, so that one pair more is always worth it.
    filled = np.where(allowed, costs, 2 * min(costs.shape) * (np.abs(costs[allowed]).max() + 1) + 1)
    pairs = zip(*linear_sum_assignment(filled), strict=True)
    return {int(row): int(column) for row, column in pairs if allowed[row, column]}


# ----------------------------------------------------------------------------------------------------------------------
# HOTA


class Level(NamedTuple):
    """What HOTA says of one threshold of similarity: counts, and means over the hits by name."""

    hits: int
    missed: int
    false: int
    shares: Mapping[str, float]


def point_similarity(found: Person, truth: Person, joint: str) -> float:
    """1 in the same place, 0 from half a head size."""
    return max(0.0, 1 - distance(found, truth, joint) / 0.5001)


def posetrack21_frames(video: Sequence[Frame]) -> list[Frame]:
    """The labelled frames, with the keypoints whose x and y are above 0 and that no region covers.

    Who has no such keypoint is not there.
    """
    frames = []
    for frame in video:
        if frame.labelled:
            truth, found = ([_positive(one, frame.regions) for one in people] for people in frame[:2])
            truth, found = ([one for one in people if one.points] for people in (truth, found))
            frames.append(frame._replace(truth=truth, found=found))
    return frames


def _positive(person: Person, regions: Sequence[Sequence[Point]]) -> Person:
    points = without_ignored(person, regions).points
    return person._replace(points={name: point for name, point in points.items() if min(point) > 0})


def posetrack21_levels(frames: Sequence[Frame], joint: str, corrected: bool) -> list[Level]:
    """One keypoint in the frames of a video that count, at each threshold.

    In each frame pairs have the largest sum of similarities. As published, a frame without anybody in the truth adds
    the false positives of the whole video, and one without predictions its misses.
    """
    has = [
        tuple([one for one in side if joint in one.points] for side in (frame.truth, frame.found)) for frame in frames
    ]
    lengths = [Counter(one.id for sides in has for one in sides[side]) for side in (0, 1)]
    objects = predictions = 0
    pairs = []
    for frame, (truth, found) in zip(frames, has, strict=True):
        if not corrected and not frame.truth:
            predictions += lengths[1].total()
        elif not corrected and not frame.found:
            objects += lengths[0].total()
        else:
            table = np.array([[point_similarity(other, one, joint) for other in found] for one in truth])
            for row, column in assign(-table).items() if table.size else ():
                pairs.append((truth[row].id, found[column].id, float(table[row, column])))
            objects += len(truth)
            predictions += len(found)
    return _levels(pairs, objects, predictions, *lengths)


def _levels(
    pairs: Sequence[tuple[int, int, float]], objects: int, predictions: int, truth: Counter, found: Counter
) -> list[Level]:
    """Each threshold by itself: pairs that reach it are hits, and who is in none of them is missed or false.

    Args:
        pairs: ids and similarities of all frames in the order of time.
        objects: how many there are to be found in all frames together.
        predictions: how many were found.
        truth: in how many frames each id of the truth is.
        found: in how many frames each id is that was found.
    """
    levels = []
    for threshold in THRESHOLDS:
        hits = [pair for pair in pairs if pair[2] >= threshold - EPSILON]
        sums = _associate([pair[:2] for pair in hits], truth, found)
        shares = {name: value / max(1, len(hits)) for name, value in sums.items()}
        shares["LocA"] = fmean(pair[2] for pair in hits) if hits else 1.0
        levels.append(Level(len(hits), objects - len(hits), predictions - len(hits), shares))
    return levels


def _associate(hits: Sequence[tuple[int, int]], truth: Counter, found: Counter) -> dict[str, float]:
    """Sums over hits of how far the two tracks of each go together; FragA goes as far as the same pair runs on."""
    runs: dict[tuple[int, int], list[int]] = defaultdict(list)
    partner: dict[int, int] = {}
    for one, other in hits:
        if partner.get(one) == other:
            runs[one, other][-1] += 1
        else:
            runs[one, other].append(1)
        partner[one] = other
    sums = dict.fromkeys(("AssA", "AssRe", "AssPr", "FragA"), 0.0)
    for (one, other), lengths in runs.items():
        together = sum(lengths)
        either = max(1, truth[one] + found[other] - together)
        sums["AssA"] += together**2 / either
        sums["AssRe"] += together**2 / max(1, truth[one])
        sums["AssPr"] += together**2 / max(1, found[other])
        sums["FragA"] += sum(length**2 for length in lengths) / either
    return sums


def join_videos(levels: Sequence[Level]) -> Level:
    """One threshold of several videos: counts are summed, shares are means weighted with the hits."""
    hits, missed, false = (sum(one[place] for one in levels) for place in range(3))
    shares = {name: sum(one.hits * one.shares[name] for one in levels) / max(1, hits) for name in levels[0].shares}
    return Level(hits, missed, false, shares | ({} if hits else {"LocA": 1.0}))


def join_joints(levels: Sequence[Level]) -> Level:
    """One threshold of all keypoints of a video: counts are summed, shares are plain means."""
    hits, missed, false = (sum(one[place] for one in levels) for place in range(3))
    return Level(hits, missed, false, {name: fmean(one.shares[name] for one in levels) for name in levels[0].shares})


def hota_of(level: Level) -> dict[str, float]:
    """The numbers of one threshold."""
    hits, missed, false, shares = level
    accuracy = hits / max(1, hits + missed + false)
    return {
        **shares,
        "DetA": accuracy,
        "DetRe": hits / max(1, hits + missed),
        "DetPr": hits / max(1, hits + false),
        "HOTA": sqrt(accuracy * shares["AssA"]),
        "FA-HOTA": sqrt(accuracy * sqrt(shares["AssA"] * shares["FragA"])),
    }


def posetrack21_hota(
    videos: Sequence[Sequence[Frame]], joints: Sequence[str], corrected: bool = False
) -> dict[str, list[float]]:
    """HOTA of each keypoint and the total last, means over the thresholds; counts are told of two thresholds.

    The total of one video is the mean over its keypoints, that of several is joined as if it were another keypoint.
    """
    kept = [posetrack21_frames(video) for video in videos]
    tables = [[posetrack21_levels(frames, joint, corrected) for joint in joints] for frames in kept]
    for table in tables:
        table.append([join_joints(levels) for levels in zip(*table, strict=True)])
    columns: dict[str, list[float]] = defaultdict(list)
    for column in zip(*tables, strict=True):  # of one keypoint, or the total: videos x thresholds
        levels = [join_videos(some) for some in zip(*column, strict=True)]
        numbers = [hota_of(level) for level in levels]
        for name in numbers[0]:
            columns[name].append(fmean(one[name] for one in numbers))
        for threshold, level in ((0.05, levels[0]), (0.5, levels[9])):
            for name, count in zip(("TP", "FN", "FP"), level, strict=False):
                columns[f"{name}_at_{threshold}"].append(count)
    if len(videos) == 1:
        for name in numbers[0]:
            columns[name][-1] = fmean(columns[name][:-1])
    return dict(columns)


# Ids of the truth, ids that were found, and the similarity of each of the ones to each of the others.
People = tuple[Sequence[int], Sequence[int], np.ndarray]


def people_levels(frames: Sequence[People]) -> list[Level]:
    """People as one thing each, at each threshold.

    In each frame pairs have the largest sum of similarities, each of them multiplied by how far the two tracks go
    together over the whole video.
    """
    truth = Counter(one for ids, _, _ in frames for one in ids)
    found = Counter(one for _, ids, _ in frames for one in ids)
    shared: dict[tuple[int, int], float] = defaultdict(float)
    for ids, others, table in frames:
        for row, one in enumerate(ids):
            for column, other in enumerate(others):
                either = table[row].sum() + table[:, column].sum() - table[row, column]
                shared[one, other] += table[row, column] / either if either > EPSILON else 0.0
    aligned = {(one, other): value / (truth[one] + found[other] - value) for (one, other), value in shared.items()}
    pairs = []
    for ids, others, table in frames:
        if len(ids) and len(others):
            scores = np.array([[aligned[one, other] for other in others] for one in ids]) * table
            pairs += [(ids[row], others[column], float(table[row, column])) for row, column in assign(-scores).items()]
    return _levels(pairs, truth.total(), found.total(), truth, found)


def people_hota(videos: Sequence[Sequence[People]]) -> tuple[dict[str, float], list[float]]:
    """HOTA of people over all videos, and HOTA at each threshold."""
    numbers = [hota_of(join_videos(levels)) for levels in zip(*map(people_levels, videos), strict=True)]
    return {name: fmean(one[name] for one in numbers) for name in numbers[0]}, [one["HOTA"] for one in numbers]


# ----------------------------------------------------------------------------------------------------------------------
# CLEAR and identity of people


def people_clear(videos: Sequence[Sequence[People]]) -> dict[str, float]:
    """CLEAR of TrackEval: pairs of the frame before stay where they can, the others get the largest similarity.

    The frame before is the last one with somebody in the truth and somebody found. An id that differs from the last
    one of the same person is a switch, however long ago that was.
    """
    counts: Counter = Counter()
    for frames in videos:
        last: dict[int, int] = {}
        before: dict[int, int] = {}
        for ids, others, table in frames:
            if not len(ids) or not len(others):
                counts.update(FN=len(ids), FP=len(others))
                continue
            scores = np.zeros(table.shape)
            for row, one in enumerate(ids):
                for column, other in enumerate(others):
                    if table[row, column] >= LIMIT - EPSILON:
                        scores[row, column] = table[row, column] + 1000 * (before.get(one) == other)
            now = {}
            for row, column in zip(*linear_sum_assignment(-scores), strict=True):
                if scores[row, column] > EPSILON:
                    now[ids[row]] = others[column]
                    counts["similarity"] += table[row, column]
            counts["IDSW"] += sum(one in last and last[one] != other for one, other in now.items())
            counts.update(TP=len(now), FN=len(ids) - len(now), FP=len(others) - len(now))
            last.update(now)
            before = now
    objects = max(1, counts["TP"] + counts["FN"])
    numbers = {name: counts[name] for name in ("TP", "FN", "FP", "IDSW")}
    numbers["MOTA"] = (counts["TP"] - counts["FP"] - counts["IDSW"]) / objects
    numbers["MOTP"] = counts["similarity"] / max(1, counts["TP"])
    return numbers


def people_identity(videos: Sequence[Sequence[People]]) -> dict[str, float]:
    """IDF1: each track of the truth goes with at most one that was found, for the whole film."""
    hits = truth = found = 0
    for frames in videos:
        together: Counter = Counter()
        for ids, others, table in frames:
            truth += len(ids)
            found += len(others)
            for row, one in enumerate(ids):
                for column, other in enumerate(others):
                    together[one, other] += table[row, column] >= LIMIT
        rows, columns = (sorted({pair[side] for pair in together}) for side in (0, 1))
        counts = np.array([[together[one, other] for other in columns] for one in rows])
        hits += int(counts[linear_sum_assignment(-counts)].sum()) if together else 0
    numbers = dict(IDTP=hits, IDFN=truth - hits, IDFP=found - hits)
    numbers["IDF1"] = hits / max(1, (truth + found) / 2)
    numbers["IDP"] = hits / max(1, found)
    numbers["IDR"] = hits / max(1, truth)
    return numbers


def box_iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Overlap of two boxes (x1, y1, x2, y2) by their union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both
    return both / union if union > 0 else 0.0


def oks(found: Person, truth: Person, area: float, sigmas: Mapping[str, float]) -> float:
    """Mean over the labelled keypoints of how near they were found; one that was not found counts 0.

    In an area of 0, as in COCO's code, a keypoint has to be in the same place.
    """
    nearness = 0.0
    for name in truth.points.keys() & found.points.keys():
        gap = dist(found.points[name], truth.points[name])
        nearness += exp(-(gap**2) / (2 * (area + EPSILON) * (2 * sigmas[name]) ** 2))
    return nearness / max(1, len(truth.points))


# ----------------------------------------------------------------------------------------------------------------------
# Smoothing, of the points [T, 2] of one keypoint of one person, NaN where not seen


def one_euro(
    points: np.ndarray, scores: np.ndarray, times: np.ndarray, height: float, cutoffs: tuple[float, float, float]
) -> np.ndarray:
    """The One-Euro filter with speeds in heights of the person; `cutoffs` are the least one, beta, and that of speeds.

    Speeds are those from the last smoothed point. After a gap, or a time that does not run on, it begins afresh.
    A doubtful point counts as if the time before it were shorter.
    """
    least, beta, of_speeds = cutoffs
    smoothed = np.full(points.shape, nan)
    for frame, point in enumerate(points):
        step = times[frame] - times[frame - 1] if frame else 0.0
        if step <= 0 or np.isnan(smoothed[frame - 1]).any():
            smoothed[frame], speed = point, np.zeros(2)
            continue
        last = smoothed[frame - 1]
        speed = speed + _low_pass(of_speeds, step) * ((point - last) / step / height - speed)
        share = 1 - (1 - _low_pass(least + beta * hypot(*speed), step)) ** weight_of(scores[frame])
        smoothed[frame] = last + share * (point - last)
    return smoothed


def weight_of(score: float) -> float:
    """What a keypoint counts: in full from a score of 0.8 on, below it by the square."""
    return min(score / 0.8, 1) ** 2


def _low_pass(cutoff: float, step: float) -> float:
    return 1 / (1 + 1 / (2 * pi * cutoff * step))


def savitzky_golay(points: np.ndarray, scores: np.ndarray, times: np.ndarray, window: int, order: int) -> np.ndarray:
    """A polynomial fitted to the nearest whole window of the run that a frame is in, or to the run if it is shorter.

    A run of too few points for the polynomial stays as it is.
    """
    seen = ~np.isnan(points).any(axis=1)
    smoothed = points.copy()
    for frame in np.flatnonzero(seen):
        first = max((gap + 1 for gap in np.flatnonzero(~seen) if gap < frame), default=0)
        end = min((gap for gap in np.flatnonzero(~seen) if gap > frame), default=len(points))
        start = max(first, min(frame - window // 2, end - window))
        some = slice(start, min(start + window, end))
        if some.stop - some.start > order:
            weights = [sqrt(weight_of(score)) for score in scores[some]]
            fits = [np.polynomial.Polynomial.fit(times[some], axis, order, w=weights) for axis in points[some].T]
            smoothed[frame] = [fit(times[frame]) for fit in fits]
    return smoothed

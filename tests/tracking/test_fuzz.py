"""Scores and smoothing against the slow rules of `oracle.py`, on random videos with all that these speak of."""

from collections import Counter

import numpy as np
import pytest

from hrtoolkit.records import Objects
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.pose.tracking import PeopleTrackingMetric, PoseTrackAP, PoseTrackHOTA, PoseTrackMOTA
from hrtoolkit.tracking.boxes import enclose
from hrtoolkit.tracking.hota import COUNTS, NUMBERS, keypoint_hota, people_hota
from hrtoolkit.tracking.keypoints import People, VideoFrame, compare, compare_for_hota
from hrtoolkit.tracking.people import measure_people, people_clear, people_identity
from hrtoolkit.tracking.poseval import average_precision, mota
from hrtoolkit.tracking.smoothing import OneEuroFilter, savitzky_golay

from . import oracle
from .oracle import Frame, Person
from .posetrack import NAMES, POSEVAL_NAMES, SEQUENCES, VECTORS, assert_equal

JOINTS = ("head_top", "left_wrist", "right_wrist")
SIGMAS = dict(zip(JOINTS, (0.026, 0.062, 0.062), strict=True))
SCHEME = KeypointScheme(JOINTS, sigmas=tuple(SIGMAS.values()))
WHOLE = [(-1e4, -1e4), (1e4, -1e4), (1e4, 1e4), (-1e4, 1e4)]  # a region around everything
SEEDS = range(0, 60, 10)


# --- random videos ---


def make_videos(seed):
    rng = np.random.default_rng(seed)
    return [make_video(rng) for _ in range(rng.choice([1, 1, 2, 3]))]


def make_video(rng):
    """Up to four people for up to eight frames, who come and go, and who are found more or less well.

    In a third of the videos all points are multiples of five pixels, so that distances meet the limit and points the
    edges of regions.
    """
    grid, ties, beyond = rng.random(3) < (0.35, 0.4, 0.3)  # equal scores; points to the left of the image and above
    people, span = rng.integers(1, 5), rng.choice([15, 60, 150, 400])
    offset = -span / 4 if beyond else 100
    start, speed = rng.uniform(0, span, (people, 1, 2)) + offset, rng.normal(0, 6, (people, 1, 2))
    limbs = rng.normal(0, rng.choice([2, 8, 25]), (people, len(JOINTS), 2))
    never = rng.random((2, len(JOINTS))) < 0.1  # joints that are never labelled, or never predicted
    absent, missed, away, swapped = rng.choice([0, 0.1, 0.4]), *(rng.choice([0, 0.15, 0.4]) for _ in range(3))
    noise, ignoring = rng.choice([0, 2, 6, 15]), rng.choice([0, 0, 0.5, 1])
    heads = rng.choice([50, 50, 30, 0], people, p=[0.6, 0.18, 0.2, 0.02])  # pixels; 0: a box of no size
    truth_ids, ids = rng.permutation(20)[:people], rng.permutation(30) + rng.choice([0, 9_990, 100_000])

    def person(number, points, side, head=np.nan):
        points = np.round(points / 5) * 5 if grid else points
        there = (rng.random(len(JOINTS)) >= absent) & ~never[side] & (rng.random() > 0.02)
        scores = rng.random(len(JOINTS))
        given = [place for place in range(len(JOINTS)) if there[place]]
        return Person(
            int(number),
            {JOINTS[place]: tuple(points[place].tolist()) for place in given},
            {JOINTS[place]: float(np.round(4 * scores[place]) / 4 if ties else scores[place]) for place in given},
            float(head),
        )

    frames = []
    for time in range(rng.integers(1, 9)):
        if rng.random() < swapped:  # two exchange ids, or somebody has a new one
            pair = rng.choice(people + 2, 2, replace=False)
            ids[pair] = ids[pair[::-1]]
        truth, found = [], []
        for one in rng.permutation(people):
            points = start[one] + time * speed[one] + limbs[one]
            if rng.random() >= away:
                truth.append(person(truth_ids[one], points, 0, heads[one]))
            wild = np.where(rng.random((len(JOINTS), 1)) < 0.06, 60, noise)
            if rng.random() >= missed:
                found.append(person(ids[one], points + rng.normal(0, 1, points.shape) * wild, 1))
        if rng.random() < 0.1:
            found.append(person(ids[people], rng.uniform(0, span, points.shape) + offset, 1))  # nobody
        if found and rng.random() < 0.15:
            found.append(found[rng.integers(len(found))]._replace(id=int(ids[people + 1])))  # the same twice
        kind = rng.choice(["usual", "unlabelled", "nobody", "labelled in secret", "not found"], p=[0.76, *[0.06] * 4])
        frames.append(
            Frame(
                truth=[] if kind in ("unlabelled", "nobody") else truth,
                found=[] if kind == "not found" else found,
                regions=make_regions(rng, span, offset) if rng.random() < ignoring else [],
                labelled=kind not in ("unlabelled", "labelled in secret"),
            )
        )
    return frames


def make_regions(rng, span, offset):
    """Triangles, boxes, polygons that cross themselves, such of two corners, and at times one around everything."""
    regions = [WHOLE] if rng.random() < 0.15 else []
    for _ in range(rng.integers(1, 3)):
        corners = np.round(
            rng.uniform(offset, offset + span, (rng.choice([2, 3, 4, 5], p=[0.1, 0.3, 0.4, 0.2]), 2)) / 5
        )
        if len(corners) == 4 and rng.random() < 0.6:
            (x1, y1), (x2, y2) = corners[0], corners[2]
            corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])
        regions.append([tuple(corner) for corner in (5 * corners).tolist()])
    return regions


def to_people(rows):
    """People of the oracle as arrays."""
    points = np.array([[row.points.get(joint, (0, 0)) for joint in JOINTS] for row in rows], np.float64)
    scores = np.array([[row.scores.get(joint, 0) for joint in JOINTS] for row in rows], np.float64)
    present = np.array([[joint in row.points for joint in JOINTS] for row in rows], bool)
    shape = len(rows), len(JOINTS)
    heads = 0.6 * np.array([row.head for row in rows])
    ids = np.array([row.id for row in rows], np.int64)
    return People(ids, points.reshape(*shape, 2), present.reshape(shape), scores.reshape(shape), heads)


def compare_videos(videos, compare_frame):
    frames = [
        [
            compare_frame(to_people(one.truth), to_people(one.found), [np.array(region) for region in one.regions])
            for one in video
        ]
        for video in videos
    ]
    return [[one for one in video if one is not None] for video in frames]


def test_random_videos_have_what_the_rules_speak_of():
    """The comparisons below would say little of videos in which nothing happens."""
    seen = Counter()
    for seed in SEEDS:
        for videos in map(make_videos, range(seed, seed + 10)):
            frames = [frame for video in videos for frame in video]
            seen["several videos"] += len(videos) > 1
            seen["one frame"] += any(len(video) == 1 for video in videos)
            seen["nobody in the truth"] += any(not frame.truth for frame in frames)
            seen["nobody found"] += any(frame.truth and not frame.found for frame in frames)
            seen["ignored whole"] += any(
                frame.truth and not kept.truth
                for video in videos
                for frame, kept in zip([one for one in video if one.truth], oracle.poseval_frames(video), strict=True)
            )
            numbers = oracle.poseval_mota(videos, JOINTS)
            for name in ("misses", "switches", "false_positives", "matches"):
                seen[name] += sum(numbers[name]) > 0
            seen["joint without truth"] += 0 in numbers["objects"]
    assert len(seen) == 10 and min(seen.values()) >= 5, seen


# --- the oracle itself ---


def read_person(row):
    points = dict(zip(NAMES, np.reshape(row["points"], (15, 2)).tolist(), strict=True))
    points = {name: (x / 4, y / 4) for name, (x, y) in points.items() if x is not None}
    scores = dict(zip(NAMES, row.get("scores", ()), strict=False))
    return Person(row["id"], points, scores, float(np.hypot(*row.get("head", [0] * 4)[2:])))


def read_video(frames):
    return [
        Frame(
            [read_person(row) for row in frame["truth"]],
            [read_person(row) for row in frame["predictions"]],
            [[tuple(point) for point in region] for region in frame.get("regions", ())],
            frame["labelled"],
        )
        for frame in frames
    ]


@pytest.mark.parametrize("name", [*SEQUENCES, "all", *VECTORS["edges"]])
def test_the_oracle_has_the_numbers_of_poseval(name):
    names = SEQUENCES if name == "all" else [name]
    videos = [read_video(VECTORS["sequences"].get(one) or VECTORS["edges"][one]["frames"]) for one in names]
    expected = VECTORS["poseval"].get(name) or VECTORS["edges"][name]["result"]
    ap, followed = oracle.poseval_ap(videos, POSEVAL_NAMES), oracle.poseval_mota(videos, POSEVAL_NAMES)
    for ours, theirs in (("ap", "ap"), ("precision", "pre"), ("recall", "rec")):
        assert_equal(ap[ours], expected[theirs])
    for ours, theirs in (("mota", "mota"), ("motp", "motp_matches_only"), ("precision", "mot_precision")):
        assert_equal(followed[ours], expected[theirs])
    for ours, theirs in (("misses", "misses"), ("switches", "switches"), ("false_positives", "false_positives")):
        assert followed[ours] == expected["counts"][f"num_{theirs}"]


@pytest.mark.parametrize("corrected", [False, True])
def test_the_oracle_has_the_numbers_of_posetrack21(corrected):
    from .test_hota import STOPS

    expected = VECTORS["hota_corrected" if corrected else "hota"]["all"]
    videos = [
        [
            frame
            for place, frame in enumerate(read_video(VECTORS["sequences"][name]))
            if place not in STOPS.get(name, ())
        ]
        for name in SEQUENCES
    ]
    numbers = oracle.posetrack21_hota(videos, NAMES, corrected)
    assert {"HOTA", "FragA", "LocA", "TP_at_0.5"} <= expected.keys()
    for name, values in expected.items():
        assert_equal(numbers[name], values)


# --- keypoints ---


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_poseval_by_its_rules(seed, corrected):
    for videos in map(make_videos, range(seed, seed + 10)):
        compared = compare_videos(videos, compare)
        if not any(compared):
            continue
        found = average_precision([frame for frames in compared for frame in frames], corrected)
        for name, values in oracle.poseval_ap(videos, JOINTS, corrected).items():
            assert_equal(getattr(found, name), values)
        followed, expected = mota(compared, corrected), oracle.poseval_mota(videos, JOINTS, corrected)
        assert_equal(followed.false, expected.pop("false_positives"))
        for name, values in expected.items():
            assert_equal(getattr(followed, name), values)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_hota_of_keypoints_by_its_rules(seed, corrected):
    for videos in map(make_videos, range(seed, seed + 10)):
        videos = [video for video in videos if any(frame.labelled for frame in video)]
        if not videos:
            continue
        compared = compare_videos([[one for one in video if one.labelled] for video in videos], compare_for_hota)
        found = keypoint_hota(compared, corrected)
        expected = oracle.posetrack21_hota(videos, JOINTS, corrected)
        for name in NUMBERS:
            assert_equal(found.numbers[name], expected[name])
        for name in COUNTS:
            assert_equal(found.counts[name][[0, 9]], [expected[f"{name}_at_0.05"], expected[f"{name}_at_0.5"]])


# --- people ---


def make_similarities(rng):
    """Ids of the truth and ids found with their similarities, a frame after another; a third with equal ones."""
    people, rounded, least = rng.integers(1, 6), rng.random() < 0.35, rng.choice([0.2, 0.5, 0.8])
    ids, frames = rng.permutation(12) + rng.choice([0, 100_000]), []
    for _ in range(rng.integers(1, 14)):
        truth, found = (rng.permutation(most)[: rng.integers(0, most + 1)] for most in (people, people + 1))
        if rng.random() < 0.3:
            pair = rng.choice(people + 2, 2, replace=False)
            ids[pair] = ids[pair[::-1]]
        own, strange = rng.uniform(least, 1, (2, len(truth), len(found)))
        values = np.where(truth[:, None] == found, own, strange * rng.choice([0, 0.3, 1], strange.shape))
        frames.append((truth.tolist(), ids[found].tolist(), np.round(20 * values) / 20 if rounded else values))
    return frames


@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_people_by_the_rules_of_trackeval(seed):
    for one in range(seed, seed + 10):
        rng = np.random.default_rng(one)
        videos = [make_similarities(rng) for _ in range(rng.choice([1, 2, 3]))]
        measures = [
            [measure_people(np.array(truth, int), np.array(ids, int), values) for truth, ids, values in video]
            for video in videos
        ]
        hota, (expected, levels) = people_hota(measures), oracle.people_hota(videos)
        for name, value in expected.items():
            assert_equal(hota.numbers[name], [value])
        assert_equal(hota.hota[:, 0], levels)
        clear, expected = people_clear(measures), oracle.people_clear(videos)
        assert_equal(clear[:6], [expected[name] for name in ("MOTA", "MOTP", "TP", "FN", "FP", "IDSW")])
        expected = oracle.people_identity(videos)
        assert_equal(
            people_identity(measures), [expected[name] for name in ("IDF1", "IDP", "IDR", "IDTP", "IDFN", "IDFP")]
        )


# --- smoothing ---


def make_tracks(seed):
    """Points [T, N, K, 2] of people who walk, with gaps, their scores, and times, a third of them far from equal."""
    rng = np.random.default_rng(seed)
    frames, people = rng.integers(1, 40), rng.integers(1, 4)
    points = 100 + rng.normal(0, 3, (frames, people, 2, 2)).cumsum(axis=0)
    points[rng.random(points.shape[:3]) < rng.choice([0, 0.1])] = np.nan
    scores = rng.uniform(0.05, 1, points.shape[:3]) if rng.random() < 0.5 else np.ones(points.shape[:3])
    steps = rng.uniform(0.02, 0.1, frames) if rng.random() < 0.35 else np.full(frames, 1 / 30)
    return rng, points, scores, steps.cumsum()


@pytest.mark.parametrize("seed", range(0, 20, 10))
def test_one_euro_by_its_rules(seed):
    for rng, points, scores, times in map(make_tracks, range(seed, seed + 10)):
        if len(times) > 9 and rng.random() < 0.3:
            times[5] = times[4] - rng.choice([0, 0.01])  # stands still, or runs backwards
        heights, cutoffs = rng.uniform(20, 300, points.shape[1]), rng.uniform(0.3, 5, 3)
        one, ids = OneEuroFilter(*cutoffs), np.arange(1, len(heights) + 1)
        rows = zip(points, scores, times, strict=True)
        found = np.stack([one.update(ids, row, some, heights, time=time) for row, some, time in rows])
        for person, joint in np.ndindex(points.shape[1:3]):
            track, weights = points[:, person, joint], scores[:, person, joint]
            assert_equal(found[:, person, joint], oracle.one_euro(track, weights, times, heights[person], cutoffs))


@pytest.mark.parametrize("seed", range(0, 20, 10))
def test_savitzky_golay_by_its_rules(seed):
    for rng, points, scores, times in map(make_tracks, range(seed, seed + 10)):
        window = rng.choice([1, 3, 5, 7, 11])
        order = rng.integers(0, min(window, 4))
        found = savitzky_golay(points, scores, times, window, order)
        for person, joint in np.ndindex(points.shape[1:3]):
            track, weights = points[:, person, joint], scores[:, person, joint]
            assert_equal(
                found[:, person, joint], oracle.savitzky_golay(track, weights, times, window, order), tolerance=1e-8
            )


# --- the metrics ---


def to_objects(people, is_truth):
    """People as the truth of a sample, or as a prediction: a keypoint with the score 0 is none."""
    boxes = np.nan_to_num(enclose(people.points, people.present, 1.3))
    known = dict(boxes_xyxy=boxes, labels=np.zeros(len(boxes), np.int64), points=people.points, ids=people.ids + 1)
    if is_truth:
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
        return Objects(**known, visible=people.present.astype(np.uint8), areas=areas)
    return Objects(**known, scores=np.ones(len(boxes)), point_scores=np.where(people.present, people.scores + 1, 0.0))


def score(metric, videos):
    measures = []
    for place, video in enumerate(videos):
        for number, frame in enumerate(video):
            truth, found = to_people(frame.truth), to_people(frame.found)
            regions = [np.array(region) for region in frame.regions]
            known = VideoFrame(f"video {place}", number, frame.labelled, truth, regions)
            record = to_objects(truth, True) if frame.labelled else None
            measures.append(metric.measure_frame(to_objects(found, False), record, SCHEME, known))
    return metric.score(measures, SCHEME)


def parts_of(name, values):
    """A number in total and of the parts that the joints belong to."""
    return {name: values[-1], f"{name} Head": values[0], f"{name} Wrist": (values[1] + values[2]) / 2}


def assert_told(numbers, expected):
    assert expected.keys() <= numbers.keys()
    assert_equal([numbers[name] for name in expected], list(expected.values()))


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("seed", SEEDS[::2])
def test_metrics_tell_what_the_rules_give(seed, corrected):
    for videos in map(make_videos, range(seed, seed + 5)):
        ap, followed = (
            {one: rule(videos, JOINTS, one) for one in (False, True)}
            for rule in (oracle.poseval_ap, oracle.poseval_mota)
        )
        other = "original" if corrected else "corrected"

        numbers = score(PoseTrackAP(corrected), videos)
        kept = [len(oracle.poseval_frames(video)) for video in videos]
        assert (numbers["videos"], numbers["frames"]) == (len(videos), sum(kept))
        if not any(kept):
            continue
        assert_told(numbers, parts_of("AP", ap[corrected]["ap"]))
        assert_told(numbers, {f"AP {name}": ap[corrected][name][-1] for name in ("precision", "recall")})
        assert_equal(numbers.get(f"AP {other}", numbers["AP"]), ap[not corrected]["ap"][-1])
        single = [
            oracle.poseval_ap([video], JOINTS, corrected)["ap"][-1]
            for video, some in zip(videos, kept, strict=True)
            if some
        ]
        if len(videos) > 1:
            told = [value for name, value in numbers.items() if name.startswith("AP video")]
            assert_equal(told, sorted(value for value in single if np.isfinite(value))[:3])

        numbers, expected = score(PoseTrackMOTA(corrected=corrected), videos), followed[corrected]
        assert_told(numbers, parts_of("MOTA", expected["mota"]) | {"MOTP": expected["motp"][-1]})
        assert_told(numbers, {f"MOTA {name}": expected[name][-1] for name in ("precision", "recall")})
        counts = dict(misses="misses", switches="switches", false="false_positives")
        assert_told(numbers, {name: sum(expected[theirs]) for name, theirs in counts.items()})
        assert_equal(numbers.get(f"MOTA {other}", numbers["MOTA"]), followed[not corrected]["mota"][-1])
        assert_equal(numbers["AP of MOTA"], ap[corrected]["ap"][-1])


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_metrics_tell_hota_of_keypoints_and_of_people(seed):
    for videos in map(make_videos, range(seed, seed + 5)):
        labelled = [[frame for frame in video if frame.labelled] for video in videos]
        labelled = [video for video in labelled if video]
        if not labelled:
            continue
        for corrected in (False, True):
            expected = oracle.posetrack21_hota(labelled, JOINTS, corrected)
            assert_told(
                score(PoseTrackHOTA(corrected=corrected), videos), {name: expected[name][-1] for name in NUMBERS}
            )
        for kind in ("oks", "iou"):
            people = [[compare_people(frame, kind) for frame in video] for video in labelled]
            hota, _ = oracle.people_hota(people)
            clear, identity = oracle.people_clear(people), oracle.people_identity(people)
            expected = {name: hota[name] for name in ("HOTA", "DetA", "AssA", "LocA")}
            expected |= {"MOTA": clear["MOTA"], "switches": clear["IDSW"], "IDF1": identity["IDF1"]}
            numbers = score(PeopleTrackingMetric(similarity=kind), videos)
            assert_told(numbers, {f"people {name}": value for name, value in expected.items()})


def box_of(person):
    """1.3 times what is seen."""
    if not person.points:
        return 0.0, 0.0, 0.0, 0.0
    (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in zip(*person.points.values(), strict=True))
    x, y, width, height = (left + right) / 2, (top + bottom) / 2, 0.65 * (right - left), 0.65 * (bottom - top)
    return x - width, y - height, x + width, y + height


def is_ignored(person, regions):
    """Whether the middle of the box is in a region."""
    left, top, right, bottom = box_of(person)
    return any(oracle.is_inside(((left + right) / 2, (top + bottom) / 2), region) for region in regions)


def compare_people(frame, kind):
    """Ids and similarities of a frame."""
    truth, found = ([one for one in people if not is_ignored(one, frame.regions)] for people in frame[:2])
    table = np.zeros((len(truth), len(found)))
    for row, one in enumerate(truth):
        left, top, right, bottom = box_of(one)
        for column, other in enumerate(found):
            if kind == "iou":
                table[row, column] = oracle.box_iou(box_of(one), box_of(other))
            else:
                table[row, column] = oracle.oks(other, one, (right - left) * (bottom - top), SIGMAS)
    return [one.id for one in truth], [one.id for one in found], table

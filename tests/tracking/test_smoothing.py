"""Smoothing against the published filters, and exchanged sides in walking people."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from hrtoolkit.errors import OptionError
from hrtoolkit.schemes.people import COCO
from hrtoolkit.toy.films import KINDS, as_predictions, make_film, measure_precision
from hrtoolkit.tracking.boxes import enclose
from hrtoolkit.tracking.exchanges import find_exchanges, put_right
from hrtoolkit.tracking.smoothing import OneEuroFilter, jitter, savitzky_golay
from hrtoolkit.tracking.tracker import Tracker

from .posetrack import VECTORS, assert_equal

SIGNAL = np.array(VECTORS["one_euro"]["signal"])


def smooth(points, times, heights=1.0, scores=None, **options):
    """One person's points [T, K, 2] by the One-Euro filter."""
    one = OneEuroFilter(**options)
    ids, heights = np.array([1]), np.array([heights])
    rows = [None] * len(points) if scores is None else scores[:, None]
    return np.concatenate(
        [one.update(ids, frame[None], row, heights, time=t) for frame, row, t in zip(points, rows, times, strict=True)]
    )


def along_x(signal):
    return np.stack([signal, np.zeros_like(signal)], axis=-1)[:, None]


# --- One-Euro ---


@pytest.mark.parametrize("case", VECTORS["one_euro"]["outputs"])
def test_one_euro_is_that_of_its_author(case):
    parameters, times = case["parameters"], np.array(VECTORS["one_euro"]["times"])
    if not case["timestamps"]:
        times = np.arange(len(SIGNAL)) / parameters["freq"]
    elif case["timestamps"] is True:
        # The original takes a first time of 0.0 for none, and the second step from `freq`: as if it were then.
        times[0] = times[1] - 1 / parameters["freq"]
    options = {name: parameters[old] for name, old in (("min_cutoff", "mincutoff"), ("beta", "beta"))}
    out = smooth(along_x(SIGNAL), times, derivative_cutoff=parameters["dcutoff"], **options)
    assert_equal(out[:, 0, 0], case["output"])
    assert (out[..., 1] == 0).all()


def noisy_walk(frames=300, fps=30, seed=0, pixels=1.5):
    """Somebody who walks across the image once: points, with noise, and times."""
    truth, _ = make_film("crossing", fps, 30, people=1, seed=seed)
    clean = np.stack([frame.points[0] for frame in truth])
    rightwards = np.diff(clean.mean(axis=1)[:, 0]) > 0
    turns = np.flatnonzero(np.diff(rightwards)) + 2
    clean = max(np.split(clean, turns), key=len)[1:-1][:frames]
    rng = np.random.default_rng(seed)
    return clean, clean + rng.normal(0, pixels, clean.shape), np.arange(len(clean)) / fps


def test_twice_the_resolution_gives_the_same_keypoints_twice():
    _, noisy, times = noisy_walk()
    one, two = smooth(noisy, times, 200.0), smooth(2 * noisy, times, 400.0)
    np.testing.assert_allclose(two, 2 * one, atol=1e-6)


def test_who_stands_is_calmer_and_who_walks_is_followed():
    rng = np.random.default_rng(0)
    standing = rng.normal(0, 1.5, (300, 17, 2)) + 100
    times = np.arange(300) / 30
    assert jitter(smooth(standing, times, 200.0)) < 0.5 * jitter(standing)
    clean, noisy, times = noisy_walk()
    middle, truth = smooth(noisy, times, 200.0).mean(axis=1)[30:, 0], clean.mean(axis=1)[:, 0]
    lags = [np.abs(middle - truth[30 - lag : len(truth) - lag]).mean() for lag in range(6)]
    assert np.argmin(lags) <= 1


def test_a_keypoint_that_was_not_seen_begins_afresh():
    signal = np.where(np.arange(12) == 5, np.nan, SIGNAL)
    times = np.arange(12) / 30
    out = smooth(along_x(signal), times)[:, 0, 0]
    assert np.isnan(out[5]) and out[6] == SIGNAL[6]
    assert_equal(out[6:], smooth(along_x(SIGNAL[6:]), times[6:])[:, 0, 0])


def test_people_do_not_depend_on_each_other_and_come_and_go():
    rng = np.random.default_rng(0)
    tracks = rng.normal(0, 1, (10, 3, 5, 2)).cumsum(axis=0)  # of the people 2, 5, 9
    ids, heights, times = np.array([2, 5, 9]), np.array([10.0, 20, 30]), np.arange(10) / 25
    alone = [smooth(tracks[:, i], times, heights[i]) for i in range(3)]
    one = OneEuroFilter()
    for frame in range(10):
        order = rng.permutation(3)
        if frame == 4:
            order = order[order != 1]  # who is away for a frame begins afresh
        out = one.update(ids[order], tracks[frame, order], None, heights[order], time=times[frame])
        for place, person in enumerate(order):
            if person != 1 or frame < 4:
                assert_equal(out[place], alone[person][frame])
            elif frame == 5:
                assert_equal(out[place], tracks[5, 1])


def test_who_has_no_id_and_times_that_do_not_run_on_are_not_smoothed():
    one, points = OneEuroFilter(), np.ones((2, 3, 2))
    ids, heights = np.array([-1, -1]), np.ones(2)
    one.update(ids, points, None, heights, time=0.0)
    assert (one.update(ids, points + 1, None, heights, time=0.1) == points + 1).all()
    one.update(np.array([1, 2]), points, None, heights, time=0.2)
    assert (one.update(np.array([1, 2]), points + 1, None, heights, time=0.2) == points + 1).all()


def test_a_doubtful_point_counts_less():
    signal, times = np.where(np.arange(12) == 6, 60.0, 10.0), np.arange(12) / 30
    scores = np.ones((12, 1))
    peaks = []
    for score in (1.0, 0.3, 0.0):
        scores[6] = score
        peaks.append(smooth(along_x(signal), times, scores=scores)[6, 0, 0])
    assert peaks[0] > peaks[1] > peaks[2] == 10.0


# --- Savitzky-Golay ---


@pytest.mark.parametrize("case", VECTORS["savgol"]["outputs"])
def test_savitzky_golay_is_that_of_scipy(case):
    signal = along_x(np.array(VECTORS["savgol"]["signal"]))
    out = savitzky_golay(signal, None, np.arange(12) / 30, case["window"], case["order"])
    assert_equal(out[:, 0, 0], case["output"])


def test_savitzky_golay_never_smooths_over_a_gap():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (40, 2, 3, 2))
    points[15:18, 0, 1] = np.nan
    out = savitzky_golay(points, None, np.arange(40) / 30, 7, 2)
    assert np.isnan(out[15:18, 0, 1]).all() and np.isnan(out).sum() == 6
    for rows in (slice(0, 15), slice(18, 40)):
        assert_equal(out[rows, 0, 1], savgol_filter(points[rows, 0, 1], 7, 2, axis=0))
    assert_equal(out[:, 1], savgol_filter(points[:, 1], 7, 2, axis=0))


def test_a_run_that_is_shorter_than_the_window_takes_one_polynomial():
    times = np.array([0.0, 0.1, 0.2, 0.3])
    out = savitzky_golay(along_x(np.array([1.0, 4.0, 2.0, 8.0])), None, times, 7, 2)
    assert_equal(out[:, 0, 0], np.polyval(np.polyfit(times, [1, 4, 2, 8], 2), times))
    short = along_x(np.array([1.0, 4.0]))
    assert (savitzky_golay(short, None, times[:2], 7, 2) == short).all()


def test_frames_need_not_be_equally_far_apart():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 30))
    parabola = along_x(3 + 5 * times - 7 * times**2)
    assert_equal(savitzky_golay(parabola, None, times, 7, 2), parabola)


def test_a_point_without_a_score_has_no_say():
    times = np.arange(20) / 30
    line = along_x(2.0 + times)
    wild, scores = line.copy(), np.ones((20, 1))
    wild[9], scores[9] = 500.0, 0.0
    assert_equal(savitzky_golay(wild, scores, times, 7, 2), line)


@pytest.mark.parametrize("kind", KINDS)
def test_smoothing_costs_no_average_precision(kind):
    truth, found = make_film(kind, seconds=4)

    def precision(smooth):
        return measure_precision(truth, Tracker(smooth=smooth)(as_predictions(found), tell=False))

    least = precision("none") - 0.1
    assert precision("one-euro") >= least and precision("savgol") >= least


def test_many_frames_are_fitted_in_pieces():
    points = np.random.default_rng(0).normal(0, 1, (5000, 2, 2))
    assert_equal(savitzky_golay(points, None, np.arange(5000) / 30, 11, 3), savgol_filter(points, 11, 3, axis=0))
    assert savitzky_golay(np.zeros((0, 17, 2)), None, np.zeros(0)).shape == (0, 17, 2)


def test_offline_smoothing_is_calmer_and_nearer_to_the_truth_without_lag():
    clean, noisy, times = noisy_walk()
    out = savitzky_golay(noisy, None, times)
    assert jitter(out) < 0.35 * jitter(noisy)
    assert np.square(out - clean).mean() < 0.5 * np.square(noisy - clean).mean()


def test_options_that_fit_nothing_are_errors():
    for window, order, message in ((6, 2, "window is 6, expected an odd"), (5, 5, "order is 5, expected 0 to 4")):
        with pytest.raises(OptionError, match=message):
            savitzky_golay(np.zeros((9, 1, 2)), None, np.arange(9), window, order)
    for options in (dict(min_cutoff=0), dict(beta=-1), dict(derivative_cutoff=0)):
        with pytest.raises(OptionError, match=next(iter(options))):
            OneEuroFilter(**options)


def test_jitter_and_boxes_are_those_of_the_vectors():
    expected = VECTORS["jitter"]
    assert jitter(along_x(np.array(expected["signal"]))) == pytest.approx(
        expected["mean_abs_second_difference"], abs=1e-9
    )
    smoothed = along_x(np.array(VECTORS["one_euro"]["outputs"][0]["output"]))
    assert jitter(smoothed) == pytest.approx(expected["one_euro_first"], abs=1e-9)
    pose = np.array([VECTORS["box_of_pose"]["keypoints"]])
    for name, expansion in (("expansion_1_25", 1.25), ("expansion_1_3", 1.3)):
        assert_equal(enclose(pose, np.ones((1, 15), bool), expansion)[0], VECTORS["box_of_pose"][name])
    assert np.isnan(enclose(pose, np.zeros((1, 15), bool))).all()


# --- exchanged sides ---

PAIRS = [tuple(map(COCO.names.index, pair)) for pair in COCO.mirrored if pair[0].endswith(("wrist", "ankle", "knee"))]


@pytest.mark.parametrize("fps", [10, 30])
def test_exchanges_are_found_and_put_right(fps):
    assert len(PAIRS) == 3
    clean, noisy, _ = noisy_walk(frames=20 * fps, fps=fps, seed=2)
    exchanged = np.zeros((len(clean), 3), bool)
    exchanged[fps : fps + 8, 0] = exchanged[3 * fps : 3 * fps + 2, 1] = exchanged[5 * fps : 6 * fps, 2] = True
    broken = put_right(noisy, exchanged, PAIRS)
    # Where both sides are at one place nobody can tell, nor does it matter.
    apart = np.stack([np.linalg.norm(clean[:, a] - clean[:, b], axis=-1) > 12 for a, b in PAIRS], axis=1)
    found = find_exchanges(broken, PAIRS)
    assert (found == exchanged)[apart].mean() > 0.95
    mended = put_right(broken, found, PAIRS)
    places = np.array(PAIRS).ravel()
    before, after = (np.linalg.norm(some - clean, axis=-1)[:, places].mean() for some in (broken, mended))
    assert after < 0.6 * before


@pytest.mark.parametrize("fps", [10, 30])
def test_a_walk_without_exchanges_has_none(fps):
    wrong = [find_exchanges(noisy_walk(10 * fps, fps, seed)[1], PAIRS).mean() for seed in range(5)]
    assert max(wrong) < 0.03


def test_what_most_frames_agree_on_is_right():
    left = np.array([0.0, 0]) + np.arange(20)[:, None]
    points = np.stack([left, left + np.array([30, 0])], axis=1)
    exchanged = np.zeros((20, 1), bool)
    exchanged[:4] = True  # it begins with the exchange
    assert (find_exchanges(put_right(points, exchanged, [(0, 1)]), [(0, 1)]) == exchanged).all()


def test_fewer_frames_than_least_are_left_and_nothing_is_found_over_a_gap():
    left = np.array([0.0, 0]) + np.arange(20)[:, None]
    points = np.stack([left, left + np.array([30, 0])], axis=1)
    once = np.zeros((20, 1), bool)
    once[7] = True
    broken = put_right(points, once, [(0, 1)])
    assert not find_exchanges(broken, [(0, 1)]).any()
    assert (find_exchanges(broken, [(0, 1)], least=1) == once).all()
    after = np.arange(20)[:, None] > 10
    broken = put_right(points, after, [(0, 1)])
    broken[10] = np.nan  # a person who turned round unseen
    assert not find_exchanges(broken, [(0, 1)]).any()
    assert find_exchanges(np.zeros((0, 2, 2)), [(0, 1)]).shape == (0, 1)
    assert find_exchanges(points, []).shape == (20, 0)

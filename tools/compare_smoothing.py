"""What smoothing does to keypoints that stand, walk and swing: jitter, error and lag, as a table and a figure.

python tools/compare_smoothing.py --figure docs/images/smoothing.png

Forty keypoints for 20 seconds at 30 frames a second, of somebody 200 pixels high, found with an error of 1.5 pixels.
Jitter is the mean length of second differences as a share of the unsmoothed one, error the root mean square in pixels,
lag the delay in frames at which the smoothed keypoints fit the truth best. A second table has the average precision of
keypoints, PoseTrack's, on films of `hrtoolkit.toy.films`, where people are also missed and mistaken for each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
from numpy import ndarray

from hrtoolkit.toy.films import KINDS, Kind, as_predictions, make_film, measure_precision
from hrtoolkit.tracking.smoothing import OneEuroFilter, jitter, savitzky_golay
from hrtoolkit.tracking.tracker import Smooth, Tracker

FPS, FRAMES, TRACKS, HEIGHT, NOISE = 30, 600, 40, 200.0, 1.5
TIMES = np.arange(FRAMES) / FPS


def make_motions(rng: np.random.Generator) -> dict[str, ndarray]:
    """True keypoints [T, N, 2] of each kind of motion."""
    still = rng.uniform(0, HEIGHT, (1, TRACKS, 2)) + np.zeros((FRAMES, 1, 1))
    phases = rng.uniform(0, 2 * np.pi, (TRACKS, 2))
    return {
        "standing": still,
        "walking": still + TIMES[:, None, None] * np.array([0.45 * HEIGHT, 0.0]),
        "swinging": still + HEIGHT / 8 * np.sin(2 * np.pi * TIMES[:, None, None] + phases),
    }


def one_euro(min_cutoff: float, beta: float) -> Callable[[ndarray], ndarray]:
    """A filter that sees a frame at a time."""

    def smooth(points: ndarray) -> ndarray:
        calm, ids = OneEuroFilter(min_cutoff, beta), np.ones(1, np.int64)
        frames = zip(points, TIMES, strict=True)
        return np.stack([calm.update(ids, now[None], None, np.array([HEIGHT]), time=t)[0] for now, t in frames])

    return smooth


def savgol(window: int) -> Callable[[ndarray], ndarray]:
    """A polynomial of second order through so many frames."""
    return lambda points: savitzky_golay(points, None, TIMES, window)


def measure_lag(truth: ndarray, smoothed: ndarray) -> float:
    """Frames by which the truth has to be delayed to fit best; 0 of what stands."""
    delays = np.linspace(0, 8, 161)
    if np.ptp(truth, axis=0).max() == 0:
        return 0.0
    flat, inner = truth.reshape(FRAMES, -1), slice(20, FRAMES - 20)
    frames = np.arange(FRAMES, dtype=np.float64)
    errors = []
    for delay in delays:
        late = np.stack([np.interp(frames - delay, frames, column) for column in flat.T], axis=1)
        errors.append(np.square(late - smoothed.reshape(FRAMES, -1))[inner].mean())
    return float(delays[int(np.argmin(errors))])


def measure_ap(kind: Kind, smooth: Smooth) -> float:
    """Average precision of keypoints on a film, in percent."""
    truth, found = make_film(kind, FPS)
    return measure_precision(truth, Tracker(smooth=smooth)(as_predictions(found)))


def main() -> None:
    """Print the table, and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, help="picture to write")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    motions = make_motions(rng)
    settings = {f"one-euro {cutoff:g} Hz, beta {beta:g}": one_euro(cutoff, beta)
                for cutoff, beta in ((1, 0), (1, 3), (1, 10), (1, 20), (2, 40), (4, 100))}  # fmt: skip
    settings |= {f"savgol {window} frames": savgol(window) for window in (5, 7, 11)}
    found = {name: truth + rng.normal(0, NOISE, truth.shape) for name, truth in motions.items()}
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    print("| filter | " + " | ".join(f"{name}: jitter, error, lag" for name in motions) + " |")
    print("|---" * (1 + len(motions)) + "|")
    for label, smooth in settings.items():
        rows[label] = {}
        for name, truth in motions.items():
            calm = smooth(found[name])
            share = jitter(calm) / jitter(found[name])
            error = float(np.sqrt(np.square(calm - truth).mean()))
            rows[label][name] = share, error, measure_lag(truth, calm)
        cells = [f"{share:.2f}, {error:.2f}, {lag:.1f}" for share, error, lag in rows[label].values()]
        print(f"| {label} | {' | '.join(cells)} |")
    filters: tuple[Smooth, ...] = get_args(Smooth)
    print("\n| film | " + " | ".join(f"{smooth}: AP" for smooth in filters) + " |")
    print("|---" * (1 + len(filters)) + "|")
    for kind in KINDS:
        print(f"| {kind} | {' | '.join(f'{measure_ap(kind, smooth):.2f}' for smooth in filters)} |", flush=True)
    if args.figure:
        draw(rows, args.figure)


def draw(rows: dict[str, dict[str, tuple[float, float, float]]], path: Path) -> None:
    """Jitter against lag, a marker a filter and a color a motion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    markers = "ov^<>sDP*"
    for color, motion in zip(("tab:blue", "tab:orange", "tab:green"), next(iter(rows.values())), strict=True):
        for marker, (label, row) in zip(markers, rows.items(), strict=True):
            share, _, lag = row[motion]
            axes.plot(lag, share, marker, color=color, label=label if motion == "standing" else None, markersize=8)
    axes.set_xlabel("lag (frames)")
    axes.set_ylabel("jitter (share of unsmoothed)")
    axes.grid(alpha=0.3)
    names = figure.legend(loc="outside right upper", fontsize=8, title="blue stands, orange walks, green swings")
    names.get_title().set_fontsize(8)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()

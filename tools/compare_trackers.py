"""Trackers on drawn films with exact truth: who loses whom at crossings, behind pillars, out of sight, when shaken.

python tools/compare_trackers.py --trackers oks bytetrack ocsort --seeds 3

Detections are jittered, a tenth is missed, a twentieth false, alike for all. HOTA, MOTA and IDF1 are of boxes, in
percent; switches are a film of 20 seconds with 6 people; milliseconds are a frame's.
"""

from __future__ import annotations

import argparse
import time

from hrtoolkit.runtime.records import Objects
from hrtoolkit.toy.films import KINDS, Frame, as_predictions, make_film
from hrtoolkit.tracking.boxes import box_iou
from hrtoolkit.tracking.hota import people_hota
from hrtoolkit.tracking.people import Similarities, measure_people, people_clear, people_identity
from hrtoolkit.tracking.tracker import Tracker


def follow(tracker: Tracker, truth: list[Frame], found: list[Frame]) -> tuple[list[Similarities], float]:
    """The measures of all frames, and seconds a frame."""
    started = time.perf_counter()
    results = [one.record for one in tracker(as_predictions(found))]
    seconds = (time.perf_counter() - started) / len(found)
    measures = []
    for frame, record in zip(truth, results, strict=True):
        assert isinstance(record, Objects) and record.ids is not None
        known = record.ids > 0
        overlaps = box_iou(frame.boxes[:, None], record.boxes_xyxy[known])
        measures.append(measure_people(frame.ids, record.ids[known], overlaps))
    return measures, seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trackers", nargs="+", default=["oks", "sort", "bytetrack", "ocsort", "botsort", "cbiou"])
    parser.add_argument("--confirm", type=int, nargs="+", default=[1], help="frames in a row before there is an id")
    parser.add_argument("--fps", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--seeds", type=int, default=5, help="films of each kind")
    args = parser.parse_args()
    print("| film | frames a second | tracker | confirm | MOTA | HOTA | IDF1 | switches | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for fps in args.fps:
            films = [make_film(kind, fps, seed=seed) for seed in range(args.seeds)]
            for name in args.trackers:
                for confirm in args.confirm:
                    videos, times = zip(*(follow(Tracker(name, confirm=confirm), *film) for film in films), strict=True)
                    clear, identity = people_clear(videos), people_identity(videos)
                    hota = float(people_hota(videos).numbers["HOTA"][0])
                    scores = " | ".join(f"{100 * value:.1f}" for value in (clear.mota, hota, identity.idf1))
                    switches = clear.switches / len(films)
                    row = (
                        f"| {kind} | {fps} | {name} | {confirm} | {scores} | {switches:.1f} | {1000 * min(times):.2f} |"
                    )
                    print(row, flush=True)


if __name__ == "__main__":
    main()

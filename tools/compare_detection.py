"""What a film loses where the detector looks at every Nth frame: MOTA and HOTA on drawn films with exact truth.

python tools/compare_detection.py --every 1 2 5 10

Detections are those of tools/compare_trackers.py: a tenth is missed, a twentieth false. In every frame a network finds
keypoints anew, off by 1.2 % of the person's height, in the boxes of the detector or around those of the frame before.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from hrtoolkit.predict import Prediction, Source
from hrtoolkit.predict.sparse_detection import SparseDetector
from hrtoolkit.records import Objects
from hrtoolkit.runtime.boxes import Boxes
from hrtoolkit.runtime.sources import Picture
from hrtoolkit.schemes.people import COCO
from hrtoolkit.toy.films import HEIGHT, KINDS, WIDTH, Frame, find_poses, make_film
from hrtoolkit.tracking import Tracker
from hrtoolkit.tracking.boxes import box_iou, enclose
from hrtoolkit.tracking.hota import people_hota
from hrtoolkit.tracking.people import Similarities, measure_people, people_clear

IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
SEEN = 0.3  # score from which a keypoint counts


class Film:
    """A film seen through a detector in every Nth frame; in every one as it is where N is 1."""

    def __init__(self, truth: list[Frame], found: list[Frame], every: int):
        self.truth, self.found, self.every, self.calls = truth, found, every, 0

    def detect(self, index: int, picture: Picture) -> Boxes:
        """What the detector finds."""
        self.calls += 1
        return Boxes(self.found[index].boxes, self.found[index].scores.astype(np.float32))

    def __iter__(self) -> Iterator[Prediction]:
        rng = np.random.default_rng(0)
        sparse = SparseDetector(self.detect, self.every, COCO.sigmas)
        for index, frame in enumerate(self.truth):
            picture = Picture(Source("film", None, index, frame.time), IMAGE)
            boxes = self.detect(index, picture) if self.every == 1 else sparse(index, picture)
            points, scores = find_poses(boxes.boxes_xyxy, frame, rng)
            record = Objects(
                boxes.boxes_xyxy,
                np.zeros(len(points), np.int64),
                boxes.scores
                * np.where(scores > 0.2, scores, 0).sum(axis=1)
                / np.maximum((scores > 0.2).sum(axis=1), 1),
                points.astype(np.float32),
                point_scores=scores,
            )
            yield Prediction(picture.source, record if self.every == 1 else sparse.see(record), COCO, IMAGE)


def measure(film: Film) -> list[Similarities]:
    """People by the boxes that their keypoints take up."""
    measures = []
    for frame, one in zip(film.truth, Tracker()(iter(film)), strict=True):
        people = one.record
        assert isinstance(people, Objects) and people.ids is not None and people.points is not None
        assert people.point_scores is not None
        known = people.ids > 0
        found = enclose(people.points[known], people.point_scores[known] > SEEN)
        boxes = enclose(frame.points, np.ones(frame.points.shape[:2], bool))
        measures.append(measure_people(frame.ids, people.ids[known], box_iou(boxes[:, None], found)))
    return measures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 5, 10])
    parser.add_argument("--fps", type=int, nargs="+", default=[10, 30])
    parser.add_argument("--seeds", type=int, default=2, help="films of each kind")
    args = parser.parse_args()
    print("| film | frames a second | every | detections a frame | MOTA | HOTA | switches |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for fps in args.fps:
            for every in args.every:
                films = [Film(*make_film(kind, fps, seed=seed), every) for seed in range(args.seeds)]
                videos = [measure(film) for film in films]
                clear, hota = people_clear(videos), float(people_hota(videos).numbers["HOTA"][0])
                calls = sum(film.calls for film in films) / sum(len(film.truth) for film in films)
                scores = f"{100 * clear.mota:.1f} | {100 * hota:.1f} | {clear.switches / len(films):.1f}"
                print(f"| {kind} | {fps} | {every} | {calls:.2f} | {scores} |", flush=True)


if __name__ == "__main__":
    main()

"""PoseTrack18: people in the frames of videos, in flat arrays, and predictions from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hrtoolkit.data.coco import Faults
from hrtoolkit.errors import DataError
from hrtoolkit.ranges import Share
from hrtoolkit.records import Objects, Record
from hrtoolkit.registry import DATASETS
from hrtoolkit.samples import Crops, Samples
from hrtoolkit.schemes import SchemeLike
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tracking.boxes import enclose
from hrtoolkit.tracking.keypoints import People, VideoFrame
from hrtoolkit.tracking.posetrack_files import find_predictions, read_predictions, read_truth

BOX_EXPANSION = 1.3  # of what is seen: PoseTrack18's boxes
LEAST_SCORE = np.nextafter(0.0, 1.0)  # 0 stands for a keypoint that is not there


@DATASETS.register_module()
class PoseTrack18(CocoKeypoints):
    """The frames of PoseTrack18's videos (Andriluka et al., CVPR 2018), also of PoseTrack21, which has the same format.

    A sample is a frame; of those that are not labelled nothing is known, and they are only tracked through. People have
    ids from 1, which are the file's and one more, and the sizes of their heads, by which PoseTrack divides distances.

    Args:
        data_root: folder of the data set.
        ann_file: annotations of all videos in one file, as OpenMMLab has joined them, or of one video.
        image_dir: folder below `data_root` that the file's names of images begin in.
        scheme: as of `CocoKeypoints`.
        box_file: detections in COCO's results format, which are the crops instead of annotated boxes.
        box_score: detections count from above this score.
        faults: "stop" refuses a file with faulty annotations, "drop" leaves them out and warns.

    Raises:
        DataError: a file is missing or malformed, or nobody is left.
    """

    told = ("scheme",)
    how_to_get = (
        "PoseTrack18's images come from https://posetrack.net alone; its annotations, as OpenMMLab has joined them in "
        "posetrack18_annotations.tar, are read below annotations/; --data-root names the folder of both"
    )

    def __init__(
        self,
        *,
        data_root: str,
        ann_file: str,
        image_dir: str = "",
        scheme: SchemeLike | None = None,
        box_file: str | None = None,
        box_score: Share = 0.4,
        faults: Faults = "stop",
    ):
        super().__init__(
            data_root=data_root, ann_file=ann_file, image_dir=image_dir, scheme=scheme, box_file=box_file, faults=faults
        )
        if self._detections is not None:
            likely = self._detections.scores > np.float32(box_score)
            self._detections = Crops._make(None if one is None else one[likely] for one in self._detections)
        self.videos = read_truth(Path(data_root) / ann_file, self.scheme.names)
        places = {
            image_id: (number, place)
            for number, video in enumerate(self.videos)
            for place, image_id in enumerate(video.image_ids)
        }
        self.places = [places[image_id] for image_id in self.images.ids.tolist()]
        facts = {
            annotation_id: (number + 1, size)
            for video in self.videos
            for ids, frame in zip(video.annotation_ids, video.frames, strict=True)
            for annotation_id, number, size in zip(
                ids, frame.people.ids.tolist(), np.asarray(frame.people.head_sizes).tolist(), strict=True
            )
        }
        known = np.array([facts[one] for one in self.annotation_ids.tolist()], np.float64).reshape(-1, 2)
        self._ids = known[:, 0].astype(np.int64)
        if self.people is not None:
            self.people = self.people._replace(sizes=known[:, 1])

    def video_frame(self, sample: int) -> VideoFrame:
        number, place = self.places[sample]
        return self.videos[number].frames[place]

    def truth(self, sample: int) -> Objects | None:
        truth = super().truth(sample)
        first, end = self.starts[sample : sample + 2].tolist()
        if truth is None or (first == end and not self.video_frame(sample).labelled):
            return None
        return truth._replace(ids=self._ids[first:end])


def read_results(path: str, samples: Samples) -> dict[int, Record]:
    """Read PoseTrack18's files of predictions, with ids.

    Args:
        path: of the folder with a file a video.
        samples: that were predicted.

    Returns:
        records by sample.

    Raises:
        DataError: the samples are not PoseTrack18's, a file is missing, or its frames are others.
    """
    if not isinstance(samples, PoseTrack18):
        raise DataError(f"{path}: a folder of PoseTrack18's files, for a dataset of the type PoseTrack18 alone")
    found = [
        read_predictions(file, video, samples.scheme.names)
        for video, file in zip(samples.videos, find_predictions(path, samples.videos).values(), strict=True)
    ]
    # Records count from 1, as -1 is nobody's id there; in a file every whole number is somebody's.
    lowest = [min((0, *(number for people in frames for number in people.ids.tolist()))) for frames in found]
    return {
        sample: _to_record(found[number][place], 1 - lowest[number])
        for sample, (number, place) in enumerate(samples.places)
    }


def _to_record(people: People, shift: int) -> Objects:
    """People of a file as a prediction, their ids moved up; scores are means over the keypoints that are there."""
    present, scores = people.present, people.scores
    if scores is None:
        means, point_scores = np.ones(len(present)), None
    else:
        means = np.where(present, scores, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
        point_scores = np.where(present, np.where(scores == 0, LEAST_SCORE, scores), 0.0)
    return Objects(
        boxes_xyxy=enclose(people.points, present, BOX_EXPANSION),
        labels=np.zeros(len(present), np.int64),
        scores=means,
        points=np.where(present[..., None], people.points, np.nan),
        point_scores=point_scores,
        ids=people.ids + shift,
    )

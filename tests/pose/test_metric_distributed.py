"""The numbers do not depend on how samples are dealt to processes."""

import json

import numpy as np
import torch.distributed
import torch.multiprocessing

from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.records import Objects
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes.people import COCO
from hrtoolkit.tasks.pose.datasets import CocoKeypoints
from hrtoolkit.tasks.pose.finish import PoseFinish
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric

IMAGES = 8
SIZE = 32


def make_people():
    """What the head predicts of each detection, side by side by image."""
    rng = np.random.default_rng(0)
    return [
        Objects(
            boxes_xyxy=np.array([[0.0, 0, 200, 200]]),
            labels=np.zeros(1, np.int64),
            scores=np.array([rng.uniform()]),
            points=rng.uniform(0, 200, (1, 17, 2)).astype(np.float32),
            point_scores=rng.uniform(0, 1, (1, 17)).astype(np.float32),
            areas=np.array([4e4]),
        )
        for _ in range(SIZE)
    ]


def write_files(folder):
    """Half of the people, a little displaced, are the ground truth; ids of images fall, and the last has no crop."""
    rng = np.random.default_rng(1)
    ids = list(range(IMAGES, -1, -1))
    annotations = []
    for number, person in enumerate(make_people()[::2]):
        keypoints = person.points[0] + rng.normal(0, 12, (17, 2))
        annotations.append(
            {
                "id": number + 1,
                "image_id": ids[2 * number * IMAGES // SIZE],
                "category_id": 1,
                "iscrowd": 0,
                "area": 2.5e4,
                "bbox": [0, 0, 200, 200],
                "keypoints": np.concatenate([keypoints, np.full((17, 1), 2)], axis=1).ravel().tolist(),
                "num_keypoints": 17,
            }
        )
    annotations.append({**annotations[0], "image_id": ids[-1]})
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 200} for i in ids]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.names)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "people.json").write_text(json.dumps(content))
    boxes = [
        {"image_id": ids[i * IMAGES // SIZE], "category_id": 1, "bbox": [0, 0, 200, 200], "score": 0.5}
        for i in range(SIZE)
    ]
    (folder / "boxes.json").write_text(json.dumps(boxes))


# Which samples the two processes hold.
SPLITS = {"halves": (range(4), range(4, 9)), "first has none": ([], range(9)), "second has none": (range(9), [])}


def score(folder, share):
    samples = CocoKeypoints(data_root=folder, ann_file="people.json", image_dir="images", box_file="boxes.json")
    inputs = Inputs(samples, TopDown(), samples.scheme)
    out = str(folder / "results.json")
    evaluation = Evaluation(inputs, [CocoKeypointMetric()], PoseFinish(scheme=samples.scheme), out)
    people = make_people()
    for index in range(SIZE):
        if inputs.sample_of(index) in share:
            evaluation.add([index], [people[index]])
    evaluation.finish_samples(share)
    numbers = evaluation.score()
    evaluation.write()
    return numbers


def score_every_split(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, split in SPLITS.items():
        scores = score(folder, split[rank])
        (folder / f"{name} {rank}.json").write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_and_the_file_of_one(tmp_path):
    write_files(tmp_path)
    expected = score(tmp_path, range(9))
    results = (tmp_path / "results.json").read_text()
    assert 0.1 < expected["AP"] < 0.9
    torch.multiprocessing.spawn(score_every_split, args=(tmp_path,), nprocs=2)
    for name in SPLITS:
        for rank in range(2):
            assert json.loads((tmp_path / f"{name} {rank}.json").read_text()) == expected, (name, rank)
    assert (tmp_path / "results.json").read_text() == results

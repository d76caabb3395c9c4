"""The numbers do not depend on how predictions are spread over processes."""

import json

import numpy as np
import torch.distributed
import torch.multiprocessing
from hrtoolkit.tasks.pose.layouts import COCO
from hrtoolkit.tasks.pose.metric import CocoKeypointMetric

IMAGES = range(1, 9)
SIZE = 32


def make_people():
    rng = np.random.default_rng(0)
    return [
        {
            "index": index,
            "image_id": index % len(IMAGES) + 1,
            "keypoints": rng.uniform(0, 200, (17, 2)).astype(np.float32),
            "scores": rng.uniform(0, 1, 17).astype(np.float32),
            "box_score": rng.uniform(),
            "area": 4e4,
        }
        for index in range(SIZE)
    ]


def write_annotations(path, people):
    """Half of the people, a little displaced, are the ground truth."""
    rng = np.random.default_rng(1)
    annotations = []
    for number, person in enumerate(people[::2], start=1):
        keypoints = person["keypoints"] + rng.normal(0, 12, (17, 2))
        annotations.append(
            {
                "id": number,
                "image_id": person["image_id"],
                "category_id": 1,
                "iscrowd": 0,
                "area": 2.5e4,
                "bbox": [0, 0, 200, 200],
                "keypoints": np.concatenate([keypoints, np.full((17, 1), 2)], axis=1).ravel().tolist(),
                "num_keypoints": 17,
            }
        )
    images = [{"id": image_id} for image_id in IMAGES]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1}]}))


# Which positions of the dataset the two processes hold.
SPLITS = {
    "interleaved": (range(0, SIZE, 2), range(1, SIZE, 2)),
    "padded": ([*range(0, SIZE, 2), 0, 2], [*range(1, SIZE, 2), 1, 3]),  # samplers fill the last batch with the first
    "within an image": (range(11), range(11, SIZE)),
    "first has none": ([], range(SIZE)),
    "second has none": (range(SIZE), []),
}


def score(folder, positions):
    metric = CocoKeypointMetric(out_file=folder / "results.json")
    metric.dataset_meta = {
        "ann_file": str(folder / "annotations.json"),
        "layout": COCO,
        "category_id": 1,
        "image_ids": None,
    }
    people = make_people()
    metric.process(None, [people[position] for position in positions])
    return metric.evaluate(size=SIZE)


def score_every_split(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, split in SPLITS.items():
        scores = score(folder, split[rank])
        (folder / f"{name} {rank}.json").write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_and_the_file_of_one(tmp_path):
    write_annotations(tmp_path / "annotations.json", make_people())
    expected = score(tmp_path, range(SIZE))
    results = (tmp_path / "results.json").read_text()
    assert 0.1 < expected["AP"] < 0.9
    torch.multiprocessing.spawn(score_every_split, args=(tmp_path,), nprocs=2)
    for name in SPLITS:
        for rank in range(2):
            assert json.loads((tmp_path / f"{name} {rank}.json").read_text()) == expected, (name, rank)
    assert (tmp_path / "results.json").read_text() == results

"""The numbers do not depend on how predictions are spread over processes."""

import json

import numpy as np
import torch.distributed
import torch.multiprocessing
from hrtoolkit.tasks.face.metric import NME

from hrtoolkit.structures import KeypointLayout

SIZE = 13
LAYOUT = KeypointLayout(names=("a", "b", "c", "d"), nme_reference=("a", "b"))

# Which positions of the dataset the two processes hold.
SPLITS = {
    "interleaved": (range(0, SIZE, 2), range(1, SIZE, 2)),
    "padded": ([*range(7), 0, 1], [*range(7, SIZE), 2]),  # samplers fill the last batch with the first
    "second has none": (range(SIZE), []),
}


def score(folder, positions):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, (SIZE, 4, 2))
    metric = NME(out_file=str(folder / "faces.json"))
    metric.dataset_meta = {
        "layout": LAYOUT,
        "keypoints": truth,
        "visible": np.ones((SIZE, 4)),
        "box_sizes": np.ones(SIZE),
        "subsets": {"even": np.arange(SIZE) % 2 == 0},
        "ann_file": "faces",
    }
    predictions = truth + rng.normal(0, 3, truth.shape)
    metric.process(None, [{"index": i, "image_id": i, "keypoints": predictions[i]} for i in positions])
    return metric.evaluate(size=SIZE)


def score_every_split(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, split in SPLITS.items():
        (folder / f"{name} {rank}.json").write_text(json.dumps(score(folder, split[rank])))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_and_the_file_of_one(tmp_path):
    expected = score(tmp_path, range(SIZE))
    faces = (tmp_path / "faces.json").read_text()
    assert 0 < expected["NME even"] != expected["NME"] > 0
    torch.multiprocessing.spawn(score_every_split, args=(tmp_path,), nprocs=2)
    for name in SPLITS:
        for rank in range(2):
            assert json.loads((tmp_path / f"{name} {rank}.json").read_text()) == expected, (name, rank)
    assert (tmp_path / "faces.json").read_text() == faces

"""The numbers do not depend on how samples are dealt to processes."""

import json

import numpy as np
import torch.distributed
import torch.multiprocessing

from hrtoolkit.engine.evaluation import Evaluation
from hrtoolkit.findings import Findings
from hrtoolkit.keypoints.views import TopDown
from hrtoolkit.records import Objects, join
from hrtoolkit.samples import Inputs
from hrtoolkit.schemes import KeypointScheme
from hrtoolkit.tasks.face.checks import Faces, keypoint_boxes
from hrtoolkit.tasks.face.datasets import FaceSamples
from hrtoolkit.tasks.face.metric import NME

SIZE = 13
SCHEME = KeypointScheme(names=("a", "b", "c", "d"), nme_reference=("a", "b"))

# Which samples the two processes hold.
SPLITS = {"halves": (range(7), range(7, SIZE)), "second has none": (range(SIZE), [])}


def score(folder, share):
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 100, (SIZE, 4, 2))
    names = [f"{i:02d}.jpg" for i in range(SIZE)]
    subsets = {"even": np.arange(SIZE) % 2 == 0}
    faces = Faces(names, np.full((SIZE, 2), 100), truth, keypoint_boxes(truth), names, subsets=subsets)
    samples = FaceSamples(scheme=SCHEME, faces=faces, findings=Findings("faces"), max_outside=1.0)
    inputs = Inputs(samples, TopDown(), SCHEME)
    evaluation = Evaluation(inputs, [NME()], join, str(folder / "faces.json"))
    predictions = (truth + rng.normal(0, 3, truth.shape)).astype(np.float32)
    for i in share:
        face = Objects(np.zeros((1, 4)), np.zeros(1, np.int64), points=predictions[i : i + 1])
        evaluation.add([i], [face])
    evaluation.finish_samples(share)
    numbers = evaluation.score()
    evaluation.write()
    return numbers


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

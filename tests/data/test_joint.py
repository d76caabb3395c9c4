"""Batches for several branches: who has truth of what, and what a step is made of."""

from collections import Counter

import numpy as np
import pytest

from hrtoolkit.data.joint import SharedInputs, Sources, StepSampler, build_joint_dataloader
from hrtoolkit.data.loading import stopping_workers
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.errors import DataError
from hrtoolkit.findings import Findings
from hrtoolkit.frames import Warp
from hrtoolkit.records import Category
from hrtoolkit.samples import BaseSamples, Images, Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.views import BaseAugmentation, BaseView


class Labelled(BaseSamples):
    """Grey images by name, whose label is their grey level plus an offset."""

    scheme = ClassScheme(tuple(str(i) for i in range(300)))

    def __init__(self, names, offset):
        self.names, self.offset = list(names), offset
        paths = np.array([f"/images/{name}.png".encode() for name in names])
        self.images = Images(paths, np.arange(len(names)), np.zeros((len(names), 2)))
        self.findings = Findings(f"labels of {offset}")
        self.was_read = []

    def read(self, sample):
        self.was_read.append(self.names[sample])
        return np.full((4, 4, 3), self.names[sample], np.uint8)

    def truth(self, sample):
        return Category(self.names[sample] + self.offset)


class Plain(BaseView):
    """The image as it is."""

    def __call__(self, image, ask=None):
        return image, Warp(image.shape[:2], image.shape[:2], False, np.eye(2, 3))


class Brighten(BaseAugmentation):
    """Add a random number, and tell which."""

    views = (Plain,)

    def ask(self, view, image_hw, truth, crop, scheme, rng):
        return None

    def retouch(self, pixels, frame, rng):
        return pixels + rng.integers(1, 100, dtype=np.uint8)


def learn(record, frame):
    return {"label": np.array(record.label)}


def make_inputs(names, offset, samples=None):
    return Inputs(samples or Labelled(names, offset), Plain(), Labelled.scheme, learn, Brighten())


def test_an_image_is_read_and_changed_once_for_all_branches():
    parts, boxes = make_inputs([1, 2, 3], 0), make_inputs([5, 3, 1], 100)
    shared = SharedInputs({"parts": parts, "boxes": boxes})
    assert len(shared) == 4  # 1, 2, 3, 5
    inputs = [shared[SampleKey(i, 2, 7)] for i in range(4)]
    labels = [{name: int(one["label"]) for name, one in x.targets.items()} for x in inputs]
    assert labels == [{"parts": 1, "boxes": 101}, {"parts": 2}, {"parts": 3, "boxes": 103}, {"boxes": 105}]
    assert parts.samples.was_read == [1, 2, 3] and boxes.samples.was_read == [5]
    # As a branch alone gets it.
    assert (inputs[2].pixels == parts[SampleKey(2, 2, 7)].pixels).all()
    assert (inputs[3].pixels == boxes[SampleKey(0, 2, 7)].pixels).all()


def test_branches_of_one_data_set_need_no_paths():
    samples = Labelled([4, 4], 0)
    shared = SharedInputs({name: make_inputs(None, 0, samples) for name in ("first", "second")})
    assert len(shared) == 2 and shared[SampleKey(1, 0, 0)].targets.keys() == {"first", "second"}
    with pytest.raises(
        DataError, match=r"labels of 0: /images/4.png stands there twice, .* make it a source of its own"
    ):
        SharedInputs({"first": make_inputs(None, 0, samples), "second": make_inputs([4], 1)})


def make_loader(steps=None, workers=0, **options):
    sources = {
        "both": SharedInputs({"parts": make_inputs(range(5), 0), "boxes": make_inputs(range(2, 7), 100)}),
        "boxes": SharedInputs({"boxes": make_inputs(range(20, 23), 100)}),
        "crops": SharedInputs({"pose": make_inputs(range(40, 50), 0)}),
    }
    views = {"both": "whole", "boxes": "whole", "crops": "crops"}
    sizes = {"both": 3, "boxes": 1, "crops": 4}
    return build_joint_dataloader(sources, views, sizes, workers, steps, **options)


def test_a_batch_a_view_says_which_rows_have_truth_of_a_branch():
    loader = make_loader(seed=3)
    assert len(loader) == 3  # of 7, 3 and 10 inputs
    for batch in loader:
        batches = batch["batches"]
        assert list(batches) == ["whole", "crops"]
        whole, crops = batches["whole"], batches["crops"]
        assert whole["images"].shape == (4, 3, 4, 4) and len(whole["frames"]) == 4
        assert crops["rows"]["pose"].tolist() == [0, 1, 2, 3] and crops["targets"]["pose"]["label"].shape == (4,)
        assert whole["rows"]["boxes"][-1] == 3 and whole["targets"]["boxes"]["label"][-1] >= 120
        names = {}
        for branch, offset in (("parts", 0), ("boxes", 100)):
            rows = whole["rows"].get(branch, [])
            if len(rows):
                names |= dict(zip(rows.tolist(), (whole["targets"][branch]["label"] - offset).tolist(), strict=True))
        assert sorted(names) == [0, 1, 2, 3]  # everybody has some truth
        known = {name for name, label in names.items() if label < 5}
        assert known == set(whole["rows"].get("parts", np.array([])).tolist())


def keys_of(sampler, epochs):
    steps = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        steps += list(sampler)
    return steps


def test_each_step_takes_as_many_of_each_source_and_walks_through_all_of_them():
    sampler = StepSampler({"long": 10, "short": 3}, {"long": 4, "short": 2}, seed=0)
    steps = keys_of(sampler, 5)
    assert len(steps) == 15 and all(Counter(one.source for one in step) == {"long": 4, "short": 2} for step in steps)
    for name, length in (("long", 10), ("short", 3)):
        keys = [one.key for step in steps for one in step if one.source == name]
        for walk in range(len(keys) // length):
            part = keys[walk * length :][:length]
            assert sorted(key.index for key in part) == list(range(length)) and {key.epoch for key in part} == {walk}
    orders = {tuple(one.key.index for one in steps[i] if one.source == "long") for i in range(15)}
    assert len(orders) > 5
    assert keys_of(StepSampler({"long": 10, "short": 3}, {"long": 4, "short": 2}, 0), 5) == steps
    assert keys_of(StepSampler({"long": 10, "short": 3}, {"long": 4, "short": 2}, 1), 5) != steps


def test_a_resumed_epoch_goes_on_at_its_step():
    whole, resumed = (StepSampler({"a": 10, "b": 3}, {"a": 2, "b": 2}, 0, steps=7) for _ in range(2))
    resumed.set_epoch(2)
    resumed.start = 4
    assert list(resumed) == keys_of(whole, 3)[-3:]


def test_processes_share_what_one_process_with_the_whole_batch_takes(monkeypatch):
    one = keys_of(StepSampler({"a": 10, "b": 3}, {"a": 4, "b": 2}, 0, steps=6), 1)
    shares = []
    for rank in range(2):
        monkeypatch.setattr("hrtoolkit.data.joint.get_dist_info", lambda rank=rank: (rank, 2))
        shares.append(keys_of(StepSampler({"a": 10, "b": 3}, {"a": 2, "b": 1}, 0, steps=6), 1))
    for whole, first, second in zip(one, *shares, strict=True):
        assert sorted(whole) == sorted(first + second)


def test_a_source_gives_the_same_inputs_with_workers_and_without():
    def images(loader):
        loader.sampler.set_epoch(1)
        with stopping_workers(loader):
            return [batch["batches"]["whole"]["images"] for batch in loader]

    alone, read_ahead = make_loader(2, seed=1), make_loader(2, workers=1, seed=1)
    keys = next(iter(alone.sampler))
    assert isinstance(alone.dataset, Sources) and len(alone.dataset[keys]) == 8
    for one, other in zip(images(alone), images(read_ahead), strict=True):
        assert (one == other).all()

"""Batches of training and of testing: what the last one holds."""

import numpy as np
import pytest

from hrtoolkit.data.loading import TestSampler, build_dataloader
from hrtoolkit.data.seeding import SampleKey
from hrtoolkit.frames import Warp
from hrtoolkit.records import Category
from hrtoolkit.samples import BaseSamples, Crops, Images, Inputs
from hrtoolkit.schemes import ClassScheme
from hrtoolkit.views import BaseView, Crop


class Numbered(BaseSamples):
    """As many black pixels as asked for; its people stand in the images of the given numbers."""

    scheme = ClassScheme(("black",))
    findings = ()

    def __init__(self, length, owners=None):
        self.images = Images(np.full(length, b""), np.arange(length), np.zeros((length, 2)))
        self.owners = owners

    def read(self, sample):
        return np.zeros((1, 1, 3), np.uint8)

    def truth(self, sample):
        return Category(0)

    def crops(self):
        if self.owners is None:
            return None
        count = len(self.owners)
        windows = np.ones((count, 4))
        return Crops(np.array(self.owners, np.int32), windows, windows, np.ones(count), np.full(count, -1))


class Plain(BaseView):
    """The image as it is."""

    def __call__(self, image, ask=None):
        return image, Warp(image.shape[:2], image.shape[:2], False, np.eye(2, 3))

    def crops(self, windows_xywh, boxes_xyxy, scores):
        return [Crop(window[:2], window[2:]) for window in windows_xywh]


class Whole(BaseView):
    """The image as it is, looked at as a whole."""

    __call__ = Plain.__call__


def make_inputs(length, owners=None, view=None):
    targets = lambda record, frame: {"label": np.int64(frame.input_hw[0])}  # noqa: E731
    return Inputs(Numbered(length, owners), view or Plain(), Numbered.scheme, targets)


def test_a_view_of_whole_images_gives_an_input_a_sample_whatever_crops_there_are():
    inputs = make_inputs(3, owners=[0, 0, 2, 2], view=Whole())
    assert len(inputs) == 3 and [inputs.sample_of(i) for i in range(3)] == [0, 1, 2]
    assert inputs.crop(1) is None and inputs.labels is None and inputs.objects is None
    assert inputs[SampleKey(0, 0, 1)].targets == {"label": 1}  # of the frame
    assert len(make_inputs(3, owners=[0, 0, 2, 2])) == 4


@pytest.mark.parametrize(
    ("length", "batch_size", "sizes"),
    [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 1, [1, 1, 1]), (1, 4, [1]), (3, 4, [3])],
)
def test_no_training_batch_is_a_lone_last_sample(length, batch_size, sizes):
    loader = build_dataloader(make_inputs(length), batch_size, 0, training=True)
    assert [len(batch["images"]) for batch in loader] == sizes and len(loader) == len(sizes)
    tested = build_dataloader(make_inputs(length), batch_size, 0, training=False)
    assert sum(len(batch["images"]) for batch in tested) == length


def test_a_resumed_epoch_leaves_out_the_same_sample():
    loader = build_dataloader(make_inputs(9), 4, 0, training=True)
    loader.sampler.start = 1
    assert [len(batch["images"]) for batch in loader] == [4]


def test_processes_are_dealt_whole_samples(monkeypatch):
    # Given ten people in five images, of which the second has four and the fourth nobody.
    inputs = make_inputs(5, owners=[0, 0, 1, 1, 1, 1, 2, 4, 4, 4])
    shares = []
    for rank in range(2):
        monkeypatch.setattr("hrtoolkit.data.loading.get_dist_info", lambda rank=rank: (rank, 2))
        sampler = TestSampler(inputs)
        shares.append((list(sampler.samples), list(sampler)))
    assert shares == [([0, 1], [0, 1, 2, 3, 4, 5]), ([2, 3, 4], [6, 7, 8, 9])]

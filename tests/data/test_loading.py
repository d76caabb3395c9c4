"""Batches of training and of testing: what the last one holds."""

import numpy as np
import pytest

from hrtoolkit.data.loading import build_dataloader


class Numbered:
    """As many black pixels as asked for."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, key):
        return {"image": np.zeros((1, 1, 3), np.uint8), "meta": {}}


@pytest.mark.parametrize(
    ("length", "batch_size", "sizes"),
    [(9, 4, [4, 4]), (10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 1, [1, 1, 1]), (1, 4, [1]), (3, 4, [3])],
)
def test_no_training_batch_is_a_lone_last_sample(length, batch_size, sizes):
    loader = build_dataloader(Numbered(length), batch_size, 0, training=True)
    assert [len(batch["images"]) for batch in loader] == sizes and len(loader) == len(sizes)
    tested = build_dataloader(Numbered(length), batch_size, 0, training=False)
    assert sum(len(batch["images"]) for batch in tested) == length


def test_a_resumed_epoch_leaves_out_the_same_sample():
    loader = build_dataloader(Numbered(9), 4, 0, training=True)
    loader.sampler.start = 4
    assert [len(batch["images"]) for batch in loader] == [4]

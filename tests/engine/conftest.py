"""Toy data of several tasks, which tests of one file share, and a config for it."""

from functools import partial

import pytest

from hrtoolkit.toy import write_coco

from ..joint import small_config


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "toy"
    write_coco(folder, 8, 3)
    return folder


@pytest.fixture
def make_config(toy):
    return partial(small_config, toy)

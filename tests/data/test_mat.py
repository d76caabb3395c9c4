"""MATLAB files, read by a process of its own."""

import os
import signal

import numpy as np
import pytest
from scipy.io import savemat

from hrtoolkit.data import mat
from hrtoolkit.data.mat import read_mat
from hrtoolkit.errors import DataError


def test_numbers_and_texts_come_back(tmp_path):
    names = np.empty((2, 1), object)
    names[:, 0] = ["a/1.jpg", "b/22.jpg"]
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    savemat(tmp_path / "a.mat", {"names": names, "values": values, "file": 2.5})
    content = read_mat(tmp_path / "a.mat")
    assert content["names"].ravel().tolist() == ["a/1.jpg", "b/22.jpg"]
    assert (content["values"] == values).all() and content["values"].dtype == np.uint8 and content["file"] == 2.5
    assert [*read_mat(tmp_path / "a.mat", ["values"])] == ["values"]


def test_damaged_files_are_one_error_each(tmp_path):
    savemat(tmp_path / "whole.mat", {"values": np.arange(1000.0), "text": "abc"})
    whole = (tmp_path / "whole.mat").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(128, 400, 3)] = rng.integers(0, 256, 3)
        path = tmp_path / "damaged.mat"
        path.write_bytes(damaged[: rng.integers(130, len(damaged) + 1)].tobytes())
        try:
            read_mat(path)
        except DataError as error:
            assert str(error).startswith(f"{path}: ") and "copy or download it again" in str(error)
            refused += 1
    assert refused > 20
    assert read_mat(tmp_path / "whole.mat")["values"].size == 1000


def test_a_crash_of_the_reader_is_an_error_and_the_next_file_is_read(tmp_path, monkeypatch):
    savemat(tmp_path / "a.mat", {"values": np.arange(3)})
    read_mat(tmp_path / "a.mat")
    os.kill(mat._running[os.getpid()].pid, signal.SIGSEGV)
    mat._running[os.getpid()].wait()
    with pytest.raises(DataError, match=r"a\.mat: a damaged MATLAB file; copy or download it again"):
        read_mat(tmp_path / "a.mat")
    assert read_mat(tmp_path / "a.mat")["values"].size == 3


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(DataError, match=r"none\.mat: "):
        read_mat(tmp_path / "none.mat")

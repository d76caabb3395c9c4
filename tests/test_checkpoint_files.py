"""Files of every kind under the name of a checkpoint: what is read, what is refused and how, and whole writing."""

import argparse
import collections
import gzip
import io
import json
import pickle
import random
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file

from hrtoolkit.checkpoint_files import read_checkpoint, write_checkpoint
from hrtoolkit.errors import CheckpointError


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "conv1.weight": torch.randn(4, 3, 3, 3, generator=generator),
        "bn1.running_var": torch.rand(4, generator=generator),
        "bn1.num_batches_tracked": torch.tensor(3),
    }


def assert_same(read, weights):
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w"])
def test_safetensors_and_torchs_files_are_known_by_their_bytes(name, weights, tmp_path):
    save_file(weights, tmp_path / name)
    assert_same(read_checkpoint(tmp_path / name), weights)
    torch.save(weights, tmp_path / name)
    assert_same(read_checkpoint(tmp_path / name), weights)
    torch.save(weights, tmp_path / name, _use_new_zipfile_serialization=False)
    assert_same(read_checkpoint(tmp_path / name), weights)


def test_home_and_variables_stand_in_paths(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(weights, tmp_path / "w.pth")
    assert_same(read_checkpoint("~/w.pth"), weights)
    assert_same(read_checkpoint("$HOME/w.pth"), weights)


def test_a_url_is_fetched_once_and_a_broken_one_is_said(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    torch.save(weights, tmp_path / "file.pth")
    url = (tmp_path / "file.pth").as_uri()
    assert_same(read_checkpoint(url), weights)
    (tmp_path / "file.pth").unlink()
    assert_same(read_checkpoint(url), weights)
    with pytest.raises(CheckpointError, match=r"other\.pth is not here; .*the connection failed"):
        read_checkpoint((tmp_path / "other.pth").as_uri())


def test_what_a_url_gave_instead_of_a_checkpoint_is_not_kept(weights, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    file = tmp_path / "file.pth"
    file.write_text("<html>sign in</html>")
    with pytest.raises(CheckpointError, match="web page"):
        read_checkpoint(file.as_uri())
    torch.save(weights, file)
    assert_same(read_checkpoint(file.as_uri()), weights)


def test_files_of_one_name_at_two_addresses_are_two_files(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    for folder, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / folder).mkdir()
        torch.save({"x": torch.full((1,), value)}, tmp_path / folder / "model_best.pth")
    read = [read_checkpoint((tmp_path / folder / "model_best.pth").as_uri())["x"].item() for folder in "ab"]
    assert read == [1.0, 2.0]


def test_numbers_and_histories_of_other_frameworks_are_read_along(weights, tmp_path):
    history = HistoryBuffer()
    history.update(0.5)
    meta = {"perf": np.float64(0.74), "sigmas": np.float32([0.026]), "ids": np.arange(2), "known": np.array([True])}
    meta |= {"none": np.zeros((0, 2), np.float32), "names": np.array(["nose"])}  # the first pickles `bytes`
    content = {
        "state_dict": weights,
        "meta": {"dataset_meta": meta},
        "message_hub": {"log_scalars": {"loss": history}},
    }
    torch.save(content, tmp_path / "numpy2.pth")
    # NumPy 1 calls the same functions by another path.
    with zipfile.ZipFile(tmp_path / "numpy2.pth") as old, zipfile.ZipFile(tmp_path / "numpy1.pth", "w") as new:
        for item in old.infolist():
            new.writestr(item.filename, old.read(item).replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    for name in ("numpy1.pth", "numpy2.pth"):
        content = read_checkpoint(tmp_path / name)
        assert_same(content["state_dict"], weights)
        read = content["meta"]["dataset_meta"]
        assert read["perf"] == 0.74 and read["sigmas"][0] == np.float32(0.026) and read["known"][0]
        assert read["none"].shape == (0, 2) and read["names"][0] == "nose"


def test_options_and_dictionaries_of_other_code_are_read_along(weights, tmp_path):
    counts = collections.defaultdict(list, a=[1])
    content = {"state_dict": weights, "args": argparse.Namespace(mean=[0.5]), "log": counts, "path": Path("a/b")}
    torch.save(content, tmp_path / "w.pth")
    read = read_checkpoint(tmp_path / "w.pth")
    assert_same(read["state_dict"], weights)
    assert read["args"].mean == [0.5] and read["log"] == {"a": [1]} and read["path"] == "a/b"


def test_reading_leaves_torchs_list_of_safe_globals_alone(weights, tmp_path):
    torch.save(weights, tmp_path / "file.pth")
    before = set(torch.serialization.get_safe_globals())
    read_checkpoint(tmp_path / "file.pth")
    assert set(torch.serialization.get_safe_globals()) == before


def test_getattr_in_a_pickle_reaches_nothing(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (torch.Tensor, "__subclasses__")

    torch.save({"state_dict": {"a": torch.zeros(1)}, "x": Reach()}, tmp_path / "file.pth")
    assert read_checkpoint(tmp_path / "file.pth")["x"] is None


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch evil_was_here",)


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Evil()}, "evil.pth")
    Path("raw.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match=r"evil\.pth: refused, .*posix\.system.*do not load it") as refused:
        read_checkpoint("evil.pth")
    assert "torch.load" not in str(refused.value)  # no line to copy that would run it
    with pytest.raises(CheckpointError, match=r"raw\.pth: a plain pickle"):
        read_checkpoint("raw.pth")
    assert not Path("evil_was_here").exists()


@pytest.mark.parametrize("wrap", ["alone", "in a dictionary"])
def test_a_whole_model_comes_with_the_line_that_saves_its_weights(wrap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = torch.nn.DataParallel(torch.nn.Conv2d(3, 3, 1))
    torch.save(model if wrap == "alone" else {"epoch": 3, "state_dict": model}, "whole.pth")
    with pytest.raises(CheckpointError, match=r"refused, .*names torch\.nn.*python -c") as refused:
        read_checkpoint("whole.pth")
    code = re.search(r'python -c "(.*)"', str(refused.value))[1]
    exec(code, {})
    assert_same(read_checkpoint("weights.pth"), dict(model.state_dict()))


def torchscript(path, weights):
    torch.jit.trace(torch.nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 2, 2)).save(str(path))


def packed(path, weights):
    torch.save(weights, path.with_name("inner.pth"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_name("inner.pth"), "inner.pth")


def tarred(path, weights):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("inner.pth"), io.BytesIO())


def unpacked(path, weights):
    torch.save(weights, path.with_name("inner.pth"))
    shutil.unpack_archive(path.with_name("inner.pth"), path.with_name("all"), "zip")
    (path.with_name("all") / "inner").rename(path)


def folder(path, weights):
    path.mkdir()
    (path / "last.pth").touch()


def newer_protocol(path, weights):
    torch.save(weights, path, pickle_protocol=4)


KINDS = {
    "web page": (b"\n<!DOCTYPE html><html>Too big to scan for viruses</html>", r"a web page \(HTML\).*browser"),
    "refusal": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "an XML document.*AccessDenied.*again"),
    "text": (b"404: Not Found", "a text that begins with '404: Not Found'"),
    "json": (json.dumps({"message": "Not Found"}).encode(), "a text that begins with .*Not Found"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "a Git LFS pointer.*git lfs pull"),
    "gzip": (gzip.compress(b"x" * 100), "packed by gzip; unpack it"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x032.1:\x8f\x02\n", "an ONNX network.*exported from"),
    "h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file.*Keras.*convert"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
    "empty": (b"", "an empty file; download"),
    "zeros": (bytes(1000), "nothing but zeros.*download"),
    "apple": (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "macOS"),
    "pickle": (pickle.dumps({"a": 1}), r"a plain pickle.*Its owner.*python -c"),
    "noise": (random.Random(0).randbytes(600), "something unknown, beginning with the bytes cd 07"),
    "torchscript": (torchscript, r"a TorchScript archive.*torch\.jit\.load"),
    "packed": (packed, r"a zip archive that holds inner\.pth; unpack it"),
    "tar": (tarred, "a tar archive; unpack it"),
    "unpacked": (unpacked, "an unpacked checkpoint; pack it again: cd .* zip -0"),
    "folder": (folder, r"a folder; name a checkpoint in it: last\.pth"),
    "newer protocol": (newer_protocol, "a pickle of a newer protocol.*Its owner.*python -c"),
    "npz": (lambda path, _: np.savez(path.open("wb"), a=np.zeros(2)), "an archive of NumPy arrays"),
    "dead link": (lambda path, _: path.symlink_to("nowhere"), "a link to nowhere, where nothing is"),
    "near name": (lambda path, _: path.with_name("wights.pth").touch(), "no such.*did you mean 'wights.pth'"),
    "a list": (lambda path, _: torch.save([torch.zeros(1)], path), "holds a list, not tensors by name"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_checkpoint_is_told_by_name_with_the_remedy(kind, weights, tmp_path):
    path = tmp_path / "weights.pth"
    make, expected = KINDS[kind]
    if isinstance(make, bytes):
        path.write_bytes(make)
    else:
        make(path, weights)
    with pytest.raises(CheckpointError, match=rf"weights\.pth: .*{expected}"):
        read_checkpoint(path)


def test_one_flipped_bit_is_told(weights, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(weights, path)
    content = bytearray(path.read_bytes())
    content[content.index(weights["conv1.weight"].numpy().tobytes()[:16]) + 3] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged: the checksum of w/data/0 in it .*again"):
        read_checkpoint(path)


def test_files_written_without_checksums_are_read(weights, tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(weights, tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(tmp_path / "w.pth"), weights)


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_a_file_that_was_cut_off_anywhere_is_said_to_be(kind, weights, tmp_path):
    path = tmp_path / "w.pth"
    if kind == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for size in [*range(1, 40), *range(40, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"w\.pth: .*(cut off|damaged|again|something unknown)"):
            read_checkpoint(path)


@pytest.mark.parametrize("kind", ["zip", "old"])
def test_damage_is_the_documented_error_or_does_no_harm(kind, weights, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"state_dict": weights, "meta": {"a": np.zeros(3)}}, path, _use_new_zipfile_serialization=kind == "zip")
    whole, rng, refused = path.read_bytes(), random.Random(1), 0
    name = next(n for n in zipfile.ZipFile(path).namelist() if n.endswith("data.pkl")) if kind == "zip" else None
    for _ in range(150):
        if name:  # the pickle itself, behind a right checksum
            with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(path, "w") as new:
                for item in old.infolist():
                    data = old.read(item)
                    new.writestr(item.filename, flip(data, rng) if item.filename == name else data)
        else:
            path.write_bytes(flip(whole, rng))
        try:
            assert isinstance(read_checkpoint(path), collections.abc.Mapping)
        except CheckpointError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 30


def flip(data, rng):
    data = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def test_a_failed_write_leaves_the_previous_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.pth"
    write_checkpoint({"state_dict": {"a": torch.ones(3)}}, path)

    def full_disk(_, file):
        file.write(b"half a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(CheckpointError, match=r"last\.pth: could not be written: disk full .*untouched"):
        write_checkpoint({"state_dict": {"a": torch.zeros(3)}}, path)
    assert zipfile.is_zipfile(path)
    assert read_checkpoint(path)["state_dict"]["a"].sum() == 3
    assert [p.name for p in tmp_path.iterdir()] == ["last.pth"]

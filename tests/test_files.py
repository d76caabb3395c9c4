"""Files are whole or untouched, what the system refuses is said in words, and a folder belongs to one run."""

import errno
import os
import signal
import time
from contextlib import contextmanager

import pytest
import torch

from hrtoolkit.checkpoint_files import write_checkpoint
from hrtoolkit.errors import CheckpointError, UserError
from hrtoolkit.files import FolderLock, check_writable, format_size, remove_unfinished, write_atomically


def names(folder):
    return [path.name for path in folder.iterdir()]


class FullDisk:
    """A file on a disk with room for a few bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_leaves_the_old_file_and_is_said_with_what_is_needed(tmp_path):
    path = tmp_path / "numbers.json"
    path.write_text("old")
    said = r"numbers\.json: could not be written: disk full \(.+ free, 2 kB needed\)"
    with pytest.raises(UserError, match=said), write_atomically(path, size=2000) as file:
        FullDisk(file, 10).write("x" * 2000)
    assert path.read_text() == "old" and names(tmp_path) == ["numbers.json"]


@pytest.mark.parametrize("room", [0, 100, 700, 4000])
def test_a_checkpoint_on_a_full_disk_is_said_in_words_and_not_in_those_of_torch(room, tmp_path, monkeypatch):
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda content, file: save(content, FullDisk(file, room)))
    with pytest.raises(CheckpointError, match=r"disk full \(.+ free, 40 kB needed\); the previous file is untouched"):
        write_checkpoint(
            {"state_dict": {"weight": torch.zeros(5000)}, "meta": {"scores": [torch.zeros(5000)]}}, tmp_path / "a.pth"
        )


def test_errors_of_the_code_that_writes_stay_as_they_are(tmp_path):
    for error in (RuntimeError("a bug"), UserError("a mistake"), KeyError("a bug")):
        with pytest.raises(type(error), match=error.args[0]), write_atomically(tmp_path / "a.txt"):
            raise error
    assert not names(tmp_path)


def test_names_may_be_as_long_as_the_system_lets_them_be(tmp_path):
    longest, longer = "n" * 250 + ".json", "n" * 251 + ".json"
    check_writable(tmp_path / longest)
    with write_atomically(tmp_path / longest) as file:
        file.write("{}")
    with pytest.raises(UserError, match="cannot be written"):
        check_writable(tmp_path / longer)


def test_what_killed_processes_left_is_removed(tmp_path):
    (tmp_path / ".last.pth.1.unfinished").touch()
    (tmp_path / "last.pth").touch()
    remove_unfinished(tmp_path)
    assert names(tmp_path) == ["last.pth"]


def test_sizes_are_said_in_the_unit_that_suits_them():
    assert [format_size(n) for n in (0, 512, 999.6, 1_410_000, 76_500_000_000, 3e15)] == [
        "0 B", "512 B", "1 kB", "1.41 MB", "76.5 GB", "3e+03 TB"
    ]  # fmt: skip


@contextmanager
def forked(action):
    """The id of a process that does `action(tell)`, once it has called `tell()`; it is killed afterwards."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            action(lambda: os.write(tell, b"."))
        finally:
            os._exit(0)
    try:
        os.read(told, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_folder_is_refused_while_its_run_lives_and_free_when_it_was_killed(tmp_path):
    def hold(tell):
        with FolderLock(tmp_path):
            tell()
            time.sleep(60)

    with forked(hold) as pid, pytest.raises(UserError, match=rf"another run \(process {pid} on .*--work-dir"):
        FolderLock(tmp_path)
    with FolderLock(tmp_path):
        assert str(os.getpid()) in (tmp_path / "running").read_text()
    assert not names(tmp_path)


def test_a_forked_process_does_not_keep_the_lock_of_its_dead_parent(tmp_path):
    def hold_and_fork(tell):
        with FolderLock(tmp_path):
            if os.fork() == 0:
                tell()
                time.sleep(3)
            os._exit(0)

    with forked(hold_and_fork) as pid:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with FolderLock(tmp_path):
            pass

"""The processes of a loader: they die with the run, outlive a signal to all, and never leave anybody waiting."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from hrtoolkit.data.loading import build_dataloader, stopping_workers

from .test_loading import Numbered, make_inputs


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for_death(pids, seconds):
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, pids))


def start_loader(length=8):
    loader = build_dataloader(make_inputs(length), 1, 2, training=False)
    iterator = iter(loader)
    next(iterator), next(iterator)  # one from each: until it reads, a worker has not learnt what to do about signals
    return loader, iterator, [worker.pid for worker in iterator._workers]


two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two loader processes")
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs signals that say who sent them")


@linux
@two_cores
def test_signals_to_all_leave_the_workers_to_the_run():
    loader, iterator, pids = start_loader()
    with stopping_workers(loader):
        sender = os.fork()  # not their parent, as a scheduler is not
        if sender == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                for pid in pids:
                    os.kill(pid, number)
            os._exit(0)
        os.waitpid(sender, 0)
        assert len(list(iterator)) == 6
    assert wait_for_death(pids, 0)


@linux
@two_cores
def test_the_runs_own_sigterm_ends_them_at_once():
    loader, iterator, pids = start_loader()
    # A worker may be in the middle of handing a batch over.
    with pytest.raises((RuntimeError, ConnectionError, EOFError)), stopping_workers(loader):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        assert wait_for_death(pids, 20)
        list(iterator)


@linux
@two_cores
def test_workers_die_with_a_killed_run():
    told, tell = os.pipe()
    run = os.fork()
    if run == 0:
        *kept, pids = start_loader()
        os.write(tell, " ".join(map(str, pids)).encode())
        assert kept
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(run, 0)
    pids = [int(pid) for pid in os.read(told, 100).split()]
    assert len(pids) == 2 and wait_for_death(pids, 20)


def refuse(self):
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


def test_what_a_worker_cannot_send_is_an_error_and_nobody_waits(monkeypatch):
    loader = build_dataloader(make_inputs(4), 1, 1, training=False)
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", lambda self, *_, **__: refuse(self))
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="unable to allocate shared memory"), stopping_workers(loader):
        list(loader)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("how", ["killed", "stuck"])
def test_workers_end_at_once_whatever_state_they_are_in(how, monkeypatch):
    read = Numbered.read

    def last(self, sample):
        if sample:
            os.kill(os.getpid(), signal.SIGKILL) if how == "killed" else time.sleep(60)
        return read(self, sample)

    monkeypatch.setattr(Numbered, "read", last)
    loader = build_dataloader(make_inputs(4), 1, 1, training=False)
    start = time.monotonic()
    with pytest.raises((RuntimeError, KeyboardInterrupt)), stopping_workers(loader):
        for _ in loader:
            if how == "stuck":
                raise KeyboardInterrupt
    assert time.monotonic() - start < 30 and loader._iterator is None

"""Inputs in batches that are filled across pictures, and the pictures in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .errors import DataError, UserError
from .sources import Picture, Source

Input = TypeVar("Input")


@dataclass
class _Job:
    """A picture, and the records of its inputs that are there already."""

    picture: Picture
    inputs: int
    records: list = field(default_factory=list)


@dataclass(frozen=True)
class Batches(Generic[Input]):
    """A network that sees several inputs at once.

    Args:
        look: the inputs of a picture, by its number and itself.
        run: the records of some inputs of one size.
        size: of the batch that an input goes into.
        most: how many inputs the network sees at once, asked with the next one.
    """

    look: Callable[[int, Picture], Sequence[Input]]
    run: Callable[[list[Input]], Sequence[Any]]
    size: Callable[[Input], tuple]
    most: Callable[[Input], int]

    def predict(
        self, pictures: Iterable[Picture], live: bool, on_failure: Callable[[Source, UserError], None] | None
    ) -> Iterator[tuple[Picture, list]]:
        """Each picture with the records of its inputs, in the order of the pictures.

        Args:
            pictures: read as they are needed.
            live: they are of a camera: none waits for the next one.
            on_failure: is given what cannot be looked at; without it the first one is raised.
        """
        jobs: deque[_Job] = deque()
        waiting: deque[tuple[_Job, Input]] = deque()
        for index, picture in enumerate(pictures):
            try:
                inputs = self.look(index, picture)
            except DataError as error:
                if on_failure is None:
                    raise
                on_failure(picture.source, error)
                continue
            job = _Job(picture, len(inputs))
            jobs.append(job)
            for one in inputs:
                waiting.append((job, one))
            while waiting and (live or self._is_full(waiting)):
                self._run(waiting)
            yield from _done(jobs)
        while waiting:
            self._run(waiting)
        yield from _done(jobs)

    def _is_full(self, waiting: deque[tuple[_Job, Input]]) -> bool:
        (_, first), (_, last) = waiting[0], waiting[-1]
        return len(waiting) >= self.most(first) or self.size(first) != self.size(last)

    def _run(self, waiting: deque[tuple[_Job, Input]]) -> None:
        """Run the next batch: as many of one size as there are."""
        first = waiting[0][1]
        most, size = self.most(first), self.size(first)
        chosen = [waiting.popleft()]
        while waiting and len(chosen) < most and self.size(waiting[0][1]) == size:
            chosen.append(waiting.popleft())
        for (job, _), record in zip(chosen, self.run([one for _, one in chosen]), strict=True):
            job.records.append(record)


def _done(jobs: deque[_Job]) -> Iterator[tuple[Picture, list]]:
    """Take the pictures at the front whose records are all there."""
    while jobs and len(jobs[0].records) == jobs[0].inputs:
        job = jobs.popleft()
        yield job.picture, job.records

"""A run of a predictor: its predictions into their folders, with a line of progress, and a summary at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hrtoolkit.errors import DataError, UserError
from hrtoolkit.predict.output import Output
from hrtoolkit.predict.prediction import Prediction
from hrtoolkit.predict.sources import Source

Found = TypeVar("Found")  # of a picture


class Summary(NamedTuple):
    """What a run has done."""

    predicted: int  # pictures or frames
    earlier: int  # sources that an earlier run had finished
    failed: list[tuple[Source, UserError]]  # what could not be read
    files: list[Path]  # that hold the predictions
    taken: int = 0  # of the frames, from a run that was stopped

    def __str__(self) -> str:
        taken = f", {self.taken} of them by the run that was stopped" if self.taken else ""
        there = f", {self.earlier} sources were there already" if self.earlier else ""
        lines = [f"{self.predicted} predicted{taken}{there}", *(f"  {file}" for file in self.files)]
        if self.failed:
            lines.append(f"{len(self.failed)} could not be read:\n{_list_failures(self.failed)}")
        return "\n".join(lines)


def write_predictions(
    found: Iterator[Mapping[str, Prediction]],
    outputs: Mapping[str, Output],
    failed: list[tuple[Source, UserError]],
    total: int | None,
    watch: Callable[[Prediction], None] | None = None,
) -> Summary:
    """Write what is found of each picture, by branch, and close the folders.

    Args:
        found: of one picture after another; nobody has asked for it yet.
        outputs: the folder of each branch.
        failed: grows while pictures are read.
        total: how many pictures there are, where that is known.
        watch: is given every prediction.

    Raises:
        UserError: nothing could be read, or a folder cannot be written.
    """
    earlier, count = min(len(output.done) for output in outputs.values()), 0
    try:
        for predictions in _show_progress(found, total):
            for name, prediction in predictions.items():
                if prediction.source.name not in outputs[name].done:  # a run may have stopped between two branches
                    outputs[name].add(prediction)
                if watch is not None:
                    watch(prediction)
            count += 1
        files = [file for output in outputs.values() for file in output.finish()]
    finally:
        for output in outputs.values():
            output.close()
    if failed and not count and not earlier:
        raise DataError(_list_failures(failed))
    return Summary(count, earlier, failed, files, max(output.unfinished.taken for output in outputs.values()))


def _show_progress(predictions: Iterator[Found], total: int | None) -> Iterator[Found]:
    """Predictions, with a line that says how many there are, how many a second, and how long it will take."""
    columns = (
        *(TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}")),
        *(TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total, speed="")
        started = time.perf_counter()
        for count, prediction in enumerate(predictions, start=1):
            yield prediction
            progress.update(task, advance=1, speed=f"{count / (time.perf_counter() - started):.1f}/s")


def _list_failures(failed: Sequence[tuple[Source, UserError]], most: int = 10) -> str:
    lines = [str(error) for _, error in failed[:most]]
    if len(failed) > most:
        lines.append(f"... and {len(failed) - most} more")
    return "\n".join(lines)

"""Reading in a thread of its own, a few items ahead, so that it overlaps with the network."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import suppress
from typing import Any, TypeVar

from hrtoolkit.errors import DataError

Item = TypeVar("Item")
POLL_SECONDS = 0.1  # to see that nobody reads on
JOIN_SECONDS = 5  # for a reader that hangs; it is left behind


def read_ahead(
    items: Generator[Item, None, None], size: int, newest: bool = False, limit: float | None = None
) -> Generator[Item, None, None]:
    """Run a generator in a thread and give what it gives, errors too; to close this one ends the thread.

    Args:
        items: closed in the thread at the end.
        size: how many items wait at most.
        newest: of a camera: where the queue is full, the oldest item makes room.
        limit: seconds to wait for an item; None for ever.

    Raises:
        DataError: nothing came within `limit`.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(size)
    stop = threading.Event()

    def put(what: str, item: Any) -> None:
        if newest and what == "item" and waiting.full():
            with suppress(queue.Empty):
                waiting.get_nowait()
        while not stop.is_set():
            with suppress(queue.Full):
                return waiting.put((what, item), timeout=POLL_SECONDS)

    def work() -> None:
        try:
            for item in items:
                put("item", item)
                if stop.is_set():
                    break
            put("end", None)
        except BaseException as error:
            put("error", error)
        finally:
            items.close()

    thread = threading.Thread(target=work, name="read ahead", daemon=True)
    thread.start()
    try:
        while True:
            try:
                what, item = waiting.get(timeout=limit)
            except queue.Empty:
                raise DataError(f"no picture came for {limit:g} seconds") from None
            if what == "error":
                raise item
            if what == "end":
                return
            yield item
            del item  # or it would be held while the next one is waited for
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)

"""Run an iterator in a thread, ahead of the one who consumes it."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Generic, TypeVar

T = TypeVar('T')
AHEAD = 4  # frames that wait: enough to decode while a key frame is computed
PATIENCE = 5.0  # seconds that closing waits for a thread which waits for a network


class Handover(Generic[T]):
    """A bounded queue from one thread to another, which either may close.

    Args:
        size: Most items that wait.
        merge: Makes one item of the last one of a full queue and a new one; None makes
            `put` wait.
    """

    def __init__(self, size: int, merge: Callable[[T, T], T] | None) -> None:
        self.closing = threading.Event()
        self._size = size
        self._merge = merge
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_finished = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Append an item; it is dropped if the queue is closed."""
        with self._changed:
            while len(self._items) >= self._size and not self.closing.is_set():
                if self._merge is not None:
                    item = self._merge(self._items.pop(), item)
                else:
                    self._changed.wait()
            self._items.append(item)
            self._changed.notify_all()

    def finish(self, error: BaseException | None = None) -> None:
        """Say that no more items come; `error` is raised behind the last one."""
        with self._changed:
            self._is_finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no more items are wanted."""
        with self._changed:
            self.closing.set()
            self._changed.notify_all()

    def __iter__(self) -> Generator[T, None, None]:
        while True:
            with self._changed:
                while not self._items and not self._is_finished:
                    self._changed.wait()
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error


def read_ahead(
    make_items: Callable[[threading.Event], Generator[T, None, None]],
    *,
    size: int,
    merge: Callable[[T, T], T] | None = None,
) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread.

    The thread starts with the first item that is requested, and ends when this
    generator is closed. An error in the thread is raised here.

    Args:
        make_items: Called in the thread. The event is set when no more items are
            wanted; an iterator that waits for something must look at it.
        size: Most items that wait.
        merge: Makes one item of the last one that waits and a new one, when `size` of
            them wait; None makes the thread wait.
    """
    handover: Handover[T] = Handover(size, merge)
    thread = threading.Thread(
        target=_run, args=(make_items, handover), name='dff-read-ahead', daemon=True
    )
    thread.start()
    try:
        yield from handover
    finally:
        handover.close()
        thread.join(PATIENCE)


def _run(
    make_items: Callable[[threading.Event], Generator[T, None, None]],
    handover: Handover[T],
) -> None:
    error = None
    try:
        with closing(make_items(handover.closing)) as items:
            for item in items:
                handover.put(item)
                if handover.closing.is_set():
                    break
    except BaseException as caught:  # raised in the thread that consumes
        error = caught
    finally:
        handover.finish(error)

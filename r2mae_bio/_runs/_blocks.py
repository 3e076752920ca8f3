"""Long work cut into blocks: done one after another here, or by the workers of a Dask cluster."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._errors import ConfigError, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Work", "by_blocks", "check_client", "count_threads"]

_AHEAD: Final = 3
"""Blocks for each thread of the cluster that are computed, or wait to be written."""
_RETRIES: Final = 2
"""A block that raised is tried again: networks and their disks have moments. Of workers that die
while they compute a block Dask counts itself, and gives up after the fourth.
"""
_LARGE: Final = "distributed.admin.large-graph-warning-threshold"
_OPENING: Final = threading.Lock()


class Work(ABC):
    """What is done with each block, on its own; every worker is sent it once, and keeps what it
    opened for the blocks that follow.
    """

    _done: Callable[[Any], Iterator[Any]] | None = None

    @abstractmethod
    def open(self) -> Callable[[Any], Iterator[Any]]:
        """Make ready what all blocks need, and return what is called with each: it yields the
        results of a block, piece by piece.
        """

    def rest(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what a worker may not hold between two blocks, such as open files."""

    def pieces(self, block: Any) -> Iterator[Any]:
        """Results of a block.

        Parameters
        ----------
        block
            What can be sent to another process.

        Yields
        ------
        Pieces of the result, in order.
        """
        yield from self.ready()(block)

    def ready(self) -> Callable[[Any], Iterator[Any]]:
        """What :meth:`open` returned, which is called once."""
        with _OPENING:  # a worker may have several threads
            if self._done is None:
                self._done = self.open()
            return self._done

    def __getstate__(self) -> dict[str, Any]:
        """What is sent: nothing that is open."""
        return {name: value for name, value in self.__dict__.items() if name != "_done"}


def by_blocks(work: Work, blocks: Iterable[Any], client: Any = None) -> Iterator[tuple[Any, Any]]:
    """Results of all blocks, in their order.

    A cluster is given few blocks more than it has threads, so that results do not pile up, and
    blocks of a worker that died are computed by others.

    Parameters
    ----------
    work
        What is done with each.
    blocks
        The blocks, asked for as they are needed.
    client
        A ``dask.distributed.Client``; this process computes if None.

    Yields
    ------
    Each block, and a piece of its result.

    Raises
    ------
    ConfigError, SetupError
        The client is none, see :func:`check_client`.
    """
    check_client(client)
    if client is not None:
        yield from _by_workers(work, blocks, client)
        return
    for block in blocks:
        for piece in work.pieces(block):
            yield block, piece


def _by_workers(work: Work, blocks: Iterable[Any], client: Any) -> Iterator[tuple[Any, Any]]:
    import dask

    left, waiting = iter(blocks), deque[tuple[Any, Any]]()
    head = list(islice(left, 1))
    if not head:
        return
    work.ready()  # what cannot be done is refused here
    left = chain(head, left)
    with dask.config.set({_LARGE: "1 PB"}):  # it is sent once, whatever it takes
        # a task, not scattered data: if every worker that holds it dies, it is sent again
        sent = client.submit(_received, work, pure=False, retries=_RETRIES)
    try:
        while True:
            room = max(_AHEAD * count_threads(client) - len(waiting), 0)
            for block in islice(left, room):
                waiting.append((block, client.submit(_computed, sent, block, pure=False, retries=_RETRIES)))
            if not waiting:
                return
            block, future = waiting[0]
            for piece in future.result():
                yield block, piece
            waiting.popleft()
    finally:
        client.cancel([sent, *(future for _, future in waiting)])


def _received(work: Work) -> Work:
    return work


def _computed(work: Work, block: Any) -> list[Any]:
    try:
        return list(work.pieces(block))
    finally:
        work.rest()


def count_threads(client: Any) -> int:
    """Threads of a cluster, at least one: workers may be still to come."""
    n_threads: int = sum(client.nthreads().values())
    return max(n_threads, 1)


def check_client(client: Any) -> None:
    """Refuse what does not talk to a Dask cluster.

    Parameters
    ----------
    client
        What the user passed; None is for no cluster.

    Raises
    ------
    SetupError
        Dask is not installed.
    ConfigError
        It is something else, or cannot be waited for.
    """
    if client is None:
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        message = 'client needs Dask with its scheduler, which is not installed: pip install "r2mae_bio[scale]".'
        raise SetupError(message) from error
    if not isinstance(client, Client) or client.asynchronous:
        found = "asynchronous" if isinstance(client, Client) else f"of type {type(client).__name__}"
        message = f"client is {found}; needed is a dask.distributed.Client that waits, such as Client(n_workers=2, threads_per_worker=1), or None."
        raise ConfigError(message)

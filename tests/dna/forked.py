"""Functions run in processes of their own."""

from __future__ import annotations

import multiprocessing
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

PATIENCE = 60  # seconds


def fork(function: Callable[..., None], *args: object) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    """Run a function in a forked process, with the sending end of a pipe as its first argument."""
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=function, args=(send, *args), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # a fork of a process with threads; the child uses none
        process.start()
    send.close()
    return process, receive

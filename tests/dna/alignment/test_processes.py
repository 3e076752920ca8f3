"""Real processes: killed while converting, converting at once, reading after fork and spawn."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio.dna.alignment import _cache, _convert
from r2mae_bio.dna.genome._index import INDEX
from r2mae_bio.io import Alignment

from ..forked import PATIENCE, fork
from .conftest import N_POSITIONS, columns_by_biopython, drawn_maf

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


@pytest.fixture
def maf(write) -> Path:
    return write(head=drawn_maf(5))


@pytest.fixture
def truth(maf: Path) -> dict[str, np.ndarray]:
    return {name: columns_by_biopython(maf, "ref.1.chr1", name, N_POSITIONS) for name in "abc"}


def opened(maf: Path, root: Path) -> Alignment:
    return Alignment(maf, reference="ref.1", cache_dir=root)


def agrees(alignment: Alignment, truth: dict[str, np.ndarray]) -> bool:
    columns = alignment.columns("chr1", 0, N_POSITIONS)
    return all(np.array_equal(row, truth[name]) for row, name in zip(columns, alignment.species, strict=True))


def convert_and_stop(send: Connection, maf: Path, root: Path) -> None:
    """Say so when ten blocks are written, and wait."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    add, written = _convert._Writer.add, []

    def slow(self, block):
        add(self, block)
        written.append(block)
        if len(written) == 10:
            self._file.flush()
            send.send("there")
            time.sleep(PATIENCE)

    _convert._Writer.add = slow
    try:
        opened(maf, root)
    except KeyboardInterrupt:
        os._exit(3)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_conversion_leaves_no_half_cache(maf, truth, tmp_path, how) -> None:
    root = tmp_path / "cache"
    process, receive = fork(convert_and_stop, maf, root)
    assert receive.poll(PATIENCE)
    os.kill(process.pid, how)
    process.join(PATIENCE)
    assert process.exitcode == (-signal.SIGKILL if how == signal.SIGKILL else 3)
    left = [path for path in root.iterdir() if path.is_dir()]
    assert len(left) == (1 if how == signal.SIGKILL else 0)  # nobody can clean up after SIGKILL but the next one
    assert not list(root.glob(f"[!.]*/{INDEX}"))
    alignment = opened(maf, root)
    assert agrees(alignment, truth)
    assert [path for path in root.iterdir() if path.is_dir()] == [alignment.cache]


def convert_at_once(send: Connection, maf: Path, root: Path, truth: dict[str, np.ndarray]) -> None:
    """Say whether this process converted, and whether it reads what is there."""
    convert, converted = _cache.convert, []

    def watched(*args, **options):
        converted.append(1)
        time.sleep(0.2)
        return convert(*args, **options)

    _cache.convert = watched
    good = agrees(opened(maf, root), truth)
    send.send((len(converted), good))


def test_two_conversions_at_once_both_end_well(maf, truth, tmp_path) -> None:
    root = tmp_path / "cache"
    started = [fork(convert_at_once, maf, root, truth) for _ in range(2)]
    results = []
    for process, receive in started:
        assert receive.poll(PATIENCE)
        results.append(receive.recv())
        process.join(PATIENCE)
    assert [good for _, good in results] == [True, True]
    assert sum(converted for converted, _ in results) == 1
    assert [path for path in root.iterdir() if path.is_dir()] == [opened(maf, root).cache]


def read(send: Connection, alignment: Alignment, truth: dict[str, np.ndarray]) -> None:
    send.send((alignment._map is not None, agrees(alignment, truth), alignment._pid == os.getpid()))


@pytest.mark.parametrize("before", [True, False])
def test_forked_workers_read_what_is_there(maf, truth, tmp_path, before) -> None:
    """The alignment is inherited, mapped by the parent or not."""
    alignment = opened(maf, tmp_path / "cache")
    if before:
        alignment.columns("chr1", 0, 10)
    for process, receive in [fork(read, alignment, truth) for _ in range(2)]:
        assert receive.poll(PATIENCE)
        assert receive.recv() == (before, True, True)
        process.join(PATIENCE)


def test_spawned_workers_read_what_is_there(maf, truth, tmp_path) -> None:
    alignment = opened(maf, tmp_path / "cache")
    alignment.columns("chr1", 0, 10)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        columns = pool.apply(alignment.columns, ("1", 0, N_POSITIONS))
    assert all(np.array_equal(row, truth[name]) for row, name in zip(columns, alignment.species, strict=True))

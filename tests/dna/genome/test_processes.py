"""Real processes: killed while converting, converting at once, reading after fork and spawn."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio.dna.genome import _cache as _genome_cache
from r2mae_bio.dna.genome import _convert as _genome_convert
from r2mae_bio.dna.genome._index import BASES, INDEX
from r2mae_bio.io import Genome

from ..forked import PATIENCE, fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

pytestmark = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
N_BASES = 50_000


@pytest.fixture
def bases() -> bytes:
    return np.random.default_rng(5).choice(np.frombuffer(b"ACGTacgtN", np.uint8), N_BASES).tobytes()


@pytest.fixture
def fasta(bases: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_bytes(b">one\n" + bases[:20_000] + b"\n>two\n" + bases[20_000:] + b"\n")
    return path


# ---------------------------------------------------------------- killed


def stop_in_the_middle_of_the_bases(announce: Callable[[], None]) -> None:
    stream = _genome_convert.stream_fasta

    def slow(path):
        for i, piece in enumerate(stream(path, block=4096)):
            if i == 4:
                announce()
                time.sleep(PATIENCE)
            yield piece

    _genome_convert.stream_fasta = slow


def stop_before_the_index_is_moved(announce: Callable[[], None]) -> None:
    replace = Path.replace

    def slow(self, target):
        if Path(target).name == INDEX and not self.name.startswith("."):
            announce()
            time.sleep(PATIENCE)
        return replace(self, target)

    Path.replace = slow


def convert_and_stop(send: Connection, fasta: Path, root: Path, stop: Callable[[Callable[[], None]], None]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stop(lambda: send.send("there"))
    try:
        Genome(fasta, cache_dir=root)
    except KeyboardInterrupt:
        os._exit(3)


@pytest.mark.parametrize("stop", [stop_in_the_middle_of_the_bases, stop_before_the_index_is_moved])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_conversion_leaves_no_half_cache(fasta, bases, tmp_path, stop, how) -> None:
    root = tmp_path / "cache"
    process, receive = fork(convert_and_stop, fasta, root, stop)
    assert receive.poll(PATIENCE)
    os.kill(process.pid, how)
    process.join(PATIENCE)
    assert process.exitcode == (-signal.SIGKILL if how == signal.SIGKILL else 3)
    left = [path for path in root.iterdir() if path.is_dir() and path.name.startswith(".")]
    assert len(left) == (1 if how == signal.SIGKILL else 0)  # nobody can clean up after SIGKILL but the next one
    assert not list(root.glob(f"[!.]*/{INDEX}"))
    genome = Genome(fasta, cache_dir=root)
    genome.verify()
    assert (genome.fetch("one") + genome.fetch("two")).encode() == bases
    assert [path for path in root.iterdir() if path.is_dir()] == [genome.cache]


# ---------------------------------------------------------------- at once


def convert_at_once(send: Connection, fasta: Path, root: Path, me: int, locks: bool) -> None:
    """Say whether this process converted, and what it reads. Without locks, begin only when the
    other one has begun too.
    """
    convert, converted = _genome_cache.convert, []

    def watched(sources, folder):
        converted.append(1)
        (root / f"begun-{me}").touch()
        end = time.monotonic() + PATIENCE
        while not locks and not (root / f"begun-{1 - me}").exists() and time.monotonic() < end:
            time.sleep(0.005)
        time.sleep(0.1)
        return convert(sources, folder)

    _genome_cache.convert = watched
    if not locks:
        sys.modules["fcntl"] = None  # as on systems that have none
    genome = Genome(fasta, cache_dir=root)
    genome.verify()
    send.send((len(converted), genome.fetch("one") + genome.fetch("two")))


@pytest.mark.parametrize(("locks", "n_conversions"), [(True, 1), (False, 2)])
def test_two_conversions_at_once_both_end_well(fasta, bases, tmp_path, locks, n_conversions) -> None:
    root = tmp_path / "cache"
    started = [fork(convert_at_once, fasta, root, me, locks) for me in (0, 1)]
    results = []
    for process, receive in started:
        assert receive.poll(PATIENCE)
        results.append(receive.recv())
        process.join(PATIENCE)
    assert sum(converted for converted, _ in results) == n_conversions
    assert all(read.encode() == bases for _, read in results)
    assert [path.name for path in root.iterdir() if path.is_dir()] == [Genome(fasta, cache_dir=root).cache.name]


# ---------------------------------------------------------------- reading in workers


def read_at_random(send: Connection, genome: Genome, seed: int) -> None:
    opened = genome._map is not None
    starts = np.random.default_rng(seed).integers(0, 19_000, 4000)
    windows = genome.windows(starts, 512)
    send.send((opened, starts, windows, genome._pid == os.getpid()))


def truth_of(bases: bytes, starts: np.ndarray) -> np.ndarray:
    return np.frombuffer(bases, np.uint8)[starts[:, None] + np.arange(512)]


@pytest.mark.parametrize("opened", [True, False])
def test_forked_workers_read_what_is_there(fasta, bases, tmp_path, opened) -> None:
    """The genome is inherited, opened by the parent or not; all four read at once."""
    genome = Genome(fasta, cache_dir=tmp_path / "cache")
    if opened:
        genome.fetch("one", 0, 10)
    workers = [fork(read_at_random, genome, seed) for seed in range(4)]
    for process, receive in workers:
        assert receive.poll(PATIENCE)
        was_open, starts, windows, mapped_here = receive.recv()
        process.join(PATIENCE)
        assert was_open == opened
        assert mapped_here
        assert np.array_equal(windows, truth_of(bases, starts))


def test_spawned_workers_read_what_is_there(fasta, bases, tmp_path) -> None:
    """The state of the genome is sent to new processes, with its names and circles."""
    genome = Genome(fasta, cache_dir=tmp_path / "cache", circular="two", aliases={"second": "two"})
    genome.fetch("one", 0, 10)
    starts = [np.random.default_rng(seed).integers(0, 19_000, 4000) for seed in range(4)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        windows = pool.starmap(genome.windows, [(start, 512) for start in starts])
        across = pool.apply(genome.fetch, ("second", 29_990, 30_010))
    assert all(np.array_equal(w, truth_of(bases, s)) for w, s in zip(windows, starts, strict=True))
    assert across.encode() == bases[-10:] + bases[20_000:20_010]


def test_the_state_is_small_and_plain(fasta, tmp_path) -> None:
    """No bases and no handles: strings, lists and dicts only, whatever was read before."""
    genome = Genome(fasta, cache_dir=tmp_path / "cache", circular="all")
    before = genome.__getstate__()
    genome.windows([0], 512)
    state = genome.__getstate__()
    assert state == before
    assert set(map(type, state.values())) <= {str, list, dict}
    assert len(repr(state)) < 1000
    again = Genome.__new__(Genome)
    again.__setstate__(state)
    assert (again.contigs, again.sources, again.cache) == (genome.contigs, genome.sources, genome.cache)
    assert again.is_circular.all()
    assert (again.cache / BASES).is_file()

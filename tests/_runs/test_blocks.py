"""Blocks of work: in order, none lost, none twice, here or on a cluster, whoever dies."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from r2mae_bio._runs._blocks import Work, by_blocks, check_client, count_threads
from r2mae_bio.errors import ConfigError, SetupError


def squares(folder: Path, *, deadly=(), wrong=()):
    """Work whose class is sent along, since workers do not import tests."""

    class Squares(Work):
        def __init__(self):
            self.folder, self.opened = folder, 0

        def open(self):
            self.opened += 1
            return self._squared

        def _squared(self, block):
            assert self.opened == 1
            if block in deadly:
                first = self.folder / f"died of {block}"
                if not first.exists():
                    first.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            if block in wrong:
                message = f"block {block} is wrong"
                raise ConfigError(message)
            time.sleep(0.01 * (block % 3))  # a later one is done sooner
            yield block**2
            yield -block

        def __getstate__(self):
            return {**super().__getstate__(), "opened": 0}

        def rest(self):
            (self.folder / f"rested in {os.getpid()}").touch()

    return Squares()


EXPECTED = [(block, piece) for block in range(20) for piece in (block**2, -block)]


def test_one_process(tmp_path):
    assert list(by_blocks(squares(tmp_path), range(20))) == EXPECTED
    assert list(tmp_path.iterdir()) == []


def test_two_workers_give_the_same_in_order(tmp_path, client):
    assert count_threads(client) == 2
    assert list(by_blocks(squares(tmp_path), range(20), client)) == EXPECTED
    assert len(list(tmp_path.iterdir())) == 2  # both worked
    assert list(by_blocks(squares(tmp_path), [], client)) == []


def test_blocks_are_asked_for_as_results_are_taken(tmp_path, client):
    asked = []
    results = by_blocks(squares(tmp_path), (asked.append(block) or block for block in range(1000)), client)
    for n_taken in range(1, 11):
        next(results)
        next(results)
        assert len(asked) <= n_taken + 6
    results.close()
    assert len(asked) < 20


def test_blocks_of_workers_that_die_are_computed_by_others(tmp_path, client):
    work = squares(tmp_path, deadly=(0, 7, 8))  # workers that hold the work are lost one after the other
    assert list(by_blocks(work, range(20), client)) == EXPECTED
    assert len(list(tmp_path.glob("died*"))) == 3


def test_an_error_of_a_block_is_the_error_of_all(tmp_path, client):
    for of in (None, client):
        taken = []
        with pytest.raises(ConfigError, match="block 3 is wrong"):
            taken.extend(block for block, _ in by_blocks(squares(tmp_path, wrong=(3,)), range(20), of))
    assert list(by_blocks(squares(tmp_path), range(20), client)) == EXPECTED  # the cluster is as good as before


def test_what_is_no_client_is_refused(client, monkeypatch):
    check_client(None)
    check_client(client)
    with pytest.raises(ConfigError, match=r"client is of type str; needed is a dask\.distributed\.Client"):
        list(by_blocks(squares(Path()), range(3), "tcp://127.0.0.1:8786"))
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SetupError, match=r"not installed: pip install \"r2mae_bio\[scale\]\""):
        check_client(client)

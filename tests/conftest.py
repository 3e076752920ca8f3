"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is no failure: hypothesis counts 200 ms for one example otherwise.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# Networks this small only wait for one another's threads, and scanpy's compiled loops set their
# number for the whole process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

# A shell without job control lets what it puts in the background ignore Ctrl-C, which some tests
# press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets; the test is skipped where there is none."""
    named = os.environ.get("R2MAE_BIO_DATA")
    folder = Path(named).expanduser() if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        origin = "R2MAE_BIO_DATA names" if named else "R2MAE_BIO_DATA is not set and the default is"
        pytest.skip(f"needs shared data: {origin} {folder}, which is not a folder")
    return folder


@pytest.fixture(autouse=True)
def _keep_log_level() -> Iterator[None]:
    """Benchmarks silence the package's logger; a test after theirs must hear it again."""
    logger = logging.getLogger("r2mae_bio")
    level = logger.level
    yield
    logger.setLevel(level)


# It is run by hand, and finds its data beside it.
collect_ignore = ["fixtures/write_fixtures.py"]


@pytest.fixture(scope="module")
def one_thread():
    """Networks as small as those of tests only wait for one another's threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A client of two processes with one thread each; tests may kill them, for others come."""
    distributed = pytest.importorskip("distributed", reason="needs Dask's scheduler")
    # without an address, it takes port 8787 all the same, and warns where another cluster has it
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    # as the default, workers that tests kill would compute every dask array of later tests
    cluster = distributed.LocalCluster(**options, silence_logs=logging.CRITICAL)
    with cluster, distributed.Client(cluster, set_as_default=False) as made:
        yield made

"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: hypothesis counts 200 ms for one example otherwise.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

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

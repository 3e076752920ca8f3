"""Entries of a matrix, block by block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from r2mae_bio.cells.read._matrix import iter_entries

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # users still pass it


FORMS = {
    "dense": np.asarray,
    "matrix": np.asmatrix,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_matrix,
}


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.int16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4)), st.integers(1, 30))
def test_blocks_cover_every_entry_once(dense: np.ndarray, block: int) -> None:
    for form in FORMS.values():
        rebuilt = np.zeros(dense.shape)
        for part in iter_entries(form(dense), block=block):
            assert np.all(part.values != 0)
            np.add.at(rebuilt, (part.rows, part.cols), part.values)
        np.testing.assert_array_equal(rebuilt, dense)

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError, NegativeCountsError, NonFiniteError
from r2mae_bio.evaluate import log_normalize


def test_hand_computed():
    counts = sparse.csr_array(np.array([[1.0, 3.0, 6.0]]))
    measured = np.array([True, True, False])
    np.testing.assert_allclose(log_normalize(counts, measured, target=100).toarray(), np.log1p([[25.0, 75.0]]))
    share = np.array([0.1, 0.1, 0.8])
    np.testing.assert_allclose(log_normalize(counts, measured, share, 100).toarray(), np.log1p([[5.0, 15.0]]))


def test_everything_measured_needs_no_share(counts, everything):
    dense = counts.toarray().astype(float)
    expected = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)
    share = dense.sum(axis=0) / dense.sum()
    np.testing.assert_allclose(log_normalize(counts, everything).toarray(), expected)
    np.testing.assert_allclose(log_normalize(counts, everything, share).toarray(), expected)


def test_share_brings_a_panel_to_the_training_scale(counts, everything):
    """A cell with the training profile gets the same values from a panel as from all genes."""
    share = np.asarray(counts.sum(axis=0)).ravel() / counts.sum()
    cell = sparse.csr_array(1000 * share[None, :])
    panel = np.arange(counts.shape[1]) % 7 == 0
    full = log_normalize(cell, everything, share).toarray()
    np.testing.assert_allclose(log_normalize(cell, panel, share).toarray(), full[:, panel])


def test_depth_does_not_matter_and_the_input_is_left_as_found(counts, everything):
    before = counts.copy()
    np.testing.assert_allclose(log_normalize(3 * counts, everything).toarray(), log_normalize(counts, everything).toarray())
    np.testing.assert_array_equal(counts.toarray(), before.toarray())


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
def test_storage_does_not_matter(counts, everything, form):
    np.testing.assert_array_equal(log_normalize(form(counts), everything).toarray(), log_normalize(counts, everything).toarray())


def test_empty_cell_stays_zero():
    counts = sparse.csr_array(np.array([[0.0, 5.0], [2.0, 0.0]]))
    values = log_normalize(counts, np.array([True, False]))
    np.testing.assert_allclose(values.toarray(), [[0.0], [np.log1p(1e4)]])


@pytest.mark.parametrize("measured", [np.ones(3), np.ones(2, dtype=bool), np.ones((3, 1), dtype=bool)])
def test_refuses_a_mask_of_another_kind(measured):
    with pytest.raises(DataError, match="boolean mask of shape"):
        log_normalize(sparse.csr_array((2, 3)), measured)


def test_refuses_what_is_not_counts():
    counts, measured = sparse.csr_array(np.array([[1.0, -1.0, np.nan]])), np.eye(3, dtype=bool)
    with pytest.raises(NegativeCountsError, match="negative"):
        log_normalize(counts, measured[1])
    with pytest.raises(NonFiniteError, match="NaN"):
        log_normalize(counts, measured[2])
    with pytest.raises(DataError, match="None of the 3 genes"):
        log_normalize(counts, np.zeros(3, dtype=bool))
    with pytest.raises(ConfigError, match="target"):
        log_normalize(counts, measured[0], target=0)
    assert log_normalize(counts, measured[0]).shape == (1, 1)

"""Warnings point at the line that caused them, from whatever depth they are raised."""

from __future__ import annotations

import linecache
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._warn import told_to, warn


def text_of(warned):
    """The line of code that a warning points at."""
    return linecache.getline(warned.filename, warned.lineno).strip()


def test_a_warning_raised_here_is_of_this_line():
    with pytest.warns(UserWarning, match="no more") as found:
        warn("There is no more of it.")
    assert text_of(found[0]) == 'warn("There is no more of it.")'


@pytest.fixture(scope="module")
def model():
    cells = ad.AnnData(np.random.default_rng(0).poisson(2, (40, 12)).astype(np.float32) + 1)
    rb.model.GeneMAE.setup_anndata(cells)
    made = rb.model.GeneMAE(cells, n_latent=4, n_factors=4)
    made.initialize()
    return made


def test_methods_and_verbs_warn_at_their_caller(model):
    """An empty cell is noticed five calls deep, and eight from a verb."""
    query = ad.AnnData(np.ones((3, 12), np.float32))
    query.X[1] = 0
    with pytest.warns(UserWarning, match="embedded all the same") as found:
        model.get_latent_representation(query)
    assert text_of(found[0]) == "model.get_latent_representation(query)"
    with pytest.warns(UserWarning, match="embedded all the same") as found:
        rb.tl.embed(query, model)
    assert text_of(found[0]) == "rb.tl.embed(query, model)"


def test_one_line_warns_once(model):
    query = ad.AnnData(np.zeros((2, 12), np.float32) + [[0], [1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.get_latent_representation(query)  # loads libraries, some of which make Python forget what it warned of
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("ignore")  # other libraries warn of each other
        warnings.simplefilter("default", UserWarning)
        for _ in range(3):
            model.get_latent_representation(query)
    assert len(found) == 1


def test_code_beside_the_package_is_not_of_the_package():
    """A user's file may begin with the name of the package: r2mae_bio_scripts/run.py."""
    beside = str(Path(rb.__file__).parent) + "_scripts/run.py"
    names = {"warn": warn}
    exec(compile("def run():\n    warn('From a script.')\n", beside, "exec"), names)
    with pytest.warns(UserWarning, match="From a script") as found:
        names["run"]()
    assert found[0].filename == beside


def test_a_listener_hears_instead_of_the_caller():
    heard = []
    with told_to(heard.append):
        warn("There is no more of it.")
    assert heard == ["There is no more of it."]
    with pytest.warns(UserWarning, match="again"):
        warn("Heard again.")


def test_a_warning_of_one_line_is_shown_once_in_a_loop_and_always_if_asked_for():
    with warnings.catch_warnings(record=True) as heard:
        warnings.resetwarnings()
        for name in ("first", "second", "first"):
            warn(f"of a loop: {name}")
            with warnings.catch_warnings():  # upon which Python forgets what it has shown
                warnings.simplefilter("ignore")
        assert [str(one.message) for one in heard] == ["of a loop: first", "of a loop: second"]
        warnings.filterwarnings("always", message="of a loop: first")
        for name in ("first", "second", "first"):
            warn(f"of a loop: {name}")
        assert [str(one.message) for one in heard][2:] == ["of a loop: first", "of a loop: second", "of a loop: first"]

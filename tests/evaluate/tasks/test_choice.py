"""A method is chosen by the reference cells alone."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.errors import ConfigError
from r2mae_bio.evaluate import Noise, PCAZeroFill, ProbabilisticPCA, choose_method


def test_the_better_method_is_chosen_whatever_the_order(counts, labels):
    good, bad = ProbabilisticPCA(5), Noise(5)
    assert choose_method([bad, good], counts, labels) is good
    assert choose_method([good, bad], counts, labels) is good
    twins = [PCAZeroFill(5, name="one"), PCAZeroFill(5, name="two")]
    assert choose_method(twins, counts, labels) is twins[0]


def test_the_choice_is_a_function_of_the_seed(counts, labels):
    methods = [ProbabilisticPCA(k, name=str(k)) for k in (1, 2, 5, 8)]
    assert choose_method(methods, counts, labels, seed=3) is choose_method(methods, counts, np.array(labels), seed=3)


def test_refuses_nothing_to_choose_from(counts, labels):
    with pytest.raises(ConfigError, match="at least one method"):
        choose_method([], counts, labels)

"""The comparison of advices, on made-up measurements that follow one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks import theory_advice
from benchmarks.networks.data import pbmc68k
from benchmarks.networks.masks import CONDITIONS, SETTINGS


def test_measurements_that_follow_an_advice_agree_with_it() -> None:
    data = pbmc68k(n_genes=40)
    advice = theory_advice.fresh_advice(data, 120, 0)
    assert set(advice) == {(name, c) for name in theory_advice.ADVICE[1:] for c in CONDITIONS}
    key = {"learner": "made up", "data": "pbmc68k", "width": 0, "n": 120, "seed": 0}
    errors = {c: advice["fresh, held-out", c] for c in CONDITIONS}
    runs = pd.DataFrame([{**key, "setting": s, **{c: errors[c][i] for c in CONDITIONS}} for i, s in enumerate(SETTINGS)])
    turned = pd.DataFrame(
        [
            {"data": "pbmc68k", "n": 120, "seed": 0, "setting": s, **{c: -errors[c][i] for c in CONDITIONS}}
            for i, s in enumerate(SETTINGS)
        ]
    )
    turned[list(CONDITIONS)] += 100
    results = theory_advice.compare(runs, turned, {"pbmc68k": data})
    rho = results.groupby("advice")["rho"].mean()
    np.testing.assert_allclose([rho["fresh, held-out"], rho["single"]], [1, -1])
    followed = results[results["advice"] == "fresh, held-out"]
    assert (followed["cost"] == 0).all()
    np.testing.assert_allclose(followed["both"], followed["least"])
    assert "| made up | pbmc68k | full |" in theory_advice.table(results)
    assert theory_advice.worse(results) == "- nowhere"

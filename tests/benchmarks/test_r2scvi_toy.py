"""Methods are compared with scVI of as many epochs."""

from __future__ import annotations

import itertools

import pandas as pd

from benchmarks import r2scvi


def test_each_is_compared_with_scvi_of_as_many_epochs():
    values = {"R2SCVI": 0.9, "scVI": 0.5, "R2SCVI, 100 epochs": 0.8, "scVI, 100 epochs": 0.6}
    rows = [
        {"set": "kidney", "seed": seed, "probe": probe, "panel": panel, "method": name, "macro_f1": value + seed / 100}
        for (name, value), seed, probe, panel in itertools.product(values.items(), (0, 1), ("linear", "knn"), ("all", "10%"))
    ]
    text = r2scvi.markdown(pd.DataFrame(rows))
    assert text.count("| R2SCVI | +0.400 ± 0.000 | +0.400 ± 0.000 |") == 2
    assert text.count("| R2SCVI, 100 epochs | +0.200 ± 0.000 | +0.200 ± 0.000 |") == 2
    assert "| scVI | 0.505 | 0.505 |" in text
    assert "| scVI | +" not in text

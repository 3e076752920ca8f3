"""Labels of cells: which of them are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd


def test_dev_cells_are_drawn_by_class_or_group(cells):
    from r2mae_bio.cells.model._labels import read_labels, split_labelled

    cells = cells.copy()
    cells.obs["group"] = ["rare"] * 3 + ["a"] * 100 + ["b"] * 47
    cells.obs["donor"] = ["d0"] * 3 + [f"d{i % 4 + 1}" for i in range(147)]
    labels = read_labels(cells, "group")
    by_class = split_labelled(labels, cells, split_key=None, dev_size=0.2, groups_key=None, seed=0)
    assert sorted(np.concatenate([by_class.train, by_class.dev])) == list(range(150))
    assert pd.Series(labels.names[by_class.dev]).value_counts().to_dict() == {"a": 20, "b": 9, "rare": 1}
    for seed in range(6):
        split = split_labelled(labels, cells, split_key=None, dev_size=0.2, groups_key="donor", seed=seed)
        held = set(cells.obs["donor"].iloc[split.dev])
        assert held.isdisjoint(set(cells.obs["donor"].iloc[split.train]))
        assert 0.2 <= len(split.dev) / 150 < 0.5
        assert "rare" in labels.names[split.train]  # only one donor has them
    cells.obs["split"] = ["train"] * 110 + ["dev"] * 30 + ["test"] * 10
    named = split_labelled(labels, cells, split_key="split", dev_size=0.2, groups_key=None, seed=0)
    assert (named.train.tolist(), named.dev.tolist()) == (list(range(110)), list(range(110, 140)))
    cells.obs["split"] = ["train"] * 110 + ["test"] * 40
    drawn = split_labelled(labels, cells, split_key="split", dev_size=0.2, groups_key=None, seed=0)
    assert sorted(np.concatenate([drawn.train, drawn.dev])) == list(range(110))
    assert len(drawn.dev) == 1 + 20 + 1

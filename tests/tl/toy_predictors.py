"""A model that counts its surroundings, and a genome for it."""

from __future__ import annotations

import numpy as np

TEXT = "ACGTTGCAACGGTnACCATGRGTTTTACGA"


RING = "GGATCCTTAGCA"


class Counter:
    """Gives each base a weight of 1 and the number of times it is seen in the row; the other strand
    by its complement. At most ``at_once`` bases are to be hidden in a row.
    """

    def __init__(self, window=9, at_once=1):
        self.window = window
        self.at_once = at_once
        self.n_rows = []

    def checksum(self):
        return "c0ffee"

    def log_probs(self, codes, hidden=None, *, strand="both", batch_size=None):
        codes = np.asarray(codes)
        assert codes.shape[1] <= self.window
        assert hidden.any(axis=1).all()
        assert hidden.sum(axis=1).max() <= self.at_once
        self.n_rows.append(len(codes))
        seen = (codes[..., None] == np.arange(4)) & ~hidden[..., None]
        weights = 1.0 + seen.sum(axis=1, keepdims=True)
        log_p = np.log(weights / weights.sum(axis=2, keepdims=True))
        if strand == "both":
            log_p = (log_p + np.log([0.1, 0.2, 0.3, 0.4])) / 2
            log_p -= np.log(np.exp(log_p).sum(axis=2, keepdims=True))
        return np.broadcast_to(log_p, (*codes.shape, 4)).astype(np.float32)

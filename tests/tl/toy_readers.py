"""A model whose states are known, and sequences for it."""

from __future__ import annotations

import numpy as np

from r2mae_bio.io import decode_bases, reverse_complement


class Reader:
    """Reads rows by a function of (codes); the other strand as the real model does."""

    def __init__(self, function, window):
        self.function, self.window = function, window
        self.n_dim = function(np.zeros((1, 1), np.int64)).shape[2]
        self.shapes, self.layers = [], []

    def checksum(self):
        return "c0ffee"

    def states(self, codes, *, layer=-1, strand="both", batch_size=None):
        codes = np.asarray(codes, np.uint8)
        assert codes.shape[1] <= self.window
        self.shapes.append(codes.shape)
        self.layers.append(layer)
        forward = self.function(codes.astype(np.int64))
        if strand == "both":
            forward = (forward + self.function(reverse_complement(codes).astype(np.int64))[:, ::-1]) / 2
        return forward.astype(np.float32)


def composition(codes):
    """One-hot: the mean is the composition."""
    return np.eye(5)[codes][..., :4]


def whole_row(codes):
    """States that depend on the place in the row and on all of it."""
    place = np.broadcast_to(np.arange(codes.shape[1]), codes.shape)
    return np.stack([np.sin(place), np.cos(codes.sum(axis=1, keepdims=True) + place * codes)], axis=2)


def random_text(length, seed=0, unknown=0.05):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, length).astype(np.uint8)
    codes[rng.random(length) < unknown] = 4
    return decode_bases(codes)


CHR1, RING = random_text(150, 3), random_text(60, 4)

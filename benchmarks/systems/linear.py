"""The linear model: Gaussian rows with a covariance spectrum, and least squares of every feature
where it is hidden on the others as masked.

``one mask`` masks each row once, as the theory is stated; ``fresh masks`` masks it anew in so many
passes. Batches of rows share ratios or masks as a law's scope says.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from benchmarks.networks.masks import hidden_error, rescaled
from benchmarks.systems.laws import RATIOS
from benchmarks.systems.system import Inputs, Loaded, Network
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import draw_plan

if TYPE_CHECKING:
    from argparse import Namespace

    from r2mae_bio.masking import RatioLaw

SPECTRA = ("power law", "factors")
_BATCH = 32
_TINY = 1e-9
_REPEATS = 2


def load(seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
    """Training and test rows of every spectrum."""
    networks, inputs = {}, {}
    for spectrum in SPECTRA:
        train, test = _rows(spectrum, seed, settings)
        inputs[spectrum] = Inputs(train.double().numpy(), len(train))
        for name, passes in (("one mask", 1), ("fresh masks", settings["passes"])):
            run = partial(_fit, train, test, seed, passes)
            networks[f"{spectrum}, {name}"] = Network(run, spectrum)
    return Loaded(networks, inputs, {"rows": settings["n"], "features": settings["d"], "masks per row": settings["passes"]})


def _rows(spectrum: str, seed: int, settings: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    rng, d = derive_generator(seed, "linear rows", SPECTRA.index(spectrum)), settings["d"]
    if spectrum == "power law":
        turned = np.linalg.qr(rng.standard_normal((d, d)))[0]
        root = turned * np.arange(1, d + 1) ** -0.5
    else:
        root = np.concatenate([rng.standard_normal((d, settings["factors"])), 1.5 * np.eye(d)], 1)
    root /= np.sqrt((root**2).sum(1, keepdims=True))  # every feature has variance 1
    values = torch.from_numpy(
        (rng.standard_normal((settings["n"] + settings["n_test"], root.shape[1])) @ root.T).astype(np.float32)
    )
    return values[: settings["n"]], values[settings["n"] :]


def _fit(train: torch.Tensor, test: torch.Tensor, seed: int, passes: int, law: RatioLaw) -> dict[str, float]:
    weights = torch.from_numpy(_coefficients(train, seed, passes, law))
    valid, found = torch.ones(1, train.shape[1], dtype=torch.bool), {}
    for i, ratio in enumerate(RATIOS):
        errors = []
        for repeat in range(_REPEATS):
            rng = derive_generator(seed, "linear test", i, repeat)
            hidden = draw_plan(valid, np.full(len(test), ratio), rng).hidden
            errors.append(hidden_error(rescaled(test, hidden).double() @ weights, test.double(), hidden))
        found[f"error {ratio:.0%}"] = float(np.mean(errors))
    return found


def _coefficients(train: torch.Tensor, seed: int, passes: int, law: RatioLaw) -> np.ndarray:
    """Column j predicts feature j (d, d), from the rows in which it is hidden."""
    n, d = train.shape
    moment, cross = np.zeros((d, d, d)), np.zeros((d, d))
    n_batches = -(-n // _BATCH)
    for done in range(passes):
        order = derive_generator(seed, "linear order", done).permutation(n)
        for batch, rows in enumerate(np.array_split(order, n_batches)):
            rng = derive_generator(seed, "linear masks", done, batch)
            progress = (done * n_batches + batch) / (passes * n_batches)
            ratio = law.sample(len(rows), rng, progress=progress)
            hidden = draw_plan(torch.ones(1, d, dtype=torch.bool), ratio, rng, rectangle=law.scope == "rectangle").hidden
            seen, values = rescaled(train[rows], hidden).double().numpy(), train[rows].double().numpy()
            chosen = hidden.double().numpy()
            outer = (seen[:, :, None] * seen[:, None, :]).reshape(len(rows), -1)
            moment += (chosen.T @ outer).reshape(d, d, d)
            cross += (chosen * values).T @ seen
    columns = np.zeros((d, d))
    for j in range(d):
        gram = moment[j]
        gram.flat[:: d + 1] += _TINY * max(np.trace(gram) / d, 1.0)
        columns[:, j] = cho_solve(cho_factor(gram, check_finite=False), cross[j])
    np.fill_diagonal(columns, 0)
    return columns

"""What tells changes apart by an alignment, or by the sequence, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.aligned_cases import Case, Stretch, inside
from r2mae_bio import tl
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._columns import ColumnStart
from r2mae_bio.dna.fit._markov import MarkovModel
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.network._columns import log_shares
from r2mae_bio.io import ColumnFrequencies, encode_bases, reverse_complement

if TYPE_CHECKING:
    import pandas as pd

ORDER = 5
AROUND = 15
STRENGTH = 64
"""Counts by which a longer context leans on the shorter one."""


def auroc(table: pd.DataFrame, score: np.ndarray) -> dict[str, float]:
    """Of nonsense and of missense against synonymous; what is less likely scores higher."""
    kind = table["kind"].to_numpy()
    out = {}
    for worse in ("nonsense", "missense"):
        rows = np.isin(kind, [worse, "synonymous"])
        out[worse] = float(roc_auc_score(kind[rows] == worse, score[rows]))
    return out


def scores_of(case: Case, model: Any) -> np.ndarray:
    found = tl.score_variants(
        case.table[["chrom", "pos", "ref", "alt"]], case.genome, model, embedding_distance=False, progress_bar=False
    )
    assert (found["status"] == "ok").all()
    return -found["llr"].to_numpy()


def of_logits(case: Case, logits: np.ndarray) -> np.ndarray:
    """Scores from logits at the changed bases, (n, 4)."""
    each = np.arange(len(logits))
    ref, alt = (encode_bases("".join(case.table[name])) for name in ("ref", "alt"))
    return logits[each, ref] - logits[each, alt]


def markov_scores(case: Case) -> np.ndarray:
    """Difference of the likelihoods of both windows, mean over the strands."""
    model = MarkovModel.count(case.genome, case.split.train, ORDER)
    starts = case.table["pos"].to_numpy() - 1 - ORDER
    before = encode_bases(case.genome.windows(starts, 2 * ORDER + 1, contigs=case.contigs))
    after = before.copy()
    after[:, ORDER] = encode_bases("".join(case.table["alt"]))
    return (
        sum(
            np.nansum(model.nats(f(after))[:, ORDER:] - model.nats(f(before))[:, ORDER:], axis=1)  # of known bases
            for f in (lambda x: x, reverse_complement)
        )
        / 2
    )


def controls(case: Case) -> dict[str, dict[str, float]]:
    """AUROC of what needs no network."""
    columns = AlignedColumns(case.alignment, case.genome)
    start = ColumnStart(case.genome, case.split, columns, seed=0)
    context = torch.from_numpy(columns.at(case.contigs, case.table["pos"].to_numpy() - 1)).long()
    with torch.no_grad():
        readout = start.reading.readout(context).numpy()
        weighted = {pseudo: log_shares(context, start.weights, pseudo).numpy() for pseudo in (0.05, 0.5)}
    found = {
        f"columns, pseudocount {pseudo}": scores_of(case, ColumnFrequencies(case.alignment, pseudo=pseudo)) for pseudo in weighted
    }
    found |= {
        f"columns, pseudocount {pseudo}, weights of species": of_logits(case, logits) for pseudo, logits in weighted.items()
    }
    found |= {"columns, log-linear fit": of_logits(case, readout), f"Markov, order {ORDER}": markov_scores(case)}
    found |= {
        f"substitutions, {beside} bases beside": of_logits(case, substitutions(case, columns, beside)) for beside in (0, 1, 3)
    }
    found["columns and which neighbours vary"] = found["columns, pseudocount 0.05"] + neighbour_scores(case)
    return {name: auroc(case.table, score) for name, score in found.items()}


def substitutions(case: Case, columns: AlignedColumns, beside: int, n: int = 4_000_000) -> np.ndarray:
    """Log-probabilities of what other species have where the reference has the base that is
    changed and as many beside it on either side, (n, 4); counted on both strands at unmasked places
    that are trained on.
    """
    part, rng = case.split.train, derive_generator(0, "substitutions")
    n = min(n, 2 * part.n_bases)
    which = rng.choice(len(part.start), n, p=part.lengths / part.n_bases)
    at = part.start[which] + (rng.random(n) * part.lengths[which]).astype(np.int64)
    letters = case.genome.windows(at - beside, 2 * beside + 1, contigs=part.contig[which], outside="N")
    read = (encode_bases(letters) < UNKNOWN).all(1) & (letters[:, beside] < ord("a"))
    codes, has = encode_bases(letters[read]), columns.at(part.contig[which][read], at[read])
    counts = np.zeros((4,) * (2 * beside + 2))
    for one in has.T:
        known = one < UNKNOWN
        np.add.at(counts, (*codes[known].T, one[known]), 1)
        np.add.at(counts, (*reverse_complement(codes[known]).T, 3 - one[known]), 1)
    asked = encode_bases(case.genome.windows(case.table["pos"].to_numpy() - 1 - beside, 2 * beside + 1, contigs=case.contigs))
    return smoothed(counts, beside)[tuple(np.minimum(asked, 3).T)]  # T for the few that are unknown


def smoothed(counts: np.ndarray, beside: int) -> np.ndarray:
    """Log-probabilities by contexts, each leaning on that with a base less on either side."""
    shares = np.full(4, 0.25)
    for k in range(beside + 1):
        out = beside - k
        of = counts.sum(axis=(*range(out), *range(2 * beside + 1 - out, 2 * beside + 1)))
        shorter = shares if k == 0 else shares[None, ..., None, :]
        shares = (of + STRENGTH * shorter) / (of.sum(-1, keepdims=True) + STRENGTH)
    return np.log(shares)


def neighbour_scores(case: Case, n: int = 200_000) -> np.ndarray:
    """Log-odds, by which positions around vary, that no relative differs from the reference; by
    gradient boosting over what is validated on.
    """
    kinds, readable = variability(case, case.validated)
    places = np.flatnonzero(readable)[AROUND:-AROUND]
    drawn = derive_generator(0, "neighbours").choice(places, min(n, len(places)), replace=False)
    model = HistGradientBoostingClassifier(max_iter=150, random_state=0).fit(around(kinds, drawn), kinds[0, drawn] > 0)
    score = np.empty(len(case.table))
    for stretch in case.scored:
        rows = inside(case.table, stretch)
        asked = around(variability(case, stretch)[0], case.table["pos"].to_numpy()[rows] - 1 - stretch[1])
        varies = model.predict_proba(asked)[:, 1]
        score[rows] = np.log1p(-varies) - np.log(varies)
    return score


def variability(case: Case, stretch: Stretch) -> tuple[np.ndarray, np.ndarray]:
    """Whether another kind, and one of the reference's own, differs at each position, shares of
    other kinds that are aligned and that differ, float32 (4, L); and where any is aligned, (L,).
    """
    columns, own = case.alignment.columns(*stretch), case.own
    reference = np.frombuffer(case.genome.fetch(*stretch).upper().encode(), np.uint8)
    aligned = (columns != ord("-")) & (columns != ord("."))
    differs = aligned & (columns != reference)
    n_aligned, n_differ = aligned[~own].sum(0), differs[~own].sum(0)
    rows = [n_differ > 0, differs[own].any(0), n_aligned / (~own).sum(), n_differ / np.maximum(n_aligned, 1)]
    return np.array(rows, np.float32), n_aligned > 0


def around(kinds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """What stands within 15 positions of each, itself left out, (n, 4 x 30)."""
    offsets = [offset for offset in range(-AROUND, AROUND + 1) if offset]
    at = np.clip(positions[:, None] + offsets, 0, kinds.shape[1] - 1)
    return kinds[:, at].transpose(1, 0, 2).reshape(len(positions), -1)

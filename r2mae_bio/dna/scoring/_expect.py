"""Neutral sites scored as variants are, and their means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from r2mae_bio.dna.genome._bases import decode_bases
from r2mae_bio.dna.scoring._neutral import NeutralExpectation, contexts_of
from r2mae_bio.dna.scoring._neutral_sites import SIDE, describe_sites, draw_sites
from r2mae_bio.dna.scoring._output import score_records

if TYPE_CHECKING:
    from r2mae_bio.dna._protocols import PlacedModel, VariantModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.scoring._settings import ScoreSettings

_OTHERS = np.array([[other for other in range(4) if other != base] for base in range(4)], np.uint8)


def expect(
    genome: Genome,
    model: VariantModel | PlacedModel,
    settings: ScoreSettings,
    *,
    neutral: Any,
    exclude: Any,
    margin: int,
    n_sites: int,
    seed: int,
    client: Any,
    progress_bar: bool,
) -> NeutralExpectation:
    """Score all substitutions of neutral sites.

    Parameters
    ----------
    genome, model, settings
        As for :func:`score_records`.
    neutral, exclude, margin, n_sites, seed
        See :func:`draw_sites`.
    client, progress_bar
        As for :func:`score_records`.

    Returns
    -------
    The expectation.
    """
    sites = draw_sites(genome, neutral=neutral, exclude=exclude, margin=margin, n_sites=n_sites, seed=seed)
    words = contexts_of(genome, sites.contig, sites.position)
    ref = words[:, SIDE]
    alt = _OTHERS[ref]  # (n, 3)
    table = pd.DataFrame(
        {
            "chrom": [genome.contigs[i] for i in sites.contig.tolist()],
            "pos": sites.position + 1,
            "ref": list(decode_bases(ref)),
            "alt": [",".join(bases) for bases in decode_bases(alt)],
        }
    )
    run: dict[str, Any] = {"resume": False, "overwrite": False, "progress_bar": progress_bar, "client": client}
    scored = cast("pd.DataFrame", score_records(table, genome, model, settings, out=None, prefix="", **run))
    values = scored["llr"].to_numpy(np.float64)
    finite = np.isfinite(values)  # a model of counts may give a base no probability at all
    return NeutralExpectation.of(
        np.repeat(words, alt.shape[1], axis=0)[finite],
        alt.reshape(-1)[finite],
        values[finite],
        model=model.checksum(),
        genome=genome.fingerprint(),
        context=settings.context,
        sites=describe_sites(neutral, exclude, margin),
        n_sites=len(table),
        n_available=sites.n_available,
        seed=seed,
    )

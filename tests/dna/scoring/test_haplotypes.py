"""Windows of haplotypes: where their bases stand does not depend on the strand that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio.dna.scoring._haplotypes import HaplotypeWindows, haplotype_windows
from r2mae_bio.dna.variants._alleles import MinimalChange
from r2mae_bio.io import Genome

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = 32
TURNED = str.maketrans("ACGT", "TGCA")


def reverse_complement(text: str) -> str:
    return text.translate(TURNED)[::-1]


def genome_of(text: str, folder: Path) -> Genome:
    folder.mkdir()
    (folder / "g.fa").write_text(f">c\n{text}\n")
    return Genome(folder / "g.fa", cache_dir=folder)


def windows(genome: Genome, change: MinimalChange) -> HaplotypeWindows:
    return haplotype_windows(genome, np.zeros(1, np.int64), [change], context=CONTEXT, flank=4)


def standing(found: HaplotypeWindows, haplotype: int) -> np.ndarray:
    """Place of each base of a window, -1 for none."""
    place, known = found.places(np.full(CONTEXT, haplotype), np.arange(CONTEXT))
    return np.where(known, place, -1)


@pytest.mark.parametrize("unit", ["A", "CA", "CAT"])
@pytest.mark.parametrize("times", [4, 5])
@pytest.mark.parametrize(("removed", "inserted"), [(1, 0), (0, 1), (2, 0), (0, 2)])
def test_the_bases_of_a_repeat_that_stay_are_the_same_on_either_strand(unit, times, removed, inserted, tmp_path):
    rng = np.random.default_rng(times)
    before, after = ("".join(rng.choice(list("ACGT"), 60)) + "G", "G" + "".join(rng.choice(list("ACGT"), 60)))
    text = before + unit * times + after
    n = len(text)
    straight, reverse = genome_of(text, tmp_path / "straight"), genome_of(reverse_complement(text), tmp_path / "reverse")
    found = []
    for shift in range(len(unit) * (times - removed) + 1):  # wherever a caller placed it
        start, size = len(before) + shift, len(unit) * removed
        put = (unit * (inserted + 1))[shift % len(unit) :][: len(unit) * inserted]
        forward = windows(straight, MinimalChange(start, text[start : start + size], put))
        turned = MinimalChange(n - start - size, reverse_complement(text[start : start + size]), reverse_complement(put))
        backward = windows(reverse, turned)
        for haplotype in (0, 1):
            there = standing(backward, haplotype)[::-1]
            np.testing.assert_array_equal(standing(forward, haplotype), np.where(there < 0, -1, n - 1 - there))
        found.append([standing(forward, haplotype) for haplotype in (0, 1)])
    assert all(np.array_equal(found[0], other) for other in found)
    alternative = found[0][1]
    kept = alternative[alternative >= 0]
    assert np.all(np.diff(kept) > 0)
    assert (alternative < 0).sum() == len(unit) * inserted
    span = np.setdiff1d(np.arange(kept[0], kept[-1] + 1), kept)  # places that are left out
    assert len(span) == len(unit) * removed

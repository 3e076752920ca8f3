"""Small alignments written by hand or drawn at random, and what Biopython reads of them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from Bio import Align
from Bio.Seq import Seq

from r2mae_bio._lines import open_lines
from r2mae_bio.errors import MafError
from r2mae_bio.io import Alignment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "##maf version=1\n"
N_POSITIONS = 4000
PIECE = 40  # bases of a drawn block, so many that blocks leave gaps between one another


def block(*rows: str) -> str:
    """A block of rows written without their ``s``."""
    return "a score=1\n" + "".join(f"s {row}\n" for row in rows) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write blocks to a file."""

    def write(*blocks: str, name: str = "toy.maf", head: str = HEAD) -> Path:
        path = tmp_path / name
        path.write_text(head + "".join(blocks))
        return path

    return write


@pytest.fixture
def opened(write, tmp_path: Path) -> Callable[..., Alignment]:
    """Open an alignment of blocks; the reference is ``ref``."""

    def opened(*blocks: str, **options) -> Alignment:
        return Alignment(write(*blocks), reference="ref", cache_dir=tmp_path / "cache", **options)

    return opened


def shown(alignment: Alignment, contig: str, start: int, end: int) -> list[str]:
    """Columns of a region as text, a str for each species."""
    return [row.tobytes().decode() for row in alignment.columns(contig, start, end)]


def drawn_maf(seed: int) -> str:
    """Blocks on one contig of a reference with a dot in its name: either strand, gaps, species that
    are missing or twice there, lower case, N, and lines of other kinds between.
    """
    rng = np.random.default_rng(seed)
    text = HEAD + "# drawn\n"
    for start in rng.permutation(np.arange(0, N_POSITIONS - PIECE, PIECE + 5)).tolist():
        width = int(rng.integers(PIECE // 2, PIECE))
        present = ["ref.1.chr1", *rng.choice(["a.x", "b.y.1", "c.z", "a.w"], int(rng.integers(0, 5)), replace=False)]
        text += "a score=1.0\n"
        strands = rng.choice(["+", "-"], len(present))
        for name, strand in zip(present, strands, strict=True):
            letters = np.where(rng.random(width) < 0.2, "-", rng.choice(list("ACGTNacgtn"), width))
            size = int((letters != "-").sum())
            on_strand = start if strand == "+" else N_POSITIONS - start - size
            text += f"s {name} {on_strand} {size} {strand} {N_POSITIONS} {''.join(letters)}\n"
        text += f"e d.x 3 4 + 100 I\n{'#' if start % 2 else ''}\n"
    return text


def columns_by_biopython(path: Path, reference: str, species: str, n_positions: int, first: int = 0) -> np.ndarray:
    """What ``Bio.Align`` reads of one species over one contig, (positions,); no blocks overlap."""
    columns = np.full(n_positions, ord("."), np.uint8)
    with open_lines(path, MafError) as lines:
        text = io.StringIO(lines.read().decode())
    for alignment in Align.parse(text, "maf"):
        names = [record.id for record in alignment.sequences]
        ours = names.index(reference)
        rows = [i for i, name in enumerate(names) if name.partition(".")[0] == species]
        if not rows:
            continue
        letters = alignment[rows[0]].upper()
        if alignment.coordinates[ours, 0] > alignment.coordinates[ours, -1]:
            letters = str(Seq(letters).complement())
        places = alignment.indices[ours] - first  # on the plus strand
        known = (places >= 0) & (places < n_positions) & (alignment.indices[ours] >= 0)
        columns[places[known]] = np.frombuffer(letters.encode(), np.uint8)[known]
    return columns

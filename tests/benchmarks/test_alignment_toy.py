"""The benchmark of alignments, on one drawn at random."""

from __future__ import annotations

from benchmarks import alignment

from ..dna.alignment.conftest import drawn_maf


def test_prints_what_it_says(tmp_path, capsys) -> None:
    (tmp_path / "toy.maf").write_text(drawn_maf(0))
    alignment.main([str(tmp_path / "toy.maf"), "--reference", "ref.1", "--windows", "20", "--biopython"])
    text = capsys.readouterr().out
    for said in ("with 3 species", "largest memory", "identity", "columns/s", "million bases/s", "times faster"):
        assert said in text

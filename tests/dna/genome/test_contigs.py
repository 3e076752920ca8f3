"""Names of contigs: which are equivalent, which are ambiguous, what is suggested."""

from __future__ import annotations

import pytest

from r2mae_bio._errors import AmbiguousContigError, ConfigError, UnknownContigError
from r2mae_bio.dna.genome._contigs import ContigNames
from r2mae_bio.io import Contig


def names(*contigs: str, aliases: dict[str, str] | None = None) -> ContigNames:
    """Contigs given as ``name`` or ``species:name``."""
    split = [contig.rpartition(":") for contig in contigs]
    return ContigNames(
        [Contig(name, species, 0, "", i, 1, 1, 0, 0, 0) for i, (species, _, name) in enumerate(split)], aliases or {}
    )


@pytest.mark.parametrize(
    ("contig", "query"),
    [
        ("chr1", "1"),
        ("1", "chr1"),
        ("Chr1", "chr1"),
        ("chrX", "X"),
        ("chrM", "MT"),
        ("chrM", "M"),
        ("MT", "chrM"),
        ("MT", "chrMT"),
        ("M", "chrMT"),
        ("Mt", "chrM"),
        ("NC_000913.3", "NC_000913"),
        ("NC_000913", "NC_000913.3"),
        ("GL000192.1", "GL000192"),
        ("gi|9626243|ref|NC_001416.1|", "NC_001416.1"),
        ("gi|9626243|ref|NC_001416.1|", "NC_001416"),
        ("NC_001416.1", "gi|9626243|ref|NC_001416.1|"),
        ("ref|NC_001416|", "NC_001416.1"),
        ("gb|U00096.3|", "U00096"),
        ("lcl|chr1", "1"),
        ("human:chr1", "chr1"),
        ("human:chr1", "1"),
        ("human:chr1", "human:1"),
        ("human:chr1", "human:chr1"),
    ],
)
def test_equivalent_names(contig, query) -> None:
    assert names("decoy", contig).find(query) == 1


@pytest.mark.parametrize(
    ("contig", "query"),
    [
        ("chr1", "chr2"),
        ("chr1", "chr"),
        ("chr1", ""),
        ("chr1", "11"),
        ("chrX", "x"),
        ("chr1", "chr1.1"),
        ("NC_000913.3", "NC_000913.2"),
        ("gi|9626243|ref|NC_001416.1|", "NC_001416.2"),
        ("gi|9626243|ref|NC_001416.1|", "9626243"),
        ("human:chr1", "mouse:chr1"),
        ("HLA:x", "HLA"),
    ],
)
def test_different_names(contig, query) -> None:
    with pytest.raises(UnknownContigError, match="There is no contig"):
        names(contig).find(query)


@pytest.mark.parametrize(
    ("contigs", "query", "both"),
    [
        (("NC_000913.2", "NC_000913.3"), "NC_000913", "NC_000913.2, NC_000913.3"),
        (("gb|NC_000913.3|", "ref|NC_000913.3|"), "NC_000913.3", r"gb\|NC_000913.3\|, ref\|NC_000913.3\|"),
        (("chr1", "1"), "Chr1", "chr1, 1"),
        (("human:chr1", "mouse:chr1"), "chr1", "human:chr1, mouse:chr1"),
        (("human:chr1", "mouse:1"), "1", "human:chr1, mouse:1"),
    ],
)
def test_ambiguous_names(contigs, query, both) -> None:
    with pytest.raises(AmbiguousContigError, match=both):
        names(*contigs).find(query)


def test_exact_names_come_first() -> None:
    both = names("chrM", "MT", "NC_000913", "NC_000913.3")
    assert [both.find(name) for name in ("chrM", "MT", "NC_000913", "NC_000913.3")] == [0, 1, 2, 3]


def test_names_with_colons() -> None:
    """Without species a colon is a letter like others."""
    contigs = ContigNames([Contig("HLA:HLA00001", "", 0, "", 0, 1, 1, 0, 0, 0)], {})
    assert contigs.find("HLA:HLA00001") == 0


def test_aliases() -> None:
    known = names("NC_000913.3", "plasmid", aliases={"chromosome": "NC_000913", "plasmid": "plasmid"})
    assert known.find("chromosome") == 0
    with pytest.raises(ConfigError, match="alias 'plasmid'.*name of another contig"):
        names("chromosome", "plasmid", aliases={"plasmid": "chromosome"})
    with pytest.raises(UnknownContigError, match="no contig 'nothing'"):
        names("chr1", aliases={"first": "nothing"})


def test_an_alias_settles_an_ambiguity() -> None:
    assert names("human:chr1", "mouse:chr1", aliases={"chr1": "mouse:chr1"}).find("chr1") == 1


def test_suggestions() -> None:
    with pytest.raises(
        UnknownContigError, match=r"Did you mean 'chromosome_II'.*Known are chromosome_I, .*aliases=\{'chromosme_II'"
    ):
        names("chromosome_I", "chromosome_II").find("chromosme_II")
    with pytest.raises(UnknownContigError, match="Did you mean 'yeast:chromosome_II'"):
        names("yeast:chromosome_II").find("chromosome_Il")
    with pytest.raises(UnknownContigError, match="and 4 more"):
        names(*(f"c{i}" for i in range(12))).find("zzz")

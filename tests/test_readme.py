"""The README says what works: its Python runs, its make targets and the files it links to exist.

Its blocks build on one another, so they run in one namespace, in order, each line as a user would
write it. Two things are not as a user would have them. The files and the cells that a block takes
for granted are made here from the data that come with the package. And training is cut short, for
what is tested is that the calls work; ``tutorials/fast.py`` says how short.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import pytest

import r2mae_bio as rb
from tutorials.fast import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData

REPOSITORY = Path(__file__).resolve().parent.parent
SPLITS = ("train", "dev", "test")
README = REPOSITORY / "README.md"
CARDS = tuple(f"data_registry/models/{name}.md" for name in ("blood-small", "pancreas-small", "ecoli-dna"))
OTHERS = (
    *CARDS,
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "data_registry/README.md",
    "docs/architecture.md",
    "docs/command_line.md",
)
PAGES = [README, *(REPOSITORY / name for name in OTHERS)]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())


def python_blocks(page: Path) -> Iterator[str]:
    """Fenced Python, below as many empty lines as they have lines above them in the file: error
    messages then name the line of the page.
    """
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        yield "\n" * text.count("\n", 0, found.start(1)) + found[1]


def test_blocks_are_found_with_their_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Prose.\n\n```python\nx = 1\n```\n```\nmake demo\n```\n\n```python\ny = 2\nz = 3\n```\n")
    assert list(python_blocks(page)) == ["\n\n\nx = 1\n", "\n" * 10 + "y = 2\nz = 3\n"]


def expected_cells() -> dict[str, AnnData]:
    """Cells that the blocks name and do not make."""
    adata = rb.datasets.pbmc68k()
    other_batch = adata[300:500].copy()
    other_batch.obs["sample"] = "b"
    return {"panel": adata[:200, ::5].copy(), "other_batch": other_batch}


def write_genome() -> None:
    """Phage lambda under the name of a chromosome, variants, peaks, a gene and labelled
    sequences of it.
    """
    with gzip.open(rb.datasets.lambda_phage(), "rt") as stream:
        bases = "".join(line.strip() for line in stream if not line.startswith(">"))
    records = [(101, bases[100], "ACGT"[bases[100] == "A"]), (2001, bases[2000:2003], bases[2000])]
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    starts = range(0, 48_000, 200)
    rows = [f"{bases[s : s + 200]}\t{s // 24_000}\t{SPLITS[s // 200 % 3]}\n" for s in starts]
    texts = {
        "my_species.fa.gz": f">chr1\n{bases}\n",
        "cohort.vcf.gz": header + "".join(f"chr1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for pos, ref, alt in records),
        "genes.gff3.gz": "chr1\t.\tgene\t1201\t48502\t.\t+\t.\tID=nearly_all\n",
        "labelled_sequences.tsv.gz": "sequence\tlabel\tsplit\n" + "".join(rows),
    }
    for name, text in texts.items():
        with gzip.open(name, "wt") as stream:
            stream.write(text)
    Path("peaks.bed").write_text("chr1\t1000\t1400\nchr1\t30000\t30200\n")


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    import matplotlib.pyplot as plt

    shorten(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "caches" / project)
    names = {"__name__": "__main__", **expected_cells()}
    write_genome()
    for block in python_blocks(README):
        exec(compile(block, str(README), "exec"), names)  # our own text
    plt.close("all")
    assert {"my_model", "scored.vcf.gz"} <= {path.name for path in tmp_path.iterdir()}
    assert names["adata"].obsm["X_r2mae"].shape == (700, 64)
    assert {"r2mae_label", "r2mae_label_confidence"} <= set(names["panel"].obs)


def test_it_is_read_in_a_few_minutes():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert not [line for line in lines if len(line) > 100]


def test_its_pictures_are_there_and_small():
    shown = set(re.findall(r'(?:src|srcset)="([^"]+)"', README.read_text(encoding="utf-8")))
    assert len(shown) == 2  # for a light and a dark page
    for name in shown:
        assert (REPOSITORY / name).read_bytes().startswith(b"\x89PNG")
        assert (REPOSITORY / name).stat().st_size < 200_000


def test_its_way_to_an_embedding_without_training_works(tmp_path, monkeypatch, capfd):
    """The cells of the shell block, as a user has them: counts in X, other genes, another order."""
    from r2mae_bio.cli import main

    monkeypatch.chdir(tmp_path)
    rb.datasets.pbmc68k()[:50, ::-1][:, ::2].copy().write_h5ad("query.h5ad")
    n_shared = len(set(anndata.read_h5ad("query.h5ad").var_names) & set(rb.models.load("blood-small").vocabulary.names))
    (line,) = re.findall(r"^r2mae (.*blood-small.*)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert main(line.split()) == 0
    assert anndata.read_h5ad("embedded.h5ad").obsm["X_r2mae"].shape == (50, 64)
    printed = capfd.readouterr()
    assert printed.out == f"wrote embedded.h5ad (50 cells, 64 dimensions; {n_shared} of the model's 8,845 genes measured)\n"
    assert printed.err == ""


@each_page
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE))
    assert named <= targets, f"{page.name} names what the Makefile does not make: {sorted(named - targets)}"


@each_page
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing, f"{page.name} links to {missing}"

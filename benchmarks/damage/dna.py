"""Genomes, their caches, variants, regions, and outputs that were cut."""

from __future__ import annotations

import contextlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from Bio.bgzf import BgzfWriter
from Bio.Seq import Seq

import r2mae_bio as rb
from benchmarks.damage.judging import InvalidInputError, Verdict, judge
from benchmarks.damage.mutations import damage_bytes, damage_file, damage_json_file, damage_lines, some
from benchmarks.damage.plain import plain_bed, plain_fasta, plain_vcf
from r2mae_bio.dna.scoring import _output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WINDOW = 16
SIZES = {"d_model": 8, "n_layers": 2, "n_heads": 2, "attention_every": 2, "kernel": 3, "stem_kernel": 3, "dilations": (1,)}
TRAINED_SHARE = 0.05
SCORED = {"context": WINDOW, "flank": 2, "max_length": 4, "progress_bar": False}
OUTPUTS = ("out.vcf", "out.vcf.gz", "out.parquet")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def make_sequences() -> dict[str, str]:
    """Three contigs with every kind of letter."""
    rng = np.random.default_rng(5)
    texts = {name: "".join(rng.choice(list("ACGT"), n)) for name, n in (("chr1", 700), ("chr2", 300), ("chrM", 60))}
    return texts | {"chr2": f"{texts['chr2'][:90]}{texts['chr2'][90:140].lower()}NNNNR{texts['chr2'][145:]}"}


def write_fasta(path: Path, texts: dict[str, str]) -> None:
    """FASTA with lines of 60 bases and the index of samtools beside it; bgzip by the suffix."""
    lines, rows = [], []
    for name, text in texts.items():
        lines.append(f">{name} made up")
        rows.append(f"{name}\t{len(text)}\t{len(''.join(line + chr(10) for line in lines))}\t60\t61")
        lines += [text[i : i + 60] for i in range(0, len(text), 60)]
    path.with_name(f"{path.name}.fai").write_text("\n".join(rows) + "\n")
    content = ("\n".join(lines) + "\n").encode()
    if path.suffix == ".gz":
        write_bgzip(path, content, step=500)
        path.with_name(f"{path.name}.gzi").write_bytes((0).to_bytes(8, "little"))
    else:
        path.write_bytes(content)


def write_bgzip(path: Path, content: bytes, *, step: int) -> None:
    """Several blocks of bgzip."""
    with BgzfWriter(str(path)) as writer:
        for i in range(0, len(content), step):
            writer.write(content[i : i + step])
            writer.flush()


def make_model(genome: rb.io.Genome, **settings: Any) -> rb.model.DNAMAE:
    """A model of one epoch."""
    model = rb.model.DNAMAE(genome, window=WINDOW, seed=1, **SIZES)
    model.train(
        **{"max_epochs": 1, "batch_size": 8, "epoch_windows": 16, "progress_bar": False, "accelerator": "cpu", **settings}
    )
    model.record.history = [{**row, "bases_per_second": 1000.0} for row in model.record.history]  # the same bytes each time
    return model


class Fasta:
    """A FASTA file and its indices, which nothing here reads."""

    def __init__(self, name: str) -> None:
        self._name = name

    def prepare(self, folder: Path) -> None:
        write_fasta(folder / self._name, make_sequences())

    def open(self, folder: Path) -> None:
        pass

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        beside = sorted(file for file in folder.glob(f"{self._name}.*"))
        file = some(rng, beside) if rng.random() < 0.1 else folder / self._name
        return damage_file(file, rng, damage_bytes, damage_lines)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        path, cache = folder / self._name, folder / "cache"

        def truth() -> dict[str, str]:
            return plain_fasta(path)

        yield judge("Genome", lambda: _read_genome(path, cache), truth, _sequence_difference, lambda: _unfinished(cache))
        draws = rng.random(8)
        yield judge("windows", lambda: _read_windows(path, cache, draws), truth, _window_difference)
        if rng.random() < TRAINED_SHARE:
            yield judge(
                "train",
                lambda: make_model(rb.io.Genome(path, cache_dir=cache)).checksum(),
                lambda: self._trained(truth(), folder / "clean"),
                lambda found, expected: "" if found == expected else "other weights",
            )

    @staticmethod
    def _trained(texts: dict[str, str], folder: Path) -> str:
        folder.mkdir()
        write_fasta(folder / "clean.fa", texts)
        try:
            return make_model(rb.io.Genome(folder / "clean.fa", cache_dir=folder)).checksum()
        except rb.errors.DataError as error:  # too short to train on
            raise InvalidInputError(str(error)) from error


def _read_genome(path: Path, cache: Path) -> dict[str, str]:
    genome = rb.io.Genome(path, cache_dir=cache)
    return {name: genome.fetch(name) for name in genome.contigs}


def _read_windows(path: Path, cache: Path, draws: Any) -> list[tuple[str, int, int, bool, str]]:
    """Some windows with their places."""
    genome = rb.io.Genome(path, cache_dir=cache)
    length = int(min(genome.lengths.min(), 10))
    contigs = (draws * len(genome.contigs)).astype(int)
    starts = (draws * (genome.lengths[contigs] - length + 1)).astype(int)
    reverse = draws > 0.5
    rows = genome.windows(starts, length, contigs=contigs, reverse=reverse)
    names = [genome.contigs[i] for i in contigs]
    return [
        (name, int(start), length, bool(back), row.tobytes().decode())
        for name, start, back, row in zip(names, starts, reverse, rows, strict=True)
    ]


def _sequence_difference(found: dict[str, str], expected: dict[str, str]) -> str:
    return "" if list(found.items()) == list(expected.items()) else f"found {_short(found)}, expected {_short(expected)}"


def _short(texts: dict[str, str]) -> str:
    return ", ".join(f"{name[:20]} ({len(text)})" for name, text in texts.items())


def _window_difference(found: list[tuple[str, int, int, bool, str]], expected: dict[str, str]) -> str:
    for name, start, length, back, text in found:
        right = expected[name][start : start + length]
        right = str(Seq(right).reverse_complement()) if back else right
        if text != right:
            return f"{name}:{start}: found {text}, expected {right}"
    return ""


def _unfinished(folder: Path) -> str:
    """Files that have no name yet, and caches without an index."""
    hidden = [file.name for file in folder.rglob(".*") if not file.name.endswith(".lock")]
    half = [file.parent.name for file in folder.rglob("bases.u8") if not file.with_name("index.json").exists()]
    return ", ".join(hidden + half)


class Cache:
    """The converted files of a genome, damaged after they were made."""

    def prepare(self, folder: Path) -> None:
        write_fasta(folder / "genome.fa", make_sequences())
        rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")

    def open(self, folder: Path) -> None:
        self._truth = plain_fasta(folder / "genome.fa")

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")
        file = some(rng, sorted(file for file in (folder / "cache").rglob("*") if file.is_file() and file.suffix != ".lock"))
        if rng.random() < 0.1:
            file.unlink()
            return f"{file.name} removed"
        return damage_json_file(file, rng) if file.suffix == ".json" and rng.random() < 0.5 else damage_file(file, rng)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        cache = folder / "cache"

        def truth() -> dict[str, str]:
            converted = b"".join(file.read_bytes() for file in cache.rglob("bases.u8"))
            if converted != "".join(self._truth.values()).encode():
                raise InvalidInputError("the converted bases are not those of the FASTA file")
            return self._truth

        yield judge("Genome, verify", lambda: self._verified(folder), truth, _sequence_difference, lambda: _unfinished(cache))

    @staticmethod
    def _verified(folder: Path) -> dict[str, str]:
        genome = rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")
        genome.verify()  # what opening does not look at
        return {name: genome.fetch(name) for name in genome.contigs}


class _OnGenome:
    """What is read beside an intact genome by an intact model."""

    def prepare(self, folder: Path) -> None:
        write_fasta(folder / "genome.fa", make_sequences())
        genome = rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")
        make_model(genome).save(folder / "model")
        self._write(folder)

    def open(self, folder: Path) -> None:
        self._genome = rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")
        self._model = rb.model.DNAMAE.load(folder / "model")
        self._texts = plain_fasta(folder / "genome.fa")

    def _write(self, folder: Path) -> None:
        raise NotImplementedError


# ---------------------------------------------------------------- variants


def make_vcf() -> bytes:
    """Single bases, insertions, deletions, several alleles, symbols and a sample."""
    texts = make_sequences()
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=700>", '##INFO=<ID=AC,Number=A,Type=Integer,Description="x">']
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1")
    for i in range(14):
        chrom = ("chr1", "chr2", "M")[i % 3]
        text = texts[chrom if chrom in texts else "chrM"].upper()
        pos = 5 + 3 * i if chrom == "M" else 20 + 13 * i
        ref = text[pos - 1 : pos + (i % 4 == 1)]
        alt = (ref.translate(COMPLEMENT)[:1], ref[:1], f"{ref}GA,{ref.translate(COMPLEMENT)}", "<DEL>")[i % 4]
        lines.append(f"{chrom}\t{pos}\trs{i}\t{ref}\t{alt}\t50\tPASS\tAC={i}\tGT\t0|1")
    return ("\n".join(lines) + "\n").encode()


class Vcf(_OnGenome):
    """A VCF file, plain or bgzip."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _write(self, folder: Path) -> None:
        path = folder / self._name
        if path.suffix == ".gz":
            write_bgzip(path, make_vcf(), step=150)
        else:
            path.write_bytes(make_vcf())

    def open(self, folder: Path) -> None:
        super().open(folder)
        table = rb.tl.score_variants(folder / self._name, self._genome, self._model, **SCORED)
        self._known = {_allele(row): row["llr"] for _, row in table.iterrows()}

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        return damage_file(folder / self._name, rng, damage_bytes, damage_lines, damage_lines)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        path, out = folder / self._name, folder / some(rng, OUTPUTS)
        tables = []

        def to_table() -> pd.DataFrame:
            tables.append(rb.tl.score_variants(path, self._genome, self._model, **SCORED))
            return tables[0]

        yield judge("score_variants", to_table, lambda: plain_vcf(path), self._table_difference)
        yield judge(
            f"score_variants to {out.name}",
            lambda: rb.tl.score_variants(path, self._genome, self._model, out=out, **SCORED),
            lambda: plain_vcf(path),
            lambda found, expected: _file_difference(found, expected, tables[0]),
            lambda: ", ".join(file.name for file in folder.glob("*out.*")),
        )

    def _table_difference(self, table: pd.DataFrame, expected: Any) -> str:
        alleles = [
            (i, k, record.chrom, record.pos, record.id, record.ref, alt)
            for i, record in enumerate(expected.records)
            for k, alt in enumerate(record.alts)
        ]
        columns = ["record", "alt_index", "chrom", "pos", "id", "ref", "alt"]
        found = list(table[columns].itertuples(index=False, name=None))
        if found != alleles:
            first = next((pair for pair in zip(found, alleles, strict=False) if pair[0] != pair[1]), (len(found), len(alleles)))
            return f"found {str(first[0])[:100]}, expected {str(first[1])[:100]}"
        for _, row in table.iterrows():
            problem = self._score_problem(row)
            if problem:
                return f"{row['chrom']}:{row['pos']} {row['ref'][:9]}>{row['alt'][:9]}: {problem}"
        return ""

    def _score_problem(self, row: pd.Series) -> str:
        ok, llr = row["status"] == "ok", row["llr"]
        if ok != bool(np.isfinite(llr)):
            return f"status {row['status']} with llr {llr}"
        if _allele(row) in self._known and not np.isclose(llr, self._known[_allele(row)], atol=1e-4, equal_nan=True):
            return f"llr {llr}, before the damage {self._known[_allele(row)]}"
        contig = _contig_of(row["chrom"], self._texts)
        text = "" if contig is None else self._texts[contig].upper()[row["pos"] - 1 : row["pos"] - 1 + len(row["ref"])]
        if ok and (row["pos"] < 1 or text != row["ref"].upper()):
            return f"scored, and the genome has {text[:9]!r}"
        return ""


def _contig_of(name: str, texts: dict[str, str]) -> str | None:
    """The contig of that name, whatever its case, with or without ``chr``."""
    asked = name.lower().removeprefix("chr")
    return next((known for known in texts if known[3:].lower() == ("m" if asked == "mt" else asked)), None)


def _allele(row: pd.Series) -> tuple[Any, ...]:
    return tuple(row[["chrom", "pos", "ref", "alt"]])


def _file_difference(out: Path, expected: Any, table: pd.DataFrame) -> str:
    """Of an output to the records of the input and to the table of the same scores."""
    if out.suffix == ".parquet":
        found = pd.read_parquet(out)
        same = all(found[name].fillna("").astype(str).tolist() == table[name].fillna("").astype(str).tolist() for name in table if
                   name not in ("kind", "status") and table[name].dtype.kind not in "f")  # fmt: skip
        close = np.allclose(found["llr"], table["llr"], atol=1e-4, equal_nan=True)
        return "" if len(found) == len(table) and same and close else "the parquet file and the table differ"
    found = plain_vcf(out)
    if found.meta[: len(expected.meta)] != expected.meta or found.columns != expected.columns:
        return "the header of the input was not kept"
    if len(found.records) != len(expected.records):
        return f"{len(found.records)} records, expected {len(expected.records)}"
    for new, old in zip(found.records, expected.records, strict=True):
        kept = old.fields[7] if old.fields[7] not in (b".", b"") else b""
        if new.fields[:7] + new.fields[8:] != old.fields[:7] + old.fields[8:] or not new.fields[7].startswith(kept):
            return f"a record was changed: {b' '.join(new.fields)[:90]!r}"
    return ""


class KilledError(Exception):
    """Stands for a signal."""


class Mortal:
    """A model that fails when asked for the third time."""

    def __init__(self, model: Any) -> None:
        self._model, self._n_asked = model, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def read_windows(self, *args: Any, **settings: Any) -> Any:
        self._n_asked += 1
        if self._n_asked == 3:
            raise KilledError
        return self._model.read_windows(*args, **settings)


@contextlib.contextmanager
def _small_steps() -> Iterator[None]:
    """Four records at a time, so that few make several steps."""
    usual, _output.RECORDS = _output.RECORDS, 4  # type: ignore[misc]
    try:
        yield
    finally:
        _output.RECORDS = usual  # type: ignore[misc]


class Journal(_OnGenome):
    """What an interrupted run of scoring left, damaged before the run is taken up."""

    def _write(self, folder: Path) -> None:
        (folder / "in.vcf").write_bytes(make_vcf())
        genome = rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")
        model = rb.model.DNAMAE.load(folder / "model")
        for name in OUTPUTS:
            with _small_steps():
                rb.tl.score_variants(folder / "in.vcf", genome, model, out=folder / f"whole-{name}", **SCORED)
                with contextlib.suppress(KilledError):
                    rb.tl.score_variants(folder / "in.vcf", genome, Mortal(model), out=folder / name, **SCORED)

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        self._out = folder / some(rng, OUTPUTS)
        part, state = (folder / f"{self._out.name}{suffix}" for suffix in (".part", ".part.json"))
        if rng.random() < 0.5:
            return damage_file(part, rng)
        return damage_json_file(state, rng) if rng.random() < 0.6 else damage_file(state, rng)

    def _problem(self, folder: Path) -> str:
        """Why the run cannot be taken up: its files say something else than they did."""
        part, state = (folder / f"{self._out.name}{suffix}" for suffix in (".part", ".part.json"))
        try:
            said = json.loads(state.read_bytes())
        except ValueError:
            return "the state is no JSON"
        if json.dumps(said) != json.dumps(self._states[self._out.name]):
            return "the state is of another run"
        return "" if zlib.crc32(part.read_bytes()[: said["bytes"]]) == said["crc32"] else "the part is damaged"

    def open(self, folder: Path) -> None:
        super().open(folder)
        self._states = {name: json.loads((folder / f"{name}.part.json").read_bytes()) for name in OUTPUTS}

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        problem, done = self._problem(folder), []

        def truth() -> bytes:
            if problem and not done:  # begun anew, it gives the same bytes
                raise InvalidInputError(problem)
            return (folder / f"whole-{self._out.name}").read_bytes()

        def resume() -> bytes:
            with _small_steps():
                done.append(rb.tl.score_variants(folder / "in.vcf", self._genome, self._model, out=self._out, **SCORED))
            return done[0].read_bytes()

        yield judge(
            "score_variants, resumed",
            resume,
            truth,
            lambda found, expected: "" if found == expected else "other bytes",
            lambda: self._out.name if self._out.exists() else "",
        )


# ---------------------------------------------------------------- regions


class Bed(_OnGenome):
    """A BED file."""

    def _write(self, folder: Path) -> None:
        rows = ["# regions", "track name=x"]
        rows += [f"chr1\t{40 * i}\t{40 * i + 7 + 5 * i}\tr{i}\t0\t{'+-.'[i % 3]}" for i in range(6)]
        rows += ["2\t100\t160", "chrM\t0\t60\tall"]
        (folder / "regions.bed").write_text("\n".join(rows) + "\n")

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        return damage_file(folder / "regions.bed", rng, damage_bytes, damage_lines, damage_lines)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        path = folder / "regions.bed"

        def rows(table: pd.DataFrame) -> list[tuple[Any, ...]]:
            return list(table[["chrom", "start", "end", "name", "strand"]].itertuples(index=False, name=None))

        yield judge(
            "read_regions",
            lambda: rows(rb.io.read_regions(path)),
            lambda: plain_bed(path),
            lambda found, expected: "" if found == expected else f"found {found[:3]}, expected {expected[:3]}",
        )
        yield judge(
            "embed_regions",
            lambda: rb.tl.embed_regions(path, self._genome, self._model),
            lambda: self._sequences(plain_bed(path)),
            self._difference,
        )

    def _sequences(self, regions: list[tuple[str, int, int, str, str]]) -> list[str]:
        texts = [self._texts.get(_contig_of(chrom, self._texts), "") for chrom, *_ in regions]
        for text, (chrom, _, end, *_) in zip(texts, regions, strict=True):
            if end > len(text):
                raise InvalidInputError(f"{chrom}:{end} is not on the genome")
        return [text[start:end] for text, (_, start, end, *_) in zip(texts, regions, strict=True)]

    def _difference(self, found: Any, sequences: list[str]) -> str:
        expected = self._model.get_latent_representation(sequences)
        gap = np.abs(found.obsm["X_r2mae"] - expected)
        return "" if found.n_obs == len(sequences) and np.allclose(gap[~np.isnan(expected)], 0, atol=1e-4) else "other embeddings"


DNA = {
    "fasta": Fasta("genome.fa"),
    "fasta-bgzip": Fasta("genome.fa.gz"),
    "genome-cache": Cache(),
    "vcf": Vcf("in.vcf"),
    "vcf-bgzip": Vcf("in.vcf.gz"),
    "vcf-journal": Journal(),
    "bed": Bed(),
}

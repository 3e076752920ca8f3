"""``tl.score_variants``: files, any interruption, what is refused."""

from __future__ import annotations

import gzip
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.dna.scoring import _output as _variant_output
from r2mae_bio.errors import ConfigError, JournalError, SetupError, VcfError
from r2mae_bio.io import Genome, encode_bases
from r2mae_bio.model import DNAMAE

if TYPE_CHECKING:
    from pathlib import Path
from ..dna.scoring.conftest import (
    CHROM,
    CIRCLE,
    NUMBERS,
    OTHER,
    WINDOW,
    Model,
    open_genome,
    random_alleles,
    score,
    snvs,
    table,
    window_around,
)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM, "ring": CIRCLE}, circular="ring")


def write_vcf(path: Path, *, n: int = 60) -> Path:
    """SNVs, indels, several alleles and damage, with annotation and samples of their own."""
    header = '##fileformat=VCFv4.2\n##INFO=<ID=AC,Number=A,Type=Integer,Description="x">\n'
    header += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
    rows = []
    for i in range(n):
        ref = CHROM[20 + 4 * i].upper()
        alt = [OTHER[ref], f"{OTHER[ref]},{ref}GA", "<DEL>", f"{OTHER[ref]},*"][i % 4]
        rows.append(f"{'1' if i % 2 else 'chr1'}\t{21 + 4 * i}\trs{i}\t{ref}\t{alt}\t50\tPASS\tAC={i}\tGT\t0|1\n")
    text = (header + "".join(rows)).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def lines(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode().splitlines()


def test_vcf_keeps_every_record_and_agrees_with_the_table(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf")
    values = score(source, genome)
    assert score(source, genome, out=tmp_path / "out.vcf.gz") == tmp_path / "out.vcf.gz"
    before, after = ([line.split("\t") for line in lines(p) if line[0] != "#"] for p in (source, tmp_path / "out.vcf.gz"))
    assert [r[:7] + r[8:] for r in after] == [r[:7] + r[8:] for r in before]
    assert all(a[7].startswith(b[7] + ";R2MAE_") for a, b in zip(after, before, strict=True))
    infos = [dict(field.split("=") for field in r[7].split(";")) for r in after]
    for name in NUMBERS:
        written = [float(x) if x != "." else np.nan for info in infos for x in info[f"R2MAE_{name.upper()}"].split(",")]
        np.testing.assert_allclose(written, values[name].astype(float), rtol=1e-5, err_msg=name)
    for name in ("kind", "status"):
        assert [x for info in infos for x in info[f"R2MAE_{name.upper()}"].split(",")] == values[name].tolist()


def test_vcf_header_declares_the_fields_per_allele(genome: Genome, tmp_path: Path) -> None:
    score(write_vcf(tmp_path / "in.vcf"), genome, out=tmp_path / "out.vcf")
    header = [line for line in lines(tmp_path / "out.vcf") if line.startswith("##")]
    names = [*NUMBERS, "kind", "status"]
    for name in names:
        kind = "Float" if name in NUMBERS else "String"
        assert sum(line.startswith(f"##INFO=<ID=R2MAE_{name.upper()},Number=A,Type={kind},Description=") for line in header) == 1
    assert sum(Model().checksum() in line for line in header) == 1


def test_parquet_is_the_table(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf.gz")
    score(source, genome, out=tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out.parquet"), score(source, genome), check_dtype=False)


def test_genome_by_path_with_aliases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    genome = open_genome(tmp_path, {"chr1": CHROM})
    variants = snvs(range(100, 110), chrom="first")
    named = pytest.warns(UserWarning, match=r"first \(10\). The genome has chr1. Pass io.Genome\(..., aliases=")
    with pytest.warns(UserWarning, match="0 of 10 alleles were scored"), named:
        assert set(score(variants, genome)["status"]) == {"off_contig"}
    found = score(variants, genome.sources[0], aliases={"first": "chr1"})
    pd.testing.assert_frame_equal(found[NUMBERS], score(snvs(range(100, 110)), genome)[NUMBERS])


@pytest.fixture
def short_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_variant_output, "RECORDS", 8)


@pytest.mark.usefixtures("short_batches")
@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".parquet"])
def test_interrupted_and_resumed_equals_uninterrupted(genome: Genome, tmp_path: Path, suffix: str) -> None:
    source, path, whole = write_vcf(tmp_path / "in.vcf"), tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    full = Model()
    score(source, genome, full, out=whole)
    total = 0
    for n in (3, full.n_read // 3, full.n_read // 2):
        model = Model()
        model.n_until_interrupted = n
        with pytest.raises(KeyboardInterrupt):
            score(source, genome, model, out=path)
        assert not path.exists()
        assert path.with_name(path.name + ".part").exists()
        total += n
    last = Model()
    score(source, genome, last, out=path)
    assert last.n_read < full.n_read  # what was written is not scored again
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["in.vcf", path.name, whole.name])


@pytest.mark.usefixtures("short_batches")
@pytest.mark.parametrize(
    ("options", "named"),
    [({"context": 23}, "context"), ({"flank": 4}, "flank"), ({"batch_size": 2}, "batch_size"), ({"max_length": 4}, "max_length")],
)
def test_other_settings_do_not_go_on(genome: Genome, tmp_path: Path, options: dict[str, int], named: str) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    model = Model()
    model.n_until_interrupted = 40
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    with pytest.raises(JournalError, match=rf"header|settings {named}"):
        score(source, genome, out=path, **options)
    score(source, genome, out=path, resume=False, **options)
    score(source, genome, out=tmp_path / "whole.vcf", **options)
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


@pytest.mark.usefixtures("short_batches")
def test_another_model_or_genome_does_not_go_on(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    model = Model()
    model.n_until_interrupted = 40
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    other = Model()
    other.table = other.table + 1
    with pytest.raises(JournalError, match="settings model"):
        score(source, genome, other, out=path)
    with pytest.raises(JournalError, match="settings genome"):
        score(source, open_genome(tmp_path, {"chr1": CHROM + "A", "ring": CIRCLE}, circular="ring"), out=path)
    with pytest.raises(JournalError, match="settings genome circular"):
        score(source, Genome(genome.sources, cache_dir=genome.cache.parent), out=path)


def test_an_existing_output_is_kept_unless_asked(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="overwrite"):
        score(source, genome, out=path)
    assert path.read_text() == "precious"
    score(source, genome, out=path, overwrite=True)
    assert "R2MAE_LLR" in path.read_text()


@pytest.mark.parametrize(("name", "region"), [("in.vcf", "chr1:1-60"), ("in.vcf.gz", ("chr1", 0, 60)), ("in.parquet", None)])
def test_the_input_is_not_replaced_by_less(genome: Genome, tmp_path: Path, name: str, region: Any) -> None:
    source = write_vcf(tmp_path / name)
    before = source.read_bytes()
    for given in (source, str(source)):
        with pytest.raises(ConfigError, match="which has the variants that are read; .* would be left of them"):
            score(given, genome, out=source, region=region, overwrite=True)
    assert source.read_bytes() == before


def test_the_input_may_be_replaced_by_all_of_it(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf")
    expected = score(source, genome, out=tmp_path / "out.vcf").read_bytes()
    assert score(source, genome, out=source, overwrite=True).read_bytes() == expected


def test_a_cut_file_is_refused_before_any_work(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf.gz")
    source.write_bytes(source.read_bytes()[:-200])
    model = Model()
    with pytest.raises(VcfError, match="cut or damaged"):
        score(source, genome, model, out=tmp_path / "out.vcf")
    assert model.n_read == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.vcf.gz"]


def test_scored_twice_is_refused(genome: Genome, tmp_path: Path) -> None:
    score(write_vcf(tmp_path / "in.vcf"), genome, out=tmp_path / "out.vcf")
    with pytest.raises(ConfigError, match="R2MAE_LLR.*exist already"):
        score(tmp_path / "out.vcf", genome, out=tmp_path / "again.vcf")


@pytest.mark.usefixtures("short_batches")
def test_a_field_that_a_record_has_undeclared_is_found_before_any_work(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    right = source.read_text()
    source.write_text(right.replace("AC=59", "AC=59;R2MAE_LLR=1"))
    model = Model()
    for form in (path, tmp_path / "out.vcf.gz"):
        with pytest.raises(VcfError, match=r"Record 60 .*R2MAE_LLR already.*--prefix of r2mae score"):
            score(source, genome, model, out=form)
    assert model.n_read == 0
    assert [p.name for p in tmp_path.iterdir()] == ["in.vcf"]
    score(source, genome, out=tmp_path / "out.parquet")  # whose columns are no INFO fields


def test_numbers_that_bcf_changes_are_told_before_any_work(genome: Genome, tmp_path: Path) -> None:
    pytest.importorskip("pysam")
    source = write_vcf(tmp_path / "in.vcf")
    source.write_text(source.read_text().replace("AC=59", "AC=1.5").replace("AC=7\t", "AC=3000000000\t"))
    model = Model()
    model.n_until_interrupted = 1
    with pytest.warns(UserWarning, match=r"2 of 60 records .* record 8 .* AC=3000000000"), pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=tmp_path / "out.bcf")
    score(source, genome, out=tmp_path / "out.vcf.gz")


@pytest.mark.usefixtures("short_batches")
def test_a_part_without_records_is_begun_anew(genome: Genome, tmp_path: Path) -> None:
    source, path = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf"
    model = Model()
    model.n_until_interrupted = 1
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    assert path.with_name("out.vcf.part").exists()
    source.write_text(source.read_text().replace("AC=59", "AC=95"))
    score(source, genome, out=path)
    score(source, genome, out=tmp_path / "whole.vcf")
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def test_a_second_model_adds_fields_of_another_prefix(genome: Genome, tmp_path: Path) -> None:
    source, first, both = write_vcf(tmp_path / "in.vcf"), tmp_path / "a.vcf", tmp_path / "b.vcf"
    other = Model()
    other.table = -other.table
    score(source, genome, out=first)
    score(first, genome, other, out=both, prefix="OTHER")
    alone = score(source, genome, other, out=tmp_path / "c.vcf", prefix="OTHER")
    records = [[line.split("\t")[7] for line in lines(path) if line[0] != "#"] for path in (source, first, both, alone)]
    assert all(three == two + four.removeprefix(one) for one, two, three, four in zip(*records, strict=True))
    header = "".join(lines(both))
    assert header.count("##INFO=<ID=R2MAE_LLR,") == header.count("##INFO=<ID=OTHER_LLR,") == 1
    assert Model().checksum() in header
    assert other.checksum() in header


OF_OTHER_KINDS = [  # REF is replaced by the base of the genome
    ("<NON_REF>", "END=48", "GT:DP:MIN_DP", "0/0:30:28"),
    ("{alt},<NON_REF>", "DP=3", "GT:AD:PL", "0/1:2,1,0:9,0,9,9,9,9"),
    ("<*>", "END=60;SVLEN=.", "GT:LEN", "0/0:20"),
    ("{alt},*", ".", "GT:LAA:LAD", "0/1:1:3,4"),
    ("{ref}[ring:5[", "SVTYPE=BND;MATEID=b", "GT", "0|1"),
    ("]<ctg>:7]{ref}", "SVTYPE=BND", "GT", "0|1"),
    (".{ref}", "SVTYPE=BND", "GT", "./."),
    ("<CNV:TR>", "RN=2;RUS=CAG,TTG;SVLEN=9;CIRB=.,.,.,.", "GT:CN", "0/1:3"),
    ("<INS:ME:ALU>", "SVLEN=300;EVENT=a%3Bb", "GT", "/0/1"),
    (".", "END=80", "GT:PSL:PSO", "0/0:.:."),
]


def test_blocks_breakends_and_symbols_pass_with_a_reason(genome: Genome, tmp_path: Path) -> None:
    """Records of gVCF and of VCF 4.5: every byte stays, and only sequences are scored."""
    rows, statuses = [], []
    for i, (alt, info, *sample) in enumerate(OF_OTHER_KINDS):
        ref = CHROM[29 + i].upper()
        alt = alt.format(ref=ref, alt=OTHER[ref])
        rows.append("\t".join(["chr1", str(30 + i), ".", ref, alt, ".", ".", info, *sample]))
        statuses.append(",".join("ok" if allele == OTHER[ref] else "symbolic" for allele in alt.split(",")))
    header = "##fileformat=VCFv4.5\n##FORMAT=<Number=LR,ID=LAD,Type=Integer>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\n"
    (tmp_path / "in.vcf").write_text(header + "\n".join(rows) + "\n")
    after = [line for line in lines(score(tmp_path / "in.vcf", genome, out=tmp_path / "out.vcf")) if line[0] != "#"]
    for before, scored, status in zip(rows, after, statuses, strict=True):
        old, new = before.split("\t"), scored.split("\t")
        assert (new[:7], new[8:]) == (old[:7], old[8:])
        kept, added = new[7].removeprefix(old[7].removeprefix(".")), dict(f.split("=") for f in new[7].split(";") if "R2MAE" in f)
        assert kept.removeprefix(";").startswith("R2MAE_KIND=")
        assert added["R2MAE_STATUS"] == status
        assert [value == "." for value in added["R2MAE_LLR"].split(",")] == [s != "ok" for s in status.split(",")]


def test_a_region_is_scored_as_in_the_whole_file(genome: Genome, tmp_path: Path) -> None:
    """By any name that the genome knows, from a file, an interrupted run and a table."""
    source = write_vcf(tmp_path / "in.vcf")
    whole, part = score(source, genome), score(source, genome, region="CHR1:60-120")
    inside = whole[whole["pos"].between(60, 120)]
    assert len(inside) > 10
    same = [name for name in whole.columns if name != "record"]
    pd.testing.assert_frame_equal(part[same], inside[same].reset_index(drop=True))
    assert part["record"].tolist() == (inside["record"] - inside["record"].min()).tolist()
    scored = score(source, genome, region=("1", 59, 120), out=tmp_path / "out.vcf")
    kept = [line.split("\t") for line in lines(scored) if line[0] != "#"]
    assert [r[1] for r in kept] == list(dict.fromkeys(map(str, inside["pos"])))
    table_part = score(whole[["chrom", "pos", "ref", "alt"]], genome, region="chr1:60-120")
    np.testing.assert_array_equal(table_part["llr"], part["llr"])


def test_bcf_in_and_out_has_the_values_of_vcf(genome: Genome, tmp_path: Path) -> None:
    bcftools = pytest.importorskip("pysam.bcftools", reason="pysam reads and writes BCF")
    source = write_vcf(tmp_path / "in.vcf")
    score(source, genome, out=tmp_path / "first.bcf", prefix="ONE")
    score(source, genome, out=tmp_path / "first.vcf", prefix="ONE")
    assert bcftools.view("-H", str(tmp_path / "first.bcf")) == bcftools.view("-H", str(tmp_path / "first.vcf"))
    score(tmp_path / "first.bcf", genome, out=tmp_path / "second.vcf")
    for one, two in zip(
        *([line for line in lines(tmp_path / f"{n}.vcf") if line[0] != "#"] for n in ("first", "second")), strict=True
    ):
        fields = [dict(f.split("=") for f in line.split("\t")[7].split(";")) for line in (one, two)]
        assert {k: v for k, v in fields[1].items() if k.startswith("ONE")} == {
            k: v for k, v in fields[0].items() if k.startswith("ONE")
        }
        assert fields[1]["R2MAE_LLR"] == fields[0]["ONE_LLR"]


def test_an_input_that_changes_meanwhile_is_refused(genome: Genome, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf")
    *header, last = source.read_text().splitlines(keepends=True)
    whole = "".join([*header, *[last] * 560])
    source.write_text(whole)

    class Cutting(Model):
        """Cuts the file while its first records are scored."""

        def log_probs(self, *args: Any, **options: Any) -> np.ndarray:
            source.write_text("".join(whole.splitlines(keepends=True)[:-40]))
            return super().log_probs(*args, **options)

    with pytest.raises(VcfError, match="619 records when they were counted and 579 when they were scored: the file has changed"):
        score(source, genome, Cutting(), out=tmp_path / "out.vcf")
    assert not (tmp_path / "out.vcf").exists()
    source.write_text(whole)
    with pytest.raises(VcfError, match="the file has changed"):
        score(source, genome, Cutting())


def test_a_prefix_that_begins_no_name_is_refused(genome: Genome, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'my model_KIND' is no name for an INFO field"):
        score(write_vcf(tmp_path / "in.vcf"), genome, out=tmp_path / "out.vcf", prefix="my model")


@pytest.mark.usefixtures("short_batches")
def test_another_prefix_does_not_go_on(genome: Genome, tmp_path: Path) -> None:
    source, path, model = write_vcf(tmp_path / "in.vcf"), tmp_path / "out.vcf", Model()
    model.n_until_interrupted = 40
    with pytest.raises(KeyboardInterrupt):
        score(source, genome, model, out=path)
    with pytest.raises(JournalError, match="differs in header"):
        score(source, genome, out=path, prefix="OTHER")


def test_a_saved_network_scores_as_the_open_one(genome: Genome, tmp_path: Path) -> None:
    """Whatever the batch; and its SNV scores are its log-probabilities where the base is hidden."""
    model = DNAMAE(genome, window=WINDOW, n_layers=1, d_model=16)
    model.initialize()
    single = snvs(range(5, 300, 30))
    others = table(*(("chr1", s + 1, ref, alt) for s, ref, alt in random_alleles(CHROM, 20, "network")))
    variants = pd.concat([single, others], ignore_index=True)
    found = score(variants, genome, model)
    saved = score(variants, genome, model.save(tmp_path / "model"), batch_size=5)
    pd.testing.assert_frame_equal(saved, found, rtol=0, atol=1e-5)
    for pos, ref, alt, llr in found.loc[: len(single) - 1, ["pos", "ref", "alt", "llr"]].itertuples(index=False):
        codes = encode_bases(window_around(CHROM, pos - 1, pos, WINDOW))[None]
        log_probs = model.log_probs(codes, np.arange(WINDOW)[None] == WINDOW // 2)[0, WINDOW // 2]
        assert llr == pytest.approx(log_probs[encode_bases(alt)[0]] - log_probs[encode_bases(ref)[0]], abs=1e-5)


def test_another_kind_of_model_is_refused(genome: Genome) -> None:
    with pytest.raises(SetupError, match="has no method log_probs"):
        score(snvs(range(100, 101)), genome, object())


def test_a_model_without_states_scores_without_the_distance(genome: Genome) -> None:
    model = Model()
    foreign = SimpleNamespace(window=model.window, checksum=model.checksum, log_probs=model.log_probs)
    some = snvs(range(100, 103))
    with pytest.raises(SetupError, match=r"no method states\(\); needed is a model with states, or embedding_distance=False"):
        score(some, genome, foreign)
    found = score(some, genome, foreign, embedding_distance=False)
    assert "embedding_distance" not in found
    np.testing.assert_array_equal(found["llr"], score(some, genome)["llr"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 26}, "context is 26 bp; the model reads windows of 1 to 25"),
        ({"context": 0}, "context is 0"),
        ({"flank": 0}, "flank is 0"),
        ({"flank": 13}, "flank is 13 bp; needed is at least 1, and less than half of the context of 25"),
        ({"max_length": 0}, "max_length is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"aliases": {"x": "chr1"}}, "aliases were passed together with an open genome"),
    ],
)
def test_settings_that_cannot_work(genome: Genome, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        score(snvs(range(100, 101)), genome, **options)


def test_two_workers_write_the_bytes_of_one_process(
    genome: Genome, tmp_path: Path, client: Any, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_variant_output, "RECORDS", 8)
    model = DNAMAE(genome, window=WINDOW, n_layers=1, d_model=16)
    model.initialize()
    vcf = write_vcf(tmp_path / "calls.vcf", n=60)
    for name, of in (("one", None), ("two", client)):
        score(vcf, genome, model, out=tmp_path / f"{name}.vcf", client=of)
    assert (tmp_path / "two.vcf").read_bytes() == (tmp_path / "one.vcf").read_bytes()
    assert len([line for line in lines(tmp_path / "two.vcf") if not line.startswith("#")]) == 60
    pd.testing.assert_frame_equal(score(vcf, genome, model, client=client), score(vcf, genome, model))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.vcf", "one.vcf", "two.vcf"]

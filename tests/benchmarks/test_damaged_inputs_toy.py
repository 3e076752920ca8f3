"""Damage to inputs: a few cases of each quick format, and what is made of a process that dies."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest

from benchmarks import damaged_inputs
from benchmarks.damage import judging, mutations, worker
from benchmarks.damage.cells import dense_of
from benchmarks.damage.judging import InvalidInputError, judge
from benchmarks.damage.plain import plain_bed, plain_fasta, plain_vcf
from benchmarks.damaged_inputs import COLUMNS, FORMATS, Worker, markdown, numbers, row_of, summary
from r2mae_bio.errors import DataError

QUICK = ("zarr-csr", "zarr-dense", "fasta", "fasta-bgzip", "genome-cache", "vcf", "vcf-journal", "bed", "genemae", "dnamae")
"""Not h5ad: on some damage HDF5 itself ends the process or never returns."""
N = 10
FINE = {"right", "refused", "refused by anndata"}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def quiet():
    """Warnings and logs are not what is judged."""
    yield worker.quiet()
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", QUICK)
def test_no_case_is_foreign_wrong_or_half_written(name, tmp_path, quiet):
    made = worker.ready(name, tmp_path)
    rows = []
    for number in range(N):
        folder = tmp_path / f"{number}"
        rows.append(row_of(worker.run_case(made, name, number, 9, tmp_path / name, folder), 9))
    assert all(row["kind"] in FINE for row in rows), [row for row in rows if row["kind"] not in FINE]
    assert not any(row["left"] for row in rows)
    assert len({row["damage"] for row in rows}) > N // 2
    again = row_of(worker.run_case(made, name, 3, 9, tmp_path / name, tmp_path / "again"), 9)
    assert (again["damage"], again["kind"]) == (rows[3]["damage"], rows[3]["kind"])


def test_every_format_has_a_name_and_an_intact_input_that_is_right(tmp_path, monkeypatch):
    assert set(FORMATS) == set(worker.FORMATS)
    made = worker.ready("bed", tmp_path)
    monkeypatch.setattr(made, "damage", lambda folder, rng: "none")
    case = worker.run_case(made, "bed", 0, 0, tmp_path / "bed", tmp_path / "copy")
    assert [call["kind"] for call in case["calls"]] == ["right", "right"]


# ---------------------------------------------------------------- judging


def fails(error):
    def call():
        raise error

    return call


def test_calls_are_told_apart():
    def verdict(call, truth=lambda: 1, left=lambda: ""):
        return judge("verb", call, truth, lambda found, expected: "" if found == expected else f"{found}, not {expected}", left)

    assert verdict(lambda: 1).kind == "right"
    assert (verdict(lambda: 2).kind, verdict(lambda: 2).detail) == ("wrong", "2, not 1")
    assert verdict(lambda: 1, fails(InvalidInputError("it is no file"))).detail == "accepted, although it is no file"
    refused = verdict(fails(DataError("cut")), fails(InvalidInputError("cut")), lambda: "out.vcf")
    assert (refused.kind, refused.detail, refused.left, refused.needless) == ("refused", "DataError: cut", "out.vcf", False)
    assert verdict(fails(DataError("cut"))).needless
    foreign = verdict(fails(KeyError("X")))
    assert foreign.kind == "foreign"
    assert foreign.detail.startswith("KeyError: 'X'")


def test_a_case_is_as_bad_as_its_worst_call():
    calls = [vars(judging.Verdict(f"verb {i}", kind, "why")) for i, kind in enumerate(("right", "refused", "foreign", "refused"))]
    calls[3]["left"] = "out.vcf"
    row = row_of({"format": "vcf", "case": 4, "damage": "bits", "calls": calls}, 7)
    assert (row["kind"], row["said"], row["left"]) == ("foreign", ["verb 2: foreign, why"], ["verb 3: out.vcf"])
    table = summary([row, {**row, "case": 5, "kind": "refused", "left": [], "needless": True}])
    assert table.loc["vcf"].to_dict() == {
        **dict.fromkeys(COLUMNS, 0),
        "tried": 2,
        "foreign": 1,
        "refused": 1,
        "half-written": 1,
        "needless": 1,
    }
    assert "- `vcf:4` (bits): verb 2: foreign, why; verb 3: out.vcf" in markdown([row])


def test_cases_are_shared_out():
    assert {name: list(part) for name, part in numbers(5, ["a", "b"]).items()} == {"a": [0, 1, 2], "b": [0, 1]}


ANSWERS = """
import json, os, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    print(json.dumps({"stage": "anndata" if line == "2\\n" else "embed"}), flush=True)
    if line == "1\\n":
        time.sleep(60)
    if line != "0\\n":
        os._exit(3)
    print(json.dumps({"format": "toy", "case": 0, "calls": []}), flush=True)
"""


def test_a_process_that_dies_or_hangs_is_followed_by_another(tmp_path):
    with Worker("toy", 0, tmp_path) as process:
        process._command = [sys.executable, "-c", ANSWERS]
        assert process.judge(0) == {"format": "toy", "case": 0, "calls": []}
        found = [process.judge(number, 1.0)["calls"][0] for number in (1, 2, 3)]
        assert process.judge(0)["calls"] == []
    assert [(call["kind"], call["call"]) for call in found] == [
        ("timeout", "embed"),
        ("refused by anndata", "anndata"),
        ("foreign", "embed"),
    ]
    assert found[2]["detail"] == "the process died (3) in embed"


# ---------------------------------------------------------------- damage and plain readers


def test_damage_is_of_every_kind_and_the_same_for_the_same_seed():
    text = b"".join(b"chr1\t%d\t%d\n" % (i, i + 3) for i in range(30))
    for damage in (mutations.damage_bytes, mutations.damage_lines):
        found = [damage(text, np.random.default_rng(seed)) for seed in range(200)]
        assert found == [damage(text, np.random.default_rng(seed)) for seed in range(200)]
        assert sum(data != text for data, _ in found) > 150
        assert len({what for _, what in found}) > 9
    data = {"a": [1, {"b": "x"}], "c": None}
    found = [json.dumps(mutations.damage_json(data, np.random.default_rng(seed))[0]) for seed in range(100)]
    assert len(set(found)) > 40
    assert data == {"a": [1, {"b": "x"}], "c": None}


def test_plain_readers_by_hand(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b">a x\nACgt\n NN\r\n\n>b\nA\n")
    assert plain_fasta(file) == {"a": "ACgtNN", "b": "A"}
    for text in (b"", b">a\n", b">a\nAC\n>a\nA\n", b"ACGT\n", b">a\nAXC\n", b"> a\nAC\n"):
        file.write_bytes(text)
        with pytest.raises(InvalidInputError):
            plain_fasta(file)
    file.write_text("#x\ntrack a\ntrack\t1\t5\n2 10 20 name 0 -\n")
    assert plain_bed(file) == [("track", 1, 5, "track:1-5", "."), ("2", 10, 20, "name", "-")]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    file.write_text(f"##x\n{columns}\n1\t5\t.\tA\tC,G\t.\t.\t.\n\n")
    found = plain_vcf(file)
    assert (found.meta, [record[1:] for record in found.records]) == ([b"##x"], [("1", 5, ".", "A", ["C", "G"])])
    for line in ("1\t5\t.\tA\tC", "1\t-5\t.\tA\tC\t.\t.\t.", ""):
        file.write_text(f"{columns}\n{line}\n1\t5\t.\tA\tC\t.\t.\t.\n")
        with pytest.raises(InvalidInputError):
            plain_vcf(file)


def test_plain_matrices_by_hand():
    from scipy import sparse

    dense = np.random.default_rng(0).poisson(0.5, (6, 4)).astype(np.float32)
    for form in (sparse.csr_matrix, sparse.csc_matrix):
        np.testing.assert_array_equal(dense_of(form(dense)), dense)
    matrix = sparse.csr_matrix(dense)
    matrix.indices[0] = 4
    with pytest.raises(InvalidInputError, match="outside"):
        dense_of(matrix)


def test_unknown_formats_and_files_that_exist_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "rows.json"
    path.write_text("[]")
    monkeypatch.setattr(sys, "argv", ["damaged_inputs", "--formats", "docx"])
    with pytest.raises(SystemExit):
        damaged_inputs._main()
    monkeypatch.setattr(sys, "argv", ["damaged_inputs", "--json", str(path)])
    with pytest.raises(SystemExit, match="pass --resume"):
        damaged_inputs._main()

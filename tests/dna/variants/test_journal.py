"""Writing variants with interruptions: the same bytes after any of them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from r2mae_bio.errors import ConfigError, DataError, JournalError, VcfError
from r2mae_bio.io import read_variants

if TYPE_CHECKING:
    from collections.abc import Callable

from .conftest import HEADER, leftovers, open_writer, run, score

REPOSITORY = Path(__file__).resolve().parents[3]


def _append(part: Path, _: Path) -> None:
    with part.open("ab") as stream:
        stream.write(b"half a batch" * 10_000)  # longer than what is still to come


BETWEEN: dict[str, Callable[[Path, Path], None]] = {
    "nothing": lambda part, state: None,
    "a batch was half written": _append,
    "the state was half written": lambda part, state: state.with_name(state.name + ".tmp").write_bytes(b"{"),
    "the state is missing": lambda part, state: state.unlink(),
    "the part is missing": lambda part, state: part.unlink(),
}


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".parquet"])
@pytest.mark.parametrize("event", BETWEEN)
def test_interrupted_equals_uninterrupted(source: Path, tmp_path: Path, suffix: str, event: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    run(whole, source, commit_seconds=1000)
    for stop in (0, 1, 2):
        with pytest.raises(InterruptedError):
            run(path, source, stop=stop)
        assert not path.exists()
        BETWEEN[event](tmp_path / f"out{suffix}.part", tmp_path / f"out{suffix}.part.json")
    run(path, source)
    assert path.read_bytes() == whole.read_bytes()
    assert leftovers(path) == []


def test_a_resumed_run_does_not_repeat(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.vcf", source, stop=3)
    reader = read_variants(source, batch_size=25)
    with open_writer(tmp_path / "out.vcf", reader) as writer:
        assert writer.n_records == 75
        with pytest.raises(ConfigError, match="begins at record 0; expected is 75"):
            writer.write(next(iter(reader)), score(next(iter(reader))))
        writer.close()


def test_an_error_within_a_batch_loses_only_that_batch(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source, batch_size=10)
    writer = open_writer(tmp_path / "out.vcf", reader, commit_seconds=1000)
    batches = list(reader)
    writer.write(batches[0], score(batches[0]))
    with pytest.raises(DataError), writer:
        writer.write(batches[1], {"LLR": []})
    run(tmp_path / "whole.vcf", source)
    run(tmp_path / "out.vcf", source)
    assert (tmp_path / "out.vcf").read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def test_cut_input_leaves_no_output(source: Path, tmp_path: Path) -> None:
    rows = b"".join(b"1\t%d\t.\tA\tC\t.\t.\tX=%x\n" % (i, i * 7919**3) for i in range(9000))
    whole = gzip.compress(HEADER + rows)
    (tmp_path / "cut.vcf.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VcfError, match="output was not finished"):
        run(tmp_path / "out.vcf", tmp_path / "cut.vcf.gz", batch_size=100)
    assert leftovers(tmp_path / "out.vcf") == ["out.vcf.part", "out.vcf.part.json"]
    assert not (tmp_path / "out.vcf").exists()


def test_another_run_is_not_continued(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vcf"
    with pytest.raises(InterruptedError):
        run(path, source, stop=3)
    with pytest.raises(JournalError, match=r"differs in settings seed \(then 1, now 2\).* resume=False"):
        run(path, source, settings={"seed": 2})
    with pytest.raises(JournalError, match=r"settings more \(then None, now 'x'\)"):
        run(path, source, settings={"seed": 1, "more": "x"})
    with pytest.raises(JournalError, match="differs in input"):
        run(path, source, fingerprint="of another file")
    with pytest.raises(JournalError, match="differs in header"):
        run(path, source, extra_header=["##model=other"])
    run(path, source, settings={"seed": 2}, resume=False)
    run(tmp_path / "whole.vcf", source)
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def test_without_a_record_it_is_begun_anew(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.vcf"
    with pytest.raises(InterruptedError):
        run(path, source, stop=0)
    assert leftovers(path) == ["out.vcf.part", "out.vcf.part.json"]
    run(path, source, settings={"seed": 2}, extra_header=["##model=other"])
    run(tmp_path / "whole.vcf", source, extra_header=["##model=other"])
    assert path.read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def _flip(part: Path, _: Path) -> None:
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "is not what .* describes": _flip,
    "is not what": lambda part, state: part.write_bytes(part.read_bytes()[:-1]),
    "is not a state": lambda part, state: state.write_bytes(state.read_bytes()[:-5]),
    "not a state written by this version": lambda part, state: state.write_text("[]"),
    "a state written": lambda part, state: state.write_text(state.read_text().replace('"records": 75', '"records": 50')),
    "state written by this version": lambda part, state: state.write_text(state.read_text().replace("journal 1", "journal 0")),
}


def test_a_state_without_checksum_is_that_of_an_older_version(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.vcf", source, stop=3)
    state = tmp_path / "out.vcf.part.json"
    state.write_text(json.dumps({name: value for name, value in json.loads(state.read_text()).items() if name != "check"}))
    with open_writer(tmp_path / "out.vcf", read_variants(source, batch_size=25)) as writer:
        assert writer.n_records == 75
        writer.close()


@pytest.mark.parametrize("message", DAMAGES)
def test_damaged_parts_are_refused(source: Path, tmp_path: Path, message: str) -> None:
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.vcf", source, stop=3)
    DAMAGES[message](tmp_path / "out.vcf.part", tmp_path / "out.vcf.part.json")
    with pytest.raises(JournalError, match=message):
        run(tmp_path / "out.vcf", source)
    run(tmp_path / "out.vcf", source, resume=False)


def test_states_come_as_often_as_asked(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source, batch_size=10)
    for seconds, records in ((0, 20), (1000, None)):
        writer = open_writer(tmp_path / "out.vcf", reader, commit_seconds=seconds, resume=False)
        for batch in list(reader)[:2]:
            writer.write(batch, score(batch))
        state = tmp_path / "out.vcf.part.json"
        assert (json.loads(state.read_text())["records"] if state.exists() else None) == records
        writer.close()
        assert json.loads(state.read_text())["records"] == 20


@pytest.mark.skipif(sys.platform == "win32", reason="no such lock")
def test_two_runs_do_not_write_one_file(source: Path, tmp_path: Path) -> None:
    reader = read_variants(source)
    first = open_writer(tmp_path / "out.vcf", reader)
    with pytest.raises(JournalError, match="Another run is writing"):
        open_writer(tmp_path / "out.vcf", reader)
    first.close()
    open_writer(tmp_path / "out.vcf", reader).close()


SLOW_CHILD = """
import sys, time
from pathlib import Path
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("writing", sys.argv[1])
sys.modules["writing"] = writing = module_from_spec(spec)
spec.loader.exec_module(writing)
reader = writing.read_variants(sys.argv[2], batch_size=2)
writers = [writing.open_writer(Path(path), reader) for path in sys.argv[3:]]
for batch in reader.batches(skip=min(writer.n_records for writer in writers)):
    time.sleep(0.02)
    for writer in writers:
        if writer.n_records == batch.start:
            writer.write(batch, writing.score(batch))
    print(batch.start, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_and_resumed_equals_uninterrupted(source: Path, tmp_path: Path) -> None:
    """One child writes all three forms; it is killed twice, somewhere after a batch was
    reported.
    """
    paths = [tmp_path / name for name in ("a.vcf", "b.vcf.gz", "c.parquet")]
    command = [sys.executable, "-c", SLOW_CHILD, str(Path(__file__).with_name("conftest.py")), str(source), *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for n_batches in (3, 9):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            assert child.stdout is not None
            reported = [child.stdout.readline() for _ in range(n_batches)]
            child.kill()
        assert child.returncode == -9, reported
        for path in paths:
            assert not path.exists()
            state = json.loads(path.with_name(path.name + ".part.json").read_text())
            assert state["records"] >= int(reported[-1]) + 2  # what was reported is not lost
    for path in paths:
        whole = path.with_name("whole" + path.name)
        run(path, source, batch_size=2)
        run(whole, source, batch_size=2, commit_seconds=1000)
        assert path.read_bytes() == whole.read_bytes()
        assert leftovers(path) == []

"""``r2mae track-merge``: shards of the command make the tracks of one run, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_shards_are_put_together_or_refused(folder: Path, r2mae: Any) -> None:
    assert r2mae("track-merge", "parts/2.logp", "parts/1.logp", "--out", "merged.bg")[0] == 0
    args = ["genome.fa.gz", "--model", "dna_model", "--regions", "peaks.bed"]
    assert r2mae("track", *args, "--out", "whole.bg")[0] == 0
    names = sorted(path.name.removeprefix("whole") for path in folder.glob("whole.*.bg"))
    assert len(names) == 6
    assert all(Path(f"merged{name}").read_bytes() == Path(f"whole{name}").read_bytes() for name in names)
    code, _, err = r2mae("track-merge", "parts/1.logp", "--out", "half.bg")
    assert code == 1
    assert "Missing are the shards 2/2" in err
    assert not list(folder.glob("half*"))

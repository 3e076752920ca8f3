"""``r2mae track``: files as those of the function, in shards too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r2mae_bio import tl

ARGS = ["genome.fa.gz", "--model", "dna_model", "--regions", "peaks.bed"]
CHOSEN = ["--context", "32", "--stride", "4", "--hidden-at-once", "2"]


def test_tracks_are_those_of_the_function(folder: Path, printed: Any, r2mae: Any) -> None:
    said = printed("track", *ARGS, *CHOSEN, "--value", "llr_A", "--value", "entropy", "--out", "out.bg")
    assert said["out"] == ["out.llr_A.bg", "out.entropy.bg"]
    files = tl.saturation_track(
        "peaks.bed",
        "genome.fa.gz",
        "dna_model",
        out="python.bg",
        value=["llr_A", "entropy"],
        context=32,
        stride=4,
        hidden_at_once=2,
    )
    assert [Path(name).read_bytes() for name in said["out"]] == [path.read_bytes() for path in files]
    code, _, err = r2mae("track", *ARGS, *CHOSEN, "--value", "llr_A", "--value", "entropy", "--out", "out.bg")
    assert (code, "exists" in err) == (1, True)
    assert r2mae("track", *ARGS, "--shard", "1/2", "--out", "out.bedgraph")[0] == 1
    assert not Path("out.bedgraph.config.yaml").exists()

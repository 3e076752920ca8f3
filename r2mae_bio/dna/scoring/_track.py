"""All bases of a genome, or of regions, predicted into files: in shards, and from where a killed
run stopped.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._files import overlapping, publish, refuse_existing
from r2mae_bio._progress import count_steps
from r2mae_bio._runs._journal import Journal
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases
from r2mae_bio.dna.scoring._saturation import BASES, SaturationSettings, base_values, predict_bases
from r2mae_bio.dna.tracks._blocks import BLOCK, Blocks, read_shard
from r2mae_bio.dna.tracks._logp import SUFFIX, LogpFile, encode_block, encode_end, encode_header
from r2mae_bio.dna.tracks._whole import put_together
from r2mae_bio.dna.tracks._write import check_form, write_track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import LikelihoodModel, PlacedModel
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.tracks._whole import Whole

TRACKS: Final = (*(f"llr_{base}" for base in BASES), "llr_max", "entropy_bits")
"""Values that are written if nobody says which."""
VALUES: Final = (*TRACKS, *(f"logp_{base}" for base in BASES), "entropy", "information")
_COMMIT_SECONDS: Final = 5.0
_LOWER: Final = ord("a")


@dataclass(frozen=True)
class TrackSettings(SaturationSettings):
    """Settings that were checked against the model."""

    soft_masked: bool
    """Whether bases in lower case get a value."""


def track_values(codes: NDArray[np.uint8], log_p: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """All that may be written of some bases, each (n,); NaN where a base has no value.

    Parameters
    ----------
    codes
        The bases, 4 where there is no value, (n,).
    log_p
        Log-probabilities, (n, 4).
    """
    values = base_values(codes, log_p.astype(np.float64))
    others = np.column_stack([np.where(codes == i, -np.inf, values[f"llr_{base}"]) for i, base in enumerate(BASES)])
    return {**values, "llr_max": others.max(axis=1), "entropy_bits": values["entropy"] / np.log(2)}


def score_track(
    intervals: Intervals,
    genome: Genome,
    model: LikelihoodModel | PlacedModel,
    settings: TrackSettings,
    *,
    out: Path,
    value: str | Sequence[str] | None,
    shard: str | tuple[int, int] | None,
    resume: bool,
    overwrite: bool,
    progress_bar: bool | None,
) -> list[Path]:
    """Predict the bases of intervals, and write what is wanted.

    Parameters
    ----------
    intervals
        The bases.
    genome, model, settings
        What decides the values, and whether a run may go on.
    out, value, shard, resume, overwrite, progress_bar
        See :func:`r2mae_bio.tl.saturation_track`.

    Returns
    -------
    The files.
    """
    number = read_shard(shard)
    targets = target_files(out, value, shard)
    plan = _plan(intervals, genome, model, settings)
    blocks = Blocks.of(*plan["intervals"])
    first, last = blocks.share(number)
    described = hashlib.sha256(json.dumps(plan).encode()).hexdigest()
    identity = {"bases": described, "shard": list(number), "settings": plan["made_by"]}
    unfinished = out.with_name(f"{out.name}.part.json").exists()
    if not (resume and unfinished and not out.name.lower().endswith(SUFFIX)):  # else it was about to replace them
        for path in targets.values():
            refuse_existing(path, overwrite=overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    journal = Journal(out, identity, resume=resume, commit_seconds=_COMMIT_SECONDS, setting="resume=False")
    try:
        if not journal.resumed:
            journal.write(encode_header(plan, number, (first, last)))
            journal.mark(0)
        at = first + journal.records
        done, total = (blocks.bases_before(i) - blocks.bases_before(first) for i in (at, last))
        with count_steps("track", total, done=done, shown=progress_bar, unit="bases") as advance:
            for i in range(at, last):
                codes, log_p = _predict(genome, model, settings, int(blocks.contig[i]), int(blocks.start[i]), int(blocks.end[i]))
                journal.write(encode_block(log_p, codes))
                journal.mark(1)
                advance(codes.size)
        journal.commit()
        _finish(journal, targets, out)
    finally:
        journal.close()
    journal.discard()
    return list(targets.values())


def refuse_lost(targets: Iterable[Path], read: Iterable[Any]) -> None:
    """Refuse to write where something is read.

    Parameters
    ----------
    targets
        What is to be written.
    read
        What the user passed; paths among it are those of files and folders that are read.

    Raises
    ------
    ConfigError
        One would take the place of the other.
    """
    inputs = [Path(one).expanduser() for one in read if isinstance(one, str | Path)]
    for path in targets:
        lost = overlapping(path, [one for one in inputs if one.exists()])
        if lost is not None:
            message = f"{path} is to be written, and {lost} is read and would be lost; name another out."
            raise ConfigError(message)


def _finish(journal: Journal, targets: dict[str, Path], out: Path) -> None:
    if SUFFIX in targets:
        journal.write(encode_end(journal.crc32))
        journal.seal()
        publish(journal.part, out)
        return
    _write(put_together([LogpFile.open(journal.part, complete=False)]), targets)


def merge_parts(parts: Sequence[Path], *, out: Path, value: str | Sequence[str] | None, overwrite: bool) -> list[Path]:
    """Write tracks of what several runs predicted.

    Parameters
    ----------
    parts
        Their files, in any order.
    out, value, overwrite
        See :func:`r2mae_bio.tl.merge_tracks`.

    Returns
    -------
    The files.
    """
    if not parts:
        message = f"There are no parts to merge; needed is at least one file {SUFFIX} that tl.saturation_track wrote."
        raise DataError(message)
    check_form(out)
    targets = target_files(out, value, None)
    for path in targets.values():
        refuse_existing(path, overwrite=overwrite)
    _write(put_together([LogpFile.open(path) for path in parts]), targets)
    return list(targets.values())


def _plan(intervals: Intervals, genome: Genome, model: Any, settings: TrackSettings) -> dict[str, Any]:
    """What all shards have in common."""
    return {
        "contigs": list(genome.contigs),
        "lengths": genome.lengths.tolist(),
        "intervals": [intervals.contig.tolist(), intervals.start.tolist(), intervals.end.tolist()],
        "made_by": {"model": model.checksum(), "genome": genome.fingerprint(), "block": BLOCK, **vars(settings)},
    }


def _predict(
    genome: Genome, model: Any, settings: TrackSettings, contig: int, start: int, end: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Bases of a block and their log-probabilities, NaN where there is no value."""
    letters = genome.windows(np.array([start]), end - start, contigs=contig)[0]
    codes = encode_bases(letters)
    if not settings.soft_masked:
        codes = np.where(letters >= _LOWER, np.uint8(UNKNOWN), codes)
    known = np.flatnonzero(codes < UNKNOWN)
    log_p = np.full((codes.size, len(BASES)), np.nan, np.float32)
    if known.size:
        log_p[known] = predict_bases(genome, contig, start + known, model, settings)
        wrong = known[~np.isfinite(log_p[known]).all(axis=1)]
        if wrong.size:
            place = f"{genome.contigs[contig]}:{start + int(wrong[0]) + 1}"
            message = (
                f"The model gives the base {place} the log-probabilities {log_p[wrong[0]].tolist()}; needed are finite numbers."
            )
            raise DataError(message)
    return codes, log_p


def target_files(out: Path, value: str | Sequence[str] | None, shard: Any) -> dict[str, Path]:
    """The files by what they hold.

    Parameters
    ----------
    out, value, shard
        See :func:`r2mae_bio.tl.saturation_track`.

    Raises
    ------
    ConfigError
        There is no such form or value, or it cannot be written so.
    """
    suffix = check_form(out, SUFFIX)
    if suffix == SUFFIX:
        if value is not None:
            message = f"{out.name} holds probabilities, of which every value can be made; pass value= to tl.merge_tracks."
            raise ConfigError(message)
        return {SUFFIX: out}
    if shard is not None:
        message = f"out is {out.name}; a shard is written as {SUFFIX}, such as part_1.logp, and tl.merge_tracks makes tracks of all of them."
        raise ConfigError(message)
    names = [value] if isinstance(value, str) else list(TRACKS if value is None else value)
    wrong = [name for name in names if name not in VALUES]
    if wrong or not names:
        message = f"value is {wrong[0] if wrong else value!r}; needed are some of {', '.join(VALUES)}."
        raise ConfigError(message)
    if isinstance(value, str):
        return {value: out}
    stem, form = out.name[: -len(suffix)], out.name[-len(suffix) :]
    return {name: out.with_name(f"{stem}.{name}{form}") for name in names}


def _write(whole: Whole, targets: dict[str, Path]) -> None:
    lengths = dict(zip(whole.contigs, whole.lengths, strict=True))
    for name, path in targets.items():
        write_track(path, lengths, _pieces(whole, name))


def _pieces(whole: Whole, name: str) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
    for contig, start, log_p, codes in whole.sorted_blocks():
        yield contig, start, track_values(codes, log_p)[name]

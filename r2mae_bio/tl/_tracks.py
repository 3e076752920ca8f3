"""``tl.to_bedgraph``, ``tl.saturation_track`` and ``tl.merge_tracks``: values by base as tracks for
genome browsers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.dna.genome._genome import as_genome
from r2mae_bio.dna.model._dna_mae import DNAMAE
from r2mae_bio.dna.model._mean_states import check_strand
from r2mae_bio.dna.regions._intervals import Intervals
from r2mae_bio.dna.scoring._placed import method_asked_for
from r2mae_bio.dna.scoring._saturation import choose_saturation
from r2mae_bio.dna.scoring._track import TrackSettings, merge_parts, refuse_lost, score_track, target_files
from r2mae_bio.dna.tracks._logp import SUFFIX
from r2mae_bio.dna.tracks._tracks import write_bedgraph

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from r2mae_bio.dna._protocols import LikelihoodModel, PlacedModel
    from r2mae_bio.dna.genome._genome import Genome


@answers_misspelt
def to_bedgraph(table: pd.DataFrame, path: str | Path, *, column: str = "information", track: str | None = None) -> Path:
    """Write one column of a table of bases as bedGraph.

    Lines are ``chrom start end value``, separated by tabs, 0-based and half-open, sorted by contig
    (in the order of the bytes) and position, as ``bedGraphToBigWig`` and ``tabix`` want them. Bases
    without a value (NaN) are left out. Whole numbers are written exactly, others with six
    significant digits.

    Parameters
    ----------
    table
        Columns ``chrom``, ``pos`` (from 1) and the one to write, such as
        :func:`saturation_mutagenesis` returns; tables of several regions may be concatenated.
    path
        The file; bgzip if its name ends in ``.gz``.
    column
        Column to write.
    track
        Name for a ``track`` line above the values; no such line if None, which converters prefer.

    Returns
    -------
    The path. The file appears whole or not at all.

    Raises
    ------
    SetupError
        A column is missing.
    DataError
        A base occurs twice, a contig is missing or has white space, a position is no whole number
        from 1, a value is infinite or no number, or none is left.
    ConfigError
        The name of the track holds a quotation mark or a line break.

    Examples
    --------
    >>> import pandas as pd
    >>> import r2mae_bio as rb
    >>> table = pd.DataFrame({"chrom": "chr1", "pos": [7, 8, 9], "information": [0.5, 0.5, 2]})
    >>> path = rb.tl.to_bedgraph(table, "information.bedgraph")  # or "information.bedgraph.gz"
    >>> print(path.read_text(), end="")
    chr1  6  7  0.5
    chr1  7  8  0.5
    chr1  8  9  2
    """
    path = Path(path).expanduser()
    write_bedgraph(table, path, column=column, track=track)
    return path


@answers_misspelt
def saturation_track(
    regions: Intervals | str | Path | pd.DataFrame | Sequence[tuple[Any, ...]] | None,
    genome: Genome | str | Path,
    model: LikelihoodModel | PlacedModel | str | Path,
    *,
    out: str | Path,
    value: str | Sequence[str] | None = None,
    shard: str | tuple[int, int] | None = None,
    context: int | None = None,
    strand: str = "both",
    stride: int = 1,
    hidden_at_once: int = 1,
    soft_masked: bool = True,
    batch_size: int | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress_bar: bool | None = None,
) -> list[Path]:
    """Predict every base of a genome, or of regions, from its surroundings, into tracks for genome
    browsers.

    Values are those of :func:`saturation_mutagenesis`: one base at a time is hidden, all others are
    seen, unless ``hidden_at_once`` says otherwise. Bases are predicted in blocks of 1,024 that do
    not depend on shards; a run that was killed and is called again as it was goes on, and its files
    have the same bytes.

    Parameters
    ----------
    regions
        None for the whole genome; or a BED file, a table or a list of tuples ``(chrom, start,
        end)``, 0-based and half-open, see :func:`r2mae_bio.io.read_regions`; or
        :class:`r2mae_bio.io.Intervals`. Bases in several regions are predicted once; names and
        strands are not looked at.
    genome
        The genome, or the path of its FASTA file.
    model
        As for :func:`saturation_mutagenesis`.
    out
        The form is told by the suffix.

        - ``.bw`` or ``.bigwig``: bigWig (``pip install "r2mae_bio[tracks]"``);
        - ``.bedgraph`` or ``.bg``, with ``.gz`` bgzip: bedGraph, six significant digits;
        - ``.logp``: the probabilities, of which :func:`merge_tracks` makes tracks.

        A track holds one value for each base, so there is a file for each value: for several, their
        names stand in front of the suffix, ``scores.llr_A.bw``.
    value
        Name of one value, which is written to ``out`` itself, or several names:

        - ``llr_A``, ``llr_C``, ``llr_G``, ``llr_T``: log-likelihood ratio of this base to that of
          the genome, nats; 0 where it is that of the genome;
        - ``llr_max``: that of the substitution that the model tolerates most, nats;
        - ``entropy_bits``: entropy of the prediction, 0 to 2 bits;
        - ``logp_A`` to ``logp_T`` and ``entropy`` in nats, ``information`` in bits, as in
          :func:`saturation_mutagenesis`.

        The first six if None.
    shard
        ``"3/8"`` or ``(3, 8)``, counted from 1: only this part of the bases, contiguous and of the
        same size as the others to one block, into a file ``.logp``.
    context, strand, stride, hidden_at_once, batch_size
        As for :func:`saturation_mutagenesis`.
    soft_masked
        Whether bases in lower case get a value; they are seen as context in any case. N and other
        letters have none.
    resume
        Go on with what an interrupted run left; if False, begin anew.
    overwrite
        Replace files that exist.
    progress_bar
        Whether to show one; if None, in a terminal.

    Returns
    -------
    The files, in the order of the values. Each appears whole or not at all.

    Raises
    ------
    ConfigError
        A setting cannot be used, a file exists or is read, its suffix is unknown, or a shard is not
        to be written as ``.logp``.
    BedError, RegionError, UnknownContigError, AmbiguousContigError
        The regions cannot be read or do not lie on the genome.
    SetupError
        pybigtools is missing, the model does not predict DNA, or lacks the alignment that it reads.
    DataError
        No base has a value, or a probability is 0 or not a number.
    JournalError
        An unfinished output belongs to other bases, settings or another model.
    CheckpointError, FastaError, CacheError
        The model or the genome cannot be read.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> regions = [("NC_001416.1", 38_040, 38_100)]  # None for the whole genome
    >>> files = rb.tl.saturation_track(regions, genome, model, out="cro.bedgraph.gz")
    >>> files[0].name, files[-1].name
    ('cro.llr_A.bedgraph.gz', 'cro.entropy_bits.bedgraph.gz')
    """
    check_strand(strand)
    path = Path(out).expanduser()
    refuse_lost(target_files(path, value, shard).values(), [regions, genome, model])
    opened = cast("LikelihoodModel | PlacedModel", open_model(model, DNAMAE, method_asked_for(model), what="model of DNA"))
    known = as_genome(genome)
    settings = choose_saturation(
        opened.window, context=context, strand=strand, stride=stride, hidden_at_once=hidden_at_once, batch_size=batch_size
    )
    if not isinstance(regions, Intervals):
        regions = Intervals.whole(known) if regions is None else Intervals.from_regions(known, regions)
    return score_track(
        regions,
        known,
        opened,
        TrackSettings(**vars(settings), soft_masked=soft_masked),
        out=path,
        value=value,
        shard=shard,
        resume=resume,
        overwrite=overwrite,
        progress_bar=progress_bar,
    )


@answers_misspelt
def merge_tracks(
    parts: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    value: str | Sequence[str] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Make tracks of the shards of :func:`saturation_track`, once it is proven that every base is
    in them exactly once and that one model, genome and setting made all of them.

    The files have the same bytes as those of one run without shards.

    Parameters
    ----------
    parts
        Files ``.logp`` in any order, or the folder that holds them and no others. One of a whole
        run will do as well, for further values.
    out, value, overwrite
        As for :func:`saturation_track`; bigWig or bedGraph.

    Returns
    -------
    The files, in the order of the values.

    Raises
    ------
    DataError
        A part is missing, cut or damaged, parts do not belong together, a base is in two of them or
        in none; the message names the parts, intervals or shards.
    ConfigError
        A file exists, its suffix or a value is unknown.
    SetupError
        pybigtools is missing.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> regions = [("NC_001416.1", 36_000, 38_100)]
    >>> for i in (1, 2):
    ...     out = f"parts/{i}.logp"
    ...     _ = rb.tl.saturation_track(regions, genome, model, out=out, shard=(i, 2), stride=32)
    >>> files = rb.tl.merge_tracks("parts", "entropy.bedgraph", value="entropy_bits")
    >>> files[0].name
    'entropy.bedgraph'
    """
    if isinstance(parts, str | Path):
        folder = Path(parts).expanduser()
        parts = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else [folder]
    paths = [Path(part).expanduser() for part in parts]
    return merge_parts(paths, out=Path(out).expanduser(), value=value, overwrite=overwrite)

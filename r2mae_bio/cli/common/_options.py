"""Options that several commands have, named as the parameters of the functions in Python."""

# typer reads annotations while commands are made, so names in them are imported for real
from typing import Annotated

import typer

Cells = Annotated[str, typer.Argument(metavar="CELLS", help="Cells: .h5ad, .zarr, or - for h5ad from standard input.")]
Fasta = Annotated[str, typer.Argument(metavar="FASTA", help="Genome: FASTA, plain, gzip or bgzip.")]
CellsModel = Annotated[
    str, typer.Option("--model", metavar="MODEL", help="Folder of a saved model of cells, or a ready-made one: blood-small.")
]
DNAModel = Annotated[str, typer.Option("--model", metavar="MODEL", help="Folder of a saved model of DNA.")]
AnyModel = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Folder of a saved model, or a ready-made one of cells: blood-small."),
]
Layer = Annotated[str | None, typer.Option(help="Layer of raw counts; X if not given.")]
BatchKey = Annotated[str | None, typer.Option(help="Column of .obs with the batch.")]
LabelsKey = Annotated[str | None, typer.Option(help="Column of .obs with the classes.")]
Seed = Annotated[int | None, typer.Option(help="Seed of all that is drawn; 0 if not given.")]
BatchSize = Annotated[int | None, typer.Option(help="Rows that the network reads at a time.")]
Duplicates = Annotated[str | None, typer.Option(help="error or sum: what to do with columns of the same gene.")]
MinCoverage = Annotated[float | None, typer.Option(help="Smallest share of the model's genes that must be measured.")]
KeyAdded = Annotated[str | None, typer.Option(help="Key under which results are added to the data.")]
Strand = Annotated[str | None, typer.Option(help="both: the mean over both strands; +: one alone.")]
Context = Annotated[int | None, typer.Option(help="Bases of a window; as many as the model reads if not given.")]
Stride = Annotated[int | None, typer.Option(help="Neighbouring bases that are asked of one window; 1 if not given.")]
HiddenAtOnce = Annotated[
    int | None, typer.Option(help="How many of these are hidden together, far apart; 1 if not given, more is faster.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...; auto takes cuda where there is one.")]
Aliases = Annotated[
    list[str] | None, typer.Option("--aliases", metavar="ALIAS=NAME", help="Further name of a contig; repeatable.")
]
Synonyms = Annotated[str | None, typer.Option(help="File with names of contigs: an assembly report, a chromAlias, a table.")]
Circular = Annotated[list[str] | None, typer.Option("--circular", help="Name of a circular contig, or all; repeatable.")]
CacheDir = Annotated[str | None, typer.Option(help="Folder for converted genomes.")]
TrackValues = Annotated[
    list[str] | None,
    typer.Option("--value", help="llr_A, llr_C, llr_G, llr_T, llr_max, entropy_bits, ...; repeatable; these six if not given."),
]


def one_or_all(values: list[str] | None) -> str | list[str] | None:
    """One value by itself, which is written to the file that was named."""
    return (values[0] if len(values) == 1 else values) if values else None

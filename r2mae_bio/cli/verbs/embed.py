"""``r2mae embed``: an embedding of cells, sequences or regions."""

from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import whole_file
from r2mae_bio._keys import KEYS
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import given, kind_of_model, open_cells_model, open_genome, open_model, read_cells
from r2mae_bio.cli.common._outputs import CELLS, ZARR, write_cells

EXAMPLE = """\
r2mae embed cells.h5ad --model model --out embedded.h5ad
r2mae embed promoters.fa --model dna_model --out promoters.csv
r2mae embed peaks.bed --model dna_model --genome genome.fa.gz --out peaks.parquet"""

_SUFFIXES = (".csv", ".parquet", ".npy", ".npz", *CELLS)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, holds=ZARR, keeps=_kept)(embed)


def _kept(given: dict[str, Any]) -> str:
    """The cells, which the result has; a result of DNA does not have the bases."""
    model = given["model"] or given["folder"]
    return "data" if model is not None and kind_of_model(model) != "DNAMAE" else ""


def embed(
    job: Job,
    *,
    data: Annotated[str, typer.Argument(metavar="CELLS | FASTA | BED", help="What to embed; - is standard input.")],
    folder: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="In place of --model.")] = None,
    model: options.AnyModel = None,
    out: Annotated[str, typer.Option(help=".h5ad or .zarr (the cells with .obsm), .npy, .npz, .parquet, .csv; - is csv.")],
    key_added: options.KeyAdded = None,
    layer: Annotated[str | None, typer.Option(help="Layer of raw counts; of DNA, number of the layer of the network.")] = None,
    batch_size: options.BatchSize = None,
    duplicates: options.Duplicates = None,
    min_coverage: options.MinCoverage = None,
    correct_batch: Annotated[bool | None, typer.Option(help="Take batches out of the embedding of cells.")] = None,
    map_query: Annotated[
        bool, typer.Option("--map-query", help="The cells are of batches that the model does not know.")
    ] = False,
    batch_key: options.BatchKey = None,
    genome: Annotated[str | None, typer.Option(metavar="FASTA", help="Genome of the regions of a BED file.")] = None,
    strand: options.Strand = None,
    overlap: Annotated[int | None, typer.Option(help="Bases that tiles of long sequences share.")] = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    device: options.Device = "auto",
) -> Found:
    """Embed cells, sequences (FASTA) or regions (BED).

    Genes are matched by name, and those that were not measured are hidden. Regions need --genome.
    """
    if model is None and folder is None:
        message = (
            "--model is missing; give the folder of a saved model, or the name of a ready-made one, such as blood-small of cells."
        )
        raise typer.BadParameter(message)
    settings = {**locals(), "model": model or folder}
    key = KEYS.obsm if key_added is None else key_added
    dna = kind_of_model(settings["model"]) == "DNAMAE"
    _refuse_foreign(settings, dna=dna)
    with job.output(out, _SUFFIXES) as path:
        adata = _embed_dna(job, settings, key) if dna else _embed_cells(job, settings, key)
        _write(adata, key, path)
    n, width = adata.obsm[key].shape
    text = f"wrote {out} ({n} {'sequences' if dna else 'cells'}, {width} dimensions{_measured(adata)})"
    return Found("" if out == STREAM else text, {"out": out, "rows": n, "n_latent": width, "key_added": key})


def _refuse_foreign(settings: dict[str, Any], *, dna: bool) -> None:
    of_cells = "duplicates min_coverage correct_batch batch_key"
    of_dna = "genome strand overlap aliases synonyms circular cache_dir"
    foreign = sorted(given(**{name: settings[name] for name in (of_cells if dna else of_dna).split()}))
    if settings["map_query"] and (dna or settings["correct_batch"] is not None):
        foreign.append("map_query")
    if settings["batch_key"] is not None and not settings["map_query"]:
        foreign.append("batch_key without map_query")
    if foreign:
        message = f"{', '.join(foreign)} given, which embedding {'DNA' if dna else 'cells'} so does not have; leave out."
        raise ConfigError(message)


def _embed_cells(job: Job, settings: dict[str, Any], key: str) -> Any:
    from r2mae_bio import tl

    model = open_cells_model(settings["model"], settings["device"])
    names = ["layer", "batch_size", "duplicates", "min_coverage", "batch_key" if settings["map_query"] else "correct_batch"]
    reading = given(**{name: settings[name] for name in names})
    with job.input(settings["data"], ".h5ad") as path:
        adata = read_cells(path)
    (tl.map_query if settings["map_query"] else tl.embed)(adata, model, key_added=key, **reading)
    return adata


def _measured(adata: Any) -> str:
    """How many genes were read, for cells: few are a reason to look again."""
    from r2mae_bio.cells.read._uns import all_records

    found = all_records(adata).get(KEYS.coverage)
    return f"; {found['matched']:,} of the model's {found['n_model']:,} genes measured" if found else ""


def _embed_dna(job: Job, settings: dict[str, Any], key: str) -> Any:
    from r2mae_bio import tl

    model = open_model(settings["model"], settings["device"])
    reading = given(key_added=key, **{name: settings[name] for name in ("strand", "overlap", "batch_size")})
    if settings["layer"] is not None:
        try:
            reading["layer"] = int(settings["layer"])
        except ValueError as error:
            message = f"layer is {settings['layer']!r}; of a model of DNA it is the number of a layer of the network, such as -1."
            raise ConfigError(message) from error
    names = {name: settings[name] for name in ("aliases", "synonyms", "circular", "cache_dir")}
    if settings["genome"] is not None:
        return tl.embed_regions(settings["data"], open_genome(settings["genome"], **names), model, **reading)
    if given(**names) or Path(settings["data"]).name.lower().endswith((".bed", ".bed.gz")):
        message = "Regions of a genome need the genome; pass --genome FASTA."
        raise ConfigError(message)
    with job.input(settings["data"], ".fa") as path:
        return tl.embed_sequences(path, model, **reading)


def _write(adata: Any, key: str, path: Path) -> None:
    import numpy as np

    from r2mae_bio import tl

    if path.suffix in CELLS:
        write_cells(adata, path)
    elif path.suffix == ".npy":
        with whole_file(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, adata.obsm[key])
    else:
        tl.export_embedding(adata, path, key=key)

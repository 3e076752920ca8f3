"""``r2mae pretrain``: a model of cells, or of DNA."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from r2mae_bio._errors import CheckpointError, ConfigError, TrainingError
from r2mae_bio.cli.common import _options as options
from r2mae_bio.cli.common._command import STREAM, Found, Job, command
from r2mae_bio.cli.common._inputs import as_mapping, as_ratio, given, is_fasta, open_genome, read_cells

EXAMPLE = """\
r2mae pretrain cells.h5ad --layer counts --batch-key batch --out model
r2mae pretrain genome.fa.gz --window 128 --max-epochs 1 --out dna_model"""

_OF_CELLS = [
    "layer",
    "batch_key",
    "labels_key",
    "categorical_covariate_keys",
    "continuous_covariate_keys",
    "gene_likelihood",
    "measured",
    "panel_key",
    "encoder",
    "n_latent",
]
_OF_DNA = [
    "window",
    "preset",
    "n_layers",
    "epoch_windows",
    "both_strands",
    "repeat_weight",
    "aliases",
    "synonyms",
    "circular",
    "cache_dir",
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, example=EXAMPLE, holds=("model.json",))(pretrain)


def pretrain(
    job: Job,
    *,
    data: Annotated[list[str], typer.Argument(metavar="CELLS... | FASTA...", help="Cells (.h5ad, .zarr) or genomes.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Folder to make for the model.")],
    layer: options.Layer = None,
    batch_key: options.BatchKey = None,
    labels_key: options.LabelsKey = None,
    categorical_covariate_keys: Annotated[
        list[str] | None, typer.Option(help="Column of .obs for the decoder; repeatable.")
    ] = None,
    continuous_covariate_keys: Annotated[
        list[str] | None, typer.Option(help="Column of .obs for the decoder; repeatable.")
    ] = None,
    mask_ratio: Annotated[str | None, typer.Option(help="0,1 (R2MAE, the default), a number, or auto (cells).")] = None,
    gene_likelihood: Annotated[str | None, typer.Option(help="nb, zinb, poisson or normal.")] = None,
    measured: Annotated[str | None, typer.Option(help="Key of .varm: which genes each panel measured.")] = None,
    panel_key: Annotated[str | None, typer.Option(help="Column of .obs with the panel of each cell.")] = None,
    encoder: Annotated[str | None, typer.Option(help="transformer or mlp.")] = None,
    n_latent: Annotated[int | None, typer.Option(help="Dimensions of the embedding (cells).")] = None,
    window: Annotated[int | None, typer.Option(help="Bases read at once (DNA).")] = None,
    preset: Annotated[str | None, typer.Option(help="tiny, small or base (DNA).")] = None,
    n_layers: Annotated[int | None, typer.Option(help="Blocks of the network (DNA).")] = None,
    epoch_windows: Annotated[int | None, typer.Option(help="Windows of an epoch (DNA).")] = None,
    both_strands: Annotated[bool | None, typer.Option(help="Read strands drawn at random (DNA).")] = None,
    repeat_weight: Annotated[float | None, typer.Option(help="Weight of lower-case bases in the loss (DNA).")] = None,
    aliases: options.Aliases = None,
    synonyms: options.Synonyms = None,
    circular: options.Circular = None,
    cache_dir: options.CacheDir = None,
    max_epochs: Annotated[int | None, typer.Option(help="Passes over the data; chosen by their size if not given.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of an optimiser step.")] = None,
    train_size: Annotated[float | None, typer.Option(help="Share to train on; the rest is validation.")] = None,
    early_stopping: Annotated[bool | None, typer.Option(help="Stop when the validation loss no longer falls.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="auto, cpu, gpu ...")] = None,
    devices: Annotated[str | None, typer.Option(help="Number of devices, or auto.")] = None,
    seed: options.Seed = None,
    model_kwargs: Annotated[str | None, typer.Option(help="Further settings of the model, such as '{n_layers: 2}'.")] = None,
    train_kwargs: Annotated[str | None, typer.Option(help="Further settings of the training, such as '{patience: 5}'.")] = None,
    checkpoint_dir: Annotated[
        str | None, typer.Option(help="Folder for checkpoints; FOLDER.training, removed at the end, if not given.")
    ] = None,
    checkpoint_every_n_steps: Annotated[int | None, typer.Option(help="Write checkpoints within epochs, too.")] = None,
    in_files: Annotated[
        bool, typer.Option("--in-files", help="Leave one file of cells where it is, as several always are.")
    ] = False,
    resume: Annotated[bool, typer.Option(help="Go on with what an interrupted run left, or begin anew.")] = True,
) -> Found:
    """Pretrain a model on cells, or of FASTA files on DNA.

    Several files of cells are one data set that is read as it is needed. After Ctrl-C or a kill the
    same command goes on from the last checkpoint, and ends at the same weights.
    """
    settings = dict(locals())
    if out == STREAM:
        message = "--out is '-', and a model is a folder; name one."
        raise ConfigError(message)
    dna = _is_dna(data)
    foreign = sorted(given(**{name: settings[name] for name in (_OF_CELLS if dna else _OF_DNA)}))
    if dna and in_files:
        foreign.append("in_files")
    if foreign:
        message = f"{', '.join(foreign)} given, which training on {'DNA' if dna else 'cells'} does not have; leave out."
        raise ConfigError(message)
    return _keeping_checkpoints(job, settings, _train_on_dna if dna else _train_on_cells)


def _is_dna(data: list[str]) -> bool:
    kinds = {is_fasta(path) for path in data}
    if len(kinds) > 1:
        message = f"{', '.join(data)} are cells and genomes; a model is trained on one of them."
        raise ConfigError(message)
    return kinds.pop()


def _keeping_checkpoints(job: Job, settings: dict[str, Any], train: Any) -> Found:
    """Train beside the folder that the model is to have, going on with what is there."""
    from r2mae_bio.cli.common._training import Watch
    from r2mae_bio.core._checkpoint import check_replaceable

    out = Path(settings["out"]).expanduser()
    own = settings["checkpoint_dir"] is None
    folder = out.with_name(f"{out.name}.training") if own else Path(settings["checkpoint_dir"]).expanduser()
    if out.exists():  # the command let it pass, so it is to be replaced; whether it can be is known before the work
        check_replaceable(out, ["model"], overwrite=job.overwrite)
    if own and not settings["resume"]:
        _remove_run(folder)
    resume = settings["resume"] and any(folder.glob("step_*/state.json"))
    watch = Watch(shown=job.shown)
    names = ["max_epochs", "batch_size", "train_size", "early_stopping", "accelerator", "checkpoint_every_n_steps"]
    devices = settings["devices"]
    options = given(
        **{name: settings[name] for name in names},
        devices=int(devices) if devices and devices.isdigit() else devices,
        checkpoint_dir=folder,
        resume_from=folder if resume else None,
        train_kwargs=as_mapping(settings["train_kwargs"], "train_kwargs") or None,
    )
    try:
        model = train(settings, {**options, "progress_bar": False, "callbacks": [watch]})
    except (CheckpointError, TrainingError) as error:
        if not resume and not isinstance(error, CheckpointError):
            raise
        message = f"{error} On the command line, --no-resume begins anew."
        raise type(error)(message) from error
    if model.was_interrupted:  # in a notebook it is worth having; nobody publishes one that is half trained
        raise KeyboardInterrupt
    if not watch.leads:  # one of several processes that trained together
        raise typer.Exit
    model.save(out, overwrite=job.overwrite)
    if own:
        _remove_run(folder)
    return _report(model, out)


def _report(model: Any, out: Path) -> Found:
    """What the training came to."""
    last = dict(model.history.iloc[-1])
    kind, loss = type(model).__name__, last.get("validation_loss", last["train_loss"])
    text = f"wrote {out} ({kind}, {len(model.history)} epochs, loss {loss:.4f} nats, {model.blind_loss:.4f} of what sees nothing)"
    found = {
        "kind": kind,
        "epochs": len(model.history),
        "blind_loss": model.blind_loss,
        "last_epoch": last,
        "checksum": model.checksum(),
    }
    return Found(text, {"out": str(out), **found})


def _remove_run(folder: Path) -> None:
    """Remove what a run left, and its folder unless there is more in it."""
    for path in folder.glob("step_*"):
        shutil.rmtree(path, ignore_errors=True)
    (folder / "history.csv").unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _train_on_cells(settings: dict[str, Any], options: dict[str, Any]) -> Any:
    from r2mae_bio import tl
    from r2mae_bio.io import CellStore

    data = settings["data"]
    columns = ["batch_key", "labels_key", "panel_key", "categorical_covariate_keys", "continuous_covariate_keys"]
    if len(data) > 1 or settings["in_files"]:
        listed = [settings[name] for name in columns]
        names = [name for item in listed if item for name in ([item] if isinstance(item, str) else item)]
        cells: Any = CellStore(data, layer=settings["layer"], obs=[name for name in dict.fromkeys(names) if name != "file"])
        settings = {**settings, "layer": None}
    else:
        cells = read_cells(data[0])
    more = given(**{name: settings[name] for name in ("encoder", "n_latent", "seed")})
    setup = given(**{name: settings[name] for name in ("layer", *columns, "gene_likelihood", "measured")})
    ratio = given(mask_ratio=as_ratio(settings["mask_ratio"]))
    model_kwargs = {**as_mapping(settings["model_kwargs"], "model_kwargs"), **more}
    return tl.pretrain(cells, **setup, **ratio, model_kwargs=model_kwargs, **options)


def _train_on_dna(settings: dict[str, Any], options: dict[str, Any]) -> Any:
    from r2mae_bio.model import DNAMAE

    names = {name: settings[name] for name in ("aliases", "synonyms", "circular", "cache_dir")}
    data = settings["data"]
    genome = open_genome(data[0] if len(data) == 1 else data, **names)
    more = given(**{name: settings[name] for name in ("window", "preset", "n_layers", "seed")})
    ratio = given(mask_ratio=as_ratio(settings["mask_ratio"]))
    model = DNAMAE(genome, **{**as_mapping(settings["model_kwargs"], "model_kwargs"), **more, **ratio})
    model.train(**options, **given(**{name: settings[name] for name in ("epoch_windows", "both_strands", "repeat_weight")}))
    return model

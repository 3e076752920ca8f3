"""What all commands have in common: their options, where results go, and when one is refused."""

from __future__ import annotations

import functools
import inspect
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import overlapping
from r2mae_bio.cli.common._config import beside, read_config, write_config
from r2mae_bio.cli.common._console import as_json, only_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["STREAM", "Found", "Job", "State", "command"]

STREAM: Final = "-"
"""Standard input or output in the place of a file."""

_COMMON: Final = {
    "config": Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE.yaml", callback=read_config, is_eager=True, help="Settings by name; options given here win."
        ),
    ],
    "overwrite": Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")],
    "json": Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notes; warnings stay.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show where an error comes from.")],
}
"""Options of every command; ``--overwrite`` of those that write."""


_READ: Final = (
    *("data", "adata", "reference", "variants", "regions", "exclude", "parts", "model", "folder", "genome", "synonyms"),
    "checkpoint_dir",
)
"""Parameters that name files and folders, which a result never takes the place of."""
_READ_OR_TEXT: Final = ("region", "neutral")
"""Those that name a file, or are something else."""


@dataclass
class State:
    """What the outermost frame has to know of the command that ran."""

    debug: bool = False
    """Whether errors are to be shown with their trace."""


@dataclass(frozen=True)
class Found:
    """What a command found."""

    text: str
    """For a reader; nothing is printed if empty."""
    data: dict[str, Any]
    """For a program."""


@dataclass(frozen=True)
class Job:
    """One call of a command."""

    overwrite: bool
    """Replace a result that exists."""
    quiet: bool
    """Show no progress."""
    stdout: TextIO
    """The standard output, which nothing but results goes to."""

    @property
    def shown(self) -> bool | None:
        """Whether there are bars: in a terminal, unless the user wants none."""
        return False if self.quiet else None

    @property
    def in_terminal(self) -> bool:
        """The same for verbs that cannot be asked to find out."""
        return not self.quiet and sys.stderr.isatty()

    @contextmanager
    def output(self, out: str, suffixes: tuple[str, ...]) -> Iterator[Path]:
        """Where to write a result.

        Parameters
        ----------
        out
            What the user named; ``-`` is standard output.
        suffixes
            What the name may end in; the first is the form of what goes to standard output.

        Yields
        ------
        The path; of standard output a temporary file, which is copied there at the end.

        Raises
        ------
        ConfigError
            The name ends in something else.
        """
        if out != STREAM:
            yield named(out, suffixes)
            return
        with tempfile.TemporaryDirectory(prefix="r2mae_bio-") as folder:
            path = Path(folder) / f"stdout{suffixes[0]}"
            yield path
            self.stdout.flush()
            with path.open("rb") as stream:
                shutil.copyfileobj(stream, self.stdout.buffer)
            self.stdout.flush()

    @contextmanager
    def input(self, data: str, suffix: str) -> Iterator[str]:
        """What to read: the file that the user named, or a copy of standard input.

        Parameters
        ----------
        data
            What the user named.
        suffix
            That of the copy.

        Yields
        ------
        The path.
        """
        if data != STREAM:
            yield data
            return
        with tempfile.NamedTemporaryFile(prefix="r2mae_bio-", suffix=suffix) as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.flush()
            yield copy.name


def named(out: str, suffixes: tuple[str, ...]) -> Path:
    """The path of a result, if its name says in which form it is wanted."""
    path = Path(out).expanduser()
    if not path.name.endswith(suffixes):  # as those who write it tell its form
        message = f"--out is {out!r}; needed is a name that ends in {', '.join(suffixes)}."
        raise ConfigError(message)
    return path


def command(
    app: typer.Typer,
    *,
    example: str,
    holds: tuple[str, ...] = (),
    keeps: Callable[[dict[str, Any]], str] = lambda given: "",
    writes: Callable[[dict[str, Any]], list[Path]] = lambda given: [],
) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    """Make a command of a function that takes a :class:`Job` and returns what it found.

    The options that all commands have are added to those of the function. One whose function has a
    parameter ``out`` refuses a result that exists, and leaves its settings beside the new one.

    Parameters
    ----------
    app
        Where the command belongs.
    example
        Lines for its help, which the tests run.
    holds
        Where the result is a folder: files of which one is in every such folder. No other folder is
        replaced.
    keeps
        Gives, for the parameters of a call, the name of the one whose file may be replaced by the
        result, which has all that was in it; empty if none may. Any other file that is read, never.
    writes
        Gives, for the parameters of a call, the files of the result that are named after ``out``.

    Returns
    -------
    A decorator that gives the function back.
    """

    def register(function: Callable[..., Found]) -> Callable[..., Found]:
        own = list(inspect.signature(function).parameters.values())[1:]
        has_out = any(parameter.name == "out" for parameter in own)
        common = {name: form for name, form in _COMMON.items() if has_out or name != "overwrite"}

        @functools.wraps(function)
        def run(ctx: typer.Context, **given: Any) -> None:
            options = {name: given.pop(name) for name in common}
            ctx.obj.debug = options["debug"]
            job = Job(options.get("overwrite", False), options["quiet"], sys.stdout)
            _check_out(given.get("out"), job, as_object=options["json"], holds=holds)
            with only_ours(quiet=job.quiet):
                if given.get("out") not in (None, STREAM):
                    _check_read(given, keeps(given), writes(given))
                if given.get("key_added") is not None:
                    _check_file_key(given["key_added"])
                found = function(job, **given)
                if given.get("out") not in (None, STREAM):
                    write_config(Path(given["out"]).expanduser(), str(ctx.info_name), given)
            text = as_json(found.data) if options["json"] else found.text
            if text:
                job.stdout.write(f"{text}\n")

        _give_signature(run, own, common)
        app.command(
            help=f"{inspect.getdoc(function)}\n\n\b\nExample:\n" + "\n".join(f"  {line}" for line in example.splitlines())
        )(run)
        return function

    return register


def _give_signature(run: Callable[..., Any], own: list[inspect.Parameter], common: dict[str, Any]) -> None:
    """What typer reads of a function: the context, its own parameters, and those that all have."""
    word = inspect.Parameter.KEYWORD_ONLY
    context = inspect.Parameter("ctx", word, annotation=typer.Context)
    added = [
        inspect.Parameter(name, word, annotation=form, default=None if name == "config" else False)
        for name, form in common.items()
    ]
    parameters = [context, *(parameter.replace(kind=word) for parameter in own), *added]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _check_out(out: str | None, job: Job, *, as_object: bool, holds: tuple[str, ...]) -> None:
    """Refuse, before hours of work, a result that cannot be put where it is wanted."""
    if out is None:
        return
    if out == STREAM:
        if as_object:
            message = "--json and --out - both print on standard output; give one of them."
            raise typer.BadParameter(message)
        return
    path = Path(out).expanduser()
    if not path.name:
        message = f"--out is {out!r}; needed is a name."
        raise ConfigError(message)
    found = next((some for some in (path, beside(path)) if some.exists()), None)
    if found is not None and not job.overwrite:
        message = f"{found} exists; pass --overwrite to replace it, or name another --out."
        raise ConfigError(message)
    if path.is_dir() and not any((path / name).exists() for name in holds):
        message = f"{path} is a folder, and none that this command writes; it would be lost. Name another --out."
        raise ConfigError(message)
    _check_writable(path)


def _check_writable(path: Path) -> None:
    """Folders that are missing will be made; the nearest one that is there has to take a file."""
    folder = next(above for above in path.absolute().parents if above.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = (
            f"Nothing can be written into {folder} ({error.strerror}); needed is a folder that takes files. Name another --out."
        )
        raise ConfigError(message) from error


def _check_read(given: dict[str, Any], keeps: str, more: list[Path]) -> None:
    """Refuse a result that would take the place of a file that it is made of."""
    out = Path(given["out"]).expanduser()
    unfinished = [out.with_name(out.name + suffix) for suffix in (".part", ".part.json")]
    written = [out, *more, beside(out), *unfinished]
    for name, value in _files_read(given):
        read = Path(value).expanduser()
        lost = next((path for path in written if overlapping(path, [read]) is not None), None)
        if lost is None or (name == keeps and out.resolve() == read.resolve()):
            continue
        through = "" if lost == out else f", for which {lost} is written"
        message = f"--out is {given['out']!r}{through}, and {name} is {str(value)!r}, which would be lost; name another --out."
        raise ConfigError(message)


def _files_read(given: dict[str, Any]) -> Iterator[tuple[str, str | Path]]:
    """Files and folders that a command reads, each with the name of its parameter."""
    for name in (*_READ, *_READ_OR_TEXT):
        values = given.get(name) or []
        for value in [values] if isinstance(values, str | Path) else values:
            if value != STREAM and (name in _READ or Path(value).expanduser().is_file()):
                yield name, value


def _check_file_key(key: str) -> None:
    """Refuse a key that would make the result a file that nobody can read."""
    from r2mae_bio.cells.read._uns import check_file_key

    check_file_key(key)

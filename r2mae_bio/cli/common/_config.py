"""Settings of a command in a file: read by ``--config``, written beside each result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from r2mae_bio._files import whole_file
from r2mae_bio._version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["beside", "read_config", "write_config"]


def beside(out: Path) -> Path:
    """Where the settings that made a result are written."""
    return out.with_name(f"{out.name}.config.yaml")


def read_config(ctx: typer.Context, value: Path | None) -> Path | None:
    """Take the settings of a file for those that the command line does not give.

    Called while the command line is read, before all other options.

    Raises
    ------
    typer.BadParameter
        There is no such file, it holds no settings, or one that the command does not have.
    """
    if value is not None:
        known = {str(parameter.name): parameter for parameter in ctx.command.params if parameter.name not in ("config", "help")}
        settings = {name.replace("-", "_"): item for name, item in _settings(value).items()}
        unknown = sorted(set(settings) - set(known))
        if unknown:
            message = (
                f"{value} sets {', '.join(unknown)}, which {ctx.info_name} does not have; it has {', '.join(sorted(known))}."
            )
            raise typer.BadParameter(message)
        ctx.default_map = {name: _as_typed(item, known[name]) for name, item in settings.items() if item is not None}
    return value


def _settings(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"{path} cannot be read: {error}"
        raise typer.BadParameter(message) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        message = f"{path} holds a {type(content).__name__}; needed are lines such as 'layer: counts'."
        raise typer.BadParameter(message)
    return {str(name): item for name, item in content.items()}


def _as_typed(item: Any, parameter: Any) -> Any:
    """A value as it would stand on the command line, so that it is read and refused in the same
    way.
    """
    several = getattr(parameter, "multiple", False) or parameter.nargs == -1
    if several and isinstance(item, dict):
        return [f"{name}={_text(one)}" for name, one in item.items()]
    if several:
        return [_text(one) for one in (item if isinstance(item, list) else [item])]
    return item if isinstance(item, bool) else _text(item)


def _text(item: Any) -> str:
    if isinstance(item, dict):
        return json.dumps(item)
    return ",".join(map(str, item)) if isinstance(item, list) else str(item)


def write_config(out: Path, command: str, settings: Mapping[str, Any]) -> None:
    """Write the settings of a run beside its result, as ``--config`` reads them.

    Parameters
    ----------
    out
        The result.
    command
        Name of the command.
    settings
        What it was called with, by the names of its parameters; None stands for what was not given.
    """
    import yaml

    plain = {name: _plain(value) for name, value in settings.items() if value is not None and value != []}
    plain |= {name: yaml.safe_load(text) for name, text in plain.items() if name.endswith("_kwargs")}
    head = f"# r2mae {command} --config {beside(out).name}   (r2mae_bio {__version__})\n"
    with whole_file(beside(out)) as temporary:
        temporary.write_text(head + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value

"""What all settings share: they are checked, frozen, and go to JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._form import check_form
from r2mae_bio.config._names import check_names

__all__ = ["Settings", "check_setting"]


def check_setting(condition: bool, message: str) -> None:  # noqa: FBT001
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class Settings:
    """What all settings can do."""

    def to_json(self) -> dict[str, Any]:
        """The settings as a plain dictionary."""
        return dataclasses.asdict(self)

    @classmethod
    def given(cls, **settings: Any) -> Self:
        """Settings as a user names them.

        Parameters
        ----------
        settings
            Those that differ from their defaults.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            A setting is unknown, of another type, or cannot work.
        """
        check_names(settings, [f.name for f in dataclasses.fields(cls)], what=cls.__name__)
        return cls.from_json(settings)

    @classmethod
    def from_json(cls, data: dict[str, Any], *, complete: bool = False) -> Self:
        """Settings from :meth:`to_json`.

        Parameters
        ----------
        data
            The dictionary.
        complete
            Refuse a dictionary that leaves a setting to its default, as no file does that was
            written whole.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            A setting is unknown, of another type, or missing.
        """
        unknown = sorted(set(data) - {f.name for f in dataclasses.fields(cls)})
        check_setting(not unknown, f"Unknown settings {unknown} for {cls.__name__}; was the file written by a newer version?")
        types = get_type_hints(cls)
        check_form(data, types, optional=() if complete else types)
        return cls(**data)

"""What all settings share: they are checked, frozen, and go to JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from r2mae_bio._errors import ConfigError

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
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Settings from :meth:`to_json`.

        Parameters
        ----------
        data
            The dictionary.

        Returns
        -------
        The settings.

        Raises
        ------
        ConfigError
            A setting is unknown.
        """
        unknown = sorted(set(data) - {f.name for f in dataclasses.fields(cls)})
        check_setting(not unknown, f"Unknown settings {unknown} for {cls.__name__}; was the file written by a newer version?")
        return cls(**data)

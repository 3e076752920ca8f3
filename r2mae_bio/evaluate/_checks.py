"""What every request is held against, whatever it asks for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_unique(**asked: Sequence[Any]) -> None:
    """Refuse a request that names nothing, or the same thing twice; embedders are told apart by
    their name.
    """
    for what, values in asked.items():
        keys = [getattr(value, "name", value) for value in values]
        repeated = [key for key, n in Counter(keys).items() if n > 1]
        if repeated or not keys:
            found = f"repeat {repeated[0]!r}" if repeated else "are empty"
            message = f"The {what} {found}; pass at least one, each once (embedders are told apart by their name)."
            raise ConfigError(message)

"""Results as lines of JSON: one for each finished run, appended at once; a line that a killed run
left unfinished is dropped.
"""

from __future__ import annotations

import json
import os
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KEY = ("kind", "system", "network", "law", "seed")


class OtherRunError(Exception):
    """The file holds results of another profile, or of other sizes."""


class Results:
    """A file of results.

    Parameters
    ----------
    path
        The file; what it holds is kept.
    profile
        Of the runs.

    Raises
    ------
    OtherRunError
        It holds runs of another one.
    """

    def __init__(self, path: Path, profile: str) -> None:
        self.path, self.profile = path, profile
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self.records: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
        others = {record["profile"] for record in self.records} - {profile}
        if others:
            message = (
                f"{path} holds runs of the profile {', '.join(sorted(others))}, not of {profile}; name another file by --out."
            )
            raise OtherRunError(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(whole) < len(content):
            with path.open("r+b") as stream:
                stream.truncate(len(whole))
        self._done = {self._key(record) for record in self.records}

    def check_sizes(self, system: str, sizes: dict[str, Any]) -> int:
        """Refuse to add to results of a system whose sizes were others.

        Returns
        -------
        Checksum of the sizes, for every record.

        Raises
        ------
        OtherRunError
            They were others.
        """
        now = zlib.crc32(json.dumps(sizes, sort_keys=True).encode())
        if any(record["sizes"] != now for record in self.records if record["system"] == system):
            message = f"{self.path} holds runs of {system} with other sizes than the profile {self.profile} has now; name another file by --out."
            raise OtherRunError(message)
        return now

    def has(self, **key: Any) -> bool:
        """Whether a run is done."""
        return self._key(key) in self._done

    def add(self, record: dict[str, Any]) -> None:
        """Write one more line, to the disk."""
        record = {**record, "profile": self.profile}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.records.append(record)
        self._done.add(self._key(record))

    @staticmethod
    def _key(record: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(record.get(name) for name in KEY)

"""A long output written piece by piece, so that a killed run goes on where it stopped."""

from __future__ import annotations

import json
import os
import time
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

from r2mae_bio._errors import JournalError
from r2mae_bio._files import flush_to_disk, whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such lock: there, two runs into one file are not told apart
    fcntl = None  # type: ignore[assignment]

_FORMAT: Final = "r2mae_bio journal 1"
_CHUNK: Final = 1 << 20


class Journal:
    """A part file that only grows, and a JSON file that says up to where it is valid.

    ``{name}.part`` may be longer than ``{name}.part.json`` says, if the process died in between;
    the excess is cut off when the next one opens it. The state is replaced by a rename after the
    part has reached the disk, so it never promises too much. A part of another run is refused,
    unless it has no record yet: then nothing is lost with it.

    Parameters
    ----------
    path
        What both files are named by; folders that are missing are made.
    identity
        What tells this run from others, as JSON holds it.
    resume
        Go on with what is there.
    commit_seconds
        Time after which what is complete is put on the disk.
    setting
        The setting by which a user begins anew, ``"resume=False"``; empty if the call has none.

    Raises
    ------
    JournalError
        What is there belongs to another run, or is damaged or in use.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], *, resume: bool, commit_seconds: float, setting: str = ""
    ) -> None:
        self.part = path.with_name(path.name + ".part")
        self.state = path.with_name(path.name + ".part.json")
        self._identity = json.loads(json.dumps(identity))  # as it will be read back
        self._commit_seconds, self._setting = commit_seconds, setting
        self._records = self._bytes = self._crc = 0
        self._snapshot = self._committed = (0, 0, 0)
        self._stream = _open_alone(self.part)
        try:
            self.resumed = resume and self._restore()
            if not self.resumed:
                self.state.unlink(missing_ok=True)  # first: without its state, a part is worth nothing
                self._stream.truncate(0)
        except BaseException:
            self._stream.close()
            raise
        self._last_commit = time.monotonic()

    @property
    def records(self) -> int:
        """Number of records that are complete in the part file."""
        return self._records

    @property
    def crc32(self) -> int:
        """Checksum of all bytes written, those of an earlier run included."""
        return self._crc

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._stream.write(data)
        self._bytes += len(data)
        self._crc = zlib.crc32(data, self._crc)

    def mark(self, n_records: int) -> None:
        """Say that what was written so far is ``n_records`` records more than before; from time to
        time, put it on the disk.
        """
        self._records += n_records
        self._snapshot = (self._records, self._bytes, self._crc)
        if time.monotonic() - self._last_commit >= self._commit_seconds:
            self.commit()

    def commit(self) -> None:
        """Put the part and then the state on the disk, up to the last mark."""
        if self._snapshot != self._committed or not self.state.exists():
            flush_to_disk(self._stream)
            records, size, crc = self._snapshot
            state = {"format": _FORMAT, **self._identity, "records": records, "bytes": size, "crc32": crc}
            state["check"] = _check(state)
            with whole_file(self.state, temporary=_half_written(self.state)) as temporary:
                temporary.write_bytes(json.dumps(state, indent=1).encode())
            self._committed = self._snapshot
        self._last_commit = time.monotonic()

    def close(self) -> None:
        """Keep what is complete for the next run."""
        if not self._stream.closed:
            self.commit()
            self._stream.close()

    def seal(self) -> None:
        """Put everything on the disk; nothing more is written."""
        flush_to_disk(self._stream)
        self._stream.close()

    def discard(self) -> None:
        """Remove both files, or what is left of them."""
        _half_written(self.state).unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _restore(self) -> bool:
        if not self.state.exists() or os.fstat(self._stream.fileno()).st_size == 0:
            return False
        state = self._read_state()
        differences = list(_differences(state, self._identity))
        if differences and not state["records"]:
            return False
        self._check_identity(state["records"], differences)
        self._snapshot = self._committed = (state["records"], state["bytes"], state["crc32"])
        self._records, self._bytes, self._crc = self._snapshot
        if _crc32(self._stream, self._bytes) != self._crc:
            message = f"{self.part} is not what {self.state} describes; it was changed or damaged. {self._way_out()}"
            raise JournalError(message)
        self._stream.truncate(self._bytes)
        self._stream.seek(self._bytes)
        return True

    def _read_state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self.state.read_bytes())
            # the number of records is told by nothing else; older versions wrote no checksum
            intact = state.get("check", _check(state)) == _check(state)
            if intact and state["format"] == _FORMAT and all(type(state[key]) is int for key in ("records", "bytes", "crc32")):
                return state
        except (UnicodeDecodeError, json.JSONDecodeError, LookupError, TypeError, AttributeError):
            pass
        message = f"{self.state} is not a state written by this version; it was changed or damaged. {self._way_out()}"
        raise JournalError(message)

    def _check_identity(self, n_records: int, differences: list[str]) -> None:
        if differences:
            message = (
                f"{self.part} was begun by a run of {n_records} records that differs in {'; '.join(differences)}. "
                f"Run it again as it was, or: {self._way_out()}"
            )
            raise JournalError(message)

    def _way_out(self) -> str:
        anew = f"Begin anew with {self._setting}, or remove" if self._setting else "Begin anew after you removed"
        return f"{anew} {self.part.name} and {self.state.name}."


def _check(state: Mapping[str, Any]) -> int:
    """Checksum of all that a state says."""
    content = {name: value for name, value in state.items() if name != "check"}
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            for name in sorted({*value, *old[key]}):
                if value.get(name) != old[key].get(name):
                    yield f"{key} {name} (then {old[key].get(name)!r}, now {value.get(name)!r})"
        elif old.get(key) != value:
            yield f"{key} (then {old.get(key)!r}, now {value!r})"


def _open_alone(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    try:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(stream.fileno()), path.stat()):
            raise FileNotFoundError  # another run has just renamed it to its final name
    except (BlockingIOError, FileNotFoundError) as error:
        stream.close()
        message = f"Another run is writing {path}; wait for it, or choose another output."
        raise JournalError(message) from error
    return stream


def _crc32(stream: IO[bytes], size: int) -> int | None:
    """Checksum of the first bytes of a file; None if it is shorter."""
    stream.seek(0)
    crc = 0
    while size and (data := stream.read(min(size, _CHUNK))):
        crc, size = zlib.crc32(data, crc), size - len(data)
    return crc if size == 0 else None


def _half_written(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")

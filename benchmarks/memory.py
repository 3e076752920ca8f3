"""Memory of this process."""

from __future__ import annotations

import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident(key: str = "VmHWM") -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at its peak.

    Where there is no ``/proc``, ``ru_maxrss`` stands in for the peak; it carries over that of the
    parent.
    """
    if not _STATUS.exists() and key == "VmHWM":
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])

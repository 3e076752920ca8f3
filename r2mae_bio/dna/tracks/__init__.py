"""Values by base as files for genome browsers."""

from __future__ import annotations

"""What a comparison found, and its way to reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2mae_bio.evaluate.report._findings import Findings
from r2mae_bio.evaluate.report._forms import report_html, report_markdown, save_report

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ComparisonResult"]


@dataclass(frozen=True, eq=False)
class ComparisonResult(Findings):
    """What :func:`compare` found."""

    def to_markdown(self) -> str:
        """The report as markdown, which names its figures as files beside it."""
        return report_markdown(self)

    def to_html(self) -> str:
        """The report as one page that needs no other file."""
        return report_html(self)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``report.html``, ``report.md``, its figures, and per task the frame, summary and
        differences as CSV.

        Everything is written into a temporary folder, which is then renamed.

        Parameters
        ----------
        folder
            Folder to make.
        overwrite
            Replace an earlier report there.

        Returns
        -------
        The folder.

        Raises
        ------
        ConfigError
            The folder exists, or is to be replaced and holds no report.
        """
        return save_report(self, folder, overwrite=overwrite)

"""Run the py:percent tutorials and write them as executed notebooks:
``python -m tutorials.execute [NAME ...]``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def execute(source: Path) -> Path:
    """Execute one tutorial; the notebook appears whole or not at all."""
    notebook = jupytext.read(source)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # time stamps, which change with every run
    target = source.with_suffix(".ipynb")
    temporary = target.with_name(f".tmp-{target.name}")
    nbformat.write(notebook, temporary)
    return temporary.replace(target)


if __name__ == "__main__":
    os.environ.pop("MPLBACKEND", None)  # the kernel chooses the backend that puts figures into the notebook
    names = sys.argv[1:] or sorted(p.stem for p in HERE.glob("[0-9]*.py"))
    for name in names:
        print(execute(HERE / f"{name}.py"))

"""Run the py:percent tutorials and write them as executed notebooks:
``python -m tutorials.execute [NAME ...]``.

``--fast --out FOLDER`` is for a check that no cell raises: trainings are cut short by a first cell
that says so, and the committed notebooks stay as they are.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
SHORTEN = """\
# Added by --fast: trainings are cut short, so what this notebook shows means nothing.
from tutorials.fast import shorten

shorten()"""


def execute(source: Path, folder: Path, *, fast: bool) -> Path:
    """Execute one tutorial; the notebook appears whole or not at all."""
    notebook = jupytext.read(source)
    if fast:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(SHORTEN))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # jupytext draws another at random with every run
        cell.metadata.pop("execution", None)  # time stamps, which change too
    target = folder / source.with_suffix(".ipynb").name
    temporary = target.with_name(f".tmp-{target.name}")
    nbformat.write(notebook, temporary)
    return temporary.replace(target)


def main() -> int:
    options = _options()
    os.environ.pop("MPLBACKEND", None)  # the kernel chooses the backend that puts figures into the notebook
    # the kernel starts beside the tutorials and has to find what lies here
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    options.out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in options.names or sorted(p.stem for p in HERE.glob("[0-9]*.py")):
        started = time.perf_counter()
        try:
            print(execute(HERE / f"{name}.py", options.out, fast=options.fast), end=" ")
        except CellExecutionError as error:
            failed.append(name)
            print(f"{name}: {error}", end=" ")
        print(f"({time.perf_counter() - started:.0f} s)", flush=True)
    if failed:
        print(f"a cell raised in {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 01_genes; all if none is given")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the notebooks; beside the sources by default")
    parser.add_argument("--fast", action="store_true", help="cut trainings short; needs --out, to keep the committed notebooks")
    options = parser.parse_args()
    if options.fast and options.out.resolve() == HERE.resolve():
        parser.error("--fast would overwrite the committed notebooks; give another folder by --out")
    return options


if __name__ == "__main__":
    sys.exit(main())

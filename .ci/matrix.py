"""The tests on both ends of the supported range, and a table of how they went.

    make matrix                                each Python found with the newest packages, and the
                                               oldest Python with constraints/oldest.txt
    make matrix ARGS="--only 3.13-newest"      one row
    make matrix ARGS="--torch REQUIREMENT"     another torch for the newest, such as a CPU build
    make matrix ARGS="--env FOLDER"            an environment that is there already, as it is
    make matrix ARGS="--quick"                 imports, the demo, and tests of files,
                                               verbs and checkpoints, instead of all tests

An environment takes up to 8 GB with the torch of PyPI, so each is made in a folder for temporary
files and removed after its tests. Exits with 1 if any test fails or an environment cannot be made.
Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
OLDEST = REPOSITORY / "constraints" / "oldest.txt"
EXTRAS = "[test,cli,evaluate,huggingface]"
SHOWN = ("torch", "numpy", "pandas", "anndata", "scanpy", "scvi-tools")
COUNTS = ("passed", "failed", "errors", "skipped")
DOORS = ("datasets", "dna", "evaluate", "io", "masking", "model", "pl", "pp", "theory", "tl")
QUICK = (
    *("tests/cells/read", "tests/pp", "tests/tl", "tests/core", "tests/test_files.py", "tests/test_fixtures.py"),
    *("tests/dna/genome", "tests/dna/variants"),
    *("tests/cells/model/test_saving.py", "tests/cells/model/test_resume.py", "tests/cells/model/test_inputs.py"),
)


def main() -> None:
    """Run the rows that are asked for and print the table."""
    options = parse()
    if options.env is not None:
        rows = {f"{version_of(options.env / 'bin' / 'python')}-as-is": None}
    else:
        found = interpreters()
        rows = {f"{version}-newest": python for version, python in found.items()}
        oldest = {f"{version}-oldest": python for version, python in list(found.items())[:1]}
        rows = {name: python for name, python in (oldest | rows).items() if options.only in (None, name)}
        if not rows:
            sys.exit(f"No row to run: found Python {', '.join(found) or 'of no version'}; --only is {options.only}.")
    results = {name: run(name, python, options) for name, python in rows.items()}
    print(table(results))
    sys.exit(any(result.get("problem") for result in results.values()))


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="one row, such as 3.11-oldest")
    parser.add_argument("--env", type=Path, help="folder of an environment that has the package's requirements")
    parser.add_argument("--torch", default="torch", help="requirement of torch with the newest packages")
    parser.add_argument("--quick", action="store_true", help="a few minutes instead of all tests")
    parser.add_argument("pytest", nargs="*", help="options of pytest, after --")
    return parser.parse_args()


def interpreters() -> dict[str, Path]:
    """Interpreters by version, from PATH or from pyenv."""
    found = {}
    for version in PYTHONS:
        candidates = [shutil.which(f"python{version}")]
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates += [str(folder / "bin" / "python") for folder in sorted(pyenv.glob(f"{version}.*"), reverse=True)]
        for candidate in filter(None, candidates):
            # pyenv has a shim for each of its versions, but only the chosen ones run
            if version_of(Path(candidate)) == version:
                found[version] = Path(candidate)
                break
    return found


def version_of(python: Path) -> str | None:
    """Major and minor version; None if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or None


def run(name: str, interpreter: Path | None, options: argparse.Namespace) -> dict[str, str]:
    """One row: make the environment if need be, test in it, and read what came out."""
    print(f"== {name}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        scratch = Path(folder)
        python = (options.env.absolute() if options.env else scratch / "venv") / "bin" / "python"
        try:
            if interpreter is not None:
                install(python, interpreter, options.torch, oldest=name.endswith("-oldest"))
            result = packages(python)
            problem = check(python, scratch, options)
            result |= counts(scratch / "junit.xml")
        except subprocess.CalledProcessError as error:
            result, problem = {}, f"{' '.join(map(str, error.cmd[:6]))} ... exited with {error.returncode}"
    return result | {"minutes": f"{(time.monotonic() - begin) / 60:.0f}", "problem": problem}


def install(python: Path, interpreter: Path, torch: str, *, oldest: bool) -> None:
    """Make an environment; torch comes first because it may be another build than PyPI's."""
    pinned = ["--constraint", OLDEST] if oldest else []
    pip = [python, "-m", "pip", "install", "--quiet", *pinned]
    subprocess.run([interpreter, "-m", "venv", python.parent.parent], check=True)
    subprocess.run([*pip, "torch" if oldest else torch], check=True)
    subprocess.run([*pip, "--editable", f"{REPOSITORY}{EXTRAS}"], check=True)


def packages(python: Path) -> dict[str, str]:
    """Versions of the packages that the table shows."""
    code = f"from importlib.metadata import version\nfor name in {SHOWN}: print(version(name))"
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return dict(zip(SHOWN, ran.stdout.split(), strict=True))


def check(python: Path, scratch: Path, options: argparse.Namespace) -> str:
    """Which commands failed; nothing if all is well."""
    environment = {"MPLBACKEND": "Agg", **os.environ, "PYTHONPATH": str(REPOSITORY)}  # this checkout, not the installed one
    workers = ["-n", "logical", "--maxprocesses", "4", "--dist", "worksteal"]
    suite = [python, "-m", "pytest", "-q", *workers, f"--junitxml={scratch / 'junit.xml'}", *options.pytest]
    imports = "; ".join(f"from r2mae_bio.{door} import *" for door in DOORS)
    commands = {"tests": [*suite, *(QUICK if options.quick else ())]}
    if options.quick:
        demo = [python, "-m", "tutorials.demo", "--out", scratch / "demo"]
        commands = {"imports": [python, "-c", imports], "demo": demo, **commands}
    codes = {name: subprocess.run(command, cwd=REPOSITORY, env=environment, check=False) for name, command in commands.items()}
    return ", ".join(name for name, ran in codes.items() if ran.returncode)


def counts(report: Path) -> dict[str, str]:
    """How many tests passed, failed, broke and were skipped."""
    if not report.exists():
        return {}
    suite = ElementTree.parse(report).getroot().find("testsuite")
    n = {"failed": int(suite.get("failures")), "errors": int(suite.get("errors")), "skipped": int(suite.get("skipped"))}
    return {key: str(value) for key, value in ({"passed": int(suite.get("tests")) - sum(n.values())} | n).items()}


def table(results: dict[str, dict[str, str]]) -> str:
    """The results in columns, a row each."""
    columns = (*COUNTS, "minutes", *SHOWN, "problem")
    lines = [("row", *columns), *((name, *(row.get(column, "-") or "-" for column in columns)) for name, row in results.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


if __name__ == "__main__":
    main()

"""One process that damages and judges cases of one format: numbers come in, lines of JSON go out.

python -m benchmarks.damage.worker FORMAT SEED FOLDER
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from benchmarks.damage import judging
from benchmarks.damage.cells import CELLS
from benchmarks.damage.dna import DNA
from benchmarks.damage.models import MODELS

if TYPE_CHECKING:
    from benchmarks.damage.judging import Format

FORMATS: dict[str, Format] = {**CELLS, **DNA, **MODELS}
TWICE = 0.2
"""Share of the cases that are damaged twice."""
MORE_BYTES = 3 << 29
"""Address space that a call may take beyond what the process has when it is ready."""


def ready(name: str, folder: Path) -> Format:
    """A format whose intact input is there, written if it is not."""
    made = FORMATS[name]
    intact = folder / name
    if not (intact / "complete").exists():
        shutil.rmtree(intact, ignore_errors=True)
        intact.mkdir(parents=True)
        made.prepare(intact)
        (intact / "complete").touch()
    made.open(intact)
    return made


def run_case(made: Format, name: str, number: int, seed: int, intact: Path, folder: Path) -> dict[str, Any]:
    """Damage a copy of the intact input in ``folder`` and judge it."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    shutil.copytree(intact, folder, dirs_exist_ok=True)
    judging.begin("damage")
    what = made.damage(folder, rng)
    if rng.random() < TWICE:
        try:
            what += f"; then {made.damage(folder, rng)}"
        except Exception as error:  # noqa: BLE001 - what is damaged may be past changing
            what += f"; then {type(error).__name__}"
    verdicts = [vars(verdict) for verdict in made.judge(folder, rng)]
    return {"format": name, "case": number, "damage": what, "calls": verdicts}


def limit_memory() -> None:
    """Let no call take the memory of the machine; where the system knows no such limit, it is
    not set.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    size = pages * os.sysconf("SC_PAGE_SIZE") + MORE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def quiet() -> None:
    """Warnings and logs are not what is judged."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def _serve(name: str, seed: int, folder: Path, answers: IO[str]) -> None:
    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    quiet()
    made = ready(name, folder)
    judging.stage = lambda what: say(stage=what)
    limit_memory()
    say(ready=True)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            say(**run_case(made, name, int(line), seed, folder / name, Path(temporary)))


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w")  # what libraries print must not be taken for an answer
    os.dup2(2, 1)
    _serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), answers)


if __name__ == "__main__":
    _main()

#!/usr/bin/env bash
# biopython 1.88: columns of an alignment lose the letters of a row on the reverse strand.
#
# Expected: alignment[:, 2:6] has four columns, and row k of it is alignment[k, 2:6], on whichever
# strand the rows lie.
# Seen: the strand of a row is read off the columns in which it is aligned. Where it is aligned in
# none of the chosen columns (an insertion next to a deletion), a row on the reverse strand counts
# as gaps: of four columns two are left, or none if both rows are reversed. Nothing is raised, and
# Align.write as MAF writes the shorter block. With both rows forward all is right, and so is
# alignment[k, 2:6].
# What follows for users: slice the text of rows, or compare the shape with what was asked for.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/slice.py" <<'PY'
import io
import sys

import Bio
import numpy as np
from Bio import Align

ROWS = {"hg.chr1": "AACC--GG", "mm.chr2": "AA--CCGG"}


def read(strands):
    lines = [f"s {name} 5 6 {strand} 100 {text}\n" for strand, (name, text) in zip(strands, ROWS.items())]
    return next(iter(Align.parse(io.StringIO("##maf version=1\n\na score=1\n" + "".join(lines) + "\n"), "maf")))


def written(alignment):
    stream = io.StringIO()
    Align.write(alignment, stream, "maf")
    return [" ".join(line.split()[6:]) for line in stream.getvalue().splitlines() if line.startswith("s ")]


print("Python", sys.version.split()[0], "biopython", Bio.__version__, "numpy", np.__version__)
found = {}
for strands in ("++", "+-", "-+", "--"):
    whole = read(strands)
    assert [whole[0], whole[1]] == list(ROWS.values()), "the whole alignment is read as it stands"
    assert [whole[0, 2:6], whole[1, 2:6]] == ["CC--", "--CC"], "each row by itself is right"
    part = whole[:, 2:6]
    found[strands] = (part.shape[1], [part[0], part[1]], written(part))
    print(f"strands {strands}: columns 2 to 6 are {found[strands][0]} columns {found[strands][1]}, as MAF {found[strands][2]}", flush=True)
sys.exit({strands: value[:2] for strands, value in found.items()} != {
    "++": (4, ["CC--", "--CC"]), "+-": (2, ["CC", "--"]), "-+": (2, ["--", "CC"]), "--": (0, ["", ""])})
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "biopython==1.88" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" "$folder/slice.py"
echo "as described"

#!/usr/bin/env bash
# pandas 2.3: unstack(sort=False) puts values into the wrong cells.
#
# Expected: `sort=False` chooses the order of rows and columns, not which value stands where; what
# stands at (row, column) of the table is what the series has at that pair.
# Seen: values stand under the names of others, without a word, unless the pairs come row by row and
# every row in one order: of the 720 orders of a complete table of 2 x 3 all but 12 go wrong, and so
# does groupby(..., sort=False).sum().unstack(sort=False). pivot_table(sort=False) and pandas 3.1.1,
# where this known fault is mended, are right.
# What follows for users: unstack() and then reindex(index=..., columns=...) in the order wanted.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/tables.py" <<'PY'
import sys
from itertools import permutations

import numpy as np
import pandas as pd

cells = pd.DataFrame({"donor": ["b", "b", "a", "a"], "type": ["T", "B", "B", "T"], "count": [1, 2, 3, 4]})
sums = cells.groupby(["donor", "type"], sort=False)["count"].sum()
table = sums.unstack(sort=False)
print("Python", sys.version.split()[0], "pandas", pd.__version__, "numpy", np.__version__)
print("grouped:", {pair: int(value) for pair, value in sums.items()})
print("unstack(sort=False):", {(row, column): int(table.loc[row, column]) for row, column in sums.index})


def is_wrong(pairs, **options):
    table = pd.Series({pair: "".join(pair) for pair in pairs}).unstack(**options)
    return any(table.loc[pair] != "".join(pair) for pair in pairs)


orders = list(permutations([(row, column) for row in "ab" for column in "xyz"]))
wrong = {sort: sum(is_wrong(pairs, sort=sort) for pairs in orders) for sort in (True, False)}
print("orders of 6 pairs:", len(orders), "wrong by sort:", wrong, flush=True)
differ = any(table.loc[pair] != value for pair, value in sums.items())
sys.exit((differ, wrong) != (True, {True: 0, False: 708}))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "pandas==2.3.3" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" "$folder/tables.py"
echo "as described"

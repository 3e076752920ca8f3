#!/usr/bin/env bash
# fast-array-utils 1.5: min and max of a whole sparse matrix leave its zeros out.
#
# Expected: min(x) and max(x) of a sparse matrix are those of the same numbers in a dense array, as
# scipy's are, and min(x) is the least of min(x, axis=0).
# Seen: without an axis only the stored numbers are looked at: the minimum of counts is 1, not 0,
# and the maximum of -counts is -1, not 0. With an axis the zeros count.
# What follows for users: take the minimum along an axis and then of that, or x.min() of scipy.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { echo "Python 3.12 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/least.py" <<'PY'
import importlib.metadata as m
import sys

import numpy as np
from fast_array_utils import stats
from scipy import sparse

counts = np.array([[0, 1, 3], [2, 0, 1]], np.float32)
found = {}
for name, make in (("dense", np.asarray), ("csr", sparse.csr_array), ("csc", sparse.csc_array)):
    least, most = stats.min(make(counts)), stats.max(make(0 - counts))
    found[name] = (float(least), float(most), stats.min(make(counts), axis=0).tolist(), float(make(counts).min()))
print("Python", sys.version.split()[0], *(f"{name} {m.version(name)}" for name in ("fast-array-utils", "numpy", "scipy")))
print("min(counts), max(-counts), min(counts, axis=0), counts.min():", found, flush=True)
columns = [0.0, 0.0, 1.0]
sparse_found = (1.0, -1.0, columns, 0.0)
sys.exit(found != {"dense": (0.0, 0.0, columns, 0.0), "csr": sparse_found, "csc": sparse_found})
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "fast-array-utils==1.5.1" "numpy==2.5.5" "scipy==1.18.1" || exit 77
"$folder/env/bin/python" "$folder/least.py"
echo "as described"

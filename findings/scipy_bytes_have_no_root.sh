#!/usr/bin/env bash
# scipy 1.17: sqrt, log1p and other functions of a sparse matrix of bytes are refused.
#
# Expected: counts up to 255 fit into uint8, and files of cells keep them so. matrix.sqrt() and
# matrix.log1p() of a sparse matrix should give numbers of single or double precision, as they do of
# int16, and as numpy gives an answer for the dense array.
# Seen: numpy answers bytes (and bool) in float16, a type that sparse matrices may not have: each of
# these methods raises "scipy.sparse does not support dtype float16", which nobody asked for.
# What follows for users: code that works with counts in int16 or wider fails with the same counts in
# bytes; make them float32 first. (Dense bytes do not fail, but their roots have three digits.)
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/roots.py" <<'PY'
import sys

import numpy as np
import scipy
from scipy import sparse


def answer(matrix, function):
    try:
        return getattr(matrix, function)().dtype.name
    except ValueError as error:
        return str(error).split(".")[1].strip()


counts, functions = np.array([[0, 1], [250, 3]]), ("sqrt", "log1p")
found = {kind: {answer(sparse.csr_array(counts.astype(kind)), f) for f in functions} for kind in ("uint8", "int16", "int32")}
dense = np.sqrt(counts.astype(np.uint8))
print("scipy", scipy.__version__, "numpy", np.__version__, found, "dense:", dense.dtype.name, dense[1, 0], np.sqrt(250))
expected = {"uint8": {"sparse does not support dtype float16"}, "int16": {"float32"}, "int32": {"float64"}}
sys.exit(found != expected or dense.dtype != np.float16)
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "scipy==1.17.1" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" "$folder/roots.py"
echo "as described"

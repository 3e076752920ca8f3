#!/usr/bin/env bash
# scipy 1.17: csr_array made of int32 indices and int64 pointers copies the indices into int64.
#
# Expected: a sparse matrix of more than 2^31 entries needs wide pointers, and its indices, column
# numbers, fit into 32 bits, as files of anndata have them. csr_array((data, indices, indptr),
# copy=False) should keep the two arrays that it is given.
# Seen: both get the wider type: the indices are a copy of twice the bytes, of a few hundred entries
# too, with copy=False, without a word. Arrays set afterwards (matrix.indices = ...) stay narrow.
# What follows for users: a matrix read from a file in parts may take half as much memory again as
# its arrays; make pointers of parts int32.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/make.py" <<'PY'
import sys

import numpy as np
import scipy
from scipy import sparse

data, indices = np.ones(300, np.float32), np.tile(np.arange(30, dtype=np.int32), 10)
found = {}
for kind in (np.int32, np.int64):
    made = sparse.csr_array((data, indices, np.arange(0, 301, 30, dtype=kind)), shape=(10, 30), copy=False)
    found[np.dtype(kind).name] = (made.indices.dtype.name, bool(np.shares_memory(made.indices, indices)))
print("scipy", scipy.__version__, "numpy", np.__version__, "indices by type of the pointers", found)
sys.exit(found != {"int32": ("int32", True), "int64": ("int64", False)})
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "scipy==1.17.1" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" "$folder/make.py"
echo "as described"

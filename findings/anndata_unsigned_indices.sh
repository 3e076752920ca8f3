#!/usr/bin/env bash
# anndata 0.12 and scipy 1.17: an h5ad whose sparse X has unsigned 64-bit indices opens, and half of
# what is done with it fails.
#
# Expected: the format of anndata asks for integers as indices and names no width, and a language
# whose sizes are unsigned may well write uint64. read_h5ad should give a matrix that scipy computes
# with, or say that it cannot.
# Seen: the indices stay uint64. Rows by a list, sums over cells and tocsc() work; rows by a slice,
# products and toarray() raise "ValueError: unsupported data types in input", sums over genes
# "TypeError: Cannot cast array data from dtype('uint64')". With int64 all of it works.
# What follows for users: cast X.indices and X.indptr to int64 after reading such a file.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/read.py" <<'PY'
import sys
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import scipy
from scipy import sparse

path = Path(sys.argv[1]) / "cells.h5ad"
CALLS = {
    "X[[0, 2]]": lambda x: x[[0, 2]],
    "X.sum(0)": lambda x: x.sum(0),
    "X.tocsc()": lambda x: x.tocsc(),
    "X[2:4]": lambda x: x[2:4],
    "X.sum(1)": lambda x: x.sum(1),
    "X.toarray()": lambda x: x.toarray(),
    "X @ ones": lambda x: x @ np.ones(5),
}


def outcomes(kind):
    ad.AnnData(sparse.random(6, 5, 0.5, format="csr", random_state=0)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for name in ("indptr", "indices"):
            values = file["X"][name][()].astype(kind)
            del file["X"][name]
            file["X"].create_dataset(name, data=values)
    matrix, found = ad.read_h5ad(path).X, {}
    for name, call in CALLS.items():
        try:
            call(matrix)
            found[name] = "works"
        except (TypeError, ValueError) as error:
            found[name] = type(error).__name__
    print(kind, "read as", matrix.indices.dtype, found, flush=True)
    return matrix.indices.dtype, list(found.values())


print("anndata", ad.__version__, "scipy", scipy.__version__, "numpy", np.__version__)
signed, unsigned = outcomes("int64"), outcomes("uint64")
expected = ["works"] * 3 + ["ValueError", "TypeError", "ValueError", "ValueError"]
sys.exit(not (signed[1] == ["works"] * 7 and unsigned == (np.dtype("uint64"), expected)))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "anndata==0.12.19" "scipy==1.17.1" || exit 77
"$folder/env/bin/python" -W ignore "$folder/read.py" "$folder"
echo "as described"

#!/usr/bin/env bash
# fast-array-utils 1.5: mean_var squares integers in their own type, so variances become negative,
# and scanpy 1.12 chooses other genes for it.
#
# Expected: the variance of a matrix of integers is that of the same numbers as floats, as numpy's
# var is, and never below zero; scanpy.pp.highly_variable_genes(flavor="seurat_v3") wants counts,
# and chooses the same genes from the same counts of any type.
# Seen: 16 * 16 does not fit into uint8, nor 256 * 256 into uint16. The squares wrap around before
# they are averaged: of dense arrays always, of sparse ones where no axis is given. From dense
# counts in uint8 scanpy gets variances below zero and chooses other genes, without a word; sparse
# ones of the same type and dense floats agree.
# What follows for users: convert counts to float32 or sparse before either is called.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { echo "Python 3.12 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/variance.py" <<'PY'
import importlib.metadata as m
import sys

import anndata as ad
import numpy as np
import scanpy as sc
from fast_array_utils.stats import mean_var
from scipy import sparse

print("Python", sys.version.split()[0], *(f"{name} {m.version(name)}" for name in ("fast-array-utils", "scanpy", "numpy", "scipy")))
table = np.array([[0, 16], [16, 0], [0, 16]], np.uint8)
whole, columns = mean_var(table)[1], mean_var(table, axis=0)[1]
whole_sparse = mean_var(sparse.csr_array(table))[1]
print("numpy:", table.var(), table.var(axis=0), "mean_var:", whole, columns, "sparse, whole:", whole_sparse)
negative = whole < 0 and whole_sparse < 0 and (columns < 0).all()

rng = np.random.default_rng(0)
counts = np.minimum(rng.negative_binomial(0.8, rng.uniform(0.01, 0.2, 100), (300, 100)), 255)


def genes(matrix):
    found = sc.pp.highly_variable_genes(ad.AnnData(matrix), n_top_genes=20, flavor="seurat_v3", inplace=False)
    return set(np.flatnonzero(found["highly_variable"])), float(found["variances"].min())


floats, _ = genes(counts.astype(np.float32))
sparse_bytes, sparse_least = genes(sparse.csr_matrix(counts.astype(np.uint8)))
dense_bytes, least = genes(counts.astype(np.uint8))
print("of 20 genes that are chosen from float32, chosen from sparse uint8:", len(floats & sparse_bytes), "least variance", round(sparse_least, 1))
print("and from dense uint8:", len(floats & dense_bytes), "least variance", round(least, 1), flush=True)
sys.exit(not (negative and floats == sparse_bytes and sparse_least > 0 and len(floats & dense_bytes) < 10 and least < 0))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "fast-array-utils==1.5.1" "scanpy==1.12.4" "scikit-misc==0.5.3" "numpy==2.5.5" "scipy==1.18.1" || exit 77
"$folder/env/bin/python" -W ignore "$folder/variance.py"
echo "as described"

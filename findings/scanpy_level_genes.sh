#!/usr/bin/env bash
# scanpy: highly_variable_genes(n_top_genes=n) may choose more than n genes.
#
# Expected: n_top_genes=5 gives 5 genes, or at least says that it gives another number.
# Seen: every gene that is level with the n-th is chosen too, without a word. Genes are level where
# a transcript is counted under two names, or where counts are few and small.
# What follows for users: count what was chosen before a panel of a fixed size is made of it.
set -Eeuo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet scanpy==1.11.5 || exit 77
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys
import anndata as ad
import numpy as np
import scanpy as sc
genes = np.random.default_rng(0).negative_binomial(0.5, 0.05, (200, 40)).astype(np.float32)
cells = ad.AnnData(np.log1p(np.repeat(genes, 2, axis=1)))  # every gene under two names
print("Python", sys.version.split()[0], "scanpy", sc.__version__)
counts = {}
for n in (4, 5, 6, 7):
    found = sc.pp.highly_variable_genes(cells, n_top_genes=n, flavor="seurat", inplace=False)
    counts[n] = int(found["highly_variable"].sum())
    print(f"n_top_genes={n}: {counts[n]} genes")
sys.exit(counts != {4: 4, 5: 6, 6: 6, 7: 8})
PY
echo "as described"

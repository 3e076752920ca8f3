# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An atlas that stays on disk
#
# Cells of several files, measured with different genes, of which no matrix has to fit into memory:
# we train on them where they lie, write embeddings and labels into the files, and look at the
# result with scanpy. The files here are small, so that everything runs on a laptop CPU in a minute
# or two; with files of millions of cells the lines are the same.

# %%
import tempfile
import warnings
from pathlib import Path

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc

import r2mae_bio as rb

warnings.filterwarnings("ignore", message="n_jobs value")
warnings.filterwarnings("ignore", message="IProgress not found")
warnings.filterwarnings("ignore", message="zarr v3 autosharding|Writing zarr v2 data")  # what a later anndata does

# %% [markdown]
# ## Two files with different panels
#
# The first 350 cells lack every third gene, the others every fourth. One file is h5ad, the other
# zarr; `X` is left empty, counts are in a layer.

# %%
cells = rb.datasets.pbmc68k()
cells = ad.AnnData(obs=cells.obs[["bulk_labels"]], var=cells.var[[]], layers={"counts": cells.layers["counts"]})
number = np.arange(cells.n_vars)
folder = tempfile.TemporaryDirectory()
files = [Path(folder.name) / "first.h5ad", Path(folder.name) / "second.zarr"]
cells[:350, number % 3 > 0].copy().write_h5ad(files[0])
cells[350:, number % 4 > 0].copy().write_zarr(files[1])
store = rb.io.CellStore(files, layer="counts", obs="bulk_labels")
store

# %% [markdown]
# A store goes where an AnnData goes. Genes are those of either file; one that a file lacks is
# hidden in its cells, never zero. `check` looks at every value once, in pieces.

# %%
print(store.check())
print(store.obs["file"].value_counts().to_dict())

# %% [markdown]
# ## Train from the files
#
# Blocks of neighbouring cells are read ahead and shuffled in buffers. The file is the batch, since
# there are several and nobody named another.

# %%
rb.model.GeneMAE.setup_anndata(store)
model = rb.model.GeneMAE(store, seed=0)
model.train(progress_bar=False)
model

# %% [markdown]
# ## Embed into the files
#
# `.obsm["X_r2mae"]` appears in each file, and nothing else changes but `.uns`. A run that is killed
# goes on when it is called again. For a new file instead, pass `out="embedded.zarr"`; for several
# processes or machines, pass `client=` with a client of a Dask cluster (see `docs/distributed.md`).

# %%
rb.tl.embed(store, model)
parts = [ad.read_h5ad(files[0]), ad.read_zarr(files[1])]
for part in parts:
    print(part.shape, part.obsm["X_r2mae"].shape)

# %% [markdown]
# ## Neighbours and UMAP
#
# Embeddings are small: those of all cells fit into memory where counts do not.

# %%
atlas = ad.AnnData(
    obs=store.obs.set_axis(store.obs_names[:], axis=0), obsm={"X_r2mae": np.concatenate([p.obsm["X_r2mae"] for p in parts])}
)
sc.pp.neighbors(atlas, use_rep="X_r2mae")
sc.tl.umap(atlas, random_state=0)
fig, axes = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
for ax, key, title in zip(axes, ("bulk_labels", "file"), ("cell type, as published", "file, each with its panel"), strict=True):
    names = atlas.obs[key].cat.categories
    for name, color in zip(names, plt.colormaps["tab10"].colors, strict=False):
        ax.scatter(*atlas.obsm["X_umap"][(atlas.obs[key] == name).to_numpy()].T, s=9, color=color, linewidths=0, label=name)
    ax.set(title=title, xticks=[], yticks=[])
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, markerscale=2)
plt.show()

# %% [markdown]
# Cells lie together by type, whichever genes were measured in them.
#
# ## Labels into a file
#
# The second file gets labels from the first, both named by their paths: three columns of `.obs`, of
# which one is a probability and one a score for types that the reference lacks.

# %%
rb.tl.transfer_labels(files[1], files[0], labels_key="bulk_labels", model=model, layer="counts", reference_layer="counts")
labelled = ad.read_zarr(files[1])
right = (labelled.obs["r2mae_label"].astype(str) == labelled.obs["bulk_labels"].astype(str)).to_numpy()
print(f"right: {right.mean():.2f}; mean confidence: {labelled.obs['r2mae_label_confidence'].mean():.2f}")
labelled.obs.head()

# %% [markdown]
# ## Expected counts of chosen genes
#
# Here the three with most counts among those that the second file lacks: what is expected of its
# cells is near what the first file holds. For all genes, pass `out=` with the name of a file, which
# is written block by block.

# %%
first_only = cells[:, (number % 4 == 0) & (number % 3 > 0)]  # genes that the second file lacks
largest = np.argsort(-first_only.layers["counts"].sum(axis=0).A1)[:3]
rb.tl.impute(store, model, genes=list(first_only.var_names[largest]), progress_bar=False)
store.obsm["r2mae_mean"].groupby(store.obs["file"].to_numpy()).mean().round(2)

# %%
store.close()
folder.cleanup()

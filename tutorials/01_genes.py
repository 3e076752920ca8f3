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
# # Cells without labels, genes without measurements
#
# A transformer is pretrained on 700 blood cells by hiding genes and predicting them, with a mask
# ratio that is itself drawn at random (R2MAE). Then we take most genes away and see what remains.
# Everything runs on a laptop CPU in under two minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc

import r2mae_bio as rb

warnings.filterwarnings("ignore", message="n_jobs value")
warnings.filterwarnings("ignore", message="IProgress not found")
adata = rb.datasets.pbmc68k()
adata

# %% [markdown]
# ## Set up: counts are checked, all of them
#
# `setup_anndata` reads every value. Handing it log-normalised data is the most common mistake, so
# let us make it:

# %%
logged = adata.copy()
sc.pp.normalize_total(logged, target_sum=1e4)
sc.pp.log1p(logged)
try:
    rb.model.GeneMAE.setup_anndata(logged)
except ValueError as error:
    print(error)

# %%
rb.model.GeneMAE.setup_anndata(adata, layer="counts")
model = rb.model.GeneMAE(adata, mask_ratio=(0, 1), seed=0)
model.train(progress_bar=False)
model

# %% [markdown]
# The loss is in nats per hidden gene. The dotted line is what one gets by predicting each gene's
# mean, whatever the cell.

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
rb.pl.history(model, ax=axes[0])
rb.pl.mask_ratios(model, ax=axes[1])
plt.show()

# %% [markdown]
# ## Embed, then ordinary scanpy

# %%
rb.tl.embed(adata, model)
sc.pp.neighbors(adata, use_rep="X_r2mae")
sc.tl.umap(adata, random_state=0)


# %%
def umap(ax, data, title):
    for color, group in zip(plt.colormaps["tab10"].colors, data.obs["bulk_labels"].cat.categories, strict=True):
        points = data.obsm["X_umap"][(data.obs["bulk_labels"] == group).to_numpy()]
        ax.scatter(*points.T, s=8, color=color, label=group, linewidths=0)
    ax.set(title=title, xticks=[], yticks=[])


fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
umap(ax, adata, "all 765 genes; labels were not used")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
plt.show()

# %% [markdown]
# ## A panel of 76 genes
#
# A tenth of the genes, drawn at random, in another order. Genes are matched by name; the others
# count as hidden, not as zero.

# %%
panel_genes = np.random.default_rng(0).choice(adata.var_names, 76, replace=False)
panel = adata[:, panel_genes].copy()
rb.tl.embed(panel, model)
print(model.coverage)

# %%
split = rb.evaluate.stratified_split(adata.obs["bulk_labels"].astype(str), seed=0)
labels = adata.obs["bulk_labels"].astype(str).to_numpy()
probe = rb.evaluate.fit_probe(adata.obsm["X_r2mae"][split.reference], labels[split.reference], kind="knn")
for name, cells in {"all genes": adata, "76 genes": panel}.items():
    result = probe.score(cells.obsm["X_r2mae"][split.query], labels[split.query])
    print(f"{name}: accuracy {result.accuracy:.3f}, macro-F1 {result.macro_f1:.3f}")

# %% [markdown]
# Here the model was pretrained on all cells, queries included (without labels): a transductive
# number. The table that `make demo` prints trains on the reference cells only, beside PCA,
# probabilistic PCA, factor analysis and noise, over three seeds.
#
# ## Keep it
#
# Weights, vocabulary and settings go to a folder of safetensors and JSON; nothing is pickled. The
# embedding goes to a file with cell ids and where it comes from.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp())
model.save(folder / "pbmc_model")
loaded = rb.model.GeneMAE.load(folder / "pbmc_model")
assert np.array_equal(loaded.get_latent_representation(panel), panel.obsm["X_r2mae"])
rb.tl.export_embedding(adata, folder / "embedding.parquet").name

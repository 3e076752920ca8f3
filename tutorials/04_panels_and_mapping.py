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
# # A small panel, mapped onto a reference
#
# A reference was measured with all genes and has labels. A query, other cells, was measured with a
# panel of 100 genes and has none. We pretrain on the reference, label the query with a confidence,
# look for cells of a type that the reference lacks, fill in what the panel did not measure, and lay
# a second batch on the first. Everything runs on a laptop CPU in under two minutes.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc

import r2mae_bio as rb

warnings.filterwarnings("ignore", message="n_jobs value")
warnings.filterwarnings("ignore", message="IProgress not found")

cells = rb.datasets.pbmc68k()
labels = cells.obs["bulk_labels"].astype(str)
split = rb.evaluate.stratified_split(labels, seed=0)
reference, query = cells[split.reference].copy(), cells[split.query].copy()
truth = query.obs.pop("bulk_labels").astype(str)  # what we pretend not to know

genes = rb.evaluate.variable_panel(reference.layers["counts"], 100)
panel = query[:, genes].copy()
print(f"reference {reference.n_obs} cells x {reference.n_vars} genes; query {panel.n_obs} cells x {panel.n_vars} genes")

# %% [markdown]
# ## Pretrain on the reference alone

# %%
model = rb.tl.pretrain(reference, layer="counts", progress_bar=False)
rb.tl.embed(reference, model)
rb.tl.embed(panel, model)
print(model.coverage)

# %% [markdown]
# ## The same cells by PCA and scVI, missing genes as zeros
#
# That is what one does with methods that know no missing genes. scVI trains for 100 epochs here, to
# be quick; the tables of the benchmarks take its defaults.

# %%
counts, measured = query.layers["counts"].tocsr(), np.isin(query.var_names, panel.var_names)
everything = np.ones(query.n_vars, bool)
embeddings = {"R2MAE": (reference.obsm["X_r2mae"], panel.obsm["X_r2mae"])}
for method in (rb.evaluate.PCAZeroFill(), rb.evaluate.SCVI(max_epochs=100)):
    fitted = method.fit(reference.layers["counts"].tocsr(), seed=0)
    embeddings[method.name] = fitted.embed(reference.layers["counts"].tocsr(), everything), fitted.embed(counts, measured)


# %%
def umap_of(z_reference, z_query):
    both = sc.AnnData(np.concatenate([z_reference, z_query]))
    sc.pp.neighbors(both, use_rep="X")
    sc.tl.umap(both, random_state=0)
    return np.split(both.obsm["X_umap"], [len(z_reference)])


names = cells.obs["bulk_labels"].cat.categories
colors = dict(zip(names, plt.colormaps["tab10"].colors, strict=True))
fig, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
for ax, (name, pair) in zip(axes, embeddings.items(), strict=True):
    grey, points = umap_of(*pair)
    ax.scatter(*grey.T, s=6, color="0.82", linewidths=0)
    for group in names:
        ax.scatter(*points[(truth == group).to_numpy()].T, s=14, color=colors[group], linewidths=0, label=group)
    ax.set(title=name, xticks=[], yticks=[])
axes[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
fig.suptitle("grey: reference, all genes; colour: query, 100 genes")
plt.show()

# %% [markdown]
# With zeros the query lies apart from the reference: the missing genes look like a difference
# between cells. Hidden genes do not.
#
# ## Labels with a confidence

# %%
rb.tl.transfer_labels(panel, reference, labels_key="bulk_labels", model=model, layer="counts", reference_layer="counts")
predicted, confidence = panel.obs["r2mae_label"].astype(str), panel.obs["r2mae_label_confidence"]
right = (predicted == truth).to_numpy()
print(f"right: {right.mean():.3f}; mean confidence: {confidence.mean():.3f}")
thirds = pd.qcut(confidence, 3, labels=["least sure", "middle", "most sure"])
pd.DataFrame({"confidence": confidence, "right": right}).groupby(thirds, observed=True).mean().round(3)

# %% [markdown]
# ## Types that the reference lacks
#
# Each type in turn is taken out of the reference. Its query cells then get a wrong label, and
# should get a higher score for unknown types than the other cells: in what share of pairs do they?

# %%
n_cells = truth.value_counts()
higher = {}
for lacking in n_cells.index[n_cells >= 10]:
    without = reference[reference.obs["bulk_labels"] != lacking].copy()
    options = {"labels_key": "bulk_labels", "model": model, "layer": "counts", "reference_layer": "counts", "copy": True}
    score = rb.tl.transfer_labels(panel, without, **options).obs["r2mae_label_unknown"].to_numpy()
    lacks = (truth == lacking).to_numpy()
    higher[lacking] = (score[lacks][:, None] > score[~lacks]).mean()
pd.DataFrame({"query cells": n_cells, "share of pairs": pd.Series(higher).round(2)}).dropna()

# %% [markdown]
# Types with a close relative in the reference are the hard ones. The model itself saw all types in
# pretraining, without labels.
#
# ## What the panel did not measure
#
# Expected counts of genes, and how far they may be off, from the genes that the panel did measure.
# We know the truth here:

# %%
rb.tl.impute(panel, model, layer="counts", unmeasured=True)
imputed = panel.obsm["r2mae_unmeasured_mean"]
true = pd.DataFrame(query[:, imputed.columns].layers["counts"].toarray(), query.obs_names, imputed.columns)
depth = panel.layers["counts"].sum(1)
correlation = imputed.corrwith(true).dropna().sort_values(ascending=False)
print(f"{imputed.shape[1]} genes were not measured; correlation with their true counts over cells:")
correlation.head(8).round(2)

# %% [markdown]
# ## A second batch
#
# The query gets five times the counts of every third gene, as another chemistry might give.
# `map_query` finds what the new batch adds and takes it off, without touching the model or the
# reference.

# %%
batch = query.copy()
changed = batch.layers["counts"].toarray()
changed[:, ::3] *= 5
batch.layers["counts"] = changed
same = model.get_latent_representation(query, layer="counts")
apart = model.get_latent_representation(batch, layer="counts")
mapped = model.map_query(batch, layer="counts")
for name, z in {"as it is": apart, "mapped": mapped}.items():
    print(f"{name}: mean distance of a cell to its unchanged self {np.linalg.norm(z - same, axis=1).mean():.2f}")
print(f"for comparison, the mean length of an embedding: {np.linalg.norm(same, axis=1).mean():.2f}")

# %% [markdown]
# With `batch_key` in `setup_anndata` the batches of the training data are taken out in the same
# way, and `get_latent_representation` gives every cell its corrected embedding from its own counts
# and the name of its batch.

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
# # DNA: any FASTA in, embeddings and variant scores out
#
# This tutorial pretrains a small DNA model on a genome, compares it with what plain counting
# achieves, and uses it: scores for variants, saturation mutagenesis, embeddings of regions. The
# genome is that of phage lambda (48,502 bp), which comes with the package, so that all of this
# takes about a minute or two on a laptop CPU. A genome that small teaches little; replace two paths
# by your own FASTA and VCF and the same calls do the real thing.
#
# ## A genome

# %%
import logging
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scanpy as sc

import r2mae_bio as rb

warnings.filterwarnings("ignore", message="IProgress not found")
logging.basicConfig(level=logging.WARNING, format="%(message)s")
logging.getLogger("r2mae_bio").setLevel(logging.INFO)
work = Path(tempfile.mkdtemp())

FASTA = rb.datasets.lambda_phage()  # or "my_species.fa.gz": plain, gzip or bgzip, or a list of files, or {species: file}
genome = rb.io.Genome(FASTA, cache_dir=work)
print(genome, genome.contigs, f"cro begins with {genome.fetch(genome.contigs[0], 38040, 38061)}")

# %% [markdown]
# The file was converted once to one byte per base, which is mapped into memory; windows are then
# read at random at more than a hundred million bases per second, and worker processes are safe.
#
# ## Pretraining
#
# A share of the bases of every window is hidden, and that share is drawn at random between 0 and 1
# for each window: that is R²MAE. The last fifth of the genome is held out. Before it starts, the
# run says what two Markov models reach on the held-out part: a model whose loss does not fall below
# the order-5 model has learnt less than a table of counts.

# %%
split = rb.io.split_genome(genome, validation=0.2)
model = rb.model.DNAMAE(genome, window=128, mask_ratio=(0, 1), n_layers=4, d_model=64, dropout=0.1, seed=0)
model.train(
    max_epochs=12, split=split, epoch_windows=1024, precision="32-true", train_kwargs={"learning_rate": 2e-3}, progress_bar=False
)
history = model.history
model

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
axes[0].plot(history["epoch"] + 1, history["train_loss"], label="training, all ratios", color="0.6")
axes[0].plot(history["epoch"] + 1, history["validation_loss"], label="held out, all ratios", color="#0072B2")
axes[0].plot(history["epoch"] + 1, history["validation_loss_0.0-0.2"], label="held out, less than 20% hidden", color="#D55E00")
for order, nats in model.floors.items():
    axes[0].axhline(nats, ls=":", color="0.2")
    axes[0].annotate(f"Markov, order {order}", (12, nats), xytext=(0, 2), textcoords="offset points", fontsize=8, ha="right")
axes[0].set(xlabel="epoch", ylabel="nats per hidden base")
axes[0].legend(fontsize=8, frameon=False)
bins = [c for c in history if c.startswith("validation_loss_")]
axes[1].bar([c.removeprefix("validation_loss_") for c in bins], history[bins].iloc[-1] - np.log(4), color="#0072B2")
axes[1].set(xlabel="share of bases hidden", ylabel="nats, relative to a uniform guess", title="last epoch, held out")
axes[1].axhline(0, color="0.2", lw=0.8)
plt.show()

# %% [markdown]
# With few bases hidden the neighbours give the base away, as far as 39 kb can teach; with most of
# them hidden little is left to know.
#
# ## Variants
#
# `score_variants` takes a VCF (or a table) and gives one back with every record in its place.
# Nothing aborts it: each allele has a status. Here is a small file with what real ones contain: a
# SNV, two alternatives in one record, an indel, a wrong reference base, an unknown contig and a
# symbolic allele.

# %%
base = {p: genome.fetch(genome.contigs[0], p - 1, p) for p in (38045, 38050, 38060, 38070)}
other = {"A": "G", "C": "T", "G": "A", "T": "C"}
records = [
    (genome.contigs[0], 38045, base[38045], other[base[38045]]),
    (genome.contigs[0], 38050, base[38050], ",".join(b for b in "ACGT" if b != base[38050])),
    (genome.contigs[0], 38060, base[38060], base[38060] + "GATTACA"),
    (genome.contigs[0], 38070, other[base[38070]], base[38070]),
    ("chr7", 100, "A", "C"),
    (genome.contigs[0], 40000, genome.fetch(genome.contigs[0], 39999, 40000), "<DEL>"),
]
VCF = work / "variants.vcf"
header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF.write_text(header + "".join(f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for chrom, pos, ref, alt in records))

scores = rb.tl.score_variants(VCF, genome, model, progress_bar=False)
columns = ["pos", "ref", "alt", "kind", "status", "llr", "p_ref", "p_alt", "entropy", "embedding_distance"]
scores[columns].round(3)

# %% [markdown]
# `llr` is log p(ALT) - log p(REF) in nats, the mean of both strands, with the base hidden; negative
# where the model expects the reference. Insertions and deletions are scored by the mean
# log-probability of the bases around the change, each hidden in turn. With `out=` the same goes
# into a VCF or parquet file, and a run that was interrupted goes on where it stopped.

# %%
scored = rb.tl.score_variants(VCF, genome, model, out=work / "scored.vcf", progress_bar=False)
print("\n".join(line for line in scored.read_text().splitlines() if not line.startswith("##"))[:1500])

# %% [markdown]
# ## Saturation mutagenesis
#
# Every base of a region, each hidden alone: what the model expects there. Around the start of *cro*
# (its ATG lies at 38,041):

# %%
table = rb.tl.saturation_mutagenesis((genome.contigs[0], 38020, 38080), genome, model)
rb.pl.saturation(table)
plt.show()
rb.tl.to_bedgraph(table, work / "information.bedgraph")
table.head(3).round(3)

# %% [markdown]
# ## Embeddings
#
# Regions of a BED file, a table or a list become the observations of an AnnData object, for
# ordinary scanpy analysis.

# %%
width = 256
regions = pd.DataFrame({"chrom": genome.contigs[0], "start": np.arange(0, len(genome) - width, width)})
regions["end"] = regions["start"] + width
adata = rb.tl.embed_regions(regions, genome, model)
sequences = [genome.fetch(c, s, e) for c, s, e in regions.itertuples(index=False)]
adata.obs["GC content"] = [(s.count("G") + s.count("C")) / len(s) for s in sequences]
adata.obs["position (kb)"] = regions["start"].to_numpy() / 1000
sc.pp.neighbors(adata, use_rep="X_r2mae", n_neighbors=15)
sc.tl.umap(adata)
sc.pl.umap(adata, color=["GC content", "position (kb)"], wspace=0.3)

# %% [markdown]
# ## Keeping it
#
# A model is a folder of safetensors and JSON: no pickle, no remote code. Sequences need no genome.

# %%
folder = model.save(work / "lambda_model")
again = rb.model.DNAMAE.load(folder)
difference = np.abs(again.get_latent_representation(sequences) - adata.obsm["X_r2mae"]).max()
print(sorted(p.name for p in folder.iterdir()), f"largest difference {difference:.1e}")

# %% [markdown]
# ## Your own species
#
# ```python
# genome = rb.io.Genome({"lyrata": "lyrata.fa.gz", "thaliana": ["chr1.fa", "chr2.fa"]})
# # hold out a contig; regions and shares work too
# split = rb.io.split_genome(genome, validation=["thaliana:chr2"])
# # a GPU pays for itself from here on
# model = rb.model.DNAMAE(genome, window=512, preset="small")
# # lower-case (repeat) bases count a tenth
# model.train(checkpoint_dir="run", split=split, repeat_weight=0.1)
# # after a crash: exactly where the last checkpoint stands
# model.train(resume_from="run", split=split, repeat_weight=0.1)
# rb.tl.score_variants("cohort.vcf.gz", genome, model, out="scored.vcf.gz")
# ```

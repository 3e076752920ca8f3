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
# # Which mask ratio? From the formula to real cells
#
# How much of a cell should be hidden in pretraining? For a linear model the answer can be computed.
# This tutorial checks the formula against simulations, asks what a *random* mask ratio is worth in
# that model, and ends with a recommendation for 700 blood cells. It takes about a minute on a
# laptop CPU.
#
# ## The model
#
# A training row $x$ has $d$ features with covariance $S$, and a target $y = x^\top b + e$. Every
# entry of the row is hidden with probability $p$, the mask ratio; what stays visible is divided by
# $1 - p$ (`rescale=True`), so that the mean of the masked row is the row. From $n$ such rows $b$ is
# estimated by least squares, and among the many solutions that exist when $n < d$ the one of least
# norm is taken. The **risk** is the mean squared error of the predicted signal, $E(x^\top \hat b -
# x^\top b)^2$, on new rows. It is the sum of a **bias** (the mean estimator is not $b$) and a
# **variance** (training sets differ). The noise $e$ of the target comes on top and cannot be
# avoided.
#
# We look at uncorrelated features (*isotropic*), and at correlated ones whose eigenvalues fall like
# 1/rank (*power law*) along random directions.

# %%
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import r2mae_bio as rb
from r2mae_bio import theory

warnings.filterwarnings("ignore", message="IProgress not found")
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#999999"

d = 100
generator = np.random.default_rng(0)
directions = np.linalg.qr(generator.normal(size=(d, d)))[0]
b = generator.normal(size=d)
covariances = {
    "isotropic": theory.isotropic_covariance(d),
    "power law": directions @ theory.power_law_covariance(d, 1.0) @ directions.T,
}
for S in covariances.values():  # features of variance 1: the formula then needs the eigenvectors once, and each ratio is cheap
    S /= np.sqrt(np.outer(np.diag(S), np.diag(S)))
eigens = {name: theory.decompose(S) for name, S in covariances.items()}
cases = [(name, n) for name in covariances for n in (d // 2, 2 * d)]
ratios = np.round(np.arange(0, 0.901, 0.025), 3)


def problem(name, n):
    """Coefficients, rows and noise; signal and noise have variance 1 each."""
    return {"coefficients": b / np.sqrt(b @ covariances[name] @ b), "n": n, "noise_variance": 1.0}


def formula(name, n, mask_ratio, **settings):
    return theory.regression_risk(eigens[name], **problem(name, n), mask_ratio=mask_ratio, **settings)


def simulate(name, n, mask_ratio, n_draws):
    return theory.simulate_risk(covariances[name], **problem(name, n), mask_ratio=mask_ratio, n_draws=n_draws, progress=False)


def curve(name, n, **settings):
    return [formula(name, n, float(p), **settings) for p in ratios]


# %% [markdown]
# ### Fixed ratios: formula against simulation
#
# Lines are the formula. Points are means over 60 simulated training sets, with two standard errors
# either way.

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharex=True)
simulated_at = (0.0, 0.2, 0.4, 0.6, 0.75, 0.9)
for ax, (name, n) in zip(axes.flat, cases, strict=True):
    risks = curve(name, n)
    ax.plot(ratios, [r.bias for r in risks], color=BLUE, label="bias")
    ax.plot(ratios, [r.variance for r in risks], color=ORANGE, label="variance")
    ax.plot(ratios, [r.total for r in risks], color="black", lw=2, label="total")
    runs = [simulate(name, n, p, n_draws=60) for p in simulated_at]
    ax.errorbar(
        simulated_at, [s.mean for s in runs], [2 * s.standard_error for s in runs], fmt="o", color="black", mfc="white", capsize=2,
        label="simulated total, ± 2 s.e.",
    )  # fmt: skip
    ax.set(title=f"{name}, n/d = {n / d:g}", ylim=(0, None))
    ax.spines[["top", "right"]].set_visible(False)
axes[1, 0].set_xlabel("mask ratio in training")
axes[1, 1].set_xlabel("mask ratio in training")
axes[0, 0].set_ylabel("risk / variance of the signal")
axes[1, 0].set_ylabel("risk / variance of the signal")
fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
plt.show()

# %% [markdown]
# Masking trades variance for bias. For correlated features it works like a ridge penalty, since it
# adds a diagonal to their covariance. At $n/d = 2$ that gives the curve an optimum in the middle.
# For uncorrelated features masking adds nothing but shrinkage: at $n/d = 2$, with this noise, bias
# and variance trade one to one and every ratio is as good as any. With few rows ($n/d = 0.5$) and
# as much noise as signal the best one can do is to shrink towards predicting nothing, whose risk is
# 1. There, at high ratios, the points lie above the line: few entries of a row stay visible, and
# the formula is too optimistic.
#
# ### With and without rescaling
#
# If visible entries are *not* divided by $1 - p$, the predictor is trained on small inputs and used
# on large ones. It is mis-scaled, and the best fixed ratio is 0 in all four cases.

# %%
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained", sharey=True)
for ax, (name, n) in zip(axes, cases, strict=True):
    for rescale, color in ((True, "black"), (False, ORANGE)):
        totals = np.array([r.total for r in curve(name, n, rescale=rescale)])
        ax.plot(ratios, totals, color=color, label="visible entries / (1 − ratio)" if rescale else "not rescaled")
        ax.plot(ratios[totals.argmin()], totals.min(), "o", color=color)
    ax.set(title=f"{name}, n/d = {n / d:g}", xlabel="mask ratio in training", yscale="log")
    ax.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("risk / variance of the signal")
axes[0].set(yticks=[0.5, 1, 2, 5, 10, 20], yticklabels=["0.5", "1", "2", "5", "10", "20"])
axes[0].yaxis.minorticks_off()
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %% [markdown]
# ## The random ratio
#
# In R2MAE the ratio of a row is itself drawn from $U(\text{lo}, \text{hi})$. Here is the best of
# all such laws on a grid (at least 0.2 wide, up to 0.9), beside the best fixed ratio on the same
# range, and $U(0.1, 0.9)$, which nobody had to tune. The last columns repeat the comparison by
# simulation.

# %%
laws = [(low / 10, high / 10) for low in range(8) for high in range(low + 2, 10)]
rows = []
for name, n in cases:
    fixed = np.array([r.total for r in curve(name, n)])
    random = np.array([formula(name, n, law).total for law in laws])
    best, law = float(ratios[fixed.argmin()]), laws[random.argmin()]
    wide = formula(name, n, (0.1, 0.9)).total
    one, other = (simulate(name, n, m, n_draws=200) for m in (best, law))
    rows.append(
        {
            "features": name,
            "n/d": n / d,
            "best fixed": best,
            "its risk": fixed.min(),
            "best law": f"U{law}",
            "risk of the law": random.min(),
            "U(0.1, 0.9)": wide,
            "simulated: law − fixed": other.mean - one.mean,
            "± s.e.": np.hypot(one.standard_error, other.standard_error),
        }
    )
table = pd.DataFrame(rows)
table.round(3)

# %%
gain = 1 - table["risk of the law"] / table["its risk"]
z = table["simulated: law − fixed"] / table["± s.e."]
print(f"by the formula, the best law is {-gain.max():.1%} to {-gain.min():.1%} worse than the best fixed ratio;")
print(f"simulated differences are {z.min():+.1f} to {z.max():+.1f} standard errors (positive: the law is worse)")

# %% [markdown]
# In this linear model with one target and an unmasked test input, a random ratio does not beat the
# best fixed ratio by more than noise.
#
# The narrowest laws come close, because they are nearly fixed; $U(0.1, 0.9)$ costs something in
# exchange for not being tuned.
#
# There is even a case where the random ratio changes nothing at all. For isotropic features with $n
# < d$ the formula gives exactly the risk of the fixed ratio with the same mean. (The formula is a
# limit of many features; simulations at a hundred lie a few percent above it.)

# %%
rows = []
for m in (0.5, (0.3, 0.7), (0.1, 0.9)):
    run = simulate("isotropic", d // 2, m, n_draws=200)
    total = formula("isotropic", d // 2, m).total
    rows.append({"ratio": str(m), "formula": total, "simulated": run.mean, "± s.e.": run.standard_error})
pd.DataFrame(rows).round(4)

# %% [markdown]
# ## The masked autoencoder
#
# Pretraining has no single target. Every gene is predicted from the others, and only in the cells
# where it is hidden. A gene that is hidden in a share $p$ of $n$ cells has $n p$ training rows, so
# the ratio sets the number of rows, and **the mask ratio itself drives double descent**: the error
# peaks where cells × ratio = number of (other) genes. `theory.peak_ratio` says where. The genes
# below share twelve overlapping programmes.

# %%
genes = theory.programme_covariance(d)
eigen = theory.decompose(genes)
n = 4 * d
some = np.arange(0, d, 5)  # errors are averaged over these genes, in the formula as in the simulation
fixed = theory.risk_curve(eigen, n=n, genes=some)
law = theory.autoencoder_risk(eigen, n=n, mask_ratio=(0, 1), genes=some)
simulated_at = (0.1, 0.4, 0.6, 0.8)
runs = [theory.simulate_autoencoder_risk(genes, n=n, mask_ratio=p, genes=some, n_draws=15, progress=False) for p in simulated_at]
cells = np.unique(np.geomspace(60, 800, 50).round()).astype(int)
by_cells = {
    m: [theory.autoencoder_risk(eigen, n=k, mask_ratio=m, genes=some) for k in cells.tolist()] for m in (0.3, 0.75, (0, 1))
}

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)


def draw(ax, x, error, near_peak, color, label):
    """Dotted where the peak spoils the formula."""
    ax.plot(x, error, color=color, lw=1, ls=":")
    ax.plot(x, np.where(near_peak, np.nan, error), color=color, lw=2, label=label)


draw(left, fixed.ratios, fixed.error, fixed.near_peak, "black", "fixed ratio")
left.errorbar(
    simulated_at, [s.median + law.noise for s in runs], [2 * s.median_error for s in runs], fmt="o", color="black", mfc="white", capsize=2,
    label="simulated median, ± 2 s.e.",
)  # fmt: skip
left.hlines(law.prediction_error, 0, 1, color=GREEN, lw=2, label="U(0, 1)")
left.axvline(theory.peak_ratio(n, d), color=GREY, ls="--", lw=1, label="peak_ratio")
left.set(xlabel="mask ratio in training", title=f"{n} cells, {d} genes", xlim=(0, 1))
for (m, risks), color in zip(by_cells.items(), (BLUE, ORANGE, GREEN), strict=True):
    name = f"fixed {m}" if isinstance(m, float) else "U(0, 1)"
    draw(right, cells, [r.prediction_error for r in risks], [r.near_peak for r in risks], color, name)
    right.axvline((d - 1) / np.mean(m), color=color, ls="--", lw=1)
right.set(
    xlabel="training cells", title=f"{d} genes", xscale="log", xticks=[100, 200, 400, 800], xticklabels=[100, 200, 400, 800]
)
right.xaxis.set_minor_locator(plt.NullLocator())
left.set(
    ylabel="error / variance of a gene", yscale="log", ylim=(0.3, 6), yticks=[0.5, 1, 2, 5], yticklabels=["0.5", "1", "2", "5"]
)
left.yaxis.set_minor_locator(plt.NullLocator())
for ax in (left, right):
    ax.axhline(1, color="0.85", lw=0.8, zorder=0)
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# Dotted stretches are flagged `near_peak`: averages are heavy-tailed there, and no formula is
# reliable. An error above 1 is worse than predicting the mean of the gene.

# %%
print(f"best fixed ratio {fixed.best:.2f}: error {fixed.least:.3f}")
print(f"U(0, 1): error {law.prediction_error:.3f}, {law.prediction_error / fixed.least - 1:+.1%}; near_peak: {law.near_peak}")
print(
    f"fixed ratios flagged near the peak: {fixed.ratios[fixed.near_peak].min():.2f} to {fixed.ratios[fixed.near_peak].max():.2f}"
)
flagged = theory.autoencoder_risk(eigen, n=2 * (d - 1), mask_ratio=(0, 1), genes=some)
print(f"U(0, 1) with {2 * (d - 1)} cells: near_peak: {flagged.near_peak}")

# %% [markdown]
# What does the random ratio spare? On the left the search: without knowing where the peak is it
# lands off it, at a price against the best fixed ratio. It is no cure. On the right $U(0, 1)$ has a
# peak of its own, where *cells × mean ratio* meets the number of genes, the place of a fixed ratio
# of 0.5.
#
# ## Real cells
#
# Now the correlations of 700 blood cells, from raw counts. First the spectrum: how many directions
# stand out of the noise?

# %%
adata = rb.datasets.pbmc68k()
rb.tl.spectrum(adata, layer="counts")
rb.pl.spectrum(adata)
plt.show()

# %% [markdown]
# Then the recommendation. It compares every fixed ratio with every law $U(\text{lo}, \text{hi})$ on
# a grid, for cells that are later measured in full and on a panel of a tenth of the genes, and
# repeats this on bootstrap samples of the cells. The theory above masks every cell once. A network
# sees fresh masks in every epoch, and masks drawn for ever act as a ridge penalty: the
# recommendation is that linear model's error on held-out cells. `masks="single"` gives the advice
# of the theory above, which trained networks do not follow.

# %%
advice = rb.tl.recommend_mask_ratio(adata, layer="counts", n_bootstrap=8)
print(advice.verdict.replace(". ", ".\n"))

# %%
for scenario in ("full", "panel"):
    rb.pl.risk_curve(adata, scenario=scenario, ax=plt.subplots(figsize=(8, 3.6), layout="constrained")[1])
    plt.show()

# %%
print("law:", advice.law)
for name, scenario in {"full": advice.full, "panel": advice.on_panel}.items():
    ok = ~(scenario.curve.near_peak | scenario.curve.heavy_tailed)
    print(
        f"{name}: error {scenario.curve.least:.3f} at the best fixed ratio, {scenario.curve.error[ok].max():.3f} at the worst unflagged one; "
        f"the law {advice.cost[name]:+.1%}, over bootstrap samples {advice.bootstrap[f'cost_{name}'].min():+.1%} to "
        f"{advice.bootstrap[f'cost_{name}'].max():+.1%}"
    )
print("kept in .uns['r2mae']['mask_ratio']:", ", ".join(adata.uns["r2mae"]["mask_ratio"]))

# %% [markdown]
# Read it for what it says. A positive cost means that the random ratio is *worse* than the best
# fixed one, and the recommended law is the widest of those that cost within 0.01 of the least on
# the worse of the two kinds of cells. A wide interval "within 5%" means that the data hardly care.
# Bootstrap intervals are narrow because they hold the fitted models fixed and draw the held-out
# cells anew: they tell how well the error of this model is known, not how well a network follows
# it. With fresh masks a law acts only as the fixed ratio of equal masking noise.
#
# `mask_ratio="auto"` takes the recommended law, and nothing else changes:

# %%
rb.model.GeneMAE.setup_anndata(adata, layer="counts")
model = rb.model.GeneMAE(adata, mask_ratio="auto", seed=0)
model

# %% [markdown]
# ## Limits
#
# - **Linear.** A transformer is not least squares. It is told which genes are hidden, and uses more
#   than correlations.
# - **Unregularised.** The peak is that of interpolation. Weight decay, early stopping and a latent
#   bottleneck flatten it, and with it most of what separates one ratio from another.
# - **Heavy tails.** Where few genes of a cell stay visible, the formula can underestimate the risk.
#   `heavy_tailed` flags such ratios, cautiously:

# %%
rows = []
for p in (0.5, 0.75, 0.9):
    risk = theory.autoencoder_risk(eigen, n=60, mask_ratio=p, genes=some)
    run = theory.simulate_autoencoder_risk(genes, n=60, mask_ratio=p, genes=some, n_draws=40, progress=False)
    flags = {"heavy_tailed": risk.heavy_tailed, "near_peak": risk.near_peak}
    rows.append({"ratio": p, "formula": risk.total, "simulated": run.mean, "± s.e.": run.standard_error, **flags})
pd.DataFrame(rows).round(3)

# %% [markdown]
# - **Advice.** The recommendation knows the correlations of genes and the number of cells, not the
#   task. Where it matters, train with two ratios and compare; the table that `make demo` prints
#   does so.

"""The pictures of the demo. Types of cells differ in colour and in shape, so that they are told
apart by colour-blind readers and in print.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import scanpy as sc

import r2mae_bio as rb
from r2mae_bio.pl._groups import COLOURS, scatter_groups

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.model import GeneMAE

ON_DARK = ("#EE8866", "#77AADD", "#EEDD88", "#44BB99", "#99DDFF", "#FFAABB", "#CC99FF", "#BBCC33", "#8C8CFF", "#FFFFFF")
"""Much as Paul Tol's "light": the darker ones of his "muted" are lost on a dark page."""
OURS, CONTROL = "#0072B2", "#D55E00"
SHORT = {
    "CD14+ Monocyte": "CD14 monocyte", "CD19+ B": "B", "CD34+": "CD34", "CD4+/CD25 T Reg": "CD4 regulatory T",
    "CD4+/CD45RA+/CD25- Naive T": "CD4 naive T", "CD4+/CD45RO+ Memory": "CD4 memory T", "CD56+ NK": "NK",
    "CD8+ Cytotoxic T": "CD8 cytotoxic T", "CD8+/CD45RA+ Naive Cytotoxic": "CD8 naive T", "Dendritic": "dendritic",
}  # fmt: skip


def joint_umap(whole: np.ndarray, panel: np.ndarray) -> list[np.ndarray]:
    """Coordinates of both, of one UMAP."""
    joint = ad.AnnData(np.zeros((len(whole) + len(panel), 1), np.float32), obsm={"X": np.concatenate([whole, panel])})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="n_jobs value .* overridden")
        sc.pp.neighbors(joint, use_rep="X", random_state=0)
        sc.tl.umap(joint, random_state=0)
    return np.split(joint.obsm["X_umap"], [len(whole)])


def draw_umaps(umaps: dict[str, list[np.ndarray]], types: list[np.ndarray], path: Path, *, n_genes: int, dark: bool) -> None:
    """Whole cells beside those of the panel, a row for each embedding."""
    ink, faint, paper = ("#e6edf3", "#3d444d", "#0d1117") if dark else ("#1f2328", "#dddddd", "#ffffff")
    colours = ON_DARK if dark else (*COLOURS, ink)
    columns = ["whole cells, all genes", f"other cells, {n_genes} genes"]
    with plt.rc_context({"text.color": ink, "axes.labelcolor": ink, "axes.edgecolor": faint, "font.size": 10}):
        fig, axes = plt.subplots(2, 2, figsize=(8.4, 6.2), layout="constrained")
        for title, ax in zip(columns, axes[0], strict=True):
            ax.set_title(title)
        for row, (name, parts) in zip(axes, umaps.items(), strict=True):
            for i, ax in enumerate(row):
                ax.scatter(*parts[1 - i].T, s=5, color=faint, linewidths=0)
                scatter_groups(ax, parts[i], types[i], SHORT, colours=colours)
                ax.set(xticks=[], yticks=[])
                ax.set_facecolor("none")
            row[0].set_ylabel(name, fontsize=11)
        handles, names = axes[0, 0].get_legend_handles_labels()
        fig.legend(handles, names, loc="outside right center", frameon=False, markerscale=2, fontsize=9)
        fig.savefig(path, dpi=110, format="png", facecolor=paper)
        plt.close(fig)


def draw_labels(right: np.ndarray, confidence: np.ndarray, model: GeneMAE, path: Path, *, pca_accuracy: float) -> None:
    """How right labels are, from the surest cell on; and the training."""
    fig, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained", width_ratios=(1, 1, 1))
    ordered = right[np.argsort(-confidence, kind="stable")]
    share, accuracy = np.arange(1, len(right) + 1) / len(right), np.cumsum(ordered) / np.arange(1, len(right) + 1)
    some = share >= 0.1  # of fewer cells a share says little
    axes[0].plot(share[some], accuracy[some], color=OURS, label="R2MAE")
    axes[0].axhline(pca_accuracy, color=CONTROL, linestyle="--", label="PCA, zeros, all cells")
    axes[0].set(
        xlabel="share of cells labelled, surest first", ylabel="share of labels that are right", ylim=(0, 1.02), xlim=(0, 1)
    )
    axes[0].legend(frameon=False, loc="lower left")
    axes[0].set_title("Labels of the panel")
    axes[0].spines[["top", "right"]].set_visible(False)
    rb.pl.history(model, ax=axes[1]).set_title("Loss while training")
    axes[1].legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.8))  # below the dotted line
    rb.pl.mask_ratios(model, ax=axes[2]).set_title("Mask ratios that were drawn")
    axes[2].set_ylim(top=1.3 * axes[2].get_ylim()[1])
    axes[2].legend(frameon=False, loc="upper center")
    fig.savefig(path, dpi=110, format="png")
    plt.close(fig)

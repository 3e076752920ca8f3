"""The demo: cells of a small gene panel, read by a model of whole cells. Run by ``make demo``.

Seven tenths of 700 blood cells, which ship with scanpy, are whole: a transformer is pretrained on
them with R2MAE, without labels. Of the others 300 of 765 genes are kept, as if a panel had been
measured. Whole cells and panel are drawn in one UMAP, once from R2MAE, which hides the genes that
the panel lacks, and once from PCA with these genes filled with zero, as is usual. The whole cells
lend the panel their labels. One seed, and about half a minute on two cores.

``--full`` adds the comparison with controls over three seeds, a few minutes more.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import r2mae_bio as rb
from r2mae_bio import evaluate
from r2mae_bio._files import whole_file
from tutorials.demo_pictures import draw_labels, draw_umaps, joint_umap

if TYPE_CHECKING:
    import anndata as ad

    from r2mae_bio.model import GeneMAE

N_GENES = 300
LABELS = "bulk_labels"
SEED = 0


@dataclass(frozen=True, eq=False)
class Shown:
    """What the demo found."""

    model: GeneMAE
    whole: ad.AnnData
    panel: ad.AnnData
    """With ``.obs["r2mae_label"]`` and its confidence."""
    pca: dict[str, np.ndarray]
    """Principal components of ``whole`` and ``panel``, whose missing genes are zeros."""
    pca_accuracy: float
    """Share of the panel's cells that a linear probe on these labels right."""

    @property
    def right(self) -> np.ndarray:
        """Which cells of the panel got the label that they had."""
        return (self.panel.obs["r2mae_label"].astype(str) == self.panel.obs[LABELS].astype(str)).to_numpy()


def main() -> None:
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    shown = find()
    say(
        started,
        f"pretrained on {shown.whole.n_obs} whole cells; embedded and labelled {shown.panel.n_obs} cells of {N_GENES} genes",
    )
    files = write(shown, options.out)
    say(started, f"drew {options.out}/umap.png and labels.png")
    if options.images is not None:
        for name in ("umap.png", "umap_dark.png"):
            shutil.copyfile(options.out / name, options.images / name)
    text = report(shown)
    if options.full:
        from tutorials.demo_table import compare, table

        adata = rb.datasets.pbmc68k()
        frame = compare(adata, tuple(options.seeds), lambda line: say(started, line))
        with whole_file(options.out / "panel_transfer.csv") as path:
            frame.to_csv(path, index=False)
        text += f"\n{table(frame, adata)}"
        files.append("panel_transfer.csv")
    with whole_file(options.out / "report.md") as path:
        path.write_text(text, encoding="utf-8")
    say(started, f"wrote {', '.join(f'{options.out}/{name}' for name in [*files, 'report.md'])}")
    print(f"\n{text}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder to write into")
    parser.add_argument("--full", action="store_true", help="add the long comparison with controls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of that comparison")
    parser.add_argument("--images", type=Path, help="folder for the pictures of the README: docs/images")
    return parser.parse_args()


def say(started: float, line: str) -> None:
    print(f"[{time.perf_counter() - started:4.0f} s] {line}", flush=True)


def find() -> Shown:
    """Pretrain, embed, transfer labels."""
    adata = rb.datasets.pbmc68k()
    labels = adata.obs[LABELS].astype(str).to_numpy()
    split = evaluate.stratified_split(labels, query_fraction=0.3, seed=SEED)
    whole, rest = adata[split.reference].copy(), adata[split.query].copy()
    measured = evaluate.panel_mask(adata.n_vars, N_GENES / adata.n_vars, seed=SEED)
    panel = rest[:, measured].copy()  # its counts are all that is read of these cells

    model = rb.tl.pretrain(
        whole, layer="counts", mask_ratio=(0, 1), model_kwargs={"seed": SEED}, progress_bar=sys.stderr.isatty()
    )
    rb.tl.embed(whole, model)
    rb.tl.embed(panel, model)
    rb.tl.transfer_labels(panel, whole, labels_key=LABELS, model=model)

    fitted = evaluate.PCAZeroFill().fit(whole.layers["counts"], seed=SEED)
    everything = np.ones(adata.n_vars, dtype=bool)
    pca = {"whole": fitted.embed(whole.layers["counts"], everything), "panel": fitted.embed(rest.layers["counts"], measured)}
    probe = evaluate.fit_probe(pca["whole"], labels[split.reference])
    accuracy = probe.score(pca["panel"], labels[split.query]).accuracy
    return Shown(model, whole, panel, pca, accuracy)


def write(shown: Shown, out: Path) -> list[str]:
    """Pictures, cells and labels; the names of the files."""
    umaps = {
        "R2MAE, missing genes hidden": joint_umap(shown.whole.obsm["X_r2mae"], shown.panel.obsm["X_r2mae"]),
        "PCA, missing genes zero": joint_umap(shown.pca["whole"], shown.pca["panel"]),
    }
    types = [part.obs[LABELS].astype(str).to_numpy() for part in (shown.whole, shown.panel)]
    for dark in (False, True):
        with whole_file(out / f"umap{'_dark' if dark else ''}.png") as path:
            draw_umaps(umaps, types, path, n_genes=N_GENES, dark=dark)
    with whole_file(out / "labels.png") as path:
        confidence = shown.panel.obs["r2mae_label_confidence"].to_numpy()
        draw_labels(shown.right, confidence, shown.model, path, pca_accuracy=shown.pca_accuracy)
    with whole_file(out / "panel_labels.csv") as path:
        columns = [LABELS, "r2mae_label", "r2mae_label_confidence", "r2mae_label_unknown"]
        shown.panel.obs[columns].to_csv(path)
    for name, part in {"whole": shown.whole, "panel": shown.panel}.items():
        with whole_file(out / f"{name}.h5ad") as path:
            part.write_h5ad(path)
    return ["umap.png", "umap_dark.png", "labels.png", "panel_labels.csv", "whole.h5ad", "panel.h5ad"]


def numbers(shown: Shown) -> dict[str, tuple[float, float]]:
    """What is printed: R2MAE, and what it is to be compared with."""
    sure = np.argsort(-shown.panel.obs["r2mae_label_confidence"].to_numpy(), kind="stable")[: shown.panel.n_obs // 2]
    return {
        "accuracy": (float(shown.right.mean()), shown.pca_accuracy),
        "accuracy of the surer half": (float(shown.right[sure].mean()), float(shown.right.mean())),
        "validation loss": (float(shown.model.history["validation_loss"].iloc[-1]), shown.model.blind_loss),
    }


def report(shown: Shown) -> str:
    """The report in markdown."""
    (ours, pca), (sure, _), (loss, blind) = numbers(shown).values()
    return f"""# A panel of {N_GENES} genes, read by a model of whole cells

`{shown.model!r}`

{shown.whole.n_obs} whole blood cells lend {shown.panel.n_obs} others, of which {N_GENES} of {shown.whole.n_vars} genes are kept, their
labels (10 types; the largest has {shown.panel.obs[LABELS].value_counts(normalize=True).max():.0%} of the cells). One seed.

- **{ours:.0%}** of the panel's cells get the right label; with PCA, missing genes filled with zero, {pca:.0%}.
- **{sure:.0%}** of the surer half, by the confidence that comes with each label.
- **{loss:.3f}** nats for a hidden gene of cells that were not trained on; {blind:.3f} for a guess that sees nothing.

![UMAP](umap.png)

![Labels and training](labels.png)
"""


if __name__ == "__main__":
    main()

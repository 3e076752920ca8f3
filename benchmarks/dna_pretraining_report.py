"""Tables of the runs of benchmarks.dna_pretraining."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path


def report(folder: Path) -> str:
    """Markdown: one long run per genome, and the laws side by side where several seeds were run at
    equal steps.
    """
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not runs:
        return f"No finished run lies in {folder}."
    groups: dict[tuple[str, int], list[dict]] = {}
    for run in runs:
        groups.setdefault((run["genome"], run["steps"]), []).append(run)
    parts = []
    for (genome, steps), members in sorted(groups.items()):
        laws = {run["law"] for run in members}
        parts += _laws(genome, steps, members) if len(laws) > 1 else [text for run in members for text in _long(run)]
    return "\n".join(parts) + "\n"


def _long(run: dict) -> list[str]:
    markov = ", ".join(f"order {k} {v:.4f}" for k, v in run["markov"].items())
    places = run["context_floors"]
    zero = run["zero_shot"]
    lines = [
        f"### {run['genome']}, {run['law']}, {run['preset']}, {run['steps']:,} steps, {run['bases_trained_on'] / 1e6:.0f} M bases",
        "",
        f"One hidden base, {run['n_probed']:,} held-out places: **{run['single_base']:.4f}** nats, both strands "
        f"(standard error {run['single_base_sd']:.4f}); {run['single_base_forward']:.4f} forward strand alone.",
        "",
        f"Nonsense against synonymous, {zero['n']:,} held-out variants: AUROC **{zero['auroc']:.3f}**, order-5 Markov {zero['auroc_markov5']:.3f}.",
        "",
        f"Markov models on the validation windows: {markov} nats.",
        "",
        "Contexts of w bases on either side, counted and backed off, at the same places; repeated are places whose 24 surrounding bases also occur "
        "in the training part:",
        "",
        f"| places | share | {' | '.join(k for k in places['all'] if k != 'share')} |",
        f"|---|{'---:|' * len(places['all'])}",
        *[f"| {name} | {' | '.join(f'{v:.4f}' for v in row.values())} |" for name, row in places.items()],
        "",
        "| share hidden | nats |",
        "|---|---:|",
        *[f"| {ratio} | {value:.4f} |" for ratio, value in run["by_ratio"].items()],
        "",
        "| epoch | step | validation loss | at ratios 0 to .2 | bases per second |",
        "|---:|---:|---:|---:|---:|",
    ]
    history = pd.DataFrame(run["history"])
    for _, row in history.iloc[np.unique(np.linspace(0, len(history) - 1, 8).astype(int))].iterrows():
        lines.append(
            f"| {row['epoch'] + 1:.0f} | {row['step']:,.0f} | {row['validation_loss']:.4f} | {row['validation_loss_0.0-0.2']:.4f} "
            f"| {row['bases_per_second']:,.0f} |"
        )
    return [*lines, ""]


def _laws(genome: str, steps: int, members: list[dict]) -> list[str]:
    ratios = list(members[0]["by_ratio"])
    lines = [
        f"### {genome}, laws of the mask ratio at {steps:,} steps, mean (standard deviation) over seeds",
        "",
        f"| law | seeds | one base | {' | '.join(ratios)} | mean over ratios | AUROC nonsense |",
        f"|---|---:|---:|{'---:|' * len(ratios)}---:|---:|",
    ]
    for law in dict.fromkeys(run["law"] for run in members):
        own = [run for run in members if run["law"] == law]
        columns = [[run["single_base"] for run in own]]
        columns += [[run["by_ratio"][ratio] for run in own] for ratio in ratios]
        columns += [[np.mean(list(run["by_ratio"].values())) for run in own], [run["zero_shot"]["auroc"] for run in own]]
        cells = [f"{np.mean(c):.4f} ({np.std(c, ddof=1) if len(c) > 1 else float('nan'):.4f})" for c in columns]
        lines.append(f"| {law} | {len(own)} | {' | '.join(cells)} |")
    return [*lines, ""]

"""Model cards, made from what a model knows about itself and what its user adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from r2mae_bio.models._folder import Model

__all__ = ["model_card"]

_TAGS = ("masked-autoencoder", "r2mae")
_OF_KIND = {
    "GeneMAE": ("single-cell", "gene-expression"),
    "CellClassifier": ("single-cell", "gene-expression", "cell-type-annotation"),
    "DNAMAE": ("dna", "genomics"),
    "SequenceClassifier": ("dna", "genomics", "sequence-classification"),
}
_USE = {
    "GeneMAE": 'rb.tl.embed(adata, model)  # .obsm["X_r2mae"]; genes that were not measured are hidden',
    "CellClassifier": "labels = model.predict(adata)",
    "DNAMAE": 'rb.tl.score_variants("cohort.vcf.gz", genome, model, out="scored.vcf.gz")',
    "SequenceClassifier": "labels = model.predict(sequences)",
}


class _Advice(Protocol):
    """What :func:`r2mae_bio.tl.recommend_mask_ratio` returns."""

    @property
    def verdict(self) -> str: ...


class _Comparison(Protocol):
    """What :func:`r2mae_bio.evaluate.compare` returns."""

    reference: str

    def differences(self) -> dict[str, pd.DataFrame]: ...


def model_card(
    model: Model,
    *,
    name: str = "",
    licence: str = "",
    data: str = "",
    advice: _Advice | None = None,
    comparison: _Comparison | None = None,
) -> str:
    """Describe a model in Markdown: data, law of the ratio and realised ratios, losses, theory,
    controls.

    What nobody said is not made up: a card without ``data``, ``advice`` or ``comparison`` says that
    it lacks them.

    Parameters
    ----------
    model
        A saved or trained model.
    name
        Title, and what ``from_pretrained`` is shown to take.
    licence
        Of the weights, as the hub spells it, such as ``"apache-2.0"``.
    data
        What it was trained on: source, terms, number of cells.
    advice
        Of :func:`r2mae_bio.tl.recommend_mask_ratio`, for these data.
    comparison
        Of :func:`r2mae_bio.evaluate.compare`, with this kind of model first: controls that it beat,
        and those that it lost to.

    Returns
    -------
    The card, with the front matter that the hub reads.

    Raises
    ------
    ConfigError
        The object is no model of this package.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> model = rb.models.load("blood-small")
    >>> "mask ratio" in rb.models.model_card(model, licence="apache-2.0")
    True
    """
    import yaml

    kind = type(model).__name__
    if kind not in _USE:
        message = f"The model is a {kind}; a card can be made of {', '.join(_USE)}."
        raise ConfigError(message)
    front: dict[str, Any] = {"library_name": "r2mae_bio", "tags": [*_TAGS, *_OF_KIND[kind]]}
    if licence:
        front["license"] = licence  # the hub's spelling
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {name or kind}",
        f"A {kind} of [r2mae_bio](https://arxiv.org/abs/2509.21650), pretrained by hiding a share of its input that is itself "
        "drawn at random. Weights are safetensors, read without running code.",
        _code(name or "folder", kind),
        "## Data",
        data or "Nobody has said what it was trained on.",
        "## Model and training",
        _table(_facts(model)),
        "## Theory",
        advice.verdict if advice is not None else "No report of the linear theory was given.",
        "## Controls",
        _controls(comparison),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(model: Model) -> dict[str, str]:
    facts = model.describe()
    fingerprint = getattr(model.record, "data_fingerprint", "")
    if fingerprint:
        facts["sha256 of the training data"] = fingerprint
    checksum = getattr(model, "checksum", None)
    if checksum is not None:
        facts["sha256 of the weights"] = checksum()
    return facts


def _code(name: str, kind: str) -> str:
    return f'```python\nimport r2mae_bio as rb\n\nmodel = rb.models.from_pretrained("{name}")\n{_USE[kind]}\n```'


def _table(facts: Mapping[str, str]) -> str:
    lines = [f"| {key} | {str(value).replace('|', chr(92) + '|')} |" for key, value in facts.items()]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _controls(comparison: _Comparison | None) -> str:
    """Methods that the reference beat, and that beat it, by intervals of paired differences."""
    if comparison is None:
        return "No comparison with controls was given."
    parts = []
    for task, frame in comparison.differences().items():
        where = [column for column in ("kind", "metric", "probe", "panel", "depth") if column in frame]
        smaller_is_better = task == "denoising"
        parts.append(f"Task {task}: {comparison.reference} minus each control, with the interval of the mean.")
        head = [*where, "control", "difference", "interval", "verdict"]
        rows = [
            [
                *(str(row[column]) for column in where),
                str(row["method"]),
                f"{row['mean']:+.3f}",
                f"{row['low']:+.3f} to {row['high']:+.3f}",
                _verdict(row["low"], row["high"], smaller_is_better=smaller_is_better),
            ]
            for row in frame.to_dict("records")
        ]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows]))
    return "\n\n".join(parts)


def _verdict(low: float, high: float, *, smaller_is_better: bool) -> str:
    ahead, behind = (high < 0, low > 0) if smaller_is_better else (low > 0, high < 0)
    return "beaten" if ahead else "lost to" if behind else "level"

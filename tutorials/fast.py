"""The same calls with far less training: whether examples run, not what they find.

Tutorials and the README show what users would write, at settings worth having. To check that every
line of them still works, ``python -m tutorials.execute --fast`` and ``tests/test_readme.py`` call
:func:`shorten` first, which cuts what a call takes, whatever it was asked for.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from r2mae_bio import evaluate
from r2mae_bio.config import CellFinetuneConfig, FinetuneConfig
from r2mae_bio.model import DNAMAE, GeneMAE

if TYPE_CHECKING:
    from collections.abc import Callable


def shorten(assign: Callable[[Any, str, Any], object] = setattr) -> None:
    """Let pretraining take one epoch (of 64 windows of DNA), fine-tuning five steps, scVI one epoch
    and ``evaluate.compare`` one seed.

    Parameters
    ----------
    assign
        Puts a replacement into its place; a test that puts things back afterwards passes
        ``monkeypatch.setattr``.
    """
    assign(GeneMAE, "train", _with(GeneMAE.train, max_epochs=1))
    assign(GeneMAE, "finetune", _with(GeneMAE.finetune, config=CellFinetuneConfig(n_steps=5)))
    assign(DNAMAE, "train", _with(DNAMAE.train, max_epochs=1, epoch_windows=64))
    assign(DNAMAE, "finetune", _with(DNAMAE.finetune, config=FinetuneConfig(n_steps=5)))
    assign(evaluate.SCVI, "fit", _one_epoch(evaluate.SCVI.fit))
    assign(evaluate, "compare", _with(evaluate.compare, seeds=(0,)))


def _with(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    @wraps(function)
    def quick(*args: Any, **kwargs: Any) -> Any:
        call = inspect.signature(function).bind_partial(*args, **kwargs)
        call.arguments |= settings  # whether they were given by name or by position
        return function(*call.args, **call.kwargs)

    return quick


def _one_epoch(fit: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fit)
    def quick(self: evaluate.SCVI, *args: Any, **kwargs: Any) -> Any:
        return fit(replace(self, max_epochs=1), *args, **kwargs)

    return quick

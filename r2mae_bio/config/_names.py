"""Names that users give: the nearest known one to a misspelt name, and what to write for a name
that scvi-tools knows.
"""

from __future__ import annotations

import difflib
import functools
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

__all__ = ["MISSING_VERBS", "PLAN", "TRAIN", "answers_scvi", "check_names"]

P = ParamSpec("P")
R = TypeVar("R")

TRAIN: Final = {
    "use_gpu": 'write accelerator="gpu", or "cpu"',
    "validation_size": "what train_size leaves is validation",
    "shuffle_set_split": "the split is drawn from the seed of the model",
    "early_stopping_monitor": "the validation loss is watched",
    "early_stopping_mode": "the validation loss is watched",
    "early_stopping_min_delta": "any smaller validation loss counts",
    "early_stopping_patience": 'write train_kwargs={"patience": ...}',
    "early_stopping_warmup_epochs": 'write train_kwargs={"patience": ...}',
    "lr": 'write train_kwargs={"learning_rate": ...}',
    "weight_decay": 'write train_kwargs={"weight_decay": ...}',
    "n_epochs_kl_warmup": "there is no KL term",
    "n_steps_kl_warmup": "there is no KL term",
    "load_sparse_tensor": "rows are read sparse always",
    "datasplitter_kwargs": "loaders are those of the model",
    "datamodule": "loaders are those of the model",
}
"""Arguments of ``train`` in scvi-tools that have no place here."""

PLAN: Final = {
    "n_epochs_kl_warmup": "there is no KL term",
    "n_steps_kl_warmup": "there is no KL term",
    "max_kl_weight": "there is no KL term",
    "min_kl_weight": "there is no KL term",
    "optimizer": "the optimiser is AdamW",
    "optimizer_creator": "the optimiser is AdamW",
    "eps": "it is PyTorch's default",
    "reduce_lr_on_plateau": "the learning rate falls along a cosine",
    "lr_factor": "the learning rate falls along a cosine",
    "lr_patience": "the learning rate falls along a cosine",
    "lr_threshold": "the learning rate falls along a cosine",
    "lr_min": "the learning rate falls along a cosine",
    "lr_scheduler_metric": "the learning rate falls along a cosine",
    "compile": "networks are not compiled",
    "max_norm": 'write train_kwargs={"gradient_clip": ...}',
    "gradient_clip_val": 'write train_kwargs={"gradient_clip": ...}',
}
"""Keys of ``plan_kwargs`` in scvi-tools that have no place here."""

MISSING_VERBS: Final = {
    "load_query_data": "GeneMAE.load(path), then model.map_query(query), which retrains nothing",
    "prepare_query_anndata": "nothing: genes are matched by name, and those that a query lacks are hidden",
    "differential_expression": "tl.attribute for the genes that set groups apart in the model, and scanpy.tl.rank_genes_groups for tests on counts",
    "get_elbo": "history, whose val_loss is the negative log-likelihood of hidden genes; there is no ELBO",
    "get_reconstruction_error": "history, whose val_loss is the negative log-likelihood of hidden genes",
    "get_marginal_ll": "history, whose val_loss is the negative log-likelihood of hidden genes",
    "posterior_predictive_sample": "get_predictive_moments, the mean and the standard deviation of every gene",
    "get_likelihood_parameters": "get_predictive_moments, the mean and the standard deviation of every gene",
    "get_feature_correlation_matrix": "get_gene_embeddings, compared by cosine",
    "view_anndata_setup": 'adata.uns["r2mae"]["setup"]',
    "minify_adata": "nothing: a saved model holds no data",
}
"""Methods of models of scvi-tools, and what to call instead."""


def check_names(given: Iterable[str], known: Collection[str], *, what: str, instead: Mapping[str, str] | None = None) -> None:
    """Refuse a name that is not known.

    Parameters
    ----------
    given
        What the user named.
    known
        What there is.
    what
        What the names are of, for the message, such as "train_kwargs".
    instead
        What to do instead, for names that other packages know.

    Raises
    ------
    ConfigError
        A name is unknown; the message gives what to write instead, or the nearest name, or all.
    """
    for name in given:
        if name in known:
            continue
        if instead is not None and name in instead:
            message = f"{what} has no {name!r}: {instead[name]}."
            raise ConfigError(message)
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(known))}."
        message = f"{what} has no {name!r}. {hint}"
        raise ConfigError(message)


def answers_scvi(**instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method answer arguments that it has in scvi-tools, but not here.

    Parameters
    ----------
    instead
        What to do instead, by the name of the argument.

    Returns
    -------
    A decorator; the method then raises a ConfigError for one of these, and is otherwise as it was.
    """

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(method)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in instead.keys() & kwargs.keys():
                message = f"{method.__name__}() has no {name!r}: {instead[name]}."
                raise ConfigError(message)
            return method(*args, **kwargs)

        return called

    return decorate

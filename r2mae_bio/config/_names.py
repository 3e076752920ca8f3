"""Names that users give: the nearest known one to a misspelt name, and what to write for a name
that scvi-tools knows.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from abc import ABCMeta
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeVar

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

__all__ = [
    "MISSING_VERBS",
    "NETWORK",
    "PLAN",
    "TRAIN",
    "AnswersForClass",
    "answers_misspelt",
    "answers_scvi",
    "check_names",
    "in_config",
    "refuse_attribute",
]

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
    "plan_config": 'write plan_kwargs={"lr": ..., "weight_decay": ...}',
    "trainer_config": "write what pytorch_lightning.Trainer takes as arguments of their own",
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

NETWORK: Final = {
    "dropout_rate": "write dropout=...",
    "dispersion": "every gene has one dispersion",
    "latent_distribution": "an embedding is not drawn from a distribution",
    "registry": "pass data that were set up",
    "encode_covariates": "covariates enter the decoder alone",
    "deeply_inject_covariates": "covariates enter the decoder alone",
    "use_batch_norm": "layers are normalised by themselves, never over cells",
    "use_layer_norm": "layers are always normalised by themselves",
    "use_size_factor_key": "the depth of a cell is estimated from its measured genes",
}
"""Arguments of models in scvi-tools that have no place here."""

MISSING_VERBS: Final = {
    "load_query_data": "GeneMAE.load(path), then model.map_query(query), which retrains nothing",
    "prepare_query_anndata": "nothing: genes are matched by name, and those that a query lacks are hidden",
    "differential_expression": "tl.attribute for the genes that set groups apart in the model, and scanpy.tl.rank_genes_groups for tests on counts",
    "get_elbo": "history, whose validation_loss is the negative log-likelihood of hidden genes; there is no ELBO",
    "get_reconstruction_error": "history, whose validation_loss is the negative log-likelihood of hidden genes",
    "get_marginal_ll": "history, whose validation_loss is the negative log-likelihood of hidden genes",
    "posterior_predictive_sample": "get_predictive_moments, the mean and the standard deviation of every gene",
    "get_likelihood_parameters": "get_predictive_moments, the mean and the standard deviation of every gene",
    "get_feature_correlation_matrix": "get_gene_embeddings, compared by cosine",
    "view_anndata_setup": 'adata.uns["r2mae"]["setup"]',
    "view_setup_args": 'adata.uns["r2mae"]["setup"]',
    "view_registry": 'adata.uns["r2mae"]["setup"]',
    "registry": 'adata.uns["r2mae"]["setup"]',
    "prepare_query_mudata": "nothing: pass the part with gene expression, mdata.mod[...]",
    "setup_annbatch": "setup_anndata, of an io.CellStore of the collection",
    "minify_adata": "nothing: a saved model holds no data",
    "convert_legacy_save": "nothing: files of older versions are read as they are",
    "from_scvi_model": "finetune, which makes a classifier of the model",
    "predict": "finetune, which makes a classifier; or tl.transfer_labels",
    "get_batch_representation": "get_latent_representation, from which batches are taken out",
    "get_aggregated_posterior": "get_latent_representation; an embedding has no distribution",
    "differential_abundance": "get_latent_representation, and a package for abundances such as pertpy",
    "get_importance_weights": "get_normalized_expression; expected values are not drawn",
    "get_ranked_features": "tl.attribute for the genes that set groups apart in the model",
    "shap_predict": "tl.attribute for the genes that set groups apart in the model",
    "train_indices": "nothing; the split is drawn from train_size and the seed of the model",
    "validation_indices": "nothing; the split is drawn from train_size and the seed of the model",
    "test_indices": "data that were not trained on; there is no third part",
}
"""Methods of models of scvi-tools, and what to call instead."""


def check_names(
    given: Iterable[str],
    known: Collection[str],
    *,
    what: str,
    instead: Mapping[str, str] | None = None,
    near: Collection[str] = (),
) -> None:
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
    near
        Further names that a misspelt one may stand for.

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
        alike = difflib.get_close_matches(name, [*known, *near, *(instead or ())], n=1, cutoff=0.7)
        hint = f"Did you mean {alike[0]!r}?" if alike else f"Known are {', '.join(sorted({*known, *near}))}."
        message = f"{what} has no {name!r}. {hint}"
        raise ConfigError(message)


def answers_scvi(order: str = "", /, **instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method answer arguments that it has in scvi-tools, but not here, and misspelt ones.

    Parameters
    ----------
    order
        Names of the arguments there, by position, parted by spaces; where we have one, by our name.
        More positional arguments than the method takes are read by them.
    instead
        What to do instead, by the name of the argument.

    Returns
    -------
    A decorator; the method then raises a ConfigError for one of these that is not None and for a
    name near one that it takes, a TypeError with all that it takes for any other name, and is
    otherwise as it was.
    """
    names = order.split()

    def decorate(method: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(method).parameters
        n_positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())  # and answers them itself
        known = [name for name in parameters if name not in ("self", "cls")]

        @functools.wraps(method)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            itself, given = args[:1], dict(kwargs)
            if n_positional < len(args) <= len(names) + 1:
                by_place = dict(zip(names, args[1:], strict=False))
                if twice := sorted(by_place.keys() & given.keys()):
                    message = f"{method.__name__}() was given {', '.join(twice)} by position and by name; give each once."
                    raise ConfigError(message)
                args, given = itself, by_place | given  # type: ignore[assignment]
            for name in [name for name in given if name in instead]:
                if given.pop(name) is not None:
                    message = f"{method.__name__}() has no {name!r}: {instead[name]}."
                    raise ConfigError(message)
            if not takes_any:
                _refuse_unknown(given, known, method.__name__)
            return method(*args, **given)  # type: ignore[arg-type]

        return called

    return decorate


def _refuse_unknown(given: Iterable[str], known: Sequence[str], method: str) -> None:
    """Refuse a name by the nearest one; where there is none, as Python does, with all of them."""
    for name in given:
        if name in known:
            continue
        if alike := difflib.get_close_matches(name, known, n=1, cutoff=0.7):
            message = f"{method}() has no {name!r}. Did you mean {alike[0]!r}?"
            raise ConfigError(message)
        message = f"{method}() got an unexpected keyword argument {name!r}. Known are {', '.join(sorted(known))}."
        raise TypeError(message)


def answers_misspelt(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function answer names that it does not take as :func:`answers_scvi` does: by the
    nearest one, or all.

    Parameters
    ----------
    function
        What takes the arguments.
    """
    return answers_scvi()(function)


def in_config(cls: type[Any]) -> dict[str, str]:
    """What to do instead of passing a setting of ``config=`` as an argument of its own, for
    :func:`answers_scvi`.

    Parameters
    ----------
    cls
        The class of the settings, which count steps instead of epochs.
    """
    names = {field.name: field.name for field in fields(cls)} | {"max_epochs": "n_steps"}
    return {name: f"write config=r2mae_bio.config.{cls.__name__}({ours}=...)" for name, ours in names.items()}


class AnswersForClass(ABCMeta):
    """Answers a method that scvi-tools calls on a class, such as ``load_query_data``, as an object
    of the class does.
    """

    if not TYPE_CHECKING:  # a type checker should go on knowing which attributes there are

        def __getattr__(cls, name: str) -> Any:
            refuse_attribute(f"type object {cls.__name__!r}", name)


def refuse_attribute(owner: str, name: str) -> NoReturn:
    """Say that an attribute is not there, and what to call instead.

    Parameters
    ----------
    owner
        Whose attribute, such as "'GeneMAE' object".
    name
        Its name.

    Raises
    ------
    AttributeError
        Always, so that ``hasattr`` is False.
    """
    hint = f"; use {MISSING_VERBS[name]}" if name in MISSING_VERBS else ""
    message = f"{owner} has no attribute {name!r}{hint}"
    raise AttributeError(message)

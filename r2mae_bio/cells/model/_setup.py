"""What ``setup_anndata`` records, and how the data of a call are found and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError, DataError, EmptyCellsError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio._warn import warn
from r2mae_bio.cells.read._check import advise, check_counts, check_finite
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix
from r2mae_bio.cells.read._obs import read_column
from r2mae_bio.cells.read._panels import CellPanels, panel_table, read_panels, write_panels
from r2mae_bio.cells.read._unmeasured import GeneTally
from r2mae_bio.cells.read._uns import read_record, write_record

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class Setup:
    """Where a data set keeps what a model reads."""

    layer: str | None = None
    """Layer of counts; ``X`` if None."""
    gene_likelihood: str = "nb"
    """``"normal"`` if the layer is log-normalised."""
    batch_key: str | None = None
    """Column of the batch."""
    categorical_covariate_keys: tuple[str, ...] = ()
    """Further categorical columns."""
    continuous_covariate_keys: tuple[str, ...] = ()
    """Continuous columns."""
    labels_key: str | None = None
    """Column of the classes that fine-tuning learns unless told another; pretraining reads none."""

    @property
    def categorical(self) -> tuple[str, ...]:
        """The batch and the other categorical columns."""
        return (*([self.batch_key] if self.batch_key else []), *self.categorical_covariate_keys)

    def with_covariates_of(self, trained: Setup) -> Setup:
        """Give this setup the batch and covariates that a model was trained with.

        Raises
        ------
        SetupError
            It names covariates, and not those of the model.
        """
        keys = ("batch_key", "categorical_covariate_keys", "continuous_covariate_keys")
        own, needed = ({key: getattr(setup, key) for key in keys} for setup in (self, trained))
        if any(own.values()) and own != needed:
            message = (
                f"The data were set up with {own}; the model was trained with {needed}. Call setup_anndata with the model's."
            )
            raise SetupError(message)
        return replace(self, **needed)

    def write(self, adata: AnnData) -> None:
        """Record in ``.uns["r2mae"]["setup"]``; what is None or empty is left out, since h5ad has
        no None.
        """
        record = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items() if v not in (None, ())}
        write_record(adata, KEYS.setup, record)

    @classmethod
    def read(cls, adata: AnnData) -> Setup:
        """Read what :meth:`write` recorded, also after a round trip through h5ad.

        Raises
        ------
        SetupError
            There is no record.
        """
        record = read_record(adata, KEYS.setup)
        if record is None:
            message = (
                'adata.uns["r2mae"]["setup"] is missing: the data were not set up. '
                'Call GeneMAE.setup_anndata(adata, layer="counts") first, with the layer that holds raw counts.'
            )
            raise SetupError(message)
        many = ("categorical_covariate_keys", "continuous_covariate_keys")
        settings: dict[str, Any] = {k: tuple(str(x) for x in v) if k in many else str(v) for k, v in record.items()}
        return cls(**settings)

    def check(
        self,
        adata: AnnData,
        *,
        allow_empty: bool = False,
        panels: CellPanels | None = None,
        compare: str | None = None,
        likelihood: bool = False,
    ) -> None:
        """Check every value of the matrix that was measured.

        Parameters
        ----------
        adata
            The data.
        allow_empty
            Warn about all-zero cells instead of refusing them: a query measured on a small panel
            may hold some.
        panels
            Which columns were measured in which cell; what the data say if None.
        compare
            Column of ``.obs`` with batches: if the data do not say what was measured, warn of those
            that seem to have been measured by other panels than the rest.
        likelihood
            Whether the user may still choose another one, which an error then advises.

        Raises
        ------
        CountsError
            One of its subclasses, by what is wrong.
        """
        advice = advise(adata, self.layer, likelihood=likelihood)
        check = check_finite if self.gene_likelihood == "normal" else partial(check_counts, advice=advice)
        names = {"where": describe_matrix(self.layer), "obs_names": adata.obs_names, "var_names": adata.var_names}
        panels = read_panels(adata) if panels is None else panels
        tally = GeneTally.unasked(adata, compare) if panels is None else None
        try:
            check(get_matrix(adata, self.layer), **names, panels=panels, watch=None if tally is None else tally.add)
        except EmptyCellsError as error:
            if not allow_empty:
                raise
            warn(f"{error} They are embedded all the same, as cells about which nothing is known.")
        if tally is not None:
            tally.warn(str(compare), adata.var_names)


def set_up(adata: AnnData, setup: Setup, measured: Any, panel_key: str | None) -> None:
    """Check data that are to be trained on, and write where they keep what a model reads.

    Parameters
    ----------
    adata
        The data; nothing is written if they cannot be used.
    setup
        What to write.
    measured, panel_key
        As in :meth:`GeneMAE.setup_anndata`.

    Raises
    ------
    ConfigError
        ``measured`` without a column of panels, or the reverse.
    SetupError, DataError
        The column of labels does not exist, or holds none.
    """
    key = setup.batch_key if panel_key is None else panel_key
    if setup.labels_key is not None:
        check_labels(adata, setup.labels_key)
    if measured is None and panel_key is not None:
        message = f"panel_key is {panel_key!r}, but measured is None; needed are both: the panel of each cell, and the genes of each panel."
        raise ConfigError(message)
    if measured is None:
        setup.check(adata, compare=setup.batch_key, likelihood=True)
    elif key is None:
        message = "measured needs to know the panel of each cell; pass panel_key= or batch_key=, a column of .obs that names it."
        raise ConfigError(message)
    else:
        table = panel_table(adata, measured)
        setup.check(adata, panels=CellPanels.of(table, adata.obs, key), likelihood=True)
        write_panels(adata, table, key)
    setup.write(adata)


def check_labels(adata: AnnData, key: str) -> None:
    """Refuse a column of labels that does not exist or holds none.

    Raises
    ------
    SetupError
        There is no such column.
    DataError
        No cell has a label.
    """
    if read_column(adata.obs, key).isna().all():
        message = f"obs[{key!r}] has no label in any of {adata.n_obs} cells; needed is the class of some. Check the column, or leave labels_key away."
        raise DataError(message)


def choose_labels(asked: str | None, adata: AnnData, model_key: str | None) -> str:
    """Column of the classes: the one asked for, else that of the data's own setup, else that of the
    training data.

    Parameters
    ----------
    asked
        What the caller asked for.
    adata
        Labelled cells.
    model_key
        What the training data were set up with.

    Raises
    ------
    ConfigError
        There is none.
    """
    record: dict[str, Any] = read_record(adata, KEYS.setup) or {}
    key = asked or record.get("labels_key") or model_key
    if key is None:
        message = "labels_key is None, and the data were set up without; needed is the column of .obs that holds the classes."
        raise ConfigError(message)
    return str(key)


def query_layer(adata: AnnData, layer: str | None, model_layer: str | None, likelihood: str) -> str | None:
    """Which layer of a query to read: the one asked for, else the query's own setup, else the layer
    the model was trained on.

    A setup that names counts does not count for a model of log-normalised values, nor the reverse.

    Parameters
    ----------
    adata
        The query.
    layer
        What the caller asked for.
    model_layer
        Layer of the training data.
    likelihood
        Of the model.
    """
    if layer is not None:
        return layer
    record: dict[str, Any] | None = read_record(adata, KEYS.setup)
    if record is not None and (record.get("gene_likelihood", "nb") == "normal") == (likelihood == "normal"):
        return str(record["layer"]) if "layer" in record else None
    return model_layer if model_layer in adata.layers else None


def choose_likelihood(asked: str | None, setup: Setup) -> str:
    """The likelihood asked for, if the data were checked for it; that of the setup if None.

    Parameters
    ----------
    asked
        What the caller of the model asked for.
    setup
        Of the data.

    Raises
    ------
    ConfigError
        Counts were set up for a normal likelihood, or the reverse.
    """
    if asked is None:
        return setup.gene_likelihood
    if (asked == "normal") != (setup.gene_likelihood == "normal"):
        message = (
            f"gene_likelihood={asked!r}, but the data were set up with gene_likelihood={setup.gene_likelihood!r}. "
            f"Call GeneMAE.setup_anndata(adata, gene_likelihood={asked!r}, ...) so that the values are checked for it."
        )
        raise ConfigError(message)
    return asked

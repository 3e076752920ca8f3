"""The part of ``GeneMAE`` that learns from labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.cells.model._classifier import CellClassifier, finetune_cells
from r2mae_bio.cells.model._reader import SavedGeneModel

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.config._finetune_cells import CellFinetuneConfig


class FinetuneMixin(SavedGeneModel):
    """Fine-tuning of a pretrained gene model."""

    def finetune(
        self,
        adata: AnnData,
        *,
        labels_key: str,
        layer: str | None = None,
        freeze_encoder: bool = False,
        split_key: str | None = None,
        dev_size: float = 0.1,
        groups_key: str | None = None,
        config: CellFinetuneConfig | None = None,
        seed: int = 0,
        progress_bar: bool = True,
    ) -> CellClassifier:
        """Train a copy of the encoder, and a head, to classify cells; this model stays as it is.

        The head begins at a logistic regression on the frozen embeddings, a linear probe. Training
        hides random parts of the genes of some cells, by this model's law of the mask ratio, so
        that the classifier also reads panels; other weights than the probe's are kept only if they
        lose less on the dev cells, judged in full and with hidden genes. Ctrl-C keeps the best so
        far.

        Parameters
        ----------
        adata
            Labelled cells; they need not have been set up.
        labels_key
            Column of ``.obs`` with the classes. Cells without a label are left out with a warning.
        layer
            Layer of counts; if None, that of the data's own setup, else that of the training data
            if present, else ``X``.
        freeze_encoder
            Train the head alone.
        split_key
            Column of ``.obs`` that says ``"train"`` or ``"dev"``; other cells are left out. Dev
            cells are drawn if it says no ``"dev"``.
        dev_size
            Share of the cells that are drawn to judge when to stop, class by class.
        groups_key
            Column of ``.obs`` with groups, such as donors; whole groups are drawn then.
        config
            Settings of the training.
        seed
            Of dev cells, head, order, masks and dropout.
        progress_bar
            Show progress on standard error.

        Returns
        -------
        A classifier with ``predict_proba``, ``predict``, ``evaluate``, ``save`` and ``load``.

        Raises
        ------
        NotTrainedError
            There are no weights yet; :meth:`initialize` makes untrained ones.
        ConfigError
            A setting cannot work.
        SetupError
            A column or layer does not exist.
        DataError
            There are fewer than two classes, or no dev cells; its subclasses tell what is wrong
            with counts and genes.
        TrainingError
            The loss is no longer finite.
        """
        return finetune_cells(
            self._network(),
            self.record,
            adata,
            labels_key=labels_key,
            layer=layer,
            freeze_encoder=freeze_encoder,
            split_key=split_key,
            dev_size=dev_size,
            groups_key=groups_key,
            config=config,
            seed=seed,
            pretrained=self.checksum(),
            progress_bar=progress_bar,
        )

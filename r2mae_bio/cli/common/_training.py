"""A training run as the command line shows it: one bar for all of its steps."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pytorch_lightning.callbacks import Callback

from r2mae_bio._progress import count_steps

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

__all__ = ["Watch"]


class Watch(Callback):
    """Counts the steps of a whole run.

    Parameters
    ----------
    shown
        Whether there is a bar, see :func:`r2mae_bio._progress.count_steps`.
    """

    def __init__(self, *, shown: bool | None) -> None:
        self.shown = shown
        self.leads = True
        """Whether this process is the first of those that train together."""
        self._stack = ExitStack()
        self._advance: Any = None

    def on_train_start(self, trainer: Trainer, training: Any) -> None:
        """Open the bar."""
        self.leads = trainer.is_global_zero
        shown = self.shown if self.leads else False
        counted = count_steps("training", training.total_steps, done=training.step, shown=shown)
        self._advance = self._stack.enter_context(counted)

    def on_train_batch_end(self, trainer: Trainer, training: Any, *args: Any) -> None:
        """One more step."""
        self._advance(1)

    def on_train_end(self, trainer: Trainer, training: Any) -> None:
        """Close the bar."""
        self._stack.close()

    def on_exception(self, trainer: Trainer, training: Any, exception: BaseException) -> None:
        """Close the bar."""
        self._stack.close()

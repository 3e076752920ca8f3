"""A training run as the command line shows it: one bar for all of it, and a Ctrl-C that ends the
command.
"""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pytorch_lightning.callbacks import Callback

from r2mae_bio._progress import count_steps

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

__all__ = ["Watch"]


class Watch(Callback):
    """Counts the steps of a whole run, and remembers whether Ctrl-C cut it short.

    A run stops after its current step, writes a checkpoint and returns, as in a notebook; the
    command has to know of it, for it does not publish a model that is half trained.

    Parameters
    ----------
    shown
        Whether there is a bar, see :func:`r2mae_bio._progress.count_steps`.
    """

    def __init__(self, *, shown: bool | None) -> None:
        self.shown = shown
        self.interrupted = False
        """Whether Ctrl-C ended the run."""
        self.leads = True
        """Whether this process is the first of those that train together."""
        self._stack = ExitStack()
        self._advance: Any = None

    def on_train_start(self, trainer: Trainer, training: Any) -> None:
        """Open the bar, and listen to Ctrl-C before the run does."""
        self.leads = trainer.is_global_zero
        shown = self.shown if self.leads else False
        counted = count_steps("training", training.total_steps, done=training.step, shown=shown)
        self._advance = self._stack.enter_context(counted)
        if threading.current_thread() is threading.main_thread():
            stop: Any = signal.getsignal(signal.SIGINT)  # the run puts back what was there before it

            def remember(*args: Any) -> None:
                self.interrupted = True
                stop(*args)

            signal.signal(signal.SIGINT, remember)

    def on_train_batch_end(self, trainer: Trainer, training: Any, *args: Any) -> None:
        """One more step."""
        self._advance(1)

    def on_train_end(self, trainer: Trainer, training: Any) -> None:
        """Close the bar."""
        self._stack.close()

    def on_exception(self, trainer: Trainer, training: Any, exception: BaseException) -> None:
        """Close the bar."""
        self._stack.close()

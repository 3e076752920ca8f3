"""A random mask ratio for masked language models of Hugging Face."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.integrations._laws import law_of
from r2mae_bio.masking import Choice, Fixed, draw_plan

try:
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback
except ImportError as error:
    needed = f'This module needs transformers, which cannot be imported ({error}): pip install "r2mae_bio[huggingface]".'
    raise ImportError(needed) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.masking import RatioLaw, Scope

__all__ = ["RandomRatioCollator", "RandomRatioTrainer"]

_IGNORED = -100
"""Label of what is not predicted, in transformers and torch."""
_GRID = (0.1, 0.3, 0.5, 0.7, 0.9)
_SCOPES: Final[tuple[Scope, ...]] = ("batch", "row", "rectangle")


class RandomRatioCollator(DataCollatorForLanguageModeling):
    """``DataCollatorForLanguageModeling`` whose mask ratio is drawn from a law.

    Of every row ``round(ratio * n)`` of its n tokens (words, with ``whole_word_mask``) are hidden,
    special tokens aside, at least one and at most n - 1. With a fixed ratio it is the collator of
    transformers, bit for bit.

    Once :meth:`set_epoch` was told the epoch, as by :class:`RandomRatioTrainer`, what is hidden is
    a function of the seed, the epoch and the tokens of the minibatch: neither the number of workers
    nor a resumed run changes it. Before that, every minibatch has masks of its own, which follow
    the number of workers, too.

    Parameters
    ----------
    tokenizer
        Of any masked language model.
    mask_ratio
        A number (fixed), a pair (uniform; R2MAE is ``(0, 1)``) or a law of
        :mod:`r2mae_bio.masking`.
    scope
        One ratio for a ``"batch"`` or for each ``"row"``, or ``"rectangle"``: one ratio and one
        order of the slots for all rows of a minibatch, which hide the same ones where they are as
        long. Of a law its own scope if None, else ``"batch"``.
    seed
        Seed of ratios and masks. None, as for transformers, takes PyTorch's.
    settings
        As for ``DataCollatorForLanguageModeling``: ``whole_word_mask``, ``mask_replace_prob``,
        ``random_replace_prob``, ``pad_to_multiple_of``, ``return_tensors`` (``"pt"`` or ``"np"``).

    Raises
    ------
    ConfigError
        ``mask_ratio`` is no law, the scope is not known, the seed is no whole number from 0 on, or
        the tokenizer has no token for what is hidden.
    DataError
        Of a minibatch, once it is made: nothing in it can be hidden.

    Examples
    --------
    >>> from r2mae_bio.integrations.huggingface import RandomRatioCollator
    >>> collator = RandomRatioCollator(tokenizer, mask_ratio=(0, 1))  # doctest: +SKIP
    >>> trainer = RandomRatioTrainer(model, args, data_collator=collator)  # doctest: +SKIP
    """

    def __init__(
        self,
        tokenizer: Any,
        mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1),
        *,
        scope: str | None = None,
        seed: int | None = 0,
        **settings: Any,
    ) -> None:
        self.law = law_of(mask_ratio, scope, _SCOPES)
        plain = scope is None and self.law.scope != "rectangle"
        ratio = self.law.ratio if isinstance(self.law, Fixed) and plain else 0.0
        self.fixed = ratio > 0
        if "mlm_probability" in settings or settings.get("mlm") is False:
            message = "mlm_probability and mlm are told by mask_ratio, as in RandomRatioCollator(tokenizer, mask_ratio=0.15)."
            raise ConfigError(message)
        _check(tokenizer, seed)
        # where the ratio is not fixed, nothing reads the probability
        super().__init__(tokenizer, mlm_probability=ratio or 0.5, seed=seed, **settings)
        self._repeats, self._calls = False, 0
        # workers see the epoch, or -1 where nobody told it, the share of the training, and what a
        # minibatch adds to that
        self._position = torch.tensor([-1, 0, 0], dtype=torch.float64).share_memory_()
        self._told, self._made = self._position.tolist(), 0

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the data begins.

        Parameters
        ----------
        epoch
            Its number, from 0.
        """
        self._position[0] = int(epoch)

    def set_progress(self, share: float, *, per_batch: float = 0.0) -> None:
        """Say how much of the training is done, for laws that move, such as
        :class:`r2mae_bio.masking.Schedule`.

        Parameters
        ----------
        share
            From 0 to 1.
        per_batch
            What each minibatch from here on adds. Workers make minibatches ahead of the training:
            told at the beginning of an epoch, this keeps what they hide from depending on how far.
        """
        self._position[1], self._position[2] = float(share), float(per_batch)

    def for_validation(self, ratios: float | Sequence[float] = _GRID) -> RandomRatioCollator:
        """A collator for validation, whose masks are the same in every epoch.

        Parameters
        ----------
        ratios
            Each row gets one of these, or the one.
        """
        names = ("whole_word_mask", "mask_replace_prob", "random_replace_prob", "pad_to_multiple_of", "return_tensors")
        settings = {name: getattr(self, name) for name in names}
        seed = torch.initial_seed() >> 1 if self.seed is None else self.seed  # a worker's is another in each pass
        made = type(self)(self.tokenizer, Choice(tuple(np.atleast_1d(ratios).tolist())), scope="row", seed=seed, **settings)
        made._repeats = True
        return made

    def torch_call(self, examples: list[Any]) -> dict[str, Any]:
        """A minibatch, of tensors."""
        return super().torch_call(self._padded(examples))

    def numpy_call(self, examples: list[Any]) -> dict[str, Any]:
        """A minibatch, of arrays."""
        return super().numpy_call(self._padded(examples))

    def torch_mask_tokens(self, inputs: Any, special_tokens_mask: Any = None, offset_mapping: Any = None) -> tuple[Any, Any]:
        """Hide tokens; called by the collator.

        Parameters
        ----------
        inputs
            Tokens, int64 (B, L), changed in place.
        special_tokens_mask
            Which are special, (B, L); asked of the tokenizer if None.
        offset_mapping
            Where they stand in the text, (B, L, 2); needed to hide whole words.

        Returns
        -------
        The tokens, and those to predict, -100 elsewhere.
        """
        if self.fixed:
            return super().torch_mask_tokens(inputs, special_tokens_mask, offset_mapping)
        rng = self._generator(inputs)
        special = self._special(inputs, special_tokens_mask)
        if self.whole_word_mask:
            words, inner = _words(self, offset_mapping, special)
            hidden = self._whole_word_mask(words, self._hidden(~inner, rng))
        else:
            hidden = self._hidden(~special, rng)
        mask = torch.from_numpy(np.ascontiguousarray(hidden))
        labels = inputs.clone()
        labels[~mask] = _IGNORED
        self._replace(inputs, hidden, rng)
        return inputs, labels

    def numpy_mask_tokens(self, inputs: Any, special_tokens_mask: Any = None, offset_mapping: Any = None) -> tuple[Any, Any]:
        """As :meth:`torch_mask_tokens`, of arrays."""
        if self.fixed:
            return super().numpy_mask_tokens(inputs, special_tokens_mask, offset_mapping)
        found = self.torch_mask_tokens(torch.from_numpy(np.asarray(inputs)), special_tokens_mask, offset_mapping)
        return found[0].numpy(), found[1].numpy()

    def _padded(self, examples: list[Any]) -> list[Any]:
        """The same with offsets of equal length, on the side where the tokenizer pads all else."""
        if not examples:
            message = "A minibatch has no text; needed is at least one."
            raise DataError(message)
        if not all(isinstance(row, Mapping) and "offset_mapping" in row for row in examples):
            return examples
        multiple, left = self.pad_to_multiple_of or 1, self.tokenizer.padding_side == "left"
        length = -(-max(len(row["input_ids"]) for row in examples) // multiple) * multiple
        padded = []
        for row in examples:
            own = [tuple(pair) for pair in row["offset_mapping"]]
            none = [(0, 0)] * (length - len(own))
            padded.append({**row, "offset_mapping": none + own if left else own + none})
        return padded

    # ------------------------------------------------------------------ what is hidden

    def _generator(self, inputs: Tensor) -> np.random.Generator:
        seed = torch.initial_seed() >> 1 if self.seed is None else self.seed
        digest = hashlib.blake2b(np.ascontiguousarray(inputs.numpy()).tobytes(), digest_size=8).digest()
        return derive_generator(seed, "collator", *self._pass(), int.from_bytes(digest, "little"))

    def _pass(self) -> tuple[int, ...]:
        """Which pass over the data this is, or, if that is not known, which call."""
        worker = torch.utils.data.get_worker_info()
        if self._repeats:
            return 0, 0
        if int(self._position[0]) >= 0:
            return 1, int(self._position[0])
        self._calls += 1
        if worker is not None:  # the seed alone would do, but workers that persist keep theirs
            return 2, int(worker.seed), self._calls
        return 3, self._calls

    def _progress(self) -> float:
        """Share of the training that is done when the minibatch that is being made is used."""
        told, worker = self._position.tolist(), torch.utils.data.get_worker_info()
        if told != self._told:
            self._told, self._made = told, 0
        place = self._made if worker is None else self._made * worker.num_workers + worker.id  # they take turns
        self._made += 1
        return float(min(told[1] + place * told[2], 1.0))

    def _special(self, inputs: Tensor, given: Any) -> NDArray[np.bool_]:
        if given is None:
            ask = self.tokenizer.get_special_tokens_mask
            given = [ask(row, already_has_special_tokens=True) for row in inputs.tolist()]
        return np.asarray(given).astype(bool)

    def _hidden(self, valid: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the tokens, or first tokens of words, that may be hidden are, bool (B, L)."""
        n = valid.sum(1)
        if not n.any():
            message = f"None of the {valid.size} tokens of a minibatch can be hidden: all are special or padding. Leave empty texts out."
            raise DataError(message)
        ratio = self.law.sample(len(valid), rng, progress=self._progress())
        hidden, many = valid.copy(), n > 1  # a single token is hidden
        if many.any():
            rectangle = self.law.scope == "rectangle"
            hidden[many] = draw_plan(torch.from_numpy(valid[many]), ratio[many], rng, rectangle=rectangle).hidden.numpy()
        return hidden

    def _replace(self, inputs: Tensor, hidden: NDArray[np.bool_], rng: np.random.Generator) -> None:
        """Put the mask, or now and then another token, in the place of what is hidden."""
        kind, inputs_now = rng.random(hidden.shape), inputs.numpy()  # shares its memory
        masked = hidden & (kind < self.mask_replace_prob)
        other = hidden & ~masked & (kind < self.mask_replace_prob + self.random_replace_prob)
        inputs_now[masked] = self.tokenizer.convert_tokens_to_ids(self.tokenizer.mask_token)
        inputs_now[other] = rng.integers(len(self.tokenizer), size=int(other.sum()))


def _check(tokenizer: Any, seed: Any) -> None:
    """Refuse what would fail at the first minibatch, or whose error in transformers says to pass
    ``mlm=False``.
    """
    if getattr(tokenizer, "mask_token", None) is None:
        message = (
            f"The tokenizer is a {type(tokenizer).__name__} without mask_token, which stands for what is hidden; take that of a masked "
            'language model, or call tokenizer.add_special_tokens({"mask_token": "[MASK]"}) and resize the embeddings of the model.'
        )
        raise ConfigError(message)
    if seed is not None and not (isinstance(seed, int | np.integer) and seed >= 0):
        message = f"seed is {seed!r}; needed is a whole number, at least 0, or None for that of PyTorch."
        raise ConfigError(message)


def _words(collator: Any, offsets: Any, special: NDArray[np.bool_]) -> tuple[Any, NDArray[np.bool_]]:
    """Number of the word of each token, and which tokens do not begin one."""
    if offsets is None:
        message = "Whole words are told by where tokens stand: tokenize with return_offsets_mapping=True."
        raise DataError(message)
    words, inner = collator._calc_word_ids_and_prob_mask(np.asarray(offsets), special.astype(np.int64))
    return words, inner


class _TellsEpoch(TrainerCallback):
    def __init__(self, collator: RandomRatioCollator) -> None:
        self.collator = collator

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        n_steps = max(state.max_steps, 1)
        self.collator.set_epoch(int((state.epoch or 0) + 1e-6))
        self.collator.set_progress(state.global_step / n_steps, per_batch=1 / (n_steps * args.gradient_accumulation_steps))


class RandomRatioTrainer(Trainer):
    """``transformers.Trainer`` that tells a :class:`RandomRatioCollator` the epoch, and validates
    on masks that stay the same, of ratios 0.1 to 0.9.

    Parameters
    ----------
    args, kwargs
        As for ``transformers.Trainer``.
    validation_ratios
        See :meth:`RandomRatioCollator.for_validation`.

    Raises
    ------
    ConfigError
        ``data_collator`` is none of ours.
    """

    def __init__(self, *args: Any, validation_ratios: Sequence[float] = _GRID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.data_collator, RandomRatioCollator):
            message = f"data_collator is a {type(self.data_collator).__name__}; needed is a RandomRatioCollator, or transformers.Trainer."
            raise ConfigError(message)
        self.validation_ratios = tuple(validation_ratios)
        self.add_callback(_TellsEpoch(self.data_collator))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As in ``transformers.Trainer``, with the collator of the validation."""
        training: Any = self.data_collator
        self.data_collator = training.for_validation(self.validation_ratios)
        try:
            return super().get_eval_dataloader(eval_dataset)
        finally:
            self.data_collator = training

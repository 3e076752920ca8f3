"""A random mask ratio for the masked autoencoder of images in transformers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.integrations._laws import law_of
from r2mae_bio.masking import Fixed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio.masking import RatioLaw

__all__ = ["Ratios", "random_ratio"]

_FEWEST: Final = 2


@dataclass(eq=False)
class Ratios:
    """What :func:`random_ratio` does while it is in force."""

    law: RatioLaw
    """Law of the ratio."""
    seed: int
    """Of ratios and masks."""
    bins: int | None
    """Number of different ratios; None for as many as there are patches."""
    step: int = 0
    """Forward passes in training so far; set it when a run is resumed."""
    progress: float = 0.0
    """Share of the training that is done, which a law that moves asks for; for you to set."""
    used: list[float] = field(default_factory=list)
    """Share of patches hidden in each of these passes."""

    def draw(self, n_patches: int) -> int:
        """Number of patches to hide in the next pass, at least 1 and at most all but 1.

        Raises
        ------
        ConfigError
            There are fewer than two.
        """
        if n_patches < _FEWEST:
            message = f"The images have {n_patches} patches; needed are at least two, of which one is seen and one is hidden."
            raise ConfigError(message)
        rng = derive_generator(self.seed, "vit ratio", self.step)
        ratio = float(self.law.quantile(self._binned(rng.random()), progress=self._binned(self.progress)))
        return min(max(round(ratio * n_patches), 1), n_patches - 1)

    def _binned(self, share: float) -> float:
        """The middle of its bin, for a share from 0 to 1."""
        return share if self.bins is None else (min(int(share * self.bins), self.bins - 1) + 0.5) / self.bins


@contextmanager
def random_ratio(
    model: Any,
    mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1),
    *,
    seed: int = 0,
    bins: int | None = None,
) -> Iterator[Ratios]:
    """Train a ``transformers.ViTMAEForPreTraining`` with a mask ratio that is drawn anew in every
    forward pass.

    A minibatch has one ratio, since its visible patches form a rectangle. In evaluation the ratio
    is that of ``model.config``, which is as it was between passes and afterwards. With a fixed
    ratio all is as without, bit for bit, at that ratio.

    A model made from a configuration, not from saved weights, is left by transformers 5.24 with
    position embeddings that are zero and frozen, so that no ratio can teach it where patches lie.
    Fill ``model.vit.embeddings.position_embeddings`` and ``model.decoder.decoder_pos_embed`` first;
    ``tutorials/06_your_model`` shows how.

    Parameters
    ----------
    model
        The model, or what ``torch.compile`` made of it.
    mask_ratio
        A number (fixed), a pair (uniform; R2MAE is ``(0, 1)``) or a law of
        :mod:`r2mae_bio.masking`.
    seed
        Seed of ratios and of the patches that are hidden; both are functions of it and the number
        of the pass. A fixed ratio leaves the patches to PyTorch.
    bins
        Draw from so many ratios, quantiles of the law at the middles of equal parts; of a law that
        moves, so many places on its way. A compiled model is compiled anew for each, and PyTorch
        gives up after 8; so give 8 or fewer.

    Yields
    ------
    What is counted: ``step``, and ``used``, the ratios.

    Raises
    ------
    ConfigError
        The model has no ``config.mask_ratio``, or a setting cannot work.

    Examples
    --------
    >>> from r2mae_bio.integrations.vit_mae import random_ratio
    >>> with random_ratio(model, mask_ratio=(0, 1)) as ratios:  # doctest: +SKIP
    ...     loss = model(pixel_values).loss
    """
    law = law_of(mask_ratio, "batch", ("batch",))
    config: Any = getattr(model, "config", None)
    if not hasattr(config, "mask_ratio"):
        message = (
            f"The model is a {type(model).__name__} without config.mask_ratio; needed is a transformers.ViTMAEForPreTraining."
        )
        raise ConfigError(message)
    if bins is not None and not (isinstance(bins, int) and bins > 0):
        message = f"bins is {bins!r}; needed is a positive whole number of ratios, or None."
        raise ConfigError(message)
    ratios, own = Ratios(law, seed, bins), config.mask_ratio

    def before(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if not module.training:
            return None
        if isinstance(law, Fixed):
            config.mask_ratio = law.ratio
            return None
        pixels = kwargs["pixel_values"] if "pixel_values" in kwargs else args[0]
        n = (pixels.shape[-2] // config.patch_size) * (pixels.shape[-1] // config.patch_size)
        hidden = ratios.draw(n)
        config.mask_ratio = (hidden - 0.5) / n  # transformers rounds n * (1 - ratio) down
        if len(args) < 2 and kwargs.get("noise") is None:
            generator = torch.Generator().manual_seed(derive_seed(seed, "vit patches", ratios.step))
            kwargs["noise"] = torch.rand(pixels.shape[0], n, generator=generator).to(pixels.device)
        ratios.step += 1
        ratios.used.append(hidden / n)
        return args, kwargs

    def after(module: Any, args: Any, output: Any) -> None:
        config.mask_ratio = own

    handles = [model.register_forward_pre_hook(before, with_kwargs=True), model.register_forward_hook(after, always_call=True)]
    try:
        yield ratios
    finally:
        for handle in handles:
            handle.remove()
        config.mask_ratio = own

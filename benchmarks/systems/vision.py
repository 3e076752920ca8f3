"""Images of clothes: Fashion-MNIST, with an MLP and a CNN on the package's own core, and the
masked autoencoder of transformers with a random ratio.
"""

from __future__ import annotations

import gzip
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.systems.image_mae import ImageConfig, ImageMAE
from benchmarks.systems.laws import RATIOS
from benchmarks.systems.probes import probe_scores
from benchmarks.systems.system import Inputs, Loaded, MissingDataError, Network
from benchmarks.systems.theory import varying
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.config import TrainConfig
from r2mae_bio.core._seeded import seeded

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.masking import RatioLaw

HOW = """Fashion-MNIST is not in {folder}. It is in the Debian package dataset-fashion-mnist:
    apt-get install dataset-fashion-mnist
or, without rights to install,
    apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist*.deb FOLDER
and --fashion FOLDER/usr/share/datasets/fashion-mnist"""


def read_idx(path: Path) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format, gzip."""
    with gzip.open(path) as stream:
        content = stream.read()
    if content[:3] != b"\0\0\x08":
        message = f"{path} begins with {content[:4]!r}; needed is an IDX file of bytes."
        raise MissingDataError(message)
    shape = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape.astype(int))


class Images:
    """Training and test images under one seed."""

    def __init__(self, folder: Path, seed: int, settings: dict[str, Any]) -> None:
        files = [
            folder / f"{part}-{kind}.gz" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
        ]
        if not all(file.is_file() for file in files):
            raise MissingDataError(HOW.format(folder=folder))
        images, labels, more, truth = map(read_idx, files)
        self.side = settings["side"]
        chosen = derive_generator(seed, "fashion").permutation(len(images))[: settings["n_train"]]
        train, test = self._small(images[chosen]), self._small(more[: settings["n_test"]])
        mean, deviation = train.mean(), train.std()
        self.train, self.test = ((part - mean) / deviation for part in (train, test))
        self.labels, self.truth = labels[chosen].astype(str), truth[: settings["n_test"]].astype(str)

    def _small(self, images: NDArray[np.uint8]) -> Tensor:
        values = torch.from_numpy(images.astype(np.float32) / 255)
        return torch.nn.functional.adaptive_avg_pool2d(values, self.side).flatten(1)

    def patches(self, size: int) -> NDArray[np.float64]:
        """Means of the patches of the training images (n, patches)."""
        image = self.train.view(-1, 1, self.side, self.side)
        return torch.nn.functional.avg_pool2d(image, size).flatten(1).double().numpy()


def load(seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
    """Images, and three networks."""
    images = Images(options.fashion, seed, settings)
    networks = {kind.upper(): Network(partial(_core, images, kind, seed, settings, options), "pixels") for kind in ("mlp", "cnn")}
    networks["ViT-MAE"] = Network(partial(_vit, images, seed, settings, options), "patches", scopes=("batch",))
    pixels, n = varying(images.train.double().numpy()), len(images.train)
    inputs = {"pixels": Inputs(pixels, n), "patches": Inputs(varying(images.patches(settings["patch"])), n)}
    about = {
        "images": n,
        "side": settings["side"],
        "steps": settings["steps"],
        "batch": settings["batch"],
        "patch": settings["patch"],
    }
    return Loaded(networks, inputs, about)


def _core(images: Images, kind: str, seed: int, settings: dict[str, Any], options: Namespace, law: RatioLaw) -> dict[str, float]:
    per_epoch = -(-len(images.train) // settings["batch"])
    config = TrainConfig(
        max_epochs=-(-settings["steps"] // per_epoch), batch_size=settings["batch"], train_size=1.0, learning_rate=2e-3
    )
    model = ImageMAE(ImageConfig(images.side, kind, settings[kind], settings["latent"]), law, seed)
    model.train(images.train, config, accelerator="gpu" if options.device == "cuda" else "cpu", devices=1)
    found = model.hidden_error(images.test, RATIOS, derive_generator(seed, "image test"))
    return found | probe_scores(model.represent(images.train), images.labels, model.represent(images.test), images.truth)


# ---------------------------------------------------------------- ViT-MAE


def _vit(images: Images, seed: int, settings: dict[str, Any], options: Namespace, law: RatioLaw) -> dict[str, float]:
    from r2mae_bio.integrations.vit_mae import random_ratio

    steps, device = settings["steps"], options.device
    with seeded(derive_seed(seed, "vit")):
        model = _vit_model(images.side, settings).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.1)
        rng = derive_generator(seed, "vit rows")
        with random_ratio(model, law, seed=seed) as ratios:
            for step in range(steps):
                ratios.progress = step / steps
                rows = torch.from_numpy(rng.integers(0, len(images.train), settings["vit_batch"]))
                loss = model(pixel_values=_pixels(images, images.train[rows], device)).loss
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                rate.step()
    model.eval()
    states = [_vit_states(model, images, part, device) for part in (images.train, images.test)]
    return _vit_errors(model, images, seed, device) | probe_scores(states[0], images.labels, states[1], images.truth)


def _vit_model(side: int, settings: dict[str, Any]) -> Any:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    width = settings["vit"]
    sizes = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": settings["vit_layers"],
        "num_attention_heads": 4,
    }
    sizes |= {"decoder_hidden_size": width // 2, "decoder_intermediate_size": width, "decoder_num_hidden_layers": 1}
    sizes |= {"decoder_num_attention_heads": 4, "image_size": side, "patch_size": settings["patch"], "num_channels": 1}
    model = ViTMAEForPreTraining(ViTMAEConfig(**sizes))
    for positions in (model.vit.embeddings.position_embeddings, model.decoder.decoder_pos_embed):
        positions.data.copy_(sines(side // settings["patch"], positions.shape[-1]))
    return model


def sines(n: int, width: int) -> Tensor:
    """Position embeddings of n x n patches behind that of the class token (1, n * n + 1, width).

    A ``ViTMAEForPreTraining`` that is made from a configuration, not from saved weights, is left by
    transformers 5.24 with embeddings that are zero and never trained, so that it cannot tell one
    patch from another.
    """
    rates = 10_000 ** -(torch.arange(width // 4) / (width // 4))
    angles = torch.arange(n)[:, None] * rates
    line = torch.cat([angles.sin(), angles.cos()], 1)  # (n, width / 2)
    grid = torch.cat([line[:, None].expand(n, n, -1), line[None].expand(n, n, -1)], 2).reshape(n * n, -1)
    return torch.cat([torch.zeros(1, width), grid])[None]


def _pixels(images: Images, rows: Tensor, device: str) -> Tensor:
    return rows.view(-1, 1, images.side, images.side).to(device)


@torch.inference_mode()
def _vit_states(model: Any, images: Images, rows: Tensor, device: str) -> np.ndarray:
    """Mean over patches of what the encoder makes of whole images; their order is the encoder's
    own and makes no difference.
    """
    own, model.config.mask_ratio = model.config.mask_ratio, 0.0
    seen = (model.vit(_pixels(images, part, device)).last_hidden_state for part in rows.split(512))
    parts = [states[:, 1:].mean(1).cpu() for states in seen]
    model.config.mask_ratio = own
    return torch.cat(parts).numpy()


@torch.inference_mode()
def _vit_errors(model: Any, images: Images, seed: int, device: str) -> dict[str, float]:
    found, own = {}, model.config.mask_ratio
    n_patches = (images.side // model.config.patch_size) ** 2
    for i, ratio in enumerate(RATIOS):
        noise = derive_generator(seed, "vit test", i).random((len(images.test), n_patches), np.float32)
        n_hidden = round(ratio * n_patches)
        model.config.mask_ratio = (n_hidden - 0.5) / n_patches  # transformers rounds the visible share down
        loss = model(pixel_values=_pixels(images, images.test, device), noise=torch.from_numpy(noise).to(device)).loss
        found[f"error {ratio:.0%}"] = float(loss)
    model.config.mask_ratio = own
    return found

"""What a random ratio costs in models of other packages: a training step with and without it, in
turn, in one process.

python -m benchmarks.wrapped_step [--repeats 15] [--out FILE]

scVI is scVI beside R2SCVI at a ratio drawn per cell, 128 cells of 2,000 genes; the collator makes
minibatches of 64 rows of 256 tokens; the masked autoencoder of images reads 64 images of 224 x 224
in patches of 32 (the ratio fixed, for a drawn one changes the work). CPU time, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def scvi_steps() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A forward and backward pass of either model."""
    from scvi import REGISTRY_KEYS
    from scvi.module import VAE

    from r2mae_bio.integrations.scvi import R2VAE

    counts = torch.from_numpy(np.random.default_rng(0).poisson(0.3, (128, 2000)).astype(np.float32))
    none = torch.zeros(128, 1)
    batch = {REGISTRY_KEYS.X_KEY: counts, REGISTRY_KEYS.BATCH_KEY: none, REGISTRY_KEYS.LABELS_KEY: none}

    def step(module: Any) -> Callable[[], Any]:
        optimizer = torch.optim.Adam(module.parameters())

        def run() -> None:
            optimizer.zero_grad()
            module(batch)[2].loss.backward()
            optimizer.step()

        return run

    return step(VAE(2000, n_batch=1).train()), step(R2VAE(2000, n_batch=1).train())


def collator_steps() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A minibatch from either collator."""
    from tokenizers import Tokenizer, models
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    from r2mae_bio.integrations.huggingface import RandomRatioCollator

    words = {name: i for i, name in enumerate(["[PAD]", "[MASK]", *(f"w{i}" for i in range(5000))])}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[PAD]")), pad_token="[PAD]", mask_token="[MASK]"
    )
    ids = np.random.default_rng(0).integers(2, 5002, (64, 256))
    rows = [{"input_ids": row.tolist(), "special_tokens_mask": [0] * 256} for row in ids]
    theirs, ours = DataCollatorForLanguageModeling(tokenizer, seed=0), RandomRatioCollator(tokenizer)
    return lambda: theirs(rows), lambda: ours(rows)


def image_steps() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A forward and backward pass, with and without the hooks."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    from r2mae_bio.integrations.vit_mae import random_ratio

    sizes = {"hidden_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 384, "patch_size": 32}
    decoder = {"decoder_hidden_size": 64, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 4}
    model = ViTMAEForPreTraining(ViTMAEConfig(**sizes, **decoder, decoder_intermediate_size=256)).train()
    images = torch.randn(64, 3, 224, 224)

    def step(wrap: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> None:
            model.zero_grad()
            with wrap():
                model(images).loss.backward()

        return run

    return step(nullcontext), step(lambda: random_ratio(model, (0.75, 0.75)))


def ratios(plain: Callable[[], Any], wrapped: Callable[[], Any], repeats: int) -> Iterator[float]:
    """CPU time of the wrapped step over that of the plain one, run in turn."""
    for run in (plain, wrapped):
        run()
    for _ in range(repeats):
        seconds = dict.fromkeys((plain, wrapped), 0.0)
        for run in (plain, wrapped, wrapped, plain):  # what runs second is a little slower, by one or two percent
            started = time.process_time()
            for _ in range(5):
                run()
            seconds[run] += time.process_time() - started
        yield seconds[wrapped] / seconds[plain]


def main() -> None:
    """Run what the command line asks for."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--repeats", type=int, default=15)
    command.add_argument("--out", type=Path)
    options = command.parse_args()
    torch.set_num_threads(1)
    lines = ["wrapped over plain step, CPU time in one process in turn; median, range"]
    for name, make in (("scVI", scvi_steps), ("collator", collator_steps), ("images", image_steps)):
        found = list(ratios(*make(), options.repeats))
        lines.append(f"{name:10} {statistics.median(found):.3f}  ({min(found):.3f} to {max(found):.3f})")
        print(lines[-1], flush=True)
    if options.out is not None:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

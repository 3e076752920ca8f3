# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A random mask ratio in your own model
#
# The law of the mask ratio is one object, and models of other packages take it: scVI, a masked
# language model and a masked autoencoder of images from Hugging Face. Each part stands alone and
# runs in seconds; the models are tiny and learn little. Whether a random ratio pays is a question
# for [the table of five systems](../docs/when_to_randomise.md).
#
# The last two need an extra: `pip install ".[huggingface]"` in a checkout.

# %%
import logging
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch

import r2mae_bio as rb

warnings.filterwarnings("ignore")  # of other packages, about versions and workers
logging.disable(logging.INFO)  # what Lightning and scvi-tools say about devices
torch.set_num_threads(1)  # networks as small as these only wait for one another's threads

# %% [markdown]
# ## Laws
#
# A number is a fixed ratio, a pair a uniform one: `(0, 1)` is R2MAE. `Schedule(0.30, 0.15)` is the
# ratio that falls while BERT is trained (Ankner et al. 2023), the usual opponent. The scope says
# for what a ratio is drawn: a row, a minibatch, or a minibatch whose rows hide the same slots.

# %%
laws = {
    "fixed": rb.masking.Fixed(0.15),
    "R2MAE": rb.masking.Uniform(0, 1, scope="batch"),
    "falling": rb.masking.Schedule(0.30, 0.15),
}
for name, law in laws.items():
    drawn = [float(law.sample(1, np.random.default_rng(step), progress=step / 4)[0]) for step in range(5)]
    print(name, np.round(drawn, 2))

# %% [markdown]
# ## scVI
#
# `R2SCVI` is `scvi.model.SCVI` whose encoder sees a random part of the genes while it is trained.
# All verbs are those of scvi-tools. A query of a hundred genes is then read with the others hidden,
# where scVI would have to take them as zero.

# %%
from r2mae_bio.integrations.scvi import R2SCVI

cells = rb.datasets.pbmc68k()
R2SCVI.setup_anndata(cells, layer="counts")
model = R2SCVI(cells, mask_ratio=(0, 1), n_latent=10)
model.train(max_epochs=20, accelerator="cpu", enable_progress_bar=False)

panel = cells[:, rb.evaluate.variable_panel(cells.layers["counts"], 100)].copy()
whole, few = model.get_latent_representation(cells), model.get_latent_representation(panel)
print(f"embeddings {whole.shape} of {cells.n_vars} genes and {few.shape} of {panel.n_vars}")

# %% [markdown]
# ## A masked language model
#
# `RandomRatioCollator` stands in for `DataCollatorForLanguageModeling`. With a fixed ratio it is
# the same bit for bit. `RandomRatioTrainer` tells it the epoch, and validates on masks that stay
# the same. The tokenizer and the BERT are made here from a few sentences; take your own.

# %%
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast, TrainingArguments

rng = np.random.default_rng(0)
words = [["the", "a"], ["cell", "gene", "base"], ["reads", "hides", "sees"], ["the", "a"], ["mask", "ratio", "law"]]
texts = [" ".join(rng.choice(choices) for choices in words) for _ in range(400)]
bpe = Tokenizer(models.BPE(unk_token="[UNK]"))
bpe.pre_tokenizer = pre_tokenizers.Whitespace()
bpe.train_from_iterator(texts, trainers.BpeTrainer(special_tokens=["[PAD]", "[UNK]", "[MASK]"], show_progress=False))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
bert = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))

# %%
import tempfile

from r2mae_bio.integrations.huggingface import RandomRatioCollator, RandomRatioTrainer

rows = [tokenizer(text) for text in texts]
quiet = {"report_to": "none", "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "dataloader_pin_memory": False}
arguments = TrainingArguments(tempfile.mkdtemp(), num_train_epochs=8, learning_rate=1e-2, **quiet)
collator = RandomRatioCollator(tokenizer, mask_ratio=(0, 1))
trainer = RandomRatioTrainer(bert, arguments, data_collator=collator, train_dataset=rows[:300], eval_dataset=rows[300:])
before = trainer.evaluate()["eval_loss"]
trainer.train()
print(f"nats of a hidden word, ratios .1 to .9: {before:.2f} before training, {trainer.evaluate()['eval_loss']:.2f} after")

# %% [markdown]
# ## A masked autoencoder of images
#
# `random_ratio` draws a ratio for every forward pass in training of a `ViTMAEForPreTraining`.
# Digits of 8 x 8 pixels come with scikit-learn.
#
# A model that is made from a configuration, not from saved weights, is left by transformers 5.24
# with position embeddings that are zero and frozen: set them, or it cannot tell one patch from
# another.

# %%
from sklearn.datasets import load_digits
from transformers import ViTMAEConfig, ViTMAEForPreTraining

images = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 8 - 1
encoder = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
decoder = {f"decoder_{name}": value for name, value in encoder.items()}
vit = ViTMAEForPreTraining(ViTMAEConfig(image_size=8, patch_size=2, num_channels=1, **encoder, **decoder)).train()

angles = torch.arange(4)[:, None] * 10 ** -torch.arange(8)[None].div(4)
line = torch.cat([angles.sin(), angles.cos()], 1)  # one row or column: (4, 16)
grid = torch.cat([line.repeat_interleave(4, 0), line.repeat(4, 1)], 1)
for positions in (vit.vit.embeddings.position_embeddings, vit.decoder.decoder_pos_embed):
    positions.data[0, 1:] = grid  # the first is that of the class token

# %%
from r2mae_bio.integrations.vit_mae import random_ratio

optimizer = torch.optim.AdamW(vit.parameters(), lr=5e-3)
losses = []
with random_ratio(vit, mask_ratio=(0, 1)) as ratios:
    for _ in range(800):
        loss = vit(pixel_values=images[rng.integers(0, len(images), 64)]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())

# %%
fig, ax = plt.subplots(figsize=(5, 3), layout="constrained")
points = ax.scatter(ratios.used, losses, c=range(len(losses)), s=8)
ax.set(xlabel="share of patches hidden", ylabel="mean squared error", title="Every step has its own ratio")
fig.colorbar(points, label="step")
plt.show()

# %% [markdown]
# A point is a step, at the ratio that it drew: one model is trained at all of them. In so few steps
# it has learned the mean image and hardly more. Whether a random ratio is better than one ratio
# depends on the data, the network and what it is for; `python -m benchmarks.systems` measures it.

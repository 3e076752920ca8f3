"""English text: the Brown corpus, a BPE trained on the training texts, and a small
ModernBERT whose minibatches come from ``RandomRatioCollator``. Its positions are rotations: with
learned ones, BERT of this size learns in thousands of steps no more than how frequent tokens are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.systems.brown import read
from benchmarks.systems.laws import RATIOS
from benchmarks.systems.probes import probe_scores
from benchmarks.systems.system import Inputs, Loaded, Network
from benchmarks.systems.theory import varying
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio._splits import stratified_split
from r2mae_bio.core._seeded import seeded
from r2mae_bio.masking import draw_plan

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray

    from benchmarks.systems.brown import Text
    from r2mae_bio.masking import RatioLaw

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, MASK = SPECIAL.index("[PAD]"), SPECIAL.index("[MASK]")
_PER_TEXT = 4
"""Most windows of a text whose mean represents it."""
_COORDINATES = 4
_POSITIONS = 32


@dataclass(frozen=True, eq=False)
class Side:
    """Windows of some texts."""

    tokens: NDArray[np.int64]
    """(n, L)."""
    text: NDArray[np.int64]
    """Number of the text of each window (n,)."""
    tags: NDArray[np.str_]
    """Part of speech of the word that a token begins; empty elsewhere (n, L)."""
    genres: NDArray[np.str_]
    """Of each text."""


class Corpus:
    """Training and test texts under one seed, in tokens."""

    def __init__(self, texts: list[Text], seed: int, settings: dict[str, Any]) -> None:
        split = stratified_split([text.genre for text in texts], seed=seed)
        sides = [[texts[i] for i in rows] for rows in (split.reference, split.query)]
        self.bpe = _trained_bpe(sides[0], settings["vocabulary"])
        self.length = settings["length"]
        self.train, self.test = (self._side(side) for side in sides)

    def tokenizer(self) -> Any:
        """As transformers takes it."""
        from transformers import PreTrainedTokenizerFast

        names = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
        return PreTrainedTokenizerFast(tokenizer_object=self.bpe, **names)

    def _side(self, texts: list[Text]) -> Side:
        windows, owner, tags = [], [], []
        for number, text in enumerate(texts):
            coded = self.bpe.encode(text.words, is_pretokenized=True)
            ids, words = np.array(coded.ids), np.array(coded.word_ids)
            first = np.concatenate([[True], words[1:] != words[:-1]])
            kinds = np.where(first, np.array(text.tags)[words], "")
            whole = len(ids) // self.length * self.length
            windows.append(ids[:whole].reshape(-1, self.length))
            tags.append(kinds[:whole].reshape(-1, self.length))
            owner += [number] * (whole // self.length)
        return Side(np.concatenate(windows), np.array(owner), np.concatenate(tags), np.array([text.genre for text in texts]))


def _trained_bpe(texts: list[Text], size: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE(unk_token="[UNK]"))
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    bpe.train_from_iterator((" ".join(text.words) for text in texts), trainer)
    return bpe


def load(seed: int, settings: dict[str, Any], options: Namespace) -> Loaded:
    """Texts and a ModernBERT."""
    corpus = Corpus(read(options.brown), seed, settings)
    inputs = {"tokens": Inputs(varying(_coordinates(corpus.train.tokens, settings["vocabulary"])), len(corpus.train.tokens))}
    about = {"windows": len(corpus.train.tokens), "tokens a window": corpus.length, "vocabulary": settings["vocabulary"]}
    about |= {"steps": settings["steps"], "batch": settings["batch"]}
    return Loaded(
        {"ModernBERT": Network(partial(_bert, corpus, seed, settings, options), "tokens", scopes=("batch", "row", "rectangle"))},
        inputs,
        about,
    )


def _coordinates(tokens: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Leading coordinates of the tokens at the first positions of each window: a singular value
    decomposition of how much more often tokens follow one another than by chance.
    """
    follows = np.zeros((size, size))
    np.add.at(follows, (tokens[:, :-1].ravel(), tokens[:, 1:].ravel()), 1)
    follows += follows.T
    chance = np.outer(follows.sum(1), follows.sum(0)) / follows.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.nan_to_num(np.maximum(np.log(follows / chance), 0), posinf=0, neginf=0)
    u, s, _ = np.linalg.svd(excess)
    places = u[:, :_COORDINATES] * np.sqrt(s[:_COORDINATES])
    return places[tokens[:, :_POSITIONS]].reshape(len(tokens), -1)


def _bert(corpus: Corpus, seed: int, settings: dict[str, Any], options: Namespace, law: RatioLaw) -> dict[str, float]:
    from r2mae_bio.integrations.huggingface import RandomRatioCollator

    steps, device = settings["steps"], options.device
    # law and scope are both told, so that a fixed ratio, too, hides exactly its share
    collator = RandomRatioCollator(corpus.tokenizer(), law, scope=law.scope, seed=seed)
    with seeded(derive_seed(seed, "bert")):
        model = _bert_model(settings).to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings["rate"], betas=(0.9, 0.98), weight_decay=0.01)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings["rate"], total_steps=steps, pct_start=0.1)
        rng = derive_generator(seed, "bert rows")
        special = [0] * corpus.length
        for step in range(steps):
            collator.set_epoch(step)
            collator.set_progress(step / steps)
            rows = rng.integers(0, len(corpus.train.tokens), settings["batch"])
            batch = collator([{"input_ids": corpus.train.tokens[row].tolist(), "special_tokens_mask": special} for row in rows])
            loss = model(input_ids=batch["input_ids"].to(device), labels=batch["labels"].to(device)).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            rate.step()
    model.eval()
    return _nats(model, corpus.test, seed, settings, device) | _probed(model, corpus, seed, settings, device)


def _bert_model(settings: dict[str, Any]) -> Any:
    from transformers import ModernBertConfig, ModernBertForMaskedLM

    width = settings["bert"]
    sizes = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": settings["bert_layers"],
        "num_attention_heads": 4,
    }
    # every layer attends to the whole window; of special tokens its windows have none
    sizes |= {"global_attn_every_n_layers": 1, "initializer_range": 0.05, "attn_implementation": "sdpa"}
    sizes |= {"pad_token_id": PAD} | {f"{name}_token_id": None for name in ("bos", "eos", "cls", "sep")}
    return ModernBertForMaskedLM(
        ModernBertConfig(vocab_size=settings["vocabulary"], max_position_embeddings=settings["length"], **sizes)
    )


@torch.inference_mode()
def _nats(model: Any, side: Side, seed: int, settings: dict[str, Any], device: str) -> dict[str, float]:
    """Nats of a hidden token, whose exponential is the pseudo-perplexity, with one token hidden in
    each window and at each ratio.
    """
    tokens = torch.from_numpy(_some(side.tokens, settings["n_test"], seed))
    found = {}
    for i, ratio in enumerate((0.0, *RATIOS)):
        plan = draw_plan(
            torch.ones(1, tokens.shape[1], dtype=torch.bool), np.full(len(tokens), ratio), derive_generator(seed, "bert test", i)
        )
        nats = 0.0
        for some, hidden in zip(tokens.split(128), plan.hidden.split(128), strict=True):
            logits = model(input_ids=some.masked_fill(hidden, MASK).to(device)).logits.cpu()[hidden]
            nats += float(torch.nn.functional.cross_entropy(logits, some[hidden], reduction="sum"))
        found["nats, one" if ratio == 0 else f"nats {ratio:.0%}"] = nats / int(plan.hidden.sum())
    return found


def _some(rows: NDArray[Any], most: int, seed: int) -> NDArray[Any]:
    return rows[np.sort(derive_generator(seed, "some windows").permutation(len(rows))[:most])]


@torch.inference_mode()
def _states(model: Any, tokens: NDArray[np.int64], device: str) -> torch.Tensor:
    """Last hidden states (n, L, width)."""
    parts = torch.from_numpy(tokens).split(256)
    return torch.cat([model.model(input_ids=part.to(device)).last_hidden_state.cpu() for part in parts])


def _probed(model: Any, corpus: Corpus, seed: int, settings: dict[str, Any], device: str) -> dict[str, float]:
    texts, words = [], []
    for side in (corpus.train, corpus.test):
        chosen = np.concatenate([np.flatnonzero(side.text == text)[:_PER_TEXT] for text in range(len(side.genres))])
        states, owner = _states(model, side.tokens[chosen], device), torch.from_numpy(side.text[chosen])
        sums = torch.zeros(len(side.genres), states.shape[-1]).index_add_(0, owner, states.mean(1))
        texts += [(sums / torch.bincount(owner, minlength=len(sums)).clamp(min=1)[:, None]).numpy(), side.genres]
        tags = side.tags[chosen]
        places = np.argwhere(tags != "")
        places = places[derive_generator(seed, "words").permutation(len(places))[: settings["n_words"]]]
        words += [states.numpy()[places[:, 0], places[:, 1]], tags[places[:, 0], places[:, 1]]]
    return probe_scores(*texts, what="genre ") | probe_scores(*words, what="part of speech ", kinds=("linear",))

"""The collator: that of transformers at a fixed ratio, else a law that workers and resumed runs do
not change.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.masking import Schedule, Uniform

pytest.importorskip("transformers", reason="needs the extra huggingface")
tokenizers = pytest.importorskip("tokenizers")

from transformers import (  # noqa: E402
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerFast,
    TrainingArguments,
)

from r2mae_bio.integrations.huggingface import RandomRatioCollator, RandomRatioTrainer  # noqa: E402

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "to", "his", "old", "red", "house"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def tokenizer():
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ed"]
    vocabulary = {name: i for i, name in enumerate(names)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


@pytest.fixture(scope="module")
def rows(tokenizer):
    rng = np.random.default_rng(0)
    texts = [" ".join(w + rng.choice(["", "s"]) for w in rng.choice(WORDS, rng.integers(4, 12))) for _ in range(48)]
    read = [tokenizer(text, return_special_tokens_mask=True, return_offsets_mapping=True) for text in texts]
    return [
        {name: row[name] for name in ("input_ids", "attention_mask", "special_tokens_mask", "offset_mapping")} for row in read
    ]


def without_offsets(rows):
    return [{name: value for name, value in row.items() if name != "offset_mapping"} for row in rows]


def alike(rows):
    """Rows of one length, for transformers does not pad offsets."""
    return [row for row in rows if len(row["input_ids"]) == len(rows[0]["input_ids"])] * 32


def maskable(batch):
    return batch["attention_mask"].sum(1) - 2


def ratios(collator, rows, workers=0):
    loader = DataLoader(without_offsets(rows), batch_size=8, collate_fn=collator, num_workers=workers)
    return [((batch["labels"] != -100).sum(1) / maskable(batch)).tolist() for batch in loader]


@pytest.mark.parametrize("kind", ["pt", "np"])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("seed", [3, None])
def test_a_fixed_ratio_is_the_collator_of_transformers(tokenizer, rows, kind, whole, seed):
    settings = {"return_tensors": kind, "whole_word_mask": whole, "seed": seed}
    found = []
    for make in (
        lambda: DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, **settings),
        lambda: RandomRatioCollator(tokenizer, 0.15, **settings),
    ):
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002 - what transformers draws from without a seed
        collator = make()
        some = alike(rows) if whole else without_offsets(rows)
        found.append([collator(copy.deepcopy(some[:16])), collator(copy.deepcopy(some[16:32]))])
    for theirs, ours in zip(*found, strict=True):
        assert set(theirs) == set(ours)
        for name in theirs:
            np.testing.assert_array_equal(np.asarray(theirs[name]), np.asarray(ours[name]))


def test_ratios_differ_between_epochs_also_with_workers_that_are_made_anew(tokenizer, rows):
    for workers in (0, 2):
        collator = RandomRatioCollator(tokenizer)
        torch.manual_seed(0)
        first, second = ratios(collator, rows, workers), ratios(collator, rows, workers)
        assert first != second
        assert len({row[0] for row in first}) > 3  # and within one


@pytest.mark.parametrize("seed", [0, None])
def test_workers_that_persist_mask_anew_in_every_epoch(tokenizer, rows, seed):
    torch.manual_seed(0)
    settings = {"batch_size": 1, "num_workers": 2, "persistent_workers": True}
    loader = DataLoader(without_offsets(rows), collate_fn=RandomRatioCollator(tokenizer, seed=seed), **settings)
    passes = [[batch["labels"] != -100 for batch in loader] for _ in range(2)]
    assert sum(torch.equal(*pair) for pair in zip(*passes, strict=True)) < len(rows) / 2  # a short row has few masks


def test_with_the_epoch_told_neither_workers_nor_a_new_process_matter(tokenizer, rows):
    found = []
    for workers in (0, 1, 2):
        collator = pickle.loads(pickle.dumps(RandomRatioCollator(tokenizer, seed=7)))
        collator.set_epoch(4)
        found.append(ratios(collator, rows, workers))
    assert found[0] == found[1] == found[2]
    collator.set_epoch(5)
    assert ratios(collator, rows, 2) != found[0]
    other = RandomRatioCollator(tokenizer, seed=8)
    other.set_epoch(4)
    assert ratios(other, rows) != found[0]


def test_what_is_hidden_is_what_the_law_says(tokenizer, rows):
    batch = RandomRatioCollator(tokenizer, 0.5, scope="row", mask_replace_prob=0.7, random_replace_prob=0.2)(
        without_offsets(rows)
    )
    hidden, n = batch["labels"] != -100, maskable(batch)
    np.testing.assert_array_equal(hidden.sum(1), torch.clamp((0.5 * n.double()).round(), 1))
    assert not hidden[batch["attention_mask"] == 0].any()
    shown = batch["input_ids"][hidden]
    assert 0.55 < (shown == tokenizer.mask_token_id).float().mean() < 0.85
    assert 0.03 < (shown == batch["labels"][hidden]).float().mean() < 0.25
    original = tokenizer.pad(without_offsets(rows), return_tensors="pt")["input_ids"]
    np.testing.assert_array_equal(torch.where(hidden, batch["labels"], batch["input_ids"]), original)


def test_a_ratio_of_0_or_1_hides_one_and_shows_one(tokenizer, rows):
    for ratio, wanted in (((0, 0), lambda n: torch.ones_like(n)), ((1, 1), lambda n: n - 1)):
        batch = RandomRatioCollator(tokenizer, ratio)(without_offsets(rows))
        np.testing.assert_array_equal((batch["labels"] != -100).sum(1), wanted(maskable(batch)))


def test_scopes(tokenizer, rows):
    same = without_offsets([rows[0]] * 6)
    share = {
        scope: (RandomRatioCollator(tokenizer, scope=scope)(same)["labels"] != -100) for scope in ("batch", "row", "rectangle")
    }
    assert len(set(share["batch"].sum(1).tolist())) == 1
    assert len(set(share["row"].sum(1).tolist())) > 1
    assert (share["rectangle"] == share["rectangle"][0]).all()
    of_law = RandomRatioCollator(tokenizer, Uniform(0, 1, scope="rectangle"))(same)["labels"] != -100
    assert (of_law == of_law[0]).all()
    mixed = RandomRatioCollator(tokenizer, (0, 0.1), scope="rectangle")(without_offsets(rows))
    assert ((mixed["labels"] != -100).sum(1) >= 1).all()


def test_whole_words(tokenizer, rows):
    batch = RandomRatioCollator(tokenizer, whole_word_mask=True)(copy.deepcopy(rows[:16]))
    original = tokenizer.pad(without_offsets(rows[:16]), return_tensors="pt")["input_ids"]
    tail = original == tokenizer.convert_tokens_to_ids("##s")
    hidden = batch["labels"] != -100
    assert tail.any()
    assert (hidden[:, 1:][tail[:, 1:]] == hidden[:, :-1][tail[:, 1:]]).all()
    assert (batch["input_ids"][hidden] == tokenizer.mask_token_id).all()


def test_whole_words_where_rows_are_padded_on_the_left(tokenizer, rows):
    left = copy.deepcopy(tokenizer)
    left.padding_side = "left"
    for ratio in (Uniform(0, 1, scope="row"), 0.5):
        found = []
        for own in (tokenizer, left):
            collator = RandomRatioCollator(own, ratio, whole_word_mask=True, seed=0)
            collator.set_epoch(0)
            batch = collator(copy.deepcopy(rows))
            original = own.pad(without_offsets(rows), return_tensors="pt")["input_ids"]
            tail = original == own.convert_tokens_to_ids("##s")
            hidden = batch["labels"] != -100
            assert (hidden[:, 1:][tail[:, 1:]] == hidden[:, :-1][tail[:, 1:]]).all()
            found.append(float(hidden.sum() / maskable(batch).sum()))
        assert found[0] == pytest.approx(found[1], abs=0.15)


def test_laws_that_move_do_not_depend_on_how_far_workers_are_ahead(tokenizer, rows):
    found = []
    for workers in (0, 1, 3):
        collator = RandomRatioCollator(tokenizer, Schedule(0.1, 0.9))
        for epoch in range(2):
            collator.set_epoch(epoch)
            collator.set_progress(epoch / 2, per_batch=1 / 12)
            found.append(ratios(collator, rows, workers))
    assert found[0] == found[2] == found[4]
    assert found[1] == found[3] == found[5]
    means = [np.mean(batch) for batch in found[0] + found[1]]
    np.testing.assert_allclose(means, 0.1 + 0.8 * np.arange(12) / 12, atol=0.1)


def test_laws_that_move(tokenizer, rows):
    collator = RandomRatioCollator(tokenizer, Schedule(0.9, 0.2))
    found = []
    for progress in (0.0, 1.0):
        collator.set_progress(progress)
        batch = collator(without_offsets(rows))
        found.append(float((batch["labels"] != -100).sum() / maskable(batch).sum()))
    assert found[0] > 0.8
    assert found[1] < 0.3


def test_validation_is_the_same_in_every_epoch(tokenizer, rows):
    collator = RandomRatioCollator(tokenizer).for_validation((0.2, 0.8))
    first = ratios(collator, rows, 2)
    collator.set_epoch(9)
    assert first == ratios(collator, rows)
    unseeded = RandomRatioCollator(tokenizer, seed=None).for_validation()
    assert ratios(unseeded, rows, 2) == ratios(unseeded, rows, 2) == ratios(unseeded, rows)
    assert min(map(min, first)) < 0.4
    assert max(map(max, first)) > 0.6


def test_a_trainer_tells_the_epoch_and_repeats_its_validation(tokenizer, rows, tmp_path):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))
    some = without_offsets(rows)
    args = TrainingArguments(
        str(tmp_path), num_train_epochs=2, report_to=[], use_cpu=True, disable_tqdm=True, remove_unused_columns=False, save_strategy="no",
    )  # fmt: skip
    collator = RandomRatioCollator(tokenizer)
    trainer = RandomRatioTrainer(model, args, data_collator=collator, train_dataset=some, eval_dataset=some)
    trainer.train()
    assert collator._position.tolist() == [1, 0.5, pytest.approx(1 / 12)]
    assert trainer.data_collator is collator
    assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]
    with pytest.raises(ConfigError, match="needed is a RandomRatioCollator"):
        RandomRatioTrainer(model, args, data_collator=DataCollatorForLanguageModeling(tokenizer), train_dataset=some)


def test_input_that_cannot_be(tokenizer):
    for settings, words in (
        ({"mask_ratio": 1.5}, "Fixed"),
        ({"mask_ratio": "auto"}, "mask_ratio is 'auto'"),
        ({"scope": "column"}, "scope is 'column'; needed is 'batch' or 'row' or 'rectangle'"),
        ({"mlm_probability": 0.2}, "told by mask_ratio"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
    ):
        with pytest.raises(ConfigError, match=words):
            RandomRatioCollator(tokenizer, **settings)
    short, empty = {"input_ids": [2, 7, 3]}, {"input_ids": [2, 3]}
    labels = RandomRatioCollator(tokenizer)([dict(short), dict(empty)])["labels"]
    assert labels.tolist() == [[-100, 7, -100], [-100, -100, -100]]
    with pytest.raises(DataError, match="can be hidden"):
        RandomRatioCollator(tokenizer)([dict(empty)])
    with pytest.raises(DataError, match="has no text"):
        RandomRatioCollator(tokenizer)([])
    assert RandomRatioCollator(tokenizer).for_validation(0.5).law.ratios == (0.5,)


def test_a_tokenizer_without_a_mask_token(tokenizer):
    bare = copy.deepcopy(tokenizer)
    bare.mask_token = None
    for other in (bare, None, "a-name"):
        with pytest.raises(ConfigError, match=f"a {type(other).__name__} without mask_token"):
            RandomRatioCollator(other)
    bare.add_special_tokens({"mask_token": "[MASK]"})  # as the message says
    labels = RandomRatioCollator(bare, mask_ratio=1)([{"input_ids": [2, 7, 3]}])["labels"]
    assert labels.tolist() == [[-100, 7, -100]]

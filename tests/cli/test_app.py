"""The command line as a whole: what it costs, what it answers, what it says of errors."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from r2mae_bio.cli import main
from r2mae_bio.cli._app import app

REPOSITORY = Path(__file__).resolve().parents[2]
VERBS = (
    "pretrain", "embed", "transfer", "impute", "compare", "score", "neutral", "ism", "track", "track-merge", "theory", "info", "fetch",
)  # fmt: skip
HEAVY = ("torch", "anndata", "scanpy", "numpy", "pandas", "pytorch_lightning", "matplotlib", "yaml", "rich")
ON_DNA = ["genome.fa.gz", "--model", "dna_model"]
CALL = "import sys; from r2mae_bio.cli import main; sys.exit(main())"


def in_a_process(*args: str, code: str = CALL, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *args]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "Agg", **more.pop("env", {})}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment, **more)


@pytest.mark.parametrize("args", [["--help"], ["pretrain", "--help"], ["--version"], ["embed", "--nonsense"]])
def test_nothing_heavy_is_loaded_before_a_command_runs(args: list[str]) -> None:
    code = f"import sys; from r2mae_bio.cli import main; main(); print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    done = in_a_process(*args, code=code)
    assert done.stderr.splitlines()[-1] == "[]"


def test_help_takes_less_than_half_a_second_of_the_processor() -> None:
    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert in_a_process("--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert min(cost() for _ in range(3)) <= 0.4


def test_ctrl_c_while_the_commands_are_loaded_leaves_no_trace() -> None:
    code = """
import sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "r2mae_bio.cli.verbs":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Stop())
"""
    done = in_a_process("--help", code=code + CALL)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_help_names_every_command(r2mae: Any) -> None:
    code, out, err = r2mae("--help")
    assert (code, err) == (0, "")
    commands = out.partition("Commands:")[2]
    assert [line.split()[0] for line in commands.strip().splitlines()] == list(VERBS)
    assert "..." not in commands  # no sentence is cut
    assert r2mae() == (code, out, err)


@pytest.mark.parametrize("verb", VERBS)
def test_help_names_ready_made_models_where_they_fit(r2mae: Any, verb: str) -> None:
    out = r2mae(verb, "--help")[1]
    assert ("blood-small" in out) == (verb in ("embed", "transfer", "impute"))


def test_without_typer_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("r2mae_bio.cli.find_spec", lambda name: None)
    assert main(["--help"]) == 1
    assert capsys.readouterr() == ("", 'The command line needs typer; install it by: pip install "r2mae_bio[cli]"\n')


def test_the_script_is_the_function() -> None:
    import tomllib

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"r2mae": "r2mae_bio.cli:main"}


def test_version(r2mae: Any) -> None:
    from r2mae_bio import __version__

    assert r2mae("--version") == (0, f"r2mae_bio {__version__}\n", "")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["embed", "--nonsense"], 2, "No such option"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["embed", "query.h5ad", "model"], 2, "--out"),
        (["embed", "query.h5ad", "model", "--out", "x.csv", "--batch-size", "many"], 2, "'--batch-size'"),
        (["fetch"], 2, "NAME is missing; --list shows what there is"),
        (["embed", "query.h5ad", "model", "--out", "-", "--json"], 2, "both print on standard output"),
        (["embed", "absent.h5ad", "model", "--out", "x.csv"], 1, "absent.h5ad does not exist"),
        (
            ["embed", "query.h5ad", "absent", "--out", "x.csv"],
            1,
            "absent does not exist; needed is a folder written by save(), or a ready-made model: blood-small",
        ),
        (["embed", "query.h5ad", "model", "--out", "x.txt"], 1, "ends in .csv, .parquet"),
        (["embed", "query.h5ad", "model", "--out", "x.csv", "--device", "quantum"], 1, "device is 'quantum'"),
        (["embed", "peaks.bed", "dna_model", "--out", "x.csv"], 1, "pass --genome FASTA"),
        (["embed", "promoters.fa", "dna_model", "--out", "x.csv", "--min-coverage", "0.1"], 1, "min_coverage given"),
        (["embed", "query.h5ad", "model", "--out", "x.csv", "--strand", "+"], 1, "strand given"),
        (["pretrain", "cells.h5ad", "--window", "64", "--out", "m"], 1, "window given, which training on cells does not have"),
        (["pretrain", "genome.fa.gz", "cells.h5ad", "--out", "m"], 1, "cells and genomes"),
        (["pretrain", "cells.h5ad", "--mask-ratio", "half", "--out", "m"], 1, "mask_ratio is 'half'"),
        (["pretrain", "cells.h5ad", "--model-kwargs", "[1]", "--out", "m"], 1, "model_kwargs is '[1]'"),
        (["pretrain", "cells.h5ad", "--layer", "absent", "--out", "m"], 1, "absent"),
        (["transfer", "query.h5ad", "cells.h5ad", "--model", "dna_model", "--out", "x.csv"], 1, "holds a DNAMAE"),
        (["impute", "query.h5ad", "--model", "model", "--out", "x.csv"], 1, "pass --genes"),
        (["compare", "cells.h5ad", "--labels-key", "group", "--methods", "p", "--out", "r"], 1, "beginning of 2 names"),
        (
            ["score", "cohort.vcf.gz", "genome.fa.gz", "--model", "dna_model", "--out", "x.vcf", "--aliases", "one"],
            1,
            "aliases are",
        ),
        (["score", "cohort.vcf.gz", "genome.fa.gz", "--model", "model", "--out", "x.vcf"], 1, "GeneMAE"),
        (["score", "cohort.vcf.gz", *ON_DNA, "--mask-ratio", "0.5", "--out", "x.vcf"], 1, "mask_ratio given without n_masks"),
        (["pretrain", "genome.fa.gz", "--in-files", "--out", "m"], 1, "in_files given, which training on DNA does not have"),
        (["theory", "peaks.bed"], 1, "needed are cells"),
        (["embed", "query.h5ad", "model", "--out", "new.h5ad", "--key-added", "a/b"], 1, "a name without a slash"),
        (["embed", "query.h5ad", "model", "--out", ""], 1, "--out is ''; needed is a name"),
        (["embed", "query.h5ad", "model", "--out", "new.CSV"], 1, "needed is a name that ends in .csv"),
        (["info", "peaks.bed"], 1, "none of what is known here"),
        (["info", "blood"], 1, "blood does not exist; check the path. Ready-made models are blood-small"),
        (["embed", "query.h5ad", "model", "--out", "cells.h5ad/x.csv"], 1, "cells.h5ad (Not a directory)"),
        (["embed", "query.h5ad", "model", "--out", "/proc/new/x.csv"], 1, "Nothing can be written into /proc"),
        (["fetch", "nonsense"], 1, "There is no data set 'nonsense'"),
    ],
)
def test_an_error_is_one_line_and_leaves_nothing(folder: Path, r2mae: Any, args: list[str], code: int, said: str) -> None:
    before = sorted(folder.iterdir())
    found, out, err = r2mae(*args)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert sorted(path for path in folder.iterdir() if path.name != "caches") == [p for p in before if p.name != "caches"]


def test_debug_shows_where_an_error_comes_from(folder: Path, r2mae: Any) -> None:
    code, _, err = r2mae("theory", "absent.h5ad", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("error: absent.h5ad")


def test_what_should_not_happen_is_one_line_too(r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2mae_bio.datasets.registry", lambda: {}["nothing"])
    assert r2mae("fetch", "--list") == (
        1,
        "",
        "error: KeyError: 'nothing' This should not happen; --debug shows where it came from.\n",
    )


def test_a_result_is_replaced_only_if_asked(folder: Path, r2mae: Any) -> None:
    out = folder / "embedded.npy"
    out.write_text("precious")
    code, _, err = r2mae("embed", "query.h5ad", "model", "--out", "embedded.npy")
    assert code == 1
    assert "embedded.npy exists; pass --overwrite" in err
    assert out.read_text() == "precious"
    assert r2mae("embed", "query.h5ad", "model", "--out", "embedded.npy", "--overwrite")[0] == 0
    assert out.read_bytes().startswith(b"\x93NUMPY")


@pytest.mark.parametrize(
    "args",
    [
        ["pretrain", "cells.h5ad", "--out", "home"],
        ["pretrain", "cells.h5ad", "--out", "model"],
        ["embed", "query.h5ad", "model", "--out", "home.zarr"],
        ["compare", "cells.h5ad", "--labels-key", "group", "--out", "home"],
    ],
)
def test_a_folder_that_is_no_result_is_never_replaced(folder: Path, r2mae: Any, args: list[str]) -> None:
    home = folder / args[-1]
    home.mkdir(exist_ok=True)
    (home / "thesis.txt").write_text("precious")
    code, _, err = r2mae(*args, "--overwrite")
    assert code == 1
    assert "would be lost" in err
    assert (home / "thesis.txt").read_text() == "precious"
    assert not list(folder.glob("*.training"))  # nothing was computed in vain


@pytest.mark.parametrize(
    ("args", "lost"),
    [
        (["impute", "query.h5ad", "--model", "model", "--out", "query.h5ad"], "query.h5ad"),
        (["impute", "query.h5ad", "--model", "model", "--reference", "cells.h5ad", "--out", "./cells.h5ad"], "cells.h5ad"),
        (
            ["transfer", "query.h5ad", "cells.h5ad", "--model", "model", "--labels-key", "group", "--out", "cells.h5ad"],
            "cells.h5ad",
        ),
        (["pretrain", "cells.h5ad", "--out", "new", "--checkpoint-dir", "new/run"], "cells.h5ad"),
        (["score", "few.vcf", *ON_DNA, "--region", "chr1:101-102", "--out", "few.vcf"], "few.vcf"),
        (["score", "few.parquet", *ON_DNA, "--out", "few.parquet"], "few.parquet"),
        (["score", "few.vcf.part", *ON_DNA, "--out", "few.vcf"], "few.vcf.part"),
        (["score", "few.vcf", *ON_DNA, "--neutral", "bed.vcf", "--out", "bed.vcf"], "bed.vcf"),
        (["neutral", *ON_DNA, "--exclude", "bed.json", "--out", "bed.json"], "bed.json"),
        (["neutral", *ON_DNA, "--neutral", "bed.json", "--out", "bed.json"], "bed.json"),
        (["ism", "bed.bedgraph", *ON_DNA, "--out", "bed.bedgraph"], "bed.bedgraph"),
        (["track", *ON_DNA, "--regions", "bed.bedgraph", "--value", "llr_A", "--out", "bed.bedgraph"], "bed.bedgraph"),
        (["track", *ON_DNA, "--regions", "bed.llr_A.bedgraph", "--out", "bed.bedgraph"], "bed.llr_A.bedgraph"),
        (["track-merge", "parts/1.logp", "bed.llr_A.bedgraph", "--out", "bed.bedgraph"], "bed.llr_A.bedgraph"),
        (["embed", "bases.csv", "dna_model", "--out", "bases.csv"], "bases.csv"),
        (["embed", "bases.h5ad", "dna_model", "--out", "bases.h5ad"], "bases.h5ad"),
    ],
)
def test_what_is_read_is_never_replaced(folder: Path, r2mae: Any, args: list[str], lost: str) -> None:
    variants = gzip.decompress((folder / "cohort.vcf.gz").read_bytes())
    made = {"few": ("vcf", "parquet", "vcf.part"), "bed": ("bedgraph", "llr_A.bedgraph", "vcf", "json"), "bases": ("csv", "h5ad")}
    contents = {"few": variants, "bed": b"chr1\t1000\t1010\n", "bases": b">first\nGATTACA\n"}
    for stem, suffixes in made.items():
        for suffix in suffixes:
            (folder / f"{stem}.{suffix}").write_bytes(contents[stem])
    before = (folder / lost).read_bytes()
    code, _, err = r2mae(*args, "--overwrite")
    assert code == 1
    assert "which would be lost; name another --out" in err
    assert (folder / lost).read_bytes() == before


def test_variants_are_replaced_by_the_same_variants_with_scores(folder: Path, r2mae: Any) -> None:
    variants = gzip.decompress(Path("cohort.vcf.gz").read_bytes())
    Path("few.vcf").write_bytes(variants)
    assert r2mae("score", "few.vcf", *ON_DNA, "--out", "few.vcf", "--overwrite")[0] == 0
    scored = [line.split("\t")[:7] for line in Path("few.vcf").read_text().splitlines() if line[0] != "#"]
    assert scored == [line.split("\t")[:7] for line in variants.decode().splitlines() if line[0] != "#"]


def test_cells_are_replaced_by_the_same_cells_with_more(folder: Path, r2mae: Any) -> None:
    import anndata

    before = anndata.read_h5ad("query.h5ad")
    assert r2mae("embed", "query.h5ad", "model", "--out", "query.h5ad", "--overwrite")[0] == 0
    after = anndata.read_h5ad("query.h5ad")
    assert (after.X != before.X).nnz == 0
    assert "X_r2mae" in after.obsm


# ---------------------------------------------------------------- settings in a file


def test_settings_of_a_file_are_overridden_and_written(folder: Path, r2mae: Any) -> None:
    import yaml

    Path("run.yaml").write_text("data: query.h5ad\nmodel: model\nbatch-size: 7\ncorrect_batch: false\nkey_added: X_mine\n")
    code, _, err = r2mae("embed", "--config", "run.yaml", "--out", "one.h5ad", "--batch-size", "5")
    assert code == 0, err
    written = yaml.safe_load(Path("one.h5ad.config.yaml").read_text())
    expected = {"data": "query.h5ad", "model": "model", "out": "one.h5ad", "batch_size": 5, "correct_batch": False}
    assert written == expected | {"key_added": "X_mine", "map_query": False, "device": "auto"}
    assert r2mae("embed", "--config", "one.h5ad.config.yaml", "--out", "two.h5ad")[0] == 0
    again = yaml.safe_load(Path("two.h5ad.config.yaml").read_text())
    assert again == written | {"out": "two.h5ad"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layr: counts\n", "run.yaml sets layr, which theory does not have; it has adata"),
        ("- counts\n", "run.yaml holds a list"),
        ("{", "run.yaml cannot be read"),
        ("n_top_genes: many\n", "'--n-top-genes'"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(folder: Path, r2mae: Any, text: str, said: str) -> None:
    Path("run.yaml").write_text(text)
    code, _, err = r2mae("theory", "cells.h5ad", "--config", "run.yaml")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_lists_and_mappings_of_a_file(folder: Path, r2mae: Any) -> None:
    import yaml

    settings = {"adata": "query.h5ad", "model": "model", "genes": ["G3", "G1"], "out": "genes.csv"}
    Path("run.yaml").write_text(yaml.safe_dump(settings))
    assert r2mae("impute", "--config", "run.yaml")[0] == 0
    assert Path("genes.csv").read_text().startswith("cell,G3 mean,G1 mean,G3 sd,G1 sd\n")
    written = yaml.safe_load(Path("genes.csv.config.yaml").read_text())
    assert {name: written[name] for name in settings} == settings
    model = yaml.safe_load(Path("model.config.yaml").read_text())
    assert model["model_kwargs"]["d_model"] == 16
    assert model["data"] == ["cells.h5ad"]
    Path("peaks.bed").write_text("one\t1000\t1040\n")
    region = {"data": "peaks.bed", "model": "dna_model", "genome": "genome.fa.gz", "aliases": {"one": "chr1"}, "out": "r.npy"}
    Path("run.yaml").write_text(yaml.safe_dump(region))
    assert r2mae("embed", "--config", "run.yaml")[0] == 0


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize(
    "args",
    [
        ["info", "model"],
        ["info", "genome.fa.gz"],
        ["theory", "cells.h5ad", "--n-bootstrap", "0"],
        ["fetch", "--list"],
        ["fetch", "lambda_phage"],
        ["embed", "query.h5ad", "model", "--out", "x.csv"],
    ],
)
def test_json_is_one_object_on_one_line(folder: Path, r2mae: Any, args: list[str]) -> None:
    code, out, err = r2mae(*args, "--json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    assert isinstance(json.loads(out, parse_constant=pytest.fail), dict)


def test_warnings_are_lines_of_ours_and_libraries_are_silent(folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    from r2mae_bio._warn import warn
    from r2mae_bio.datasets import registry

    def talkative() -> Any:
        print("a library prints")
        warnings.warn("a library warns", FutureWarning, stacklevel=1)
        for _ in range(2):
            warn("a thing\nto know")
        return registry()

    monkeypatch.setattr("r2mae_bio.datasets.registry", talkative)
    code, out, err = r2mae("fetch", "--list", "--quiet")
    assert code == 0
    assert "prints" not in out
    assert err == "a library prints\nwarning: a thing to know\n"


def test_a_shell_completes_commands() -> None:
    asked = {"_R2MAE_COMPLETE": "complete_bash", "COMP_WORDS": "r2mae th", "COMP_CWORD": "1"}
    done = in_a_process(env=asked)
    assert done.stdout.split() == ["theory"]


# ---------------------------------------------------------------- Ctrl-C


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_the_run_goes_on(folder: Path, r2mae: Any) -> None:
    """Interrupted in the middle of training, and started again, the weights are those of a whole
    run.
    """
    from r2mae_bio.model import GeneMAE

    args = ["pretrain", "cells.h5ad", "--batch-size", "8", "--max-epochs", "30"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    sizes = ["--model-kwargs", '{"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1}']
    command = [sys.executable, "-c", CALL, *args, *sizes, "--out", "cut"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(Path("cut.training").glob("step_*/state.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.splitlines()[-1].startswith("interrupted")
    assert not Path("cut").exists()
    assert not Path("cut.config.yaml").exists()
    code, _, err = r2mae(*args, *sizes, "--out", "cut")
    assert code == 0, err
    assert not Path("cut.training").exists()
    assert r2mae(*args, *sizes, "--out", "whole")[0] == 0
    assert GeneMAE.load("cut").checksum() == GeneMAE.load("whole").checksum()


# ---------------------------------------------------------------- names


OURS = {"folder", "config", "overwrite", "json", "quiet", "debug", "ctx"}
PYTHON: dict[str, tuple[list[str], set[str]]] = {
    "pretrain": (
        ["tl.pretrain", "model.GeneMAE", "model.GeneMAE.train", "model.DNAMAE", "model.DNAMAE.train", "io.Genome"],
        {"data", "out", "in_files", "resume"},
    ),
    "embed": (
        ["tl.embed", "tl.map_query", "tl.embed_sequences", "tl.embed_regions", "io.Genome"],
        {"data", "out", "map_query", "device"},
    ),
    "transfer": (["tl.transfer_labels"], {"out", "device"}),
    "impute": (["tl.impute"], {"out", "device"}),
    "compare": (["evaluate.compare"], {"max_epochs"}),
    "score": (["tl.score_variants", "io.Genome"], {"device"}),
    "neutral": (["tl.neutral_expectation", "io.Genome"], {"out", "device"}),
    "ism": (["tl.saturation_mutagenesis", "tl.to_bedgraph", "io.Genome"], {"out", "device"}),
    "track": (["tl.saturation_track", "io.Genome"], {"device"}),
    "track-merge": (["tl.merge_tracks"], set()),
    "theory": (["tl.spectrum", "tl.recommend_mask_ratio"], set()),
    "info": (["io.Genome"], {"data"}),
    "fetch": (["datasets.fetch"], {"out", "list_"}),
}


@pytest.mark.parametrize("verb", VERBS)
def test_options_are_named_as_in_python(verb: str) -> None:
    """But for those that only a command line has."""
    import inspect
    from functools import reduce

    import r2mae_bio

    functions, own = PYTHON[verb]
    found = [reduce(getattr, name.split("."), r2mae_bio) for name in functions]
    known = {name for function in found for name in inspect.signature(function).parameters}
    (registered,) = [command for command in app.registered_commands if command.callback.__name__ == verb.replace("-", "_")]
    given = set(inspect.signature(registered.callback).parameters) - OURS
    assert given - own <= known
    assert own <= given

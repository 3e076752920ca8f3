"""Folders of saved models and of training runs that were cut."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from safetensors import safe_open

import r2mae_bio as rb
from benchmarks.damage import cells, dna
from benchmarks.damage.judging import InvalidInputError, Verdict, judge
from benchmarks.damage.mutations import damage_file, damage_json_file, damage_lines, damage_signed, some
from r2mae_bio.config import CellFinetuneConfig, FinetuneConfig
from r2mae_bio.core._checkpoint import FORMAT, read_bundle, write_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCHS = 3
TIMINGS = ("cells_per_second", "bases_per_second")
YOUNG = ("batches", "n_neighbourhoods", "duplicates", "content", "noise_pooling")
"""Entries that files of older versions lack, so that a file may."""
Weights = dict[str, np.ndarray]


class _Kind(ABC):
    """A kind of model, its data, and how it is trained and used."""

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Write the data."""

    @abstractmethod
    def open(self, folder: Path) -> None:
        """Read the data."""

    @abstractmethod
    def new(self, **settings: Any) -> Any:
        """A model, trained for as long as ``settings`` say."""

    @abstractmethod
    def load(self, folder: Path) -> Any:
        """A saved model."""

    @abstractmethod
    def use(self, model: Any) -> np.ndarray:
        """What it says of the data."""


class _Genes(_Kind):
    def prepare(self, folder: Path) -> None:
        pass

    def open(self, folder: Path) -> None:
        self._adata = cells.make_cells()

    def new(self, **settings: Any) -> Any:
        return cells.make_model(self._adata.copy(), batch_key="batch", **settings)

    def load(self, folder: Path) -> Any:
        return rb.model.GeneMAE.load(folder)

    def use(self, model: Any) -> np.ndarray:
        return np.asarray(model.get_latent_representation(self._adata.copy()))


class _Bases(_Kind):
    def prepare(self, folder: Path) -> None:
        dna.write_fasta(folder / "genome.fa", dna.make_sequences())

    def open(self, folder: Path) -> None:
        self._genome = rb.io.Genome(folder / "genome.fa", cache_dir=folder / "cache")

    def new(self, **settings: Any) -> Any:
        return dna.make_model(self._genome, **settings)

    def load(self, folder: Path) -> Any:
        return rb.model.DNAMAE.load(folder)

    def use(self, model: Any) -> np.ndarray:
        return np.asarray(model.get_latent_representation(["GATTACAGATTACAGATTACA", "ACGTNNACGT"]))


class _CellClasses(_Genes):
    def new(self, **settings: Any) -> Any:
        adata = self._adata.copy()
        config = CellFinetuneConfig(n_steps=6, evaluate_every=3, batch_size=16)
        tuned = cells.make_model(adata).finetune(adata, labels_key="batch", config=config, progress_bar=False)
        return tuned

    def load(self, folder: Path) -> Any:
        return rb.model.CellClassifier.load(folder)

    def use(self, model: Any) -> np.ndarray:
        return np.asarray(model.predict_proba(self._adata.copy()))


class _SequenceClasses(_Bases):
    def new(self, **settings: Any) -> Any:
        texts = list(dna.make_sequences().values())[0]
        table = pd.DataFrame(
            {"sequence": [texts[i * 12 : i * 12 + 12] for i in range(50)], "label": [f"{i % 2}" for i in range(50)]}
        )
        config = FinetuneConfig(n_steps=6, evaluate_every=3, batch_size=16)
        return dna.make_model(self._genome).finetune(table.assign(split=["train"] * 40 + ["dev"] * 10), config=config)

    def load(self, folder: Path) -> Any:
        return rb.model.SequenceClassifier.load(folder)

    def use(self, model: Any) -> np.ndarray:
        return np.asarray(model.predict_proba(["GATTACAGATTA", "ACGTNNACGTAA"]))


def _steady(folder: Path) -> None:
    """Replace what was timed, so that the files have the same bytes each time."""
    bundles = {name: read_bundle(folder, name) for name in ("model", "state") if (folder / f"{name}.json").exists()}
    for bundle in bundles.values():
        for record in (bundle.data, bundle.data.get("gene", {})):
            for row in record.get("history", []):
                row.update({name: 1000.0 for name in TIMINGS if name in row})
    write_folder(folder, bundles, overwrite=True)


def _stored(folder: Path, name: str) -> tuple[dict[str, Any], Weights]:
    """Data and tensors as the libraries read them, if they are what was signed."""
    weights = folder / f"{name}.safetensors"
    try:
        content = json.loads((folder / f"{name}.json").read_bytes())
        text = json.dumps(content["data"], sort_keys=True).encode()
        signed = {"safetensors": hashlib.sha256(weights.read_bytes()).hexdigest(), "data": hashlib.sha256(text).hexdigest()}
        if not content["sha256"].items() >= signed.items() or content["format"] != FORMAT:
            raise InvalidInputError(f"{name} is not what was signed")
        with safe_open(weights, framework="np") as file:
            return content["data"], {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise InvalidInputError(f"{name} cannot be read ({error})") from error


def _weights(model: Any) -> Weights:
    return {key: tensor.numpy() for key, tensor in model.network.state_dict().items()}


def _weight_difference(found: Weights, expected: Weights) -> str:
    if found.keys() != expected.keys():
        return f"tensors differ: {sorted(found.keys() ^ expected.keys())[:3]}"
    for key, tensor in found.items():
        if tensor.shape != expected[key].shape or not np.array_equal(tensor, expected[key], equal_nan=True):
            return f"{key} differs"
    return ""


class Saved:
    """A saved model."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind

    def prepare(self, folder: Path) -> None:
        self._kind.prepare(folder)
        self._kind.open(folder)
        _steady(self._kind.new(max_epochs=2).save(folder / "model"))

    def open(self, folder: Path) -> None:
        self._kind.open(folder)

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        return _damage_bundle(folder / "model", "model", rng)

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        path = folder / "model"
        loaded = []

        def load() -> Any:
            loaded.append(self._kind.load(path))
            return loaded[0]

        yield judge("load", load, lambda: _stored(path, "model"), _load_difference)
        if not loaded:
            return
        yield judge(
            "use",
            lambda: self._kind.use(loaded[0]),
            lambda: None,
            lambda found, _: "" if np.isfinite(found).all() else "not finite",
        )
        yield judge(
            "describe, save",
            lambda: self._described(loaded[0], folder / "again"),
            lambda: _weights(loaded[0]),
            _weight_difference,
        )

    def _described(self, model: Any, folder: Path) -> Weights:
        for name in ("history", "is_trained", "blind_loss", "mask_ratio", "classes", "floors", "vocabulary"):
            getattr(model, name, None)
        assert repr(model)
        return _weights(self._kind.load(model.save(folder)))


def _load_difference(model: Any, stored: tuple[dict[str, Any], Weights]) -> str:
    """Of a loaded model to what its files say."""
    data, tensors = stored
    said = json.loads(json.dumps(model.record.to_json()))
    for key, value in said.items():
        if not _agree(value, data.get(key, value)):
            return f"{key} is {str(value)[:80]}, the file says {str(data[key])[:80]}"
    return _weight_difference(_weights(model), tensors)


def _agree(said: Any, stored: Any) -> bool:
    """Whether all that a record says is what the file says, which may say more."""
    if isinstance(said, dict) and isinstance(stored, dict):
        return all(name in YOUNG or name in stored for name in said) and all(
            _agree(value, stored.get(name, value)) for name, value in said.items()
        )
    if isinstance(said, list) and isinstance(stored, list):
        return len(said) == len(stored) and all(map(_agree, said, stored))
    if isinstance(said, str) and isinstance(stored, int | float):
        return said == str(stored)  # names were numbers once
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (said, stored))
    return said == stored or (said != said and stored != stored) if numbers else type(said) is type(stored) and said == stored


def _damage_bundle(folder: Path, name: str, rng: np.random.Generator) -> str:
    files = [folder / f"{name}.safetensors", folder / f"{name}.json"]
    action = some(rng, ("signed",) * 6 + ("file",) * 5 + ("json",) * 2 + ("remove", "swap"))
    if action == "signed":
        return damage_signed(folder, name, rng)
    if action == "file":
        return damage_file(some(rng, files), rng)
    if action == "json":
        return damage_json_file(files[1], rng)
    if action == "remove":
        file = some(rng, files)
        file.unlink()
        return f"{file.name} removed"
    first, second = (file.read_bytes() for file in files)
    files[0].write_bytes(second)
    files[1].write_bytes(first)
    return "files swapped"


class Run:
    """A training run that was cut after two of three epochs."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind

    def prepare(self, folder: Path) -> None:
        self._kind.prepare(folder)
        self._kind.open(folder)
        run = folder / "run"
        with contextlib.suppress(_StoppedError):
            self._kind.new(max_epochs=EPOCHS, checkpoint_dir=run, callbacks=[_Stop()])
        for step in sorted(run.glob("step_*")):
            _steady(step)
        rows = pd.read_csv(run / "history.csv")
        rows.assign(**{name: 1000.0 for name in TIMINGS if name in rows}).to_csv(run / "history.csv", index=False)

    def open(self, folder: Path) -> None:
        self._kind.open(folder)
        self._whole = _weights(self._kind.new(max_epochs=EPOCHS))

    def damage(self, folder: Path, rng: np.random.Generator) -> str:
        older, newest = sorted((folder / "run").glob("step_*"))
        action = some(rng, ("newest",) * 8 + ("older", "history", "folder"))
        if action == "history":
            return damage_file(folder / "run" / "history.csv", rng, damage_lines)
        if action == "folder":
            shutil.rmtree(newest)
            return "newest checkpoint removed"
        chosen = newest if action == "newest" else older
        return f"{action}, {_damage_bundle(chosen, some(rng, ('state', 'state', 'model')), rng)}"

    def judge(self, folder: Path, rng: np.random.Generator) -> Iterator[Verdict]:
        run = folder / "run"
        before = _contents(run)
        newest = shutil.copytree(sorted(run.glob("step_*"))[-1], folder / "newest")

        def truth() -> list[Any]:
            _stored(newest, "model")
            return _stored(newest, "state")[0].get("history", [])

        yield judge(
            "train, resumed",
            lambda: self._kind.new(max_epochs=EPOCHS, resume_from=run),
            truth,
            self._difference,
            lambda: _left(run, before),
        )

    def _difference(self, model: Any, said: list[Any]) -> str:
        """None to the weights of a run that was never cut; or, if a signed state says something
        else, to its history.
        """
        found = _weights(model)
        difference = _weight_difference(found, self._whole)
        if not difference:
            return ""
        if not all(np.isfinite(tensor).all() for tensor in found.values()):
            return "weights are not finite"
        kept = json.dumps(model.record.history[: len(said)], sort_keys=True)
        return "" if kept == json.dumps(said, sort_keys=True) else difference


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def _left(run: Path, before: dict[str, bytes]) -> str:
    after = _contents(run)
    hidden = [name for name in after if "/." in f"/{name}"]
    changed = [name for name in before if after.get(name) != before[name] and not name.endswith("history.csv")]
    return ", ".join(hidden + changed)


class _StoppedError(Exception):
    """Stands for a signal."""


class _Stop(pl.Callback):
    """Ends a run when its last epoch begins."""

    def on_train_epoch_start(self, trainer: pl.Trainer, module: Any) -> None:
        if trainer.current_epoch == EPOCHS - 1:
            raise _StoppedError


MODELS = {
    "genemae": Saved(_Genes()),
    "dnamae": Saved(_Bases()),
    "cellclassifier": Saved(_CellClasses()),
    "sequenceclassifier": Saved(_SequenceClasses()),
    "genemae-run": Run(_Genes()),
    "dnamae-run": Run(_Bases()),
}
torch.set_num_threads(1)

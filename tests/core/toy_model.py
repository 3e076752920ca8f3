"""The smallest model that can be saved."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._seeded import seeded
from r2mae_bio.core._trainable import Trainable
from r2mae_bio.masking import Uniform


@dataclass(frozen=True)
class LineConfig:
    width: int = 2

    def to_json(self):
        return {"width": self.width}


@dataclass(eq=False, kw_only=True)
class LineRecord(ModelRecord):
    colour: str

    def to_json(self):
        return {**super().to_json(), "colour": self.colour}

    @classmethod
    def _own_fields(cls, data):
        return {"config": LineConfig(**data["config"]), "colour": data["colour"]}


class Line(Trainable[LineRecord, torch.nn.Linear]):
    """The smallest model: one linear layer."""

    _kind = "Line"

    def __init__(self, width=2, law=None, seed=0):
        law = Uniform() if law is None else law
        self.record = LineRecord(config=LineConfig(width), law=law, seed=seed, colour="red")
        self.network = None

    def initialize(self):
        with seeded(self.record.seed):
            self.network = torch.nn.Linear(self.record.config.width, 1)
        return self

    @classmethod
    def _read_record(cls, data):
        return LineRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record):
        return torch.nn.Linear(record.config.width, 1)

    def _after_load(self):
        self.was_loaded = True

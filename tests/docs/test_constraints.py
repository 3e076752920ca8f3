"""The oldest releases that are tested are the lower bounds that users are told."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def pins():
    lines = (REPOSITORY / "constraints" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    return {r.name: r.specifier for r in map(Requirement, filter(None, (line.split("#")[0].strip() for line in lines)))}


def test_lower_bounds_are_the_pins():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [
        Requirement(line)
        for line in (
            *project["dependencies"],
            *(line for key in ("cli", "evaluate", "huggingface") for line in extras[key]),
        )
    ]
    pinned = pins()
    for requirement in wanted:
        (bound,), (pin,) = requirement.specifier, pinned[requirement.name]
        assert (bound.operator, pin.operator) == (">=", "=="), requirement
        assert Version(bound.version) == Version(pin.version), (
            f"{requirement} in pyproject.toml, {requirement.name}{pin} in constraints/oldest.txt"
        )

"""The house of docs/architecture.md, drawn from what the modules import.

    python docs/draw_house.py            print the drawing
    python docs/draw_house.py --write    put it into the page
    python docs/draw_house.py --check    exit with 1 if the page holds another one

Layers are those of the contract "direction" in pyproject.toml; imports are those that import-linter
sees, imports for type checkers included, and those that the doors name in their tables.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
import tomllib
from collections import defaultdict
from itertools import takewhile, zip_longest
from pathlib import Path

import grimp

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = "r2mae_bio"
PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by docs/draw_house.py: begin -->", "<!-- drawn by docs/draw_house.py: end -->"
WIDTH = 100
HALL, DOOR = "hall", "door"  # of a wing: the modules beside its rooms, and its __init__


class House:
    """Layers of members (packages and modules of the top level), and the rooms of each."""

    def __init__(self, repository: Path = REPOSITORY) -> None:
        sys.path.insert(0, str(repository))  # this checkout, whatever else is installed
        try:
            graph = grimp.build_graph(PACKAGE, cache_dir=None)
        finally:
            sys.path.remove(str(repository))
        self.parts = {tuple(name.split(".")[1:]) for name in graph.modules} - {()}
        self.layers = [[member for member in layer if (member,) in self.parts] for layer in _layers(repository)]
        lost = {part[0] for part in self.parts} - {member for layer in self.layers for member in layer}
        if lost:
            message = f"{sorted(lost)} stand in no layer of pyproject.toml"
            raise SystemExit(message)
        self.packages = {part[:-1] for part in self.parts} - {()}
        self.wings = {part[0] for part in self.packages if len(part) == 2}
        single = reversed([layer for layer in self.layers if layer])
        self.floor = {
            m
            for layer in takewhile(lambda layer: not any((m,) in self.packages and m[0] != "_" for m in layer), single)
            for m in layer
        }
        self.sizes: dict[tuple[str, ...], int] = defaultdict(int)
        self.imports: dict[tuple[str, ...], set[tuple[str, ...]]] = defaultdict(set)
        for part in sorted(self.parts):
            room, name = self.room(part), ".".join((PACKAGE, *part))
            self.sizes[room] += part not in self.packages
            imported = {tuple(other.split(".")[1:]) for other in graph.find_modules_directly_imported_by(name)}
            self.imports[room] |= {self.room(other) for other in imported | self._named_in_table(repository, part)} - {room, ()}

    def room(self, part: tuple[str, ...]) -> tuple[str, ...]:
        """Where a module is: a room of a wing, its hall or door, or a member of the top level."""
        if not part or part[0] not in self.wings:
            return part[:1]
        if len(part) == 1:
            return (part[0], DOOR)
        return part[:2] if part[:2] in self.packages else (part[0], HALL)

    def _named_in_table(self, repository: Path, part: tuple[str, ...]) -> set[tuple[str, ...]]:
        """Modules that a door names in its table, and imports when they are asked for."""
        path = repository.joinpath(PACKAGE, *part)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tables = [
            node.args[1]
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("lazily", "moved")
        ]
        return {tuple(key.value.split(".")) for table in tables if isinstance(table, ast.Dict) for key in table.keys}

    def rooms(self, wing: str) -> list[tuple[str, ...]]:
        """The rooms of a wing; a door that leads nowhere is left out."""
        found = sorted(room for room in self.sizes if room[0] == wing)
        return self.ordered([room for room in found if room != (wing, DOOR) or self.imports[room]])

    def ordered(self, rooms: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Each room above those that it imports, otherwise as they come."""
        left, placed = list(rooms), []
        while left:
            tops = [room for room in left if not any(room in self.imports[other] for other in left)]
            if not tops:
                message = f"{left} import one another"
                raise SystemExit(message)
            placed.append(tops[0])
            left.remove(tops[0])
        return placed


def _layers(repository: Path) -> list[list[str]]:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "direction")
    return [re.findall(r"\w+", layer) for layer in layers]


# ---------------------------------------------------------------- drawing


def drawing() -> str:
    """The house as text, a line for every room with what it imports."""
    house = House()
    stories = [_columns(house, layer) for layer in house.layers if layer]
    lines: list[str] = []
    joints: list[int] = []
    for columns in stories:
        widths = _widths(len(columns))
        below = [sum(widths[: i + 1]) + i + 1 for i in range(len(columns) - 1)]
        lines.append(_rule("┌├"[bool(lines)], "┐┤"[bool(lines)], joints, below))
        boxes = [_box(column, width) for column, width in zip(columns, widths, strict=True)]
        lines += [_row(texts, widths) for texts in zip_longest(*boxes, fillvalue="")]
        joints = below
    lines.append(_rule("└", "┘", joints, []))
    return "\n".join(lines)


def _columns(house: House, layer: list[str]) -> list[list[str]]:
    """Members without rooms share a column; a wing has its own."""
    plain = [_line(house, room) for room in house.ordered([(member,) for member in layer if member not in house.wings])]
    columns = [[" · ".join(plain)] if layer[0] in house.floor else plain] if plain else []
    wings = [member for member in layer if member in house.wings]
    return columns + [[f"{wing}/", *("  " + _line(house, room) for room in house.rooms(wing))] for wing in wings]


def _line(house: House, room: tuple[str, ...]) -> str:
    """A room, its modules, and the rooms that it imports, the floor left out unless it is of it."""
    others = {other for other in house.imports[room] if room[0] in house.floor or other[0] not in house.floor}
    size = f" {house.sizes[room]}" if house.sizes[room] and (len(room) == 2 or room in house.packages) else ""
    return room[-1] + size + (" → " + " ".join(_names(room, others)) if others else "")


def _names(room: tuple[str, ...], others: set[tuple[str, ...]]) -> list[str]:
    own = sorted("." + other[1] for other in others if len(other) == 2 and other[0] == room[0])
    wings: dict[str, list[str]] = defaultdict(list)
    for other in sorted(others):
        if other[0] != room[0]:
            wings[other[0]] += other[1:]
    return own + [f"{wing}[{' '.join(rooms)}]" if rooms else wing for wing, rooms in sorted(wings.items())]


def _widths(n: int) -> list[int]:
    inner = WIDTH - n - 1
    return [inner // n + (i < inner % n) for i in range(n)]


def _box(rows: list[str], width: int) -> list[str]:
    lines = []
    for row in rows:
        indent = len(row) - len(row.lstrip()) + 4
        lines += textwrap.wrap(
            " " + row, width - 1, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
    return lines


def _row(texts: tuple[str, ...], widths: list[int]) -> str:
    return "│" + "│".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)) + "│"


def _rule(left: str, right: str, above: list[int], below: list[int]) -> str:
    line = ["─"] * (WIDTH - 2)
    for place in {*above, *below}:
        line[place - 1] = "┼" if place in above and place in below else "┴" if place in above else "┬"
    return left + "".join(line) + right


# ---------------------------------------------------------------- the page


def with_drawing(page: str, drawn: str) -> str:
    """The page with the drawing between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        message = f"{PAGE.name} lacks the marks {BEGIN} and {END}"
        raise SystemExit(message)
    return f"{before}{BEGIN}\n\n```text\n{drawn}\n```\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the house of docs/architecture.md.")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page holds another drawing")
    parser.add_argument("--write", action="store_true", help="put the drawing into the page")
    asked = parser.parse_args()
    drawn = drawing()
    if not (asked.check or asked.write):
        sys.stdout.write(drawn + "\n")
        return 0
    page = PAGE.read_text(encoding="utf-8")
    wanted = with_drawing(page, drawn)
    if asked.write:
        PAGE.write_text(wanted, encoding="utf-8")
    elif page != wanted:
        sys.stderr.write(f"{PAGE.name} is out of date; run python docs/draw_house.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

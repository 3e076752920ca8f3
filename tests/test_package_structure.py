"""The shape of the package: import cost, exports, signatures, docstrings, sizes, contracts.

Everything that exists is checked; a subpackage that does not exist yet is not missed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import r2mae_bio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

PACKAGE = Path(r2mae_bio.__file__).resolve().parent
REPOSITORY = PACKAGE.parent
HEAVY = ("torch", "lightning", "pytorch_lightning", "scanpy", "scvi", "matplotlib", "anndata")
VERBS = ("pp", "tl", "pl")
DNA_INPUTS = (
    "genome",
    "parts",
    "region",
    "regions",
    "sequences",
    "table",
    "variants",
)  # what a verb on DNA takes in place of an AnnData
DOORS = (
    "datasets",
    "io",
    "model",
    "models",
    "pl",
    "pp",
    "tl",
)  # and the evaluation: they load what lies behind them when it is asked for
MOVED = ("nn", "train")  # doors of version 0.1.0, whose names warn
WINGS = ("cells", "dna", "core")  # what lies behind the doors; nobody outside imports from it
MAX_BODY_LINES = 40
MAX_CODE_LINES = 300
MAX_MODULES = 16
MAX_POSITIONAL = 3
MAX_BASES = 6

PUBLIC = [
    "r2mae_bio",
    *sorted(
        f"r2mae_bio.{m.name}"
        for m in pkgutil.iter_modules(r2mae_bio.__path__)
        if not m.name.startswith("_") and m.name not in (*WINGS, *MOVED)
    ),
]
SOURCES = sorted(p for p in PACKAGE.rglob("*.py") if "_data_registry" not in p.parts)


def _source_id(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 11))


each_source = pytest.mark.parametrize("path", SOURCES, ids=_source_id)
each_module = pytest.mark.parametrize("module_name", PUBLIC)


# ---------------------------------------------------------------- import cost

_SPY = """
import importlib, json, sys, traceback
heavy, guilty = set(sys.argv[1].split(",")), {}

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in heavy and name not in guilty:
            frames = [f for f in traceback.extract_stack()[:-1] if "importlib" not in f.filename]
            guilty[name] = [f"{f.filename}:{f.lineno}: {f.line}" for f in frames]
        return None

sys.meta_path.insert(0, Spy())
dir(importlib.import_module(sys.argv[2]))
loaded = sorted(heavy & set(sys.modules))
print(json.dumps({"loaded": loaded, "guilty": {n: guilty.get(n, []) for n in loaded}}))
"""


def _assert_loads_none_of(heavy: tuple[str, ...], module_name: str) -> None:
    """Import it in a fresh interpreter; on failure the chain of imports is shown."""
    command = [sys.executable, "-c", _SPY, ",".join(heavy), module_name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    chains = [f"{name} was imported by\n    " + "\n    ".join(chain) for name, chain in report["guilty"].items()]
    assert not report["loaded"], "\n".join(chains)


def test_import_is_cheap() -> None:
    """``import r2mae_bio`` loads nothing heavy."""
    _assert_loads_none_of(HEAVY, "r2mae_bio")


@pytest.mark.parametrize("door", [*DOORS, "evaluate"])
def test_doors_load_nothing_until_they_are_used(door: str) -> None:
    _assert_loads_none_of(HEAVY, f"r2mae_bio.{door}")


@pytest.mark.parametrize("model", ["cells.model._gene_mae", "cells.model._classifier", "dna.model._dna_mae"])
def test_models_that_are_only_used_load_no_trainer(model: str) -> None:
    """Of the seconds that a short command takes, Lightning was half."""
    _assert_loads_none_of(("pytorch_lightning", "lightning_fabric", "torchmetrics"), f"r2mae_bio.{model}")


@pytest.mark.parametrize("door", [*DOORS, "evaluate"])
def test_doors_show_type_checkers_what_they_give(door: str) -> None:
    """The imports that type checkers read and the table that is used name the same things."""
    module = importlib.import_module(f"r2mae_bio.{door}")
    for_typing = next(node for node in _tree(PACKAGE / door / "__init__.py").body if isinstance(node, ast.If))
    imports = [node for node in for_typing.body if isinstance(node, ast.ImportFrom)]
    shown = {alias.name: node.module for node in imports for alias in node.names}
    assert sorted(shown) == module.__all__
    wrong = {name for name, home in shown.items() if getattr(importlib.import_module(home), name) is not getattr(module, name)}
    assert not wrong, f"found elsewhere than shown: {sorted(wrong)}"


@pytest.mark.parametrize("door", MOVED)
def test_names_that_moved_still_work_and_say_where_they_went(door: str) -> None:
    module = importlib.import_module(f"r2mae_bio.{door}")
    assert module.__all__ == dir(module) == sorted(set(module.__all__))
    for name in module.__all__:
        with pytest.warns(DeprecationWarning, match=rf"r2mae_bio\.{door}\.{name} .* now is in r2mae_bio\.\w+"):
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = module.nonsense


def test_the_theory_is_numpy_and_scipy_alone() -> None:
    """It can be used where none of the other dependencies is installed."""
    _assert_loads_none_of((*HEAVY, "pandas"), "r2mae_bio.theory")


def test_the_check_for_heavy_imports_finds_them() -> None:
    with pytest.raises(AssertionError, match=r"(?s)scipy was imported by.*theory/_"):
        _assert_loads_none_of(("scipy",), "r2mae_bio.theory")


def test_unknown_attribute_is_named() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'; it has .*datasets"):
        _ = r2mae_bio.nonsense


# ---------------------------------------------------------------- exports


def _exists(name: str) -> bool:
    """False for a subpackage that the root announces but that nobody has written yet."""
    return (PACKAGE / name / "__init__.py").is_file() or (PACKAGE / f"{name}.py").is_file()


def _public_names(module: ModuleType) -> list[str]:
    names = list(getattr(module, "__all__", ()))
    if module is r2mae_bio:
        names = [n for n in names if n.startswith("__") or _exists(n)]
    return names


@each_module
def test_all_is_sorted_and_resolves(module_name: str) -> None:
    module = importlib.import_module(module_name)
    assert hasattr(module, "__all__"), f"{module_name} declares no __all__"
    assert list(module.__all__) == sorted(set(module.__all__)), f"__all__ of {module_name} is not sorted or repeats a name"
    missing = [name for name in _public_names(module) if not hasattr(module, name)]
    assert not missing, f"{module_name}.__all__ names what is not there: {missing}"
    unlisted = [name for name in module.__all__ if name not in dir(module)]
    assert not unlisted, f"dir({module_name}) does not list {unlisted}"


# ---------------------------------------------------------------- signatures of the verbs


def _verbs() -> Iterator[Any]:
    for package in VERBS:
        if f"r2mae_bio.{package}" not in PUBLIC:
            continue
        module = importlib.import_module(f"r2mae_bio.{package}")
        for name in _public_names(module):
            function = getattr(module, name, None)
            if inspect.isfunction(function):
                yield pytest.param(function, id=f"{package}.{name}")


@pytest.mark.parametrize("verb", list(_verbs()))
def test_verb_signature(verb: Callable[..., object]) -> None:
    """Data first (a plot of a training run takes the ``model``), at most three positional
    parameters, booleans and ``copy`` keyword-only.
    """
    parameters = list(inspect.signature(verb).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    first = {"adata", *DNA_INPUTS} | ({"model"} if verb.__module__.startswith("r2mae_bio.pl") else set())
    assert positional, f"takes no positional parameter; the first must be one of {sorted(first)}"
    assert positional[0].name in first, f"the first parameter is {positional[0].name}, not one of {sorted(first)}"
    assert len(positional) <= MAX_POSITIONAL, f"{len(positional)} positional parameters: {[p.name for p in positional]}"
    flags = [
        p.name for p in positional if isinstance(p.default, bool) or str(p.annotation).startswith("bool") or p.name == "copy"
    ]
    assert not flags, f"must be keyword-only: {flags}"
    assert not any(p.kind is p.VAR_POSITIONAL for p in parameters), "takes *args"


# ---------------------------------------------------------------- docstrings


def _has_section(doc: str, *titles: str) -> bool:
    return any(re.search(rf"^{title}\n-+$", doc, flags=re.MULTILINE) for title in titles)


def _returns_nothing(signature: inspect.Signature) -> bool:
    return signature.return_annotation in (None, "None", "NoReturn", "Never")


def _doc_problems(function: Callable[..., object], *, sections: bool) -> list[str]:
    doc = inspect.getdoc(function)
    if not doc:
        return ["has no docstring"]
    if not sections:
        return []
    signature = inspect.signature(function)
    problems = []
    if set(signature.parameters) - {"self", "cls"} and not _has_section(doc, "Parameters"):
        problems.append("takes parameters but has no Parameters section")
    if not _returns_nothing(signature) and not _has_section(doc, "Returns", "Yields"):
        problems.append("returns something but has no Returns section")
    return problems


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        function = getattr(member, "__func__", member)  # classmethod, staticmethod
        if isinstance(member, property):
            function = member.fget
        if inspect.isfunction(function):
            yield name, function


def _class_problems(cls: type, *, sections: bool) -> Iterator[str]:
    if not vars(cls).get("__doc__"):
        yield f"{cls.__name__} has no docstring"
    for name, function in _methods(cls):
        is_property = isinstance(vars(cls)[name], property)
        doc_from_base = getattr(cls, name) if not is_property else vars(cls)[name]
        if not inspect.getdoc(doc_from_base):
            yield f"{cls.__name__}.{name} has no docstring"
        elif sections and not is_property:
            yield from (f"{cls.__name__}.{name} {problem}" for problem in _doc_problems(function, sections=True))


@each_module
def test_docstrings(module_name: str) -> None:
    """Functions, and the methods of models, also need Parameters and Returns sections."""
    module = importlib.import_module(module_name)
    problems = [] if module.__doc__ else [f"{module_name} has no docstring"]
    for name in _public_names(module):
        thing = getattr(module, name, None)
        if not getattr(thing, "__module__", "").startswith("r2mae_bio"):
            continue  # a constant, a submodule, or re-exported from elsewhere
        if inspect.isclass(thing):
            problems += _class_problems(thing, sections=module_name == "r2mae_bio.model")
        elif inspect.isfunction(thing):
            problems += [f"{name} {problem}" for problem in _doc_problems(thing, sections=True)]
    assert not problems, f"in {module_name}:\n  " + "\n  ".join(problems)


# ---------------------------------------------------------------- nothing that runs foreign code

PICKLING_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"}
PICKLING_CALLS = {"read_pickle", "to_pickle", "load_from_checkpoint"}


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _unsafe_import(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        found = [a.name for a in node.names if a.name.partition(".")[0] in PICKLING_MODULES]
    elif isinstance(node, ast.ImportFrom):
        names = {f"{node.module}.{a.name}" for a in node.names}
        found = [n for n in names if n.partition(".")[0] in PICKLING_MODULES or n in {"torch.load", "torch.save", "joblib.load"}]
    else:
        return None
    return f"imports {', '.join(found)}" if found else None


def _unsafe_call(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    name = _dotted(node.func)
    if name in {"eval", "exec", "torch.load", "torch.save", "joblib.load"} or name.rpartition(".")[2] in PICKLING_CALLS:
        return f"calls {name}"
    for keyword in node.keywords:
        if keyword.arg == "allow_pickle" and not _is_false(keyword.value):
            return f"calls {name} with allow_pickle"
        if keyword.arg == "weights_only" and _is_false(keyword.value):
            return f"calls {name} with weights_only=False"
    return None


def _unsafe(tree: ast.AST) -> list[str]:
    found = [(node, _unsafe_import(node) or _unsafe_call(node)) for node in ast.walk(tree)]
    return [f"line {node.lineno} {what}" for node, what in found if what]  # type: ignore[attr-defined]


@each_source
def test_nothing_is_unpickled_or_evaluated(path: Path) -> None:
    assert not _unsafe(_tree(path))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('f')",
        "from torch import load",
        "np.load('f', allow_pickle=True)",
        "np.load('f', allow_pickle=flag)",
        "eval('1')",
        "exec('1')",
        "pd.read_pickle('f')",
    ],
)
def test_the_check_for_unsafe_code_finds_it(source: str) -> None:
    assert _unsafe(ast.parse(source))


@pytest.mark.parametrize("source", ["model.eval()", "np.load('f', allow_pickle=False)", "json.load(f)", "'torch.load'"])
def test_the_check_for_unsafe_code_spares_the_rest(source: str) -> None:
    assert not _unsafe(ast.parse(source))


# ---------------------------------------------------------------- sizes and syntax


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Physical lines of a body, docstring excluded."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _code_lines(path: Path) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    prose: set[int] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            prose.update(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and i not in prose for i, line in lines)


@each_source
def test_sizes(path: Path) -> None:
    """Also a syntax check: the source is parsed as Python 3.11."""
    n_lines = _code_lines(path)
    assert n_lines <= MAX_CODE_LINES, f"{n_lines} lines of code; split the file (limit {MAX_CODE_LINES})"
    functions = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f"{f.name} (line {f.lineno})": _body_lines(f) for f in functions if _body_lines(f) > MAX_BODY_LINES}
    assert not long, f"bodies over {MAX_BODY_LINES} lines: {long}"


def test_rooms_are_small_enough_to_look_over() -> None:
    rooms = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in SOURCES if path.name != "__init__.py")
    full = {room: n for room, n in rooms.items() if n > MAX_MODULES}
    assert not full, f"more than {MAX_MODULES} modules: {full}"


@pytest.mark.parametrize("name", importlib.import_module("r2mae_bio.model").__all__)
def test_models_have_few_bases(name: str) -> None:
    """A reader who looks for a method opens one of six files."""
    thing = getattr(importlib.import_module("r2mae_bio.model"), name)
    ours = [base.__name__ for base in getattr(thing, "__mro__", ()) if base.__module__.startswith("r2mae_bio")]
    assert len(ours) <= MAX_BASES, ours


# What stood in several places once and stands in one now: by a pattern, the files that may have it.
ONE_PLACE = {
    r"\bfsync\(|mkdtemp\(": {"_files.py"},
    r"rich\.progress": {"_progress.py"},
    r"\.uns\b.*KEYS\.uns|KEYS\.uns\]": {"cells/read/_uns.py", "pp/_align_genes.py"},
    r"\bwarnings\.warn\(": {"_warn.py"},
    r"isinstance\(model, (str|GeneMAE|DNAMAE)": {"core/_saved.py"},
    r"type: ignore\[attr-defined": set(),
    r"write_folder\(": {"core/_saved.py", "core/_checkpoint.py", "core/_resume.py"},
}


@pytest.mark.parametrize("pattern", ONE_PLACE)
def test_what_is_done_in_one_place_is_not_done_again(pattern: str) -> None:
    found = {_source_id(path) for path in SOURCES if re.search(pattern, path.read_text(encoding="utf-8"))}
    assert found <= ONE_PLACE[pattern], f"{pattern} also stands in {sorted(found - ONE_PLACE[pattern])}"


# ---------------------------------------------------------------- layers


CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def _lint_imports(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name("lint-imports")
    program = str(beside) if beside.is_file() else shutil.which("lint-imports")
    if program is None:
        pytest.skip("import-linter is not installed")
    command = [program, "--no-cache", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def _kept(contract: str, cwd: Path) -> tuple[bool, str]:
    done = _lint_imports("--contract", contract, cwd=cwd)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("contract", [c["id"] for c in CONTRACTS])
def test_import_contract(contract: str) -> None:
    """The contracts of ``pyproject.toml`` hold, imports for type checkers counted."""
    kept, report = _kept(contract, REPOSITORY)
    assert kept, report


# For every contract an import that it forbids: the module that gets it, and the line.
FORBIDDEN = {
    "direction": ("core/_run.py", "from r2mae_bio.evaluate import compare"),
    "wings": ("dna/fit/_batch.py", "from r2mae_bio.cells.fit import _batch"),
    "core": ("core/_run.py", "from r2mae_bio.cells.fit import _batch"),
    "no-anndata": ("dna/regions/_bed.py", "import anndata"),
    "doors": ("cells/fit/_plan.py", "from r2mae_bio.io import Genome"),
    "acyclic": ("cells/fit/_plan.py", "from r2mae_bio.cells.fit import _loader"),
    "pure-networks": ("cells/network/_read.py", "import pytorch_lightning"),
    "pure-theory": ("theory/risk/_groups.py", "import pandas"),
    "evaluate": ("evaluate/scores/_frame.py", "from r2mae_bio.evaluate.report import _compare"),
    "theory-rooms": ("theory/risk/_groups.py", "from r2mae_bio.theory.advice import _curve"),
}


def test_every_contract_is_tried() -> None:
    assert sorted(FORBIDDEN) == sorted(c["id"] for c in CONTRACTS)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, to break contracts in."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(PACKAGE, folder / "r2mae_bio", ignore=shutil.ignore_patterns("__pycache__", "_data_registry"))
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("contract", FORBIDDEN)
@pytest.mark.parametrize("for_typing", [False, True], ids=["at run time", "for typing"])
def test_a_forbidden_import_is_found(copied: Path, contract: str, for_typing: bool) -> None:
    file, line = FORBIDDEN[contract]
    path = copied / "r2mae_bio" / file
    text = path.read_text(encoding="utf-8")
    added = f"\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {line}\n" if for_typing else f"\n{line}\n"
    path.write_text(text + added, encoding="utf-8")
    try:
        kept, report = _kept(contract, copied)
    finally:
        path.write_text(text, encoding="utf-8")
    assert not kept, report
    assert "BROKEN" in report


# ---------------------------------------------------------------- the tests

TESTS = REPOSITORY / "tests"
# What spans modules is named after the behaviour, in the folder where it shows.
BEHAVIOURS = {
    "cells/model": "corruption damage distributed identity inputs interrupt out_of_core panels query resume saving scvi_habits training",
    "cells/network": "leakage",
    "cli": "examples",
    "dna/alignment": "processes",
    "dna/genome": "processes",
    "dna/model": "saving training",
    "dna/variants": "journal outside_readers real_variants",
    "evaluate": "exports",
    "theory/risk": "refusals",
    ".": "fixtures package_structure readme",
}


def test_tests_mirror_the_tree() -> None:
    """A module's tests are found by its path; benchmarks, documents and laws of models apart."""
    lost = []
    for path in sorted(TESTS.rglob("test_*.py")):
        folder, name = path.parent.relative_to(TESTS).as_posix(), path.stem.removeprefix("test_")
        if folder in ("benchmarks", "docs", "laws") or name in BEHAVIOURS.get(folder, "").split():
            continue
        if not any((PACKAGE / folder / f"{module}.py").is_file() for module in (name, f"_{name}")):
            lost.append(path.relative_to(TESTS).as_posix())
    assert not lost, f"no such module, and no behaviour listed: {lost}"

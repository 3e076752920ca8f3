#!/usr/bin/env bash
# hatchling: a version that carries an annotation is not found.
#
# Expected: `__version__: Final = "0.1.0"` and `__version__: str = "0.1.0"` are read as
# `__version__ = "0.1.0"` is; all three assign the same text.
# Seen: with an annotation, building stops at "unable to parse the version from the file".
# What follows for users: write the version without annotation, or give [tool.hatch.version] a
# pattern of one's own.
set -Eeuo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet hatchling==1.33.0 || exit 77
mkdir "$folder/project" "$folder/project/thing"
cat > "$folder/project/pyproject.toml" <<'TOML'
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "thing"
dynamic = ["version"]
[tool.hatch.version]
path = "thing/__init__.py"
TOML
cd "$folder/project"
"$folder/venv/bin/python" -c 'import importlib.metadata as m, sys; print("Python", sys.version.split()[0], "hatchling", m.version("hatchling"))'
read_version() { "$folder/venv/bin/python" -m hatchling version 2>&1 | tail -1; }
for line in '__version__ = "0.1.0"' '__version__: str = "0.1.0"' '__version__: Final = "0.1.0"'; do
    printf 'from typing import Final\n%s\n' "$line" > thing/__init__.py
    echo "$line  ->  $(read_version)"
done | tee "$folder/seen"
test "$(grep -c -- '->  0.1.0' "$folder/seen")" -eq 1
test "$(grep -c -- '->  .*unable to parse' "$folder/seen")" -eq 2
echo "as described"

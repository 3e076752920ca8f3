#!/usr/bin/env bash
# plottable, which scib-metrics needs for its tables, installs a package called "tests".
#
# Expected: a wheel brings the package that it is named after.
# Seen: "tests" becomes a top-level package of the environment. In a project whose own folder of
# tests is imported by that name, `import tests.helpers` finds plottable's outside the project's
# folder, and a module that is missing there is reported as missing from "tests".
# What follows for users: with plottable installed, import helpers of tests relatively.
set -Eeuo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-deps plottable==0.1.5 || exit 77
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata as m
import sys
import tests
found = m.distribution("plottable")
tops = sorted({str(f).split("/")[0] for f in found.files if str(f).endswith(".py")})
print("Python", sys.version.split()[0], "plottable", found.version)
print("top-level packages:", tops)
print("import tests finds", tests.__file__.split("site-packages/")[-1])
sys.exit(tops != ["plottable", "tests"])
PY
echo "as described"

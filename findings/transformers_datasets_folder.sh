#!/usr/bin/env bash
# transformers 5.24: a folder named datasets beside a script passes for the library of that name.
#
# Expected: is_datasets_available() is False where the library datasets is not installed, as
# is_torch_available() is with a folder named torch: its check looks for a version, and takes a
# package without one and without a file for a namespace package.
# Seen: True, since the check for datasets asks for no version. Trainer then looks for
# datasets.Dataset before its first step, and ends with an AttributeError about a module that the user
# never imported.
# What follows for users: a repository that keeps its tables in datasets/, or its tests in
# tests/datasets/ with tests/ on the path, cannot train with Trainer from there. Our tests hit it:
# they no longer put their folder on the path.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/datasets" "$folder/torch"
touch "$folder/datasets/cells.csv" "$folder/torch/notes.txt"
cat > "$folder/train.py" <<'PY'
import importlib.util
import sys

import transformers
from transformers.utils import is_datasets_available, is_torch_available

print("transformers", transformers.__version__)
print("datasets", importlib.util.find_spec("datasets").loader, "taken for the library:", is_datasets_available())
print("torch", importlib.util.find_spec("torch").loader, "taken for the library:", is_torch_available())
import datasets

print("datasets.Dataset is there:", hasattr(datasets, "Dataset"))
sys.exit(not (is_datasets_available() and not is_torch_available() and not hasattr(datasets, "Dataset")))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "transformers==5.24.0" || exit 77
"$folder/env/bin/python" "$folder/train.py"
echo "as described"

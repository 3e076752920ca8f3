#!/usr/bin/env bash
# zarrs 0.2 as codec pipeline of zarr 3: one row of an array in shards cannot be read by its number.
#
# Expected: array[0] of a table in shards is its first row, with either pipeline, as array[0:1] is.
# Seen: where the last shard along the columns reaches beyond the array, array[0] raises
# "RuntimeError: incompatible offset [0, 0, 4] for region with start [0, 0]"; array[0:1],
# array[[0]], the whole, and tables that their shards fill are read, and zarr's own pipeline
# reads all.
# What follows for users: read array[i:i + 1][0].
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { echo "Python 3.12 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/rows.py" <<'PY'
import importlib.metadata as m
import sys
from pathlib import Path

import numpy as np
import zarr

PIPELINES = {"zarr": zarr.config.get("codec_pipeline.path"), "zarrs": "zarrs.ZarrsCodecPipeline"}
CALLS = {
    "[0]": (lambda array: array[0], 0),
    "[0:1]": (lambda array: array[0:1], slice(0, 1)),
    "[[0]]": (lambda array: array.oindex[[0]], [0]),
    "[...]": (lambda array: array[...], ...),
}
print("Python", sys.version.split()[0], *(f"{name} {m.version(name)}" for name in ("zarr", "zarrs", "numpy")))
outcomes = {}
for columns in (8, 5):  # shards are 4 wide
    table = np.arange(16 * columns, dtype=np.float32).reshape(16, columns)
    path = Path(sys.argv[1]) / f"{columns}.zarr"
    zarr.create_array(path, data=table, chunks=(4, 2), shards=(8, 4))
    for name, pipeline in PIPELINES.items():
        with zarr.config.set({"codec_pipeline.path": pipeline}):
            array = zarr.open_array(path, mode="r")
            for call, (read, rows) in CALLS.items():
                try:
                    outcome = "right" if np.array_equal(read(array), table[rows]) else "wrong"
                except RuntimeError as error:
                    outcome = f"RuntimeError: {error}"
                outcomes[columns, name, call] = outcome
                print(f"{columns} columns, {name}, {call}: {outcome}", flush=True)
odd = {key: outcome for key, outcome in outcomes.items() if outcome != "right"}
sys.exit(list(odd) != [(5, "zarrs", "[0]")] or "incompatible offset" not in odd[5, "zarrs", "[0]"])
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "zarrs==0.2.3" "zarr==3.4.2" "numpy==2.5.5" || exit 77
"$folder/env/bin/python" -W ignore "$folder/rows.py" "$folder"
echo "as described"

#!/usr/bin/env bash
# numpy 2.5: ndarray.resize takes a second copy of the array while it grows it.
#
# Expected: "change shape and size of array in-place" needs no second array of the same size; until
# numpy 2.4 it is realloc, and peaks at the size of the array.
# Seen: with numpy 2.5.5 growing an array of 8 MB by 100 numbers peaks at 16 MB; with 2.4.6 on the
# same Python at 8 MB. The results are the same.
# What follows for users: a large array that is grown step by step with resize needs twice its
# memory; gather the parts in a list and lay them into one array at the end, one at a time.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { echo "Python 3.12 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/grow.py" <<'PY'
import sys
import tracemalloc
import numpy as np

tracemalloc.start()
array = np.zeros(2_000_000, np.float32)
tracemalloc.reset_peak()
array.resize(2_000_100, refcheck=False)
peak = tracemalloc.get_traced_memory()[1] / 8e6
print("Python", sys.version.split()[0], "numpy", np.__version__, f"peak {peak:.2f} x the array", flush=True)
assert array.shape == (2_000_100,)
sys.exit(not (peak > 1.9 if np.__version__ == "2.5.5" else peak < 1.1))
PY
for version in 2.4.6 2.5.5; do
    "$PYTHON" -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet "numpy==$version" || exit 77
    "$folder/$version/bin/python" "$folder/grow.py"
done
echo "as described"

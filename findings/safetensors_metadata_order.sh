#!/usr/bin/env bash
# safetensors: the same tensors saved with two entries of metadata are not the same bytes.
#
# Expected: a file format without time stamps, written twice from equal input, gives equal bytes; a
# checksum of the file can then tell whether a model changed.
# Seen: the header lists the metadata in an order that changes from one process to the next. One
# entry is always the same bytes; with three, ten processes write several different files.
# What follows for users: compare tensors, or sort the header before hashing; do not hash the file.
set -Eeuo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet safetensors==0.8.0 numpy==2.4.6 || exit 77
cat > "$folder/write.py" <<'PY'
import hashlib, sys
import numpy as np
from safetensors.numpy import save
metadata = {f"key {i}": str(i) for i in range(int(sys.argv[1]))}
print(hashlib.sha256(save({"weights": np.zeros(3, np.float32)}, metadata)).hexdigest())
PY
"$folder/venv/bin/python" -c 'import safetensors, sys; print("Python", sys.version.split()[0], "safetensors", safetensors.__version__)'
for entries in 1 3; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        "$folder/venv/bin/python" "$folder/write.py" "$entries"
    done | sort -u | wc -l > "$folder/distinct_$entries"
    echo "$entries entries of metadata: $(cat "$folder/distinct_$entries") different files from 10 processes"
done
test "$(cat "$folder/distinct_1")" -eq 1
test "$(cat "$folder/distinct_3")" -gt 1
echo "as described"

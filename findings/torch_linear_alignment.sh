#!/usr/bin/env bash
# torch 2.13: on a processor, the last bits of a linear layer depend on where in memory its input lies.
#
# Expected: one thread, the same numbers, the same layer: the same bits, as from numpy arrays and as
# from tensors; the notes on reproducibility speak of devices, versions and thread counts.
# Seen: with 1 to 3 rows (and up to 8 with narrow layers) torch.nn.functional.linear gives up to four
# different results, by the address of the input (with one row, of the weights) modulo 16 bytes.
# Memory of numpy's own starts at 16 bytes; views, memory maps and unpickled buffers need not.
# What follows for users: the last, small minibatch of a run may differ from process to process while
# all full ones agree, as between Dask workers and one process. Copy such arrays before they are read.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/place.py" <<'PY'
import sys

import numpy as np
import torch

torch.set_num_threads(1)
torch.manual_seed(0)
weight, bias = torch.randn(16, 32), torch.randn(16)
found = {}
for rows in (2, 3, 64):
    values = np.random.default_rng(0).normal(size=(rows, 32)).astype(np.float32)
    results = []
    for offset in range(0, 64, 4):
        room = np.zeros(values.nbytes + 128, np.uint8)
        first = -room.ctypes.data % 64 + offset
        placed = room[first : first + values.nbytes].view(np.float32).reshape(values.shape)
        placed[:] = values
        results.append(torch.nn.functional.linear(torch.from_numpy(placed), weight, bias).numpy())
    spread = max(float(np.abs(one - results[0]).max()) for one in results)
    found[rows] = len({one.tobytes() for one in results})
    print(f"{rows} rows: {found[rows]} results from 16 places in memory, at most {spread:.1e} apart")
print("torch", torch.__version__, "numpy", np.__version__, torch.backends.cpu.get_cpu_capability())
sys.exit(not (found[2] > 1 and found[3] > 1 and found[64] == 1))
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "torch==2.13.0" "numpy==2.4.6" || exit 77
"$folder/env/bin/python" "$folder/place.py"
echo "as described"

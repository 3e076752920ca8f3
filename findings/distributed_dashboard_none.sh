#!/usr/bin/env bash
# distributed 2026.8: LocalCluster(dashboard_address=None) serves at port 8787 all the same.
#
# Expected: "Set to None to disable the dashboard", says the docstring of LocalCluster: no port.
# Seen: None gives what no argument gives: a server that listens on all interfaces at port 8787, or
# at a random port and with the warning "Port 8787 is already in use" where another has it, and a
# dashboard_link. ":0" takes a random port without that warning.
# What follows for users: dashboard_address=":0" where several clusters run at once, as in tests,
# and "127.0.0.1:0" where nobody else is to read it.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/cluster.py" <<'PY'
import socket
import sys
import warnings

import distributed


def is_taken(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def outcome(**options):
    """Whether 8787 is served, whether there is a link, and what is warned of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", UserWarning)
        with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, **options) as cluster:
            ports = is_taken(8787), "8787" in cluster.dashboard_link
    return *ports, any("8787 is already in use" in str(one.message) for one in warned)


if __name__ == "__main__":
    print("Python", sys.version.split()[0], "distributed", distributed.__version__)
    if is_taken(8787):
        print("something else has port 8787, so this cannot be tried")
        sys.exit(77)
    assert "Set to ``None`` to disable the dashboard" in distributed.LocalCluster.__doc__
    found = {"not given": outcome(), "None": outcome(dashboard_address=None), ":0": outcome(dashboard_address=":0")}
    with socket.create_server(("0.0.0.0", 8787)):
        found |= {"None, 8787 in use": outcome(dashboard_address=None), ":0, 8787 in use": outcome(dashboard_address=":0")}
    print("8787 answers, the link names it, a warning about it")
    for name, value in found.items():
        print(f"dashboard_address {name}:", *value, flush=True)
    sys.exit(list(found.values()) != [(True, True, False), (True, True, False), (False, False, False), (True, False, True), (True, False, False)])
PY
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "distributed==2026.8.0" || exit 77
"$folder/env/bin/python" "$folder/cluster.py" || exit $?
echo "as described"

#!/usr/bin/env bash
# typer 0.19 to 0.25 with click 8.5: the help of arguments is not shown.
#
# Expected: `typer.Argument(help="The cells.")` stands in --help. The metadata of typer 0.25.1 allow
# click 8.5.1, and pip installs the two together.
# Seen: the argument is listed, its help is not, in boxes of rich and in plain text; help of options
# is shown. With click 8.4.0 it is all there. From 0.26 on, typer needs no click and shows it.
# What follows for users: ask for typer>=0.26, or click<8.5 with an older typer.
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/tool.py" <<'PY'
import importlib.metadata as m
import sys

import typer
from typer.testing import CliRunner


def shown(**options):
    app = typer.Typer(add_completion=False, **options)

    @app.command()
    def count(cells: str = typer.Argument(help="The cells."), genes: int = typer.Option(5, help="How many genes.")):
        """Count."""

    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0 and "CELLS" in result.output.upper(), "the argument is listed"
    return {text: text in result.output for text in ("The cells.", "How many genes.")}


try:
    click = m.version("click")
except m.PackageNotFoundError:
    click = "none"
found = [shown(), shown(rich_markup_mode=None)]
print("Python", sys.version.split()[0], "typer", m.version("typer"), "click", click, "shown in boxes, in plain text:", found, flush=True)
missing = (m.version("typer"), click) in {("0.19.2", "8.5.1"), ("0.25.1", "8.5.1")}
sys.exit(found != 2 * [{"The cells.": not missing, "How many genes.": True}])
PY
"$PYTHON" -m venv "$folder/env"
for versions in "typer==0.19.2 click==8.5.1" "typer==0.25.1 click==8.4.0" "typer==0.25.1 click==8.5.1"; do
    "$folder/env/bin/python" -m pip install --quiet $versions || exit 77
    COLUMNS=80 "$folder/env/bin/python" "$folder/tool.py"
done
"$folder/env/bin/python" -m pip uninstall --quiet --yes click
"$folder/env/bin/python" -m pip install --quiet "typer==0.29.2" || exit 77
COLUMNS=80 "$folder/env/bin/python" "$folder/tool.py"
echo "as described"

#!/usr/bin/env bash
# sphinx 9.0: templates_path means two folders where conf.py stands apart from the pages (-c).
#
# Expected: relative entries of templates_path are taken from the folder of conf.py, as the
# reference of the option says, by everything that reads it.
# Seen: pages of HTML are made with the templates beside conf.py, and stubs of autosummary without
# them: it looks in the folder of the pages, and where there is none takes its own template,
# without a word. An absolute path is found by both.
# What follows for users: templates_path = [str(Path(__file__).parent / "_templates")].
set -Eeuo pipefail
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "sphinx==9.0.4" || exit 77
mkdir -p "$folder/docs/_templates/autosummary" "$folder/docs/pages"
cd "$folder/docs"
cat > conf.py <<'PY'
import os
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary"]
autosummary_generate = True
templates_path = [os.environ["TEMPLATES"]]
html_sidebars = {"**": ["mine.html"]}
PY
echo 'MY SIDEBAR' > _templates/mine.html
printf '{{ fullname }}\n{{ underline }}\n\nMY STUB\n' > _templates/autosummary/class.rst
printf 'Pages\n=====\n\n.. autosummary::\n   :toctree: made\n\n   fractions.Fraction\n' > pages/index.rst
echo "$("$folder/env/bin/python" --version) $("$folder/env/bin/python" -m sphinx --version)"
build() {
    rm -rf pages/made "$folder/html"
    TEMPLATES=$1 "$folder/env/bin/python" -m sphinx -q -b html -c . pages "$folder/html" || return 1
    sidebar=$(grep -c 'MY SIDEBAR' "$folder/html/index.html" || true)
    stub=$(grep -c 'MY STUB' pages/made/fractions.Fraction.rst || true)
    echo "templates_path [\"${1/$folder/...}\"]: sidebar of mine $sidebar, stub of mine $stub"
}
build _templates
test "$sidebar $stub" = "1 0"
build "$folder/docs/_templates"
test "$sidebar $stub" = "1 1"
echo "as described"

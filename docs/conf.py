"""Sphinx settings: ``make docs`` builds the site into build/docs.

The folder that is read is the repository, with the pages named by ``include_patterns``: tutorials,
results and the changelog lie outside ``docs``, and their links to one another are the same here and
in a checkout. Objects of other libraries are linked through their inventories, or, where there is
no network, through ``inventories.yaml``, which lists those that are named here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]  # this checkout, not an installed one

from inventories import write_inventories  # noqa: E402 - lies beside this file

from r2mae_bio import __version__  # noqa: E402

project = "r2mae_bio"
author = "The r2mae_bio developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "tutorials/*.ipynb",
    "benchmarks/README.md",
    "benchmarks/results/*.md",
    "data_registry/README.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = [".*", "build", "demo", "dist", "docs/_*", "r2mae_bio", "tests", "**/.ipynb_checkpoints"]
templates_path = [str(HERE / "_templates")]  # autosummary takes others from the folder that is read
suppress_warnings = ["myst.header"]  # results are lists of tables, whose levels skip one

nb_execution_mode = "off"  # tutorials are committed as executed
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # signatures are short, and parameters are described in words
autodoc_member_order = "bysource"
autosummary_generate = True
toc_object_entries_show_parents = "hide"  # "train" beside the page, not "GeneMAE.train", which is cut there
autosummary_ignore_module_all = False
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Returns"]  # what is written stands there in lists and sentences, not in fields

intersphinx_mapping = write_inventories(Path(tempfile.gettempdir()) / f"r2mae_bio_inventories_{__version__}")
intersphinx_timeout = 5

html_theme = "sphinx_book_theme"
html_title = f"r2mae_bio {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_extra"]
html_theme_options = {
    "show_toc_level": 2,
    "use_download_button": False,
    "navigation_with_keys": False,
    "navbar_persistent": [],  # a bar on top with the search that the sidebar has
}
html_copy_source = False
html_show_sourcelink = False

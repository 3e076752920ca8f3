"""Release a version: check that it is told the same everywhere, build, try, tag.

python .ci/release.py [--check]                    is everything ready? then dist/ and a tag
python .ci/release.py --meta --authors NAME ...     meta.yaml for scverse, to standard output

The version is written in ``r2mae_bio/_version.py`` alone; CITATION.cff and the changelog must say
the same. Addresses stand in pyproject.toml alone, under [project.urls]: Homepage, Documentation.
The tag is made here and pushed by hand, as are the files of dist/:
``git push origin vX.Y.Z`` and ``twine upload dist/*``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="say what is missing, and do nothing")
    parser.add_argument("--meta", action="store_true", help="print meta.yaml, completed")
    parser.add_argument("--authors", nargs="+", help="accounts of those who maintain the package, and agreed to be named")
    options = parser.parse_args()
    version = read_version(REPOSITORY)
    if options.meta:
        if not options.authors:
            parser.error("--meta needs --authors")
        print(meta(REPOSITORY, version, options.authors), end="")
        return
    if missing := [*problems(REPOSITORY, version), *state(version)]:
        sys.exit("\n".join([f"{version} cannot be released:", *(f"- {line}" for line in missing)]))
    print(f"{version} is ready")
    if not options.check:
        subprocess.run([sys.executable, REPOSITORY / ".ci" / "wheel.py", "--out", REPOSITORY / "dist"], check=True)
        subprocess.run(["git", "tag", "--annotate", f"v{version}", "--message", f"Release {version}"], cwd=REPOSITORY, check=True)
        print(f"built and tagged; now: git push origin v{version}, and twine upload dist/*")


def read_version(folder: Path) -> str:
    """The one place."""
    text = (folder / "r2mae_bio" / "_version.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)[1]


def problems(folder: Path, version: str) -> list[str]:
    """Where the files of a checkout disagree with the version."""
    found = []
    cited = str(yaml.safe_load((folder / "CITATION.cff").read_text(encoding="utf-8"))["version"])
    if cited != version:
        found.append(f"CITATION.cff says {cited}; write {version} and date-released")
    changes = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, flags=re.MULTILINE):
        found.append(f"CHANGELOG.md has no heading ## [{version}] - DATE; rename [Unreleased]")
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        found.append(f"{version} is no version of the form 1.2.3 or 1.2.3rc1")
    return found


def state(version: str) -> list[str]:
    """What git has against it."""
    found = []
    if git("status", "--porcelain"):
        found.append("there are changes that are not committed")
    if git("tag", "--list", f"v{version}"):
        found.append(f"the tag v{version} exists; write the next version into r2mae_bio/_version.py")
    if any((REPOSITORY / "dist").glob("*")):
        found.append("dist/ holds files of an earlier build; make clean")
    return found


def git(*words: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()


def meta(folder: Path, version: str, authors: list[str]) -> str:
    """The entry for scverse, with what meta.yaml leaves open."""
    urls = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    if missing := [name for name in ("Homepage", "Documentation") if name not in urls]:
        sys.exit(f"pyproject.toml has no {' and no '.join(missing)} under [project.urls]; write the published addresses there")
    entry = yaml.safe_load((folder / "meta.yaml").read_text(encoding="utf-8"))
    added = {
        "project_home": urls["Homepage"],
        "documentation_home": urls["Documentation"],
        "tutorials_home": f"{urls['Documentation'].rstrip('/')}/docs/tutorials.html",
        "version": f"v{version}",
        "authors": authors,
    }
    return yaml.safe_dump(entry | added, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    main()

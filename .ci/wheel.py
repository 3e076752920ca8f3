"""Build the wheel and the sdist, and use the wheel outside of the repository.

python .ci/wheel.py [--out FOLDER]

Into a virtual environment of its own goes the wheel alone; what it depends on is that of the Python
that runs this, whose version of the package is out of sight. There, in an empty folder, the command
line writes data, trains, embeds and reads what it wrote. Fails where a part of the package is
missing, where the wheel is larger than 12 MB, or where the sdist does not give the same wheel.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LARGEST = 12_000_000
SIZES = '{"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1}'
RUN = (
    ("--version",),
    ("--help",),
    ("fetch", "pbmc68k", "--out", "cells.h5ad"),
    ("pretrain", "cells.h5ad", "--layer", "counts", "--max-epochs", "1", "--model-kwargs", SIZES, "--out", "model"),
    ("embed", "cells.h5ad", "--model", "model", "--out", "embedded.h5ad"),
    ("embed", "cells.h5ad", "--model", "blood-small", "--out", "ready_made.h5ad"),
    ("info", "model"),
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--out", type=Path, help="folder for wheel and sdist; thrown away if not given")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        scratch = Path(folder)
        wheel, _ = build(scratch, (out or scratch / "dist").absolute())
        use(scratch, wheel)
    print("the wheel works outside of the repository")


def build(scratch: Path, out: Path) -> tuple[Path, Path]:
    """Build both from the repository, and the wheel once more from the sdist."""
    tools = environment(scratch / "tools")
    subprocess.run([tools, "-m", "pip", "install", "--quiet", "hatchling>=1.26", "twine>=6"], check=True)
    hatchling = [tools, "-m", "hatchling", "build", "--directory"]
    subprocess.run([*hatchling, out], cwd=REPOSITORY, check=True)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    subprocess.run([tools, "-m", "twine", "check", "--strict", wheel, sdist], check=True)
    subprocess.run(["tar", "-xzf", sdist, "-C", scratch], check=True)
    unpacked = scratch / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*hatchling, scratch / "again", "--target", "wheel"], cwd=unpacked, check=True)
    (again,) = (scratch / "again").glob("*.whl")
    if names(wheel) != names(again):
        sys.exit(f"the sdist gives another wheel; {sorted(names(wheel) ^ names(again))[:10]} are in one of them")
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size:,} bytes, {len(names(wheel))} files; {sdist.name}: {sdist.stat().st_size:,} bytes")
    if size > LARGEST:
        sys.exit(f"the wheel has {size:,} bytes; at most {LARGEST:,} are allowed")
    return wheel, sdist


def use(scratch: Path, wheel: Path) -> None:
    """Install the wheel alone, and call the command line in an empty folder."""
    python = environment(scratch / "clean")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    beneath = Path(site_packages(python), "beneath.pth")
    beneath.write_text(sysconfig.get_path("purelib"), encoding="utf-8")  # its own .pth files, editable installs, are not read
    work = scratch / "work"
    work.mkdir()
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run(
        [python, "-c", "import r2mae_bio; print(r2mae_bio.__file__)"],
        cwd=work,
        env=surroundings,
        capture_output=True,
        text=True,
        check=True,
    )
    if not Path(where.stdout.strip()).is_relative_to(scratch):
        sys.exit(f"the package that is imported is {where.stdout.strip()}, not that of the wheel")
    for words in RUN:
        subprocess.run([python.with_name("r2mae"), *words], cwd=work, env=surroundings, check=True)
    if missing := [name for name in ("embedded.h5ad", "ready_made.h5ad") if not (work / name).is_file()]:
        sys.exit(f"r2mae embed wrote no {' and no '.join(missing)}")


def environment(folder: Path) -> Path:
    """The Python of a new virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def site_packages(python: Path) -> str:
    """Where an environment keeps its packages."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def names(wheel: Path) -> set[str]:
    """Files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


if __name__ == "__main__":
    main()

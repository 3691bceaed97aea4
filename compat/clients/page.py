"""Writes what was seen of real clients: a row each for a terminal, and a page, whose settings are the first lines of each script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rows import CLIENTS, Client

HERE = Path(__file__).resolve().parent
#: What every client is asked for, if it can; what else a script tries is told behind it.
TRIED = ("plain", "stream", "tools", "schema", "bad_key", "models")
SETTINGS = re.compile(r"^[ \t]*(?:#|//) settings:\n(.*?)^[ \t]*(?:#|//) :settings$", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".mjs": "js", ".sh": "sh", ".java": "java", "": "go"}
NOT_RUN: dict[str, Any] = {"version": "", "tries": [], "failed": "It was not run."}
INTRODUCTION = """\
# Clients that were tried

Settings to copy are on [the page of clients](clients.md); this page says what was seen. Each client was set up by an address and a key
alone, from its own package at the version that was the newest on the day. `make clients` installs them, runs them against a server with
its embedded model, and writes this page; `make clients ARGS="codex aider"` runs some. In a column: ok, **no** (what was seen stands
below), or nothing where the client has no such thing or its script does not ask for it. *bad key*: a call with a wrong key fails;
the programs of the command line show their user this server's words for it.

`AISA_BASE_URL` is the server's address without `/v1` (`http://127.0.0.1:8000`) and `AISA_API_KEY` a key of it. The model is any that the
server has. The whole scripts are in `compat/clients/`.

Five of these run in the test suite, so with every change: OpenAI's, Anthropic's, Google's, Mistral's and Cohere's Python clients
(`tests/test_openai_client.py`, `test_messages_door.py`, `test_gemini_door.py`, `test_mistral_client.py`, `test_rerank.py`). OpenAI's
JavaScript client, the AI SDK and LangChain.js are held to more in `make compat`.
"""


def seen_of(result: dict[str, Any], name: str) -> str:
    """Return what became of a try: ok, no, or nothing."""
    return next(("**no**" if each["failed"] else "ok" for each in result["tries"] if each["does"] == name), "")


def more_of(result: dict[str, Any]) -> list[str]:
    """Return what else was tried."""
    return [each["does"].replace("_", " ") + (" **no**" if each["failed"] else "") for each in result["tries"] if each["does"] not in TRIED]


def row_of(client: Client, result: dict[str, Any]) -> str:
    """Return a client's row for a terminal."""
    cells = [f"{name.replace('_', ' ')} {seen_of(result, name).strip('*') or '-'}" for name in TRIED]
    more = f"; {', '.join(more_of(result)).replace('*', '')}" if more_of(result) else ""
    return f"{client.name:28} {result['version'] or 'RED':10} {', '.join(cells)}{more}"


def settings_of(client: Client) -> str:
    """Return the lines of a client's script that set it up."""
    script = HERE / client.script
    text = (script / "main.go" if script.is_dir() else script).read_text(encoding="utf-8")
    found = SETTINGS.search(text)
    assert found, f"{script} does not say which of its lines are its settings"
    lines = found[1].strip("\n").splitlines()
    margin = min([len(line) - len(line.lstrip()) for line in lines if line.strip()])
    return "\n".join([line[margin:] for line in lines])


def page(results: dict[str, dict[str, Any]]) -> str:
    """Return the whole page."""
    heads = ["client", "package", "version", "asks", *[name.replace("_", " ") for name in TRIED], "and"]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for client in CLIENTS:
        result = results.get(client.name, NOT_RUN)
        cells = [
            client.name,
            f"`{client.packages[0]}`",
            result["version"] or "**none**",
            f"`{client.doors.replace(', ', '`, `')}`",
        ]
        rows.append("| " + " | ".join([*cells, *[seen_of(result, name) for name in TRIED], ", ".join(more_of(result))]) + " |")
    sections = [section(client, results.get(client.name, NOT_RUN)) for client in CLIENTS]
    agents = HERE / "agents.md"
    parts = [
        INTRODUCTION,
        "\n".join(rows),
        *([agents.read_text(encoding="utf-8").strip()] if agents.exists() else []),
        "## Settings",
        *sections,
    ]
    return "\n\n".join([part.strip() for part in parts]) + "\n"


def section(client: Client, result: dict[str, Any]) -> str:
    """Return what is told of one client: its settings and what went wrong."""
    failures = [result["failed"], *[f"{each['does'].replace('_', ' ')}: {each['failed']}" for each in result["tries"] if each["failed"]]]
    red = ["```text\n" + failure.strip()[-600:] + "\n```" for failure in failures if failure]
    beside = f" Installed with it: {', '.join(f'`{package}`' for package in client.packages[1:])}." if client.packages[1:] else ""
    told = f"{client.note}{beside}".strip()
    block = f"```{LANGUAGES[Path(client.script).suffix]}\n{settings_of(client)}\n```"
    return "\n\n".join([f"### {client.name}", *([told] if told else []), block, *red])

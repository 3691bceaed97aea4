"""Writes the page of clients: what was seen of real ones, and how each is set up. Runs none.

A client's settings are those of the console's page where that has it, else the first lines of its script. `seen.json` holds what the last
`make clients` saw, so that the page can be written without it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from aisa.console.clients import Client as Shown
from aisa.console.clients import clients_for
from rows import CLIENTS, Client

HERE = Path(__file__).resolve().parent
SEEN = HERE / "seen.json"
#: What every client is asked for, if it can; what else a script tries is told behind it.
TRIED = ("plain", "stream", "tools", "schema", "bad_key", "models")
SETTINGS = re.compile(r"^[ \t]*(?:#|//) settings:\n(.*?)^[ \t]*(?:#|//) :settings$", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".mjs": "js", ".sh": "sh", ".java": "java", "": "go"}
OWN_LANGUAGES = {"BAML": "text"}  # of clients whose settings are not in their script's
PLACES = {"Shell": "sh", "Python": "python", "JavaScript": "js", "Environment": "sh", "toml": "toml", "yaml": "yaml", "json": "json"}
NOT_RUN: dict[str, Any] = {"version": "", "tries": [], "failed": "It was not run."}
#: Clients that the console calls by another name.
CALLED = {
    "opencode": "OpenCode",
    "Cline": "Cline, Roo Code",
    "openai (Python)": "OpenAI's Python client",
    "openai (JavaScript)": "OpenAI's Node client",
    "anthropic (Python)": "Anthropic's Python client",
    "google-genai (Python)": "google-genai",
    "LangChain (Python)": "LangChain",
    "AI SDK": "Vercel's AI SDK",
}
INTRODUCTION = """\
# Clients

<!-- Made by `make clients` and `make docs` from compat/clients/ and src/aisa/console/clients.py. Edit those, not this page. -->

Real clients, each set up by an address and a key alone, from its own package at the version that was the newest on the day. `make clients`
installs them, runs them against a server with its embedded model, and writes this page; `make clients ARGS="codex aider"` runs some.
Every other client that lets you set its address works too: with `/v1` where it speaks OpenAI's API, without where it speaks Anthropic's or
Gemini's.

In a column: ok, **no** (what was seen stands with the client's settings), or nothing where the client has no such thing or its script does
not ask for it. *bad key*: a call with a wrong key fails; the programs of the command line show their user this server's words for it.

**Five of these run in the test suite, so in CI with every change**: OpenAI's, Anthropic's, Google's, Mistral's and Cohere's Python clients
(`tests/test_openai_client.py`, `test_messages_door.py`, `test_gemini_door.py`, `test_mistral_client.py`, `test_rerank.py`). OpenAI's
JavaScript client, the AI SDK and LangChain.js are held to more in `make compat`, where those of OpenAI, Anthropic and Google for JavaScript
also read what each door makes of seven vendors' streams.
"""
SETTING_UP = """\
## Settings

For a server at `http://127.0.0.1:8000`, which scripts have in `AISA_BASE_URL`, and the model `gpt-4.1`; the model is any that the server
has. `AISA_API_KEY` is a key of the server: `aisa keys create LABEL` makes one for each client, with its own cap and its own line
in the bills. The console's page "Set up clients" has your server's address and a model that it has. The whole scripts are in
`compat/clients/`.
"""
NOT_TRIED = "## Settings of clients that no script runs"


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


def page(results: dict[str, dict[str, Any]] | None = None) -> str:
    """Return the whole page, of what was seen last where nothing else is given."""
    seen = json.loads(SEEN.read_bytes()) if results is None else results
    heads = ["client", "package", "version", "asks", *[name.replace("_", " ") for name in TRIED], "and"]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for client in CLIENTS:
        result = seen.get(client.name, NOT_RUN)
        cells = [client.name, f"`{client.packages[0]}`", result["version"] or "**none**", f"`{client.doors.replace(', ', '`, `')}`"]
        rows.append("| " + " | ".join([*cells, *[seen_of(result, name) for name in TRIED], ", ".join(more_of(result))]) + " |")
    shown = {each.name: each for clients in clients_for("http://127.0.0.1:8000", "gpt-4.1").values() for each in clients}
    tried = [section(client, seen.get(client.name, NOT_RUN), shown.pop(CALLED.get(client.name, client.name), None)) for client in CLIENTS]
    agents = (HERE / "agents.md").read_text(encoding="utf-8")
    others = [f"### {each.name}\n\nSpeaks `{each.door}`.\n\n{to_copy(each)}" for each in shown.values()]
    parts = [INTRODUCTION, "\n".join(rows), agents, SETTING_UP, *tried, NOT_TRIED, *others]
    return "\n\n".join([part.strip() for part in parts]) + "\n"


def section(client: Client, result: dict[str, Any], shown: Shown | None) -> str:
    """Return what is told of one client: its settings and what went wrong."""
    failures = [result["failed"], *[f"{each['does'].replace('_', ' ')}: {each['failed']}" for each in result["tries"] if each["failed"]]]
    red = ["```text\n" + failure.strip()[-600:] + "\n```" for failure in failures if failure]
    beside = f" Installed with it: {', '.join(f'`{package}`' for package in client.packages[1:])}." if client.packages[1:] else ""
    told = f"{client.note}{beside}".strip()
    block = (
        f"```{OWN_LANGUAGES.get(client.name) or LANGUAGES[Path(client.script).suffix]}\n{settings_of(client)}\n```"
        if shown is None
        else to_copy(shown)
    )
    return "\n\n".join([f"### {client.name}", *([told] if told else []), block, *red])


def to_copy(shown: Shown) -> str:
    """Return settings as the console has them."""
    blocks = [shown.note] if shown.note else []
    for setting in shown.settings:
        language = PLACES.get(setting.where) or PLACES.get(setting.where.rpartition(".")[2], "text")
        blocks.append(f"{setting.where}:\n\n```{language}\n{setting.text}\n```")
    return "\n\n".join(blocks)


if __name__ == "__main__":
    sys.stdout.write(page())
